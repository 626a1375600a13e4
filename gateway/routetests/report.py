"""The results of tests in words, as JSON, and as JUnit's XML, which Jenkins and GitLab read."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from gateway.config.document import Place
from gateway.config.problems import dotted
from gateway.model.json import JsonObject, JsonValue
from gateway.routetests.record import Happening, What
from gateway.routetests.run import Failure, Result

MOST_HAPPENED = 12
"""Lines of what happened before a failure that are shown; all with ``-v``."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def at(file: Path, place: Place) -> str:
    """A place as editors jump to it."""
    return f"{place.file or file}:{place.line}:{place.column}"


def clock(after: float) -> str:
    """A time since the beginning: ``91s``, ``5m``, ``10h7m54s``."""
    rest = round(after, 2)
    if rest < 120:
        return f"{rest:g}s"
    told = ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, seconds)
        told += f"{count:.0f}{unit}" if count else ""
    return told + (f"{rest:.3g}s" if rest else "")


def line_of(result: Result) -> str:
    """One test in one line."""
    word = "ok    " if result.well else "FAILED"
    return f"{word}  {result.name}  ({result.seconds * 1000:.0f} ms)"


def failure_lines(file: Path, result: Result, *, whole: bool) -> Iterator[str]:
    """What went wrong in a test, one step after the other."""
    for number in dict.fromkeys(failure.step for failure in result.failures):
        failures = [failure for failure in result.failures if failure.step == number]
        for failure in failures:
            yield f"{at(file, failure.place)}: {result.name}: step {number + 1}, at {clock(failure.after)}"
            yield f"  expected  {failure.expected}"
            yield f"  happened  {failure.happened}"
        yield from _since(failures[0], whole=whole)


def _since(failure: Failure, *, whole: bool) -> Iterator[str]:
    if failure.since:
        yield "  since the last expectation:"
        lines = [list(happening_lines(one, times)) for one, times in joined(failure.since)]
        shown = lines if whole else lines[-MOST_HAPPENED:]
        if len(shown) < len(lines):
            yield f"    ... {len(lines) - len(shown)} more before (-v shows them)"
        yield from (f"    {line}" for one in shown for line in one)
    else:
        yield "  nothing has happened since the last expectation"


def joined(happened: Sequence[Happening]) -> Iterator[tuple[Happening, int]]:
    """What happened, with how often it did so one time after the other without anything else between."""
    for _, group in groupby(happened, key=lambda one: (one.what, one.text, one.reasons, one.action)):
        same = list(group)
        if same[0].what is What.TRY:
            yield same[0], len(same)
        else:
            yield from ((one, 1) for one in same)


def happening_lines(one: Happening, times: int = 1) -> Iterator[str]:
    """One thing that happened: when, what, why; of an action what its ticket was told; of an event the rules."""
    reasons = f" [{', '.join(one.reasons)}]" if one.reasons else ""
    reasons += f", and {times - 1} times more" if times > 1 else ""
    route = f" (route {one.route})" if one.route else ""
    yield f"{clock(one.after):>7}  {one.what.value:6} {one.text}{reasons}{route}"
    if one.told:
        yield f"               {'; '.join(f'{name}: {_cut(value)}' for name, value in one.told.items())}"
    if one.what is What.EVENT:
        yield from (f"               {line}" for line in one.trace)


def _cut(value: JsonValue) -> str:
    text = ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def as_json(file: Path, results: Sequence[Result], unreached: Sequence[str]) -> JsonObject:
    """All results as one JSON document."""
    tests: list[JsonValue] = [
        {
            "name": result.name,
            "ok": result.well,
            "file": result.place.file or str(file),
            "line": result.place.line,
            "seconds": round(result.seconds, 4),
            "failures": [
                {
                    "file": failure.place.file or str(file),
                    "line": failure.place.line,
                    "column": failure.place.column,
                    "path": dotted(failure.path),
                    "step": failure.step + 1,
                    "at": failure.after,
                    "expected": failure.expected,
                    "happened": failure.happened,
                }
                for failure in result.failures
            ],
            "happened": [_happening(one) for one in result.happened],
        }
        for result in results
    ]
    return {
        "file": str(file),
        "ok": all(result.well for result in results),
        "tests": tests,
        "routes_not_reached": list(unreached),
    }


def _happening(one: Happening) -> JsonObject:
    found: JsonObject = {
        "at": one.after,
        "what": one.what.value,
        "text": one.text,
        "reasons": list(one.reasons),
        "route": one.route,
    }
    if one.action is not None:
        found |= {"action": one.action.value, "skipped": one.skipped, "helpdesk": one.helpdesk, "seen": dict(one.seen)}
    if one.trace:
        found["trace"] = list(one.trace)
    return found


def as_junit(file: Path, results: Sequence[Result]) -> bytes:
    """All results as JUnit's XML: one test case per test; a failure bears its message and place."""
    counts = {
        "tests": str(len(results)),
        "failures": str(sum(not result.well for result in results)),
        "errors": "0",
        "time": f"{sum(result.seconds for result in results):.3f}",
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": _xml(str(file)), "skipped": "0", **counts})
    for result in results:
        case = ET.SubElement(
            suite,
            "testcase",
            {
                "classname": _xml(Path(result.place.file or file).stem),
                "name": _xml(result.name),
                "file": _xml(result.place.file or str(file)),
                "line": str(result.place.line),
                "time": f"{result.seconds:.3f}",
            },
        )
        if not result.well:
            first = result.failures[0]
            message = f"{at(file, first.place)}: expected {first.expected}; happened {first.happened}"
            failure = ET.SubElement(case, "failure", {"message": _xml(message), "type": "expectation"})
            failure.text = _xml("\n".join(failure_lines(file, result, whole=True)))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
