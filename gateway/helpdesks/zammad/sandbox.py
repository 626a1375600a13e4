"""A stand-in for Zammad's REST API, built after its documentation, specs and source; none was recorded from a live one.

Left out: knowledge base, chat, the monitoring intake, time accounting, SLAs, and every address that the connector and
its users have no need of.
"""

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qs

import orjson

from gateway.helpdesks.zammad import sandbox_answers as answers
from gateway.helpdesks.zammad import sandbox_check as check
from gateway.helpdesks.zammad import sandbox_work as work
from gateway.helpdesks.zammad.sandbox_answers import Refused
from gateway.helpdesks.zammad.sandbox_check import Who
from gateway.helpdesks.zammad.sandbox_records import NAME, Records, iso, row_of
from gateway.helpdesks.zammad.sandbox_search import asked, search
from gateway.helpdesks.zammad.sandbox_settings import ZammadSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Answering, Drop, Reply, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import Ticket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults
from gateway.sandbox.webhooks import Caller, signature

API = "/api/v1"
_KINDS = {1: "new", 2: "open", 3: "pending reminder", 4: "pending action", 5: "closed", 6: "merged", 7: "removed"}
_OPEN, _CLOSED = 2, 5


class ZammadSandbox(Answering):
    """One Zammad. Its tickets are in the store; only its switches are in memory."""

    name = NAME
    title = "Zammad"
    actions: Mapping[str, str] = {
        "close": "Close",
        "reopen": "Open",
        "answer": "Answer as an agent",
        "take": "Take it as an agent",
        "merge": "Merge into the newest other ticket",
        "delete": "Delete",
    }

    def __init__(
        self, store: Store, settings: ZammadSandboxSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970."""
        super().__init__()
        self.settings = settings or ZammadSandboxSettings()
        self.faults = Faults()
        self._store = store
        self._clock = clock
        self._caller = Caller()

    @property
    def _records(self) -> Records:
        return Records(self._store, self.settings)

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some switches; raises pydantic's `ValidationError` and changes nothing if one of them is wrong."""
        self.settings = ZammadSandboxSettings.model_validate({**self.settings.model_dump(), **changes})

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do on the ticket's page."""
        records, now = self._records, self._clock()
        found = records.ticket(ticket)
        if found is None or action not in self.actions:
            return False
        with self._store.transaction():
            match action:
                case "delete":
                    self._store.delete(ticket)
                case "merge":
                    others = [one for one in self._store.tickets(NAME) if one.id != ticket]
                    if not others:
                        return False
                    work.merge(found, others[0], records, now)
                case "answer":
                    work.answer(found, records, now)
                case "take":
                    work.take(found, records, now)
                case _:
                    work.set_state(found, _CLOSED if action == "close" else _OPEN, records, now)
        self._ring(ticket)
        return True

    async def close(self) -> None:
        """Give up whatever still hangs."""
        await self._caller.close()
        await super().close()

    def _ring(self, ticket: int) -> None:
        """What a trigger on every change would post: ticket and last article, signed."""
        found, hook = self._records.ticket(ticket), self.settings.webhook
        if found is None or not hook.url:
            return
        entries = self._records.entries(ticket)
        article = self._records.article(ticket, entries[-1]) if entries else {}
        body = orjson.dumps({"ticket": self._records.shown(found, expand=True), "article": article})
        headers = {"User-Agent": "Zammad User Agent", "X-Zammad-Trigger": "ticket-gateway"}
        headers["X-Zammad-Delivery"] = str(uuid.uuid4())
        self._caller.post(hook.url, body, {**headers, "X-Hub-Signature": signature(hook.secret, body)})

    async def _answer(self, request: Request) -> Reply | Drop:
        """What Zammad does with a whole request."""
        newer = self.settings.release == "newer"
        for fault in self.faults.at_the_door(lambda: _subject(request)):
            if fault.fault is FaultKind.SLOW:
                await self.faults.wait(fault.wait)
            else:
                return _at_the_door(request, fault, newer=newer)
        try:
            return await self._handle(request)
        except Refused as over:
            if over.masked:
                self._store.log(self.name, "Error", f"{over.status}", over.text, self._clock())
            return answers.refusal(request, over, newer=newer)

    async def _handle(self, request: Request) -> Reply | Drop:
        if len(request.body) > self.settings.body_limit:
            return answers.web_server(413)
        if not request.path.startswith(f"{API}/"):
            raise Refused(404, "No route matches")
        who = self._who(request)
        raw = _parameters(request)
        parts = request.path.removeprefix(f"{API}/").strip("/").split("/")
        match request.method, parts:
            case "POST", ["tickets"]:
                return await self._create(request, raw, who)
            case "PUT", ["tickets", number]:
                return await self._update(request, number, raw, who)
            case "POST", ["ticket_articles"]:
                return await self._add_article(request, raw, who)
            case "DELETE", ["tickets", number]:
                return self._delete(number, who)
            case "POST", ["tags", "add"]:
                return self._tag(raw, who, add=True)
            case "DELETE", ["tags", "remove"]:
                return self._tag(raw, who, add=False)
            case ("GET", _) | ("POST", ["tickets", "search"]):
                return self._read(parts, raw, who)
            case _:
                raise Refused(404, "No route matches")

    # ------------------------------------------------------------------------------------------------- authentication

    def _who(self, request: Request) -> Who:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        rest = rest.strip()
        match scheme.lower():
            case "token":
                who = self._by_token(rest.removeprefix("token=").strip('"'), "Can't find User for Token")
            case "bearer":
                who = self._by_token(rest, "The provided token is invalid.")
            case "basic":
                who = self._by_password(rest)
            case _:
                raise Refused(403, "Authentication required")
        if not who.agent.active:
            text = "Login failed. Have you double-checked your credentials and completed the email verification step?"
            raise Refused(401, text)
        wanted = request.headers.get("from") or request.headers.get("x-on-behalf-of")
        return self._on_behalf(who, wanted) if wanted else who

    def _by_token(self, secret: str, unknown: str) -> Who:
        if not self.settings.token_access:
            raise Refused(403, "API token access disabled!")
        token = self.settings.tokens.get(secret)
        if token is None or token.user not in self.settings.agents:
            raise Refused(401, unknown)
        if token.expired:
            raise Refused(401, "Not authorized (token expired)!")
        return Who(token.user, self.settings.agents[token.user], frozenset(token.permissions))

    def _by_password(self, pair: str) -> Who:
        if not self.settings.password_access:
            raise Refused(403, "API password access disabled!")
        try:
            login, _, password = base64.b64decode(pair, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise Refused(401, "Invalid BasicAuth credentials") from None
        for number, agent in self.settings.agents.items():
            if agent.login == login and agent.password and agent.password == password:
                return Who(number, agent, frozenset({"ticket.agent"}))
        raise Refused(401, "Invalid BasicAuth credentials")

    def _on_behalf(self, who: Who, wanted: str) -> Who:
        if not {"admin.user", "admin"} & who.permissions:
            raise Refused(403, "Current user has no permission to use 'From'/'X-On-Behalf-Of'!")
        for number, agent in self.settings.agents.items():
            if wanted in {str(number), agent.login}:
                return Who(number, agent, who.permissions)
        raise Refused(403, f"No such user '{wanted}'")

    # -------------------------------------------------------------------------------------------------------- writing

    async def _create(self, request: Request, raw: JsonObject, who: Who) -> Reply | Drop:
        """Check at the start, store at the commit: of two copies in flight together both are stored."""
        records = self._records
        new = work.new_work(raw, who, records)
        if self.settings.latency:
            await asyncio.sleep(self.settings.latency)
        if new.refused is not None:  # older: the row is there already
            with self._store.transaction():
                work.write_new(new, records, self._clock())
            raise new.refused

        def commit() -> Reply:
            with self._store.transaction():
                number = work.write_new(new, records, self._clock())
            self._ring(number)
            return self._shown(number, raw, 201, written=True)

        def fragment(at: str) -> None:
            if self.settings.release == "older" and at != "ticket":
                with self._store.transaction():
                    work.write_new(new, records, self._clock(), article=at == "attachment", files=False)

        return await self._commit(request, commit, fragment)

    async def _update(self, request: Request, number: str, raw: JsonObject, who: Who) -> Reply | Drop:
        records = self._records
        change = work.change(work.existing(records, number), raw, who, records)
        if self.settings.latency:
            await asyncio.sleep(self.settings.latency)

        def commit() -> Reply:
            with self._store.transaction():
                now = work.existing(records, number)  # it may have been deleted meanwhile
                work.write_change(replace(change, ticket=now), records, self._clock())
            self._ring(now.id)
            return self._shown(int(number), raw, 200, written=True)

        return await self._commit(request, commit, lambda _at: None)

    async def _add_article(self, request: Request, raw: JsonObject, who: Who) -> Reply | Drop:
        records = self._records
        ticket = work.existing(records, str(raw.get("ticket_id") or ""))
        if not who.may("create"):
            raise Refused(403, "Not authorized")
        entry = check.article(raw, who, ticket.subject, self.settings)

        def commit() -> Reply:
            with self._store.transaction():
                added = records.add(ticket.id, entry, self._clock())
            self._ring(ticket.id)
            stored = next(one for one in records.entries(ticket.id) if one.id == added)
            return answers.ok(records.article(ticket.id, stored), 201)

        return await self._commit(request, commit, lambda _at: None)

    async def _commit(
        self, request: Request, commit: Callable[[], Reply], fragment: Callable[[str], None]
    ) -> Reply | Drop:
        fault = self.faults.at_the_commit(lambda: _subject(request))
        if fault is None:
            return commit()
        if fault.fault is FaultKind.DIE_HALF_WAY:
            fragment(fault.at)
            raise answers.database_error()
        if fault.fault is FaultKind.HANG_BEFORE_COMMIT:
            await self.faults.wait(fault.wait)
            return commit() if fault.commits else answers.web_server(504)
        reply = commit()
        if fault.fault is FaultKind.COMMIT_THEN_DROP:
            return Drop.CLOSE
        await self.faults.wait(fault.wait)
        return reply

    def _delete(self, number: str, who: Who) -> Reply:
        ticket = work.existing(self._records, number)
        if "admin" not in who.permissions:
            raise Refused(403, "Not authorized (admin permission required)!")
        self._store.delete(ticket.id)
        return Reply(200, "", (("Content-Type", "application/json; charset=utf-8"),))

    def _tag(self, raw: JsonObject, who: Who, *, add: bool) -> Reply:
        if not {"ticket.agent", "admin.tag"} & who.permissions:
            raise Refused(403, "Not authorized")
        records = self._records
        ticket = work.existing(records, str(raw.get("o_id") or ""))
        item, tags = str(raw.get("item") or ""), row_of(ticket).tags
        kept = tuple(tag for tag in tags if tag != item)
        work.set_tags(ticket, (*kept, item) if add else kept, records, self._clock())
        return answers.ok(True, 201 if add else 200)

    # -------------------------------------------------------------------------------------------------------- reading

    def _read(self, parts: list[str], raw: JsonObject, who: Who) -> Reply:
        settings, records = self.settings, self._records
        if parts == ["users", "me"]:
            return answers.ok({"id": who.user, "login": who.agent.login, "firstname": who.agent.name, "active": True})
        if parts == ["groups"]:
            if not {"admin.group", "admin"} & who.permissions:
                raise Refused(403, "Not authorized (token)!")
            return answers.ok(
                [{"id": number, "name": name, "active": True} for number, name in settings.groups.items()]
            )
        if not {"ticket.agent", "admin"} & who.permissions:
            raise Refused(403, "Not authorized (token)!")
        match parts:
            case ["ticket_states"]:
                return answers.ok([_state(number, settings) for number in settings.states])
            case ["ticket_priorities"]:
                return answers.ok(
                    [{"id": number, "name": name, "active": True} for number, name in settings.priorities.items()]
                )
            case ["tickets", "search"]:
                return self._search(raw, who)
            case ["tickets"]:
                limit = min(100, int(str(raw.get("per_page") or raw.get("limit") or 100)))
                found = sorted(self._store.tickets(NAME), key=lambda ticket: ticket.id)[:limit]
                return answers.ok([records.shown(ticket, expand=_flag(raw, "expand")) for ticket in found])
            case ["tickets", number]:
                self._reads(who)
                return self._shown(work.existing(records, number).id, raw, 200)
            case ["ticket_articles", "by_ticket", number]:
                self._reads(who)
                ticket = work.existing(records, number)
                return answers.ok([records.article(ticket.id, entry) for entry in records.entries(ticket.id)])
            case ["tags"]:
                return answers.ok({"tags": list(row_of(work.existing(records, str(raw.get("o_id")))).tags)})
            case ["links"]:
                return self._links(work.existing(records, str(raw.get("link_object_value"))))
            case ["ticket_history", number]:
                return self._history(work.existing(records, number), who)
            case _:
                raise Refused(404, "No route matches")

    @staticmethod
    def _reads(who: Who) -> None:
        if not who.may("read"):
            raise Refused(403, "Not authorized")

    def _search(self, raw: JsonObject, who: Who) -> Reply:
        """One shape is shared by all releases: `expand=true` and no count."""
        records = self._records
        found = search(records, asked(raw), self._clock()) if who.may("read") else []
        expand, newer = _flag(raw, "expand"), self.settings.release == "newer"
        shown: list[JsonValue] = [records.shown(ticket, expand=expand) for ticket in found]
        if newer and _flag(raw, "only_total_count"):
            return answers.ok({"total_count": len(found)})
        if newer and _flag(raw, "with_total_count"):
            return answers.ok({"records": shown, "total_count": len(found)})
        if expand or (newer and not _flag(raw, "full")):
            return answers.ok(shown)
        ids: list[JsonValue] = [ticket.id for ticket in found]
        assets: JsonObject = {"Ticket": {str(ticket.id): records.shown(ticket, expand=False) for ticket in found}}
        if newer:
            return answers.ok({"record_ids": ids, "assets": assets, "total_count": len(ids)})
        return answers.ok({"tickets": ids, "tickets_count": len(ids), "assets": assets})

    def _shown(self, number: int, raw: JsonObject, status: int, *, written: bool = False) -> Reply:
        records = self._records
        ticket = records.ticket(number)
        if ticket is None:
            raise answers.missing("Ticket", str(number))
        return answers.ok(records.shown(ticket, expand=_flag(raw, "expand"), written=written), status)

    def _links(self, ticket: Ticket) -> Reply:
        links: list[JsonValue] = []
        row = row_of(ticket)
        if row.merged_into:
            links.append({"link_type": "parent", "link_object": "Ticket", "link_object_value": row.merged_into})
        links += [
            {"link_type": "child", "link_object": "Ticket", "link_object_value": one.id}
            for one in self._store.tickets(NAME)
            if row_of(one).merged_into == ticket.id
        ]
        return answers.ok({"links": links, "assets": {}})

    def _history(self, ticket: Ticket, who: Who) -> Reply:
        history: list[JsonValue] = []
        users = {agent.login: number for number, agent in self.settings.agents.items()}
        for number, event in enumerate(self._store.threads([ticket.id])[ticket.id].events, 1):
            attribute, _, kind = event.kind.partition(" ")
            change, _, login = event.detail.rpartition("by ")
            change = change.removesuffix(", ")
            by = users.get(login, who.user)
            before, _, after = change.partition(" -> ")
            changed = kind == "changed"
            history.append(
                {
                    "id": number,
                    "o_id": ticket.id,
                    "object": "Ticket",
                    "type": "updated" if changed else event.kind,
                    "attribute": attribute if changed else None,
                    "value_from": before if changed else None,
                    "value_to": after if changed else None,
                    "created_by_id": by,
                    "created_at": iso(event.created),
                }
            )
        return answers.ok(
            {
                "history": history,
                "assets": {"User": {str(number): {"id": number, "login": login} for login, number in users.items()}},
            }
        )


def _state(number: int, settings: ZammadSandboxSettings) -> JsonObject:
    row = settings.states[number]
    return {
        "id": number,
        "name": row.name,
        "state_type_id": row.type,
        "state_type": _KINDS.get(row.type, "open"),
        "next_state_id": row.next,
        "active": row.active,
        "default_create": number == settings.default_create,
        "default_follow_up": number == settings.default_follow_up,
    }


def _parameters(request: Request) -> JsonObject:
    """Query and body together; the body wins."""
    values: JsonObject = {name: given[-1] for name, given in parse_qs(request.query, keep_blank_values=True).items()}
    if not request.body:
        return values
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise Refused(400, "Error occurred while parsing request parameters") from None
    return {**values, **body} if isinstance(body, dict) else values


def _flag(raw: JsonObject, name: str) -> bool:
    return str(raw.get(name)).lower() in {"true", "1"}


def _subject(request: Request) -> str:
    """The title of a request, for switches that look at it; empty if there is none."""
    try:
        value = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(value, dict):
        return ""
    article = value.get("article")
    return str(
        value.get("title") or value.get("subject") or (article.get("subject") if isinstance(article, dict) else "")
    )


def _at_the_door(request: Request, fault: Fault, *, newer: bool) -> Reply | Drop:
    seconds = str(round(fault.wait))
    match fault.fault:
        case FaultKind.REFUSE:
            return Drop.RESET
        case FaultKind.RATE_LIMIT:
            return answers.web_server(429, ("Retry-After", seconds))
        case FaultKind.AUTH_BROKEN:
            return answers.refusal(request, Refused(401, "Can't find User for Token"), newer=newer)
        case FaultKind.DATABASE_DOWN:
            return answers.refusal(request, answers.database_error(), newer=newer)
        case FaultKind.REDIRECT:
            return answers.web_server(302, ("Location", "https://login.example/"))
        case FaultKind.MAINTENANCE:
            return answers.refusal(request, Refused(403, "Maintenance mode enabled!"), newer=newer)
        case _:
            return answers.web_server(fault.status)
