"""The sandbox: one store, and the doubles that write into it."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.helpdesks.osticket.sandbox import OsTicketSandbox
from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings
from gateway.helpdesks.otobo.sandbox import OtoboSandbox
from gateway.helpdesks.otobo.sandbox_settings import OtoboSandboxSettings
from gateway.helpdesks.smtp.sandbox import SmtpSandbox
from gateway.helpdesks.webhook.sandbox import WebhookSandbox
from gateway.helpdesks.zammad.sandbox import ZammadSandbox
from gateway.helpdesks.zammad.sandbox_settings import ZammadSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Double
from gateway.sandbox.faults import Fault, parse_faults
from gateway.sandbox.records import Thread, Ticket
from gateway.sandbox.store import Store

FAULTS_VARIABLE = "TICKET_GATEWAY_SANDBOX_FAULTS"


class UnknownHelpdesk(LookupError):
    """A helpdesk that this sandbox does not stand in for."""


class Sandbox:
    """Stand-ins for helpdesks with one common store.

    ``folder`` holds `sandbox.db`; None keeps everything in memory. ``osticket``, ``zammad`` and ``otobo`` are those
    helpdesks' switches. Faults that stand in the environment variable `TICKET_GATEWAY_SANDBOX_FAULTS` are switched on at
    once; pydantic's `ValidationError` is raised if they cannot be read. Switches and faults are not kept over a restart,
    tickets are.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        osticket: OsTicketSettings | None = None,
        zammad: ZammadSandboxSettings | None = None,
        otobo: OtoboSandboxSettings | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` gives seconds since 1970."""
        self.store = Store(folder)
        self.osticket = OsTicketSandbox(self.store, osticket, clock=clock)
        self.zammad = ZammadSandbox(self.store, zammad, clock=clock)
        self.otobo = OtoboSandbox(self.store, otobo, clock=clock)
        self.znuny = OtoboSandbox(self.store, name="znuny", clock=clock)
        self.smtp = SmtpSandbox(self.store, clock=clock)
        self.webhook = WebhookSandbox(self.store, clock=clock)
        known: tuple[Double, ...] = (self.osticket, self.zammad, self.otobo, self.znuny, self.smtp, self.webhook)
        self.doubles: Mapping[str, Double] = {double.name: double for double in known}
        presets = environ.get(FAULTS_VARIABLE, "")
        if presets:
            self.set_faults(parse_faults(presets))

    async def close(self) -> None:
        """End what still hangs and close the file."""
        await self.osticket.close()
        await self.otobo.close()
        await self.znuny.close()
        await self.zammad.close()
        await self.smtp.close()
        await self.webhook.close()
        self.store.close()

    def set_faults(self, faults: Mapping[str, list[Fault]]) -> None:
        """Replace the fault switches of the named helpdesks; raises `UnknownHelpdesk` and changes nothing."""
        unknown = [name for name in faults if name not in self.doubles]
        if unknown:
            known = ", ".join(self.doubles)
            raise UnknownHelpdesk(f"no helpdesk {', '.join(unknown)} in this sandbox, only {known}")
        for name, switches in faults.items():
            self.doubles[name].faults.replace(switches)

    def clear_faults(self) -> None:
        """Switch all faults off; requests that hang go on."""
        for double in self.doubles.values():
            double.faults.replace(())

    def described_faults(self) -> JsonObject:
        """All fault switches as JSON."""
        return {name: double.faults.described() for name, double in self.doubles.items()}

    def described_settings(self) -> JsonObject:
        """All switches of the helpdesks as JSON."""
        return {name: double.settings.model_dump(mode="json") for name, double in self.doubles.items()}

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """`{"osticket": {"latency": 0.04}}`; raises `UnknownHelpdesk` or pydantic's `ValidationError`."""
        for name, values in changes.items():
            if name not in self.doubles or not isinstance(values, dict):
                raise UnknownHelpdesk(f"no helpdesk {name} in this sandbox, only {', '.join(self.doubles)}")
        for name, values in changes.items():
            if isinstance(values, dict):
                self.doubles[name].change_settings(values)

    def tickets(self, helpdesk: str = "", limit: int = -1) -> list[JsonValue]:
        """All tickets, newest first, as `GET /sandbox/tickets.json` lists them."""
        found = self.store.tickets(helpdesk, limit)
        threads = self.store.threads(ticket.id for ticket in found)
        return [described(ticket, threads[ticket.id]) for ticket in found]


def described(ticket: Ticket, thread: Thread) -> JsonObject:
    """A ticket as JSON; times in seconds since 1970."""
    return {
        "id": ticket.id,
        "helpdesk": ticket.helpdesk,
        "number": ticket.number,
        "subject": ticket.subject,
        "requester": {"name": ticket.requester, "email": ticket.address, "id": ticket.owner},
        "status": ticket.status,
        "priority": ticket.priority,
        "topic": ticket.topic,
        "department": ticket.department,
        "assignee": ticket.assignee,
        "source": ticket.source,
        "ip": ticket.ip,
        "fields": {name: value for name, value in ticket.fields.items() if not name.startswith(".")},
        "created": ticket.created,
        "updated": ticket.updated,
        "entries": [
            {
                "id": entry.id,
                "type": entry.kind,
                "poster": entry.poster,
                "title": entry.title,
                "body": entry.body,
                "format": entry.format,
                "message_id": entry.message_id,
                "created": entry.created,
                "attachments": [
                    {
                        "id": file.id,
                        "filename": file.filename,
                        "type": file.media_type,
                        "size": file.size,
                        "inline": file.inline,
                        "sha256": file.sha256,
                    }
                    for file in entry.attachments
                ],
            }
            for entry in thread.entries
        ],
        "events": [{"type": event.kind, "detail": event.detail, "created": event.created} for event in thread.events],
        "mails": [
            {"to": mail.recipient, "subject": mail.subject, "message_id": mail.message_id} for mail in thread.mails
        ],
    }
