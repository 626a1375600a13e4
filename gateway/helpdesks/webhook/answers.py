"""What an answer of a configured API means: statuses by HTTP's own words (RFC 9110), and what the configuration adds."""

import html
import re
from dataclasses import dataclass

import orjson

from gateway.helpdesks.http import retry_after
from gateway.helpdesks.protocol import Answer
from gateway.helpdesks.webhook import paths
from gateway.helpdesks.webhook.settings import WebhookRequest
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason

MOST_DETAIL = 500
"""Characters of the API's own words that are kept."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}")


@dataclass(frozen=True, slots=True)
class Named:
    """What an answer says of the ticket; empty where it says nothing."""

    id: str
    number: str
    url: str


def body_of(answer: Answer) -> JsonValue:
    """The body as JSON; None where it is none."""
    if answer.truncated:
        return None
    try:
        value: JsonValue = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return value


def of_write(answer: Answer, request: WebhookRequest, down: list[int], *, names_ticket: bool, files: bool) -> Outcome:
    """The outcome of a call that writes. ``names_ticket``: its path names a ticket, which may be gone."""
    status = answer.status
    if status in (request.success.statuses or range(200, 300)):
        return _judged(answer, request)
    if status in down:
        return _outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, answer)
    match status:
        case 401 | 403:
            return _outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, answer, "check `auth`")
        case 404 | 410 if names_ticket:
            return _outcome(OutcomeKind.REJECTED, Reason.REJECTED, answer, "is the ticket gone?")
        case 404 | 405 | 410:
            return _outcome(
                OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, answer, "there is no such call; check `url` and `method`"
            )
        case 408 | 421 | 425:
            return _outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, answer)
        case 409 if request.repeats:  # the first copy of this request is still being worked on
            return _outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, answer)
        case 413:
            degrade = ("attachments",) if files else ()
            return _outcome(OutcomeKind.REJECTED, Reason.REJECTED, answer, "the request is too large", degrade)
        case 429:
            return _outcome(OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED, answer)
        case _ if 300 <= status < 400:
            target = answer.headers.get("location", "")[:200]
            hint = f"redirected to {target!r}, which is not followed; write the final address in `url`"
            return _outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, answer, hint)
        case _ if 400 <= status < 500:
            return _outcome(OutcomeKind.REJECTED, Reason.REJECTED, answer)
        case _:
            return _outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, answer)


def of_read(answer: Answer, statuses: list[int]) -> Outcome:
    """The outcome of a call that writes nothing: the probe, a look-up, a log-in."""
    if answer.status in (statuses or range(200, 300)):
        return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, f"{answer.status}")
    if answer.status in {401, 403, 404, 405, 410} or 300 <= answer.status < 400:
        return _outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, answer, "check `url` and `auth`")
    reason = Reason.RATE_LIMITED if answer.status == 429 else Reason.HELPDESK_DOWN
    return _outcome(OutcomeKind.HELPDESK_DOWN, reason, answer)


def _judged(answer: Answer, request: WebhookRequest) -> Outcome:
    """A status of success, weighed with what the configuration wants to see."""
    success, value = request.success, body_of(answer)
    if success.lacks and paths.one(value, success.lacks) is not None:
        hint = f"the answer has `{success.lacks}`, which says that nothing was done"
        return _outcome(OutcomeKind.REJECTED, Reason.REJECTED, answer, hint)
    if success.has and paths.one(value, success.has) in (None, "", False):
        hint = f"the answer lacks `{success.has}`, so this is no success"
        return _outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, answer, hint)
    if request.answer.id and not named(value, request.answer.id).id:
        hint = f"the answer names no id at `{request.answer.id}`"
        return _outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, answer, hint)
    return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, f"{answer.status}")


def named(value: JsonValue, id_path: str, number_path: str = "", url_path: str = "") -> Named:
    """Id, number and page of a ticket in JSON; what has not the form of one counts as not there."""
    number = _id(value, number_path)
    page = paths.one(value, url_path) if url_path else None
    good = isinstance(page, str) and re.fullmatch(r"https?://[!-~]{1,1000}", page) is not None
    return Named(_id(value, id_path), number, str(page) if good else "")


def _id(value: JsonValue, path: str) -> str:
    found = paths.one(value, path) if path else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    text = str(found)
    return text if _ID.fullmatch(text) else ""


def _outcome(
    kind: OutcomeKind, reason: Reason, answer: Answer, hint: str = "", degrade: tuple[str, ...] = ()
) -> Outcome:
    wish = retry_after(answer) if kind in {OutcomeKind.HELPDESK_DOWN, OutcomeKind.UNKNOWN} else None
    return Outcome(kind, reason, _detail(answer, hint), retry_after=wish, degrade=degrade)


def _detail(answer: Answer, hint: str) -> str:
    """Status and words, in one line; a page is reduced to its text."""
    text = answer.body[:4000].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = html.unescape(re.sub(r"<[^<>]*>", " ", text))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{answer.status} {words[:MOST_DETAIL]}".rstrip() + (f" ({hint})" if hint else "")
