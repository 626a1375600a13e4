"""Who is behind a mail: a person, or a machine, and which kind of machine. In doubt it is a person.

Two things follow from it. An answer of a machine (a bounce, an out-of-office note, a read receipt) never opens a
ticket. Mail that a machine writes on its own (monitoring, newsletters, lists) is only labelled; rules decide.
Facts: RFC 3834 (Auto-Submitted, null sender), RFC 3464 (delivery reports), RFC 8098 (receipts), RFC 5965 (feedback),
RFC 2919 and 2369 (lists), and the headers that mail programs used before there were any.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.sources.mail import machine_words as words
from gateway.sources.mail.headers import Headers
from gateway.sources.mail.limits import MAX_RECEIVED
from gateway.sources.mail.message import Message

OWN_LOOP_HEADER: Final = "x-ticket-gateway"
"""A header that mail made from our tickets may bear; one that comes back with it goes in a circle."""


class Nature(StrEnum):
    """What wrote the mail. The values of all but `PERSON` are those of the label ``mail.auto``."""

    PERSON = ""
    BOUNCE = "bounce"
    REPLIED = "auto-replied"
    GENERATED = "auto-generated"
    BULK = "bulk"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Classification:
    """What wrote the mail, by which sign, and whether it goes in a circle (why, or empty).

    ``hops``: its ``Received`` headers, if they are more than may be: that alone proves nothing, so such a mail is held.
    """

    nature: Nature = Nature.PERSON
    sign: str = ""
    loop: str = ""
    hops: int = 0

    @property
    def automatic(self) -> bool:
        """Whether a machine wrote it. People write to lists, so a list alone is no machine."""
        return self.nature not in {Nature.PERSON, Nature.LIST}

    @property
    def answers(self) -> bool:
        """Whether it is the answer of a machine to a mail, which never opens a ticket."""
        return self.nature in {Nature.BOUNCE, Nature.REPLIED}


def classify(
    message: Message, *, null_sender: bool = False, own_domains: Collection[str] = (), most_hops: int = MAX_RECEIVED
) -> Classification:
    """What wrote this mail.

    ``null_sender``: the envelope sender was ``<>``; ``own_domains``: of our Message-IDs; ``most_hops``: as many
    ``Received`` headers as a mail may have.
    """
    headers = message.headers
    loop = _loop(message, own_domains)
    hops = len(headers.all("received"))
    hops = hops if hops > most_hops else 0
    null = null_sender or headers.plain("return-path") in {"<>", "< >", "<MAILER-DAEMON>"}
    for test in (_report, _declared, _bounce_in_words, _answer_in_words, _sent_to_many):
        nature, sign = test(message, headers, null)
        if nature is not Nature.PERSON:
            return Classification(nature, sign, loop, hops)
    if null:
        return Classification(Nature.GENERATED, "null sender", loop, hops)
    return Classification(loop=loop, hops=hops)


def _loop(message: Message, own_domains: Collection[str]) -> str:
    if message.headers.raw(OWN_LOOP_HEADER):
        return "our own header"
    domain = message.message_id.rpartition("@")[2].lower()
    if domain and domain in {own.lower() for own in own_domains}:
        return "our own Message-ID"
    return ""


def _word(headers: Headers, name: str) -> str:
    return headers.plain(name)[:200].strip().lower() if headers.raw(name) else ""


_Found = tuple[Nature, str]
_PERSON: Final[_Found] = (Nature.PERSON, "")


def _report(message: Message, headers: Headers, _null: bool) -> _Found:  # noqa: FBT001 - all tests have one signature
    """multipart/report and what Exchange and Exim say of their reports."""
    if message.root_type == "multipart/report":
        kind = message.root_parameters.get("report-type", "").lower() or _report_type(message)
        if kind == "disposition-notification":
            return Nature.REPLIED, "read receipt"
        if kind == "feedback-report":
            return Nature.GENERATED, "feedback report"
        if kind and "delivery" not in kind:
            return Nature.GENERATED, "report"  # of TLS (RFC 8460) and others
        return Nature.BOUNCE, "delivery report"
    if message.root_type in {"message/delivery-status", "message/disposition-notification"}:
        return Nature.BOUNCE if "delivery" in message.root_type else Nature.REPLIED, message.root_type
    for name in ("x-failed-recipients", "x-ms-exchange-message-is-ndr"):
        if headers.all(name):
            return Nature.BOUNCE, name
    return _PERSON


def _report_type(message: Message) -> str:
    """Which report it is that does not say so, by the fields that each must have; empty if they are missing too."""
    text = "\n".join(message.reports)[:10_000].lower()
    if "disposition:" in text and "action:" not in text:
        return "disposition-notification"
    return "feedback-report" if "feedback-type:" in text else ""


def _declared(message: Message, headers: Headers, null: bool) -> _Found:  # noqa: FBT001 - all tests have one signature
    """What the sender's program says of itself, and, where that is little, the words that say more."""
    found = _declared_by_header(headers, null)
    if found[0] in {Nature.GENERATED, Nature.REPLIED} and found[1] == "auto-submitted":
        bounce = _bounce_in_words(message, headers, null)
        if bounce[0] is Nature.BOUNCE:
            return bounce
    if found[0] is Nature.BULK or found[1] == "auto-submitted":  # Exchange calls its absence notes generated
        answer = _answer_in_words(message, headers, null, marked=True)
        if answer[0] is Nature.REPLIED:
            return answer
    return found


def _declared_by_header(headers: Headers, null: bool) -> _Found:  # noqa: FBT001 - as above
    submitted = _word(headers, "auto-submitted").partition(";")[0].partition(" ")[0]
    if submitted and submitted != "no":
        if null and words.BOUNCE_SUBJECT.search(headers.text("subject", 500)):
            return Nature.BOUNCE, "auto-submitted"
        return (Nature.REPLIED if submitted.startswith("auto-repl") else Nature.GENERATED), "auto-submitted"
    for name in ("x-autoreply", "x-auto-reply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply", "x-autoresponder",
                 "x-autoreply-to", "x-auto-reply-from", "x-vacation", "x-amazon-auto-reply"):  # fmt: skip
        if headers.raw(name) and _word(headers, name) not in {"no", "false", "0"}:
            return Nature.REPLIED, name
    precedence = {_word(headers, "precedence"), _word(headers, "x-precedence")}
    if precedence & {"auto_reply", "auto-reply", "autoreply"}:
        return Nature.REPLIED, "precedence"
    generated = _word(headers, "x-autogenerated")
    if generated:
        return (Nature.REPLIED if generated in {"reply", "replied"} else Nature.GENERATED), "x-autogenerated"
    if "autoresponder" in _word(headers, "x-post-messageclass"):
        return Nature.REPLIED, "x-post-messageclass"
    for name in (
        "x-auto-generated",
        "x-servicenow-generated",
        "x-fc-machinegenerated",
        "x-cron-env",
        "x-no-loop",
        "x-loop",
    ):
        if headers.raw(name) and _word(headers, name) not in {"no", "false", "0"}:
            return Nature.GENERATED, name
    if precedence & {"bulk", "junk", "list", "first-class-bulk"}:
        return Nature.BULK, "precedence"
    return _PERSON


def _bounce_in_words(message: Message, headers: Headers, null: bool) -> _Found:  # noqa: FBT001 - one signature
    """Reports that are no report by their type: by the sender, the subject and the sentences of mail servers."""
    address = message.sender.address.lower() if message.sender else ""
    name = message.sender.name if message.sender else ""
    local = address.partition("@")[0]
    if words.REPLY_PREFIX.match(message.subject) and not null:
        return _PERSON  # a person who asks about a bounce, or forwards one
    about = words.BOUNCE_SUBJECT.search(message.subject) is not None
    if local in words.MACHINES or name.lower() in words.MACHINES:
        return Nature.BOUNCE, "sender"
    machine = (
        null
        or local in {"postmaster", "mailer", "bounce", "bounces", "mailadmin", "mail-admin"}
        or words.EXCHANGE.fullmatch(local) is not None
        or (words.DELIVERY_NAMES.search(name) is not None)
    )
    if not machine and not about:
        return _PERSON
    said = words.BOUNCE_SENTENCE.search(message.text[:4000]) is not None
    if machine and (about or said):
        return Nature.BOUNCE, "sender and subject"
    del headers
    if about and said and not message.in_reply_to:
        return Nature.BOUNCE, "subject and text"
    return _PERSON


def _answer_in_words(message: Message, headers: Headers, null: bool, *, marked: bool = False) -> _Found:  # noqa: FBT001 - one signature
    """Out-of-office notes without a header that says so: by the subjects that programs write.

    ``marked``: that a machine wrote the mail is known.
    """
    subject = message.subject
    if not subject or words.REPLY_PREFIX.match(subject):
        return _PERSON
    hushed = null or marked or bool(headers.raw("x-auto-response-suppress"))
    if words.ANSWER_SUBJECT.match(subject) or (hushed and words.ANSWER_BEGINS.match(subject)):
        return Nature.REPLIED, "subject"
    if message.in_reply_to and (words.ABSENCE_ABOUT.match(subject) or words.IS_ABSENT.fullmatch(subject)):
        return Nature.REPLIED, "subject of an answer"
    if words.RECEIPT_SUBJECT.match(subject) and (null or headers.raw("x-ms-exchange-generated-message-source")):
        return Nature.REPLIED, "read receipt"
    return _PERSON


def _sent_to_many(message: Message, headers: Headers, _null: bool) -> _Found:  # noqa: FBT001 - one signature
    """Lists and newsletters."""
    is_list = any(
        headers.raw(name) for name in ("list-id", "list-post", "mailing-list", "x-mailing-list", "x-mailman-version")
    )
    if headers.raw("list-unsubscribe") and not is_list:
        return Nature.BULK, "list-unsubscribe"
    if headers.raw("list-unsubscribe") and not headers.raw("list-post"):
        return Nature.BULK, "list-unsubscribe"
    if is_list:
        return Nature.LIST, "list-id"
    if _cron(message):
        return Nature.GENERATED, "cron"
    return _PERSON


def _cron(message: Message) -> bool:
    return (
        bool(message.from_)
        and "(Cron Daemon)" in message.headers.plain("from")
        and message.subject.startswith("Cron <")
    )
