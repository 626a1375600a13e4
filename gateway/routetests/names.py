"""A stand-in has the groups, queues, states and priorities that the rules name: a test cannot know which a real helpdesk has.

`ticket-gateway check --online` asks the real one.
"""

from collections.abc import Mapping

import orjson

from gateway.config.models import HelpdeskSettings
from gateway.helpdesks.osticket.sandbox import OsTicketSandbox
from gateway.helpdesks.osticket.sandbox_settings import Topic
from gateway.helpdesks.otobo.sandbox import OtoboSandbox
from gateway.helpdesks.otobo.sandbox_settings import Agent, DynamicField
from gateway.helpdesks.otobo.settings import WebService
from gateway.helpdesks.zammad.sandbox import ZammadSandbox
from gateway.helpdesks.zammad.sandbox_settings import Agent as ZammadAgent
from gateway.helpdesks.zammad.sandbox_settings import StateRow
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.json import JsonValue
from gateway.sandbox.double import Request

_OPEN, _CLOSED = 2, 5
_ADDED = 1000
"""Ids of what is added begin here, away from those that are there."""


def learn(double: object, settings: HelpdeskSettings, request: Request) -> None:
    """Give a stand-in the names that a request is about to use."""
    if request.method == "GET" or not request.body.lstrip().startswith(b"{"):
        return
    try:
        given = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return
    if isinstance(double, ZammadSandbox) and isinstance(settings, ZammadSettings):
        _zammad(double, settings, given)
    elif isinstance(double, OtoboSandbox) and isinstance(settings, WebService):
        _otobo(double, settings, given)
    elif isinstance(double, OsTicketSandbox):
        _osticket(double, given)


def _osticket(double: OsTicketSandbox, given: Mapping[str, JsonValue]) -> None:
    topic = given.get("topicId")
    if isinstance(topic, int | str) and str(topic).isdigit() and int(topic) not in double.settings.topics:
        topics = {**double.settings.topics, int(topic): Topic(name=f"Topic {topic}")}
        double.settings = double.settings.model_copy(update={"topics": topics})


def _zammad(double: ZammadSandbox, settings: ZammadSettings, given: Mapping[str, JsonValue]) -> None:
    before = double.settings
    changes: dict[str, object] = {}
    if new := _missing(given.get("group"), before.groups.values()):
        changes["groups"] = {**before.groups, _ADDED + len(before.groups): new}
    if new := _missing(given.get("priority"), before.priorities.values()):
        changes["priorities"] = {**before.priorities, _ADDED + len(before.priorities): new}
    if new := _missing(given.get("state"), [state.name for state in before.states.values()]):
        kind = _CLOSED if new == settings.states.closed else _OPEN
        changes["states"] = {**before.states, _ADDED + len(before.states): StateRow(name=new, type=kind)}
    if new := _missing(given.get("owner"), [agent.login for agent in before.agents.values()]):
        changes["agents"] = {**before.agents, _ADDED + len(before.agents): ZammadAgent(login=new, name=new)}
    if changes:
        double.settings = before.model_copy(update=changes)


def _otobo(double: OtoboSandbox, settings: WebService, given: Mapping[str, JsonValue]) -> None:
    before, ticket = double.settings, given.get("Ticket")
    ticket = ticket if isinstance(ticket, dict) else {}
    changes: dict[str, object] = {}
    if new := _missing(ticket.get("Queue"), before.queues):
        changes["queues"] = {**before.queues, new: "users"}
    if new := _missing(ticket.get("State"), before.states):
        changes["states"] = {**before.states, new: "closed" if new == settings.closed_state else "open"}
    if new := _missing(ticket.get("Priority"), before.priorities):
        changes["priorities"] = (*before.priorities, new)
    if new := _missing(ticket.get("Type"), before.types):
        changes["types"] = (*before.types, new)
    for name in ("Owner", "Responsible"):
        if new := _missing(ticket.get(name), ["root@localhost", *before.agents]):
            agent = Agent(id=_ADDED + len(before.agents), name=new, password=new)
            changes["agents"] = {**before.agents, new: agent}
    service, sla, customer = (str(ticket.get(name) or "") for name in ("Service", "SLA", "CustomerUser"))
    if service and customer not in before.services_of_customers.get(service, ()):
        allowed = (*before.services_of_customers.get(service, ()), customer)
        changes["services_of_customers"] = {**before.services_of_customers, service: allowed}
    if sla and before.slas.get(sla) != service:
        changes["slas"] = {**before.slas, sla: service}
    fields = given.get("DynamicField")
    named = [
        str(one.get("Name")) for one in (fields if isinstance(fields, list) else [fields]) if isinstance(one, dict)
    ]
    if unknown := [name for name in named if name not in before.dynamic_fields]:
        changes["dynamic_fields"] = {**before.dynamic_fields, **{name: DynamicField() for name in unknown}}
    if changes:
        double.settings = before.model_copy(update=changes)


def _missing(value: JsonValue, known: object) -> str:
    """The value, if it is a name that is not known; of ids nothing can be said."""
    assert hasattr(known, "__iter__")
    folded = {str(name).casefold() for name in known}
    return value if isinstance(value, str) and value and value.casefold() not in folded else ""
