"""Run every block of the README that is marked `sh`, as a reader would type it. Standard library only.

Blocks run in their order, in the checkout's root, with `bash -eu` and without input. HOME is an empty folder of this run, so
that a block may write there. A block with `make run` is started, awaited and interrupted as with Ctrl-C, twice: the first
run must show three tickets, the second three more and be up in under two seconds.
"""  # noqa: INP001 - a script

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
LISTEN = re.compile(r'^\s+listen:\s*"(127\.0\.0\.1):(\d+)"', re.MULTILINE)

FIRST = 600.0
"""Seconds until the first `make run` must be up: it may have to install everything."""
SECOND = 2.0
"""Seconds until the second one must be up."""
STORY = 60.0
"""Seconds for the sample events to become tickets."""
STOP = 30.0
"""Seconds for a graceful stop."""
BLOCK = 900.0
"""Seconds for any other block."""
INTERRUPTED = {0, 130, -signal.SIGINT}
"""Exit codes of `make run` after Ctrl-C: make ends by the signal itself, once the gateway has stopped."""


class Wrong(Exception):
    """A block did not do what the README says."""


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a Markdown text in this language."""
    return [match[2] for match in FENCE.finditer(text) if match[1] == language]


def environment(home: str) -> dict[str, str]:
    """Ours, with an empty home; pip's own configuration and cache stay in use."""
    old = Path(os.environ.get("HOME", "/nonexistent"))
    made = {**os.environ, "HOME": home, "CI": "true"}
    for place in (old / ".config" / "pip" / "pip.conf", old / ".pip" / "pip.conf"):
        if "PIP_CONFIG_FILE" not in made and place.is_file():
            made["PIP_CONFIG_FILE"] = str(place)
    made.setdefault("PIP_CACHE_DIR", str(old / ".cache" / "pip"))
    return made


def address() -> tuple[str, int]:
    """Where the shipped configuration listens."""
    found = LISTEN.search((ROOT / "routes.yaml").read_text(encoding="utf-8"))
    if found is None:
        raise Wrong("routes.yaml does not listen on 127.0.0.1")
    return found[1], int(found[2])


def fetch(url: str) -> bytes | None:
    """The page, or None while there is none."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None


@contextlib.contextmanager
def started(block: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The block as a process group of its own, of which nothing is left afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the README is ours
            ["bash", "-eu", "-c", block],  # noqa: S607 - as a reader's shell finds it
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_plain(block: str, env: dict[str, str], log: Path) -> None:
    """A block that ends by itself."""
    with started(block, env, log) as process:
        try:
            code = process.wait(BLOCK)
        except subprocess.TimeoutExpired:
            raise Wrong(f"it has not ended after {BLOCK:.0f} s") from None
    if code:
        raise Wrong(f"it ended with exit code {code}")


def run_gateway(block: str, env: dict[str, str], log: Path, *, limit: float) -> tuple[float, int]:
    """`make run` until its sample events are tickets, then Ctrl-C; gives back the seconds it took to be up, and the tickets."""
    host, port = address()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise Wrong(f"port {port} is in use already; end what listens there") from None
    base = f"http://{host}:{port}"
    begun = time.monotonic()
    with started(block, env, log) as process:
        while fetch(base + "/healthz") is None:
            if process.poll() is not None:
                raise Wrong(f"it ended by itself with exit code {process.returncode}")
            if time.monotonic() - begun > max(limit, 30.0):
                raise Wrong(f"{base} does not answer")
            time.sleep(0.02)
        up = time.monotonic() - begun
        while "Stop with Ctrl-C" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() - begun > up + STORY:
                raise Wrong("it did not tell what became of its sample events")
            time.sleep(0.05)
        if b"<html" not in (fetch(base + "/sandbox") or b"").lower():
            raise Wrong(f"{base}/sandbox shows no page")
        tickets = len(json.loads(fetch(base + "/sandbox/tickets.json") or b"[]"))
        os.killpg(process.pid, signal.SIGINT)
        try:
            code = process.wait(STOP)
        except subprocess.TimeoutExpired:
            raise Wrong("Ctrl-C did not end it") from None
        if code not in INTERRUPTED or "\nStopped" not in log.read_text(errors="replace"):
            raise Wrong(f"it did not stop in good order (exit code {code})")
    if up > limit:
        raise Wrong(f"it took {up:.1f} s until it was up; at most {limit:.0f} s are promised")
    return up, tickets


def run_twice(block: str, env: dict[str, str], log: Path) -> None:
    """The README's promise about `make run`."""
    fresh = not (ROOT / "data").exists()
    first, before = run_gateway(block, env, log, limit=FIRST)
    if fresh and before != 3:
        raise Wrong(f"the sandbox shows {before} tickets after the first run; three are promised")
    second, after = run_gateway(block, env, log, limit=SECOND)
    if after != before + 3:
        raise Wrong(f"the sandbox shows {after} tickets after the second run; {before + 3} are promised")
    say(f"   up after {first:.1f} s with {before} tickets, the second time after {second:.1f} s with {after}")


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """0 if every block did what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the blocks and run nothing")
    listing = parser.parse_args().list
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    found = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "sh")
    with tempfile.TemporaryDirectory(prefix="readme-") as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        home.mkdir()
        env = environment(str(home))
        for number, block in enumerate(found, 1):
            say(
                f"-- block {number} of {len(found)}\n"
                + "".join(f"   $ {line}\n" for line in block.splitlines()).rstrip()
            )
            if listing:
                continue
            try:
                (run_twice if "make run" in block else run_plain)(block, env, log)
            except Wrong as error:
                output = log.read_text(errors="replace") if log.exists() else ""
                sys.stderr.write(f"{output}\nblock {number} of the README failed: {error}\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
