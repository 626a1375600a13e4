"""Every field that a rule may name."""

import pytest

from gateway.model.event import Attachment, Event, Kind, Link, Severity
from gateway.routing.fields import FIELD_NAMES, Subject, UnknownField, text_of, value_of
from tests.routing.subjects import subject

FULL = Subject(
    Event(
        kind=Kind.PROBLEM,
        severity=Severity.CRITICAL,
        title="disk full",
        text="99 %",
        html="<p>99 %</p>",
        state="CRITICAL",
        still_in_problem=True,
        host="db-1",
        service="disk",
        labels={"env": "prod", "a.b": "c"},
        origin_key="db-1/disk",
        problem_id="77",
        occurred_at=12.5,
        links=(Link("Nagios", "https://nagios.example.org/1"),),
        sender_name="Ann",
        sender_address="ann@example.org",
        recipients=("a@example.org", "b@example.org"),
        attachments=(Attachment("log.txt", "text/plain", b"x"), Attachment("shot.png", "image/png", b"y")),
    ),
    "nagios-hq",
    "nagios",
    "192.0.2.7",
    (("x-tag", "one"), ("x-tag", "two"), ("user-agent", "curl")),
    {"path": "/in/nagios-hq", "query": "a=b"},
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "problem"),
        ("severity", "critical"),
        ("title", "disk full"),
        ("text", "99 %"),
        ("html", "<p>99 %</p>"),
        ("state", "CRITICAL"),
        ("still_in_problem", True),
        ("host", "db-1"),
        ("service", "disk"),
        ("origin_key", "db-1/disk"),
        ("problem_id", "77"),
        ("occurred_at", 12.5),
        ("links", ("https://nagios.example.org/1",)),
        ("sender.name", "Ann"),
        ("sender.address", "ann@example.org"),
        ("recipients", ("a@example.org", "b@example.org")),
        ("attachments", ("log.txt", "shot.png")),
        ("attachments.names", ("log.txt", "shot.png")),
        ("attachments.count", 2.0),
        ("labels.env", "prod"),
        ("labels.a.b", "c"),
        ("labels.none", None),
        ("source", "nagios-hq"),
        ("source_kind", "nagios"),
        ("peer", "192.0.2.7"),
        ("header.User-Agent", "curl"),
        ("headers.x-tag", ("one", "two")),
        ("header.none", None),
        ("envelope.path", "/in/nagios-hq"),
        ("envelope.none", None),
    ],
)
def test_each_field_is_read(path: str, value: object) -> None:
    assert value_of(FULL, path) == value


def test_every_documented_field_can_be_read() -> None:
    for name, line in FIELD_NAMES.items():
        assert line.endswith((".", ")."))
        value_of(FULL, name)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("hots", "did you mean 'host'?"),
        ("sevrity", "did you mean 'severity'?"),
        ("label.env", "did you mean 'labels.env'?"),
        ("labels", "name one of them: labels.NAME"),
        ("labels.", "name one of them: labels.NAME"),
        ("event.host", "write it without 'event.': 'host'"),
        ("sender.adress", "did you mean 'sender.address'?"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_one(path: str, hint: str) -> None:
    with pytest.raises(UnknownField) as caught:
        value_of(FULL, path)
    assert caught.value.hint == hint


def test_a_field_that_is_like_none_gets_the_whole_list() -> None:
    with pytest.raises(UnknownField) as caught:
        value_of(FULL, "zzzzzz")
    assert "origin_key" in caught.value.hint


def test_values_are_written_as_people_write_them() -> None:
    assert [text_of(v) for v in (None, True, False, 2.0, 2.5, ("a", "b"))] == ["", "true", "false", "2", "2.5", "a, b"]
    assert text_of(value_of(subject(), "still_in_problem")) == ""


MAIL = Subject(
    Event(
        kind=Kind.MESSAGE,
        sender_address="Ann@Example.org",
        to=("Support@example.org", "b@example.org"),
        message_id="1@example.org",
        labels={
            "mail.auth": "fail",
            "mail.auth.dkim": "none",
            "mail.auth.spf": "softfail",
            "mail.auth.dmarc": "fail",
            "mail.auth.signers": "a.example, b.example",
            "mail.marks": "encrypted, signed",
            "mail.thread": "0@example.org",
        },
    ),
    "desk",
    "mail",
    envelope={"mail_from": "Bounce@Example.org", "subaddress": "db\nweb"},
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mail.auth", "fail"),
        ("mail.auth.dkim", "none"),
        ("mail.auth.spf", "softfail"),
        ("mail.auth.dmarc", "fail"),
        ("mail.auth.signers", ("a.example", "b.example")),
        ("mail.class", "person"),
        ("mail.from", "ann@example.org"),
        ("mail.from_domain", "example.org"),
        ("mail.envelope_from", "bounce@example.org"),
        ("mail.to", ("support@example.org", "b@example.org")),
        ("mail.cc", None),
        ("mail.subaddress", ("db", "web")),
        ("mail.list_id", None),
        ("mail.marks", ("encrypted", "signed")),
        ("mail.thread", "0@example.org"),
        ("mail.message_id", "1@example.org"),
    ],
)
def test_each_field_of_a_mail_is_read(path: str, value: object) -> None:
    assert value_of(MAIL, path) == value


def test_a_mail_of_a_machine_names_its_class_and_other_events_have_none() -> None:
    bounce = Subject(
        Event(kind=Kind.BOUNCE, labels={"mail.auto": "bounce"}), "desk", "mail", envelope={"mail_from": ""}
    )
    assert (value_of(bounce, "mail.class"), value_of(bounce, "mail.envelope_from")) == ("bounce", "")
    assert [value_of(FULL, name) for name in FIELD_NAMES if name.startswith("mail.")] == [None] * 20
