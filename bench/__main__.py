"""`make bench`: speed and size, as ratios against baselines of the same run.

Parts: intake, million, ticket, busy, smtp, pipe, mail, memory, slow (with 5 ms added to every commit). Without names, all of them.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import disk, intake, mail, memory, million, pipe, smtp, tickets
from bench.disk import Disk
from bench.figures import Figure, table

SLOW = 0.005

Part = Callable[[Path, Disk, bool], list[Figure]]


def _slow(folder: Path, found: Disk, quick: bool) -> list[Figure]:  # noqa: FBT001 - the shape of a part
    figures = tickets.latency(folder / "ticket", found, quick=quick, delay=SLOW)
    return figures + intake.measure(folder / "intake", quick=True, delay=SLOW)


PARTS: dict[str, tuple[str, Part]] = {
    "intake": (
        "Durable intake: 700 octets of JSON, 64 connections, against a bare Starlette endpoint (await request.json())",
        lambda folder, _disk, quick: intake.measure(folder, quick=quick),
    ),
    "million": (
        "Intake with one million finished events in the journal, against an empty one",
        lambda folder, _disk, quick: million.measure(folder, quick=quick),
    ),
    "ticket": (
        "Event to ticket, instant sandbox, against posting the same ticket straight to it",
        lambda folder, found, quick: tickets.latency(folder, found, quick=quick),
    ),
    "busy": (
        "A helpdesk of 40 ms per create and four calls at a time",
        lambda folder, _disk, quick: tickets.busy(folder, quick=quick),
    ),
    "smtp": (
        "Durable SMTP intake: 4 KiB, 16 connections kept open, against Postfix accepting into its queue",
        lambda folder, found, quick: smtp.measure(folder, found, quick=quick),
    ),
    "pipe": (
        "A mail through ticket-gateway-pipe, one process for each",
        lambda folder, found, quick: pipe.measure(folder, found, quick=quick),
    ),
    "mail": (
        "Reading mail: rate, hostile mails, and 25 MB through the doors",
        lambda folder, found, quick: mail.measure(folder, found, quick=quick),
    ),
    "memory": ("Memory", lambda folder, _disk, quick: memory.measure(folder, quick=quick)),
    "slow": ("The same with 5 ms added to every commit", _slow),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, a tenth of the events")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--dir", type=Path, default=Path("data"), help="where journals are made; a real disk")
    asked = parser.parse_args()
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=asked.dir)).resolve()
    try:
        figures = _run(asked.parts or list(PARTS), folder, quick=asked.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missed = [f"[{name}] {figure.what}" for name, figure in figures if figure.good is False]
    judged = [figure for _, figure in figures if figure.good is not None]
    print(f"{len(judged) - len(missed)} of {len(judged)} goals met" + "".join(f"\n  short: {what}" for what in missed))
    return 1 if missed and asked.strict else 0


def _run(parts: list[str], folder: Path, *, quick: bool) -> list[tuple[str, Figure]]:
    began = time.monotonic()
    found = disk.measure(folder)
    print(f"Disk: {found}\n")
    figures: list[tuple[str, Figure]] = []
    for name in parts:
        title, measure = PARTS[name]
        home = folder / name
        home.mkdir()
        part = measure(home, found, quick)
        figures += [(name, figure) for figure in part]
        print(table(f"[{name}] {title}", part), flush=True)
        shutil.rmtree(home, ignore_errors=True)
    again = disk.measure(folder)
    print(f"Disk afterwards: fsync p50 {again.p50 * 1000:.2f} ms, p95 {again.p95 * 1000:.2f} ms; "
          f"the whole took {time.monotonic() - began:.0f} s")  # fmt: skip
    return figures


if __name__ == "__main__":
    sys.exit(main())
