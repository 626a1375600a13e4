"""JSON and XML bodies of the osTicket double, read the way `tickets.json` and `tickets.xml` read them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from gateway.helpdesks.osticket import sandbox_answers as answers
from gateway.helpdesks.osticket.sandbox_text import decode_base64, decode_base64_loosely, parse_data_url
from gateway.sandbox.records import NewAttachment

_DEPTH = 512
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Body:
    """What a create request says. ``message`` is None if it is missing; ``fields`` holds everything else."""

    fields: Mapping[str, object]
    message: str | None
    message_type: str
    attachments: tuple[NewAttachment, ...] = field(default_factory=tuple)
    attachments_ignored: bool = False


def _malformed(sentence: str) -> answers.Answered:
    return answers.refused(400, sentence)


def _refuse_constant(_name: str) -> object:
    raise json.JSONDecodeError("constant", "", 0)


def _parse_json(raw: bytes) -> object:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        sentence = "Malformed UTF-8 characters, possibly incorrectly encoded"
        if raw[:1] < b" " and raw[:1].strip():  # a gzip body ends here
            sentence = "Unexpected control character found"
        raise _malformed(sentence) from None
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant, parse_int=_number)
    except RecursionError:
        raise _malformed("Maximum stack depth exceeded") from None
    except ValueError as error:
        control = "control character" in str(error)
        raise _malformed("Unexpected control character found" if control else "Syntax error, malformed JSON") from None
    if text.count("[") + text.count("{") > _DEPTH and _depth(value) > _DEPTH:
        raise _malformed("Maximum stack depth exceeded")
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise _malformed("Malformed UTF-8 characters, possibly incorrectly encoded")
    return value


def _number(digits: str) -> int | float:
    """Whole numbers beyond 64 bits become floats."""
    return int(digits) if len(digits) < 19 else float(digits)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def json_body(raw: bytes) -> Body:
    """Read a JSON body; raises `Answered` for what ends the request."""
    value = _parse_json(raw)
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    if not value or not isinstance(value, dict):
        raise answers.refused(400, "No errors")
    fields: dict[str, object] = dict(value)
    message, media_type = _json_message(fields.pop("message", None))
    ignored = isinstance(fields.get("attachments"), str)
    files = () if ignored else _json_attachments(fields.pop("attachments", None))
    return Body(fields, message, media_type, files, attachments_ignored=ignored)


def _json_message(value: object) -> tuple[str | None, str]:
    if value is None:
        return None, "text/plain"
    if isinstance(value, dict | list):
        raise answers.message_not_text()
    text = scalar(value)
    url = parse_data_url(text, always_convert=text.startswith("data:"))
    return url.data.decode("utf-8", "replace"), url.media_type


def _json_attachments(value: object) -> tuple[NewAttachment, ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list):
        items: list[object] = list(value.values()) if isinstance(value, dict) else [value]
    else:
        items = value
    files = []
    for item in items:
        if not isinstance(item, dict):
            raise answers.attachments_not_objects("string" if isinstance(item, str) else "int")
        if not item:
            continue
        name, content = next(iter(item.items()))  # other keys of the object are never looked at
        if isinstance(content, dict | list):
            raise answers.message_not_text()
        url = parse_data_url(scalar(content), always_convert=False)
        files.append(NewAttachment(_file_name(name), url.media_type[:255], url.data))
    return tuple(files)


def _file_name(name: str) -> str:
    return "".join("????" if char > "\uffff" else char for char in name)[:255]


def scalar(value: object) -> str:
    """A JSON value as PHP makes text of it."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    return str(value)


class _XmlReader:
    """Collects a document as osTicket does: attributes and child elements are equal, every chunk of text is trimmed.

    An entity or a reference ends a chunk; a CDATA section that arrives in one piece is one chunk.
    """

    def __init__(self) -> None:
        self.stack: list[tuple[str, dict[str, object]]] = [("", {})]
        self._text: list[list[str]] = [[]]
        self._chunk = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.end_chunk()
        self.stack.append((name, dict(attributes)))
        self._text.append([])

    def data(self, text: str) -> None:
        if text in {"&", "<", ">", '"', "'"}:
            self.end_chunk()
            self._text[-1].append(text)
        else:
            self._chunk += text

    def cdata(self) -> None:
        self.end_chunk()

    def end_chunk(self) -> None:
        if self._chunk:
            self._text[-1].append(self._chunk.strip())
            self._chunk = ""

    def end(self, name: str) -> None:
        self.end_chunk()
        _, node = self.stack.pop()
        text = "".join(self._text.pop())
        value: object = text
        if node:
            value = {**node, ":text": text}
        parent = self.stack[-1][1]
        if name in parent and name == "file":
            known = parent[name]
            parent[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            parent[name] = value


def xml_body(raw: bytes) -> Body:
    """Read an XML body; raises `Answered` for what ends the request."""
    reader = _XmlReader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartCdataSectionHandler = reader.cdata
    parser.EndCdataSectionHandler = reader.cdata
    if not raw:
        raise _malformed("XML error: No error at line 1:1")
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise _malformed(_xml_error(raw, error, parser.ErrorByteIndex)) from None
    root = reader.stack[0][1].get("ticket")
    fields: dict[str, object] = dict(root) if isinstance(root, dict) else {}
    text = fields.pop(":text", "")
    if not fields and not text:
        raise answers.refused(400, "No errors")
    message = fields.pop("message", None)
    message_type = "text/plain"
    if isinstance(message, dict):
        message_type = str(message.get("type", message_type))
        message = message.get(":text", "")
    _join_extension(fields)
    fields["alert"] = _xml_switch(fields.get("alert"))
    fields["autorespond"] = _xml_switch(fields.get("autorespond"))
    files = _xml_files(fields.pop("attachments", None))
    return Body(fields, None if message is None else str(message), message_type, files)


def _join_extension(fields: dict[str, object]) -> None:
    phone = fields.get("phone")
    if isinstance(phone, dict):
        fields["phone"] = f"{phone.get(':text', '')}X{phone.get('ext', '')}"


def _xml_switch(value: object) -> object:
    """Here the word false is false."""
    return False if isinstance(value, str) and value.lower() in {"false", "no"} else value


def _xml_files(value: object) -> tuple[NewAttachment, ...]:
    if not isinstance(value, dict):
        return ()
    nodes = value.get("file")
    files = []
    for node in nodes if isinstance(nodes, list) else [nodes]:
        if not isinstance(node, dict):
            continue
        data = str(node.get(":text", "")).encode()
        size = None
        if node.get("encoding") == "base64":
            once = decode_base64(data.decode())
            size, data = len(once), decode_base64_loosely(once)  # decoded twice: osTicket#4983
        name, media_type = str(node.get("name", "")), str(node.get("type", "text/plain"))
        files.append(NewAttachment(_file_name(name), media_type, data, size=size))
    return tuple(files)


def _xml_error(raw: bytes, error: expat.ExpatError, index: int) -> str:
    """The sentence of libxml, which counts the column to the end of a wrong tag."""
    start = raw.rfind(b"\n", 0, index) + 1
    if error.code == 7:  # mismatched tag
        end = raw.find(b">", index)
        return f"XML error: Mismatched tag at line {error.lineno}:{end + 1 - start}"
    if error.code == 3 and not raw.strip():
        return "XML error: No error at line 1:1"
    return f"XML error: Not well-formed (invalid token) at line {error.lineno}:{error.offset + 1}"
