"""Names of files that came with an event: data from strangers, made safe once, here."""

import re
import unicodedata

LIMIT = 255  # octets; what ext4, XFS and NTFS take
_EXTENSION_LIMIT = 32
_LONGEST = 10_000  # characters that are looked at, from the end: there stand the last part of a path and the extension
# Device names of Windows are reserved with any extension (Microsoft, "Naming Files, Paths, and Namespaces").
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?")
_UNSAFE = re.compile(r'[<>:"|?*]')


def safe_filename(name: str, fallback: str = "attachment") -> str:
    """A name that every file system and helpdesk can take and that leads nowhere.

    Only the last part of a path, NFC, without control characters, bidirectional overrides and lone surrogates;
    reserved names get a prefix; at most 255 octets of UTF-8 with the extension kept; never empty.
    """
    text = unicodedata.normalize("NFC", name[-_LONGEST:].replace("\\", "/").rsplit("/", 1)[-1])
    text = "".join(
        character for character in text if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    text = _UNSAFE.sub("_", text).strip().rstrip(". ")
    if not text.strip("._ "):
        return fallback
    if _RESERVED.fullmatch(text):
        text = "_" + text
    return _shortened(text)


def _shortened(text: str) -> str:
    raw = text.encode()
    if len(raw) <= LIMIT:
        return text
    stem, dot, extension = text.rpartition(".")
    tail = (dot + extension).encode()
    if not stem or len(tail) > _EXTENSION_LIMIT:
        return raw[:LIMIT].decode(errors="ignore").rstrip(". ")
    return stem.encode()[: LIMIT - len(tail)].decode(errors="ignore") + tail.decode()
