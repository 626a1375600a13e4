"""Writes down what happens in a test, in words for people and in values for expectations."""

from collections.abc import Callable, Iterable, Mapping

import orjson

from gateway.delivery.worker import Step
from gateway.journal.protocol import EventRecord, Noticed, Processed, Timer
from gateway.model.action import Action, ActionStatus, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.routetests.desks import Desk
from gateway.routetests.journal import TestJournal
from gateway.routetests.record import Happening, What
from gateway.ruleset import Ruleset

_ENDED = frozenset({ActionStatus.DELIVERED, ActionStatus.SKIPPED, ActionStatus.DEAD})


class Recorder:
    """The observer of a test's pipeline and the watcher of its deliveries."""

    def __init__(
        self,
        rules: Ruleset,
        journal: TestJournal,
        desks: Mapping[str, Desk],
        after: Callable[[], float],
        wake: Callable[[Iterable[str]], None],
    ) -> None:
        """``after`` tells the time since the test began; ``wake`` is told helpdesks that have something to do."""
        self.happened: list[Happening] = []
        self._rules = rules
        self._journal = journal
        self._desks = desks
        self._after = after
        self._wake = wake

    def say(self, what: What, text: str, *reasons: str) -> None:
        """Something that has no more to it."""
        self.happened.append(Happening(self._after(), what, text, reasons))

    def repeated(self, source: str) -> None:
        """The door has recognised a repeated delivery."""
        self.say(What.EVENT, f"a repeated delivery from {source}", Reason.DUPLICATE.value)

    # ------------------------------------------------------------------------------------------------- as the observer

    def processed(self, receipt: Receipt, processed: Processed) -> None:
        """A receipt is processed."""
        for record in processed.events:
            self.happened.append(self._event(receipt, record, processed))
        if processed.dead is not None:
            self.say(What.DEAD, f"a receipt from {receipt.source} waits for a person", processed.dead.value)
        for warning in processed.warnings:
            self.say(What.TRY, f"warning: {warning}")

    def failed(self, receipt: Receipt, stage: str, error: BaseException) -> None:
        """A try failed."""
        self.say(What.FAULT, f"{stage} failed for a message from {receipt.source}: {type(error).__name__}: {error}")

    def fired(self, timer: Timer, processed: Processed) -> None:
        """A timer has fired."""
        for line in processed.history:
            reasons = (line.reason.value,) if line.reason is not None else ()
            text = f"{timer.kind} is due for {timer.incident.title or timer.incident.key}"
            self.happened.append(Happening(self._after(), What.TIMER, text, reasons, timer.incident.route))

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        """Firing failed."""
        self.say(What.FAULT, f"the timer {timer.kind} failed: {type(error).__name__}: {error}")

    # -------------------------------------------------------------------------------------------------- as the watcher

    def step(self, step: Step) -> None:
        """An attempt ended."""
        action, outcome = step.action, step.outcome
        if step.fell_back_to:
            words = f"{action.kind.value} goes from {step.helpdesk} to {step.fell_back_to}: {outcome.detail}"
            self.say(What.TRY, words, step.reason.value)
            self._wake([step.fell_back_to])
            return
        reasons = tuple(dict.fromkeys((*self._journal.flags(action.id), step.reason.value)))
        ticket = outcome.ticket or action.ticket
        number = f" {ticket.number}" if ticket is not None else ""
        words = {
            ActionStatus.DELIVERED: f"{action.kind.value} in {step.helpdesk}: ticket{number}",
            ActionStatus.SKIPPED: f"{action.kind.value} in {step.helpdesk} is not made",
            ActionStatus.DEAD: f"{action.kind.value} in {step.helpdesk} waits for a person",
        }.get(step.status, f"{action.kind.value} in {step.helpdesk}: {step.status.value}")
        if outcome.detail and step.status is not ActionStatus.DELIVERED:
            words += f": {outcome.detail}"
        done = step.status in {ActionStatus.DELIVERED, ActionStatus.SKIPPED}
        self.happened.append(
            Happening(
                self._after(),
                What.ACTION if step.status in _ENDED else What.TRY,
                words,
                reasons,
                action.route,
                action=action.kind if done else None,
                skipped=step.status is ActionStatus.SKIPPED,
                helpdesk=step.helpdesk,
                seen=(seen := self._seen(action, ticket, reasons) if done else {}),
                told={name: seen[name] for name in ("title", "state", *action.draft.fields) if seen.get(name)},
            )
        )

    def ticket(self, action: Action, ticket: TicketRef) -> None:
        """Told again when the outcome is recorded."""

    def coalesced(self, action: Action, number: int) -> None:
        """Follow-ups became a part of another one."""
        self.say(
            What.TRY, f"{number} follow-ups go out with another one in {action.helpdesk}", Reason.COALESCED_INTO.value
        )

    def helpdesk(self, name: str, what: str, detail: str) -> None:
        """Pauses and the breaker."""
        self.say(What.TRY, f"{name}: {what.replace('_', ' ')}{f': {detail}' if detail else ''}")

    def noticed(self, noticed: Noticed) -> None:
        """What a person did to a ticket was learned between actions."""
        for line in noticed.history:
            reasons = (line.reason.value,) if line.reason is not None else ()
            text = f"a look at the ticket of {noticed.incident.title}: {line.detail}"
            self.happened.append(Happening(self._after(), What.AGENT, text, reasons, noticed.incident.route))

    # ---------------------------------------------------------------------------------------------------------- inside

    def _event(self, receipt: Receipt, record: EventRecord, processed: Processed) -> Happening:
        event = record.event
        beside = [line.reason.value for line in processed.history if line.reason and line.event == record.index]
        chosen, trace = _read(record.decision)
        if record.route and record.route not in chosen:
            trace = (f"it follows the incident that route {record.route} opened",)
            chosen = (record.route,)
        drop = self._rules.rules[record.route].route.drop if record.route in self._rules.rules else None
        dropped = drop.reason if drop is not None and record.reason is Reason.DROPPED_BY_RULE else None
        return Happening(
            self._after(),
            What.EVENT,
            f"{event.kind.value} ({event.severity.value}) from {receipt.source}: {event.title}",
            tuple(dict.fromkeys((record.reason.value, *beside))),
            record.route,
            trace=trace,
            reached=chosen,
            dropped=dropped,
        )

    def _seen(self, action: Action, ticket: TicketRef | None, reasons: tuple[str, ...]) -> dict[str, JsonValue]:
        draft = action.draft
        shown: dict[str, JsonValue] = {
            **self._shown(action.helpdesk, ticket),
            **draft.fields,
            "title": draft.title,
            "body": _text(draft),
            "helpdesk": action.helpdesk,
            "route": action.route,
            "quiet": draft.quiet,
            "reason": list(reasons),
            "request": self._journal.request(action.id).decode("utf-8", "replace"),
            "attachments": [one.filename for one in draft.attachments],
        }
        return shown

    def _shown(self, helpdesk: str, ticket: TicketRef | None) -> dict[str, JsonValue]:
        """What the helpdesk itself shows of a ticket, by the usual names of its fields."""
        desk = self._desks.get(helpdesk)
        found = (
            desk.store.by_number(desk.double.name, ticket.number) if desk is not None and ticket is not None else None
        )
        if found is None:
            return {}
        return {
            **{name: value for name, value in found.fields.items() if not name.startswith(".")},
            **dict.fromkeys(("group", "queue", "department"), found.department),
            **dict.fromkeys(("state", "status"), found.status),
            **dict.fromkeys(("owner", "assignee"), found.assignee),
            **dict.fromkeys(("customer", "requester", "email"), found.address),
            "priority": found.priority,
            "topic": found.topic,
            "number": found.number,
        }


def _text(draft: TicketDraft) -> str:
    return draft.text or draft.html


def _read(decision: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the routes that took it, the rules as they were tried), from a stored decision."""
    stored = orjson.loads(decision)
    lines: list[str] = []
    for rule in stored.get("trace", []):
        wrong = next((clause for clause in rule["clauses"] if not clause["holds"]), None)
        why = f", {wrong['path']} wants {wrong['expected']}; saw {wrong['seen']}" if wrong is not None else ""
        lines.append(f"route {rule['route']}: {'takes it' if rule['matched'] else f'no{why}'}")
    return tuple(one["route"] for one in stored.get("chosen", [])), tuple(lines)
