"""What Zammad's answers mean: the table of statuses for calls that write and calls that read.

The status decides, never the text, which changed between releases. There are three exceptions, each the only sign
there is: maintenance mode among the 403s, the masked error among the 422s, and the field that a refusal names.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.helpdesks.http import retry_after
from gateway.helpdesks.protocol import Answer
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

MOST_DETAIL = 500
"""Characters of the helpdesk's own words that are kept."""

MASKED = "Error ID"
"""How the error of a fault begins that Zammad hides from accounts that are no administrators: its database's too."""

_MAINTENANCE = "Maintenance mode enabled"
_NAMED = re.compile(r"(?:for|field|param|attribute|value) '(?:ticket\.)?([a-z][a-z0-9_]{0,62})'")
_EMPTY: Mapping[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class Read:
    """An answer with its body read: ``value`` is None where it is no JSON."""

    answer: Answer
    value: JsonValue

    @property
    def status(self) -> int:
        """The status."""
        return self.answer.status

    @property
    def good(self) -> bool:
        """True for a status from 200 to 299."""
        return 200 <= self.answer.status < 300

    @property
    def object(self) -> JsonObject:
        """The body where it is a JSON object, else an empty one."""
        return self.value if isinstance(self.value, dict) else dict(_EMPTY)

    @property
    def error(self) -> str:
        """Zammad's own words; empty where it says none."""
        return str(self.object.get("error_human") or self.object.get("error") or "")

    @property
    def is_masked(self) -> bool:
        """True for an error whose text is in the server's log only."""
        return self.status in {422, 500} and self.error.startswith(MASKED)


def read(answer: Answer) -> Read:
    """The answer with its body; never raises."""
    if answer.truncated:
        return Read(answer, None)
    try:
        value: JsonValue = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        value = None
    return Read(answer, value)


def ticket_id(one: Read) -> int | None:
    """The id of the ticket, if this is the answer of a successful call about one."""
    given = one.object.get("id")
    return given if one.good and isinstance(given, int) and not isinstance(given, bool) and given > 0 else None


def after_write(one: Read, sent: Mapping[str, str], *, files: bool) -> Outcome:
    """The outcome of a call that writes a ticket or an article and did not succeed.

    ``sent`` maps keys that may be left out for one more try to the names of their fields; ``files``: there were some.
    """
    match one.status:
        case 401 | 403:
            return _no_entry(one)
        case 404 | 405 | 410:
            return _auth_broken(one, "there is no Zammad API at this address; check `url`")
        case 408 | 421 | 425:
            return _down(one, Reason.HELPDESK_DOWN)
        case 413:
            hint = "the web server takes no request of this size"
            return _rejected(one, ("attachments",) if files else (), hint)
        case 422 if one.is_masked or not one.object:
            return _unknown(one)
        case 422:
            return _rejected(one, _refused(one, sent, files=files))
        case 429:
            return _down(one, Reason.RATE_LIMITED)
        case status if 300 <= status < 400:
            return _redirected(one)
        case status if 400 <= status < 500:
            return _rejected(one)
        case _:
            return _unknown(one)


def after_read(one: Read) -> Outcome:
    """The outcome of a call that writes nothing and did not bring what was asked for."""
    match one.status:
        case 401 | 403:
            return _no_entry(one)
        case 404 | 405 | 410:
            return _auth_broken(one, "there is no Zammad API at this address; check `url`")
        case 429:
            return _down(one, Reason.RATE_LIMITED)
        case status if 300 <= status < 400:
            return _redirected(one)
        case 200:
            hint = "this is no answer of Zammad's API; check `url`, and that nothing stands before it"
            return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, detail(one, hint))
        case _:
            return _down(one, Reason.HELPDESK_DOWN)


def _no_entry(one: Read) -> Outcome:
    """Delivery asks the harmless call too: only if that is refused as well, the whole helpdesk pauses."""
    if one.error.startswith(_MAINTENANCE):
        return Outcome(
            OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, detail(one), retry_after=retry_after(one.answer)
        )
    if not one.error:
        return _auth_broken(one, "not Zammad's own words: a web server or firewall before it refuses")
    hint = "check the token, its permissions (ticket.agent), and the account's access to the group"
    return _auth_broken(one, hint)


def _refused(one: Read, sent: Mapping[str, str], *, files: bool) -> tuple[str, ...]:
    """What to leave out for one more try: the field that the refusal names, else the files."""
    invalid = one.object.get("invalid_attribute")
    named = [*(invalid if isinstance(invalid, dict) else ()), *_NAMED.findall(one.error)]
    fields = tuple(dict.fromkeys(sent[name] for name in named if name in sent))
    if fields:
        return fields
    return ("attachments",) if files and ("ttachment" in one.error or not named) else ()


def _rejected(one: Read, degrade: tuple[str, ...] = (), hint: str = "") -> Outcome:
    return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail(one, hint), degrade=degrade)


def _auth_broken(one: Read, hint: str) -> Outcome:
    return Outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, detail(one, hint))


def _redirected(one: Read) -> Outcome:
    target = one.answer.headers.get("location", "")[:200]
    return _auth_broken(one, f"redirected to {target!r}, which is not followed; write the final address in `url`")


def _down(one: Read, reason: Reason) -> Outcome:
    return Outcome(OutcomeKind.HELPDESK_DOWN, reason, detail(one), retry_after=retry_after(one.answer))


def _unknown(one: Read) -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail(one), retry_after=retry_after(one.answer))


def detail(one: Read, hint: str = "") -> str:
    """Status and words, in one line; a page is reduced to its text."""
    text = one.error or one.answer.body[:4000].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = html.unescape(re.sub(r"<[^<>]*>", " ", text))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{one.status} {words[:MOST_DETAIL]}".rstrip() + (f" ({hint})" if hint else "")
