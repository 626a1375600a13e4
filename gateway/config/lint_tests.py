"""What is wrong with the tests of a configuration: steps that go back, names that nobody has."""

from collections.abc import Iterator

from gateway.config.models import Escalate
from gateway.config.problems import Path, did_you_mean
from gateway.config.route_tests import Expect, Fields, TestStep
from gateway.config.subject import Check, Note, Subject, error, warning
from gateway.config.values import duration_text
from gateway.model.action import ActionKind
from gateway.model.reasons import Reason
from gateway.routetests.looks import ALWAYS, look


def names(subject: Subject) -> Iterator[Note]:
    """Every test has a name of its own."""
    seen: dict[str, int] = {}
    for index, test in subject.tests:
        first = seen.setdefault(test.name, index)
        if first != index:
            yield error(("tests", index, "name"), f"test {first + 1} has this name too", "every test needs its own")


def steps(subject: Subject) -> Iterator[Note]:
    """Time goes on, and what is sent and broken exists."""
    for index, test in subject.tests:
        before = 0.0
        for number, step in enumerate(test.steps):
            path: Path = ("tests", index, "steps", number)
            if step.at < before:
                told = f"{duration_text(step.at)} is before the end of the step above, at {duration_text(before)}"
                yield error((*path, "at"), told, "`at` counts from the start of the test, not from the step above")
            before = max(before, step.ends)
            yield from _sends(subject, path, step)
            yield from _breaks(subject, path, step)
            yield from _agents(subject, path, step)
            if step.expect is not None:
                yield from _expects(subject, (*path, "expect"), step.expect)
        if not any(step.expect is not None for step in test.steps):
            yield warning(
                ("tests", index), "expects nothing", "add `expect: {}`, and run `ticket-gateway test --update`"
            )


def _sends(subject: Subject, path: Path, step: TestStep) -> Iterator[Note]:
    send = step.send
    if send is None:
        return
    if send.source not in subject.source_names:
        hint = did_you_mean(send.source, subject.source_names) or "add it under `sources`"
        yield error((*path, "send", "source"), f"unknown source '{send.source}'", hint)
    if send.file is not None and not subject.config.resolve(send.file).is_file():
        told = f"the file {subject.config.resolve(send.file)} is not there"
        yield error((*path, "send", "file"), told, "names are relative to routes.yaml")
    settings = subject.config.sources.get(send.source)
    kind = subject.registries.source_kinds.get(settings.kind) if settings is not None else None
    if kind is None or send.is_recorded:
        return
    mail = {
        "from": send.from_,
        "to": send.to,
        "cc": send.cc,
        "message_id": send.message_id,
        "in_reply_to": send.in_reply_to,
    }
    other = {
        "kind": send.kind, "severity": send.severity, "host": send.host, "service": send.service, "state": send.state,
        "labels": send.labels, "origin_key": send.origin_key, "problem_id": send.problem_id,
        "group": send.group,
    }  # fmt: skip
    for name, value in (other if kind.threads else mail).items():
        if value:
            is_no = "is a mailbox: what its mails mean is read from them" if kind.threads else "gets no mail"
            hint = "write `from`, `title` (the subject), `text`" if kind.threads else f"leave `{name}` out"
            yield error((*path, "send", name), f"'{send.source}' {is_no}", hint)


def _breaks(subject: Subject, path: Path, step: TestStep) -> Iterator[Note]:
    for name in step.fault if isinstance(step.fault, dict) else ():
        yield from _helpdesk(subject, (*path, "fault", name), name)


def _agents(subject: Subject, path: Path, step: TestStep) -> Iterator[Note]:
    if not step.agent:
        return
    from gateway.routetests.desks import agents_can  # noqa: PLC0415 - all stand-ins, for the few tests that need them

    for name, action in step.agent.items():
        yield from _helpdesk(subject, (*path, "agent", name), name)
        settings = subject.config.helpdesks.get(name)
        known = agents_can(settings.kind) if settings is not None else {action: ""}
        if action not in known:
            yield error((*path, "agent", name), f"an agent there cannot '{action}'", did_you_mean(action, known))


def _helpdesk(subject: Subject, path: Path, name: object) -> Iterator[Note]:
    if name not in subject.helpdesk_names:
        hint = did_you_mean(str(name), subject.helpdesk_names) or "add it under `helpdesks`"
        yield error(path, f"unknown helpdesk '{name}'", hint)


def _expects(subject: Subject, path: Path, expect: Expect) -> Iterator[Note]:
    for name in (*(kind.value for kind in ActionKind), "skipped"):
        wanted = getattr(expect, name)
        if isinstance(wanted, dict):
            yield from _fields(subject, (*path, name), wanted)
        for index, one in enumerate(wanted if isinstance(wanted, list) else ()):
            yield from _fields(subject, (*path, name, index), one)
    if isinstance(expect.tickets, dict):
        for name in expect.tickets:
            yield from _helpdesk(subject, (*path, "tickets", name), name)
    known = {reason.value for reason in Reason}
    yield from _words((*path, "reason"), expect.reason, known, "reason")
    routes = {route.name for _, route in subject.routes} | {"unrouted"}
    if len(subject.routes) == subject.count:
        yield from _words((*path, "route"), expect.route, routes, "route")


def _words(path: Path, given: str | list[str] | None, known: set[str], what: str) -> Iterator[Note]:
    for index, word in enumerate([given] if isinstance(given, str) else given or []):
        if word not in known:
            hint = did_you_mean(word, known)
            yield error(path if isinstance(given, str) else (*path, index), f"unknown {what} '{word}'", hint)


def _fields(subject: Subject, path: Path, fields: Fields) -> Iterator[Note]:
    known = _known(subject)
    for name, wanted in fields.items():
        at = (*path, name)
        if name not in known:
            yield error(at, f"no action has a '{name}'", did_you_mean(name, known))
            continue
        if name == "helpdesk" and isinstance(wanted, str):
            yield from _helpdesk(subject, at, wanted)
        try:
            look(name, wanted)
        except ValueError as fault:
            message, _, hint = str(fault).partition("; ")
            yield error(at, message, hint)


def _known(subject: Subject) -> frozenset[str]:
    """The names that an expectation may hold: what every action has, what helpdesks name, and what the rules set."""
    kinds = {one.kind for one in subject.config.helpdesks.values()} & subject.registries.helpdesk_kinds.keys()
    named = {name for kind in kinds for name in subject.registries.helpdesk_kinds[kind].capabilities.fields}
    for _, ticket, policy in subject.tickets():
        named |= ticket.fields.keys()
        named |= policy.escalate.fields.keys() if isinstance(policy.escalate, Escalate) else set()
    return frozenset({*ALWAYS, *named})


TEST_CHECKS: tuple[Check, ...] = (names, steps)
"""All checks of this module."""
