"""Message-IDs on the way to osTicket: our own signed ones, and those that a mail referred to."""

import email
import email.policy
import json
import re
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.helpdesks.osticket.connector import MOST_REFERENCES, Stored
from gateway.helpdesks.protocol import Order
from gateway.model.action import ActionKind
from tests.helpdesks.osticket.orders import MESSAGE_ID, TICKET, connector, order

NAME = f"tg-{'0' * 32}-{'a' * 32}-{'b' * 24}"
OWN = "Bvgixlr-2aN2M-AAAAAAAAAAACAAAATWWJyUcu-support@helpdesk.example"
OTHER = "Bothers-7k6sb-AAAAABMBAADoAAAATTumvMnR-support@elsewhere.example"
FOREIGN = "one@customer.example"


def stored(one: Order, **changes: object) -> Stored:
    return Stored.read(connector(**changes).prepare(one))


def mail(one: Order, **changes: object) -> EmailMessage:
    message = email.message_from_string(stored(one, **changes).mail, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def answering(kind: ActionKind, *references: str, quiet: bool = False, name: str = "") -> Order:
    one = order(kind, quiet=quiet)
    return replace(one, draft=replace(one.draft, references=references, message_name=name))


def references(message: EmailMessage) -> list[str]:
    return re.findall(r"<([^<>]+)>", str(message["References"] or ""))


def test_the_signed_name_goes_out_in_the_json_in_the_mail_that_settles_it_and_as_the_anchor() -> None:
    request = stored(answering(ActionKind.CREATE, name=NAME))
    assert json.loads(request.json)["mid"] == request.anchor == f"<{NAME}@example.org>"
    assert f"Message-ID: <{NAME}@example.org>\r\n" in request.mail


def test_without_a_signed_name_the_message_id_is_that_of_earlier_versions() -> None:
    assert stored(answering(ActionKind.CREATE)).anchor == MESSAGE_ID


def test_a_new_ticket_hands_on_what_osticket_itself_signed_and_nothing_else() -> None:
    request = stored(answering(ActionKind.CREATE, FOREIGN, OWN))
    assert request.way == "mail"
    message = mail(answering(ActionKind.CREATE, FOREIGN, OWN))
    assert references(message) == [OWN]
    assert message["In-Reply-To"] == f"<{OWN}>"
    assert stored(answering(ActionKind.CREATE, FOREIGN)).way == "json"
    assert references(mail(answering(ActionKind.CREATE, FOREIGN), mode="mail")) == []


def test_only_ids_of_the_named_install_count_where_one_is_named() -> None:
    assert stored(answering(ActionKind.CREATE, OTHER), own_ids="Bvgixlr-").way == "json"
    assert stored(answering(ActionKind.CREATE, OWN), own_ids="Bvgixlr-").way == "mail"
    assert stored(answering(ActionKind.CREATE, OWN), own_ids="").way == "json"


def test_a_follow_up_that_agents_are_told_of_hands_on_osticket_ids_only() -> None:
    message = mail(answering(ActionKind.APPEND, FOREIGN, OWN))
    assert references(message) == [OWN]
    assert str(message["Subject"]).startswith("[#777564]")


def test_a_quiet_follow_up_hands_on_all_of_them_after_our_own() -> None:
    message = mail(answering(ActionKind.APPEND, FOREIGN, OWN, quiet=True))
    assert references(message) == [TICKET.anchor.strip("<>"), FOREIGN, OWN]
    assert message["In-Reply-To"] == TICKET.anchor


def test_the_number_of_ids_is_bounded() -> None:
    many = [f"{number}@x.example" for number in range(200)]
    assert len(references(mail(answering(ActionKind.APPEND, *many, quiet=True)))) == MOST_REFERENCES + 1


@given(st.lists(st.text(max_size=300), max_size=5), st.booleans(), st.sampled_from(["create", "append"]))
def test_no_reference_breaks_out_of_its_header(texts: list[str], quiet: bool, kind: str) -> None:
    request = stored(answering(ActionKind(kind), *texts, f"B-{texts}", quiet=quiet), mode="mail")
    head = request.mail.partition("\r\n\r\n")[0]
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith(" ")]
    assert set(names) <= {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    assert len(names) == len(set(names))
    assert all(len(line) < 998 for line in head.split("\r\n"))


@pytest.mark.parametrize("value", ["tg-", "A", "B x", "B<"])
def test_a_beginning_that_osticket_never_writes_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="begins with B"):
        connector(own_ids=value)


def test_the_expression_for_numbers_is_checked() -> None:
    with pytest.raises(ValueError, match="subject_number"):
        connector(subject_number="#(")
