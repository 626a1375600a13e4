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
    assert [file.content for file in event(multipart(part(broken, "application/ms-tnef"))).attachments] == [broken]
