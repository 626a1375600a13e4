"""What is held back: receipts that a guard of their source stops before they reach a helpdesk. Pure.

A receipt that is held becomes a dead letter with a reason of `gateway.model.reasons.HELD`: its bytes are kept, it makes no
incident and no action, and an operator lets it through (``dead retry``) or gives it up (``dead drop``).

A rate of N per time lets a receipt through if fewer than N arrivals of its key lie in the time before it. Held ones count
as arrivals too: who goes on at the same pace stays held, however long the night. So the newest N arrivals of a key are
all that need be remembered, and the journal does (`gateway.journal.protocol.NewArrival`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.config.values import RateLimit, duration_text
from gateway.journal.protocol import (
    INCIDENT_RATE,
    RELEASED,
    Arrival,
    HistoryLine,
    NewArrival,
    Processed,
)
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.sources.protocol import Guard

REPLAY_OF = "replay_of"
"""Envelope entry of a receipt that an operator had made anew from an older one; it is no duplicate of that one."""
BEGINS = "quarantine"
"""`HistoryLine.what` of the first receipt that a rate holds; of the next ones it is ``held``."""
SELDOM: Final = 3
"""A person who wrote fewer mails than this in the time of an incident's rate is not held back by that rate."""
_NOTHING_ASKED: Final = frozenset({Reason.DUPLICATE, Reason.DROPPED_BY_RULE})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a receipt is held and why, and what it counts against. ``begins``: the one before it was let through."""

    hold: Reason | None = None
    detail: str = ""
    begins: bool = False
    arrivals: tuple[NewArrival, ...] = ()


def is_guarded(receipt: Receipt) -> bool:
    """Whether guards have a say: an operator's word goes before theirs."""
    return RELEASED not in receipt.envelope and REPLAY_OF not in receipt.envelope


def sender_key(source: str, guard: Guard) -> str:
    """The key of a sender's arrivals."""
    return "sender " + json.dumps([source, guard.sender], ensure_ascii=False, separators=(",", ":"))


def judge(guard: Guard, receipt: Receipt, processed: Processed, arrivals: Mapping[str, Sequence[Arrival]]) -> Verdict:
    """Whether a receipt may go on. ``processed`` is what would be written; what asks nothing of a helpdesk counts nothing."""
    if guard.hold is not None:
        reasons = {record.reason for record in processed.events}
        return Verdict() if reasons <= _NOTHING_ASKED else Verdict(guard.hold, guard.detail, begins=True)
    asked = [action.incident for action in processed.actions]
    asked += [change.incident.id for change in processed.incidents if change.expected_version is None]
    if not asked:
        return Verdict()
    counts = _counts(guard, receipt, asked, arrivals)
    over = [one for one in counts if one.binds and len(one.before) >= one.most]
    return Verdict(
        Reason.QUARANTINED if over else None,
        "; ".join(f"{one.most} mails {one.words} came within {duration_text(one.rate.per)} before it" for one in over),
        begins=not any(arrival.held for one in over for arrival in one.before),
        arrivals=tuple(one.arrival(receipt, hold=bool(over)) for one in counts),
    )


@dataclass(frozen=True, slots=True)
class _Count:
    """What a receipt counts against: ``before`` are the arrivals in time; ``binds`` is false if it is only counted."""

    key: str
    rate: RateLimit
    before: Sequence[Arrival]
    words: str
    binds: bool = True

    @property
    def most(self) -> int:
        return max(1, int(self.rate.count))

    def arrival(self, receipt: Receipt, *, hold: bool) -> NewArrival:
        arrival = Arrival(self.key, receipt.id, receipt.received_at, hold)
        return NewArrival(arrival, self.most, receipt.received_at + self.rate.per)


def _counts(
    guard: Guard, receipt: Receipt, incidents: Iterable[str], arrivals: Mapping[str, Sequence[Arrival]]
) -> list[_Count]:
    found: list[_Count] = []
    by_sender, each = sender_key(receipt.source, guard), guard.per_incident
    if guard.per_sender is not None:
        before = _within(arrivals.get(by_sender, ()), guard.per_sender, receipt)
        found.append(_Count(by_sender, guard.per_sender, before, f"from {guard.sender} (`loop.per_sender`)"))
    if each is None:
        return found
    own = _within(arrivals.get(by_sender, ()), each, receipt)
    if guard.per_sender is None and guard.person:  # only to know how seldom it writes
        found.append(_Count(by_sender, replace(each, count=SELDOM), own, "", binds=False))
    for incident in dict.fromkeys(incidents):
        key = INCIDENT_RATE + incident
        before, words = _within(arrivals.get(key, ()), each, receipt), "for its incident (`loop.per_incident`)"
        found.append(_Count(key, each, before, words, binds=not guard.person or len(own) >= SELDOM))
    return found


def _within(arrivals: Iterable[Arrival], rate: RateLimit, receipt: Receipt) -> list[Arrival]:
    """The other arrivals in the time up to this one."""
    start = receipt.received_at - rate.per
    return [one for one in arrivals if start < one.at <= receipt.received_at and one.receipt != receipt.id]


def held(receipt: Receipt, processed: Processed, verdict: Verdict) -> Processed:
    """What is written of a receipt that is held: its events with the reason, and nothing for any helpdesk."""
    assert verdict.hold is not None
    line = HistoryLine(
        at=receipt.received_at,
        what=BEGINS if verdict.begins else "held",
        reason=verdict.hold,
        detail=verdict.detail,
        receipt=receipt.id,
    )
    events = tuple(
        replace(record, reason=verdict.hold, incident="", keep_attachments=False) for record in processed.events
    )
    return Processed(
        receipt=receipt.id,
        events=events,
        warnings=processed.warnings,
        history=(line,),
        dead=verdict.hold,
        detail=verdict.detail,
        arrivals=verdict.arrivals,
    )
