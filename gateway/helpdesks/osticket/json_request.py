"""The body of `tickets.json`, in the one form of each thing that osTicket keeps."""

import base64
import html as markup
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.helpdesks.files import IMAGE, File
from gateway.model.json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What a ticket is created from. ``fields`` are checked ones (`osticket.fields`), by osTicket's names."""

    message_id: str
    name: str
    email: str
    subject: str
    text: str
    html: str
    alert: bool
    autorespond: bool
    fields: Mapping[str, JsonValue]
    files: tuple[File, ...] = ()


def build(ticket: NewTicket) -> str:
    """The body as JSON text, with sorted keys.

    The message is a data URL with its charset and never base64: osTicket decodes no percent signs, reads a missing
    charset as ISO-8859-1, and takes ``charset`` together with ``base64`` for plain text. Files are the other way
    round: one object each, base64 and nothing else.
    """
    html, files = _shown_in_place(ticket.html, ticket.files)
    body: JsonObject = {
        **ticket.fields,
        "name": ticket.name,
        "email": ticket.email,
        "subject": ticket.subject,
        "message": f"data:text/html;charset=utf-8,{html}" if html else f"data:text/plain;charset=utf-8,{ticket.text}",
        "alert": ticket.alert,
        "autorespond": ticket.autorespond,
        "mid": ticket.message_id,
    }
    if files:
        body["attachments"] = [{file.name: _data_url(file)} for file in files]
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def _shown_in_place(html: str, files: tuple[File, ...]) -> tuple[str, list[File]]:
    """Images by ``cid:`` become data URLs in the HTML, which osTicket stores as inline images; the rest stays.

    An image that is shown more than once goes with its first reference only; the others name it.
    """
    images = {file.content_id: file for file in files if file.content_id and file.media_type.startswith("image/")}
    shown: set[str] = set()

    def changed(tag: re.Match[str]) -> str:
        content_id = markup.unescape(tag[1])
        file = images.get(content_id)
        if file is None:
            return tag[0]
        if content_id in shown:
            return f"[{markup.escape(file.name)}, see above]"
        shown.add(content_id)
        return tag[0].replace(f"cid:{tag[1]}", _data_url(file))

    if images and html:
        html = IMAGE.sub(changed, html)
    return html, [file for file in files if file.content_id not in shown]


def _data_url(file: File) -> str:
    return f"data:{file.media_type};base64,{base64.b64encode(file.content).decode('ascii')}"
