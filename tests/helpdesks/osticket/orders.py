"""Orders and connectors for the tests of the osTicket connector."""

import hashlib
from collections.abc import Mapping, Sequence

from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.helpdesks.protocol import Answer, CallFailed, Order
from gateway.model.action import ActionKind, AttachmentRef, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue

MARKER = "0123456789abcdef0123456789abcdef"
MESSAGE_ID = f"<tg-{MARKER}@example.org>"
TICKET = TicketRef(
    helpdesk="desk",
    id="777564",
    number="777564",
    anchor="<tg-feed@example.org>",
    requester="mon@example.org",
    fingerprint="osticket https://helpdesk.example/api",
)


def settings(**changes: object) -> OsTicketSettings:
    return OsTicketSettings.model_validate(
        {
            "kind": "osticket",
            "url": "https://helpdesk.example/api",
            "auth": {"api_key": "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"},
            "requester": {"name": "Mon Itor", "email": "mon@example.org"},
            "ticket_url": "https://helpdesk.example/scp/tickets.php?number={number}",
            **changes,
        },
    )


def connector(**changes: object) -> OsTicketConnector:
    return OsTicketConnector("desk", settings(**changes))


def attachment(name: str, content: bytes, kind: str = "text/plain", content_id: str = "") -> AttachmentRef:
    digest = hashlib.sha256(content).hexdigest()
    return AttachmentRef("r", 0, 0, name, kind, len(content), digest, bool(content_id), content_id)


def order(
    kind: ActionKind = ActionKind.CREATE,
    *,
    title: str = "Disk full on web01",
    text: str = "hello",
    html: str = "",
    files: Sequence[tuple[AttachmentRef, bytes]] = (),
    fields: Mapping[str, JsonValue] | None = None,
    quiet: bool = False,
    reopen: bool = False,
    ticket: TicketRef | None = None,
    left_out: tuple[str, ...] = (),
) -> Order:
    draft = TicketDraft(
        title,
        text,
        html,
        fields or {},
        tuple(ref for ref, _ in files),
        quiet=quiet,
        reopen=reopen,
    )
    return Order(
        action="a-1",
        kind=kind,
        marker=MARKER,
        draft=draft,
        ticket=ticket if ticket or kind is ActionKind.CREATE else TICKET,
        queued_at=1_795_000_000.75,
        attachments=tuple(content for _, content in files),
        left_out=left_out,
    )


class Recorded:
    """A helpdesk that gives prepared answers, and remembers what it was asked."""

    def __init__(self, *answers: Answer | CallFailed) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float,
    ) -> Answer:
        self.asked.append((method, url, dict(headers), content))
        answer = self.answers.pop(0)
        if isinstance(answer, CallFailed):
            raise answer
        return answer


def answer(status: int, body: str = "", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())
