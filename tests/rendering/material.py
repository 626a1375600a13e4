"""Plans, contexts and events that the rendering tests share."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gateway.config.models import IncidentPolicy, Ticket
from gateway.incidents.transition import Purpose
from gateway.model.action import TicketDraft
from gateway.model.event import Attachment, Event, Kind, Link, Severity
from gateway.model.incident import Incident, IncidentState, TicketRef
from gateway.model.json import JsonValue
from gateway.model.plan import Plan, Policy
from gateway.rendering.compile import compile_plan
from gateway.rendering.context import Context
from gateway.rendering.environment import RenderFailed
from gateway.rendering.render import draft

ROOT = Path(__file__).parent.parent.parent
SHIPPED = {
    folder.name: {file.name: file.read_text("utf-8") for file in folder.iterdir()}
    for folder in (ROOT / "templates").iterdir()
}
RECEIPT = "01990000-7c1e-7a00-8000-000000000001"
BEGAN = 1795309500.0  # 2026-11-22 01:05 UTC

NAGIOS = Event(
    kind=Kind.PROBLEM,
    severity=Severity.CRITICAL,
    title="CRITICAL: HTTP on web01",
    text="HTTP CRITICAL - connection refused\nsecond <line> & more",
    state="CRITICAL",
    still_in_problem=True,
    host="web01",
    service="HTTP",
    labels={
        "alias": "Web front-end 01",
        "address": "192.0.2.10",
        "hostgroups": "linux",
        "notes": "customer facing",
        "attempt": "2",
    },
    origin_key='["web01","HTTP"]',
    occurred_at=BEGAN,
    links=(
        Link("Service notes", "https://wiki.example.org/svc/HTTP"),
        Link("Service graphs", "https://graphs.example.org/s?host=web01&srv=HTTP"),
    ),
)
NAGIOS_RECOVERY = replace(
    NAGIOS,
    kind=Kind.RECOVERY,
    severity=Severity.INFO,
    title="OK: HTTP on web01",
    text="HTTP OK: 200 in 0.004 s",
    state="OK",
    still_in_problem=False,
    occurred_at=BEGAN + 7500,
)
NAGIOS_HOST = replace(
    NAGIOS,
    title="DOWN: web01",
    text="PING CRITICAL - Packet loss = 100%",
    state="DOWN",
    service="",
    links=(),
)
ZABBIX = Event(
    kind=Kind.PROBLEM,
    severity=Severity.MAJOR,
    title="Application is down on Web front-end 01 (Köln)",
    text="Operational data: status=0\nRestart the application.",
    state="High",
    still_in_problem=True,
    host="web01",
    labels={"scope": "availability", "host_name": "Web front-end 01 (Köln)", "address": "192.0.2.10"},
    origin_key="21",
    problem_id="21",
    links=(Link("Event in Zabbix", "https://zabbix.example.org/tr_events.php?triggerid=23133&eventid=21"),),
)
MINIMAL = Event(kind=Kind.PROBLEM, title="Disk full", origin_key="t")
FILES = replace(
    MINIMAL,
    text="Order 12 was refused.\nSee the log.",
    severity=Severity.MINOR,
    labels={"shop": "north", "order": "12"},
    attachments=(Attachment("log.txt", "text/plain", b"x" * 2100), Attachment("a.png", "image/png", b"x")),
)

MAIL = Event(
    kind=Kind.MESSAGE,
    title="Re: Printer on floor 3",
    text="It works again, thank you.\nAnn\n\nOn Fri, 20 Nov 2026 at 16:02, Support wrote:\n> Did you restart it?",
    reply_text="It works again, thank you.\nAnn",
    html="<div>It works <b>again</b>, thank you.<br>Ann</div><div>On Fri, 20 Nov 2026 at 16:02, Support wrote:</div>"
    '<blockquote><p>Did you restart it?</p></blockquote><img src="cid:logo@a" alt="logo">',
    labels={
        "mail.thread": "1@a",
        "mail.marks": "signed",
        "mail.auth": "fail",
        "mail.auth.why": "DMARC of example.org fails",
    },
    origin_key="1@a",
    occurred_at=BEGAN - 60,
    sender_name="Ann Adams",
    sender_address="ann@example.org",
    to=("support@tickets.example.org", "ben@example.org"),
    cc=("carl@example.org",),
    message_id="2@a",
)
MAIL_BELOW = replace(
    MAIL,
    text="On Fri, 20 Nov 2026 at 16:02, Support wrote:\n> Did you restart it?\n\nYes.",
    reply_text="Yes.",
    html="<p>On Fri, 20 Nov 2026 at 16:02, Support wrote:</p><blockquote>Did you restart it?</blockquote><p>Yes.</p>",
    labels={"mail.auto": "auto-replied"},
)


def incident(occurrences: int = 1) -> Incident:
    return Incident(
        id="01990000-7c1e-7a00-8000-0000000000aa",
        key="k",
        state=IncidentState.OPEN,
        version=1,
        route="r",
        helpdesk="osticket",
        plan="p",
        severity=Severity.CRITICAL,
        title="CRITICAL: HTTP on web01",
        host="web01",
        service="HTTP",
        occurrences=occurrences,
        sequence=1,
        opened_at=BEGAN,
        last_event_at=BEGAN,
        last_appended_at=BEGAN,
        ticket=TicketRef(helpdesk="osticket", id="777564", number="777564", url="https://desk.example.org/777564"),
    )


def context(
    event: Event,
    *,
    occurrences: int = 1,
    now: float = BEGAN,
    source: str = "nagios-hq",
    warnings: tuple[str, ...] = (),
) -> Context:
    return Context(
        event=event,
        source=source,
        source_kind=source.partition("-")[0],
        route="r",
        receipt_id=RECEIPT,
        received_at=now,
        now=now,
        incident=incident(occurrences=occurrences),
        status_url=f"https://gateway.example.org/receipts/{RECEIPT}",
        warnings=warnings,
    )


def plan(
    *,
    template: str = "alert",
    format: Literal["text", "html"] | None = None,  # noqa: A002 - the word of the configuration
    title: str | None = None,
    body: str | None = None,
    update: str | None = None,
    recovery: str | None = None,
    fields: dict[str, JsonValue] | None = None,
    variables: dict[str, str] | None = None,
) -> Plan:
    ticket = Ticket(
        helpdesk="osticket",
        template=template,
        format=format,
        title=title,
        body=body,
        update=update,
        recovery=recovery,
        fields=fields or {},
    )
    parts = ("r", ticket, IncidentPolicy(), variables or {})
    return compile_plan(parts, templates=SHIPPED, policy=Policy())


def made(plan: Plan, event: Event, purpose: Purpose = Purpose.PROBLEM) -> tuple[TicketDraft, RenderFailed | None]:
    return draft(plan, purpose, context(event), value_of=lambda name: value_of(event, name), clock=time.monotonic)


def value_of(event: Event, name: str) -> JsonValue:
    if name.startswith("labels."):
        return event.labels.get(name.removeprefix("labels."))
    value = getattr(event, name)
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)
