"""A request as it is stored, for people."""

import email
import email.policy

import orjson

from gateway.cli.terminal import block
from gateway.model.json import JsonObject, JsonValue

LONGEST_LINE = 160
"""Characters of one line of a request that are shown; --json shows all."""


def request_lines(prepared: JsonValue) -> list[str]:
    """A prepared request: its JSON, or its mail."""
    if not isinstance(prepared, dict):
        return [f"  {prepared}"]
    if "error" in prepared:
        return [f"  cannot be made: {prepared['error']}"]
    body, mail = prepared.get("json"), prepared.get("mail")
    lines = _call_lines(prepared)
    if isinstance(body, str) and body:
        lines += ["  JSON", *_json_lines(body)]
        if isinstance(mail, str) and mail:
            lines.append("  A mail with the same Message-ID settles it if the answer gets lost (--json shows it).")
    elif isinstance(mail, str) and mail:
        lines += ["  mail", *_mail_lines(mail)]
    elif not lines:
        lines += _json_lines(orjson.dumps(prepared).decode())
    return lines


def _call_lines(prepared: JsonObject) -> list[str]:
    """Method, address and headers, where the request has its own."""
    method, url, headers = prepared.get("method"), prepared.get("url"), prepared.get("headers")
    if not isinstance(method, str) or not isinstance(url, str):
        return []
    given = headers if isinstance(headers, dict) else {}
    return [f"  {method} {cut(url)}", *(f"    {name}: {cut(str(value))}" for name, value in given.items())]


def _json_lines(text: str) -> list[str]:
    """A JSON object, one member a line; a text of several lines is shown as a block."""
    content = orjson.loads(text)
    if not isinstance(content, dict):
        return [f"    {cut(text)}"]
    lines: list[str] = []
    for name, value in content.items():
        if isinstance(value, str) and "\n" in value:
            lines += [f'    "{name}":', *(cut(line) for line in block(value, "      | "))]
        elif isinstance(value, list):
            lines += [f'    "{name}":', *(f"      {cut(orjson.dumps(one).decode())}" for one in value)]
        else:
            lines.append(f'    "{name}": {cut(orjson.dumps(value).decode())}')
    return lines


def _mail_lines(text: str) -> list[str]:
    """Headers as they are; the plain text decoded; other parts by name."""
    headers, _, _ = text.partition("\r\n\r\n")
    lines = [f"    {cut(line)}" for line in headers.split("\r\n")]
    for part in email.message_from_string(text, policy=email.policy.compat32).walk():
        content = part.get_payload(decode=True)
        if part.is_multipart() or not isinstance(content, bytes):
            continue
        if part.get_content_type() == "text/plain" and part.get_filename() is None:
            lines += ["", *(cut(line) for line in block(content.decode("utf-8", "replace"), "      | "))]
        else:
            name = part.get_filename()
            lines.append(f"    + {part.get_content_type()}{f' {name}' if name else ''}, {len(content)} octets")
    return lines


def cut(text: str) -> str:
    """One line, cut with its whole length told."""
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 20]}... ({len(text)} characters)"
