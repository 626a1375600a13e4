"""What `check` says of helpdesks that are reached by a webhook or by mail."""

from pathlib import Path

import pytest

from gateway.config.loader import load
from gateway.config.problems import ConfigErrors

HEAD = 'version: 1\nsources:\n  app: {kind: generic, auth: {bearer: "${env:T}"}}\nhelpdesks:\n'
HOOK = """\
  desk:
    kind: webhook
    url: https://api.example.org/v1
    auth: {bearer: "${env:T}"}
    create: {url: /t, body: {queue: "{{ fields.queue }}", title: "in {{ fields.place }}"}}
    append: {url: "/t/{{ ticket.id }}", body: {text: "{{ text }}"}}
"""
MAIL = "  desk: {kind: smtp, host: mail.example.org, tls: none, from: a@example.org, to: b@example.org}\n"
ROUTE = "routes:\n  - name: all\n    ticket: {helpdesk: desk, fields: {FIELDS}}\n    incident: {reopen_within: 1h}\n"


def said(tmp_path: Path, helpdesk: str, fields: str = "") -> list[str]:
    text = HEAD + helpdesk + ROUTE.replace("FIELDS", fields)
    try:
        config = load(text.encode(), path=tmp_path / "routes.yaml", env={"T": "x"})
    except ConfigErrors as errors:
        return [f"{problem.line}: {problem.message}; {problem.hint}" for problem in errors.problems]
    return [f"{note.line}: {note.level.value}: {note.message}" for note in config.notes]


def test_a_webhook_tells_what_stands_in_for_what_is_not_configured(tmp_path: Path) -> None:
    close = '    close: {method: PUT, url: "/t/{{ ticket.id }}", body: {state: closed}}\n    probe: {url: /me}\n'
    before, after = said(tmp_path, HOOK, "place: here"), said(tmp_path, HOOK + close, "place: here")
    assert [line for line in before if "`close`" in line] != []
    assert [line for line in after if "`close`" in line] == []
    assert [line for line in before if "warning: without `probe`" in line] != []
    assert [line for line in after if "`probe`" in line] == []


def test_a_field_that_a_request_needs_and_one_that_none_names_are_told_with_their_place(tmp_path: Path) -> None:
    assert said(tmp_path, HOOK, "quue: x") == [
        "13: the `create` request needs the field 'place'; write `place: ...` here",
        "13: no request of this help desk names 'quue'; did you mean 'queue'?",
    ]


def test_a_template_that_cannot_work_is_told_with_its_place(tmp_path: Path) -> None:
    (told,) = said(tmp_path, HOOK.replace("{{ text }}", "{{ txet }}"), "place: x")
    assert told.startswith("10: ")
    assert "nothing is called 'txet' here" in told


def test_mail_in_the_clear_is_told_and_with_a_password_refused(tmp_path: Path) -> None:
    assert any("warning: all tickets travel in the clear" in line for line in said(tmp_path, MAIL))
    (told,) = said(tmp_path, MAIL.replace("to:", "auth: {user: a, password: b}, to:"))
    assert "the password would travel in the clear" in told


@pytest.mark.parametrize("field", ["Bcc: x", "priority: 1", "to: someone@elsewhere.example"])
def test_fields_that_no_mail_has_are_refused_before_any_event(tmp_path: Path, field: str) -> None:
    (told,) = said(tmp_path, MAIL, field)
    assert told.startswith("8: ")
