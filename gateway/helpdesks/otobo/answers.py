"""What the Generic Interface's answers mean: nearly every refusal is a 200, and an error can have written something.

The table was seen on a running OTOBO 11.0.6; Znuny has the same code paths.
"""

import html
import re
from collections.abc import Collection

import orjson

from gateway.helpdesks.http import retry_after
from gateway.helpdesks.otobo.fields import OURS
from gateway.helpdesks.otobo.settings import Call
from gateway.helpdesks.protocol import Answer
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason

MOST_DETAIL = 500
"""Characters of the helpdesk's own words that are kept."""

WRITES = frozenset({Call.CREATE, Call.UPDATE, Call.DELETE})
"""The calls after whose doubtful end something may have been written."""

_PART = re.compile(r"\b(Ticket|Article|Attachment|DynamicField)->(\w+)")
_BEFORE_ANY_WORK = {
    "HTTP::REST Error while determine Operation": "the web service has no such route; check `layout` and `routes`",
    "Error while decoding request content.": "",
    "Unsupported request content structure.": "",
}
NOTHING_CREATED = "Ticket could not be created"
"""Said of a queue in the wrong case, for ever, and of a database that failed at the first row, which passes."""


def read_answer(answer: Answer, call: Call, *, sent: Collection[str] = ()) -> JsonObject | Outcome:
    """The operation's object, or what the answer proves.

    ``sent`` are the fields that may be left out for one more try (`TicketDraft.fields` by our names, ``attachments``).
    """
    if answer.status == 200 and not answer.truncated:
        found = _object(answer)
        error = found.get("Error") if found is not None else None
        if found is None:
            return unclear(answer, call)
        if error is None:
            return found
        code, words = _said(error)
        return _refused(code, words, sent)
    return _not_fine(answer, call, sent)


def auth_failed(outcome: JsonObject | Outcome) -> bool:
    """Whether a login was refused, which an ended session is too."""
    return isinstance(outcome, Outcome) and outcome.kind is OutcomeKind.AUTH_BROKEN and "AuthFail" in outcome.detail


def no_access(outcome: object) -> bool:
    """Whether the ticket is not there, or not for us: the helpdesk says the same of both."""
    return isinstance(outcome, Outcome) and outcome.kind is OutcomeKind.REJECTED and "AccessDenied" in outcome.detail


def unclear(answer: Answer, call: Call) -> Outcome:
    """An answer that proves nothing."""
    if call in WRITES:
        return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, _detail(answer), retry_after=retry_after(answer))
    return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, _detail(answer), retry_after=retry_after(answer))


def _object(answer: Answer) -> JsonObject | None:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _said(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("ErrorCode", "")), str(error.get("ErrorMessage", ""))


def _refused(code: str, words: str, sent: Collection[str]) -> Outcome:
    """A refusal in the helpdesk's own words. Nothing was written, as pending states never go without their time."""
    detail = " ".join(f"{code}: {words}".split())[:MOST_DETAIL]
    kind = code.rpartition(".")[2]
    if kind in {"AuthFail", "SessionInvalid"}:
        return Outcome(
            OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, f"{detail} (check `auth`, and that the agent is valid)"
        )
    if kind == "MissingParameter" and re.search(r"UserLogin|SessionID|Password", words):
        return Outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, detail)
    degrade, hint = _to_leave_out(words, sent)
    if "CustomerUser" in words:
        hint = "a customer is a known login or a mail address, not at example.*"
    elif kind == "AccessDenied" and code.startswith("TicketCreate"):
        hint = "the agent may not create tickets in this queue; give it `rw` on the queue's group"
    elif kind == "AccessDenied":
        hint = "there is no such ticket, or the agent may not do that to it"
    return _rejected(f"{detail} ({hint})" if hint else detail, degrade)


def _to_leave_out(words: str, sent: Collection[str]) -> tuple[tuple[str, ...], str]:
    """The fields that a refusal is about, as far as they were sent."""
    named = _PART.findall(words)
    wanted: set[str] = set()
    for part, name in named:
        if part == "Attachment":
            wanted.add("attachments")
        elif part == "DynamicField":
            wanted |= {field for field in sent if field.startswith("DynamicField_")}
        else:
            wanted.add(OURS.get(name.lower(), name))
    if "given Queue" in words:
        wanted.add("queue")
    hint = ""
    if any(part == "DynamicField" for part, _ in named) and not wanted & set(sent):
        hint = "the dynamic field for the marker is missing; import it: ticket-gateway helpdesk setup"
    return tuple(sorted(wanted & set(sent))), hint


def _not_fine(answer: Answer, call: Call, sent: Collection[str]) -> Outcome:
    body = answer.body.decode("utf-8", "replace")
    match answer.status:
        case 413:
            degrade = ("attachments",) if "attachments" in sent else ()
            return _rejected(_detail(answer, "larger than the web service's MaxLength; check `max_body`"), degrade)
        case 429:
            return Outcome(
                OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED, _detail(answer), retry_after=retry_after(answer)
            )
        case 408 | 421 | 425:
            return Outcome(
                OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, _detail(answer), retry_after=retry_after(answer)
            )
        case 500:
            return _five_hundred(answer, body, call, sent)
        case 401 | 403 | 407:
            return _misconfigured(answer, "this is the answer of a web server or firewall before the helpdesk")
        case 404 | 405 | 410:
            return _misconfigured(answer, "there is no Generic Interface at this address; check `url`")
        case status if 300 <= status < 400:
            target = answer.headers.get("location", "")[:200]
            return _misconfigured(answer, f"redirected to {target!r}, which is not followed; write the final address")
        case status if 400 <= status < 500:
            return _rejected(_detail(answer))
        case _:
            return unclear(answer, call)


def _five_hundred(answer: Answer, body: str, call: Call, sent: Collection[str]) -> Outcome:
    """The three kinds of 500 that prove that nothing was written, and all others."""
    for words, hint in _BEFORE_ANY_WORK.items():
        if body.startswith(words):
            return _misconfigured(answer, hint) if hint else _rejected(_detail(answer))
    if not body and not answer.truncated and "content-type" not in answer.headers:
        # Said of a service that is unknown or switched off; it may be on again soon, so no ticket is set aside for it.
        hint = "there is no web service of this name, or it is switched off; names have their case"
        return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, _detail(answer, hint))
    found = _object(answer)
    fault = str(found.get("faultstring", "")) if found is not None else ""
    if call is Call.CREATE and fault.startswith(NOTHING_CREATED):
        degrade = ("queue",) if "queue" in sent else ()
        return _rejected(_detail(answer, "mostly a queue written in the wrong case"), degrade)
    return unclear(answer, call)


def _rejected(detail: str, degrade: tuple[str, ...] = ()) -> Outcome:
    return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail, degrade=degrade)


def _misconfigured(answer: Answer, hint: str) -> Outcome:
    return Outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, _detail(answer, hint))


def _detail(answer: Answer, hint: str = "") -> str:
    """Status and words, in one line; a page is reduced to its text."""
    text = answer.body[:4000].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = html.unescape(re.sub(r"<[^<>]*>", " ", text))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{answer.status} {words[:MOST_DETAIL]}".rstrip() + (f" ({hint})" if hint else "")
