"""Media types of attachments: from their first octets, and the extensions that belong to types."""

from typing import Final

import puremagic

_EXTENSIONS: Final = {
    "text/plain": ".txt", "text/html": ".html", "text/csv": ".csv", "text/calendar": ".ics", "text/xml": ".xml",
    "text/vcard": ".vcf", "text/x-vcard": ".vcf", "text/rtf": ".rtf", "text/enriched": ".txt", "text/markdown": ".md",
    "text/rfc822-headers": ".txt", "message/rfc822": ".eml", "message/global": ".eml",
    "message/delivery-status": ".txt", "message/disposition-notification": ".txt", "message/feedback-report": ".txt",
    "message/partial": ".eml", "message/external-body": ".txt", "image/png": ".png", "image/jpeg": ".jpg",
    "image/jpg": ".jpg", "image/pjpeg": ".jpg", "image/gif": ".gif", "image/bmp": ".bmp", "image/tiff": ".tif",
    "image/webp": ".webp", "image/svg+xml": ".svg", "image/heic": ".heic", "image/x-icon": ".ico",
    "audio/mpeg": ".mp3", "audio/mp3": ".mp3", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/ogg": ".ogg",
    "audio/basic": ".au", "audio/mp4": ".m4a", "audio/amr": ".amr", "video/mp4": ".mp4", "video/mpeg": ".mpg",
    "video/quicktime": ".mov", "video/avi": ".avi", "video/x-msvideo": ".avi", "video/webm": ".webm",
    "application/pdf": ".pdf", "application/zip": ".zip", "application/gzip": ".gz", "application/x-gzip": ".gz",
    "application/json": ".json", "application/xml": ".xml", "application/rtf": ".rtf", "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls", "application/vnd.ms-powerpoint": ".ppt", "application/ics": ".ics",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt", "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/x-7z-compressed": ".7z", "application/x-rar-compressed": ".rar", "application/vnd.rar": ".rar",
    "application/x-tar": ".tar", "application/pgp-signature": ".asc", "application/pgp-encrypted": ".asc",
    "application/pgp-keys": ".asc", "application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m", "application/x-pkcs7-mime": ".p7m", "application/ms-tnef": ".dat",
    "application/vnd.ms-outlook": ".msg", "application/x-msdownload": ".exe", "application/postscript": ".ps",
    "application/mac-binhex40": ".hqx",
}  # fmt: skip
_TYPES: Final = {
    ".txt": "text/plain", ".log": "text/plain", ".csv": "text/csv", ".ics": "text/calendar", ".vcf": "text/vcard",
    ".html": "text/html", ".htm": "text/html", ".xml": "application/xml", ".json": "application/json",
    ".md": "text/markdown", ".eml": "message/rfc822", ".svg": "image/svg+xml",
}  # fmt: skip
# Containers hold many kinds of files; the name tells which, if it is one that the container may be.
_ZIPS: Final = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".zip": "application/zip",
}
_OLES: Final = {
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
    ".msi": "application/x-msi",
}
# The kinds that nearly all attachments are, before the long table is asked.
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"BM", ""),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"{\\rtf", "application/rtf"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (b"BEGIN:VCALENDAR", "text/calendar"),
    (b"BEGIN:VCARD", "text/vcard"),
)
_SAMPLE: Final = 4096


def extension_of(media_type: str) -> str:
    """The usual extension of a media type with its dot, or the empty string."""
    return _EXTENSIONS.get(media_type, "")


def sniff(content: bytes, name: str) -> str:
    """The media type that the content looks like; the empty string if it looks like nothing in particular."""
    extension = "." + name.rpartition(".")[2].lower() if "." in name else ""
    head = content[:_SAMPLE]
    if not head:
        return ""
    for magic, media_type in _MAGIC:
        if media_type and head.startswith(magic):
            return media_type
    if head.startswith(b"PK\x03\x04"):
        return _ZIPS.get(extension, "application/zip")
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _OLES.get(extension, "application/x-ole-storage")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:300].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<script")):
        return "text/html"
    if b"<svg" in start:
        return "image/svg+xml"
    if b"\x00" not in head and _is_text(head):
        return _TYPES.get(extension, "text/plain")
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError, IndexError, UnicodeError):
        return ""
    return next((match.mime_type for match in found if match.mime_type and match.confidence >= 0.4), "")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as fault:
        if fault.start < len(head) - 4 or len(head) < _SAMPLE:
            return False
        text = head[: fault.start].decode("utf-8")
    return sum(character < " " and character not in "\t\r\n\f\x1b" for character in text) == 0
