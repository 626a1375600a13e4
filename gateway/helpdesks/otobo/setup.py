"""The web service and the dynamic field as files to import, and the proofs that they are there and do their work."""

import secrets
import time
from collections.abc import Mapping, Sequence

import yaml

from gateway.helpdesks.otobo.connector import OtoboConnector
from gateway.helpdesks.otobo.finding import Proof as Worth
from gateway.helpdesks.otobo.reading import search
from gateway.helpdesks.otobo.requests import create
from gateway.helpdesks.otobo.settings import LOWER, STOCK, Call, WebService
from gateway.helpdesks.protocol import Http, Order
from gateway.helpdesks.setup import Proof, SetupFile
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.json import JsonObject, JsonValue

_OPERATIONS: Mapping[Call, tuple[str, str]] = {
    Call.SESSION: ("SessionCreate", "Session::SessionCreate"),
    Call.CREATE: ("TicketCreate", "Ticket::TicketCreate"),
    Call.GET: ("TicketGet", "Ticket::TicketGet"),
    Call.SEARCH: ("TicketSearch", "Ticket::TicketSearch"),
    Call.UPDATE: ("TicketUpdate", "Ticket::TicketUpdate"),
    Call.HISTORY: ("TicketHistoryGet", "Ticket::TicketHistoryGet"),
}
GATEWAY = "https://gateway.example.org"
PASSWORD = "THE-SECRET"  # noqa: S105 - stands where the secret goes
"""What the administrator puts the true values in the place of."""
EVENTS = ("TicketStateUpdate", "TicketOwnerUpdate", "TicketLockUpdate", "TicketMerge", "TicketDelete", "ArticleCreate")
"""What the helpdesk tells of."""
_REFUSED = "Attachment->Content"
_VERSIONS = {"otobo": "11.0.x", "znuny": "7.1.x"}


class OtoboSetup(OtoboConnector):
    """The connector with what its helpdesk has to be given (`gateway.helpdesks.setup`)."""

    def setup_files(self) -> Sequence[SetupFile]:
        """The web service, and the dynamic field where tickets are found by one."""
        settings = self._settings
        service = SetupFile(
            f"{settings.webservice}.yml",
            web_service(settings),
            "Admin > Web Services > Add Web Service > Import Web Service. The name of the file becomes the name of the "
            "web service. The debugger stands at `error`: at `debug` the helpdesk keeps every request in its database, "
            "password and attachments included.",
        )
        told: tuple[SetupFile, ...] = ()
        if settings.notify is not None:
            told = (
                SetupFile(
                    f"{settings.webservice}Notify.yml",
                    invoker(settings, self.name),
                    "Admin > Web Services > Add Web Service > Import Web Service, after you have put the gateway's address in "
                    f"the place of {GATEWAY}, and the `notify.secret` of the configuration in that of {PASSWORD}. Made after "
                    "the source of the stock invoker; not tried on a running helpdesk.",
                ),
            )
        if settings.finds_by == "title":
            return (service, *told)
        name = settings.dynamic_field
        field = SetupFile(
            f"{name}.yml",
            dynamic_field(settings),
            f"Admin > Dynamic Fields > Import, where the helpdesk has that page; else add by hand: Ticket, type Text, name "
            f"{name}, valid. It need not be shown on any screen.",
        )
        return (service, field, *told)

    async def prove(self, http: Http, *, timeout: float) -> Sequence[Proof]:
        """Log-in, a search that finds nothing, that this means something, and a create that is checked and not made."""
        deadline = self.deadline(timeout)
        probe = await self.probe(http, timeout=timeout)
        if probe.kind is not OutcomeKind.DELIVERED:
            ignored = probe.kind is OutcomeKind.REJECTED and probe.detail == self.ignored()
            what = (
                "a search for a marker that no ticket has finds nothing"
                if ignored
                else "the helpdesk answers and takes the log-in"
            )
            return (Proof(what, well=False, detail=probe.detail),)
        found = [
            Proof("the helpdesk answers and takes the log-in", well=True),
            Proof("a search for a marker that no ticket has finds nothing", well=True),
        ]
        some = await search(self.service, {"Limit": 1}, http, deadline)
        if isinstance(some, Outcome) or not some:
            words = some.detail if isinstance(some, Outcome) else "the agent can read no ticket at all yet"
            found.append(Proof("other searches do find tickets, so that silence means something", None, words))
        else:
            found.append(Proof("other searches do find tickets, so that silence means something", well=True))
        worth = await self.finder.proof(http, deadline)
        again = "a ticket of the gateway is found again by its marker"
        if worth is Worth.PROVEN:
            found.append(Proof(again, well=True))
        else:
            words = worth.detail if isinstance(worth, Outcome) else "there is none yet; it is tried with the first one"
            found.append(Proof(again, None, self.finder.broken or words))
        refused = await self.rehearse({}, http, timeout=timeout)
        taken = "queue, state, priority, customer and dynamic field of the defaults would be taken"
        return (*found, Proof(taken, well=not refused, detail=refused))

    async def rehearse(self, fields: Mapping[str, JsonValue], http: Http, *, timeout: float) -> str:
        """A create that is complete but for one attachment without content.

        All checks come before any writing, and attachments last, so a refusal for the attachment proves that the rest
        was accepted. It does not catch a queue whose name is written in the wrong case.
        """
        draft = TicketDraft("Rehearsal of ticket-gateway", "This is refused on purpose.", fields=fields, quiet=True)
        marker = secrets.token_hex(16)
        try:
            stored = create(Order(marker, ActionKind.CREATE, marker, draft, None, time.time()), self._settings)
        except ValueError as error:
            return str(error)
        body: JsonObject = {
            **stored.body,
            "Attachment": [{"Content": "", "ContentType": "text/plain", "Filename": "rehearsal.txt"}],
        }
        heard = await self.service.ask(Call.CREATE, body, http, self.deadline(timeout), sent=stored.parts)
        if isinstance(heard, Outcome):
            return "" if _REFUSED in heard.detail and "missing" in heard.detail else heard.detail
        return (
            f"this helpdesk takes attachments without content, so ticket {heard.get('TicketNumber')} was made by the "
            "rehearsal; delete it, and do not rehearse here again"
        )


def web_service(settings: WebService) -> str:
    """The web service as YAML, in the form in which the helpdesk exports one."""
    operations: JsonObject = {}
    routes: JsonObject = {}
    for call, (name, kind) in _OPERATIONS.items():
        method, _, path = (settings.route(call) or (STOCK if settings.layout == "stock" else LOWER)[call]).partition(
            " "
        )
        operations[name] = {
            "Description": f"{name} for ticket-gateway",
            "IncludeTicketData": "0",
            "MappingInbound": {"Type": "Simple"},
            "MappingOutbound": {"Type": "Simple"},
            "Type": kind,
        }
        methods: list[JsonValue] = [method]
        routes[name] = {"RequestMethod": methods, "Route": path}
    service: JsonObject = {
        "Debugger": {"DebugThreshold": "error", "TestMode": "0"},
        "Description": "Tickets by ticket-gateway",
        "FrameworkVersion": _VERSIONS[settings.kind],
        "Provider": {
            "Operation": operations,
            "Transport": {
                "Config": {
                    "AdditionalHeaders": None,
                    "KeepAlive": "",
                    "MaxLength": str(settings.max_body),
                    "RouteOperationMapping": routes,
                },
                "Type": "HTTP::REST",
            },
        },
        "RemoteSystem": "",
        "Requester": {"Transport": {"Type": ""}},
    }
    return _yaml(service)


def invoker(settings: WebService, name: str) -> str:
    """The web service by which the helpdesk tells of changes, as YAML; ``name`` is the helpdesk's in our configuration."""
    events: list[JsonValue] = [{"Asynchronous": "1", "Event": event} for event in EVENTS]
    kind = "Ticket::Generic" if settings.kind == "znuny" else "Generic::PassThrough"
    simple: JsonObject = {"Type": "Simple"}
    service: JsonObject = {
        "Debugger": {"DebugThreshold": "error", "TestMode": "0"},
        "Description": "Tells ticket-gateway what happens to tickets",
        "FrameworkVersion": _VERSIONS[settings.kind],
        "Provider": {"Transport": {"Type": ""}},
        "RemoteSystem": "",
        "Requester": {
            "Invoker": {
                "Notify": {
                    "Description": "A ticket was changed",
                    "Events": events,
                    "MappingInbound": simple,
                    "MappingOutbound": dict(simple),
                    "Type": kind,
                }
            },
            "Transport": {
                "Config": {
                    "Authentication": {
                        "AuthType": "BasicAuth",
                        "BasicAuthPassword": PASSWORD,
                        "BasicAuthUser": "helpdesk",
                    },
                    "DefaultCommand": "POST",
                    "Host": GATEWAY,
                    "InvokerControllerMapping": {
                        "Notify": {"Command": "POST", "Controller": f"/helpdesks/{name}/notify"}
                    },
                    "Timeout": "10",
                },
                "Type": "HTTP::REST",
            },
        },
    }
    return _yaml(service)


def dynamic_field(settings: WebService) -> str:
    """The dynamic field as YAML, in the form of the page that exports and imports fields."""
    name = settings.dynamic_field
    field: JsonObject = {
        "Name": name,
        "Label": "Ticket gateway",
        "FieldOrder": "9999",
        "FieldType": "Text",
        "ObjectType": "Ticket",
        "InternalField": "0",
        "ValidID": "1",
        "Config": {"DefaultValue": "", "Link": "", "LinkPreview": "", "RegExList": []},
    }
    return _yaml({"DynamicFields": {name: field}})


def _yaml(value: JsonObject) -> str:
    return yaml.safe_dump(value, explicit_start=True, sort_keys=True, allow_unicode=True, default_flow_style=False)
