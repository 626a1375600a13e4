"""What osTicket's answers mean: the table of statuses and bodies, seen on a running osTicket 1.18.

The status alone decides nothing: 200 is a crash of PHP or a dead database, 500 is mostly a refused field. Success is
exactly 201 with a ticket number.
"""

import html
import re
from collections.abc import Collection
from dataclasses import replace

from gateway.helpdesks.http import retry_after
from gateway.helpdesks.protocol import Answer
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.reasons import Reason

MOST_DETAIL = 500
"""Characters of the helpdesk's own words that are kept."""

_NUMBER = re.compile(r"(?=.*\d)\w[\w .:/+-]{0,19}")
_REFUSED = "Unable to create new ticket :"
_LATER = 3600.0  # "maximum open tickets": agents have to close some first

# Each of these concerns the address or the key, so all tickets; osTicket or its web server says them before any work.
_MISCONFIGURED = {
    "URL not supported": "osTicket knows no such address; check `url` (without rewriting it ends in /api/http.php)",
    "HTTPS Protocol Required": "osTicket wants https; write https:// in `url`",
    "The plain HTTP request was sent to HTTPS port": "the web server wants https; write https:// in `url`",
}
_KEY_HINT = "check `auth.api_key`, its right to create tickets, and the IP address that it is bound to"


def ticket_number(answer: Answer) -> str | None:
    """The number of the ticket, if this is the one answer that means success.

    Opaque: the administrator chooses its pattern. Checked before it comes near an address or a header.
    """
    if answer.status != 201 or answer.truncated:
        return None
    text = answer.body.decode("utf-8", "replace").strip()
    return text if _NUMBER.fullmatch(text) and ".." not in text else None


def classify(answer: Answer, *, sent: Collection[str] = ()) -> Outcome:
    """The outcome of a call, without the ticket.

    ``sent`` names the parts that may be left out for one more try, as far as the request had them: ``phone``,
    ``attachments``.
    """
    body = answer.body.decode("utf-8", "replace")
    match answer.status:
        case 201 if ticket_number(answer):
            return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, f"ticket {ticket_number(answer)}")
        case 200:
            return _crashed(answer, body, sent)
        case 400:
            for words, hint in _MISCONFIGURED.items():
                if words in body:
                    return _auth_broken(answer, hint)
            return _rejected(answer)
        case 401 | 407:
            return _auth_broken(answer, _KEY_HINT)
        case 403 if body.startswith(_REFUSED):
            return _rejected(answer, hint="the requester is banned, not registered, or a ticket filter refuses it")
        case 403:
            return _auth_broken(answer, "this is not osTicket's answer but that of a web server or firewall before it")
        case 404 | 405 | 410:
            return _auth_broken(answer, "there is no osTicket API at this address; check `url`")
        case 408 | 421 | 425:  # the request did not come in whole, or nobody looked at it
            return Outcome(
                OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, _detail(answer), retry_after=retry_after(answer)
            )
        case 413:
            return _rejected(answer, _having("attachments", sent), hint="the web server takes no request of this size")
        case 429:
            return Outcome(
                OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED, _detail(answer), retry_after=retry_after(answer)
            )
        case 500 if body.startswith(_REFUSED):
            return _refused(answer, body, sent)
        case status if 300 <= status < 400:
            target = answer.headers.get("location", "")[:200]
            return _auth_broken(
                answer, f"redirected to {target!r}, which is not followed; write the final address in `url`"
            )
        case status if 400 <= status < 500:
            return _rejected(answer)
        case _:
            return _unknown(answer)


def _crashed(answer: Answer, body: str, sent: Collection[str]) -> Outcome:
    """A fatal page, with status 200."""
    if "Fatal error" not in body:
        return _unknown(answer)
    if "mysqli" in body:
        # The stack of a connection that was never made: osTicket connects before it looks at the request.
        trace = html.unescape(body)
        if "real_connect()" in trace and "Bootstrap::connect" in trace:
            return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, _detail(answer, "osTicket has no database"))
        # What it had written by then bears no Message-ID yet, so the settling mail cannot find it (seen at three tables).
        died = _unknown(answer, "it died in the middle: a piece of the ticket or article may stand there besides")
        return replace(died, flags=(Reason.POSSIBLE_DUPLICATE,))
    if "Allowed memory size" in body:
        return _rejected(answer, _having("attachments", sent), hint="PHP's memory_limit is too small for this request")
    if "Uncaught TypeError" in body:
        return _rejected(answer)
    return _unknown(answer)


def _refused(answer: Answer, body: str, sent: Collection[str]) -> Outcome:
    """A refusal in osTicket's own words, with status 500; labels and field ids are those of its administrator."""
    words = body.removeprefix(_REFUSED)
    if words.startswith("unknown error"):
        return _unknown(answer)
    if "maximum open tickets" in words:
        return Outcome(
            OutcomeKind.HELPDESK_DOWN,
            Reason.RATE_LIMITED,
            _detail(answer, "the requester has as many open tickets as osTicket allows one user"),
            retry_after=_LATER,
        )
    if "cannot be closed" in words:
        return _rejected(
            answer, hint="the help topic's first status is a closed one; osTicket has made a ticket without text"
        )
    if "Incomplete client information" in words:
        return _rejected(
            answer,
            _having("phone", sent),
            hint="the requester is new and its name is missing, its phone is refused, or its mail domain does not resolve; "
            "register the requester in osTicket, or switch off the DNS check of mail addresses",
        )
    return _rejected(answer)


def _having(part: str, sent: Collection[str]) -> tuple[str, ...]:
    return (part,) if part in sent else ()


def _rejected(answer: Answer, degrade: tuple[str, ...] = (), *, hint: str = "") -> Outcome:
    return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, _detail(answer, hint), degrade=degrade)


def _auth_broken(answer: Answer, hint: str) -> Outcome:
    return Outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, _detail(answer, hint))


def _unknown(answer: Answer, hint: str = "") -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, _detail(answer, hint), retry_after=retry_after(answer))


def _detail(answer: Answer, hint: str = "") -> str:
    """Status and words, in one line; a page is reduced to its text."""
    text = answer.body[:4000].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = html.unescape(re.sub(r"<[^<>]*>", " ", text))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{answer.status} {words[:MOST_DETAIL]}".rstrip() + (f" ({hint})" if hint else "")
