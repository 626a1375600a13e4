"""What is wrong or doubtful about what a rule says of tickets that a person has worked on."""

from collections.abc import Iterator

from gateway.config.models import HttpHelpdeskSettings
from gateway.config.subject import Note, Subject, error, info, warning


def persons(subject: Subject) -> Iterator[Note]:
    """What depends on reading a ticket is asked only of helpdesks that can be read, and can come about."""
    for path, ticket, policy in subject.tickets():
        settings = subject.config.helpdesks.get(ticket.helpdesk)
        kind = subject.registries.helpdesk_kinds.get(settings.kind) if settings else None
        at = (*path, "incident")
        if kind is not None and not kind.capabilities.readable:
            unread = f"a ticket of {kind.name} cannot be read over its API, so nobody knows what a person did to it"
            if policy.recover.only_if_untouched:
                yield error((*at, "recover", "only_if_untouched"), unread, "leave it out, or write `action: append`")
            if "closed_by_hand" in policy.model_fields_set:
                yield error((*at, "closed_by_hand"), unread, "leave it out")
        takes_back = policy.closed_by_hand in {"reopen", "new"} and policy.repeat.append_every is None
        watched = isinstance(settings, HttpHelpdeskSettings) and (settings.notify or settings.poll) is not None
        if kind is not None and kind.capabilities.readable and takes_back and not watched:
            why = f"{policy.closed_by_hand}: repeats are only counted, so the close is noticed when it is worse than ever before"
            hint = (
                f"`notify` or `poll` of {ticket.helpdesk} notices it before, `repeat: {{append_every: 1h}}` each hour"
            )
            yield info((*at, "closed_by_hand"), why, hint)
        if policy.recover.only_if_untouched and policy.recover.action != "close":
            hint = f"`action: {policy.recover.action}` closes nothing"
            yield warning((*at, "recover", "only_if_untouched"), "does nothing", hint)


def watches(subject: Subject) -> Iterator[Note]:
    """Only a helpdesk that can be read is watched."""
    for name, settings in subject.config.helpdesks.items():
        kind = subject.registries.helpdesk_kinds.get(settings.kind)
        if kind is None or kind.capabilities.readable or not isinstance(settings, HttpHelpdeskSettings):
            continue
        for key in ("notify", "poll"):
            if getattr(settings, key) is not None:
                unread = f"tickets of {kind.name} cannot be read over its API, so nothing could be learned"
                yield error(("helpdesks", name, key), unread, "leave it out")


PERSON_CHECKS = (persons, watches)
"""All checks of this module."""
