"""``test``: the tests of a configuration, on virtual time, without a network and without helpdesks."""

import difflib
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import USAGE, config_option, counted, fail, json_option
from gateway.cli.terminal import show, show_json

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.routetests.run import Result


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_option
@click.option("-k", "only", default="", metavar="NAME", help="Only the tests whose name holds this.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write the results as JUnit's XML.")
@click.option(
    "--update", is_flag=True, help="Write what happened into the expectations that fail, and show the change."
)
@click.option("--strict", is_flag=True, help="A route that no test reaches is an error.")
@click.option("-v", "--verbose", is_flag=True, help="Also tell everything that happens in each test.")
@json_option
def test(
    file: Path | None,
    config_path: Path,
    only: str,
    junit: Path | None,
    *,
    update: bool,
    strict: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Run the tests of FILE (default: that of --config). Nothing is sent to anybody; unset secrets do not matter.

    The exit code is 1 if a test fails, 2 if the file has errors.
    """
    from gateway.routetests import report, run  # noqa: PLC0415 - keeps other verbs fast

    path = file or config_path
    config = _load(path)
    chosen = [index for index, one in enumerate(config.tests) if only.casefold() in one.name.casefold()]
    if only and not chosen:
        fail(f"{path} has no test whose name holds {only!r}; it has {counted(len(config.tests), 'test')}")

    def told(result: "Result") -> None:
        if as_json:
            return
        show(report.line_of(result))
        if verbose:
            for one, times in report.joined(result.happened):
                show("\n".join(f"  {line}" for line in report.happening_lines(one, times)))

    results = run.run_tests(config, chosen, told)
    unreached = run.not_reached(config, results) if not only else []
    if junit is not None:
        junit.write_bytes(report.as_junit(path, results))
    well = all(result.well for result in results)
    if as_json:
        show_json(report.as_json(path, results, unreached))
    else:
        _tell(path, results, unreached, verbose=verbose)
    if update and not well:
        left = _update(path, config, results, as_json=as_json)
        config = _load(path)
        well = not left and all(result.well for result in run.run_tests(config, chosen))
        if not well:
            show(f"{path}: not all is well now; run the tests again", err=True)
    sys.exit(0 if well and not (strict and unreached) else 1)


def _load(path: Path) -> "Config":
    """The configuration; what only the real machine has is stood in for."""
    from gateway.config.loader import load_file  # noqa: PLC0415 - as above
    from gateway.config.problems import ConfigErrors  # noqa: PLC0415 - as above
    from gateway.config.secrets import stand_in  # noqa: PLC0415 - as above

    try:
        return load_file(path, env=os.environ, unset=stand_in)
    except ConfigErrors as errors:
        for problem in errors.problems:
            show(str(problem), err=True)
        if all(problem.line == 0 for problem in errors.problems):
            sys.exit(USAGE)
        fail(f"{path} has {counted(len(errors.problems), 'error')}")


def _tell(path: Path, results: Sequence["Result"], unreached: Sequence[str], *, verbose: bool) -> None:
    from gateway.routetests import report  # noqa: PLC0415 - as above

    for result in results:
        for line in report.failure_lines(path, result, whole=verbose):
            show(line)
    for name in unreached:
        show(f"note: no test reaches the route {name}")
    failed = sum(not result.well for result in results)
    seconds = sum(result.seconds for result in results)
    if not results:
        show(f"{path}: there are no tests; docs/testing.md shows how to write one")
    else:
        show(f"{path}: {counted(len(results), 'test')}, {failed or 'none'} failed, {seconds:.2f} s")


def _update(path: Path, config: "Config", results: Sequence["Result"], *, as_json: bool) -> int:
    """Mend the expectations that failed, and show how; the exit code. With JSON on standard output it is told on the other one."""
    from gateway.config.includes import shown_path  # noqa: PLC0415 - as above
    from gateway.routetests.rewrite import CannotRewrite, Change, rewritten  # noqa: PLC0415 - as above

    left = 0
    by_file: dict[Path, list[Change]] = {}
    for failure in (failure for result in results for failure in result.failures):
        if not failure.mendable:
            left += 1
            continue
        change = Change(shown_path(failure.path, config.places.own), failure.true)
        by_file.setdefault(Path(failure.place.file or path), []).append(change)
    for file, changes in by_file.items():
        raw = file.read_bytes()
        before = raw.decode("utf-8-sig")
        try:
            after = rewritten(before, changes)
        except CannotRewrite as error:
            show(f"{file}: not changed: {error}", err=True)
            left += len(changes)
            continue
        file.write_bytes((BOM_UTF8 if raw.startswith(BOM_UTF8) else b"") + after.encode())
        old, new = before.splitlines(), after.splitlines()
        diff = difflib.unified_diff(old, new, f"{file} before", f"{file} after", lineterm="")
        show("\n".join(diff), err=as_json)
        told = f"{file}: {counted(len(changes), 'expectation')} changed. Read the change: what happened may be wrong."
        show(told, err=as_json)
    if left:
        show(f"{counted(left, 'failure')} cannot be mended by another expectation", err=True)
    return 1 if left else 0
