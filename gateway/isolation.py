"""Work that may hang or eat memory is done in a child process that can be stopped.

The child is started when it is first needed, kept for the next job, and killed when a job passes its deadline; the next
job gets a fresh one. Its address space is bounded, so that a hostile payload ends it and not us.
"""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = 1 << 30
"""Octets of address space that the child may have."""


class Stopped(Exception):
    """The job was stopped: it passed its deadline, or its process died (the message says which)."""


class Apart(Protocol):
    """Where work is done that may hang or eat memory."""

    async def run(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the function; raises `Stopped`, or what the function raises."""
        ...

    def close(self) -> None:
        """Nothing more is run."""
        ...


class Isolation:
    """Runs importable functions one at a time in a child process."""

    def __init__(self, *, memory: int = MEMORY) -> None:
        """``memory`` bounds the child's address space, in octets."""
        self._memory = memory
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "isolation")

    async def run(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of ``function(*args, **kwargs)``, which must be importable and give back what can be pickled.

        Raises:
            Stopped: after ``deadline`` seconds, or when the child died.
            Exception: whatever the function raised.
        """
        async with self._lock:
            loop = asyncio.get_running_loop()
            job = loop.run_in_executor(self._thread, self._exchange, deadline, (function, args, kwargs))
            worked, value = await asyncio.shield(job)
        if worked:
            return value  # type: ignore[return-value]  # a pipe carries no types; the child sends what function gave
        assert isinstance(value, BaseException)
        raise value

    def close(self) -> None:
        """End the child. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._process is not None:
            self._process.kill()  # a job that runs ends with it, and its thread finds that out
        self._thread.submit(self._kill)
        self._thread.shutdown(wait=False)

    def _exchange(self, deadline: float, job: object) -> tuple[bool, object]:
        connection = self._started(deadline)
        if connection is None:
            return False, Stopped("its process could not be started; memory or file handles are short")
        try:
            connection.send(job)
            if not connection.poll(deadline):
                self._kill()
                return False, Stopped(f"stopped after {deadline:g} s")
            worked, value = connection.recv()
        except (EOFError, OSError) as error:
            self._kill()
            return False, Stopped(f"its process died ({type(error).__name__}); it may have used too much memory")
        else:
            return bool(worked), value

    def _started(self, patience: float) -> Connection | None:
        """The child; while the system has no handle or memory for one, wait: the job is not at fault."""
        end = time.monotonic() + patience
        while True:
            try:
                return self._connected()
            except OSError:
                if time.monotonic() > end:
                    return None
                time.sleep(0.1)

    def _connected(self) -> Connection:
        if self._connection is None or self._process is None or not self._process.is_alive():
            self._kill()
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_serve, args=(theirs, self._memory), daemon=True)
            process.start()
            theirs.close()
            self._process, self._connection = process, ours
        return self._connection

    def _kill(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(connection: Connection, memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the caller gets it; the child only carries it over
            answer = (False, error)
        try:
            connection.send(answer)
        except (ValueError, TypeError, AttributeError) as error:  # what cannot be pickled
            connection.send((False, RuntimeError(f"{type(error).__name__}: {error}")))
