from hypothesis import given
from hypothesis import strategies as st

from gateway.receive.smtp.text import TextReader


def read(
    data: bytes, most: int = 10**6, cuts: list[int] | None = None, aside: int = 8
) -> tuple[bytes | None, bytes | None]:
    """The rest and the content, with the data cut into pieces."""
    reader = TextReader(most, aside=aside)
    marks = sorted({min(cut, len(data)) for cut in cuts or []} | {len(data)})
    start = 0
    for mark in marks:
        rest = reader.feed(data[start:mark])
        if rest is not None:
            return rest + data[mark:], reader.content()
        start = mark
    return None, None


def stuffed(text: bytes) -> bytes:
    """A text as a client sends it (RFC 5321, section 4.5.2)."""
    return (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


lines = st.lists(
    st.sampled_from([b"", b".", b"..", b".x", b"a", b"\n", b"\r", b"\n.\n", b"\r.\r", b"\0", b"\xff"]), max_size=12
)


@given(lines, st.binary(max_size=20), st.lists(st.integers(0, 60)), st.integers(8, 40))
def test_a_text_arrives_as_it_was_however_it_is_cut(
    parts: list[bytes], behind: bytes, cuts: list[int], aside: int
) -> None:
    text = b"".join(part + b"\r\n" for part in parts)
    assert read(stuffed(text) + behind, cuts=cuts, aside=aside) == (behind, text)


ends = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n", b"\r\n.", b"\n.\n", b"\r\n.\r\n"]), max_size=40
).map(b"".join)


@given(ends | st.binary(max_size=300), st.lists(st.integers(0, 100)))
def test_only_crlf_dot_crlf_ends_a_text(data: bytes, cuts: list[int]) -> None:
    rest, content = read(data, cuts=cuts)
    end = (b"\r\n" + data).find(b"\r\n.\r\n")
    if end < 0:
        assert rest is None
    else:
        assert rest == data[end + 3 :]
        assert content == (b"\r\n" + data)[: end + 2].replace(b"\r\n.", b"\r\n")[2:]


def test_an_empty_text_is_a_text() -> None:
    assert read(b".\r\nQUIT\r\n") == (b"QUIT\r\n", b"")


def test_the_size_is_counted_without_the_added_dots() -> None:
    text = b".x\r\n" * 1000
    assert read(stuffed(text), most=len(text)) == (b"", text)
    assert read(stuffed(text), most=len(text) - 1) == (b"", None)


def test_what_is_too_large_is_thrown_away_while_it_is_read() -> None:
    reader = TextReader(1000)
    for _ in range(1000):
        assert reader.feed(b"x" * 10_000) is None
        assert reader.held < 300_000
    assert reader.seen == 10_000_000
    assert reader.feed(b"\r\n.\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.content() is None
