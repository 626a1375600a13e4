"""`make fuzz`: the mail parser against mails that nobody would write.

Three ways by turns, each for a share of the time: our own mutator that knows what a mail is made of, hypothesis, and, if
asked for, atheris (coverage-guided; `pip install atheris`). The work is done in a child with bounded memory, watched from
outside. What breaks an invariant of `tests/fuzz/checks.py` is made small and written to a file.

    python -m bench.fuzz_mail --minutes 10 --ways mutate,hypothesis --seeds FOLDER
"""

import argparse
import contextlib
import hashlib
import importlib
import mmap
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.sources.mail.wordlists import words
from tests.fuzz.checks import Broken, check
from tests.fuzz.mutate import TOKENS, Mutator, smaller
from tests.fuzz.seeds import from_folder, own

MEMORY = 300 * 2**20
SECONDS = 2.0
HANGS = 20
_ROOM = 64 * 2**20
_STATM = Path("/proc/self/statm")
_NAMES = sorted(
    words(
        "From To Cc Subject Date Message-ID In-Reply-To References Reply-To Content-Type Content-Disposition Content-ID"
        " Content-Transfer-Encoding MIME-Version Received Auto-Submitted List-Id"
    )
)
_HEAD = b"From: a@b.example\r\nSubject: s\r\n"


class Hang(BaseException):
    """The alarm rang. No `Exception`, so that nothing on the way catches it."""


class Hunter:
    """Checks mails, counts them, and keeps what it finds."""

    def __init__(self, out: Path, board: mmap.mmap, end: float) -> None:
        self._out = out
        self._board = board
        self.end = end
        self.count = 0
        self._tries = 0
        self.found: Counter[str] = Counter()
        self.slowest = 0.0

    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.end

    def one(self, data: bytes) -> None:
        """Check a mail; a fault is kept and not raised."""
        self.count += 1
        self._board[:16] = self.count.to_bytes(8, "little") + len(data).to_bytes(8, "little")
        self._board[16 : 16 + len(data)] = data
        name, taken = _fault(data)
        if taken > self.slowest:
            self.slowest = taken
            print(f"  slowest so far: {taken:.2f} s for {len(data):,} octets", flush=True)
            (self._out / "slowest").write_bytes(data)
        if name:
            self._keep(name, data)

    def _keep(self, name: str, data: bytes) -> None:
        self.found[name] += 1
        if self.found[name] > 3:
            return
        small = smaller(data, lambda shorter: self._fails(shorter, name), 200 if name in {"slow", "hang"} else 2000)
        print(f"  FOUND {name}: {len(data):,} octets, made {len(small):,}: {self._write(name, small)}", flush=True)

    def _fails(self, data: bytes, name: str) -> bool:
        self._tries += 1
        self._board[:8] = (self.count + (self._tries << 40)).to_bytes(8, "little")  # a sign of life
        return _fault(data)[0] == name

    def _write(self, name: str, data: bytes) -> Path:
        path = self._out / f"{name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:8]}.eml"
        path.write_bytes(data)
        return path


def _fault(data: bytes) -> tuple[str, float]:
    """The invariant that does not hold, or nothing; and the time."""
    signal.alarm(HANGS)
    used = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    try:
        return "", check(data, seconds=SECONDS)
    except Broken as broken:
        return broken.name, 0.0
    except Hang:
        return "hang", float(HANGS)
    except Exception as error:  # noqa: BLE001 - the very thing that is looked for
        return f"raised {type(error).__name__}", 0.0
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.alarm(0)


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def _mutate(hunter: Hunter, seeds: list[bytes], number: int) -> None:
    mutator = Mutator(seeds, number)
    while not hunter.over():
        hunter.one(mutator.next())


def _hypothesis(hunter: Hunter, seeds: list[bytes], _number: int) -> None:
    names = st.sampled_from(_NAMES)
    piece = st.one_of(st.sampled_from(TOKENS), st.binary(max_size=30), st.text(max_size=30).map(_octets))
    value = st.lists(piece, max_size=6).map(b"".join)
    head = st.lists(st.tuples(names, value), max_size=8).map(
        lambda fields: b"".join(name.encode() + b": " + content + b"\r\n" for name, content in fields)
    )
    body = st.one_of(
        st.lists(piece, max_size=20).map(b"".join),
        st.integers(0, len(seeds) - 1).map(seeds.__getitem__),
        st.binary(max_size=500),
    )
    leaf = st.tuples(head, body).map(lambda both: both[0] + b"\r\n" + both[1])

    def together(parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        kinds = st.sampled_from((b"mixed", b"alternative", b"related", b"digest", b"report", b"signed", b"encrypted"))
        return st.tuples(head, kinds, st.sampled_from((b"b", b"b b", b"", b"=_")), st.lists(parts, max_size=4)).map(
            _joined
        )

    mails = st.one_of(
        st.recursive(leaf, together, max_leaves=8), st.binary(max_size=2000), leaf.map(lambda one: _HEAD + one)
    )
    while not hunter.over():

        @settings(
            max_examples=500,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(mails)
        def run(data: bytes) -> None:
            if not hunter.over():
                hunter.one(data)

        run()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _joined(pieces: tuple[bytes, bytes, bytes, list[bytes]]) -> bytes:
    head, kind, boundary, parts = pieces
    start = head + b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    return start + b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + boundary + b"--\r\n"


def _atheris(hunter: Hunter, seeds: list[bytes], number: int) -> None:
    """Coverage-guided. The gateway's modules are instrumented before the first mail; libFuzzer ends the process itself."""
    atheris = importlib.import_module("atheris")
    folder = Path(os.environ["FUZZ_CORPUS"])
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = folder.parent / "tokens.txt"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS if len(token) < 60))
    left = max(1, int(hunter.end - time.monotonic()))
    options = [
        f"-max_total_time={left}",
        f"-seed={number + 1}",
        "-max_len=20000",
        f"-dict={words}",
        "-rss_limit_mb=0",
        "-timeout=60",
        "-verbosity=0",
        "-print_final_stats=1",
        str(folder),
    ]
    atheris.Setup([sys.argv[0], *options], lambda data: hunter.one(bytes(data)), enable_python_coverage=True)
    _report_at_exit(hunter)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in token)


def _report_at_exit(hunter: Hunter) -> None:
    """LibFuzzer ends by `_exit` without a way back; what was found stands on the board and in files."""
    atexit = importlib.import_module("atexit")
    atexit.register(lambda: print(f"  atheris: {hunter.count:,} mails", flush=True))


WAYS: dict[str, Callable[[Hunter, list[bytes], int], None]] = {
    "mutate": _mutate,
    "hypothesis": _hypothesis,
    "atheris": _atheris,
}


def _child(way: str, board: Path, out: Path, folders: list[Path], minutes: float, number: int) -> None:
    if way == "atheris":
        atheris = importlib.import_module("atheris")
        for module in [name for name in sys.modules if name.startswith("gateway.sources.")]:
            _instrument(atheris.instrument_func, module)
    with board.open("r+b") as file:
        view = mmap.mmap(file.fileno(), 0)
        signal.signal(signal.SIGALRM, _ring)
        seeds = own() + [seed for folder in folders for seed in from_folder(folder)]
        hunter = Hunter(out, view, time.monotonic() + minutes * 60)
        WAYS[way](hunter, seeds, number)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        found = sum(hunter.found.values())
        print(
            f"  {way}: {hunter.count:,} mails, slowest {hunter.slowest:.2f} s, process at most {peak} MiB, {found} findings"
            + "".join(f"\n    {count} x {name}" for name, count in hunter.found.items()),
            flush=True,
        )


def _instrument(instrument: Callable[[object], object], module: str) -> None:
    """Every function of a module, and of its classes, reports its coverage from now on."""
    for value in vars(sys.modules[module]).values():
        for member in (value, *(vars(value).values() if isinstance(value, type) else ())):
            function = getattr(member, "__func__", member)
            if getattr(function, "__module__", "") == module and hasattr(function, "__code__"):
                with contextlib.suppress(TypeError, ValueError):
                    instrument(function)


def _hunt(way: str, out: Path, folders: list[Path], minutes: float, number: int) -> int:
    """Run one way in a child and begin again where it dies; the mail that killed it is kept. Gives back the deaths."""
    board = out / f"{way}.board"
    board.write_bytes(b"")
    os.truncate(board, _ROOM)
    corpus = out / "corpus"
    corpus.mkdir(exist_ok=True)
    os.environ["FUZZ_CORPUS"] = str(corpus)
    context = multiprocessing.get_context("spawn")
    end, deaths, done = time.monotonic() + minutes * 60, 0, 0
    while (left := end - time.monotonic()) > 1:
        child = context.Process(target=_child, args=(way, board, out, folders, left / 60, number + deaths))
        child.start()
        stuck = _watched(child, board)
        count, length = _board(board)
        done += count
        if child.exitcode == 0 and not stuck:
            break
        deaths += 1
        path = out / f"killed-{way}-{deaths}.eml"
        path.write_bytes(board.read_bytes()[16 : 16 + length])
        print(f"  FOUND the process {'hung' if stuck else f'ended with {child.exitcode}'}: {path}", flush=True)
    board.unlink()
    print(f"  {way}: {done:,} mails in all, {deaths} deaths of the process", flush=True)
    return deaths


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _board(path: Path) -> tuple[int, int]:
    head = _head(path)
    return int.from_bytes(head[:8], "little") & (1 << 40) - 1, int.from_bytes(head[8:], "little")


def _watched(child: multiprocessing.process.BaseProcess, board: Path) -> bool:
    """Wait for the child; True if it was killed because its count stood still."""
    seen, since = -1, time.monotonic()
    while child.is_alive():
        child.join(2.0)
        count = int.from_bytes(_head(board)[:8], "little")
        if count != seen:
            seen, since = count, time.monotonic()
        elif time.monotonic() - since > 120:
            child.kill()
            child.join()
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz_mail", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="in all, shared by the ways")
    parser.add_argument("--ways", default="mutate,hypothesis", help=f"of {', '.join(WAYS)}")
    parser.add_argument(
        "--seeds", type=Path, action="append", default=[], help="a folder of mails to begin with; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("data/fuzz"), help="where findings are written")
    parser.add_argument("--number", type=int, default=None, help="seed number of the mutator; without it, of the clock")
    asked = parser.parse_args()
    ways = [way for way in asked.ways.split(",") if way]
    unknown = [way for way in ways if way not in WAYS]
    if unknown or not ways:
        parser.error(f"no way {', '.join(unknown)}; there are {', '.join(WAYS)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    before = set(asked.out.glob("*.eml"))
    folders = [Path("tests/sources/mail/captures"), *asked.seeds]
    number = int(time.time()) if asked.number is None else asked.number
    print(f"seed number {number}", flush=True)
    for way in ways:
        print(f"{way}: {asked.minutes / len(ways):g} minutes", flush=True)
        _hunt(way, asked.out, folders, asked.minutes / len(ways), number)
    new = sorted(set(asked.out.glob("*.eml")) - before)
    print(f"{len(new)} findings" + "".join(f"\n  {path}" for path in new))
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
