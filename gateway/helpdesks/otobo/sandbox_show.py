"""Tickets, articles and history as the Generic Interface shows them."""

import html
import json
import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gateway.helpdesks.otobo.sandbox_check import CHANNELS
from gateway.helpdesks.otobo.sandbox_settings import ANNA, ANNA_ID, OtoboSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import Attachment, Entry, Thread, Ticket

DYNAMIC = "DynamicField_"
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/h[1-6]|/li)\b[^<>]*>", re.IGNORECASE)
_BY_ANNA = f" (by {ANNA})"
_ARTICLE = re.compile(r" \(article (\d+)\)$")  # how an entry of the history names its article in the store
_TAG = re.compile(r"<[^<>]*>")
_KEPT = frozenset(
    {"ArticleID", "ArticleNumber", "TicketID", "SenderType", "SenderTypeID", "IsVisibleForCustomer"}
) | frozenset({"CommunicationChannelID", "CreateTime", "ChangeTime", "CreateBy", "ChangeBy"})
_PROCESS = ("ProcessManagementActivityID", "ProcessManagementProcessID")


def dynamic_values(ticket: Ticket) -> dict[str, JsonValue]:
    """The ticket's dynamic fields that have a value."""
    found: dict[str, JsonValue] = {}
    for name, text in ticket.fields.items():
        if name.startswith(DYNAMIC):
            found[name.removeprefix(DYNAMIC)] = json.loads(text) if text.startswith("[") else text
    return found


def local_time(seconds: float) -> str:
    """Without zone: the helpdesk's own, which is UTC here."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Shower:
    """Makes the answers of one double."""

    def __init__(self, settings: OtoboSandboxSettings, now: float, draw: random.Random) -> None:
        self._settings = settings
        self._now = now
        self._draw = draw

    def ticket(self, ticket: Ticket, *, dynamic: bool) -> JsonObject:
        """A ticket without articles."""
        settings, extra = self._settings, ticket.fields
        lock = extra.get("lock", "unlock")
        shown: JsonObject = {
            "TicketID": self._varied(ticket.id),
            "TicketNumber": ticket.number,
            "Title": ticket.subject,
            "Queue": ticket.department,
            "QueueID": _index(list(settings.queues), ticket.department),
            "GroupID": 1,
            "State": ticket.status,
            "StateID": _index(list(settings.states), ticket.status),
            "StateType": settings.states.get(ticket.status, ""),
            "Priority": ticket.priority,
            "PriorityID": _index(list(settings.priorities), ticket.priority),
            "Lock": lock,
            "LockID": 2 if lock == "lock" else 1,
            "Type": ticket.topic,
            "TypeID": _index(list(settings.types), ticket.topic),
            "ServiceID": "",
            "SLAID": "",
            "Owner": ticket.assignee,
            "OwnerID": self._agent_id(ticket.assignee),
            "Responsible": extra.get("responsible", "root@localhost"),
            "ResponsibleID": self._agent_id(extra.get("responsible", "root@localhost")),
            "CustomerID": extra.get("customer_id") or None,
            "CustomerUserID": ticket.address,
            "Created": local_time(ticket.created),
            "Changed": local_time(ticket.updated),
            "CreateBy": 4,
            "ChangeBy": 4,
            "Age": int(self._now - ticket.created),
            "UnlockTimeout": int(ticket.updated),
            "UntilTime": max(0, int(float(extra.get("pending", "0")) - self._now)),
            "RealTillTimeNotUsed": int(float(extra.get("pending", "0"))),
            "ArchiveFlag": "n",
            **dict.fromkeys(
                ("EscalationTime", "EscalationUpdateTime", "EscalationResponseTime", "EscalationSolutionTime"), 0
            ),
        }
        for name, key in (("Service", "service"), ("SLA", "sla")):
            if extra.get(key):
                shown[name] = extra[key]
        if dynamic:
            values = dynamic_values(ticket)
            names = sorted([*(n for n, one in settings.dynamic_fields.items() if one.of == "Ticket"), *_PROCESS])
            shown["DynamicField"] = [{"Name": name, "Value": values.get(name)} for name in names]
        return shown

    def article(
        self,
        ticket: Ticket,
        entry: Entry,
        number: int,
        *,
        files: Callable[[Attachment], str | None] | None,
        numbered: bool = True,
    ) -> JsonObject:
        """An article; ``files`` gives a file's base64, or nothing where contents are not wanted."""
        details = entry.details
        visible = details.get("IsVisibleForCustomer", "1") == "1"
        channel = details.get("CommunicationChannel", "Internal")
        content_type = (
            "text/plain; charset=utf-8"
            if entry.format == "html"
            else details.get("ContentType", "text/plain; charset=utf-8")
        )
        shown: JsonObject = {
            "ArticleID": entry.id,
            "ArticleNumber": number,
            "TicketID": ticket.id,
            "Subject": entry.title,
            "Body": text_of(entry.body) if entry.format == "html" else entry.body,
            "From": entry.poster,
            "To": details.get("To", ""),
            "Cc": details.get("Cc", ""),
            "SenderType": details.get("SenderType", "agent"),
            "SenderTypeID": {"agent": "1", "system": "2", "customer": "3"}[details.get("SenderType", "agent")],
            "IsVisibleForCustomer": int(visible),
            "CommunicationChannelID": CHANNELS[channel],
            "ContentType": content_type,
            "MimeType": content_type.partition(";")[0],
            "Charset": content_type.rpartition("charset=")[2],
            "ContentCharset": content_type.rpartition("charset=")[2],
            "CreateTime": local_time(entry.created),
            "ChangeTime": local_time(entry.created),
            "IncomingTime": int(entry.created),
            "CreateBy": 4,
            "ChangeBy": 4,
            "IsEdited": 0,
            "IsDeleted": 0,
            "DynamicField": [
                {"Name": name, "Value": None}
                for name, one in self._settings.dynamic_fields.items()
                if one.of == "Article"
            ],
            **dict.fromkeys(("Bcc", "ReplyTo", "MessageID", "InReplyTo", "References"), ""),
        }
        if files is not None:
            listed = [file for file in entry.attachments if file.filename != "file-2"]
            if listed:
                shown["Attachment"] = [
                    {
                        "Filename": file.filename,
                        "ContentType": file.media_type,
                        "Disposition": "inline" if file.inline else "attachment",
                        "ContentID": f"<{file.content_id}>" if file.content_id else "",
                        "ContentAlternative": "",
                        "FilesizeRaw": str(file.size) if file.size else 0,
                        "Content": files(file) or "",
                        **({"FileID": str(index)} if numbered else {}),
                    }
                    for index, file in enumerate(listed, 1)
                ]
        return shown

    def bare_article(self, ticket: Ticket, entry: Entry, number: int) -> JsonObject:
        """An older article in the answer to an update: without what it says."""
        whole = self.article(ticket, entry, number, files=None)
        return {name: whole[name] for name in _KEPT}

    def history(self, ticket: Ticket, thread: Thread) -> JsonValue:
        """All entries, the oldest first."""
        return [
            {
                "HistoryType": event.kind,
                "HistoryTypeID": 1,
                "Name": _ARTICLE.sub("", event.detail.removesuffix(_BY_ANNA)),
                "CreateTime": local_time(event.created),
                "CreateBy": ANNA_ID if event.detail.endswith(_BY_ANNA) else 4,
                "ArticleID": int(found[1]) if (found := _ARTICLE.search(event.detail.removesuffix(_BY_ANNA))) else 0,
                "TicketID": str(ticket.id),
                "QueueID": _index(list(self._settings.queues), ticket.department),
                "StateID": _index(list(self._settings.states), ticket.status),
                "PriorityID": _index(list(self._settings.priorities), ticket.priority),
                "TypeID": 1,
                "OwnerID": self._agent_id(ticket.assignee),
            }
            for event in thread.events
        ]

    def _varied(self, number: int) -> JsonValue:
        """A number or its text: clients must take both."""
        return number if self._draw.random() < 0.5 else str(number)

    def _agent_id(self, login: str) -> int:
        agent = self._settings.agents.get(login)
        return agent.id if agent is not None else 1


def text_of(markup: str) -> str:
    """The plain text that the helpdesk keeps of an HTML article."""
    lines = html.unescape(_TAG.sub("", _BREAKS.sub("\n", markup))).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def _index(names: list[str], name: str) -> int:
    return names.index(name) + 1 if name in names else 0


def ids_of(value: JsonValue) -> list[str]:
    """Ids given as one, as a list or with commas."""
    texts = [str(one) for one in value] if isinstance(value, list) else str(value).split(",")
    return [text.strip() for text in texts if text.strip()]


def truth(asked: Mapping[str, JsonValue], name: str, *, default: bool = False) -> bool:
    """A switch as Perl reads it: 0, empty and null are false, any other text is true."""
    value = asked.get(name)
    return default if value is None else value not in (0, "0", "", False)
