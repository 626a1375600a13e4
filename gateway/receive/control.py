"""The control socket: what the command line asks of a running gateway. A unix socket that only its owner can open."""

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.model.json import JsonValue
from gateway.model.receipt import NewReceipt
from gateway.operations import Operations


class State(Protocol):
    """What a running gateway tells of itself."""

    def status(self) -> dict[str, JsonValue]:
        """Figures and states of now."""
        ...

    def now(self) -> float:
        """The instant."""
        ...


def control_path(journal: Path) -> Path:
    """Where the control socket of a journal's owner is."""
    return journal.with_name(journal.name + ".sock")


def is_socket(path: Path) -> bool:
    """True if there is a socket at ``path``."""
    return path.is_socket()


def control_app(operations: Operations, state: State) -> Starlette:
    """The application behind the socket."""

    async def status(_request: Request) -> Response:
        return _json(state.status())

    async def retry(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        return _json({"done": list(await operations.retry(asked["ids"], now=state.now()))})

    async def drop(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        return _json({"done": list(await operations.drop(asked["ids"], now=state.now(), who=asked["who"]))})

    async def replay(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        done = await operations.replay(asked["ids"], now=state.now(), anew=asked["anew"])
        return _json([asdict(one) for one in done])

    async def accept(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        accepted = await operations.accept(
            NewReceipt(
                id=asked["id"],
                source=asked["source"],
                received_at=state.now(),
                body=base64.b64decode(asked["body"]),
                content_type=asked["content_type"],
                headers=tuple((name, value) for name, value in asked["headers"]),
                envelope=asked["envelope"],
            ),
        )
        return _json({"id": accepted.id, "duplicate_of": accepted.duplicate_of})

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/dead/retry", retry, methods=["POST"]),
            Route("/dead/drop", drop, methods=["POST"]),
            Route("/replay", replay, methods=["POST"]),
            Route("/accept", accept, methods=["POST"]),
        ],
    )


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
