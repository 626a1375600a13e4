"""The one way out to a helpdesk: a bounded HTTP call, and what its failures prove.

It stands on httpx's transport and not on its client: a client would follow redirects with our key, keep cookies, read
proxies and `.netrc` from the environment, and bounds neither the whole call nor the size of a decoded answer. The
transport does none of that and costs less per call.
"""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from gateway.config.models import HelpdeskSettings
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.reasons import Reason

MOST_ANSWER = 2_000_000
"""Octets of a decoded answer that are kept; the rest is not read."""

MOST_RETRY_AFTER = 3600.0
"""Longest wish of a helpdesk (seconds) that is honoured."""

# Apache closes an idle connection after 5 s by default. A request that crosses with that close has an unknown outcome,
# so connections are given up well before.
_IDLE = 2.0

# Of the whole time, the share that waiting for a free connection, and connecting, may each take. Together they stay
# below the deadline, so that an unreachable host is proven unreachable and not an unknown outcome.
_CONNECT_SHARE = 0.45

NOTHING_SENT = (
    httpx.ConnectError,  # refused, DNS and TLS failures
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,  # the proxy did not open the tunnel
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""The failures of httpx that prove that no byte of the request was worked on."""


class HelpdeskHttp:
    """`gateway.helpdesks.protocol.Http` for one helpdesk: its proxy, its authority, its number of connections.

    Make it inside the event loop that uses it, once, and close it at the end with `aclose`.
    """

    def __init__(self, settings: HelpdeskSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport`` takes the place of the network in tests.

        Raises:
            ValueError: the proxy or the authority's file cannot be used.
        """
        self._transport = transport or _transport(settings)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float,
    ) -> Answer:
        """Send and read the whole answer within ``timeout`` seconds in total.

        Raises:
            CallFailed: no whole answer came; ``sent`` says whether the helpdesk may have worked on the request.
        """
        try:
            request = httpx.Request(
                method,
                url,
                headers={"User-Agent": "ticket-gateway", "Accept": "*/*", "Accept-Encoding": "identity", **headers},
                content=content,
                extensions={
                    "timeout": {
                        "connect": timeout * _CONNECT_SHARE,
                        "pool": timeout * _CONNECT_SHARE,
                        "read": None,
                        "write": None,
                    },
                },
            )
            async with asyncio.timeout(timeout):
                response = await self._transport.handle_async_request(request)
                try:
                    return await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise CallFailed(f"{method} {url}: no whole answer within {timeout:g} s", sent=True) from None
        except NOTHING_SENT as error:
            raise CallFailed(f"{method} {url}: {_words(error)}", sent=False) from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise CallFailed(f"{method} {url}: {_words(error)}", sent=True) from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def failure_outcome(failure: CallFailed) -> Outcome:
    """What a failed call proves: nothing was written only if nothing was sent."""
    if failure.sent:
        return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, str(failure))
    return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, str(failure))


def retry_after(answer: Answer) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3), at most `MOST_RETRY_AFTER`; junk counts as absent.

    A date is measured against the answer's own `Date`, so a wrong clock on either side does no harm.
    """
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), MOST_RETRY_AFTER)
    try:
        wished = parsedate_to_datetime(value)
        seconds = (wished - parsedate_to_datetime(answer.headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, MOST_RETRY_AFTER) if seconds >= 0 else None


async def _read(response: httpx.Response) -> Answer:
    """The answer, decoded with a cap: we ask for `identity`, but a server may compress all the same."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    unpack = _unpacker(headers.get("content-encoding", "").strip().lower())
    body = bytearray()
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise httpx.ReadError("the answer is no asynchronous stream")
    async for part in stream:
        try:
            body += unpack.decompress(part, MOST_ANSWER + 1 - len(body)) if unpack else part
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer's compression is broken: {error}") from error
        if len(body) > MOST_ANSWER:
            return Answer(response.status_code, headers, bytes(body[:MOST_ANSWER]), truncated=True)
    return Answer(response.status_code, headers, bytes(body))


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds gzip's or zlib's own header
        case _:
            raise httpx.DecodingError(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


def _transport(settings: HelpdeskSettings) -> httpx.AsyncHTTPTransport:
    if settings.proxy and urlsplit(settings.proxy).scheme not in {"http", "https"}:
        raise ValueError(f"proxy {settings.proxy!r}: write http://HOST:PORT or https://HOST:PORT")
    connections = settings.limits.concurrency
    return httpx.AsyncHTTPTransport(
        verify=_tls(settings),
        trust_env=False,
        proxy=settings.proxy or None,
        limits=httpx.Limits(
            # Two more than the calls at one time: the probe, and a connection that is just being closed.
            max_connections=connections + 2,
            max_keepalive_connections=connections,
            keepalive_expiry=_IDLE,
        ),
        retries=0,
    )


def _tls(settings: HelpdeskSettings) -> ssl.SSLContext:
    """Made by hand, because the usual default context writes keys to the file that SSLKEYLOGFILE names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if settings.ca:
        try:
            context.load_verify_locations(settings.ca)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"ca {settings.ca!r} cannot be used: {error}") from error
    elif any(urlsplit(url).scheme == "https" for url in (settings.url, settings.proxy)):
        context.load_default_certs()
    return context


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
