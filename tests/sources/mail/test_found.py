"""What the fuzzer found, each as small as it could be made; and what it looks for does not come back."""

import time

import pytest

from gateway.model.receipt import NewReceipt
from gateway.sources.mail import KIND
from gateway.sources.mail.html import sanitise
from gateway.sources.protocol import Malformed
from tests.fuzz.checks import Broken, check
from tests.fuzz.mutate import Mutator, smaller
from tests.fuzz.seeds import own
from tests.sources.mail.mails import NOW, event, mail, multipart, parsed, part

FOUND: dict[str, bytes] = {
    "padding that is followed by one letter": b"Content-Transfer-Encoding:base64\neA=C",
    "a control character as transfer encoding": b"Content-Type:\nContent-Transfer-Encoding:\x15",
    "a control character of Latin-1 as transfer encoding": b"Content-Type:\nContent-Transfer-Encoding:\xc2\x8c",
    "a tab in the description of an alert": b"X-Mailer:Monit\nMessage-Id:\nt Service l\n\tAction:t\t:\nDescription:t\nHost:o",
    "an alert with a subject of 500 letters": (
        b"In-Reply-To:1.839283e8865b6c827048372138ea7d6d.7.45b0f935ae500bfda8c96e83d69d47b1@zabbix.com\n"
        b"Subject: Problem: " + b"x" * 500 + b"\n\nProblem x\n"
    ),
    "an alert without a title": (
        b"To:\nIn-Reply-To:1.839283e8865b6c827048372138ea7d6d.7.45b0f935ae500bfda8c96e83d69d47b1@zabbix.com\n\nProblem {"
    ),
    "a media type of 2000 letters": b"Content-Type: a" + b"x" * 2000 + b"/pla\n\nx",
    "a reference that is only a direction override": "References:\u202e\nTo:".encode(),
    "a second plain alternative": multipart(
        part("one"), part("rds"), part("<p>one", "text/html"), subtype="alternative"
    ),
    "a control character as reference in HTML": b"Content-Type:text/html\n\n<p>&#1;a&#27;&#x9f;",
    "a control character in an invitation": b"Content-Type:text/calendar\n\nBEGIN:VEVENT\nSUMMARY:\x00\nORGANIZER:\x17\nEND:VEVENT",
    "an alternative within an alternative": multipart(
        multipart(part("her"), part("", "text/html"), subtype="alternative", boundary="i").partition(b"Printer\r\n")[2],
        part("H"),
        subtype="alternative",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_once_broke_an_invariant_holds_it(name: str) -> None:
    check(FOUND[name])


@pytest.mark.parametrize(
    "html",
    [
        "<div title='</div>'>" * 1400,
        '<div title="</div>">' * 40_000,
        "<div><!--</div>-->" * 40_000,
        "<div><script></div></script>" * 20_000,
        "<p>" + "".join(f"<b id={number}>" for number in range(190)) + "<p>x" * 10_000,
        "<p>" + "".join(f"<b id='</b>{number}'>" for number in range(190)) + "<p>x" * 7000,
        "<p>" + "<b><i><u><s><big><small><em><code><tt><font><strong><strike>" * 3 + "<p>x" * 7000,
        "<b><p>" * 20_000,
        '<b title="' * 8000,
        "<table>" + "<b>x<tr>" * 7000,
    ],
)
def test_html_that_grows_when_it_is_read_is_bounded(html: str) -> None:
    began = time.perf_counter()
    assert len(sanitise(html)) < 4_000_000
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("html", ["<p><b>a</b> <i class=x>b</i></p>" * 700, "<div>" * 150 + "x" + "</div>" * 150])
def test_html_that_only_has_much_in_it_stays_html(html: str) -> None:
    assert not sanitise(html).startswith("<pre>")


@pytest.mark.parametrize("data", [b"", b"\n", b" d:\n", b"\r\n\r\n\r\n", b"\x00"])
def test_what_is_no_mail_is_refused_and_nothing_else_happens(data: bytes) -> None:
    assert KIND.inspect is not None
    with pytest.raises(Malformed):
        KIND.inspect(NewReceipt("r", "post", NOW, data), KIND.settings.model_validate({"kind": "mail"}))


def test_base64_with_padding_in_the_middle_keeps_what_stands_before_and_after() -> None:
    found = event(mail("eHk=eHl6", {"Content-Transfer-Encoding": "base64"}))
    assert found.text == "xyxyz"


def test_of_several_plain_alternatives_none_is_lost() -> None:
    data = multipart(part("one"), part("two"), part("<p>one", "text/html"), subtype="alternative")
    assert "one" in event(data).text
    assert "two" in event(data).text


def test_an_html_alternative_that_another_one_replaces_is_kept_in_the_original() -> None:
    data = multipart(part("<p>one", "text/html"), part("<p>two", "text/html"), subtype="alternative")
    result = parsed(data)
    assert "two" in result.events[0].text
    assert result.events[0].attachments[-1].content == data
    assert any("alternative" in warning for warning in result.warnings)


def test_html_alternatives_that_say_the_same_are_no_loss() -> None:
    data = multipart(part("<p>one", "text/html"), part("<div><b>one</b>", "text/html"), subtype="alternative")
    assert parsed(data).warnings == ()


@pytest.mark.parametrize("number", range(4))
def test_mutated_mails_hold_every_invariant(number: int) -> None:
    mutator = Mutator(own(), 1000 + number)
    for _ in range(150):
        data = mutator.next()
        try:
            check(data, seconds=10.0)
        except Broken as broken:
            name = broken.name
            small = smaller(data, lambda shorter, name=name: _breaks(shorter, name))  # type: ignore[misc]  # bound early
            raise AssertionError(f"{broken}: {small!r}") from None


def _breaks(data: bytes, name: str) -> bool:
    try:
        check(data, seconds=10.0)
    except Broken as broken:
        return broken.name == name
    return False
