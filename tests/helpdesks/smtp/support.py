"""Orders for mails, and a mail server that says what it is told to say."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.config.models import HttpHelpdeskSettings
from gateway.helpdesks.http import HelpdeskHttp
from gateway.helpdesks.protocol import Order
from gateway.helpdesks.smtp.connector import SmtpConnector
from gateway.helpdesks.smtp.settings import SmtpSettings
from gateway.model.action import ActionKind, AttachmentRef, Outcome, TicketDraft
from gateway.model.incident import TicketRef

MARKER = "ab" * 16


def settings(port: object = 25, **changes: object) -> SmtpSettings:
    """The settings of the tests, as a configuration file would give them."""
    given: dict[str, object] = {
        "kind": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": "monitoring@example.org",
        "to": "support@example.org",
        "sandbox": True,
        **changes,
    }
    return SmtpSettings.model_validate(given)


def order(
    kind: ActionKind = ActionKind.CREATE,
    *,
    marker: str = MARKER,
    title: str = "HTTP CRITICAL on web1",
    text: str = "It is down.",
    html: str = "",
    fields: Mapping[str, object] | None = None,
    files: tuple[tuple[str, str, bytes], ...] = (),
    ticket: TicketRef | None = None,
    references: tuple[str, ...] = (),
    reopen: bool = False,
    left_out: tuple[str, ...] = (),
) -> Order:
    """An order as delivery makes one; ``files`` are (name, media type, content)."""
    refs = tuple(
        AttachmentRef("r", 0, index, name, kind_, len(content), hashlib.sha256(content).hexdigest(), content_id=name)
        for index, (name, kind_, content) in enumerate(files)
    )
    draft = TicketDraft(
        title=title,
        text=text,
        html=html,
        fields=dict(fields or {}),  # type: ignore[arg-type]  # JSON values of the tests
        attachments=refs,
        reopen=reopen,
        references=references,
    )
    return Order("an-action", kind, marker, draft, ticket, 1_700_000_000.0, "r", [file[2] for file in files], left_out)


NO_HTTP = HelpdeskHttp(HttpHelpdeskSettings(kind="none", url="http://127.0.0.1:1"))
"""What a connector of mail never uses."""


async def called(connector: SmtpConnector, one: Order, *, timeout: float = 5.0) -> Outcome:
    """Prepare and call."""
    return await connector.call(one, connector.prepare(one), NO_HTTP, timeout=timeout)


CLOSE = "close"
"""In a script: hang up."""
HANG = "hang"
"""In a script: say nothing more."""

GOOD = {
    "greeting": "220 mail.example ESMTP",
    "EHLO": "250-mail.example\r\n250-SIZE 1000000\r\n250 AUTH PLAIN LOGIN",
    "AUTH": "235 2.7.0 ok",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 queued as 4711",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


def server(**script: str) -> AbstractAsyncContextManager[tuple[int, list[str]]]:
    """`scripted`, in the clear."""
    return scripted(script)


@asynccontextmanager
async def scripted(
    script: Mapping[str, str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that answers each verb by the script (`dot` for the end of a mail); gives its port and what it heard.

    Answers to one verb, one after the other, are divided by `|`.
    """
    answers = {**GOOD, **{("." if name == "dot" else name): words for name, words in script.items()}}
    heard: list[str] = []

    async def say(writer: asyncio.StreamWriter, verb: str) -> bool:
        words, _, later = answers.get(verb, "502 what?").partition("|")
        if later:
            answers[verb] = later
        if words == HANG:
            await asyncio.sleep(30)
        if words in {CLOSE, HANG}:
            return False
        writer.write(words.encode() + b"\r\n")
        await writer.drain()
        return True

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            alive = await say(writer, "greeting")
            while alive:
                line = await reader.readuntil(b"\r\n")
                heard.append(line.decode().rstrip("\r\n"))
                verb = line.split()[0].decode().upper()
                alive = await say(writer, verb)
                if verb == "DATA" and answers["DATA"].startswith("354") and alive:
                    text = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                    heard.append(text.decode())
                    alive = await say(writer, ".")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    running: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        running.add(task)

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0, limit=10_000_000, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], heard
    finally:
        listening.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
