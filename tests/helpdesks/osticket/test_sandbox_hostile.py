"""Whatever arrives, the double answers as osTicket would; it never fails by itself."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.helpdesks.osticket.sandbox_answers import Answered
from gateway.helpdesks.osticket.sandbox_work import Append, Create
from gateway.sandbox.double import Request
from gateway.sandbox.sandbox import Sandbox

SANDBOX = Sandbox(None, environ={})
CALM = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "name",
        "email",
        "subject",
        "message",
        "attachments",
        "topicId",
        "priority",
        "priorityId",
        "phone",
        "ip",
        "source",
        "alert",
        "autorespond",
        "notes",
        "mid",
        "statusId",
        "deptId",
        "staffId",
        "uid",
        "other",
    ]
)
GOOD = {"name": "Mon", "email": "mon@example.org", "subject": "s", "message": "m"}
HEADERS = st.sampled_from(
    [
        "From",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Content-Type",
        "Content-Transfer-Encoding",
        "To",
        "Content-Disposition",
        "Content-ID",
        "Auto-Submitted",
        "Precedence",
        "Date",
        "MIME-Version",
    ]
)


def _work(endpoint: str, body: bytes) -> None:
    """Check and write; only osTicket's own refusals may be raised."""
    request = Request("POST", f"/api/tickets.{endpoint}", "", {}, body)
    double = SANDBOX.osticket
    try:
        work = double._check(request, endpoint)
    except Answered:
        return
    if isinstance(work, Create | Append):
        reply, _ = double._commit(work)
        assert reply.status in {200, 201}
        assert reply.body


@CALM
@given(st.dictionaries(FIELDS, VALUES, max_size=6))
def test_any_json_object_gets_an_answer(fields: dict[str, object]) -> None:
    _work("json", json.dumps({**GOOD, **fields}).encode())


@CALM
@given(st.text(max_size=200))
def test_any_message_text_is_stored_or_refused(text: str) -> None:
    for prefix in ("", "data:text/html;charset=utf-8,", "data:text/html,", "data:text/html;base64,", "data:"):
        _work("json", json.dumps({**GOOD, "message": prefix + text.encode("utf-8", "replace").decode()}).encode())


@CALM
@given(st.binary(max_size=300), st.sampled_from(["json", "xml", "email"]))
def test_any_bytes_get_an_answer(body: bytes, endpoint: str) -> None:
    _work(endpoint, body)


@CALM
@given(st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=8), st.binary(max_size=200))
def test_any_mail_gets_an_answer(headers: list[tuple[str, bytes]], body: bytes) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    _work("email", b"From: mon@example.org\r\n" + lines + b"\r\n" + body)


@CALM
@given(
    st.text(st.characters(exclude_characters="<>&", exclude_categories=("Cs", "Cc")), max_size=40), st.text(max_size=10)
)
def test_any_xml_gets_an_answer(text: str, tag: str) -> None:
    body = f"<ticket><name>M</name><email>mon@example.org</email><subject>{text}</subject><message>m</message>{tag}</ticket>"
    _work("xml", body.encode("utf-8", "replace"))
