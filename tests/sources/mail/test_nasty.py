"""Twenty-three nasty mails, and what must come out of each."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.model.event import Event
from tests.sources.mail.mails import parsed

FOLDER = Path(__file__).parent / "nasty"


@dataclass(frozen=True)
class Expected:
    """What must come out. ``text``, ``html`` hold pieces; a piece that begins with ``!`` must not be there."""

    title: str
    files: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    sender: str = "ann@customer.example"
    kind: str = "message"
    warnings: tuple[str, ...] = ()
    reply: str | None = None


EXPECTED = {
    "raw-8bit-headers": Expected("Kühlung läuft nicht", text=("siehe Betreff",)),
    "utf16-declared-utf8": Expected(
        "two charsets that lie", text=("Grüße aus Köln, Zeile eins.\nZeile zwei.", "München € 5", "プリンター")
    ),
    "winmail-rtf-only": Expected(
        "Luefter",
        ("winmail.dat", "Übersicht 2026.csv"),
        ("Der Lüfter ist laut, Привет ☃.\n\na < b", "!color:red"),
        ("<b>laut</b>", "Привет ☃", "a &lt; b"),
    ),
    "winmail-damaged": Expected(
        "damaged container",
        ("winmail.dat", "original.eml"),
        ("The file follows.",),
        warnings=("winmail.dat could not",),
    ),
    "uuencoded-in-text": Expected("the log", ("log.txt",), ("Here it is:", "begin 2027 we will", "!M;")),
    "five-thousand-links": Expected(
        "links", (), ("first words", "l4999 <https://e.example/4999>", "last words"), ('href="https://e.example/4999"',)
    ),
    "nothing-in-it": Expected("(no subject)"),
    "subject-of-3000": Expected("word000" * 8 + " word001", text=("see subject",)),
    "no-usual-headers": Expected("X-Junk", text=("undisclosed@@nowhere", "body"), sender=""),
    "boundary-that-never-comes": Expected(
        "wrong boundary", ("a.csv",), ("the text",), warnings=("The boundary of a multipart is wrong", "not closed")
    ),
    "broken-base64": Expected(
        "broken base64",
        ("broken.pdf", "good.pdf", "original.eml"),
        ("two files",),
        warnings=("'broken.pdf' has characters in its base64", "'good.pdf' has something else behind its base64"),
    ),
    "names-of-files": Expected("names", ("photognp.exe", "_CON.txt", "Übersicht.ods", "attachment")),
    "forty-deep": Expected("deep", ("attachment.txt", "original.eml"), warnings=("more than 20 deep",)),
    "who-wrote-it": Expected("Invoice Bcc: victim@x.example", text=("pay now",), sender="evil@elsewhere.example"),
    "images-and-trackers": Expected(
        "images",
        ("image-1.png", "logo.png", "unused.png", "active.svg"),
        ("hidden preheader", "[our logo]", "[a picture that is gone]", "white on black", "!steal"),
        (
            'src="cid:logo@a" alt="our logo"',
            'src="cid:data-1@html"',
            "[a picture that is gone]",
            '<a href="https://cdn.example/photo.jpg" rel="noopener noreferrer">[a photo]</a>',
            '<a href="https://shop.example/" rel="noopener noreferrer">[image]</a>',
            "white on black",
            "!track.example",
            '!src="http',
            "!script",
            "!steal",
            "!onload",
            "!#ffffff",
            "!svg@a",
        ),
    ),
    "smime-signed-opaque": Expected(
        "signed in one piece", ("figures.csv", "smime.p7m", "original.eml"), ("The text that was signed: ä.",)
    ),
    "smime-encrypted": Expected("sealed", ("smime.p7m", "original.eml"), ("This mail is encrypted.",)),
    "digest-of-a-list": Expected(
        "list Digest, Vol 7",
        ("Topic 1.eml", "Topic 2.eml", "Topic 3.eml"),
        ("Today's topics: 3", "From: member2@list.example", "Subject: Topic 3", "What member 3 says.", "End of digest"),
    ),
    "calendar-cancelled": Expected(
        "Canceled: Change window",
        ("attachment.ics",),
        (
            "We do not meet.",
            (
                "Cancelled: Change window, db01\nWhen: Mon 2026-11-23 10:00 to 11:30 (Europe/Berlin)\n"
                "Repeats: every 2 weeks on Monday, 5 times\nWhere: Room 5\n"
                "Organiser: Adams, Ann <ann@customer.example>\n"
                "Attendees: Ben <ben@customer.example> (accepted), carl@customer.example (optional)"
            ),
        ),
        ("We do not meet.", "Repeats: every 2 weeks on Monday"),
    ),
    "out-of-office": Expected("Automatische Antwort: Ihr Ticket", kind="update", text=("Ich bin bis Montag",)),
    "forwarded-as-base64-message": Expected(
        "Fwd", ("the real question.eml",), ("From: Ben <ben@customer.example>", "Why is it düll?")
    ),
    "flowed-and-answered-below": Expected(
        "Re: two questions",
        (),
        ("Version 12, on a line that was wrapped by the program.", "> Which version?"),
        reply="Since Monday. Füllstand gut.",
    ),
    "html-too-deep": Expected(
        "deep HTML", ("original.eml",), ("the words inside",), warnings=("too long or nests too deep",)
    ),
}


def read(name: str) -> tuple[Event, tuple[str, ...]]:
    found = parsed((FOLDER / f"{name}.eml").read_bytes())
    (event,) = found.events
    return event, found.warnings


def test_every_nasty_mail_is_expected_to_be_something() -> None:
    assert {file.stem for file in FOLDER.glob("*.eml")} == EXPECTED.keys()


def holds(whole: str, pieces: tuple[str, ...]) -> list[str]:
    """The pieces that are not there, or are and should not."""
    return [piece for piece in pieces if (piece[1:] in whole if piece.startswith("!") else piece not in whole)]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_nasty_mail_comes_out_as_it_must(name: str) -> None:
    expected = EXPECTED[name]
    event, warnings = read(name)
    assert event.title.startswith(expected.title)
    assert (event.kind.value, event.sender_address) == (expected.kind, expected.sender)
    assert tuple(file.filename for file in event.attachments) == expected.files
    assert holds(event.text, expected.text) == []
    assert holds(event.html, expected.html) == []
    assert len(warnings) == len(expected.warnings)
    assert holds("\n".join(warnings), expected.warnings) == []
    assert expected.reply is None or expected.reply in event.reply_text
