"""What the Zammad double makes of the keys of a ticket and of an article, with its silences and its refusals."""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import nh3
import orjson

from gateway.helpdesks.zammad.sandbox_answers import Refused, database_error, unprocessable
from gateway.helpdesks.zammad.sandbox_records import CUSTOMERS, NAME, NOBODY
from gateway.helpdesks.zammad.sandbox_settings import Agent, ZammadSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import NewAttachment, NewEntry
from gateway.sandbox.store import Store

MOST_BODY = 1_500_000
MOST_TITLE = 250
PENDING = {3, 4}
_DATA_IMAGE = re.compile(
    r"""(<img\b[^>]*?\bsrc=["'])data:(image/[a-z]+);base64,([A-Za-z0-9+/=\s]+)(["'])""", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")
_COMMUNICATION = {"email", "phone", "web", "sms"}


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, with what its token may do."""

    user: int
    agent: Agent
    permissions: frozenset[str]

    def may(self, right: str) -> bool:
        """Whether it has a right in the groups."""
        return "ticket.agent" in self.permissions and ("full" in self.agent.rights or right in self.agent.rights)


class Values:
    """References of a request, looked up as Zammad does it: by `_id` first, by name exactly, numbers as names too."""

    def __init__(self, raw: JsonObject, settings: ZammadSandboxSettings, store: Store) -> None:
        self._raw = raw
        self._settings = settings
        self._store = store

    def has(self, name: str) -> bool:
        """Whether the request gives it, by name or id."""
        return self._raw.get(name) not in (None, "") or self._raw.get(f"{name}_id") not in (None, "")

    def one(self, name: str, names: Mapping[int, str]) -> int | None:
        """The id of a group, state or priority."""
        given = self._raw.get(f"{name}_id")
        if given not in (None, ""):
            if not isinstance(given, int | str) or not str(given).isdigit() or int(given) not in names:
                raise unprocessable(f"Invalid value for param '{name}_id': {given}")
            return int(given)
        text = self._raw.get(name)
        if text in (None, ""):
            return None
        for number, known in names.items():
            if known == text:
                return number
        raise unprocessable(f"No lookup value found for '{name}': {orjson.dumps(text).decode()}")

    def owner(self) -> int | None:
        """An agent by login or id; nobody where it is empty."""
        if "owner_id" in self._raw and self._raw["owner_id"] not in (None, ""):
            given = self._raw["owner_id"]
            if given not in self._settings.agents and given != NOBODY:
                raise unprocessable(f"Invalid value for param 'owner_id': {given}")
            return int(str(given))
        login = self._raw.get("owner")
        if login in (None, ""):
            return None
        if not isinstance(login, str):
            raise unprocessable(f"String is needed as ref value {login} for 'owner'")
        for number, agent in self._settings.agents.items():
            if agent.login == login:
                return number
        raise unprocessable(f"No lookup value found for 'owner': {orjson.dumps(login).decode()}")

    def customer(self) -> int | None:
        """The customer; `guess:` and an object make one that is not there."""
        given = self._raw.get("customer_id")
        if isinstance(given, str) and given.startswith("guess:"):
            address = given.removeprefix("guess:").strip()
            if not _ADDRESS.fullmatch(address):
                raise Refused(422, f"Invalid email '{address}' of customer")
            return self._person(address, "")
        if isinstance(given, int):
            return given
        value = self._raw.get("customer")
        if isinstance(value, dict):
            name = f"{value.get('firstname') or ''} {value.get('lastname') or ''}".strip()
            return self._person(str(value.get("email") or ""), name)
        if value in (None, ""):
            return None
        if not isinstance(value, str):
            raise unprocessable(f"String is needed as ref value {value} for 'customer'")
        known = self._store.person(NAME, value.lower())
        if known is None:
            raise unprocessable(f"No lookup value found for 'customer': {orjson.dumps(value).decode()}")
        return CUSTOMERS + known.id

    def _person(self, address: str, name: str) -> int:
        known = self._store.person(NAME, address.lower())
        return CUSTOMERS + (known or self._store.add_person(NAME, address.lower(), name)).id


def title(value: JsonValue) -> str:
    """White space becomes blanks; what the column does not hold is the database's error."""
    text = re.sub(r"[\r\n\t]", " ", str(value or ""))
    if not text.strip():
        raise unprocessable("The required value 'title' is missing.")
    if len(text) > MOST_TITLE:
        raise database_error()
    return text


def tags(value: JsonValue) -> tuple[str, ...]:
    """One text with commas. An array ends as a server error."""
    if value is None:
        return ()
    if not isinstance(value, str):
        raise Refused(500, "undefined method 'split' for an instance of Array", masked=True)
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def pending(state_type: int, raw: JsonObject, before: str) -> str:
    """The time of a pending state; it is cleared when the state is no pending one."""
    if state_type not in PENDING:
        return ""
    given = str(raw.get("pending_time") or before)
    if not given:
        raise unprocessable("Missing required value for field 'pending_time'!")
    return given


def article(raw: JsonObject, who: Who, subject: str, settings: ZammadSandboxSettings) -> NewEntry:
    """An article to be stored.

    Raises:
        Refused: as Zammad refuses it.
    """
    newer = settings.release == "newer"
    if "body" not in raw or (newer and not raw["body"]):
        told = "Need at least an 'article body' field." if newer else 'Need at least article: { body: "some text" }'
        raise unprocessable(told)
    body = str(raw["body"] or "")
    if len(body) > MOST_BODY:
        raise unprocessable(f"body of article is too large, {len(body)} chars - only {MOST_BODY} allowed")
    if "data-mention-user-id" in body:
        raise unprocessable("Couldn't find User with 'id'=0")
    files = _attachments(raw.get("attachments"))
    rich = raw.get("content_type") == "text/html"
    if rich:
        body, inline = _without_data_images(body)
        files = (*files, *inline)
    for name, most in (("subject", 3000), ("message_id", 3000), ("in_reply_to", 3000), ("references", 3200)):
        if len(str(raw.get(name) or "")) > most:
            raise database_error()
    kind, sender = str(raw.get("type") or "note"), str(raw.get("sender") or "Agent")
    message_id = raw.get("message_id")
    if kind == "email" and sender == "Agent":
        message_id = f"<sandbox.{secrets.token_hex(8)}@helpdesk.example>"  # the server makes its own
    preferences = raw.get("preferences")
    return NewEntry(
        kind="note" if raw.get("internal") is True else "response" if sender == "Agent" else "message",
        poster=who.agent.name,
        body=body,
        format="html" if rich else "text",
        title=" ".join(str(raw.get("subject") or subject).split()),
        message_id=message_id if isinstance(message_id, str) else None,
        attachments=files,
        details={
            "type": kind,
            "sender": sender,
            "internal": "true" if raw.get("internal") is True else "false",
            "preferences": orjson.dumps(preferences if isinstance(preferences, dict) else {}).decode(),
            "created_by": who.agent.login,
            "to": str(raw.get("to") or ""),
        },
    )


def acknowledged(entry: NewEntry) -> bool:
    """Whether the stock trigger mails the customer about a new ticket with this article."""
    return entry.details["type"] in _COMMUNICATION and entry.details["sender"] == "Customer"


def _attachments(raw: JsonValue) -> tuple[NewAttachment, ...]:
    files: list[NewAttachment] = []
    for index, one in enumerate(raw if isinstance(raw, list) else []):
        given = one if isinstance(one, dict) else {}
        for key in ("filename", "data", "mime-type"):
            if not given.get(key):
                raise unprocessable(f"Attachment needs '{key}' param for attachment with index '{index}'")
        try:
            data = base64.b64decode("".join(str(given["data"]).split()), validate=True)
        except (binascii.Error, ValueError):
            raise unprocessable(f"Invalid base64 for attachment with index '{index}'") from None
        files.append(NewAttachment(str(given["filename"]), str(given["mime-type"]), data))
    return tuple(files)


def _without_data_images(body: str) -> tuple[str, tuple[NewAttachment, ...]]:
    """HTML is sanitised, and images inside it become inline attachments."""
    files: list[NewAttachment] = []

    def cut(match: re.Match[str]) -> str:
        content_id = f"{secrets.token_hex(8)}@helpdesk.example"
        media_type = match[2].lower()
        name = f"image{len(files) + 1}.{media_type.partition('/')[2]}"
        data = base64.b64decode("".join(match[3].split()))
        files.append(NewAttachment(name, media_type, data, inline=True, content_id=content_id))
        return f"{match[1]}cid:{content_id}{match[4]}"

    cut_out = _DATA_IMAGE.sub(cut, body)
    return nh3.clean(cut_out, url_schemes={"http", "https", "mailto", "cid"}), tuple(files)
