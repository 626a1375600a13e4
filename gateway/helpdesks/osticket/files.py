"""Attachments: which of them go with a request, under what name, and what the ticket says about the others."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.helpdesks.osticket.text import with_notes
from gateway.model.action import AttachmentRef, TicketDraft
from gateway.model.reasons import Reason

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]|[\U00010000-\U0010ffff]')
_MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent. ``content_id`` is set for an image that the HTML shows in place."""

    name: str
    media_type: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """What goes with a request, and lines for the ticket about what does not."""

    sent: tuple[File, ...]
    notes: tuple[str, ...]


def choose(draft: TicketDraft, contents: Sequence[bytes], *, left_out: bool) -> Files:
    """The files that osTicket will keep, and a line for each that it would drop without a word.

    It drops empty files, and of several files with the same content all but one. ``left_out``: it refused the request
    because of its files, so none is sent and each is named with size and digest.

    Raises:
        ValueError: the contents are not those of the draft.
    """
    if len(contents) != len(draft.attachments):
        raise ValueError(f"the draft names {len(draft.attachments)} attachments and {len(contents)} were given")
    sent: list[File] = []
    notes: list[str] = []
    seen: dict[str, str] = {}
    for number, (ref, content) in enumerate(zip(draft.attachments, contents, strict=True), 1):
        name = file_name(ref.filename, number)
        if left_out:
            notes.append(f"Not attached, refused by the help desk: {describe(ref, name)}")
        elif not content:
            notes.append(f"Not attached, because it is empty: {name}")
        elif ref.sha256 in seen:
            first = seen[ref.sha256]
            if first != name:
                notes.append(f"{name} has the same content as {first} and is not attached twice.")
        else:
            seen[ref.sha256] = name
            content_id = ref.content_id if ref.inline and _shown(ref, draft.html) else ""
            sent.append(File(name, media_type(ref.media_type), content, content_id))
    return Files(tuple(sent), tuple(notes))


def split(draft: TicketDraft, *, per_file: int, per_request: int) -> tuple[TicketDraft, ...]:
    """The draft with the files that fit, then quiet follow-ups with the others.

    ``per_file`` bounds each file of the first request, ``per_request`` all files of any request together (octets). A
    file above ``per_request`` goes nowhere; the ticket names it with size and digest.
    """
    first: list[AttachmentRef] = []
    later: list[list[AttachmentRef]] = []
    room, later_room = per_request, 0
    notes: list[str] = []
    reasons: list[Reason] = []
    for number, ref in enumerate(draft.attachments, 1):
        name = file_name(ref.filename, number)
        if ref.size > per_request:
            notes.append(f"Not attached, because it is too big: {describe(ref, name)}")
            reasons.append(Reason.ATTACHMENT_TOO_BIG)
        elif ref.size <= min(per_file, room):
            first.append(ref)
            room -= ref.size
        else:
            notes.append(f"Follows in a message of its own: {name} ({ref.size} bytes)")
            reasons.append(Reason.ATTACHMENT_BY_MAIL)
            if ref.size > later_room:
                later.append([])
                later_room = per_request
            later[-1].append(ref)
            later_room -= ref.size
    if not notes:
        return (draft,)
    text, html = with_notes(draft.text, draft.html, tuple(notes))
    head = replace(
        draft,
        text=text,
        html=html,
        attachments=tuple(first),
        reasons=tuple(dict.fromkeys((*draft.reasons, *reasons))),
    )
    return head, *(_follow_up(draft, refs) for refs in later)


def _follow_up(draft: TicketDraft, refs: list[AttachmentRef]) -> TicketDraft:
    names = "\n".join(f"* {file_name(ref.filename, number)} ({ref.size} bytes)" for number, ref in enumerate(refs, 1))
    return TicketDraft(
        title=draft.title,
        text=f"Too big for the first message of this ticket:\n{names}",
        attachments=tuple(refs),
        quiet=True,
        reasons=(Reason.ATTACHMENT_BY_MAIL,),
    )


def file_name(name: str, number: int) -> str:
    """A name that is safe to save: the last part of a path, without control, reserved and four-byte characters."""
    last = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    clean = "".join(
        c for c in _FORBIDDEN.sub("_", last) if unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029"
    )
    clean = " ".join(clean.split()).lstrip(".").strip()
    if not clean.strip("_ "):
        return f"attachment-{number}"
    stem, dot, ending = clean.rpartition(".")
    if len(clean) > _MOST_NAME and dot and len(ending) <= 10:
        return f"{stem[: _MOST_NAME - len(ending) - 1]}.{ending}"
    return clean[:_MOST_NAME]


def media_type(value: str) -> str:
    """The bare type in lower case: parameters would keep osTicket from decoding base64."""
    bare = value.partition(";")[0].strip()
    return bare.lower() if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"


def describe(ref: AttachmentRef, name: str) -> str:
    """Name, size and digest, so that the file can be found in the gateway and told from others."""
    return f"{name} ({ref.size} bytes, sha256 {ref.sha256})"


def _shown(ref: AttachmentRef, html: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9.@_+-]{1,200}", ref.content_id)) and f"cid:{ref.content_id}" in html
