"""Events: one meaning each, parsed from a receipt."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an event says."""

    PROBLEM = "problem"
    UPDATE = "update"
    RECOVERY = "recovery"
    ACKNOWLEDGEMENT = "acknowledgement"
    CUSTOM = "custom"
    FLAPPING_START = "flapping_start"
    FLAPPING_STOP = "flapping_stop"
    DOWNTIME_START = "downtime_start"
    DOWNTIME_END = "downtime_end"
    DOWNTIME_CANCELLED = "downtime_cancelled"
    INFORMATION = "information"
    MESSAGE = "message"
    BOUNCE = "bounce"
    RAW = "raw"


class Severity(StrEnum):
    """How bad it is: ``info < warning < minor < major < critical``, and ``unknown``, which compares with nothing."""

    INFO = "info"
    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int | None:
        """0 for ``info`` up to 4 for ``critical``; None for ``unknown``."""
        return _RANKS.get(self)


_RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.MINOR: 2, Severity.MAJOR: 3, Severity.CRITICAL: 4}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with an event. ``content_id`` is without angle brackets.

    ``media_type`` is what the sender says; ``detected_type`` is what the content looks like, empty if it was not looked
    at or looks like nothing in particular.
    """

    filename: str
    media_type: str
    content: bytes = field(repr=False)
    inline: bool = False
    content_id: str = ""
    detected_type: str = ""

    @property
    def size(self) -> int:
        """Octets."""
        return len(self.content)

    @property
    def sha256(self) -> str:
        """The digest of the content, 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """A link back to where the event came from."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Event:
    """One meaning parsed from a receipt.

    * ``state``: the sender's own word (``CRITICAL``, ``DOWN``, ``High``), for people.
    * ``still_in_problem``: how the object stands after the event; None where the sender does not say.
    * ``origin_key``: the sender's own name for what has the problem; (source, origin_key) is the member. Never empty
      for a problem or what follows one.
    * ``group``: the sender's name for the group of alerts in which this one came; ``group_over``: the sender says that all of
      it has recovered; ``group_whole``: the delivery names every alert of the group that is a problem now, so one that is
      missing is none any more.
    * ``problem_id``: the sender's id of this episode, where it has one that can be trusted (Zabbix event id).
    * ``occurred_at``: only where the time's zone is certain, from the sender or from the source's ``timezone``.
    * ``duplicate_key``: the sender's id of this very delivery, found in the payload; the same value from the same
      source again is the same event. Empty where there is none.
    * ``to``, ``cc``: addresses that a mail's headers name; ``recipients`` are those it was really sent to, if known.
    * ``message_id``, ``in_reply_to``, ``references``: of a mail, without angle brackets.
    * ``returned_ids``: Message-IDs of the mail that a bounce is about, and of what that one referred to.
    * ``auto_generated``: a machine wrote the mail; which kind is the label ``mail.auto``.
    * ``reply_text``: what a person wrote in a mail, without quotes and signature; ``text`` is the whole.
    """

    kind: Kind
    severity: Severity = Severity.UNKNOWN
    title: str = ""
    text: str = ""
    html: str = ""
    state: str = ""
    still_in_problem: bool | None = None
    host: str = ""
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    origin_key: str = ""
    problem_id: str = ""
    group: str = ""
    group_over: bool = False
    group_whole: bool = False
    occurred_at: float | None = None
    links: tuple[Link, ...] = ()
    sender_name: str = ""
    sender_address: str = ""
    recipients: tuple[str, ...] = ()
    duplicate_key: str = ""
    attachments: tuple[Attachment, ...] = ()
    reasons: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    auto_generated: bool = False
    reply_text: str = ""
    returned_ids: tuple[str, ...] = ()

    @property
    def ends_problem(self) -> bool:
        """True if the event says that the problem is over (design: what ends a problem)."""
        if self.kind is Kind.RECOVERY:
            return True
        return self.still_in_problem is False and self.kind in {
            Kind.FLAPPING_STOP,
            Kind.DOWNTIME_END,
            Kind.DOWNTIME_CANCELLED,
        }


def event_to_json(event: Event) -> dict[str, object]:
    """An event as it is shown and stored: its fields by name, attachments without their contents."""
    return {
        "kind": event.kind.value,
        "severity": event.severity.value,
        "title": event.title,
        "text": event.text,
        "html": event.html,
        "state": event.state,
        "still_in_problem": event.still_in_problem,
        "host": event.host,
        "service": event.service,
        "labels": dict(event.labels),
        "origin_key": event.origin_key,
        "problem_id": event.problem_id,
        "group": event.group,
        "group_over": event.group_over,
        "group_whole": event.group_whole,
        "occurred_at": event.occurred_at,
        "links": [{"title": link.title, "url": link.url} for link in event.links],
        "sender_name": event.sender_name,
        "sender_address": event.sender_address,
        "recipients": list(event.recipients),
        "to": list(event.to),
        "cc": list(event.cc),
        "message_id": event.message_id,
        "in_reply_to": list(event.in_reply_to),
        "references": list(event.references),
        "returned_ids": list(event.returned_ids),
        "auto_generated": event.auto_generated,
        "reply_text": event.reply_text,
        "duplicate_key": event.duplicate_key,
        "attachments": [
            {
                "filename": attachment.filename,
                "media_type": attachment.media_type,
                "detected_type": attachment.detected_type,
                "size": attachment.size,
                "inline": attachment.inline,
                "content_id": attachment.content_id,
                "sha256": attachment.sha256,
            }
            for attachment in event.attachments
        ],
        "reasons": [str(reason) for reason in event.reasons],
    }
