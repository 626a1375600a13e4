"""Which mails count against a rate, as whose, and which are held at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config.values import RateLimit
from gateway.model.event import Kind
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.sources.mail import KIND
from gateway.sources.mail.identity import identity
from gateway.sources.protocol import Guard
from tests.sources.mail.mails import NOW, mail

HOUR = 3600.0


def guarded(data: bytes, envelope: dict[str, str] | None = None, **loop: object) -> tuple[Kind, Guard | None]:
    settings = KIND.settings.model_validate({"kind": "mail", "loop": loop})
    receipt = Receipt("r", 1, "post", NOW, data, "message/rfc822", (), envelope or {}, "", 1)
    (event,) = KIND.parse(receipt, settings).events
    assert KIND.guard is not None
    return event.kind, KIND.guard(event, receipt, settings)


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org",
        "Ann@Example.ORG",
        "ann+tickets@example.org",
        "ANN+42@example.org.",
        "prvs=2345abcd=ann@example.org",
        "SRS0=hQ3x=7D=example.org=ann@relay.example",
        "SRS1=Yx2=relay.example==hQ3x=7D=example.org=ann+x@other.example",
    ],
)
def test_the_forms_of_one_address_count_as_one(address: str) -> None:
    assert identity(address) == "ann@example.org"


def test_the_running_numbers_and_returned_addresses_of_a_program_count_as_one() -> None:
    assert {identity(f"bounces-{n}-ann=example.org@list.example") for n in range(10_000, 10_020)} == {
        "bounces-#@list.example"
    }
    assert {identity(f"ticket-{n}@desk.example") for n in range(5_000, 5_020)} == {"ticket-#@desk.example"}
    assert len({identity(f"reply+{n:x}@hub.example") for n in range(2**40, 2**40 + 20)}) == 1


def test_two_persons_never_count_as_one() -> None:
    persons = [
        "ann@example.org", "bob@example.org", "ann@example.com", "ann1980@example.org", "10001@qq.example",
        "10002@qq.example", "jane.doe1980@example.org", "jane.roe1985@example.org", "a.b@example.org", "a@example.org",
        "x=y@example.org",
    ]  # fmt: skip
    assert len({identity(person) for person in persons}) == len(persons)


@given(st.text(max_size=400))
def test_any_text_has_an_identity_that_is_its_own(text: str) -> None:
    once = identity(text)
    assert len(once) <= 320
    assert once == once.lower()


def test_a_person_counts_under_the_name_and_may_write_twenty_mails_an_hour() -> None:
    assert guarded(mail()) == (
        Kind.MESSAGE,
        Guard("ann@customer.example", RateLimit(20, HOUR), RateLimit(30, HOUR), person=True),
    )


def test_an_alert_that_is_recognised_counts_nowhere() -> None:
    alert = mail(
        "***** Nagios *****\n\nNotification Type: PROBLEM\n\nService: HTTP\nHost: web01\nAddress: 192.0.2.10\n"
        "State: CRITICAL\n\nDate/Time: Sat Nov 21 23:19:21 UTC 2026\n\nAdditional Info:\n\nHTTP CRITICAL\n",
        subject="** PROBLEM Service Alert: web01/HTTP is CRITICAL **",
    )
    assert guarded(alert) == (Kind.PROBLEM, None)


def test_a_machine_that_nobody_recognises_counts_apart_from_the_person_of_that_address() -> None:
    kind, found = guarded(mail(headers={"Auto-Submitted": "auto-generated"}))
    assert found is not None
    assert (kind, found.sender, found.person) == (Kind.MESSAGE, "ann@customer.example (automatic)", False)
    assert found.per_sender == RateLimit(20, HOUR)


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "auto-replied"},
        {"X-Ticket-Gateway": "hq"},
        {"X-Failed-Recipients": "bob@a.example"},
    ],
)
def test_what_opens_no_ticket_counts_against_its_incident_only(headers: dict[str, str]) -> None:
    _, found = guarded(mail(headers=headers))
    assert found is not None
    assert (found.per_sender, found.per_incident) == (None, RateLimit(30, HOUR))


def test_a_mail_without_sender_counts_as_its_envelope_says() -> None:
    nobody = mail(headers={"From": ""})
    assert [guarded(nobody, {"mail_from": sender})[1] for sender in ("bob+1@a.example", "")] == [
        Guard("bob@a.example", RateLimit(20, HOUR), RateLimit(30, HOUR), person=True),
        Guard("<> (automatic)", RateLimit(20, HOUR), RateLimit(30, HOUR)),
    ]


def test_a_mail_with_too_many_hops_is_held_and_stays_what_it_is() -> None:
    kind, found = guarded(b"Received: from x by y; z\r\n" * 31 + mail())
    assert found is not None
    assert (kind, found.hold) == (Kind.MESSAGE, Reason.QUARANTINED)
    assert "31 Received headers" in found.detail
    _, found = guarded(b"Received: from x by y; z\r\n" * 30 + mail())
    assert found is not None
    assert found.hold is None
    _, found = guarded(b"Received: from x by y; z\r\n" * 31 + mail(), hops=40)
    assert found is not None
    assert found.hold is None


def test_rates_may_be_off_and_must_be_whole_numbers_that_can_be_remembered() -> None:
    _, found = guarded(mail(), per_sender="off", per_incident="off")
    assert found is not None
    assert (found.per_sender, found.per_incident) == (None, None)
    for wrong in ("0.5/h", "5000/h", "many"):
        with pytest.raises(ValidationError):
            KIND.settings.model_validate({"kind": "mail", "loop": {"per_sender": wrong}})
