"""The sandbox as an ASGI application, alone or mounted in another one.

Requests to a helpdesk go straight to its double, because they are the baseline of benchmarks; everything else goes to the
pages. The addresses are the same alone and mounted: `/sandbox/osticket/api/…`, `/sandbox`, `/sandbox/tickets.json`.
"""

import socket
import struct
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.double import Double, Drop, Reply, Request
from gateway.sandbox.pages import sandbox_pages
from gateway.sandbox.sandbox import Sandbox

HOME = "/sandbox"


class ConnectionDropped(ConnectionError):
    """Raised instead of an answer where the server gives no way to close the connection."""


def sandbox_app(sandbox: Sandbox, *, base: str = "") -> ASGIApp:
    """The application. ``base`` is a path that a proxy in front has taken away, for links on the pages.

    It may be mounted at `/sandbox` of another application (which then sets `root_path`, as Starlette's `Mount` does), or
    serve as the whole application. The `Sandbox` is closed by whoever made it.
    """
    pages = sandbox_pages(sandbox)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            prefix, path = _split(scope)
            name, _, rest = path.removeprefix("/").partition("/")
            double = sandbox.doubles.get(name)
            if double is not None:
                await _answer(double, f"/{rest}", scope, receive, send)
            else:
                await pages(
                    {**scope, "path": path, "raw_path": path.encode(), "root_path": base + prefix}, receive, send
                )

    return app


def _split(scope: Scope) -> tuple[str, str]:
    """(what stands before our own addresses, our own part of the path)."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    prefix = root if root and (path == root or path.startswith(f"{root}/")) else ""
    rest = path[len(prefix) :]
    if not prefix.endswith(HOME) and (rest == HOME or rest.startswith(f"{HOME}/")):
        prefix += HOME
        rest = rest[len(HOME) :]
    return prefix, rest or "/"


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(double: Double, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    body = await _body(receive)
    if body is None:
        return  # it did not arrive whole, so nothing is made of it
    client = scope.get("client")
    request = Request(
        method=scope["method"],
        path=unquote(path) if "%" in path else path,
        query=bytes(scope.get("query_string", b"")).decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        client=client[0] if client else "",
        https=scope.get("scheme") == "https",
    )
    answer = await double.answer(request)
    if isinstance(answer, Drop):
        await _drop(answer, receive)
    else:
        await _send(answer, send, head=request.method == "HEAD")


async def _body(receive: Receive) -> bytes | None:
    pieces: list[bytes] = []
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _send(reply: Reply, send: Send, *, head: bool) -> None:
    body = reply.body.encode("utf-8")
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if not reply.chunked:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _drop(how: Drop, receive: Receive) -> None:
    """Close the connection under the request, without one byte of an answer.

    ASGI has no word for that. uvicorn hands the application a bound method of the object that owns the transport; with
    linger 0 the kernel sends a reset instead of an orderly end.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionDropped("the sandbox drops this connection")
    connection = transport.get_extra_info("socket")
    if how is Drop.RESET and connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue
