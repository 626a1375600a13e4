"""One web service of the Generic Interface: routes, log-in, and one call with its answer."""

import asyncio
import re
from collections.abc import Collection, Mapping
from urllib.parse import quote, urlencode

import orjson

from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.otobo.answers import WRITES, auth_failed, read_answer
from gateway.helpdesks.otobo.settings import Call, WebService
from gateway.helpdesks.protocol import CallFailed, Http
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

SESSION_LIFE = 6600.0
"""Seconds: sessions end 7200 s after they were made, whatever their use."""

_PARAMETER = re.compile(r":([A-Za-z]+)")


class Service:
    """The calls of one configured helpdesk. Holds the session; make it inside the loop that uses it or before."""

    def __init__(self, settings: WebService) -> None:
        """Opens nothing."""
        self._settings = settings
        self._session = ""
        self._made_at = 0.0
        self._login = asyncio.Lock()

    def can(self, call: Call) -> bool:
        """Whether the web service has a route for it."""
        return self._settings.route(call) is not None

    async def ask(
        self,
        call: Call,
        parameters: Mapping[str, JsonValue],
        http: Http,
        deadline: float,
        *,
        sent: Collection[str] = (),
    ) -> JsonObject | Outcome:
        """Make a call: the operation's object, or what is known of its end.

        ``deadline`` is by the loop's clock. An ended session is answered like a wrong password, so a refusal of the
        log-in is believed only from a fresh one. What only reads never ends as UNKNOWN.
        """
        heard, session = await self._once(call, parameters, http, deadline, sent, fresh=False)
        if session and auth_failed(heard):
            if self._session == session:
                self._session = ""
            heard, _ = await self._once(call, parameters, http, deadline, sent, fresh=True)
        return heard

    async def _once(
        self,
        call: Call,
        parameters: Mapping[str, JsonValue],
        http: Http,
        deadline: float,
        sent: Collection[str],
        *,
        fresh: bool,
    ) -> tuple[JsonObject | Outcome, str]:
        """The answer, and the session it was asked with; empty where the log-in itself failed or went along."""
        login = await self._credentials(http, deadline, fresh=fresh)
        if isinstance(login, Outcome):
            return login, ""
        heard = await self._send(call, {**parameters, **login}, http, deadline, sent)
        return heard, str(login.get("SessionID", ""))

    async def log_in(self, http: Http, deadline: float) -> Outcome | None:
        """Log in anew; None if that worked. Where every call bears the password there is nothing to do."""
        login = await self._credentials(http, deadline, fresh=True)
        return login if isinstance(login, Outcome) else None

    async def _credentials(self, http: Http, deadline: float, *, fresh: bool) -> JsonObject | Outcome:
        auth = self._settings.auth
        by_password: JsonObject = {"UserLogin": auth.user, "Password": auth.password.reveal()}
        if auth.login == "call":
            return by_password
        known = self._session
        async with self._login:
            now = asyncio.get_running_loop().time()
            replaced = self._session not in {"", known}  # somebody else has just done it
            if self._session and now - self._made_at < SESSION_LIFE and (replaced or not fresh):
                return {"SessionID": self._session}
            heard = await self._send(Call.SESSION, by_password, http, deadline, ())
            if isinstance(heard, Outcome):
                return heard
            session = heard.get("SessionID")
            if not isinstance(session, str) or not session:
                return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, "the log-in gave no SessionID")
            self._session, self._made_at = session, now
            return {"SessionID": session}

    async def _send(
        self, call: Call, parameters: Mapping[str, JsonValue], http: Http, deadline: float, sent: Collection[str]
    ) -> JsonObject | Outcome:
        route = self._settings.route(call)
        if route is None:
            return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, f"the web service has no route for {call.value}")
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "no time was left for the call")
        method, address, content = _request(self._settings.service_url, route, parameters)
        headers = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
        try:
            answer = await http.request(method, address, headers=headers, content=content, timeout=left)
        except CallFailed as failure:
            return _failed(failure, call, method, address)
        return read_answer(answer, call, sent=sent)


def _request(base: str, route: str, parameters: Mapping[str, JsonValue]) -> tuple[str, str, bytes]:
    """(method, address, body). What the path names leaves the other parameters; a GET has the rest in its query."""
    method, _, path = route.partition(" ")
    left = dict(parameters)

    def value(match: re.Match[str]) -> str:
        return quote(str(left.pop(match[1], "")), safe="")

    address = base + _PARAMETER.sub(value, path)
    if method != "GET":
        return method, address, orjson.dumps(left)
    flat = {
        name: [str(one) for one in value] if isinstance(value, list) else str(value) for name, value in left.items()
    }
    return method, f"{address}?{urlencode(flat, doseq=True)}" if flat else address, b""


def _failed(failure: CallFailed, call: Call, method: str, address: str) -> Outcome:
    """A reading call that failed has written nothing. Its address may bear a session, so it is not told whole."""
    outcome = failure_outcome(failure)
    detail = outcome.detail.replace(address, address.partition("?")[0])
    if call in WRITES or outcome.kind is not OutcomeKind.UNKNOWN:
        return Outcome(outcome.kind, outcome.reason, detail)
    return Outcome(
        OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, f"{detail} (before anything was written by {method})"
    )
