"""What a mail belongs to: what counts, for whom, and what hostile mail makes of it."""

import string
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.incidents.threads import MOST_REFERENCES, Case, Reader, Refs, Threads, Verdict, mailbox
from gateway.model.event import Event, Kind
from gateway.model.ids import marker_of, new_id
from gateway.model.incident import Incident, IncidentState, TicketRef
from gateway.model.message_ids import MessageIds
from gateway.model.reasons import Reason
from gateway.routing.predicates import compile_regex
from gateway.sources.mail.message import ids
from tests.journal.builders import an_incident

IDS = MessageIds([b"a key of the tests, long enough"])
READER = Reader(
    IDS, {"osticket": compile_regex(r"#([0-9A-Za-z_-]{1,20})")}, lambda address: address == "support@own.example"
)
MARKER = marker_of(cause="r/0", route="mail", helpdesk="osticket", kind="create", ordinal=0)
OPEN, OTHER = an_incident("open", incident_id=new_id()), an_incident("other", incident_id=new_id())
OURS = f"{IDS.name(MARKER, OPEN.id)}@example.org"
ANN, EVE = "ann@a.example", "eve@e.example"


def a_mail(
    sender: str = ANN,
    *references: str,
    in_reply_to: tuple[str, ...] = (),
    message_id: str = "",
    labels: Mapping[str, str] | None = None,
    to: tuple[str, ...] = (),
    cc: tuple[str, ...] = (),
) -> Event:
    return Event(
        Kind.MESSAGE,
        sender_address=sender,
        references=references,
        in_reply_to=in_reply_to,
        message_id=message_id,
        labels=labels or {},
        to=to,
        cc=cc,
    )


def known(incident: Incident = OPEN, *participants: str) -> Threads:
    threads = Threads(markers={MARKER: incident.id}, tickets={("osticket", "123456"): [incident.id]})
    threads.add(incident.id, "mail", "one@a.example", participants or (ANN,))
    return threads


def decide(event: Event, threads: Threads | None = None, *incidents: Incident) -> Verdict:
    case = Case(READER.refs(event), event, "mail", READER.is_ours)
    there = {incident.id: incident for incident in incidents or (OPEN, OTHER)}
    return case.decide(threads or known(), there, lambda one: one.state is not IncidentState.CLOSED)


def test_who_takes_part_joins_by_a_reference() -> None:
    verdict = decide(a_mail(ANN, "unknown@x", "one@a.example", "later@x"))
    assert (verdict.incidents, verdict.trusted, verdict.refused) == ((OPEN,), True, None)
    assert "one@a.example" in verdict.detail


@pytest.mark.parametrize(
    "event",
    [
        a_mail(EVE, "one@a.example"),
        a_mail(EVE, in_reply_to=("one@a.example",)),
        a_mail(EVE, message_id="one@a.example"),
        a_mail(EVE, f"tg-{MARKER}@example.org"),
        a_mail(EVE, labels={"mail.subject": "Re: [#123456]"}),
        a_mail("", "one@a.example"),
        a_mail("support@own.example", "one@a.example"),
        a_mail("ann@a.example.evil.example", "one@a.example"),
        a_mail("Ann <ann@a.example> <eve@e.example>", "one@a.example"),
        a_mail("ann+x@a.example", "one@a.example"),
    ],
)
def test_nobody_else_does(event: Event) -> None:
    verdict = decide(event)
    assert (verdict.incidents, verdict.refused) == ((), Reason.NOT_A_PARTICIPANT)


@pytest.mark.parametrize(
    "event",
    [
        a_mail(ANN, "one@a.example"),
        a_mail(ANN, f"tg-{MARKER}@example.org"),
        a_mail(ANN, labels={"mail.subject": "#123456"}),
        a_mail("ANN@A.EXAMPLE.", labels={"mail.subject": "host #1 down [#123456]"}),
        a_mail(ANN, labels={"mail.subject": "#123456", "mail.auth": "none"}),
    ],
)
def test_who_takes_part_joins_by_whatever_names_the_ticket(event: Event) -> None:
    assert decide(event).incidents == (OPEN,)


def test_a_sender_whose_check_failed_counts_as_nobody_but_may_show_our_signed_id() -> None:
    failed = {"mail.auth": "fail", "mail.subject": "#123456"}
    assert decide(a_mail(ANN, "one@a.example", labels=failed)) == Verdict(
        refused=Reason.THREAD_UNVERIFIED, detail="by the Message-ID one@a.example"
    )
    verdict = decide(a_mail(ANN, OURS, labels=failed))
    assert (verdict.incidents, verdict.trusted) == ((OPEN,), False)


def test_our_signed_id_is_enough_for_anybody_and_goes_before_everything_else() -> None:
    threads = known(OTHER, EVE)
    verdict = decide(a_mail(EVE, "one@a.example", OURS, in_reply_to=("one@a.example",)), threads)
    assert (verdict.incidents, verdict.trusted) == ((OPEN,), False)


def test_the_nearest_reference_that_counts_decides() -> None:
    threads = known()
    threads.add(OTHER.id, "mail", "two@a.example", [ANN])
    assert decide(a_mail(ANN, "one@a.example", "two@a.example"), threads).incidents == (OTHER,)
    assert decide(a_mail(ANN, "two@a.example", in_reply_to=("one@a.example",)), threads).incidents == (OPEN,)


def test_a_mail_that_two_incidents_took_in_is_answered_into_both() -> None:
    threads = known()
    threads.add(OTHER.id, "mail", "one@a.example", [ANN])
    assert set(decide(a_mail(ANN, "one@a.example"), threads).incidents) == {OPEN, OTHER}
    threads.participants[OTHER.id] = {EVE}
    assert decide(a_mail(ANN, "one@a.example"), threads).incidents == (OPEN,)


def test_the_owner_of_the_ticket_takes_part() -> None:
    owned = replace(OPEN, ticket=TicketRef("osticket", "1", "1", requester="Eve@E.example"))
    assert decide(a_mail(EVE, "one@a.example"), known(), owned).incidents == (owned,)


def test_of_several_incidents_with_one_ticket_the_one_counts_in_which_the_sender_takes_part() -> None:
    threads = known()
    threads.tickets["osticket", "123456"] = [OTHER.id, OPEN.id]
    event = a_mail(ANN, labels={"mail.subject": "#123456"})
    assert decide(event, threads).incidents == (OPEN,)
    threads.participants[OTHER.id] = {ANN}
    assert decide(event, threads).incidents == (OTHER,)


def test_a_mail_of_another_source_is_not_known_here() -> None:
    event = a_mail(ANN, "one@a.example")
    case = Case(READER.refs(event), event, "sales", READER.is_ours)
    assert case.decide(known(), {OPEN.id: OPEN}, lambda _: True) == Verdict()


def test_a_ticket_that_takes_no_more_is_told() -> None:
    closed = replace(OPEN, state=IncidentState.CLOSED)
    assert decide(a_mail(EVE, OURS), known(), closed).refused is Reason.THREAD_CLOSED


def test_a_bounce_joins_by_our_signed_id_alone() -> None:
    bounce = replace(a_mail(ANN, "one@a.example"), kind=Kind.BOUNCE, returned_ids=("one@a.example",))
    assert decide(bounce) == Verdict()
    assert decide(replace(bounce, returned_ids=(OURS,))).incidents == (OPEN,)


def test_an_alert_goes_by_its_own_key() -> None:
    assert READER.refs(a_mail(ANN, OURS, labels={"mail.alert": "nagios", "mail.subject": "#123456"})) == Refs()


def test_a_flood_of_references_and_numbers_is_bounded() -> None:
    event = a_mail(
        ANN, *(f"{n}@x" for n in range(1000)), labels={"mail.subject": " ".join(f"#{n}" for n in range(400))}
    )
    refs = READER.refs(event)
    assert len(refs.mails) == MOST_REFERENCES
    assert refs.mails[0] == "999@x"
    assert "0@x" in refs.mails
    assert len(refs.numbers) == 10


def test_who_wrote_and_who_got_it_take_part_but_our_own_mailboxes_do_not() -> None:
    event = a_mail("Ann@A.example", to=("support@own.example", "list@own.example", "Bob@B.example"), cc=("broken", EVE))
    assert READER.participants(event, ["LIST@own.example"]) == (ANN, "bob@b.example", EVE)
    assert READER.participants(replace(event, kind=Kind.BOUNCE)) == ()
    assert READER.participants(replace(event, kind=Kind.UPDATE)) == ()


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Ann.Adams@Example.ORG", "ann.adams@example.org"),
        ("<ann@example.org.>", "ann@example.org"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("Straße@x.example", "straße@x.example"),
        ("strasse@x.example", "strasse@x.example"),
        ("\u212aarl@x.example", "\u212aarl@x.example"),  # KELVIN SIGN is not the letter k
        ("ann", ""),
        ("@x.example", ""),
        ("ann@", ""),
        ("ann @x.example", ""),
        ("a" * 400 + "@x.example", ""),
    ],
)
def test_addresses_are_compared_in_one_form(written: str, compared: str) -> None:
    assert mailbox(written) == compared


@given(st.text(max_size=400))
def test_any_text_has_a_form_or_none_and_the_form_is_stable(text: str) -> None:
    once = mailbox(text)
    assert mailbox(once) == once


Garbled = st.lists(
    st.sampled_from(["\r\n ", " ", "\t", ",", ";", "<", ">", "<<", "\r\n\t", "=", "", '"', "(x)", "\0", "mid:"]),
    max_size=6,
)


@given(Garbled, st.lists(st.sampled_from(["<junk@x>", "Your message of Monday", "<>", "<a b@c>", "x@y"]), max_size=4))
def test_outlook_and_others_may_mangle_the_header_and_our_id_is_found_or_nothing(
    pieces: list[str], others: list[str]
) -> None:
    header = " ".join([*others[:2], *pieces[:3], f"<{OURS}>", *pieces[3:], *others[2:]])
    event = a_mail(EVE, *ids(header))
    assert set(READER.refs(event).signed) <= {OPEN.id}


@given(st.integers(1, len(OURS) - 1))
def test_an_id_that_a_program_folded_in_its_middle_is_still_ours(place: int) -> None:
    assert READER.refs(a_mail(EVE, *ids(f"<{OURS[:place]}\r\n {OURS[place:]}>"))).signed == (OPEN.id,)


@given(
    st.sampled_from(["sender", "reference", "number", "own"]),
    st.text(string.ascii_letters + string.digits + "+-@.#<>[]", max_size=60),
    st.sampled_from(["", "fail", "none", "pass"]),
)
def test_no_stranger_gets_in_whatever_he_writes(where: str, text: str, auth: str) -> None:
    sender = text if where == "sender" else EVE
    subject = f"[#123456] {text}" if where == "number" else "#123456"
    references = [text, "one@a.example"] if where == "reference" else ["one@a.example"]
    own = f"tg-{MARKER}-{text}@example.org" if where == "own" else "x@y"
    event = a_mail(sender, *references, own, labels={"mail.subject": subject, "mail.auth": auth})
    if mailbox(sender) != ANN:
        assert decide(event).incidents == ()
