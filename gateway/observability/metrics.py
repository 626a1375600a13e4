"""Metrics in Prometheus' text format, with closed label sets: nothing that a sender writes ever becomes a label."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.journal.protocol import Counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of `Metrics.render`."""

OTHER = "other"
"""Label value for a source or helpdesk that the configuration does not know."""

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


@dataclass(frozen=True, slots=True)
class MetricDoc:
    """What a metric is called and means. ``name`` is as it is scraped (counters end in ``_total``)."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_ACCEPTED = MetricDoc(
    "ticket_gateway_receipts_accepted_total", "counter", ("source",), "Deliveries made durable, without repeats."
)
_REFUSED = MetricDoc(
    "ticket_gateway_receipts_refused_total", "counter", ("source", "reason"), "Deliveries refused, by reason."
)
_DUPLICATES = MetricDoc(
    "ticket_gateway_receipts_duplicate_total",
    "counter",
    ("source",),
    "Deliveries recognised as repeats of earlier ones.",
)
_CHECKS = MetricDoc(
    "ticket_gateway_credential_checks_total",
    "counter",
    (),
    "Requests whose credentials were compared, known source or not.",
)
_EVENTS = MetricDoc("ticket_gateway_events_total", "counter", ("source", "kind"), "Events parsed from receipts.")
_DECISIONS = MetricDoc("ticket_gateway_decisions_total", "counter", ("reason",), "What became of events, by reason.")
_ACTIONS = MetricDoc(
    "ticket_gateway_actions_total",
    "counter",
    ("helpdesk", "kind", "outcome", "reason"),
    "Actions that came to their end.",
)
_ATTEMPTS = MetricDoc(
    "ticket_gateway_attempts_total", "counter", ("helpdesk", "kind", "outcome", "reason"), "Calls made for actions."
)
_NOTICES = MetricDoc(
    "ticket_gateway_notices_total",
    "counter",
    ("helpdesk", "result"),
    "Webhooks of helpdesks: `taken`, `ignored` (about no ticket), or why they were refused.",
)
_ACCEPT_SECONDS = MetricDoc(
    "ticket_gateway_accept_seconds", "histogram", (), "From the whole body to the durable receipt.", _FAST
)
_TICKET_SECONDS = MetricDoc(
    "ticket_gateway_receipt_to_ticket_seconds", "histogram", ("helpdesk",), "From the receipt to its ticket.", _SLOW
)
_CALL_SECONDS = MetricDoc(
    "ticket_gateway_call_seconds", "histogram", ("helpdesk", "kind"), "Duration of calls to helpdesks.", _SLOW
)
_RECEIPTS_WAITING = MetricDoc("ticket_gateway_receipts_waiting", "gauge", (), "Receipts that are not processed yet.")
_OLDEST_RECEIPT = MetricDoc(
    "ticket_gateway_oldest_receipt_seconds", "gauge", (), "Age of the oldest receipt that is not processed yet."
)
_ACTIONS_WAITING = MetricDoc(
    "ticket_gateway_actions_waiting", "gauge", ("helpdesk",), "Actions that are not finished yet."
)
_OLDEST_ACTION = MetricDoc(
    "ticket_gateway_oldest_action_seconds", "gauge", ("helpdesk",), "Age of the oldest action that is not finished yet."
)
_HELD = MetricDoc(
    "ticket_gateway_creates_held", "gauge", ("helpdesk",), "New tickets that the brake holds back (`limits.creates`)."
)
_DEAD = MetricDoc("ticket_gateway_dead_letters", "gauge", ("what",), "Receipts and actions that wait for a person.")
_BLOCKED = MetricDoc("ticket_gateway_blocked_actions", "gauge", (), "Actions that wait behind a dead create.")
_OPEN = MetricDoc("ticket_gateway_open_incidents", "gauge", (), "Incidents that are not closed.")
_BREAKER = MetricDoc(
    "ticket_gateway_breaker_state", "gauge", ("helpdesk",), "0: calls pass; 1: probing; 2: open, no calls are made."
)
_PAUSED = MetricDoc(
    "ticket_gateway_helpdesk_paused", "gauge", ("helpdesk",), "1 while a helpdesk's queue stands still."
)
_SPOOL = MetricDoc(
    "ticket_gateway_spool_mails",
    "gauge",
    ("state",),
    "Mails in the pipe's spool: `waiting`, or `stuck` for a reason in the log.",
)

_FALLBACKS = MetricDoc(
    "ticket_gateway_fallbacks_total",
    "counter",
    ("helpdesk", "to", "outcome"),
    "Tickets that went to a fallback. `outcome` is that of the last call; `skipped`: it had waited too long.",
)

_DOCS = (
    _ACCEPTED, _REFUSED, _DUPLICATES, _CHECKS, _EVENTS, _DECISIONS, _ACTIONS, _ATTEMPTS,
    _NOTICES, _ACCEPT_SECONDS, _TICKET_SECONDS,
    _CALL_SECONDS, _RECEIPTS_WAITING, _OLDEST_RECEIPT, _ACTIONS_WAITING, _OLDEST_ACTION, _HELD, _DEAD, _BLOCKED, _OPEN, _BREAKER,
    _PAUSED, _SPOOL, _FALLBACKS,
)  # fmt: skip

BreakerState = Literal["closed", "half_open", "open"]
_BREAKER_VALUES: dict[BreakerState, int] = {"closed": 0, "half_open": 1, "open": 2}


def metric_docs() -> list[MetricDoc]:
    """Every metric there is, for the documentation."""
    return list(_DOCS)


class _Hot(Collector):
    """What every delivery counts: plain integers of the event loop's thread, since locks and label look-ups cost."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.accepted = dict.fromkeys(sources, 0)
        self.checks = 0
        self.buckets = [0] * (len(_FAST) + 1)
        self.seconds = 0.0

    def collect(self) -> Iterator[Metric]:
        """The three families as they stand."""
        accepted = CounterMetricFamily(_ACCEPTED.name, _ACCEPTED.help, labels=_ACCEPTED.labels)
        for source, number in self.accepted.items():
            accepted.add_metric([source], number)
        yield accepted
        yield CounterMetricFamily(_CHECKS.name, _CHECKS.help, value=self.checks)
        bounds = [*map(str, _FAST), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self.buckets)), strict=True))
        yield HistogramMetricFamily(_ACCEPT_SECONDS.name, _ACCEPT_SECONDS.help, buckets=buckets, sum_value=self.seconds)


class Metrics:
    """All metrics of one gateway, in a registry of their own.

    ``sources`` and ``helpdesks`` are the configured names; any other name is counted under `OTHER`. The words for kinds,
    outcomes and reasons must come from the enums of `gateway.model` and `gateway.receive`.
    """

    def __init__(self, sources: Iterable[str] = (), helpdesks: Iterable[str] = ()) -> None:
        self._sources = frozenset(sources)
        self._helpdesks = frozenset(helpdesks)
        self.registry = CollectorRegistry()
        self._refused = self._counter(_REFUSED)
        self._duplicates = self._counter(_DUPLICATES)
        self._events = self._counter(_EVENTS)
        self._decisions = self._counter(_DECISIONS)
        self._actions = self._counter(_ACTIONS)
        self._attempts = self._counter(_ATTEMPTS)
        self._notices = self._counter(_NOTICES)
        self._ticket_seconds = self._histogram(_TICKET_SECONDS)
        self._call_seconds = self._histogram(_CALL_SECONDS)
        self._receipts_waiting = self._gauge(_RECEIPTS_WAITING)
        self._oldest_receipt = self._gauge(_OLDEST_RECEIPT)
        self._actions_waiting = self._gauge(_ACTIONS_WAITING)
        self._oldest_action = self._gauge(_OLDEST_ACTION)
        self._held = self._gauge(_HELD)
        self._dead = self._gauge(_DEAD)
        self._blocked = self._gauge(_BLOCKED)
        self._open = self._gauge(_OPEN)
        self._breaker = self._gauge(_BREAKER)
        self._paused = self._gauge(_PAUSED)
        self._spool = self._gauge(_SPOOL)
        self._fallbacks = self._counter(_FALLBACKS)
        self._hot = _Hot((*sorted(self._sources), OTHER))
        self.registry.register(self._hot)

    def _counter(self, doc: MetricDoc) -> Counter:
        return Counter(doc.name, doc.help, doc.labels, registry=self.registry)

    def _gauge(self, doc: MetricDoc) -> Gauge:
        return Gauge(doc.name, doc.help, doc.labels, registry=self.registry)

    def _histogram(self, doc: MetricDoc) -> Histogram:
        return Histogram(doc.name, doc.help, doc.labels, buckets=doc.buckets, registry=self.registry)

    def _source(self, name: str) -> str:
        return name if name in self._sources else OTHER

    def _helpdesk(self, name: str) -> str:
        return name if name in self._helpdesks else OTHER

    def accepted(self, source: str, seconds: float) -> None:
        """A delivery is durable; ``seconds`` is how long that took."""
        hot = self._hot
        hot.accepted[source if source in hot.accepted else OTHER] += 1
        hot.buckets[bisect_left(_FAST, seconds)] += 1
        hot.seconds += seconds

    def refused(self, source: str, reason: str) -> None:
        """A delivery was refused."""
        self._refused.labels(self._source(source), reason).inc()

    def notice(self, helpdesk: str, result: str) -> None:
        """A webhook of a helpdesk came."""
        self._notices.labels(helpdesk if helpdesk in self._helpdesks else OTHER, result).inc()

    def duplicate(self, source: str) -> None:
        """A delivery repeats an earlier one."""
        self._duplicates.labels(self._source(source)).inc()

    def credentials_checked(self) -> None:
        """Credentials were compared."""
        self._hot.checks += 1

    def event(self, source: str, kind: str) -> None:
        """An event was parsed."""
        self._events.labels(self._source(source), kind).inc()

    def decision(self, reason: str) -> None:
        """An event was decided on."""
        self._decisions.labels(reason).inc()

    def action(self, helpdesk: str, kind: str, outcome: str, reason: str) -> None:
        """An action came to its end."""
        self._actions.labels(self._helpdesk(helpdesk), kind, outcome, reason).inc()

    def attempt(self, helpdesk: str, kind: str, outcome: str, reason: str, seconds: float | None = None) -> None:
        """A call was made; ``seconds`` is how long it took."""
        self._attempts.labels(self._helpdesk(helpdesk), kind, outcome, reason).inc()
        if seconds is not None:
            self._call_seconds.labels(self._helpdesk(helpdesk), kind).observe(seconds)

    def fell_back(self, helpdesk: str, to: str, outcome: str) -> None:
        """A ticket that one helpdesk did not take went to another."""
        self._fallbacks.labels(self._helpdesk(helpdesk), self._helpdesk(to), outcome).inc()

    def ticket(self, helpdesk: str, seconds: float) -> None:
        """A receipt got its ticket, ``seconds`` after it was received."""
        self._ticket_seconds.labels(self._helpdesk(helpdesk)).observe(seconds)

    def breaker(self, helpdesk: str, state: BreakerState) -> None:
        """The breaker of a helpdesk changed."""
        self._breaker.labels(self._helpdesk(helpdesk)).set(_BREAKER_VALUES[state])

    def paused(self, helpdesk: str, *, paused: bool) -> None:
        """The queue of a helpdesk stands still, or goes on."""
        self._paused.labels(self._helpdesk(helpdesk)).set(int(paused))

    def spool(self, waiting: int, stuck: int) -> None:
        """Mails in the pipe's spool after a look at it."""
        self._spool.labels("waiting").set(waiting)
        self._spool.labels("stuck").set(stuck)

    def counts(self, counts: Counts, now: float) -> None:
        """Take over the journal's figures. A helpdesk without work counts 0."""
        self._receipts_waiting.set(counts.receipts_waiting)
        self._oldest_receipt.set(0.0 if counts.oldest_receipt is None else max(0.0, now - counts.oldest_receipt))
        waiting: dict[str, int] = dict.fromkeys(self._helpdesks, 0)
        oldest: dict[str, float] = dict.fromkeys(self._helpdesks, 0.0)
        for name, number in counts.actions_waiting.items():
            label = self._helpdesk(name)
            waiting[label] = waiting.get(label, 0) + number
        for name, since in counts.oldest_action.items():
            label = self._helpdesk(name)
            oldest[label] = max(oldest.get(label, 0.0), now - since)
        for label, number in waiting.items():
            self._actions_waiting.labels(label).set(number)
        for label, age in oldest.items():
            self._oldest_action.labels(label).set(age)
        for name in self._helpdesks:
            self._held.labels(name).set(counts.held.get(name, 0))
        self._dead.labels("receipt").set(counts.dead_receipts)
        self._dead.labels("action").set(counts.dead_actions)
        self._blocked.set(counts.blocked_actions)
        self._open.set(counts.open_incidents)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
