from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.mail.rtf import decompress, read_rtf
from gateway.sources.mail.smime import signed_content
from gateway.sources.mail.tnef import unpack
from tests.sources.mail.mails import event, multipart, part


def attribute(number: int, data: bytes) -> bytes:
    return b"\x02" + number.to_bytes(2, "little") + b"\x06\x00" + len(data).to_bytes(4, "little") + data + b"\x00\x00"


DAT = (
    b"\x78\x9f\x3e\x22\x01\x00"
    + attribute(0x9002, b"\x00")
    + attribute(0x8010, b"NOTES.TXT\x00")
    + attribute(0x800F, b"the notes")
)


def test_the_files_of_winmail_dat_stand_beside_it() -> None:
    found = event(multipart(part("see"), part(DAT, "application/ms-tnef; name=winmail.dat")))
    assert [(file.filename, file.content) for file in found.attachments] == [
        ("winmail.dat", DAT),
        ("NOTES.TXT", b"the notes"),
    ]


def test_a_false_length_unpacks_nothing_and_keeps_the_container() -> None:
    broken = DAT[:11] + b"\xff\xff\xff\x7f" + DAT[15:]
    assert unpack(broken) is None
    found = event(multipart(part(broken, "application/ms-tnef")))
    assert [file.filename for file in found.attachments] == ["attachment.dat", "original.eml"]
    assert found.attachments[0].content == broken


def literal(rtf: bytes) -> bytes:
    """A rich text as a compressed stream in which nothing is compressed."""
    body = b"".join(b"\x00" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    return len(body).to_bytes(4, "little") + len(rtf).to_bytes(4, "little") + b"LZFu" + bytes(4) + body


def packed(*properties: tuple[int, int, bytes]) -> bytes:
    """A container with properties of the message: type, name, value."""
    made = len(properties).to_bytes(4, "little")
    for kind, name, value in properties:
        made += kind.to_bytes(2, "little") + name.to_bytes(2, "little") + b"\x01\x00\x00\x00"
        made += len(value).to_bytes(4, "little") + value + bytes(-len(value) % 4)
    return b"\x78\x9f\x3e\x22\x01\x00" + attribute(0x9003, made)


RICH = literal(rb"{\rtf1\ansi\ansicpg1252\fromtext \pard Gr\'fc\'dfe\par second line}")


def test_a_mail_that_is_only_winmail_dat_shows_the_text_in_it() -> None:
    found = event(multipart(part(packed((0x102, 0x1009, RICH)), "application/ms-tnef")))
    assert found.text == "Grüße\nsecond line"


def test_a_mail_with_a_text_of_its_own_does_not_show_it_twice() -> None:
    found = event(multipart(part("the text"), part(packed((0x102, 0x1009, RICH)), "application/ms-tnef")))
    assert found.text == "the text"


def test_html_within_rich_text_comes_out_as_the_html_it_was() -> None:
    rtf = (
        rb"{\rtf1\ansi\fromhtml1{\fonttbl{\f0 Arial;}}{\*\htmltag <p>}\htmlrtf \b\htmlrtf0 a "
        rb"\u8364?{\*\htmltag <br>}b{\*\htmltag </p>}}"
    )
    opened = unpack(packed((0x102, 0x1009, literal(rtf))))
    assert opened is not None
    assert opened.html == "<p>a €<br>b</p>"


def test_html_beside_the_rich_text_is_read_in_its_code_page() -> None:
    page = packed((0x102, 0x1013, "<p>Привет</p>".encode("koi8-r")))
    koi8 = (1).to_bytes(4, "little") + b"\x03\x00\xde\x3f" + (20866).to_bytes(4, "little")
    opened = unpack(page + attribute(0x9003, koi8))
    assert opened is not None
    assert opened.html == "<p>Привет</p>"


def test_compressed_rich_text_unpacks_what_repeats() -> None:
    # From the examples of MS-OXRTFCP 3.1: a reference into the first content of the window, and one that meets itself.
    simple = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompress(simple) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    crossed = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompress(crossed) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


@given(st.binary(max_size=400), st.integers(0, 200))
def test_a_damaged_container_never_fails(noise: bytes, at: int) -> None:
    whole = packed((0x102, 0x1009, RICH), (0x1F, 0x1000, "x".encode("utf-16-le")))
    unpack(whole[:at] + noise + whole[at + len(noise) :])
    decompress(noise)
    read_rtf(b"{\\rtf1" + noise)
    signed_content(noise)
