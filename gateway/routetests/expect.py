"""What a step expects against what has happened. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.config.problems import Path
from gateway.config.route_tests import Expect, Fields
from gateway.model.action import ActionKind
from gateway.model.json import JsonValue
from gateway.routetests.looks import WORDS_OF, look
from gateway.routetests.record import Happening
from gateway.routetests.world import Standing

ACTIONS: tuple[str, ...] = (*(kind.value for kind in ActionKind), "skipped")
"""Expectations of what was done, or not done after all."""
MOST_SHOWN = 160
"""Characters of a value that a message shows."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as it was expected.

    ``path`` leads to it from the step (``expect``, ``create``, ``group``); ``expected`` and ``happened`` are in words;
    ``true`` is what the file would have to say.
    """

    path: Path
    expected: str
    happened: str
    true: JsonValue


def mismatches(expect: Expect, since: Sequence[Happening], standing: Standing) -> list[Mismatch]:
    """Everything that is not as expected. ``since`` is what happened after the last expectation."""
    found: list[Mismatch] = []
    for name in expect.given:
        wanted = getattr(expect, name)
        at: Path = ("expect", name)
        if wanted is None:
            found.append(Mismatch(at, "a value", "nothing is written", actual(name, since, standing)))
        elif name in ACTIONS:
            found += _actions(at, name, wanted, since)
        else:
            found += _plain(at, name, wanted, since, standing)
    return found


def actual(name: str, since: Sequence[Happening], standing: Standing) -> JsonValue:
    """What an expectation of this name would have to say."""
    match name:
        case "actions":
            return sum(one.action is not None and not one.skipped for one in since)
        case "tickets":
            return sum(standing.tickets.values())
        case "open_incidents":
            return standing.open_incidents
        case "dead_letters":
            return standing.dead_letters
        case "dropped":
            return _short([one.dropped for one in since if one.dropped is not None])
        case "route":
            return _short(list(dict.fromkeys(name for one in since for name in one.reached)))
        case "reason":
            return _short(list(dict.fromkeys(reason for one in since for reason in one.reasons)))
    return len(_of(name, since))


def everything(since: Sequence[Happening], standing: Standing) -> dict[str, JsonValue]:
    """All that an empty expectation could say."""
    counts = {name: actual(name, since, standing) for name in ACTIONS}
    told: dict[str, JsonValue] = {name: count for name, count in counts.items() if count}
    told["tickets"] = actual("tickets", since, standing)
    for name in ("dead_letters", "dropped"):
        if value := actual(name, since, standing):
            told[name] = value
    return told


def _of(name: str, since: Sequence[Happening]) -> list[Happening]:
    if name == "skipped":
        return [one for one in since if one.skipped]
    return [one for one in since if one.action == name and not one.skipped]


def _actions(at: Path, name: str, wanted: object, since: Sequence[Happening]) -> list[Mismatch]:
    made = _of(name, since)
    if isinstance(wanted, int):
        if len(made) == wanted:
            return []
        return [Mismatch(at, f"{wanted} {name}", _listed(name, made, since), len(made))]
    several = wanted if isinstance(wanted, list) else [wanted]
    if len(made) != len(several):
        words = f"{len(several)} {name} with {shown(several if len(several) > 1 else several[0])}"
        return [Mismatch(at, words, _listed(name, made, since), len(made))]
    found: list[Mismatch] = []
    for index, (fields, one) in enumerate(zip(several, made, strict=True)):
        found += _fields((*at, index) if isinstance(wanted, list) else at, name, fields, one)
    return found


def _fields(at: Path, action: str, fields: Fields, made: Happening) -> list[Mismatch]:
    found = []
    for name, wanted in fields.items():
        seen = made.seen.get(name)
        if not look(name, wanted)(seen):
            part = "with" if name in WORDS_OF and isinstance(wanted, str) else "="
            has = shown(seen) if name in made.seen else "no such field"
            found.append(Mismatch((*at, name), f"{action}: {name} {part} {shown(wanted)}", f"{name} = {has}", seen))
    return found


def _listed(name: str, made: Sequence[Happening], since: Sequence[Happening]) -> str:
    told = [f"{len(made)} {name}"]
    substitute = f"{name}_unsupported"
    if any(substitute in one.reasons for one in since):
        told.append(f"(this helpdesk cannot {name}: it got a follow-up instead; expect `append` with that reason)")
    return " ".join(told)


def _plain(at: Path, name: str, wanted: object, since: Sequence[Happening], standing: Standing) -> list[Mismatch]:
    true = actual(name, since, standing)
    if name == "tickets" and isinstance(wanted, Mapping):
        return [
            Mismatch(
                (*at, desk),
                f"{count} in {desk}",
                f"{standing.tickets.get(desk, 0)} in {desk}",
                standing.tickets.get(desk, 0),
            )
            for desk, count in wanted.items()
            if standing.tickets.get(desk, 0) != count
        ]
    values = true if isinstance(true, list) else [true] if true else []
    if name == "dropped" and isinstance(wanted, int):
        true = len(values)
        holds = true == wanted
    elif name == "reason":
        words = [str(word) for word in (wanted if isinstance(wanted, list) else [wanted])]
        holds = all(word in values for word in words)
        missing = [word for word in words if word not in values]
        if not holds:
            kept: list[JsonValue] = [word for word in words if word in values]
            return [Mismatch(at, f"reason {shown(missing)}", f"reasons {shown(values)}", kept)]
    elif name in {"dropped", "route"}:
        holds = values == (wanted if isinstance(wanted, list) else [wanted])
    else:
        holds = true == wanted
    return [] if holds else [Mismatch(at, f"{name}: {shown(wanted)}", f"{name}: {shown(true)}", true)]


def _short(values: Sequence[str]) -> JsonValue:
    """One word as itself."""
    return values[0] if len(values) == 1 else list(values)


def shown(value: object) -> str:
    """A value in a message."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name}: {shown(inner)}" for name, inner in value.items())
        return f"{{{text}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(item) for item in value)}]"
    text = str(value).lower() if isinstance(value, bool) or value is None else str(value)
    text = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."
    return f'"{text}"' if isinstance(value, str) else text
