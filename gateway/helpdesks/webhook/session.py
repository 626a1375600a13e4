"""How the API knows us: what is added to a call at the moment it is made, and the log-in where there is one."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, urlencode

from gateway.helpdesks.protocol import Answer, CallFailed, Http
from gateway.helpdesks.webhook import answers, paths
from gateway.helpdesks.webhook.settings import WebhookAuth, WebhookHmac, WebhookLogin, WebhookSettings
from gateway.model.action import Outcome, OutcomeKind

_SHORTEST = 6
"""Characters of a key that is masked: a shorter one would take plain words out of every sentence."""


class Refused(Exception):
    """The log-in failed, so nothing was sent."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class Session:
    """All calls to one API. Keys never leave it but in a call."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` gives the instants that are signed."""
        self._settings = settings
        self._monotonic = monotonic
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._secrets = tuple(_secrets_of(settings.auth))

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, http: Http, timeout: float
    ) -> Answer:
        """Make a call, in ``timeout`` seconds with all that belongs to it. A 401 in a session asks for a new one, once.

        Raises:
            CallFailed: no whole answer came.
            Refused: the log-in was refused.
        """
        end = self._monotonic() + timeout
        had_token = bool(self._token)
        answer = await self._told(method, url, headers, body, http, end)
        if answer.status == 401 and self._settings.auth.login is not None and had_token:
            self._token = ""  # it may have ended; what was refused with 401 was not looked at
            answer = await self._told(method, url, headers, body, http, end)
        return answer

    def masked(self, words: str) -> str:
        """The words of a server or a failure without our keys, should they repeat one."""
        secrets = [*self._secrets, *([self._token] if self._token else [])]
        for secret in secrets:
            for shown in (secret, quote(secret, safe="")):
                words = words.replace(shown, "<secret>")
        return words

    async def _told(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, http: Http, end: float
    ) -> Answer:
        try:
            return await self._call(method, url, headers, body, http, end)
        except CallFailed as failure:  # its words name the whole address
            raise CallFailed(self.masked(str(failure)), sent=failure.sent) from None

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, http: Http, end: float
    ) -> Answer:
        whole = {"Accept": "application/json", **headers, **await self._own(body, http, end)}
        return await http.request(
            method, self._with_keys(url), headers=whole, content=body, timeout=max(0.01, end - self._monotonic())
        )

    async def _own(self, body: bytes, http: Http, end: float) -> dict[str, str]:
        auth = self._settings.auth
        own = {name: secret.reveal() for name, secret in auth.headers.items()}
        if auth.bearer is not None:
            own["Authorization"] = f"Bearer {auth.bearer.reveal()}"
        if auth.basic is not None:
            pair = f"{auth.basic.user}:{auth.basic.password.reveal()}".encode()
            own["Authorization"] = f"Basic {base64.b64encode(pair).decode('ascii')}"
        if auth.login is not None:
            own[auth.login.header] = auth.login.prefix + await self._logged_in(auth.login, http, end)
        if auth.hmac is not None:
            own |= _signature(auth.hmac, body, str(int(self._clock())))
        return own

    async def _logged_in(self, login: WebhookLogin, http: Http, end: float) -> str:
        now = self._monotonic()
        if self._token and now < self._until:
            return self._token
        headers = {
            name: secret.reveal() for name, secret in (*self._settings.auth.headers.items(), *login.headers.items())
        }
        form = urlencode({name: secret.reveal() for name, secret in login.form.items()}).encode("ascii")
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = login.url if login.url.startswith("https://") else self._settings.base + login.url
        answer = await http.request(
            login.method,
            url,
            headers={"Accept": "application/json", **headers},
            content=form,
            timeout=max(0.01, end - now),
        )
        outcome = answers.of_read(answer, [])
        token = paths.one(answers.body_of(answer), login.token)
        if outcome.kind is not OutcomeKind.DELIVERED:
            raise Refused(outcome)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            detail = f"the log-in was answered, but there is no token at `{login.token}`"
            raise Refused(Outcome(OutcomeKind.AUTH_BROKEN, outcome.reason, detail))
        self._token, self._until = token, self._monotonic() + login.lasts
        return token

    def _with_keys(self, url: str) -> str:
        keys = "&".join(
            f"{quote(name, safe='')}={quote(secret.reveal(), safe='')}"
            for name, secret in self._settings.auth.query.items()
        )
        return f"{url}{'&' if '?' in url else '?'}{keys}" if keys else url


def _secrets_of(auth: WebhookAuth) -> Iterator[str]:
    """The keys, and what stands behind the scheme in one (`token ...`); the longest first."""
    given = [auth.bearer, auth.basic.password if auth.basic else None, auth.hmac.secret if auth.hmac else None]
    given += [*auth.headers.values(), *auth.query.values()]
    given += [*auth.login.headers.values(), *auth.login.form.values()] if auth.login else []
    texts = {part for one in given if one is not None for part in (one.reveal(), one.reveal().rpartition(" ")[2])}
    yield from sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)


def _signature(settings: WebhookHmac, body: bytes, instant: str) -> dict[str, str]:
    signed = f"{instant}.".encode() + body if settings.timestamp_header else body
    digest = hmac.new(settings.secret.reveal().encode(), signed, getattr(hashlib, settings.algorithm)).hexdigest()
    stamp = {settings.timestamp_header: instant} if settings.timestamp_header else {}
    return {settings.header: settings.prefix + digest, **stamp}
