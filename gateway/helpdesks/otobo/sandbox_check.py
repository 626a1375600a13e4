"""The checks of create and update, in their order: the first failure is the only one that is told."""

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.helpdesks.otobo.sandbox_answers import Refused
from gateway.helpdesks.otobo.sandbox_settings import Agent, Customer, DynamicField, OtoboSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import NewAttachment

RESPONSES = frozenset({"auto reply", "auto reject", "auto follow up", "auto reply/new ticket", "auto remove"})
CHANNELS = {"Email": 1, "Phone": 2, "Internal": 3}
_ADDRESS = re.compile(r'(?:"?[^"<>]*"?\s*<)?([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]{2,})>?')
_EXAMPLE = re.compile(r"@example\.[a-z]{2,3}$", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+(\s*;.*)?", re.IGNORECASE)
_MOST_DIGITS = 9
_CHARSETS = frozenset({"utf-8", "utf8", "iso-8859-1", "us-ascii", "iso-8859-15", "windows-1252"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What a request wants, once it is known that all of it is acceptable. Values are names, never ids."""

    ticket: dict[str, JsonValue]
    articles: tuple[JsonObject, ...]
    dynamic: tuple[tuple[str, JsonValue], ...] = ()
    files: tuple[NewAttachment, ...] = field(default=())


class Checks:
    """The checks of one request."""

    def __init__(self, operation: str, settings: OtoboSandboxSettings) -> None:
        self._operation = operation
        self._settings = settings

    def missing(self, what: str) -> Refused:
        """A parameter that is absent or empty."""
        return Refused(self._operation, "MissingParameter", what)

    def invalid(self, what: str) -> Refused:
        """A value that is unknown or malformed."""
        return Refused(self._operation, "InvalidParameter", what)

    def customer(self, value: JsonValue) -> tuple[str, Customer | None]:
        """The customer as it is stored, and its record."""
        text = str(value).strip()
        customers = self._settings.customers
        for login, record in customers.items():
            if text.lower() in {login.lower(), record.email.lower()}:
                return login, record
        for one in text.split(","):
            match = _ADDRESS.fullmatch(one.strip())
            if match is None or (self._settings.check_invalid_address and _EXAMPLE.search(match[1])):
                raise self.invalid("Ticket->CustomerUser parameter is invalid!")
        return text, None

    def ticket(self, given: Mapping[str, JsonValue], *, new: bool) -> dict[str, JsonValue]:
        """The ticket's values by name."""
        settings = self._settings
        wanted: dict[str, JsonValue] = {}
        if new:
            for name in ("Title", "CustomerUser"):
                if str(given.get(name) or "0").strip() == "0":
                    raise self.missing(f"Ticket->{name} parameter is missing!")
        if "Title" in given:
            wanted["Title"] = str(given["Title"])
        if "CustomerUser" in given:
            wanted["CustomerUser"] = self.customer(given["CustomerUser"])[0]
        if "CustomerID" in given:
            wanted["CustomerID"] = str(given["CustomerID"])
        queue = self._one_of(given, "Queue", list(settings.queues), required=new)
        if queue:
            wanted["Queue"] = queue
        if "Lock" in given and str(given["Lock"]) not in {"lock", "unlock"}:
            raise self.invalid("Ticket->LockID or Ticket->Lock parameter is invalid!")
        if "Lock" in given:
            wanted["Lock"] = given["Lock"]
        for name, known in (
            ("Type", settings.types),
            ("Service", settings.services_of_customers),
            ("SLA", settings.slas),
        ):
            value = self._one_of(given, name, list(known))
            if value:
                wanted[name] = value
        self._allowed(wanted)
        for name, states in (("State", list(settings.states)), ("Priority", list(settings.priorities))):
            value = self._one_of(given, name, states, required=new)
            if value:
                wanted[name] = value
        for name in ("Owner", "Responsible"):
            value = self._one_of(given, name, ["root@localhost", *settings.agents])
            if value:
                wanted[name] = value
        if "PendingTime" in given:
            wanted["PendingTime"] = self._pending(given["PendingTime"])
        return wanted

    def _allowed(self, wanted: Mapping[str, JsonValue]) -> None:
        service, sla = wanted.get("Service"), wanted.get("SLA")
        customer = wanted.get("CustomerUser")
        if isinstance(service, str) and customer not in {None, *self._settings.services_of_customers[service]}:
            raise self.invalid("Ticket->ServiceID or Ticket->Service parameter is invalid!")
        if isinstance(sla, str) and self._settings.slas[sla] != service:
            raise self.invalid("Ticket->SLAID or Ticket->SLA parameter is invalid!")

    def _one_of(
        self, given: Mapping[str, JsonValue], name: str, known: list[str], *, required: bool = False
    ) -> str | None:
        """By id, which wins, or by name without regard to case: the database compares so."""
        words = f"Ticket->{name}ID or Ticket->{name} parameter is"
        number, text = given.get(f"{name}ID"), given.get(name)
        if number not in (None, ""):
            if whole_number(str(number)) and 0 < int(str(number)) <= len(known):
                return known[int(str(number)) - 1]
            raise self.invalid(f"{words} invalid!")
        if text in (None, ""):
            if required:
                raise self.missing(f"{words} required!")
            return None
        found = next((one for one in known if one.lower() == str(text).lower()), None)
        if found is None:
            raise self.invalid(f"{words} invalid!")
        return str(text) if name == "Queue" else found  # the wrong case shows later

    def _pending(self, value: JsonValue) -> JsonValue:
        words = "Ticket->PendingTime parameter is invalid!"
        if not isinstance(value, dict):
            raise self.invalid(words)
        numbers = [str(one) for one in value.values()]
        if not numbers or not all(whole_number(one) for one in numbers) or int(str(value.get("Month", 1))) > 12:
            raise self.invalid(words)
        return value

    def article(self, given: JsonValue) -> JsonObject:
        """One article with its defaults."""
        if not isinstance(given, dict) or not given:
            raise self.missing("Article parameter is missing or not valid!")
        for name in ("Subject", "Body"):
            if str(given.get(name) or "").strip() in {"", "0"}:
                raise self.missing(f"Article->{name} parameter is missing!")
        response = given.get("AutoResponseType")
        if response not in (None, "") and str(response) not in RESPONSES:
            raise self.invalid("Article->AutoResponseType parameter is invalid!")
        channel = str(given.get("CommunicationChannel") or "Internal")
        if channel not in CHANNELS:
            raise self.invalid("Article->CommunicationChannelID or Article->CommunicationChannel parameter is invalid!")
        sender = str(given.get("SenderType") or "agent")
        if sender not in {"agent", "system", "customer"}:
            raise self.invalid("Article->SenderTypeID or Article->SenderType parameter is invalid!")
        if given.get("From") and _ADDRESS.fullmatch(str(given["From"]).strip()) is None:
            raise self.invalid("Article->From parameter is invalid!")
        return {
            **given,
            "ContentType": self._content_type(given),
            "CommunicationChannel": channel,
            "SenderType": sender,
        }

    def _content_type(self, given: Mapping[str, JsonValue]) -> str:
        if given.get("ContentType"):
            value = str(given["ContentType"]).lower()
            charset = re.search(r"charset=\"?([\w-]+)", value)
            if not _CONTENT_TYPE.fullmatch(value) or (charset and charset[1] not in _CHARSETS):
                raise self.invalid("Article->ContentType is invalid!")
            return value
        if not given.get("MimeType") and not given.get("Charset"):
            raise self.missing("Article->ContentType or Ticket->MimeType and Article->Charset parameters are required!")
        for name in ("MimeType", "Charset"):
            if not given.get(name):
                raise self.missing(f"Article->{name} is required!")
        return f"{given['MimeType']}; charset={given['Charset']}".lower()

    def dynamic(self, given: JsonValue) -> tuple[tuple[str, JsonValue], ...]:
        """Dynamic fields of the ticket."""
        if given is None:
            return ()
        listed = given if isinstance(given, list) else [given]
        if not listed or not all(isinstance(one, dict) for one in listed) or listed == [{}]:
            raise self.missing("DynamicField parameter is missing or not valid!")
        return tuple(self._dynamic(one) for one in listed if isinstance(one, dict))

    def _dynamic(self, one: Mapping[str, JsonValue]) -> tuple[str, JsonValue]:
        name, value = one.get("Name"), one.get("Value")
        if name in (None, ""):
            raise self.missing("DynamicField->Name  parameter is missing!")
        if value is None or isinstance(value, bool | dict):
            raise self.missing("DynamicField->Value  parameter is missing!")
        known = self._settings.dynamic_fields.get(str(name))
        if known is None:
            raise self.invalid("DynamicField->Name parameter is invalid!")
        if value != "" and not _acceptable(known, value):
            raise self.invalid("DynamicField->Value parameter is invalid!")
        return str(name), value

    def files(self, given: JsonValue) -> tuple[NewAttachment, ...]:
        """Attachments, their base64 decoded as leniently as the helpdesk does."""
        if given is None:
            return ()
        listed = given if isinstance(given, list) else [given]
        if not listed or not all(isinstance(one, dict) for one in listed):
            raise self.missing("Attachment parameter is missing or not valid!")
        found: list[NewAttachment] = []
        for one in listed:
            assert isinstance(one, dict)
            for name in ("Content", "ContentType", "Filename"):
                if one.get(name) in (None, ""):
                    raise self.missing(f"Attachment->{name}  parameter is missing!")
            kind = str(one["ContentType"]).lower()
            if "/" not in kind:
                raise self.invalid("Attachment->ContentType parameter is invalid!")
            found.append(_file(one, kind, [file.filename for file in found]))
        return tuple(found)

    def may(self, agent: Agent | None, queue: str, *wanted: str) -> bool:
        """Whether an agent has one of these permissions on the queue's group; customers are not asked."""
        if agent is None:
            return True
        group = next((group for name, group in self._settings.queues.items() if name.lower() == queue.lower()), "")
        return bool({"rw", *wanted} & set(agent.groups.get(group, ())))


def whole_number(text: str) -> bool:
    """Whether a text is a whole number that a column takes."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _acceptable(known: DynamicField, value: JsonValue) -> bool:
    texts = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    match known.kind:
        case "dropdown":
            return not isinstance(value, list) and texts[0] in known.keys
        case "multiselect":
            return all(text in known.keys for text in texts)
        case "checkbox":
            return texts[0] in {"0", "1"}
        case "date":
            return re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", texts[0]) is not None
        case "text":
            return isinstance(value, list) or not known.pattern or re.search(known.pattern, texts[0]) is not None


def _file(one: Mapping[str, JsonValue], kind: str, taken: Collection[str]) -> NewAttachment:
    letters = re.sub(r"[^A-Za-z0-9+/]", "", str(one["Content"]))
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    data = base64.b64decode(letters + "=" * (-len(letters) % 4))
    name = re.sub(r"[\r\n]", "", str(one["Filename"])).replace("..", "")
    stem, dot, ending = name.rpartition(".")
    number = 0
    plain = name
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{ending}" if dot else f"{plain}-{number}"
    content_id = str(one.get("ContentID") or "").strip("<>")
    return NewAttachment(name, kind, data, str(one.get("Disposition") or "") == "inline", content_id)
