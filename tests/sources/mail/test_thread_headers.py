"""What a mail says of the mails before it, and by what name it goes itself."""

import pytest

from gateway.incidents.threads import Reader
from gateway.model.ids import new_id
from gateway.model.message_ids import MessageIds
from tests.sources.mail.mails import event, mail

IDS = MessageIds([b"a key of the tests, long enough"])
INCIDENT = new_id()
OURS = f"{IDS.name('ab' * 16, INCIDENT)}@tickets.example.org"
HALF = len(OURS) // 2


@pytest.mark.parametrize(
    "headers",
    [
        {"In-Reply-To": f"<{OURS}>"},
        {"References": f"<first@x.example>\r\n\t<{OURS}>\r\n <last@x.example>"},
        {"References": f"<first@x.example><{OURS}>"},
        {"References": f"<first@x.example>, <{OURS}>"},
        {"References": OURS},
        {"References": f"<{OURS[:HALF]}\r\n {OURS[HALF:]}>"},
        {"In-Reply-To": f'Your message of "Mon, 1 Feb 2027 10:00:00 +0100" <{OURS}>'},
        {"In-Reply-To": f"=?us-ascii?Q?=3C{OURS[:40]}?=\r\n =?us-ascii?Q?{OURS[40:].replace('@', '=40')}=3E?="},
        {"References": f"<{OURS.upper()}>"},
    ],
)
def test_our_message_id_is_found_as_mail_programs_hand_it_back(headers: dict[str, str]) -> None:
    assert Reader(IDS).refs(event(mail(headers=headers))).signed == (INCIDENT,)


def test_the_name_of_a_mail_is_the_same_for_its_copies_and_never_for_another_mail() -> None:
    headers = {"Message-ID": "<one@x.example>", "Date": "Mon, 1 Feb 2027 10:00:00 +0100"}
    one = event(mail("first words", headers))
    copy = event(b"Received: from a by b; Mon, 1 Feb 2027 10:00:01 +0100\r\n" + mail("first words", headers))
    other = event(mail("other words", headers))
    assert one.origin_key == one.labels["mail.thread"] == copy.origin_key
    assert one.origin_key.startswith("one@x.example#")
    assert other.origin_key != one.origin_key


def test_the_number_is_looked_for_in_the_subject_only() -> None:
    found = event(mail("[#123456] is what I write about", subject=""))
    assert "123456" in found.title
    assert "123456" not in found.labels.get("mail.subject", "")
