"""The control socket: what the command line asks of a running gateway. A unix socket for its user and group only."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.journal.protocol import JournalError
from gateway.model.json import JsonValue
from gateway.model.receipt import NewReceipt
from gateway.model.silence import Silence
from gateway.operations import Operations, Refused
from gateway.receive.intake import IntakeClosed


class State(Protocol):
    """What a running gateway tells of itself."""

    def status(self) -> dict[str, JsonValue]:
        """Figures and states of now."""
        ...

    def now(self) -> float:
        """The instant."""
        ...


def control_path(journal: Path) -> Path:
    """Where the control socket of a journal's owner is: beside the journal, with its full path."""
    return journal.absolute().with_name(journal.name + ".sock")


def is_socket(path: Path) -> bool:
    """True if there is a socket at ``path``."""
    return path.is_socket()


def control_app(operations: Operations, state: State) -> Starlette:
    """The application behind the socket."""

    async def status(_request: Request) -> Response:
        return _json(state.status())

    async def retry(body: bytes) -> object:
        asked = orjson.loads(body)
        return {"done": list(await operations.retry(_ids(asked["ids"]), now=state.now()))}

    async def drop(body: bytes) -> object:
        asked = orjson.loads(body)
        return {"done": list(await operations.drop(_ids(asked["ids"]), now=state.now(), who=str(asked["who"])))}

    async def replay(body: bytes) -> object:
        asked = orjson.loads(body)
        done = await operations.replay(_ids(asked["ids"]), now=state.now(), anew=asked["anew"] is True)
        return [asdict(one) for one in done]

    async def accept(body: bytes) -> object:
        asked = orjson.loads(body)
        accepted = await operations.accept(
            NewReceipt(
                id=str(asked["id"]),
                source=str(asked["source"]),
                received_at=state.now(),
                body=base64.b64decode(asked["body"]),
                content_type=str(asked["content_type"]),
                headers=tuple((str(name), str(value)) for name, value in asked["headers"]),
                envelope={str(name): str(value) for name, value in asked["envelope"].items()},
            ),
        )
        return {"id": accepted.id, "duplicate_of": accepted.duplicate_of}

    async def silence(body: bytes) -> object:
        asked = orjson.loads(body)
        one = Silence(
            id=str(asked["id"]),
            match=dict(asked["match"]),
            starts_at=float(asked["starts_at"]),
            ends_at=float(asked["ends_at"]),
            author=str(asked["author"]),
            comment=str(asked["comment"]),
            made_at=float(asked["made_at"]),
        )
        await operations.silence(one)
        return {"id": one.id}

    async def end_silences(body: bytes) -> object:
        asked = orjson.loads(body)
        return {"done": list(await operations.end_silences(_ids(asked["ids"]), now=state.now()))}

    async def pause(body: bytes) -> object:
        asked = orjson.loads(body)
        await operations.pause(str(asked["helpdesk"]), now=state.now(), who=str(asked["who"]), why=str(asked["why"]))
        return {"paused": True}

    async def resume(body: bytes) -> object:
        asked = orjson.loads(body)
        return {"resumed": await operations.resume(str(asked["helpdesk"]), now=state.now())}

    async def release(body: bytes) -> object:
        asked = orjson.loads(body)
        until = state.now() + float(asked["longer"])
        await operations.release(str(asked["helpdesk"]), until=until)
        return {"until": until}

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/dead/retry", _answering(retry), methods=["POST"]),
            Route("/dead/drop", _answering(drop), methods=["POST"]),
            Route("/replay", _answering(replay), methods=["POST"]),
            Route("/accept", _answering(accept), methods=["POST"]),
            Route("/helpdesk/pause", _answering(pause), methods=["POST"]),
            Route("/helpdesk/release", _answering(release), methods=["POST"]),
            Route("/helpdesk/resume", _answering(resume), methods=["POST"]),
            Route("/silence/add", _answering(silence), methods=["POST"]),
            Route("/silence/rm", _answering(end_silences), methods=["POST"]),
        ],
    )


def _answering(work: Callable[[bytes], Awaitable[object]]) -> Callable[[Request], Awaitable[Response]]:
    """Faults that a person can do something about are told in ``detail``; the others end as 500, in the log."""

    async def answer(request: Request) -> Response:
        try:
            return _json(await work(await request.body()))
        except (JournalError, IntakeClosed) as error:
            return _json({"detail": str(error) or "the gateway is stopping"}, 503)
        except Refused as error:
            return _json({"detail": str(error)}, 422)

    return answer


def _ids(asked: Sequence[object]) -> list[str]:
    return [str(one) for one in asked]


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
