"""Files as helpdesks take them: which of them go with a request, under what name, and what the ticket says about the others."""

import html as markup
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.model.action import AttachmentRef, TicketDraft
from gateway.model.reasons import Reason

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]|[\U00010000-\U0010ffff]')
CONTENT_ID = re.compile(r"[A-Za-z0-9.@_+-]{1,200}")
"""Content ids that all helpdesks take."""
IMAGE = re.compile(r"""<img\b[^<>]*?\bsrc=["']cid:([^"'<>]{1,300})["'][^<>]*>""", re.IGNORECASE)
"""An image in HTML that is shown from a part; the group is the part's content id, as HTML."""
_ALT = re.compile(r"""\balt=["']([^"'<>]{1,200})["']""", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
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
    """What goes with a request, and lines for the ticket about what does not.

    ``html`` is the draft's, its images bound to what is sent: a reference to anything else has become text.
    """

    sent: tuple[File, ...]
    notes: tuple[str, ...]
    html: str = ""


def choose(draft: TicketDraft, contents: Sequence[bytes], *, left_out: bool) -> Files:
    """The files that a helpdesk will keep, and a line for each that is not sent.

    Not sent are empty files, and of several files with the same content all but one: osTicket drops them without a word.
    ``left_out``: the helpdesk refused the request because of its files, so none is sent and each is named with size and digest.

    Raises:
        ValueError: the contents are not those of the draft.
    """
    if len(contents) != len(draft.attachments):
        raise ValueError(f"the draft names {len(draft.attachments)} attachments and {len(contents)} were given")
    sent: list[File] = []
    notes: list[str] = []
    seen: dict[str, File] = {}
    referenced = {markup.unescape(found[1]) for found in IMAGE.finditer(draft.html)}
    names: dict[str, str] = {}  # of the files that the HTML shows, by content id
    shown: dict[str, str] = {}  # content id in the HTML -> content id that is sent
    for number, (ref, content) in enumerate(zip(draft.attachments, contents, strict=True), 1):
        name = file_name(ref.filename, number)
        content_id = ref.content_id if ref.content_id not in names and _is_shown(ref, referenced) else ""
        if content_id:
            names[content_id] = name
        if left_out:
            notes.append(f"Not attached, refused by the help desk: {describe(ref, name)}{where(ref)}")
        elif not content:
            notes.append(f"Not attached, because it is empty: {name}")
        elif ref.sha256 in seen:
            first = seen[ref.sha256]
            if content_id and first.content_id:
                shown[content_id] = first.content_id
            elif first.name != name:
                notes.append(f"{name} has the same content as {first.name} and is not attached twice.")
        else:
            file = File(name, media_type(ref.media_type), content, content_id)
            seen[ref.sha256] = file
            sent.append(file)
            if content_id:
                shown[content_id] = content_id
    return Files(tuple(sent), tuple(notes), bound(draft.html, shown, names))


def split(draft: TicketDraft, *, most: int) -> tuple[TicketDraft, ...]:
    """The draft with the files that fit into one request of ``most`` octets, then quiet follow-ups with the others.

    A single file above ``most`` goes nowhere; the ticket names it with size and digest.
    """
    groups: list[list[AttachmentRef]] = [[]]
    room = most
    notes: list[str] = []
    big = False
    for number, ref in enumerate(draft.attachments, 1):
        name = file_name(ref.filename, number)
        if ref.size > most:
            big = True
            notes.append(f"Not attached, because it is too big: {describe(ref, name)}{where(ref)}")
            continue
        if ref.size > room:
            groups.append([])
            room = most
        if len(groups) > 1:
            notes.append(f"Follows in a message of its own: {name} ({ref.size} bytes)")
        groups[-1].append(ref)
        room -= ref.size
    if not notes:
        return (draft,)
    text, html = noted(draft.text, draft.html, notes)
    reasons = (*draft.reasons, Reason.ATTACHMENT_TOO_BIG) if big else draft.reasons
    head = replace(draft, text=text, html=html, attachments=tuple(groups[0]), reasons=tuple(dict.fromkeys(reasons)))
    return head, *(_follow_up(draft, refs) for refs in groups[1:])


def noted(text: str, html: str, notes: Sequence[str]) -> tuple[str, str]:
    """Both forms of a message, each with lines of ours at its end; an empty one stays empty where it is HTML."""
    if not notes:
        return text, html
    if html:
        html = before_end(html, "<hr><p>" + "<br>".join(markup.escape(note) for note in notes) + "</p>")
    return text.rstrip() + "\n\n" + "\n".join(notes), html


def before_end(html: str, block: str) -> str:
    """The HTML with a block as the last thing of its body."""
    ends = list(_BODY_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return html[:at] + block + html[at:]


def bound(html: str, shown: Mapping[str, str], names: Mapping[str, str]) -> str:
    """The HTML with every ``cid:`` image bound to a part that is sent; one that is not sent becomes its name.

    ``shown`` says which content id in the HTML is sent under which; ``names`` are the names of all files by content id.
    """

    def changed(match: re.Match[str]) -> str:
        content_id = markup.unescape(match[1])
        if content_id in shown:
            return match[0].replace(match[1], shown[content_id])
        alt = _ALT.search(match[0])
        words = names.get(content_id) or (markup.unescape(alt[1]) if alt else "") or "image"
        return f"[{markup.escape(words)}]"

    return IMAGE.sub(changed, html) if "cid:" in html else html


def file_name(name: str, number: int) -> str:
    """A name that is safe to save: the last part of a path, without control, reserved and four-byte characters."""
    clean = bare_name(name.replace("\u2028", "").replace("\u2029", ""), _FORBIDDEN)
    if not clean:
        return f"attachment-{number}"
    stem, dot, ending = clean.rpartition(".")
    if len(clean) > _MOST_NAME and dot and len(ending) <= 10:
        return f"{stem[: _MOST_NAME - len(ending) - 1]}.{ending}"
    return clean[:_MOST_NAME]


def bare_name(name: str, forbidden: re.Pattern[str]) -> str:
    """The last part of a path; control characters are taken out, ``forbidden`` ones replaced. Empty if nothing is left of it."""
    last = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    clean = "".join(c for c in forbidden.sub("_", last) if unicodedata.category(c)[0] != "C")
    clean = " ".join(clean.split()).lstrip(".").strip()
    return clean if clean.strip("_ ") else ""


def listed(refs: Sequence[AttachmentRef], name: Callable[[str, int], str] = file_name) -> str:
    """The files of a follow-up, one a line, as ``name`` calls them."""
    return "\n".join(f"* {name(ref.filename, number)} ({ref.size} bytes)" for number, ref in enumerate(refs, 1))


def media_type(value: str) -> str:
    """The bare type in lower case, or that of octets where there is none.

    Parameters would keep osTicket from decoding base64; OTOBO refuses a type without a slash, or with a charset that it does
    not know.
    """
    bare = value.partition(";")[0].strip()
    return bare.lower() if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"


def describe(ref: AttachmentRef, name: str) -> str:
    """Name, size and digest, so that the file can be found in the gateway and told from others."""
    return f"{name} ({ref.size} bytes, sha256 {ref.sha256})"


def where(ref: AttachmentRef) -> str:
    """How an operator gets at what it came in."""
    return f"; the gateway has it: ticket-gateway events show {ref.receipt} --raw"


def _is_shown(ref: AttachmentRef, referenced: Collection[str]) -> bool:
    is_image = media_type(ref.media_type).startswith("image/")
    return is_image and ref.content_id in referenced and CONTENT_ID.fullmatch(ref.content_id) is not None


def _follow_up(draft: TicketDraft, refs: Sequence[AttachmentRef]) -> TicketDraft:
    return TicketDraft(
        title=draft.title,
        text=f"Too much for the first message of this ticket:\n{listed(refs)}",
        fields=draft.fields,
        attachments=tuple(refs),
        quiet=True,
    )
