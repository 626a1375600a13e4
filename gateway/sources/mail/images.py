"""Images within the HTML of a mail: which part a ``cid:`` reference means (RFC 2392), and what stands in for the others.

Nothing is ever loaded from elsewhere: a remote image tells its owner who read the mail, when, and where.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from typing import Final
from urllib.parse import unquote

from gateway.sources.mail.files import File

SHOWN: Final = frozenset(
    {"image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/bmp", "image/x-png"}
)
"""Types that are shown in place. An SVG is a program: it stays an attachment."""
_REFERENCE = re.compile(r"""\bsrc\s*+=\s*+(?:["']\s*+)?cid:([^"'\s<>]{1,500})""", re.IGNORECASE)
_CLEAN_ID = re.compile(r"[A-Za-z0-9.@_+-]{1,200}")
# The sanitiser writes its tags in one way: attributes in double quotes, `"` and `&` in them as entities.
_ELEMENT = re.compile(r'<a(?: [^<>"]*(?:"[^"]*"[^<>"]*)*)?>|</a>|<img(?: [^<>"]*(?:"[^"]*"[^<>"]*)*)?>')
_VALUE = re.compile(r' (src|alt|width|height|style)="([^"]*)"')
_PIXELS = re.compile(r"\s*[0-3](?:px)?\s*")
_MOST: Final = 200
_EMBEDDED = re.compile(
    rb"(?i)(\bsrc\s*=\s*[\"'])data:(image/(?:png|jpeg|jpg|gif|webp|bmp));base64,([A-Za-z0-9+/=\s]{1,})(?=[\"'])"
)


@dataclass(frozen=True, slots=True)
class Bound:
    """The files of a mail, those that its HTML shows under content ids that are safe to send.

    ``images`` says for each reference, in its normal form, which content id that is. Whether a file is ``inline`` stays the
    sender's word.
    """

    files: tuple[File, ...]
    images: Mapping[str, str]


def bind(html: str, files: Sequence[File]) -> Bound:
    """Find for each ``cid:`` reference of the HTML the part that it means.

    By Content-ID, in any case and with or without percent signs; else by the file's name, which some programs write.
    """
    if "cid:" not in html and "CID:" not in html:
        return Bound(tuple(files), {})
    by_id: dict[str, int] = {}
    by_name: dict[str, int] = {}
    for index, file in enumerate(files):
        if SHOWN & {file.media_type, file.detected_type} and file.detected_type in {"", *SHOWN}:
            if file.content_id:
                by_id.setdefault(normal(file.content_id), index)
            by_name.setdefault(normal(file.name), index)
    made = list(files)
    images: dict[str, str] = {}
    sent: dict[int, str] = {}
    taken: set[str] = set()
    for reference in dict.fromkeys(normal(unescape(found)) for found in _REFERENCE.findall(html)[:_MOST]):
        place = by_id.get(reference, by_name.get(reference))
        if place is None:
            continue
        if place not in sent:
            file = files[place]
            clean = bool(_CLEAN_ID.fullmatch(file.content_id)) and file.content_id not in taken
            sent[place] = file.content_id if clean else f"image-{place + 1}@mail"
            taken.add(sent[place])
            made[place] = replace(file, content_id=sent[place])
        images[reference] = sent[place]
    return Bound(tuple(made), images)


def normal(reference: str) -> str:
    """A content id as it is compared: without percent signs, angle brackets, blanks, and case."""
    return unquote(reference).strip().strip("<>").strip().lower()


def settled(html: str, images: Mapping[str, str] | None) -> str:
    """Sanitised HTML with its images bound, or turned into text: nothing of it is loaded from elsewhere."""
    within_link = False

    def changed(match: re.Match[str]) -> str:
        nonlocal within_link
        tag = match[0]
        if not tag.startswith("<img"):
            within_link = tag != "</a>"
            return tag
        return _image({name: unescape(value) for name, value in _VALUE.findall(tag)}, images, within_link=within_link)

    return _ELEMENT.sub(changed, html)


def _image(found: dict[str, str], images: Mapping[str, str] | None, *, within_link: bool) -> str:
    source, alt = found.get("src", "").strip(), " ".join(found.get("alt", "").split())[:200]
    if source.lower().startswith("cid:"):
        own = normal(source[4:])
        content_id = source[4:] if images is None else images.get(own)
        if content_id is not None:
            size = "".join(
                f' {name}="{found[name]}"' for name in ("width", "height") if found.get(name, "").strip("%").isdigit()
            )
            return f'<img src="cid:{escape(content_id)}" alt="{escape(alt)}"{size}>'
        name = own.partition("@")[0]
        return f"[{escape(alt or (name if '.' in name else 'image'))}]"
    sizes = [found[name] for name in ("width", "height") if name in found]
    if "style" in found or any(_PIXELS.fullmatch(size) for size in sizes):
        return ""  # made not to be seen: it only reports who reads the mail
    if "alt" in found and not alt and not within_link:
        return ""  # decoration, as its maker says
    text = f"[{escape(alt or 'image')}]"
    if within_link or not source.lower().startswith(("http://", "https://")):
        return text
    return f'<a href="{escape(source)}" rel="noopener noreferrer">{text}</a>'


def lift(html: bytes, room: int) -> tuple[bytes, list[File]]:
    """Images that stand within the HTML itself (``data:``) as files, with references in their place.

    ``room`` are the octets that they may have together; what is beyond stays where it is.
    """
    files: list[File] = []
    left = room

    def lifted(match: re.Match[bytes]) -> bytes:
        nonlocal left
        packed = b"".join(match[3].split())
        if len(packed) > left or len(files) >= _MOST:
            return match[0]
        try:
            content = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            return match[0]
        if not content:
            return match[0]
        left -= len(packed)
        kind = match[2].decode("ascii").lower()
        content_id = f"data-{len(files) + 1}@html"
        files.append(File(f"image-{len(files) + 1}.{kind[6:]}", kind, content, inline=True, content_id=content_id))
        return match[1] + b"cid:" + content_id.encode()

    return _EMBEDDED.sub(lifted, html), files
