"""The log on standard error: one JSON object or one readable line per entry, without secrets, safe in a terminal."""

import base64
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import BinaryIO, Literal
from urllib.parse import quote, quote_plus

import orjson
import structlog

from gateway.config.values import Secret
from gateway.model.reasons import Reason

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LEAST_SECRET = 4  # a shorter one would turn every line into masks, and protects nothing

# Controls (C0, DEL, C1), bidirectional and invisible formatting, line separators, lone surrogates, tags: they move the
# cursor, reorder text or end a line in terminals and viewers (CWE-117, CWE-150, CVE-2021-42574).
_HAZARD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_BARE = re.compile(r"[\w./:@+,\-*<>\[\]]+")


def visible(text: str) -> str:
    r"""``text`` with every character that could move the cursor or reorder text written as ``\uXXXX``."""
    return _HAZARD.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


class Redactor:
    """Masks every loaded secret in whatever is logged, in the forms in which it may turn up."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            text = secret.reveal() if isinstance(secret, Secret) else secret
            if len(text) >= _LEAST_SECRET:
                forms |= {text, quote(text, safe=""), quote_plus(text), base64.b64encode(text.encode()).decode()}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def clean(self, value: object) -> object:
        """``value`` without secrets, as types that JSON has. Anything unknown becomes its text."""
        if isinstance(value, Secret):
            return "<secret>"
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        if isinstance(value, bytes | bytearray):
            value = value.decode("utf-8", "backslashreplace")
        return self.text(str(value))

    def text(self, text: str) -> str:
        """``text`` with the secrets masked."""
        return text if self._pattern is None else self._pattern.sub("<secret>", text)

    def __call__(self, _logger: object, _method: str, entry: MutableMapping[str, object]) -> Mapping[str, object]:
        """The structlog processor. Must come after tracebacks were made text."""
        return {key: self.clean(value) for key, value in entry.items()}


class _Sink:
    """Where lines go. A log that cannot be written (full disk, closed pipe) must not stop the work."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or getattr(sys.stderr, "buffer", None)
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if stream is None:  # somebody put a text-only stream in place of standard error
                sys.stderr.write(data.decode())
            else:
                stream.write(data)
                stream.flush()
        except (OSError, ValueError):
            return  # there is nowhere left to say it

    log = debug = info = warning = error = critical = msg


def _stamp(_logger: object, method: str, entry: MutableMapping[str, object]) -> MutableMapping[str, object]:
    instant = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": instant, "level": method, **entry}


def _as_json(_logger: object, _method: str, entry: Mapping[str, object]) -> str:
    try:
        line = orjson.dumps(entry).decode()
    except TypeError:  # lone surrogates, integers over 64 bits
        line = json.dumps(entry, default=str)
    return line if line.isascii() and "\x7f" not in line else visible(line)


def _as_text(_logger: object, _method: str, entry: Mapping[str, object]) -> str:
    rest = dict(entry)
    time, level, event = (str(rest.pop(key, "")) for key in ("time", "level", "event"))
    trace = str(rest.pop("exception", ""))
    words = [f"{key}={_word(value)}" for key, value in rest.items()]
    line = " ".join(visible(word) for word in (time, f"{level:<7}", event, *words))
    return line + "".join(f"\n    {visible(part)}" for part in trace.splitlines())


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class _Bridge(logging.Handler):
    """Takes what libraries log into the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        name = record.levelname.lower()
        log = structlog.get_logger()
        method = {"debug": log.debug, "info": log.info, "warning": log.warning}.get(name, log.error)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        method(message, logger=record.name, exc_info=record.exc_info or None)


def configure_logging(
    log_format: Literal["json", "text"] = "json",
    level: Literal["debug", "info", "warning", "error"] = "info",
    secrets: Iterable[str] = (),
    *,
    stream: BinaryIO | None = None,
) -> None:
    """Set the log up, once at start and again after a reload. ``stream`` default: standard error.

    ``secrets`` are all that the configuration loaded; each is masked wherever it turns up. Warnings of libraries come
    into the same log.
    """
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            Redactor(secrets),
            _stamp,
            _as_json if log_format == "json" else _as_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_arguments: _Sink(stream),
        cache_logger_on_first_use=False,  # a reload changes secrets and level
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge(level=max(_LEVELS[level], logging.WARNING)))


def log_transition(
    what: str,
    *,
    reason: Reason | None = None,
    detail: str = "",
    receipt: str = "",
    event: int | None = None,
    source: str = "",
    incident: str = "",
    action: str = "",
    helpdesk: str = "",
    **more: str | float,
) -> None:
    """One line for one transition of a receipt, event, incident or action. Empty fields are left out."""
    fields: dict[str, object] = {
        "reason": reason.value if reason else "",
        "receipt": receipt,
        "source": source,
        "incident": incident,
        "action": action,
        "helpdesk": helpdesk,
        "detail": detail,
        **more,
    }
    shown = {key: value for key, value in fields.items() if value != ""}
    if event is not None:
        shown["event_index"] = event
    structlog.get_logger().info(what, **shown)
