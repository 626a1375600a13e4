"""Articles: title, body, inline images and files, in the form that Zammad keeps."""

import base64
import html as markup
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.helpdesks.files import File, before_end, choose, noted
from gateway.helpdesks.protocol import Order
from gateway.model.action import TicketDraft
from gateway.model.json import JsonObject, JsonValue

MOST_TITLE = 200
"""Characters: the column holds 250, the usual form field fewer."""
MOST_BODY = 1_400_000
"""Characters; Zammad refuses 1,500,000 (an inline image counts as the text that it is sent as)."""
NO_TITLE = "(no subject)"

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
# Of foreign HTML it would subscribe people to the ticket, or fail the whole create.
_MENTION = re.compile(r"""\sdata-mention-user-id\s*=\s*("[^"]*"|'[^']*'|[^\s>]*)""", re.IGNORECASE)


def title(text: str) -> str:
    """One line, never empty; the same text is the first article's subject, by which mail replies find the ticket."""
    line = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in _printable(text))
    line = " ".join(line.split()) or NO_TITLE
    return line if len(line) <= MOST_TITLE else line[: MOST_TITLE - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Message:
    """What an article says, with how many files Zammad must show for it to be whole (images inside it not counted)."""

    article: JsonObject
    files: int


def build(order: Order, keys: JsonObject, message_id: str) -> Message:
    """The article of an order; ``keys`` are its type, sender and visibility."""
    draft = order.draft
    without = "attachments" in order.left_out
    chosen = choose(draft, order.attachments, left_out=without)
    refused = tuple(
        f"Left out, refused by the help desk: {title(str(part))}" for part in order.left_out if part != "attachments"
    )
    notes = (*chosen.notes, *refused)
    body, rich, files = _body(draft, chosen.html, chosen.sent, notes)
    article: JsonObject = {
        **keys,
        "subject": title(draft.title),
        "body": body,
        "content_type": "text/html" if rich else "text/plain",
        "message_id": message_id,
        "preferences": {"gateway_event": order.marker},
    }
    if files:
        article["attachments"] = [attachment(file) for file in files]
    return Message(article, len(files))


def attachment(file: File) -> JsonObject:
    """A file as Zammad takes it; it was checked here, since older releases keep half a ticket when they refuse one."""
    return {
        "filename": file.name,
        "data": base64.b64encode(file.content).decode("ascii"),
        "mime-type": file.media_type,
    }


def rest_of(article: JsonObject, there: Sequence[JsonObject]) -> JsonObject:
    """One more article with the files of ``article`` that those which are ``there`` do not show; its words stand there already."""
    shown = [
        file.get("filename") for one in there for file in strings(one.get("attachments")) if isinstance(file, dict)
    ]
    missing: list[JsonValue] = []
    for file in strings(article.get("attachments")):
        name = file.get("filename") if isinstance(file, dict) else None
        if name in shown:
            shown.remove(name)
        else:
            missing.append(file)
    kept = {key: value for key, value in article.items() if key != "message_id"}
    words = "Files that were missing after an interrupted call."
    return {**kept, "body": words, "content_type": "text/plain", "attachments": missing}


def with_line(article: JsonObject, line: str) -> JsonObject:
    """The article with one more line at its end."""
    body = str(article["body"])
    if article["content_type"] == "text/html":
        return {**article, "body": before_end(body, f"<p>{markup.escape(line)}</p>")}
    return {**article, "body": f"{body.rstrip()}\n\n{line}"}


def _body(
    draft: TicketDraft, html: str, files: Sequence[File], notes: Sequence[str]
) -> tuple[str, bool, Sequence[File]]:
    """(body, whether it is HTML, the files that go as attachments and not inside the body)."""
    rich = _MENTION.sub("", _printable(html)).strip()
    if rich:
        shown, others = _inline(rich, files)
        _, shown = noted("", shown, notes)
        if len(shown) <= MOST_BODY:
            return shown, True, others
        named = rich
        for file in files:
            named = named.replace(f"cid:{file.content_id}", "") if file.content_id else named
        _, named = noted("", named, notes)
        if len(named) <= MOST_BODY:
            return named, True, files
    text, _ = noted(_printable(draft.text).strip() or title(draft.title), "", notes)
    if len(text) > MOST_BODY:
        text = text[:MOST_BODY] + "\n\n[The text was longer than the help desk takes and ends here.]"
    return text, False, files


def _inline(html: str, files: Sequence[File]) -> tuple[str, list[File]]:
    """Images by ``cid:`` as data URLs: Zammad cuts them out and stores them as inline attachments."""
    others: list[File] = []
    for file in files:
        place = f"cid:{markup.escape(file.content_id)}"
        if file.content_id and file.media_type.startswith("image/") and place in html:
            data = f"data:{file.media_type};base64,{base64.b64encode(file.content).decode('ascii')}"
            html = html.replace(place, data, 1).replace(place, "")
        else:
            others.append(file)
    return html, others


def _printable(text: str) -> str:
    """Without control characters and lone surrogates, which a database refuses."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("", whole.replace("\r\n", "\n").replace("\r", "\n"))


def strings(value: JsonValue) -> list[JsonValue]:
    """A JSON list, or nothing where it is none."""
    return value if isinstance(value, list) else []
