"""Which part a picture in the HTML is."""

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Event
from gateway.sources.mail.html import sanitise
from tests.sources.mail.mails import event, multipart, part

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
B64 = "Content-Transfer-Encoding: base64\r\n"


def related(html: str, *images: bytes) -> Event:
    return event(multipart(part(html, "text/html; charset=utf-8"), *images, subtype="related"))


def image(content: bytes, more: str = "", kind: str = "image/png", name: str = "a.png") -> bytes:
    return part(base64.b64encode(content), f"{kind}; name={name}", B64 + more)


def test_a_reference_is_found_in_any_case_and_with_percent_signs() -> None:
    found = related("<img src='CID:Logo%40Example'>", image(PNG, "Content-ID: <logo@example>\r\n"))
    assert found.html == '<img src="cid:logo@example" alt="">'


def test_a_reference_by_the_name_of_a_file_is_found() -> None:
    found = related('<img src="cid:photo.png">', image(PNG, name="photo.png"))
    (file,) = found.attachments
    assert found.html == f'<img src="cid:{file.content_id}" alt="">'


def test_an_id_that_is_not_safe_to_send_becomes_one_that_is() -> None:
    found = related('<img src="cid:a/b&quot;c">', image(PNG, 'Content-ID: <a/b"c>\r\n'))
    (file,) = found.attachments
    assert re.fullmatch(r"image-\d+@mail", file.content_id)
    assert f'src="cid:{file.content_id}"' in found.html


def test_of_two_parts_of_one_id_the_first_is_shown_and_both_are_there() -> None:
    one, two = image(PNG, "Content-ID: <x@y>\r\n"), image(PNG + b"2", "Content-ID: <x@y>\r\n", name="b.png")
    found = related('<img src="cid:x@y">', one, two)
    assert [file.content for file in found.attachments] == [PNG, PNG + b"2"]


def test_a_picture_sent_as_octets_is_shown_and_a_program_is_not() -> None:
    octets = image(PNG, "Content-ID: <x@y>\r\n", kind="application/octet-stream")
    assert "cid:x@y" in related('<img src="cid:x@y">', octets).html
    svg = part("<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml; name=a.svg", "Content-ID: <x@y>\r\n")
    assert related('<img src="cid:x@y" alt="plan">', svg).html == "[plan]"


def test_a_picture_within_the_html_itself_becomes_a_file() -> None:
    data = base64.b64encode(PNG).decode()
    found = related(f'<p>a<img src="data:image/png;base64,{data}">b</p>')
    (file,) = found.attachments
    assert (file.filename, file.content, file.media_type) == ("image-1.png", PNG, "image/png")
    assert found.html == f'<p>a<img src="cid:{file.content_id}" alt="">b</p>'


def test_a_picture_that_did_not_come_along_leaves_its_name() -> None:
    assert related('<p>see <img src="cid:image001.png@01DA"></p>').html == "<p>see [image001.png]</p>"
    assert related('<img src="cid:x" alt="the plan">').html == "[the plan]"


@given(st.text(alphabet="<>\"'= /ab&;:imgsrcalthp.", max_size=80), st.text(alphabet="<>\"'= /ax&;:img", max_size=30))
def test_no_html_makes_anything_load_from_elsewhere(before: str, within: str) -> None:
    made = sanitise(
        f'{before}<img {within} src="http://t.example/{within}" {within}><img src=//t.example/x {within}>{before}', {}
    )
    assert not re.search(r"<img\b", made)
    assert "src=" not in re.sub(r"(?<=>)[^<>]*(?=<)|^[^<>]*|[^<>]*$|\"[^\"]*\"", "", made)
