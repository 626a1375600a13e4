"""How the double writes: one part after the other, each committed on its own, so that a failure leaves the ones before it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gateway.helpdesks.otobo.sandbox_answers import Fault, Refused
from gateway.helpdesks.otobo.sandbox_check import Checked, Checks
from gateway.helpdesks.otobo.sandbox_settings import ANNA, OtoboSandboxSettings
from gateway.helpdesks.otobo.sandbox_show import DYNAMIC, local_time, truth
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import NewAttachment, NewEntry, NewTicket, Ticket
from gateway.sandbox.store import Store

MOST_TEXT = 65_535
"""Octets that a text field's column takes."""
SYSTEM_ID = "10"


class Writer:
    """Writes for one caller."""

    def __init__(
        self, store: Store, settings: OtoboSandboxSettings, helpdesk: str, login: str, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._settings = settings
        self._helpdesk = helpdesk
        self._login = login
        self._clock = clock
        self.dies_at = ""
        """The table that cannot be written any more: `ticket`, `thread_entry`, `attachment`."""

    async def create(self, checked: Checked) -> tuple[int, list[int]]:
        """(ticket, articles); between the parts others can see what is there."""
        values = checked.ticket
        queue = str(values["Queue"])
        if (
            queue not in self._settings.queues or self.dies_at == "ticket"
        ):  # a queue in the wrong case passes the checks
            raise Fault("Ticket could not be created, please contact the system administrator")
        ticket = self._row(values, queue)
        for name, value in checked.dynamic:
            self._set_dynamic(ticket, name, value)
        articles = []
        for article in checked.articles:
            await asyncio.sleep(self._settings.latency)
            articles.append(self._article(ticket, article, new=True))
            await self._files(articles[-1], checked.files)
        return ticket, articles

    async def update(self, ticket: Ticket, checked: Checked) -> list[int]:
        """The articles that were added. Title, queue and lock change before the state is looked at."""
        values = checked.ticket
        if "Title" in values:
            self.update_title(ticket, str(values["Title"])[: self._settings.title_length])
        if "Queue" in values:
            self._move(ticket, str(values["Queue"]))
        if "Lock" in values:
            self.lock(ticket, str(values["Lock"]))
        if "Type" in values:
            self._change(ticket.id, topic=str(values["Type"]))
        if "State" in values:
            self.state(ticket, str(values["State"]), values.get("PendingTime"))
        for name, key in (
            ("Service", "service"),
            ("SLA", "sla"),
            ("CustomerID", "customer_id"),
            ("Responsible", "responsible"),
        ):
            if name in values:
                self._field(ticket.id, key, str(values[name]))
        if "CustomerUser" in values:
            login, record = Checks("TicketUpdate", self._settings).customer(values["CustomerUser"])
            self._change(ticket.id, address=login, requester=record.name if record is not None else login)
        if "Priority" in values:
            self._event(
                ticket.id,
                "PriorityUpdate",
                f"%%{ticket.priority}%%{self._priority(ticket.priority)}%%{values['Priority']}%%{self._priority(str(values['Priority']))}",
            )
            self._change(ticket.id, priority=str(values["Priority"]))
        if "Owner" in values:
            self._store.set_assignee(ticket.id, str(values["Owner"]))
        articles = [self._article(ticket.id, article, new=False) for article in checked.articles]
        for name, value in checked.dynamic:
            self._set_dynamic(ticket.id, name, value)
        if articles:
            await self._files(articles[0], checked.files)
        return articles

    # ---------------------------------------------------------------------------------------------------- the ticket

    def _row(self, values: Mapping[str, JsonValue], queue: str) -> int:
        now = self._clock()
        login, record = Checks("TicketCreate", self._settings).customer(values["CustomerUser"])
        owner = str(values.get("Owner") or self._login)
        owner = owner if owner in self._settings.agents else "root@localhost"
        lock = str(values.get("Lock") or ("lock" if "Owner" in values else "unlock"))
        state = str(values["State"])
        fields = {"lock": lock, "customer_id": str(values.get("CustomerID") or (record.company if record else ""))}
        fields |= {
            key: str(values[name])
            for name, key in (("Service", "service"), ("SLA", "sla"), ("Responsible", "responsible"))
            if name in values
        }
        pending = _pending_until(values.get("PendingTime"), now)
        if pending and self._settings.states[state].startswith("pending"):
            fields["pending"] = str(pending)
        with self._store.transaction():
            person = self._store.person(self._helpdesk, login) or self._store.add_person(
                self._helpdesk, login, record.name if record is not None else login
            )
            number = self._number(now)
            ticket = self._store.add_ticket(
                self._helpdesk,
                NewTicket(
                    number=number,
                    subject=str(values["Title"])[: self._settings.title_length],
                    owner=person.id,
                    requester=person.name,
                    address=login,
                    source="GenericInterface",
                    status=state,
                    priority=str(values["Priority"]),
                    topic=str(values.get("Type") or self._settings.types[0]),
                    department=queue,
                    assignee=owner,
                    fields={key: value for key, value in fields.items() if value},
                ),
                now,
            )
            self._event(ticket, "NewTicket", f"%%{number}%%{queue}%%{values['Priority']}%%{state}%%{ticket}")
            self._event(ticket, "CustomerUpdate", f"%%CustomerID={fields['customer_id']};CustomerUser={login};")
        return ticket

    def _number(self, now: float) -> str:
        """Date, system, counter and a check digit: digits weighted 1 and 2 in turn, filled up to ten."""
        counter = self._store.highest_id() + 1
        while True:
            text = f"{datetime.fromtimestamp(now, UTC):%Y%m%d}{SYSTEM_ID}{counter - 1:05d}"
            total = sum(int(digit) * (1 + index % 2) for index, digit in enumerate(text))
            number = f"{text}{10 - total % 10 if total % 10 else 1}"
            if not self._store.number_taken(self._helpdesk, number):
                return number
            counter += 1

    def update_title(self, ticket: Ticket, title: str) -> None:
        """Change the title."""
        self._event(ticket.id, "TitleUpdate", f"%%{ticket.subject}%%{title}")
        self._change(ticket.id, subject=title)

    def _move(self, ticket: Ticket, queue: str) -> None:
        agent = self._settings.agents.get(self._login)
        checks = Checks("TicketUpdate", self._settings)
        if queue not in self._settings.queues or not checks.may(agent, queue, "move_into"):
            raise Fault("Ticket queue could not be updated, please contact system administrator!")
        names = list(self._settings.queues)
        ids = [names.index(name) + 1 if name in names else 0 for name in (queue, ticket.department)]
        self._event(ticket.id, "Move", f"%%{queue}%%{ids[0]}%%{ticket.department}%%{ids[1]}")
        self._change(ticket.id, department=queue)

    def lock(self, ticket: Ticket, lock: str) -> None:
        """Lock or unlock; unlocking takes the ticket from its owner."""
        before = ticket.fields.get("lock", "unlock")
        if before == lock:
            return
        self._event(ticket.id, lock.capitalize(), f"%%{lock}")
        self._field(ticket.id, "lock", lock)
        if lock == "unlock" and self._settings.owner_reset_on_unlock:
            self._store.set_assignee(ticket.id, "root@localhost")
            self._event(ticket.id, "OwnerUpdate", "%%root@localhost%%1")

    def state(self, ticket: Ticket, state: str, pending: JsonValue) -> None:
        """Change the state; a closed one unlocks."""
        kind = self._settings.states.get(state, "")
        until = _pending_until(pending, self._clock())
        if kind.startswith("pending") and not until:
            words = "Can't set a ticket on a pending state without pendig time!"
            raise Refused("TicketUpdate", "MissingParameter", words, prefix=False)
        if until:
            self._event(ticket.id, "SetPendingTime", f"%%{local_time(until)[:-3]}")
        if ticket.status != state:
            self._event(ticket.id, "StateUpdate", f"%%{ticket.status}%%{state}%%")
            self._change(ticket.id, status=state)
        self._field(ticket.id, "pending", str(until) if until else "")
        if kind == "closed":
            self.lock(ticket, "unlock")

    def merge(self, child: Ticket, main: Ticket) -> bool:
        """What an agent does: the child is closed for good, and only its history says where it went."""
        self._event(child.id, "Merged", f"%%{child.number}%%{child.id}%%{main.number}%%{main.id}")
        self._event(main.id, "Merged", f"%%{child.number}%%{child.id}%%{main.number}%%{main.id}")
        self._change(child.id, status="merged")
        return True

    # ---------------------------------------------------------------------------------------- articles, fields, files

    def _article(self, ticket: int, given: JsonObject, *, new: bool) -> int:
        if self.dies_at == "thread_entry":
            raise Fault("Article could not be created, please contact the system administrator")
        found = self._store.ticket(ticket)
        assert found is not None
        visible = truth(given, "IsVisibleForCustomer", default=True)
        sender = str(given["SenderType"])
        html = str(given["ContentType"]).startswith("text/html")
        agent = self._settings.agents.get(self._login)
        record = self._settings.customers.get(found.address)
        customer = f'"{record.name}" <{record.email}>' if record is not None else found.address
        poster = str(given.get("From") or (customer if new or agent is None else agent.name))
        details = {
            "SenderType": sender,
            "IsVisibleForCustomer": str(int(visible)),
            "CommunicationChannel": str(given["CommunicationChannel"]),
            "ContentType": str(given["ContentType"]),
            "To": found.department if new else str(given.get("To") or ""),
            "Cc": "" if new else str(given.get("Cc") or ""),
        }
        body = str(given["Body"]).replace("\r\n", "\n").replace("\r", "\n").strip()
        kind = "note" if not visible else "message" if sender == "customer" else "response"
        original = (NewAttachment("file-2", "text/html", body.encode()),) if html else ()
        with self._store.transaction():
            entry = self._store.add_entry(
                ticket,
                NewEntry(
                    kind,
                    poster,
                    body,
                    "html" if html else "text",
                    str(given["Subject"]).replace("\n", " ").strip(),
                    attachments=original,
                    details=details,
                ),
                self._clock(),
            )
            default = ("NewTicket", "%%GenericInterface Create") if new else ("AddNote", "%%GenericInterface Note")
            words = str(given.get("HistoryComment") or default[1])
            self._event(ticket, str(given.get("HistoryType") or default[0]), f"{words} (article {entry})")
            self._event(ticket, "Misc", "Reset of unlock time.")
            if new:
                owner = self._settings.agents.get(found.assignee)
                self._event(ticket, "OwnerUpdate", f"%%{found.assignee}%%{owner.id if owner else 1}")
            self._mails(found, given, customer, new=new)
        return entry

    def _mails(self, ticket: Ticket, given: Mapping[str, JsonValue], customer: str, *, new: bool) -> None:
        wanted = str(given.get("AutoResponseType") or ("auto reply" if new else "auto follow up"))
        if wanted in self._settings.auto_replies.get(ticket.department, ()):
            self._store.add_mail(ticket.id, customer, f"[Ticket#{ticket.number}] {wanted}", "", self._clock())
            answer = NewEntry(
                "response", "Helpdesk", f"This is an {wanted}.", title=wanted, details={"SenderType": "system"}
            )
            self._store.add_entry(ticket.id, answer, self._clock())
        if self._helpdesk == "znuny" and truth(given, "ArticleSend"):
            self._store.add_mail(ticket.id, str(given.get("To") or customer), str(given["Subject"]), "", self._clock())

    async def _files(self, entry: int, files: tuple[NewAttachment, ...]) -> None:
        for file in files:
            await asyncio.sleep(self._settings.latency)
            if self.dies_at == "attachment":
                raise Fault("Attachment could not be created, please contact the system administrator")
            with self._store.transaction():
                self._store.add_files(entry, [file])

    def _set_dynamic(self, ticket: int, name: str, value: JsonValue) -> None:
        """A list in a text field, or a value that is too long, passes the checks and fails here."""
        kind = self._settings.dynamic_fields[name].kind
        if kind == "text" and (isinstance(value, list) or len(str(value).encode()) > MOST_TEXT):
            raise Fault(f"Dynamic Field {name} could not be set, please contact the system administrator")
        several = kind == "multiselect"
        text = json.dumps(value if isinstance(value, list) else [value]) if several and value else str(value).strip()
        found = self._store.ticket(ticket)
        assert found is not None
        before = found.fields.get(f"{DYNAMIC}{name}", "")
        self._event(ticket, "TicketDynamicFieldUpdate", f"%%FieldName%%{name}%%Value%%{text}%%OldValue%%{before}")
        self._field(ticket, f"{DYNAMIC}{name}", text)

    def _field(self, ticket: int, key: str, value: str) -> None:
        found = self._store.ticket(ticket)
        assert found is not None
        fields = {**found.fields, key: value}
        self._store.set_fields(ticket, {name: text for name, text in fields.items() if text}, self._clock())

    def _change(self, ticket: int, **columns: str) -> None:
        self._store.change_ticket(ticket, self._clock(), **columns)

    def answer(self, ticket: Ticket) -> None:
        """An agent writes a public note."""
        details = {"SenderType": "agent", "IsVisibleForCustomer": "1", "CommunicationChannel": "Internal"}
        details["ContentType"] = "text/plain; charset=utf-8"
        entry = NewEntry("response", "Anna Agent", "I am looking into it.", title="Note", details=details)
        number = self._store.add_entry(ticket.id, entry, self._clock())
        self._event(ticket.id, "AddNote", f"%%Note (article {number})")

    def _event(self, ticket: int, kind: str, detail: str) -> None:
        """What a person did says so; all else is the gateway's."""
        detail = f"{detail} (by {ANNA})" if self._login == ANNA else detail
        self._store.add_event(ticket, kind, detail, self._clock())

    def _priority(self, name: str) -> int:
        return self._settings.priorities.index(name) + 1 if name in self._settings.priorities else 0


def _pending_until(value: JsonValue, now: float) -> float:
    """Seconds since 1970; 0 where the time is missing or not whole."""
    if not isinstance(value, dict):
        return 0.0
    if "Diff" in value:
        return now + 60.0 * int(str(value["Diff"])) if str(value["Diff"]) != "0" else 0.0
    try:
        year, month, day, hour, minute = (int(str(value[name])) for name in ("Year", "Month", "Day", "Hour", "Minute"))
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    except (KeyError, ValueError):
        return 0.0


def title_of(body: bytes) -> str:
    """The title in a request's body, for faults that look at it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    ticket = found.get("Ticket") if isinstance(found, dict) else None
    article = found.get("Article") if isinstance(found, dict) else None
    title = ticket.get("Title") if isinstance(ticket, dict) else None
    return str(title or (article.get("Subject") if isinstance(article, dict) else "") or "")
