"""From routes and folders to plans, and all faults at once."""

import pytest

from gateway.config.models import IncidentPolicy, Route, Ticket
from gateway.model.plan import Policy, Template
from gateway.rendering.compile import TemplateErrors, check_template, compile_plan
from tests.rendering.material import SHIPPED, plan

BARE = {"bare": {"title.j2": "T", "body.txt.j2": "B {{ event.host }}"}}


def compiled(ticket: Ticket, folders: dict[str, dict[str, str]] | None = None) -> TemplateErrors:
    with pytest.raises(TemplateErrors) as failed:
        compile_plan(("r", ticket, IncidentPolicy(), {}), templates=folders or SHIPPED, policy=Policy())
    return failed.value


def test_the_shipped_folders_are_without_fault_in_both_formats() -> None:
    for template in SHIPPED.keys() - {"brake"}:  # that one is no template of a route: tests/rendering/test_brake.py
        assert plan(template=template, format="text").ticket.format == "text"
        assert plan(template=template).ticket.format == "html"
        assert plan(template=template).ticket.update.name == f"templates/{template}/update.html.j2"


def test_a_route_gives_its_parts() -> None:
    route = Route(
        name="db",
        vars={"a": "{{ event.host }}"},
        ticket=Ticket(helpdesk="osticket", template="alert", title="{{ vars.a }}", fields={"topicId": 2}),
    )
    made = compile_plan(route, templates=SHIPPED, policy=Policy(reopen_within=5))
    assert (made.route, made.helpdesk, made.policy.reopen_within) == ("db", "osticket", 5)
    assert made.vars == {"a": "{{ event.host }}"}
    assert made.ticket.title == Template("routes.yaml: routes[db].ticket.title", "{{ vars.a }}")
    assert made.ticket.fields == {"topicId": 2}


def test_what_a_folder_leaves_out_is_built_in() -> None:
    ticket = Ticket(helpdesk="h", template="bare")
    made = compile_plan(("r", ticket, IncidentPolicy(), {}), templates=BARE, policy=Policy())
    assert made.ticket.format == "text"
    assert made.ticket.update.name == "built-in update"
    assert made.ticket.recovery.name == "built-in recovery"


def test_a_body_in_the_route_is_text_unless_it_says_otherwise() -> None:
    assert plan(body="a").ticket.format == "text"
    assert plan(body="a", format="html").ticket.format == "html"


def test_a_missing_folder_names_those_that_exist() -> None:
    errors = compiled(Ticket(helpdesk="h", template="alrt")).errors
    assert [(error.message, error.hint, error.path) for error in errors] == [
        ("there is no template folder templates/alrt", "did you mean `alert`?", ("ticket", "template")),
    ]


def test_a_missing_file_names_those_that_exist() -> None:
    error = compiled(Ticket(helpdesk="h", template="bare", format="html"), BARE).errors[0]
    assert error.message == "templates/bare has no body.html.j2"
    assert error.hint == "it holds body.txt.j2, title.j2"


def test_all_faults_are_told_at_once_with_file_line_and_hint() -> None:
    ticket = Ticket(
        helpdesk="h",
        template="alert",
        title="{{ event.hots }}",
        body="one\n{{ evnt.host }}\n{{ nothing }}",
        update="{{ event.host | uper }}",
        recovery="{% if %}",
        fields={"a": ["x", "{{ "], "b": {"from": "severity", "table": {"*": "{% include 'x' %}"}}},
    )
    told = {(error.path, error.line): f"{error.message}|{error.hint}" for error in compiled(ticket).errors}
    assert told[("ticket", "title"), 1] == "`event` has no field `hots`|did you mean `host`?"
    assert told[("ticket", "body"), 2] == "there is no variable `evnt`|did you mean `event`?"
    assert told[("ticket", "body"), 3].startswith("there is no variable `nothing`|there are event, ")
    assert told[("ticket", "update"), 1] == "there is no filter `uper` here|did you mean `upper`?"
    assert ("ticket", "recovery") in {path for path, _ in told}
    assert ("ticket", "fields", "a", 1) in {path for path, _ in told}
    assert told[("ticket", "fields", "b", "table", "*"), 1].startswith("`include` is not part of ticket templates")


def test_local_variables_and_loops_are_known() -> None:
    text = "{% set x = namespace(n=1) %}"
    text += "{% for link in event.links %}{{ loop.index }}{{ link.url }}{{ x.n }}{% endfor %}{{ range(3) | sum }}"
    assert check_template("text", Template("t", text)) == []


def test_an_unknown_filter_is_found_in_a_branch_that_rarely_runs() -> None:
    errors = check_template("text", Template("t", "\n{% if event.host %}\n{{ 1 | nothing }}{% endif %}"))
    assert [(error.line, error.message) for error in errors] == [(3, "there is no filter `nothing` here")]
