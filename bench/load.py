"""The load generator: closed-loop clients on keep-alive connections, in a process of its own.

Each connection sends its next request when the answer to the last one is there. Requests differ only in a mark, so that
making one costs a join; answers are looked at only as far as their status and length. It costs a small part of what any
server behind it does, and the same for each of them.

``python -m bench.load SPEC`` takes the `Spec` as JSON and prints the `Result` as JSON.
"""

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import orjson
import uvloop

from bench.figures import percentile
from bench.payload import SIZE, mark, pieces

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spec:
    """What to send where. It ends after ``seconds``, or after ``count`` requests if that is given."""

    port: int
    path: str
    token: str
    run: int
    connections: int = 64
    seconds: float = 2.0
    warm_up: float = 0.3
    count: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """``good`` 2xx answers within ``seconds``; ``bad`` others; latencies in seconds."""

    good: int
    bad: int
    seconds: float
    p50: float
    p95: float
    p99: float

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.good / self.seconds


@dataclass(slots=True)
class _Run:
    spec: Spec
    head: bytes
    parts: tuple[bytes, ...]
    done: "asyncio.Future[None]"
    sent: int = 0
    good: int = 0
    bad: int = 0
    lost: int = 0
    measuring: bool = False
    stopping: bool = False
    latencies: list[float] = field(default_factory=list)

    def next(self) -> bytes | None:
        if self.stopping or (self.spec.count and self.sent >= self.spec.count):
            return None
        self.sent += 1
        return self.head + mark(self.spec.run, self.sent).join(self.parts)

    def answered(self, seconds: float, *, good: bool) -> None:
        if self.measuring:
            if good:
                self.good += 1
                self.latencies.append(seconds)
            else:
                self.bad += 1
            if self.spec.count and self.good + self.bad + self.lost >= self.spec.count and not self.done.done():
                self.done.set_result(None)


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._since = 0.0
        self._expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        request = self._run.next()
        if request is not None:
            self._since = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._expected:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end + 2)
            if length is None:
                raise RuntimeError(f"an answer without Content-Length: {self._buffer[:200]!r}")
            self._expected = end + 4 + int(length[1])
        if len(self._buffer) < self._expected:
            return
        good = self._buffer.startswith(b"HTTP/1.1 2")
        self._buffer = b""
        self._expected = 0
        self._run.answered(time.perf_counter() - self._since, good=good)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        run = self._run
        run.lost += 1
        if not run.done.done() and not run.stopping:
            run.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def close(self) -> None:
        self._transport.abort()


async def _load(spec: Spec) -> Result:
    head = (
        f"POST {spec.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {spec.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {SIZE}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    run = _Run(spec, head, pieces(), loop.create_future())
    clients: list[_Client] = []
    for _ in range(spec.connections):
        _, client = await loop.create_connection(lambda: _Client(run), "127.0.0.1", spec.port)
        clients.append(client)
    run.measuring = bool(spec.count)
    began = time.perf_counter()
    for client in clients:
        client.send()
    if spec.count:
        await run.done
    else:
        await _unless_broken(run, spec.warm_up)
        run.measuring, began = True, time.perf_counter()
        await _unless_broken(run, spec.seconds)
        run.measuring = False
    seconds = time.perf_counter() - began
    run.stopping = True
    for client in clients:
        client.close()
    times = run.latencies or [0.0]
    return Result(run.good, run.bad, seconds, percentile(times, 0.5), percentile(times, 0.95), percentile(times, 0.99))


async def _unless_broken(run: _Run, seconds: float) -> None:
    try:
        await asyncio.wait_for(asyncio.shield(run.done), seconds)
    except TimeoutError:
        return


def load(spec: Spec) -> Result:
    """Run the generator as a process and give back what it found.

    Raises:
        RuntimeError: it failed, or got answers that are not 2xx.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", orjson.dumps(asdict(spec)).decode()],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr.decode('utf-8', 'replace')[-2000:]}")
    result = Result(**orjson.loads(done.stdout))
    if result.bad:
        raise RuntimeError(f"{result.bad} of {result.good + result.bad} requests were not answered with 2xx")
    return result


def main() -> None:
    spec = Spec(**orjson.loads(sys.argv[1]))
    print(orjson.dumps(asdict(uvloop.run(_load(spec)))).decode())


if __name__ == "__main__":
    main()
