"""Attachments: which of them go with a request, and what the article says about the others."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.helpdesks.files import CONTENT_ID, bare_name, describe, listed, media_type, where
from gateway.helpdesks.text import whole
from gateway.model.action import AttachmentRef, TicketDraft
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason

_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_MOST_NAME = 200  # the helpdesk cuts at 220 octets
_ENVELOPE = 4000
"""Octets of a request beside texts and files, generously."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What goes with a request, as the helpdesk takes it, and lines about what does not."""

    sent: tuple[JsonObject, ...]
    notes: tuple[str, ...]


def choose(draft: TicketDraft, contents: Sequence[bytes], *, left_out: bool) -> Chosen:
    """The files as they are sent: an empty one would be refused and with it the whole request, so it is only named.

    Raises:
        ValueError: the contents are not those of the draft.
    """
    if len(contents) != len(draft.attachments):
        raise ValueError(f"the draft names {len(draft.attachments)} attachments and {len(contents)} were given")
    sent: list[JsonObject] = []
    notes: list[str] = []
    for number, (ref, content) in enumerate(zip(draft.attachments, contents, strict=True), 1):
        name = file_name(ref.filename, number)
        if left_out:
            notes.append(f"Not attached, refused by the help desk: {_described(ref, name)}")
        elif not content:
            notes.append(f"Not attached, because it is empty: {name}")
        else:
            file: JsonObject = {
                "Content": base64.b64encode(content).decode("ascii"),
                "ContentType": media_type(ref.media_type),
                "Filename": name,
            }
            if CONTENT_ID.fullmatch(ref.content_id) and f"cid:{ref.content_id}" in draft.html:
                file |= {"Disposition": "inline", "ContentID": f"<{ref.content_id}>"}
            sent.append(file)
    return Chosen(tuple(sent), tuple(notes))


def split(draft: TicketDraft, *, per_file: int, per_body: int) -> tuple[TicketDraft, ...]:
    """The draft with the files that fit into one request, then quiet follow-ups with the others.

    ``per_file`` bounds a file, ``per_body`` a whole request in octets. What fits nowhere is named with size and digest.
    """
    texts = len(whole(draft.html or draft.text).encode()) * 2  # quotes and line breaks grow in JSON
    room, later_room = max(0, per_body - _ENVELOPE - texts), 0
    most = min(per_file, (per_body - _ENVELOPE) * 3 // 4 - 400)
    first: list[AttachmentRef] = []
    later: list[list[AttachmentRef]] = []
    notes: list[str] = []
    reasons: list[Reason] = []
    for number, ref in enumerate(draft.attachments, 1):
        name, size = file_name(ref.filename, number), _encoded(ref.size)
        if ref.size > most:
            notes.append(f"Not attached, because it is too big: {_described(ref, name)}")
            reasons.append(Reason.ATTACHMENT_TOO_BIG)
        elif size <= room:
            first.append(ref)
            room -= size
        else:
            if size > later_room:
                later.append([])
                later_room = per_body - _ENVELOPE
            later[-1].append(ref)
            later_room -= size
    if not notes and not later:
        return (draft,)
    head = replace(draft, attachments=tuple(first), reasons=tuple(dict.fromkeys((*draft.reasons, *reasons))))
    if notes:
        head = with_notes(head, notes)
    return head, *(_follow_up(draft, refs) for refs in later)


def with_notes(draft: TicketDraft, notes: Sequence[str]) -> TicketDraft:
    """The draft with lines of ours at the end of both its forms."""
    lines = "<br>".join(note.replace("&", "&amp;").replace("<", "&lt;") for note in notes)
    html = f"{draft.html}<p>{lines}</p>" if draft.html else ""
    return replace(draft, text=draft.text.rstrip() + "\n\n" + "\n".join(notes), html=html)


def file_name(name: str, number: int) -> str:
    """A name that is safe to save: the last part of a path, without control and reserved characters."""
    clean = bare_name(name, _FORBIDDEN)
    if not clean:
        return f"attachment-{number}"
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = clean, ""
    room = _MOST_NAME - len(ending.encode()) - 1
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    return f"{stem}.{ending}" if ending else stem


def _encoded(size: int) -> int:
    return (size + 2) // 3 * 4 + 400  # base64, and the file's name and type


def _follow_up(draft: TicketDraft, refs: list[AttachmentRef]) -> TicketDraft:
    return TicketDraft(
        title=draft.title,
        text=f"Files that did not fit into one request:\n{listed(refs, file_name)}",
        attachments=tuple(refs),
        quiet=True,
    )


def _described(ref: AttachmentRef, name: str) -> str:
    return describe(ref, name) + (where(ref) if ref.receipt else "")
