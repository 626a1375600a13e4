"""What the sandbox's JSON APIs understand: one plain API of its own, and as much of three known ones as the examples use.

A dialect reads a request into a `Call` and writes its answer; it stores nothing. GLPI, Request Tracker and Jira Service
Management were built after their documentation; none was compared with a live one.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Request
from gateway.sandbox.records import NewAttachment

_MARKER = re.compile(r"CF\.\{Gateway Key\} = '([0-9a-f]+)'")


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for: ``create``, ``note``, ``state``, ``search``, ``login``, ``well``, or nothing known (``what``)."""

    what: str
    ticket: str = ""
    title: str = ""
    text: str = ""
    state: str = ""
    marker: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[NewAttachment, ...] = ()


class Unreadable(Exception):
    """The request is not what this API takes; the message says what is missing."""


def read(dialect: str, path: str, request: Request, body: JsonValue) -> Call:
    """The call in a request; ``path`` begins below the dialect's own.

    Raises:
        Unreadable: a needed field is missing.
    """
    value: JsonObject = body if isinstance(body, dict) else {}
    parts = [part for part in path.split("/") if part]
    match dialect:
        case "glpi":
            return _glpi(request, parts, value)
        case "rt":
            return _rt(request, parts, value)
        case "jira":
            return _jira(request, parts, value)
        case _:
            return _plain(request, parts, value)


def _plain(request: Request, parts: list[str], body: JsonObject) -> Call:
    match request.method, parts:
        case "GET", ["tickets"]:
            return Call("search", marker=_query(request, "marker"))
        case "GET", ["me"]:
            return Call("well")
        case "POST", ["tickets"]:
            fields = {key: str(value) for key, value in body.items() if key not in {"title", "text", "marker"}}
            return Call("create", "", _needed(body, "title"), _text(body, "text"), "", _text(body, "marker"), fields)
        case "POST", ["tickets", ticket, "notes"]:
            return Call("note", ticket, text=_needed(body, "text"), marker=_text(body, "marker"))
        case "GET", ["tickets", ticket, "notes"]:
            return Call("notes", ticket)
        case (("PUT" | "PATCH"), ["tickets", ticket]):
            return Call("state", ticket, state=_needed(body, "state"), text=_text(body, "text"))
        case _:
            return Call("")


def _glpi(request: Request, parts: list[str], body: JsonObject) -> Call:
    value = body.get("input")
    given: JsonObject = value if isinstance(value, dict) else {}
    match request.method, parts:
        case "GET", ["initSession"]:
            return Call("login")
        case "GET", ["getMyProfiles"]:
            return Call("well")
        case "POST", ["Ticket"]:
            fields = {key: str(one) for key, one in given.items() if key not in {"name", "content"}}
            return Call("create", title=_needed(given, "name"), text=_needed(given, "content"), fields=fields)
        case "POST", [("ITILFollowup" | "ITILSolution") as kind]:
            if given.get("itemtype") != "Ticket" or not isinstance(given.get("items_id"), int):
                raise Unreadable("itemtype and items_id are needed")
            what = "note" if kind == "ITILFollowup" else "state"
            state = "" if what == "note" else "solved"
            return Call(what, str(given["items_id"]), text=_needed(given, "content"), state=state)
        case "PUT", ["Ticket", ticket]:
            states = {1: "new", 2: "open", 5: "solved", 6: "closed"}
            status = given.get("status")
            return Call("state", ticket, state=states.get(status, "") if isinstance(status, int) else "")
        case _:
            return Call("")


def _rt(request: Request, parts: list[str], body: JsonObject) -> Call:
    match request.method, parts:
        case "GET", ["rt"]:
            return Call("well")
        case "GET", ["tickets"]:
            asked = _MARKER.search(_query(request, "query"))
            return Call("search", marker=asked[1] if asked else "")
        case "POST", ["ticket"]:
            custom = body.get("CustomFields")
            marker = str(custom.get("Gateway Key", "")) if isinstance(custom, dict) else ""
            known = {"Subject", "Content", "Attachments", "CustomFields"}
            fields = {key: str(value) for key, value in body.items() if key not in known}
            _needed(body, "Queue")
            title, text = _needed(body, "Subject"), _needed(body, "Content")
            return Call("create", "", title, text, "", marker, fields, _rt_files(body))
        case "POST", ["ticket", ticket, ("comment" | "correspond")]:
            _needed(body, "ContentType")
            return Call("note", ticket, text=_needed(body, "Content"), files=_rt_files(body))
        case "PUT", ["ticket", ticket]:
            return Call("state", ticket, state=_text(body, "Status"))
        case _:
            return Call("")


def _jira(request: Request, parts: list[str], body: JsonObject) -> Call:
    match request.method, parts:
        case "GET", ["servicedesk"]:
            return Call("well")
        case "POST", ["request"]:
            values = body.get("requestFieldValues")
            given: JsonObject = values if isinstance(values, dict) else {}
            for name in ("serviceDeskId", "requestTypeId"):
                if not isinstance(body.get(name), str):
                    raise Unreadable(f"{name} is needed, as a text")
            fields = {key: str(value) for key, value in body.items() if key != "requestFieldValues"}
            fields |= {key: str(value) for key, value in given.items() if key not in {"summary", "description"}}
            return Call("create", title=_needed(given, "summary"), text=_text(given, "description"), fields=fields)
        case "POST", ["request", ticket, "comment"]:
            return Call("note", ticket, text=_needed(body, "body"))
        case "POST", ["request", ticket, "transition"]:
            said = body.get("additionalComment")
            states = {"761": "closed", "781": "open"}
            if body.get("id") not in states:
                raise Unreadable("this transition is not there")
            text = _text(said, "body") if isinstance(said, dict) else ""
            return Call("state", ticket, state=states[str(body["id"])], text=text)
        case _:
            return Call("")


# --------------------------------------------------------------------------------------------------------------- answers


def made(dialect: str, number: str, identity: int, base: str) -> tuple[int, JsonValue]:
    """The answer to a create."""
    match dialect:
        case "glpi":
            return 201, {"id": identity, "message": "Item successfully added"}
        case "rt":
            return 201, {"id": str(identity), "type": "ticket", "_url": f"{base}/ticket/{identity}"}
        case "jira":
            web = f"https://jira.example.org/servicedesk/customer/portal/1/{number}"
            return 201, {"issueId": str(identity), "issueKey": number, "_links": {"web": web}}
        case _:
            return 201, {"data": {"id": identity, "number": number}}


def noted(dialect: str, entry: int) -> tuple[int, JsonValue]:
    """The answer to a note."""
    match dialect:
        case "rt":
            return 201, ["Comments added"]
        case "jira":
            return 201, {"id": str(entry), "public": False}
        case _:
            return 201, {"id": entry}


def changed(dialect: str, identity: str, entry: int) -> tuple[int, JsonValue]:
    """The answer to a change of state."""
    match dialect:
        case "glpi":
            return (201, {"id": entry, "message": ""}) if entry else (200, [{identity: True, "message": ""}])
        case "rt":
            return 200, [f"Ticket {identity}: Status changed"]
        case "jira":
            return 204, None
        case _:
            return 200, {"data": {"id": identity}}


def found(dialect: str, hits: list[tuple[str, str, str]]) -> JsonValue:
    """The answer to a search: (id, number, marker) of each hit."""
    if dialect == "rt":
        items: list[JsonValue] = [
            {"type": "ticket", "id": identity, "CustomFields": [{"name": "Gateway Key", "values": [marker]}]}
            for identity, _, marker in hits
        ]
        return {"count": len(items), "total": len(items), "items": items}
    listed: list[JsonValue] = [
        {"id": identity, "number": number, "marker": marker} for identity, number, marker in hits
    ]
    return {"data": listed}


def _needed(body: JsonObject, name: str) -> str:
    text = _text(body, name)
    if not text:
        raise Unreadable(f"{name} is needed")
    return text


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _query(request: Request, name: str) -> str:
    return parse_qs(request.query).get(name, [""])[0]


def _rt_files(body: JsonObject) -> tuple[NewAttachment, ...]:
    given = body.get("Attachments")
    files: list[NewAttachment] = []
    for one in given if isinstance(given, list) else []:
        if not isinstance(one, dict):
            raise Unreadable("an attachment is an object")
        try:
            data = base64.b64decode(_text(one, "FileContent"), validate=True)
        except binascii.Error:
            raise Unreadable("FileContent is base64") from None
        files.append(NewAttachment(_needed(one, "FileName"), _needed(one, "FileType"), data))
    return tuple(files)
