"""``POST /helpdesks/{name}/notify``: a helpdesk says that something happened to a ticket.

Zammad's webhooks sign the body (`X-Hub-Signature: sha1=...`); OTOBO's and Znuny's invokers sign nothing and log in instead. What
comes is a hint and no more: it names a ticket, which is then read (`gateway.watching`). Nothing is kept of it, it is answered at
once, and a ticket that we do not know is no error: the helpdesk need not know which tickets are ours.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from gateway.model.json import JsonValue
from gateway.receive.admission import Admission, stopping
from gateway.receive.auth import bearer_token
from gateway.receive.body import Body, Refused, declared_length
from gateway.receive.problems import Problem, Refusal, send_answer, send_problem

LARGEST = 4 * 2**20
"""Octets of a body: Zammad sends the whole article with the ticket."""
_LONGEST_ID = 40
_SIGNATURES = {b"x-hub-signature": ("sha1", b"sha1="), b"x-hub-signature-256": ("sha256", b"sha256=")}
_IDS = ("id", "TicketID", "ticket_id")
_NUMBERS = ("number", "TicketNumber", "ticket_number")
_PLACES = ("ticket", "Ticket", "Event")


@dataclass(frozen=True, slots=True)
class Bell:
    """What one helpdesk may ring: the secrets that prove that it is the one, and who is told the id of a ticket."""

    secrets: tuple[bytes, ...]
    ring: Callable[[str], None]


class Notices:
    """Everything under ``/helpdesks``."""

    def __init__(
        self,
        bells: Callable[[], Mapping[str, Bell]],
        admission: Admission,
        count: Callable[[str, str], None],
        *,
        timeout: float,
    ) -> None:
        """``bells`` are those of now, by helpdesk; ``count`` is given a helpdesk and what became of a notice."""
        self._bells = bells
        self._admission = admission
        self._count = count
        self._timeout = timeout

    async def serve(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer one request. ``path`` begins with ``/helpdesks/``."""
        name, _, rest = path.removeprefix("/helpdesks/").partition("/")
        bell = self._bells().get(name) if rest == "notify" else None
        body = Body(self._admission, LARGEST)
        try:
            known = await self._take(scope, receive, bell, body)
        except Refused as refused:
            self._count(name if bell is not None else "", refused.problem.reason.value)
            await send_problem(send, refused.problem)
            return
        finally:
            body.release()
        self._count(name, "taken" if known else "ignored")
        await send_answer(send, 202, orjson.dumps({"noted": known}))

    async def _take(self, scope: Scope, receive: Receive, bell: Bell | None, body: Body) -> bool:
        """Ring the bell. False if the notice is about no ticket."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] != "POST":
            raise Refused(_only_post())
        proven = bell is not None and logged_in(headers, bell.secrets)
        if bell is None or not (proven or headers.keys() & _SIGNATURES.keys()):
            raise Refused(_stranger(close=True))
        if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"identity", b""}:
            raise Refused(Problem(415, Refusal.ENCODING, "The body is encoded.", place="Content-Encoding", close=True))
        body.check_declared(declared_length(headers))
        if self._admission.stopping:
            raise Refused(stopping())
        content = await body.read(receive, self._timeout)
        if not proven and not signed(headers, content, bell.secrets):
            raise Refused(_stranger(close=False))
        tickets = tickets_of(content)
        if tickets is None:
            hint = "A ticket's id is looked for in ticket.id, Ticket.TicketID, Event.TicketID and TicketID."
            raise Refused(Problem(422, Refusal.MALFORMED, "The body is no JSON object.", hint=hint))
        for ticket in tickets:
            bell.ring(ticket)
        return bool(tickets)


def logged_in(headers: Mapping[bytes, bytes], secrets: tuple[bytes, ...]) -> bool:
    """Whether the password of basic authentication, or the bearer token, is one of the secrets."""
    given = bearer_token(headers) or _password(headers)
    return bool(given) and _any_is(given, secrets)


def signed(headers: Mapping[bytes, bytes], body: bytes, secrets: tuple[bytes, ...]) -> bool:
    """Whether a signature over the very octets of the body was made with one of the secrets."""
    result = False
    for name, (algorithm, prefix) in _SIGNATURES.items():
        given = headers.get(name, b"").strip().lower()
        if not given.startswith(prefix):
            continue
        for secret in secrets:
            made = hmac.new(secret, body, algorithm).hexdigest().encode()
            result |= hmac.compare_digest(made, given.removeprefix(prefix))
    return result


def tickets_of(content: bytes) -> tuple[str, ...] | None:
    """The ids and numbers of the ticket that a notice is about; None if it is no JSON object. Never raises."""
    try:
        value: JsonValue = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    objects = [inner for place in _PLACES if isinstance(inner := value.get(place), dict)]
    found: dict[str, None] = {}
    for names, places in ((_IDS, [*objects, {**value, "id": None}]), (_NUMBERS, [*objects, value])):
        for place in places:
            for name in names:
                one = place.get(name)
                text = str(one).strip() if isinstance(one, int | str) and not isinstance(one, bool) else ""
                if text and len(text) <= _LONGEST_ID and text.isascii() and text.isalnum():
                    found[text] = None
        if found:
            break  # the id is enough; a number might be another ticket's id
    return tuple(found)[:2]


def _password(headers: Mapping[bytes, bytes]) -> bytes:
    value = headers.get(b"authorization", b"")
    if value[:6].lower() != b"basic ":
        return b""
    try:
        return base64.b64decode(value[6:].strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _any_is(given: bytes, secrets: tuple[bytes, ...]) -> bool:
    """All are compared, by their digests, so that time says nothing about which it was or how long it is."""
    digest, result = hashlib.sha256(given).digest(), False
    for secret in secrets:
        result |= hmac.compare_digest(hashlib.sha256(secret).digest(), digest)
    return result


def _stranger(*, close: bool) -> Problem:
    """The same whether there is no such helpdesk, it has no `notify`, or the secret is wrong."""
    return Problem(
        401,
        Refusal.WRONG_CREDENTIALS,
        "No helpdesk of this name takes this.",
        hint="Set `notify: {secret: ...}` of the helpdesk, and the same secret in its webhook.",
        headers=((b"www-authenticate", b'Basic realm="helpdesk"'),),
        close=close,
    )


def _only_post() -> Problem:
    return Problem(405, Refusal.METHOD, "Only POST is taken here.", headers=((b"allow", b"POST"),), close=True)
