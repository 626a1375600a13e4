"""A connection to the first address of a host that answers (RFC 8305): uvloop tries one after the other only."""

import asyncio
import socket

_NEXT_ADDRESS = 0.25
"""Seconds until the host's next address is tried beside the one that does not answer (RFC 8305, 5)."""

_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


async def dial(host: str, port: int) -> socket.socket:
    """A connected socket. The addresses are tried in the system's order, each a little after the one before.

    Raises:
        OSError: ``host`` has no address, or none that takes a connection; there is no limit of time.
        UnicodeError: ``host`` cannot be a name.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _connect(loop, found[0][0], found[0][4])
    running: set[asyncio.Task[socket.socket]] = set()
    waiting, fault = [(family, address) for family, _, _, _, address in found], OSError(f"{host!r} has no address")
    try:
        while running or waiting:
            if waiting:
                running.add(asyncio.create_task(_connect(loop, *waiting.pop(0))))
            pause = _NEXT_ADDRESS if waiting else None
            done, running = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            won = [task.result() for task in done if task.exception() is None]
            for late in won[1:]:
                late.close()
            if won:
                return won[0]
            fault = next((error for task in done if isinstance(error := task.exception(), OSError)), fault)
        raise fault
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(loop: asyncio.AbstractEventLoop, family: int, address: _Address) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await loop.sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
