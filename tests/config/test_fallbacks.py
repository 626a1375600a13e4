"""Fallbacks in `routes.yaml`: what is wrong with them, and what they stand for."""

from pathlib import Path

import pytest

from gateway.config.fallbacks import fallbacks_of, incident_at, ticket_at
from gateway.config.models import Escalate, Fallback, IncidentPolicy, Ticket
from gateway.helpdesks.protocol import Certainty
from gateway.helpdesks.registry import HELPDESK_KINDS
from tests.config.samples import GOOD, problems, read

TWO = GOOD.replace(
    "routes:\n",
    """\
  zammad:
    kind: zammad
    url: https://zammad.example.org
    auth: {token: "${env:OSTICKET_KEY}"}
    group: Users
    customer: monitoring@example.org
    limits: {max_age: 1h}
routes:
""",
).replace("helpdesk: osticket\n", "helpdesk: zammad\n")


def spoiled(folder: Path, *lines: str) -> list[str]:
    return problems(folder, TWO + "".join(f"      {line}\n" for line in lines))


def test_one_fallback_or_a_list_of_them(tmp_path: Path) -> None:
    assert spoiled(tmp_path, "fallback: {helpdesk: osticket, after: 15m, fields: {priority: 2}}") == []
    assert spoiled(tmp_path, "fallback:", "  - helpdesk: osticket", "    title: x") == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fallback: {helpdesk: ostiket}", "routes.yaml:26:28: routes[0].ticket.fallback.helpdesk: unknown helpdesk"),
        ("fallback: {helpdesk: zammad}", "routes.yaml:26:28: routes[0].ticket.fallback.helpdesk: 'zammad' is the"),
        (
            "fallback: [{helpdesk: osticket}, {helpdesk: osticket}]",
            "routes[0].ticket.fallback[1].helpdesk: 'osticket' has",
        ),
        (
            "fallback: [{helpdesk: osticket}, {helpdesk: zammad}]",
            "routes[0].ticket.fallback[1].helpdesk: 'zammad' is the",
        ),
        (
            "fallback: {helpdesk: osticket, after: 2h}",
            "routes[0].ticket.fallback.after: 2h is too long; shorter than 1h",
        ),
        ("fallback: {helpdesk: osticket, after: 0s}", "routes[0].ticket.fallback.after"),
        ("fallback: {helpdesk: osticket, fields: {topicId: soon}}", "routes[0].ticket.fallback.fields.topicId"),
        ("fallback: {helpdesk: osticket, template: nowhere}", "routes[0].ticket.fallback.template: there is no"),
        ("fallback: {helpdesk: osticket, title: '{{ evnt }}{% if %}'}", "routes[0].ticket.fallback.title"),
        ("fallback: {helpdesk: osticket, titel: x}", "titel"),
        ("fallback: {after: 15m}", "helpdesk"),
        ("fallback: {helpdesk: osticket, fallback: {helpdesk: zammad}}", "fallback"),
    ],
)
def test_what_is_wrong_with_a_fallback_is_told_where_it_stands(tmp_path: Path, line: str, told: str) -> None:
    found = spoiled(tmp_path, line)
    assert any(told in one for one in found), found
    assert all(one.startswith("routes.yaml:26:") for one in found), found


def test_what_a_fallback_cannot_do_is_told_at_its_name(tmp_path: Path) -> None:
    text = TWO + "      fallback: {helpdesk: osticket}\n    incident: {recover: {action: close}}\n"
    infos = [str(note).replace(f"{tmp_path}/", "") for note in read(tmp_path, text).notes if note.level == "info"]
    [told] = [one for one in infos if "fallback" in one]
    assert told.startswith(
        "routes.yaml:26:28: info: routes[0].ticket.fallback.helpdesk: close: osTicket closes nothing"
    )


def test_a_fallback_in_shadow_mode_is_told(tmp_path: Path) -> None:
    text = TWO.replace("    kind: osticket\n", "    kind: osticket\n    mode: shadow\n")
    text += "      fallback: {helpdesk: osticket}\n"
    warnings = [str(note) for note in read(tmp_path, text).notes if note.level == "warning"]
    assert any("ticket.fallback.helpdesk: 'osticket' is in shadow mode" in one for one in warnings), warnings


def test_a_helpdesk_that_never_proves_absence_is_told(tmp_path: Path) -> None:
    assert HELPDESK_KINDS["osticket"].capabilities.certainty is Certainty.IDEMPOTENT_MAIL
    text = TWO.replace("helpdesk: zammad\n", "helpdesk: osticket\n") + "      fallback: {helpdesk: zammad}\n"
    infos = [str(note) for note in read(tmp_path, text).notes if note.level == "info"]
    assert any("never proven to have written nothing: such a ticket waits there" in one for one in infos)


def test_what_a_fallback_leaves_out_is_as_in_the_ticket_but_for_the_fields() -> None:
    ticket = Ticket(helpdesk="a", template="alert", title="T", fields={"group": "x"}, attachments=False)
    there = ticket_at(ticket, Fallback(helpdesk="b", body="B"))
    assert (there.helpdesk, there.template, there.title, there.body) == ("b", "alert", "T", "B")
    assert (there.fields, there.attachments) == ({}, False)
    own = ticket_at(ticket, Fallback(helpdesk="b", template="generic", attachments=True))
    assert (own.template, own.title, own.attachments) == ("generic", None, True)
    assert fallbacks_of(ticket) == []


def test_an_update_without_fields_there_is_a_plain_follow_up() -> None:
    policy = IncidentPolicy(escalate=Escalate(severity="update", after=60.0, action="update", fields={"priority": "3"}))
    plain = incident_at(policy, Fallback(helpdesk="b")).escalate
    assert isinstance(plain, Escalate)
    assert (plain.severity, plain.action, plain.after, plain.fields) == ("append", "append", 60.0, {})
    sets = incident_at(policy, Fallback(helpdesk="b", escalated={"priority": 1})).escalate
    assert isinstance(sets, Escalate)
    assert (sets.severity, sets.action, sets.fields) == ("update", "update", {"priority": 1})
