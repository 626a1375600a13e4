"""The one way out to a helpdesk: a bounded HTTP call, and what its failures prove.

It stands on httpcore's pool and not on httpx's client: a client would follow redirects with our key, keep cookies, read
proxies and `.netrc` from the environment, and bounds neither the whole call nor the size of a decoded answer. The pool
does none of that and costs far less per call. Addresses and proxies are read by httpx.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import urlsplit

import httpcore
import httpx

from gateway.config.models import HelpdeskSettings, HttpHelpdeskSettings
from gateway.helpdesks.connection import Pool
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.helpdesks.streams import AsyncioBackend
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
    httpcore.ConnectError,  # refused, DNS and TLS failures
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,  # the proxy did not open the tunnel
    httpcore.UnsupportedProtocol,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""The failures of httpcore, and of a transport in its place, that prove that no byte of the request was worked on."""

_FAILED = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpx.HTTPError,
    httpx.StreamError,
    OSError,
)
"""Every other failure: the helpdesk may have worked on the request."""

_ALWAYS = [(b"User-Agent", b"ticket-gateway"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class HelpdeskHttp:
    """`gateway.helpdesks.protocol.Http` for one helpdesk: its proxy, its authority, its number of connections.

    Make it inside the event loop that uses it, once, and close it at the end with `aclose`.
    """

    def __init__(self, settings: HelpdeskSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport`` takes the place of the network in tests.

        Raises:
            ValueError: the proxy or the authority's file cannot be used.
        """
        self._pool = _pool(settings) if transport is None else _Substitute(transport)

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
            request = _request(method, url, headers, content, timeout)
            async with asyncio.timeout(timeout):
                response = await self._pool.handle_async_request(request)
                try:
                    return await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise CallFailed(f"{method} {url}: no whole answer within {timeout:g} s", sent=True) from None
        except NOTHING_SENT as error:
            raise CallFailed(f"{method} {url}: {_words(error)}", sent=False) from error
        except _FAILED as error:
            raise CallFailed(f"{method} {url}: {_words(error)}", sent=True) from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


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


def _request(method: str, url: str, headers: Mapping[str, str], content: bytes, timeout: float) -> httpcore.Request:
    address, host = _address(url)
    lines = [
        (b"Host", host),
        *_ALWAYS,
        *((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()),
    ]
    if content or method in _WITH_BODY:
        lines.append((b"Content-Length", b"%d" % len(content)))
    share = timeout * _CONNECT_SHARE
    # The whole deadline bounds reading and writing.
    return httpcore.Request(
        method, address, headers=lines, content=content, extensions={"timeout": {"connect": share, "pool": share}}
    )


@lru_cache(maxsize=64)
def _address(url: str) -> tuple[httpcore.URL, bytes]:
    """Where a request goes, and what its `Host` says.

    Raises:
        httpx.InvalidURL: it is no address.
    """
    parsed = httpx.URL(url)
    target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
    if parsed.scheme and not parsed.raw_host:
        raise httpx.InvalidURL("the address names no host")
    return target, parsed.netloc


async def _read(response: httpcore.Response) -> Answer:
    """The answer, decoded with a cap: we ask for `identity`, but a server may compress all the same."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii").lower(), _text(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    unpack = _unpacker(headers.get("content-encoding", "").strip().lower())
    body = bytearray()
    async for part in response.aiter_stream():
        try:
            body += unpack.decompress(part, MOST_ANSWER + 1 - len(body)) if unpack else part
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer's compression is broken: {error}") from error
        if len(body) > MOST_ANSWER:
            return Answer(response.status, headers, bytes(body[:MOST_ANSWER]), truncated=True)
    return Answer(response.status, headers, bytes(body))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds gzip's or zlib's own header
        case _:
            raise httpx.DecodingError(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


def _pool(settings: HelpdeskSettings) -> Pool:
    connections = settings.limits.concurrency
    url, proxy = (settings.url, settings.proxy) if isinstance(settings, HttpHelpdeskSettings) else ("", "")
    return Pool(
        tls=tls_context(settings, needed=any(urlsplit(url).scheme == "https" for url in (url, proxy))),
        proxy=_proxy(proxy, settings.ca) if proxy else None,
        # Two more than the calls at one time: the probe, and a connection that is just being closed.
        connections=connections + 2,
        idle_connections=connections,
        idle=_IDLE,
        backend=AsyncioBackend(),
    )


def _proxy(address: str, ca: str | None) -> httpcore.Proxy:
    """A proxy over TLS is always verified, by the system's authorities and the configured one."""
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ValueError(f"proxy {address!r}: write http://HOST:PORT or https://HOST:PORT")
    try:
        proxy = httpx.Proxy(address)
    except httpx.InvalidURL as error:
        raise ValueError(f"proxy {address!r}: {error}") from error
    tls = None
    if proxy.url.scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.load_default_certs()
        if ca:
            tls.load_verify_locations(ca)  # that it can be used is known: `tls_context` did it before
    return httpcore.Proxy(
        httpcore.URL(scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"),
        auth=proxy.raw_auth,
        ssl_context=tls,
    )


class _Substitute(httpcore.AsyncConnectionPool):
    """A transport of httpx in place of the network."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__()
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        assert isinstance(request.stream, AsyncIterable)
        content = b"".join([part async for part in request.stream])
        response = await self._transport.handle_async_request(
            httpx.Request(
                request.method.decode(), bytes(request.url).decode(), headers=request.headers, content=content
            )
        )
        return httpcore.Response(response.status_code, headers=response.headers.raw, content=response.stream)

    async def aclose(self) -> None:
        await self._transport.aclose()


def tls_context(settings: HelpdeskSettings, *, needed: bool) -> ssl.SSLContext:
    """How the helpdesk's certificate is checked; the system's authorities are read only where TLS is ``needed``.

    Made by hand, because the usual default context writes keys to the file that SSLKEYLOGFILE names.

    Raises:
        ValueError: the authority's file cannot be used.
    """
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
    elif needed:
        context.load_default_certs()
    return context


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
