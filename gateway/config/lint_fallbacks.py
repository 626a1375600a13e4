"""Checks of fallbacks: other helpdesks that exist, in time, with fields, texts and actions that they know."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.config.fallbacks import fallbacks_of, incident_at, ticket_at
from gateway.config.lint_routes import folder_texts, known_fields, substitutes, whole_folder
from gateway.config.models import Fallback, HelpdeskSettings, IncidentPolicy, Ticket
from gateway.config.problems import Path, did_you_mean
from gateway.config.subject import Check, Note, Subject, error, info, warning
from gateway.config.values import duration_text
from gateway.helpdesks.protocol import Certainty, HelpdeskKind


@dataclass(frozen=True, slots=True)
class _Place:
    """A fallback with its path, what it makes of ticket and policy, and the helpdesks that a ticket has passed before it."""

    at: Path
    fallback: Fallback
    ticket: Ticket
    policy: IncidentPolicy
    before: tuple[str, ...]


def _places(subject: Subject) -> Iterator[_Place]:
    for path, ticket, policy in subject.tickets():
        before: tuple[str, ...] = (ticket.helpdesk,)
        for index, one in enumerate(fallbacks_of(ticket)):
            at: Path = (*path, "ticket", "fallback")
            at = (*at, index) if isinstance(ticket.fallback, list) else at
            yield _Place(at, one, ticket_at(ticket, one), incident_at(policy, one), before)
            before = (*before, one.helpdesk)


def _kind(subject: Subject, name: str) -> tuple[HelpdeskKind, HelpdeskSettings] | None:
    settings = subject.config.helpdesks.get(name)
    kind = subject.registries.helpdesk_kinds.get(settings.kind) if settings is not None else None
    return (kind, settings) if kind is not None and settings is not None else None


def other_helpdesks(subject: Subject) -> Iterator[Note]:
    """A fallback is another helpdesk that exists, and its turn comes before the ticket is given up."""
    for place in _places(subject):
        name, at = place.fallback.helpdesk, (*place.at, "helpdesk")
        if name not in subject.helpdesk_names:
            hint = did_you_mean(name, subject.helpdesk_names) or "add it under `helpdesks`"
            yield error(at, f"unknown helpdesk '{name}'", hint)
        elif name == place.before[0]:
            yield error(at, f"'{name}' is the helpdesk that it stands in for", "name another one")
        elif name in place.before:
            yield error(at, f"'{name}' has had its turn already", "name each helpdesk once")
        there = _kind(subject, name)
        if there is not None and there[1].shadow:
            yield warning(at, f"'{name}' is in shadow mode: nothing falls back to it", "name one that is live")
        waits = _kind(subject, place.before[-1])
        if waits is None:
            continue
        kind, settings = waits
        if place.fallback.after >= settings.limits.max_age:
            hint = (
                f"shorter than {duration_text(settings.limits.max_age)}, the `limits.max_age` of '{place.before[-1]}'"
            )
            yield error((*place.at, "after"), f"{duration_text(place.fallback.after)} is too long", hint)
        if kind.capabilities.certainty not in {Certainty.STRONG_LOOKUP, Certainty.EVENTUAL_LOOKUP}:
            told = f"a call to '{place.before[-1]}' whose outcome is not known is never proven to have written nothing"
            yield info(place.at, f"{told}: such a ticket waits there")


def abilities(subject: Subject) -> Iterator[Note]:
    """Fields are those of the fallback's kind, and what it cannot do is told."""
    for place in _places(subject):
        found = _kind(subject, place.fallback.helpdesk)
        if found is None:
            continue
        kind, settings = found
        fields = subject.registries.fields
        yield from known_fields((*place.at, "fields"), place.fallback.fields, kind, settings, fields)
        if place.fallback.escalated:
            at = (*place.at, "escalated")
            yield from known_fields(at, place.fallback.escalated, kind, settings, fields, change=True)
        if place.policy.recover.only_if_untouched and not kind.capabilities.readable:
            told = f"a ticket of {kind.name} cannot be read over its API: `only_if_untouched` says nothing there"
            yield info((*place.at, "helpdesk"), told)
        able = kind.connect(place.fallback.helpdesk, settings).capabilities
        for note in substitutes((), place.policy, kind.name, able):
            yield replace(note, path=(*place.at, "helpdesk"))


def texts(subject: Subject) -> Iterator[Note]:
    """Template folders of fallbacks are there, and can be compiled; their own texts are looked at with the ticket's."""
    known = {ticket.template for _, ticket, _ in subject.tickets()}
    for place in _places(subject):
        one, ticket = place.fallback, place.ticket
        if one.template is not None:
            folder = subject.config.templates.get(one.template)
            at = (*place.at, "template")
            if folder is not None:
                yield from whole_folder(at, ticket, folder)
                yield from folder_texts(subject, one.template) if one.template not in known else ()
                known.add(one.template)
            elif subject.config.templates or one.title is None or one.body is None:
                hint = did_you_mean(one.template, subject.config.templates)
                yield error(at, f"there is no template folder '{one.template}'", hint)


FALLBACK_CHECKS: tuple[Check, ...] = (other_helpdesks, abilities, texts)
"""All checks of this module."""
