"""Which known incident a mail belongs to: by what it refers to, and by who wrote it. Pure.

| it bears | counts |
|---|---|
| a Message-ID of ours with a good signature | whoever wrote it: the id was given to him |
| the Message-ID of a mail that the incident took in through the same source | if its sender takes part |
| a Message-ID of ours without a signature, as earlier versions made them | if its sender takes part |
| the number of a ticket in its subject | if its sender takes part |

The first row that gives an incident decides, and within a row the nearest: In-Reply-To, then References from the last to the
first. Who takes part are those who wrote to the incident or were named in To or Cc of its mails, but for our own addresses,
and the owner of its ticket. Where a check of the sender failed (label ``mail.auth``), nobody is known to have written. What a
machine answers (bounces) comes from nobody, so only the first row counts for it.

So the text of a mail never steers, a number that can be guessed is not enough, and neither is a copied `References`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import idna
import re2

from gateway.model.event import Event, Kind
from gateway.model.incident import Incident, IncidentState
from gateway.model.message_ids import MessageIds, unsigned_marker
from gateway.model.reasons import Reason

AUTH = "mail.auth"
"""Label with what became of the check of the sender: ``pass``, ``fail``, ``none`` and others; absent if there was none."""
SUBJECT = "mail.subject"
"""Label with the subject as the sender wrote it; the event's title may come from the text."""
MOST_REFERENCES = 50
"""Message-IDs that are looked up: the first, which began the thread, and the last ones."""
MOST_NUMBERS = 10
"""Numbers of one subject that are looked up per helpdesk."""
_LONGEST_ADDRESS = 320
_SPACES = re.compile(r"\s")


def mailbox(address: str) -> str:
    """An address as it is compared: ASCII letters in lower case, the domain as A-labels; empty if it is none.

    Only ASCII is folded in the local part: other letters that look or fold alike are other people.
    """
    local, at, domain = address.strip("<> \t\r\n").rpartition("@")
    domain = domain.removesuffix(".")
    if not at or not local or not domain or "@" in domain or len(address) > _LONGEST_ADDRESS or _SPACES.search(address):
        return ""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    return f"{_lower(local)}@{domain.lower()}"


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(each.lower() if each.isascii() else each for each in text)


def is_unverified(event: Event) -> bool:
    """Whether a check of the sender failed. No check is no failure: most sites have none."""
    return event.labels.get(AUTH, "") == "fail"


@dataclass(frozen=True, slots=True)
class Refs:
    """What a mail refers to, the nearest first.

    ``signed`` are ids of incidents; ``markers`` those of our unsigned Message-IDs; ``mails`` are foreign Message-IDs;
    ``numbers`` are (helpdesk, ticket number).
    """

    signed: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.signed or self.markers or self.mails or self.numbers)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads references. ``numbers`` are RE2 expressions by helpdesk; ``is_ours`` tells addresses of our own mailboxes."""

    message_ids: MessageIds = field(default_factory=MessageIds)
    numbers: Mapping[str, "re2._Regexp[str]"] = field(default_factory=dict)
    is_ours: Callable[[str], bool] = lambda _address: False

    def refs(self, event: Event) -> Refs:
        """What a mail refers to. Alerts go by their own key, so they refer to nothing."""
        if "mail.alert" in event.labels:
            return Refs()
        near = [*event.in_reply_to, *reversed(event.references)]
        first = event.references[:1]
        if event.kind is Kind.BOUNCE:
            near, first = [*event.returned_ids, *near], ()
        named = dict.fromkeys([*near[: MOST_REFERENCES - 1], *first])
        signed: list[str] = []
        markers: list[str] = []
        mails: list[str] = []
        for name in named:
            incident = self.message_ids.incident_of(name)
            if incident:
                signed.append(incident)
            elif marker := unsigned_marker(name):
                markers.append(marker)
            else:
                mails.append(name)
        if event.kind is Kind.BOUNCE:
            return Refs(signed=tuple(signed))
        if event.message_id and event.message_id not in named:
            mails.append(event.message_id)  # another copy of a mail that is known, or another mail that calls itself so
        return Refs(tuple(signed), tuple(markers), tuple(mails), tuple(self._numbers(event.labels.get(SUBJECT, ""))))

    def _numbers(self, subject: str) -> Iterable[tuple[str, str]]:
        for helpdesk, expression in self.numbers.items():
            found: list[str] = []
            for match in expression.finditer(subject):
                number = match[1] if match.re.groups else match[0]
                if number and number not in found:
                    found.append(number)
                if len(found) == MOST_NUMBERS:
                    break
            yield from ((helpdesk, number) for number in found)

    def participants(self, event: Event, recipients: Sequence[str] = ()) -> tuple[str, ...]:
        """Who takes part by this mail: who wrote it, and who else got it. ``recipients`` are those of its envelope."""
        answers = event.kind is Kind.UPDATE and "mail.alert" not in event.labels
        if answers or event.kind in {Kind.BOUNCE, Kind.RAW}:  # a machine's words about somebody else
            return ()
        own = {mailbox(address) for address in recipients}
        named = dict.fromkeys(mailbox(address) for address in (event.sender_address, *event.to, *event.cc))
        return tuple(name for name in named if name and name not in own and not self.is_ours(name))


@dataclass(slots=True)
class Threads:
    """What is known of mails: the journal's answer, then what the batch at hand added. Values name incidents.

    ``mails`` are (source, Message-ID), ``markers`` of actions, ``tickets`` are (helpdesk, number).
    """

    mails: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
    tickets: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    participants: dict[str, set[str]] = field(default_factory=dict)

    def copy(self) -> "Threads":
        """The same, to be changed without changing this one."""
        return Threads(
            mails={mail: list(names) for mail, names in self.mails.items()},
            markers=self.markers,
            tickets=self.tickets,
            participants={name: set(group) for name, group in self.participants.items()},
        )

    def add(self, incident: str, source: str, message_id: str, participants: Iterable[str]) -> None:
        """An incident took in a mail."""
        if message_id:
            known = self.mails.setdefault((source, message_id), [])
            if incident not in known:
                known.append(incident)
        self.participants.setdefault(incident, set()).update(participants)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a mail goes: into ``incidents`` (``detail`` says why), or nowhere because of ``refused``.

    ``trusted``: its sender takes part in them and no check of the sender failed.
    """

    incidents: tuple[Incident, ...] = ()
    detail: str = ""
    trusted: bool = False
    refused: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a mail lays claim to: incidents by their ids, and by what.

    ``proof``: it needs no other. ``one``: they have one ticket between them, into which the mail is written once.
    """

    names: Sequence[str]
    how: str
    proof: bool = False
    one: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One mail: what it refers to, and who wrote it into which source. ``ours`` tells that an address is our own."""

    refs: Refs
    event: Event
    source: str
    is_ours: Callable[[str], bool]

    def decide(
        self, threads: Threads, incidents: Mapping[str, Incident], takes_more: Callable[[Incident], bool]
    ) -> Verdict:
        """Where the mail goes. ``takes_more`` tells whether an incident can still be written to."""
        sender, unverified = mailbox(self.event.sender_address), is_unverified(self.event)
        refused: Reason | None = None
        detail = ""
        for claim in self._claims(threads):
            known = [incidents[name] for name in claim.names if name in incidents]
            running = sorted((one for one in known if takes_more(one)), key=_is_closed)
            parts = [one for one in running if not unverified and self._takes_part(one, sender, threads)]
            chosen = running if claim.proof else parts[:1] if claim.one else parts
            if chosen:
                return Verdict(tuple(chosen), claim.how, trusted=len(parts) >= len(chosen))
            if known and refused is None:
                refused, detail = _why_not(running, unverified=unverified), claim.how
        return Verdict(refused=refused, detail=detail)

    def _claims(self, threads: Threads) -> Iterable["_Claim"]:
        refs = self.refs
        yield from (_Claim([name], "by our signed Message-ID", proof=True) for name in refs.signed)
        for name in refs.mails:
            yield _Claim(threads.mails.get((self.source, name), ()), f"by the Message-ID {name}")
        for marker in refs.markers:
            incident = threads.markers.get(marker, "")
            yield _Claim([incident] if incident else (), "by our unsigned Message-ID")
        for helpdesk, number in refs.numbers:
            names = threads.tickets.get((helpdesk, number), ())
            yield _Claim(names, f"by the number {number} in the subject", one=True)

    def _takes_part(self, incident: Incident, sender: str, threads: Threads) -> bool:
        if not sender or self.is_ours(sender):
            return False
        owner = mailbox(incident.ticket.requester) if incident.ticket is not None else ""
        return sender in threads.participants.get(incident.id, ()) or sender == owner


def _is_closed(incident: Incident) -> bool:
    return incident.state is IncidentState.CLOSED


def _why_not(running: Sequence[Incident], *, unverified: bool) -> Reason:
    if not running:
        return Reason.THREAD_CLOSED
    return Reason.THREAD_UNVERIFIED if unverified else Reason.NOT_A_PARTICIPANT
