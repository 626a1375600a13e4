"""Drafts: what stands in them, and that they always come about."""

import os
import re
import unicodedata
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.incidents.transition import Purpose
from gateway.model.action import AttachmentRef
from gateway.model.event import Event, Kind, Link, Severity
from gateway.model.json import JsonValue
from gateway.model.plan import plan_from_bytes
from gateway.model.reasons import Reason
from gateway.rendering.context import NAMES, Context, names_of
from gateway.rendering.render import draft, fallback
from tests.rendering.material import (
    BEGAN,
    FILES,
    MAIL,
    MAIL_BELOW,
    MINIMAL,
    NAGIOS,
    NAGIOS_HOST,
    NAGIOS_RECOVERY,
    RECEIPT,
    ROOT,
    ZABBIX,
    context,
    made,
    plan,
)

PLANS = {
    (template, format_): plan(template=template, format=format_)
    for template in ("alert", "generic", "mail")
    for format_ in ("text", "html")
}
GOLDEN = ROOT / "tests" / "rendering" / "golden"
CASES: dict[str, tuple[Event, Purpose, str, int, float]] = {
    "nagios-problem": (NAGIOS, Purpose.PROBLEM, "alert", 1, 0),
    "nagios-repeat": (NAGIOS, Purpose.REPEAT, "alert", 4, 3600),
    "nagios-recovery": (NAGIOS_RECOVERY, Purpose.RECOVERY, "alert", 4, 7500),
    "nagios-host": (NAGIOS_HOST, Purpose.PROBLEM, "alert", 1, 0),
    "nagios-relapse": (NAGIOS_HOST, Purpose.RELAPSE, "alert", 2, 9000),
    "zabbix-problem": (ZABBIX, Purpose.PROBLEM, "alert", 1, 0),
    "alert-minimal": (MINIMAL, Purpose.PROBLEM, "alert", 1, 0),
    "generic-minimal": (MINIMAL, Purpose.PROBLEM, "generic", 1, 0),
    "generic-files": (FILES, Purpose.PROBLEM, "generic", 1, 0),
    "mail-first": (MAIL, Purpose.PROBLEM, "mail", 1, 0),
    "mail-reply": (MAIL, Purpose.NOTE, "mail", 2, 60),
    "mail-into-alert": (MAIL, Purpose.NOTE, "alert", 2, 60),
    "mail-into-alert-plain": (replace(MAIL, html=""), Purpose.NOTE, "alert", 2, 60),
    "mail-reply-plain": (replace(MAIL, html="", to=(), cc=()), Purpose.REPEAT, "mail", 2, 60),
    "mail-answer-below": (MAIL_BELOW, Purpose.NOTE, "mail", 2, 60),
    "mail-recovery": (replace(MAIL, kind=Kind.RECOVERY), Purpose.RECOVERY, "mail", 2, 600),
    "mail-minimal": (Event(kind=Kind.MESSAGE), Purpose.PROBLEM, "mail", 1, 0),
    "generic-recovery": (replace(MINIMAL, kind=Kind.RECOVERY), Purpose.RECOVERY, "generic", 2, 90),
}


@pytest.mark.parametrize("format_", ["text", "html"])
@pytest.mark.parametrize("case", CASES)
def test_the_shipped_templates_render_as_they_did(case: str, format_: Literal["text", "html"]) -> None:
    event, purpose, template, occurrences, later = CASES[case]
    warnings = ("The text was cut",) if case == "mail-first" else ()
    about = context(event, occurrences=occurrences, now=BEGAN + later, warnings=warnings)
    result, failure = draft(plan(template=template, format=format_), purpose, about, value_of=lambda _: None)
    shown = f"Subject: {result.title}\n\n{result.html or result.text}".rstrip("\n") + "\n"
    file = GOLDEN / f"{case}.{'html' if format_ == 'html' else 'txt'}"
    if os.environ.get("WRITE_GOLDEN"):
        file.write_text(shown, "utf-8")
    assert failure is None
    assert shown == file.read_text("utf-8"), "run with WRITE_GOLDEN=1 if the change is meant"
    if format_ == "text":
        assert "\n\n\n" not in shown


def test_what_is_quoted_is_told_apart_only_where_the_writers_words_stand_together() -> None:
    mixed = replace(MAIL, text="> one?\nYes.\n> two?\nNo.", reply_text="Yes.\nNo.")
    for event, reply, quoted in (
        (
            MAIL,
            "It works again, thank you.\nAnn",
            "On Fri, 20 Nov 2026 at 16:02, Support wrote:\n> Did you restart it?",
        ),
        (MAIL_BELOW, "Yes.", "On Fri, 20 Nov 2026 at 16:02, Support wrote:\n> Did you restart it?"),
        (mixed, mixed.text, ""),
        (replace(MAIL, text="all", reply_text="all"), "all", ""),
        (replace(MAIL, reply_text=""), MAIL.text, ""),
    ):
        names = names_of(context(event), "note")["event"]
        assert isinstance(names, dict)
        assert (names["reply_text"], names["quoted"]) == (reply, quoted)


def test_images_of_a_sender_are_shown_only_where_they_are_attached() -> None:
    html = (
        '<img src="cid:a@b" alt="x" width="5"><img src="https://t.example/1.gif" alt="a &lt; b"><img src="cid:c"><img>'
    )
    result, failure = made(plan(template="generic", format="html"), replace(FILES, html=html))
    assert failure is None
    shown = result.html.partition("<table")[0]
    assert sorted(re.findall(r'src="([^"]*)"', shown)) == ["cid:a@b", "cid:c"]
    assert "[a &lt; b]" in shown
    assert shown.count("<img") == 2


def test_html_that_is_too_long_to_show_gives_way_to_the_text() -> None:
    result, failure = made(plan(template="mail", format="html"), replace(MAIL, html="<p>x</p>" * 100_000))
    assert failure is None
    assert "It works again, thank you.<br>" in result.html
    assert "<pre>" not in result.html


def test_a_payload_is_never_a_template() -> None:
    hostile = replace(
        NAGIOS, title="{{ 7*7 }}", host="{% raw %}", text="{{ event }} {{ 7*7 }}", labels={"notes": "{{ 7*7 }}"}
    )
    routes = plan(
        format="text", title="{{ vars.v }}", fields={"x": "{{ event.title }}"}, variables={"v": "{{ event.title }}!"}
    )
    result, failure = made(routes, hostile)
    assert failure is None
    assert result.title == "{{ 7*7 }}!"
    assert result.fields == {"x": "{{ 7*7 }}"}
    assert "{{ event }} {{ 7*7 }}" in result.text
    assert "49" not in result.title + result.text


def test_html_of_a_payload_is_escaped_everywhere() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>"
    hostile = replace(
        FILES,
        title=evil,
        host=evil,
        service=evil,
        state=evil,
        text=evil,
        labels={evil: evil, "alias": evil, "notes": evil},
        links=(
            Link(evil, "javascript:alert(1)"),
            Link("a", f"https://x.example/{evil}"),
            Link(evil, "https://x.example/"),
        ),
        sender_name=evil,
    )
    for template in ("alert", "generic"):
        for purpose in Purpose:
            result, failure = made(PLANS[template, "html"], hostile, purpose)
            assert failure is None
            for tag in ("<script", "<img", 'href="javascript', "onerror=y>"):
                assert tag not in result.html


def test_html_of_a_sender_is_shown_but_only_what_is_harmless() -> None:
    html = '<p onclick="x()" style="color:red;position:fixed">Hi <b>you</b><script>x</script><img src="http://t.example/1">'
    html += '<a href="java\tscript:x">a</a><a href="https://ok.example">ok</a></p>'
    result, failure = made(plan(template="generic", format="html"), replace(FILES, html=html))
    assert failure is None
    assert '<p style="color:red">Hi <b>you</b><a>a</a><a href="https://ok.example">ok</a></p>' in result.html


@pytest.mark.parametrize("html", ["<div><b>" * 50_000, "<" * 300_000, "<b>" * 300 + "deep", "&" * 190_000])
def test_deep_or_huge_html_costs_little(html: str) -> None:
    result, failure = made(plan(template="generic", format="html"), replace(FILES, html=html))
    assert failure is None
    assert "<div><b><div>" not in result.html


def test_a_template_that_fails_is_told_in_the_ticket_and_the_other_parts_stay() -> None:
    routes = plan(
        format="text", body="fine\n{{ event.labels.nothing }}", title="T {{ event.host }}", fields={"topicId": 3}
    )
    result, failure = made(routes, NAGIOS)
    assert failure is not None
    assert (failure.template, failure.line) == ("routes.yaml: routes[r].ticket.body", 2)
    assert "no attribute 'nothing'" in failure.message
    assert result.title == "T web01"
    assert result.fields == {"topicId": 3}
    assert result.reasons == (Reason.RENDER_FAILED,)
    assert "routes.yaml: routes[r].ticket.body, line 2" in result.text
    assert "HTTP CRITICAL - connection refused" in result.text
    assert RECEIPT in result.text


def test_a_field_that_fails_is_left_out_and_told() -> None:
    routes = plan(format="html", fields={"a": "{{ 1 // 0 }}", "b": "{{ event.host }}"})
    result, failure = made(routes, NAGIOS)
    assert failure is not None
    assert failure.template == "routes.yaml: routes[r].ticket.fields.a"
    assert result.fields == {"b": "web01"}
    assert "ticket.fields.a, line 1" in result.html
    assert result.reasons == (Reason.RENDER_FAILED,)


def test_fields_keep_the_type_they_have_in_the_file() -> None:
    fields: dict[str, JsonValue] = {
        "topicId": 2,
        "text": "2",
        "alert": False,
        "host": "{{ event.host }}",
        "list": ["monitoring", "{{ event.source }}", {"a": "{{ 1 + 1 }}"}],
        "priority": {"from": "severity", "table": {"critical": 4, "*": 2}},
        "queue": {"from": "labels.queue", "table": {"ops": "Operations"}},
        "site": {"from": "host", "table": {"*": "{{ event.host[:3] }}"}},
        "none": None,
    }
    result, failure = made(plan(fields=fields), NAGIOS)
    assert failure is None
    assert result.fields == {
        "topicId": 2,
        "text": "2",
        "alert": False,
        "host": "web01",
        "list": ["monitoring", "nagios-hq", {"a": "2"}],
        "priority": 4,
        "site": "web",
        "none": None,
    }


def test_variables_are_rendered_once_in_order_beside_those_of_the_match() -> None:
    routes = plan(
        title="{{ vars.b }} {{ vars.found }}", variables={"a": "{{ event.host | upper }}", "b": "{{ vars.a }}-b"}
    )
    about = replace(context(NAGIOS), vars={"found": "{{ 1 }}"})
    result, failure = draft(routes, Purpose.PROBLEM, about, value_of=lambda _: None)
    assert failure is None
    assert result.title == "WEB01-b {{ 1 }}"


def test_a_title_is_cut_and_never_empty() -> None:
    assert (
        made(plan(title="{{ event.text }}"), replace(NAGIOS, text="a\r\n\tb\x00\x1b[31m\u2028c\u202e d"))[0].title
        == "a b [31m c d"
    )
    long = made(plan(title="{{ event.text }}"), replace(NAGIOS, text="x" * 5000))[0].title
    assert (len(long), long[-1]) == (250, "…")
    assert made(plan(title="{{ event.text }}"), replace(NAGIOS, text=" \n"))[0].title == "CRITICAL: HTTP on web01"
    assert made(plan(title=" "), replace(MINIMAL, title="\x00"))[0].title == "problem from nagios-hq"


def test_the_callers_words_stand_in_the_draft() -> None:
    ref = AttachmentRef(
        receipt=RECEIPT, event=0, index=0, filename="a", media_type="text/plain", size=1, sha256="0" * 64
    )
    result, _ = draft(
        plan(),
        Purpose.RECOVERY,
        context(NAGIOS_RECOVERY),
        value_of=lambda _: None,
        attachments=(ref,),
        quiet=True,
        reopen=False,
        reasons=(Reason.CLOSE_UNSUPPORTED,),
    )
    assert result.attachments == (ref,)
    assert result.quiet
    assert not result.reopen
    assert result.reasons == (Reason.CLOSE_UNSUPPORTED,)


def test_a_plan_renders_the_same_after_it_was_stored() -> None:
    routes = plan(fields={"p": {"from": "severity", "table": {"*": 2}}}, variables={"a": "{{ event.host }}"})
    assert made(plan_from_bytes(routes.to_bytes()), NAGIOS) == made(routes, NAGIOS)


def test_an_event_without_an_incident_renders_too() -> None:
    about = replace(context(NAGIOS), incident=None)
    for template in ("alert", "generic"):
        for purpose in Purpose:
            assert draft(PLANS[template, "html"], purpose, about, value_of=lambda _: None)[1] is None


def test_the_documented_names_are_those_that_templates_get() -> None:
    assert set(names_of(context(NAGIOS), "problem")) == NAMES


def test_the_fallback_says_what_failed() -> None:
    _, failure = made(plan(format="text", body="{{ event.labels.x }}"), NAGIOS)
    result = fallback(context(NAGIOS), Purpose.PROBLEM, failure=failure, quiet=True)
    assert "ticket.body, line 1" in result.text
    assert result.quiet
    assert result.reasons == (Reason.RENDER_FAILED,)
    assert result.title == "CRITICAL: HTTP on web01"


words = st.text(max_size=300)
events = st.builds(
    Event,
    kind=st.sampled_from(Kind),
    severity=st.sampled_from(Severity),
    title=words,
    text=words,
    html=words,
    state=words,
    host=words,
    service=words,
    labels=st.dictionaries(words, words, max_size=4)
    | st.dictionaries(st.sampled_from(["alias", "address", "items", "get", "notes"]), words),
    occurred_at=st.none() | st.floats(min_value=0, max_value=4e9),
    links=st.lists(st.builds(Link, words, words), max_size=3).map(tuple),
    sender_name=words,
    sender_address=words,
)


@settings(max_examples=60, deadline=None)
@given(
    event=events,
    purpose=st.sampled_from(Purpose),
    template=st.sampled_from(["alert", "generic"]),
    format_=st.sampled_from(["text", "html"]),
)
def test_the_shipped_templates_never_fail(
    event: Event,
    purpose: Purpose,
    template: str,
    format_: Literal["text", "html"],
) -> None:
    result, failure = made(PLANS[template, format_], event, purpose)
    assert failure is None
    assert len(result.title.splitlines()) == 1
    assert 0 < len(result.title) <= 250
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, result.title))
    assert result.text.strip()
    (result.title + result.text + result.html).encode()


@given(
    event=events,
    purpose=st.sampled_from(Purpose),
    received=st.floats(allow_nan=True, allow_infinity=True),
)
@settings(max_examples=60, deadline=None)
def test_the_fallback_never_fails(event: Event, purpose: Purpose, received: float) -> None:
    about = Context(
        event=event,
        source="s\n",
        source_kind="",
        route="",
        receipt_id="",
        received_at=received,
        now=received,
        incident=context(NAGIOS).incident,
    )
    result = fallback(about, purpose)
    assert len(result.title.splitlines()) == 1
    (result.title + result.text).encode()
