"""Stand-ins for OTOBO and Znuny behind their Generic Interface, faithful to what was recorded from an OTOBO 11.0.6.

Statuses, texts, the silence about dropped criteria and keys, and what a failed call leaves behind are the helpdesk's.
Znuny's differences were read in its source. Left out: ACLs, process tickets, time accounting, and the escalation of SLAs.
"""

import base64
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from gateway.helpdesks.otobo import sandbox_answers as answers
from gateway.helpdesks.otobo.sandbox_answers import Fault as HelpdeskFault
from gateway.helpdesks.otobo.sandbox_answers import Refused
from gateway.helpdesks.otobo.sandbox_check import Checked, Checks, whole_number
from gateway.helpdesks.otobo.sandbox_search import search
from gateway.helpdesks.otobo.sandbox_settings import ANNA, Agent, OtoboSandboxSettings
from gateway.helpdesks.otobo.sandbox_show import Shower, ids_of, truth
from gateway.helpdesks.otobo.sandbox_transport import Asked, header_login, understand
from gateway.helpdesks.otobo.sandbox_write import Writer, title_of
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Answering, Drop, Reply, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import Attachment, Ticket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults
from gateway.sandbox.webhooks import Caller

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SAYS = {"TicketCreate": "User could not be authenticated!", "TicketUpdate": "User could not be authenticated!"}


@dataclass(frozen=True, slots=True)
class _Session:
    login: str
    customer: bool
    client: str
    made_at: float


class OtoboSandbox(Answering):
    """One helpdesk. Its tickets are in the store; sessions and switches are in memory."""

    actions: Mapping[str, str] = {
        "close": "Close",
        "reopen": "Reopen",
        "answer": "Answer as an agent",
        "lock": "Lock",
        "merge": "Merge into the newest other ticket",
        "retitle": "Change the title",
        "delete": "Delete",
    }

    entrance = "nph-genericinterface.pl/Webservice/TicketGateway"
    """Where its API is, below its own address."""

    def __init__(
        self,
        store: Store,
        settings: OtoboSandboxSettings | None = None,
        *,
        name: str = "otobo",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``name`` is `otobo` or `znuny`; ``clock`` gives seconds since 1970."""
        super().__init__()
        self.settings = settings or OtoboSandboxSettings()
        self.faults = Faults()
        self._name = name
        self._store = store
        self._clock = clock
        self._draw = random.Random(self.settings.seed)  # noqa: S311 - the order of keys
        self._sessions: dict[str, _Session] = {}
        self._caller = Caller()

    @property
    def name(self) -> str:
        """Its first path segment below `/sandbox`."""
        return self._name

    @property
    def title(self) -> str:
        """Its name for people."""
        return "Znuny" if self._name == "znuny" else "OTOBO"

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some switches; raises pydantic's `ValidationError` and changes nothing if one of them is wrong."""
        before = self.settings
        self.settings = OtoboSandboxSettings.model_validate({**before.model_dump(), **changes})
        if self.settings.seed != before.seed:
            self._draw = random.Random(self.settings.seed)  # noqa: S311 - the order of keys

    def end_sessions(self) -> None:
        """Forget all sessions, as a restart of the helpdesk's cache may do."""
        self._sessions.clear()

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do on the ticket's page."""
        found = self._store.ticket(ticket)
        if found is None or found.helpdesk != self.name or action not in self.actions:
            return False
        writer = self._writer(ANNA)
        if action == "delete":
            self._store.delete(ticket)
            self._ring(found, "TicketDelete")
            return True
        if action == "merge":
            others = [one for one in self._store.tickets(self.name) if one.id != ticket and one.status != "merged"]
            done = bool(others) and writer.merge(found, others[0])
            self._ring(found, "TicketMerge")
            return done
        if action == "retitle":
            writer.update_title(found, f"Edited: {found.subject}"[: self.settings.title_length])
        elif action == "answer":
            writer.answer(found)
        elif action == "lock":
            writer.lock(found, "lock")
        else:
            writer.state(found, "closed successful" if action == "close" else "open", None)
        self._ring(found, "ArticleCreate" if action == "answer" else "TicketStateUpdate")
        return True

    async def close(self) -> None:
        """Give up whatever still hangs."""
        await self._caller.close()
        await super().close()

    def _ring(self, ticket: Ticket, event: str) -> None:
        """What the stock invoker posts: OTOBO's passes the event's data on, Znuny's adds the ticket."""
        hook = self.settings.webhook
        if not hook.url:
            return
        data: JsonObject = {"TicketID": str(ticket.id), "Event": event}
        there = self._store.ticket(ticket.id) is not None
        whole: JsonObject = {"TicketID": ticket.id, "TicketNumber": ticket.number, "State": ticket.status}
        body = orjson.dumps({"Ticket": whole if there else {}, "Event": data} if self._znuny else data)
        pair = base64.b64encode(f"helpdesk:{hook.secret}".encode()).decode("ascii")
        self._caller.post(hook.url, body, {"Authorization": f"Basic {pair}"})

    async def _answer(self, request: Request) -> Reply | Drop:
        """What the helpdesk does with a whole request."""
        denied = False
        for fault in self.faults.at_the_door(lambda: title_of(request.body)):
            if fault.fault is FaultKind.SLOW:
                await self.faults.wait(fault.wait)
            elif fault.fault is FaultKind.AUTH_BROKEN:
                denied = True
            else:
                return _at_the_door(fault)
        asked = understand(request, self.settings, znuny=self._znuny)
        if isinstance(asked, Reply):
            return asked
        if self._znuny:
            asked = Asked(asked.operation, {**asked.parameters, **header_login(request.headers)}, asked.service)
        try:
            done = await self._do(asked, request.client, denied=denied)
        except Refused as refused:
            return answers.refusal(refused, self._draw, ordered=self._znuny)
        except HelpdeskFault as fault_inside:
            return answers.fault(str(fault_inside), self._draw)
        return done if isinstance(done, Reply | Drop) else answers.success(done, self._draw, ordered=self._znuny)

    @property
    def _znuny(self) -> bool:
        return self._name == "znuny"

    async def _do(self, asked: Asked, client: str, *, denied: bool) -> JsonObject | Reply | Drop:
        given, operation = asked.parameters, asked.operation
        if operation == "SessionGet":
            return self._session_get(given)
        login, agent = self._authenticated(operation, given, client, denied=denied)
        match operation:
            case "SessionCreate":
                session = "".join(secrets.choice(_LETTERS) for _ in range(32))
                self._sessions[session] = _Session(login, agent is None, client, self._clock())
                return {"SessionID": session}
            case "TicketGet":
                return self._get(given, login, agent)
            case "TicketSearch":
                return self._search(given, login, agent)
            case "TicketHistoryGet":
                return self._history(given, login, agent)
            case "TicketDelete":
                (ticket,) = self._readable(operation, given, login, agent)[:1]
                self._store.delete(ticket.id)
                return {"TicketID": str(ticket.id), "TicketNumber": ticket.number}
            case "TicketCreate":
                return await self._write(asked, self._checked_create(given, agent), None, login)
            case _:
                return await self._update(asked, login, agent)

    # ------------------------------------------------------------------------------------------------ who is asking

    def _authenticated(
        self, operation: str, given: Mapping[str, JsonValue], client: str, *, denied: bool
    ) -> tuple[str, Agent | None]:
        """(login, agent); no agent is a customer."""
        refused = Refused(operation, "AuthFail", _SAYS.get(operation, "Authorization failing!"))
        session = str(given.get("SessionID") or "")
        if session and operation != "SessionCreate":
            known = self._sessions.get(session)
            if known is None or denied:
                raise refused
            if known.client != client or self._clock() - known.made_at >= self.settings.session_life:
                del self._sessions[session]  # also one that came from another address
                raise refused
            return known.login, None if known.customer else self.settings.agents[known.login]
        names = operation in {"TicketCreate", "TicketUpdate", "SessionCreate"}
        login, customer = str(given.get("UserLogin") or ""), str(given.get("CustomerUserLogin") or "")
        if names and not login and not customer:
            raise Refused(operation, "MissingParameter", "UserLogin, CustomerUserLogin or SessionID is required!")
        if names and not given.get("Password"):
            words = (
                "Password parameter is missing!"
                if operation == "SessionCreate"
                else "Password or SessionID is required!"
            )
            raise Refused(operation, "MissingParameter", words)
        agent = self.settings.agents.get(login)
        if not denied and agent is not None and agent.password == given.get("Password"):
            return login, agent
        record = self.settings.customers.get(customer)
        if (
            not denied
            and not login
            and record is not None
            and record.password
            and record.password == given.get("Password")
        ):
            return customer, None
        raise refused

    def _session_get(self, given: Mapping[str, JsonValue]) -> JsonObject:
        known = self._sessions.get(str(given.get("SessionID") or ""))
        if known is None:
            raise Refused("SessionGet", "SessionInvalid", "SessionID is Invalid!")
        return {
            "SessionData": [
                {"Key": "UserLogin", "Value": known.login},
                {"Key": "SessionSource", "Value": "GenericInterface"},
            ]
        }

    def _may_see(self, ticket: Ticket, login: str, agent: Agent | None) -> bool:
        if agent is None:
            return ticket.address.lower() == login.lower()
        return Checks("", self.settings).may(agent, ticket.department, "ro")

    # ------------------------------------------------------------------------------------------------------- reading

    def _search(self, given: Mapping[str, JsonValue], login: str, agent: Agent | None) -> JsonObject:
        tickets = [one for one in self._store.tickets(self.name) if self._may_see(one, login, agent)]
        threads = self._store.threads(one.id for one in tickets)
        found = search(given, tickets, threads, self.settings, self._clock())
        return {"TicketID": [str(one) for one in found]} if found else {}

    def _readable(
        self, operation: str, given: Mapping[str, JsonValue], login: str, agent: Agent | None
    ) -> list[Ticket]:
        ids = ids_of(given.get("TicketID") or "")
        if not ids:
            raise Refused(operation, "MissingParameter", "TicketID parameter is missing!")
        found: list[Ticket] = []
        for one in ids:
            ticket = self._ticket(one)
            if ticket is None or not self._may_see(ticket, login, agent):
                raise Refused(operation, "AccessDenied", "User does not have access to the ticket!")
            found.append(ticket)
        return found

    def _ticket(self, number: str) -> Ticket | None:
        ticket = self._store.ticket(int(number)) if whole_number(number) else None
        return ticket if ticket is not None and ticket.helpdesk == self.name else None

    def _get(self, given: Mapping[str, JsonValue], login: str, agent: Agent | None) -> JsonObject:
        shower = Shower(self.settings, self._clock(), self._draw)
        content = (lambda _file: None) if not truth(given, "GetAttachmentContents", default=True) else self._content
        shown: list[JsonValue] = []
        for ticket in self._readable("TicketGet", given, login, agent):
            one = shower.ticket(ticket, dynamic=truth(given, "DynamicFields"))
            one["TimeUnit"] = 0
            if truth(given, "AllArticles"):
                entries = self._store.threads([ticket.id])[ticket.id].entries
                files = content if truth(given, "Attachments") else None
                numbered = [
                    (number, entry)
                    for number, entry in enumerate(entries, 1)
                    if agent is not None or entry.details.get("IsVisibleForCustomer", "1") == "1"
                ]
                if given.get("ArticleOrder") == "DESC":
                    numbered.reverse()
                limit = str(given.get("ArticleLimit") or "")
                articles: list[JsonValue] = [
                    {**shower.article(ticket, entry, number, files=files), "TimeUnit": 0}
                    for number, entry in numbered[: int(limit) if whole_number(limit) else None]
                ]
                one["Article"] = articles or [{"TimeUnit": None}]
            shown.append(one)
        return {"Ticket": shown}

    def _content(self, file: Attachment) -> str:
        found = self._store.content(file.id)
        return base64.b64encode(found[1]).decode("ascii") if found is not None else ""

    def _history(self, given: Mapping[str, JsonValue], login: str, agent: Agent | None) -> JsonObject:
        shower = Shower(self.settings, self._clock(), self._draw)
        tickets = self._readable("TicketHistoryGet", given, login, agent)
        threads = self._store.threads(ticket.id for ticket in tickets)
        return {
            "TicketHistory": [
                {"TicketID": str(ticket.id), "History": shower.history(ticket, threads[ticket.id])}
                for ticket in tickets
            ]
        }

    # ------------------------------------------------------------------------------------------------------- writing

    def _checked_create(self, given: Mapping[str, JsonValue], agent: Agent | None) -> Checked:
        operation, checks = "TicketCreate", Checks("TicketCreate", self.settings)
        ticket = given.get("Ticket")
        if not isinstance(ticket, dict) or not ticket:
            raise checks.missing("Ticket parameter is missing or not valid!")
        articles = self._articles(given)
        wanted = checks.ticket(ticket, new=True)
        if not checks.may(agent, str(wanted["Queue"]), "create"):
            raise Refused(operation, "AccessDenied", "Can not create tickets in given Queue or QueueID!")
        checked = tuple(checks.article(one) for one in articles)
        return Checked(
            wanted, checked, checks.dynamic(given.get("DynamicField")), checks.files(given.get("Attachment"))
        )

    def _articles(self, given: Mapping[str, JsonValue]) -> list[JsonValue]:
        article = given.get("Article")
        return article if isinstance(article, list) and article and self._znuny else [article]

    async def _update(self, asked: Asked, login: str, agent: Agent | None) -> JsonObject | Reply | Drop:
        given, checks = asked.parameters, Checks("TicketUpdate", self.settings)
        number = str(given.get("TicketNumber") or "")
        if not number and not given.get("TicketID"):
            raise checks.missing("TicketID or TicketNumber is required!")
        ticket = self._store.by_number(self.name, number) if number else self._ticket(str(given["TicketID"]))
        if ticket is None or not self._may_see(ticket, login, agent):
            raise Refused("TicketUpdate", "AccessDenied", "User does not have access to the ticket!")
        wanted = given.get("Ticket")
        if "Ticket" in given and (not isinstance(wanted, dict) or not wanted):
            raise checks.invalid("Ticket parameter is not valid!")
        values = checks.ticket(wanted, new=False) if isinstance(wanted, dict) else {}
        self._permitted(checks, agent, ticket, values, given)
        articles = tuple(checks.article(one) for one in self._articles(given)) if "Article" in given else ()
        dynamic = checks.dynamic(given.get("DynamicField"))
        if given.get("Attachment") is not None and not articles:
            raise checks.missing("To create an attachment an article is needed!")
        checked = Checked(values, articles, dynamic, checks.files(given.get("Attachment")))
        return await self._write(asked, checked, ticket, login)

    def _permitted(
        self,
        checks: Checks,
        agent: Agent | None,
        ticket: Ticket,
        values: Mapping[str, JsonValue],
        given: Mapping[str, JsonValue],
    ) -> None:
        def needs(right: str, what: str) -> None:
            if not checks.may(agent, ticket.department, right):
                raise Refused("TicketUpdate", "AccessDenied", f"Does not have permissions to {what}!")

        if "Article" in given:
            needs("note", "create new articles")
        if "DynamicField" in given:
            needs("rw", "update dynamic fields")
        for name in ("Owner", "Responsible", "Priority"):
            if name in values:
                needs(name.lower(), f"update {name.lower()}")
        if self.settings.states.get(str(values.get("State")), "open").startswith(("closed", "pending")):
            needs("close", "update state")

    async def _write(
        self, asked: Asked, checked: Checked, ticket: Ticket | None, login: str
    ) -> JsonObject | Reply | Drop:
        """Everything is acceptable; from here on a failure leaves behind what was written before it."""
        title = str(checked.ticket.get("Title") or (ticket.subject if ticket is not None else ""))
        fault = self.faults.at_the_commit(lambda: title)
        writer = self._writer(login)
        if fault is not None and fault.fault is FaultKind.DIE_HALF_WAY:
            writer.dies_at = fault.at
        if fault is not None and fault.fault is FaultKind.HANG_BEFORE_COMMIT:
            await self.faults.wait(fault.wait)
            if not fault.commits:
                return answers.web_server(504)
        if ticket is None:
            number, article = await writer.create(checked)
        else:
            number, article = ticket.id, await writer.update(ticket, checked)
        written = self._store.ticket(number)
        if written is not None:
            self._ring(written, "TicketCreate" if ticket is None else "TicketStateUpdate")
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_DROP:
            return Drop.CLOSE
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_HANG:
            await self.faults.wait(fault.wait)
        return self._told(asked, number, article, new=ticket is None)

    def _told(self, asked: Asked, number: int, articles: list[int], *, new: bool) -> JsonObject:
        ticket = self._store.ticket(number)
        if ticket is None:
            raise HelpdeskFault("Ticket could not be read")
        given = asked.parameters.get("TicketID")
        told: JsonObject = {"TicketID": str(number) if new else given or number, "TicketNumber": ticket.number}
        if len(articles) > 1:
            listed: list[JsonValue] = list(articles)
            told["ArticleID" if new else "ArticleIDs"] = listed
        elif articles:
            told["ArticleID"] = articles[0]
        if not asked.service.include_ticket_data:
            return told
        shower = Shower(self.settings, self._clock(), self._draw)
        shown = shower.ticket(ticket, dynamic=True)
        entries = self._store.threads([number])[number].entries
        if entries and (articles or not self._znuny):
            article = (
                shower.article(ticket, entries[-1], len(entries), files=self._content, numbered=False)
                if articles
                else shower.bare_article(ticket, entries[-1], len(entries))
            )
            shown["Article"] = [article] if self._znuny and new else article
            told["ArticleID"] = entries[-1].id  # also where no article was added
        return {**told, "Ticket": shown}

    def _writer(self, login: str = "root@localhost") -> Writer:
        return Writer(self._store, self.settings, self.name, login, self._clock)


def _at_the_door(fault: Fault) -> Reply | Drop:
    match fault.fault:
        case FaultKind.REFUSE:
            return Drop.RESET
        case FaultKind.RATE_LIMIT:
            return answers.web_server(429, ("Retry-After", f"{fault.wait:.0f}"))
        case FaultKind.DATABASE_DOWN:
            # What a running one says then was not observed; this is what its server says of a program that died.
            return Reply(500, "Internal Server Error", (("Content-Type", "text/plain"),))
        case FaultKind.REDIRECT:
            return answers.web_server(302, ("Location", "https://login.example/"))
        case FaultKind.MAINTENANCE:
            return answers.web_server(503, ("Retry-After", f"{fault.wait:.0f}"))
        case _:
            return answers.web_server(fault.status)
