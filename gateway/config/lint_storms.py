"""What is wrong or doubtful in the storms that routes watch for."""

from collections.abc import Iterator

from gateway.config.models import Expire, Storm
from gateway.config.problems import Path, did_you_mean
from gateway.config.subject import Check, Note, Subject, error, warning
from gateway.config.values import duration_text


def storms(subject: Subject) -> Iterator[Note]:
    """Storms count by fields that exist, end within what is kept, and have templates for their digest."""
    keep = subject.config.server.journal.keep
    for path, _, policy in subject.tickets():
        storm = policy.storm
        if storm is None:
            continue
        at: Path = (*path, "incident", "storm")
        yield from _fields(subject, at, storm)
        yield from _template(subject, at, storm)
        if storm.within >= keep:
            hint = f"less than {duration_text(keep)}, the `server.journal.keep`"
            yield error((*at, "within"), f"{duration_text(storm.within)} is too long", hint)
        if storm.every > storm.within:
            hint = f"at most {duration_text(storm.within)}, the `within`"
            yield warning((*at, "every"), f"people hear of a storm only every {duration_text(storm.every)}", hint)
        if not isinstance(policy.expire, Expire):
            message = "a problem whose recovery is lost keeps the digest open for ever"
            yield warning(at, message, "write `expire: {after: 14d, then: close}`")


def _fields(subject: Subject, at: Path, storm: Storm) -> Iterator[Note]:
    fields = subject.registries.fields
    for index, name in enumerate(storm.per):
        family, dot, rest = name.partition(".")
        if name == "route":
            yield warning((*at, "per", index), "does nothing: routes are counted apart anyway", "leave it out")
        elif fields and name not in fields and not (dot and rest and f"{family}.NAME" in fields):
            yield error((*at, "per", index), f"unknown field '{name}'", did_you_mean(name, fields))


def _template(subject: Subject, at: Path, storm: Storm) -> Iterator[Note]:
    folders = subject.config.templates
    folder = folders.get(storm.template)
    if folder is None:
        hint = did_you_mean(storm.template, folders) or "leave it out: `storm` comes with the gateway"
        yield error((*at, "template"), f"there is no template folder '{storm.template}'", hint)
    elif "title.j2" not in folder or not {"body.txt.j2", "body.html.j2"} & folder.keys():
        hint = f"it holds {', '.join(sorted(folder))}" if folder else "it is empty"
        yield error(
            (*at, "template"), f"templates/{storm.template} needs title.j2 and body.txt.j2 or body.html.j2", hint
        )


STORM_CHECKS: tuple[Check, ...] = (storms,)
"""All checks of this module."""
