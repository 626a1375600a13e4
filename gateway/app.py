"""Builds a gateway from a configuration: start, stop, reload. Embeddable: tests start one in their own loop."""

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.config import Config
from gateway.config.loader import load_file
from gateway.config.models import HttpHelpdeskSettings, HttpServer
from gateway.config.problems import ConfigErrors, Level
from gateway.delivery.breaker import BreakerState
from gateway.delivery.worker import Delivery, FirstCall, Step
from gateway.helpdesks.http import HelpdeskHttp
from gateway.helpdesks.standing import Watched
from gateway.journal.locate import journal_path
from gateway.journal.message_key import is_open_to_others, key_path, read_or_make_keys
from gateway.journal.protocol import Journal, JournalError, Noticed, Processed, Timer
from gateway.journal.sqlite import open_sqlite
from gateway.mailauth import SenderChecks
from gateway.model.action import UNFINISHED, Action, ActionKind, ActionStatus, NewAction
from gateway.model.ids import new_id
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.model.reasons import HELD, Reason
from gateway.model.receipt import Accepted, NewReceipt, Receipt
from gateway.model.silence import Silence
from gateway.observability.health import Health, journal_check
from gateway.observability.logs import configure_logging, log_transition
from gateway.observability.metrics import Metrics
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.quarantine import BEGINS
from gateway.receive.admission import Admission, free_bytes
from gateway.receive.control import control_app, control_path
from gateway.receive.http import Front, build_app
from gateway.receive.notices import Bell, Notices
from gateway.receive.pipe import PipeApp, PipeDoor
from gateway.receive.serve import CannotListen, HttpServers
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.server import MailServer, hostname_of
from gateway.receive.spool import Spool, prepare, socket_path, spool_path
from gateway.receive.whole import Whole
from gateway.rendering.brake import FOLDER, brake_words
from gateway.routing.silences import compile_silences
from gateway.ruleset import Ruleset, build_ruleset, configured_keys
from gateway.watching import Watch

GRACE = 25.0
"""Seconds that a stop waits for calls in flight."""
PRUNE_EVERY = 600.0
"""Seconds between looks for receipts that are old enough to be deleted."""
PRUNE_AT_ONCE = 100
"""Receipts deleted in one transaction."""


_BREAKER: Mapping[str, Literal["closed", "half_open", "open"]] = {
    "breaker_open": "open",
    "breaker_ramping": "half_open",
    "breaker_closed": "closed",
}


class Gateway:
    """One running gateway.

    `start` brings everything up or raises; afterwards `failure` is a future that ends with the error that must end the
    process (a broken journal, a bug in a loop), if there ever is one.
    """

    def __init__(
        self,
        config: Config,
        *,
        mounts: Mapping[str, ASGIApp] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``mounts`` are further applications by path prefix, such as the sandbox under ``/sandbox``.

        ``clock`` gives the instant everywhere a decision needs one; tests make it stand still or jump.
        """
        self.config = config
        self.rules: Ruleset = build_ruleset(config)
        self.metrics = Metrics(config.sources, config.helpdesks)
        self._mounts = dict(mounts or {})
        self._clock = clock
        self._observer = _Observer(self)
        self._tasks: list[asyncio.Task[None]] = []
        self._deliveries: dict[str, tuple[Delivery, HelpdeskHttp, asyncio.Task[None]]] = {}
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}
        self._door = _Door()
        self._keys: tuple[bytes, ...] = ()
        self.reloading = asyncio.Lock()

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [*self._servers.addresses, *(address for door in self._mail_doors for address in door.addresses)]

    async def start(self) -> None:
        """Open the journal, take up what is unfinished, and open the doors.

        Raises:
            JournalError: the journal cannot be opened.
            CannotListen: an address or a certificate cannot be used.
        """
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        path = journal_path(self.config)
        settings = self.config.server.journal
        self.journal: Journal = await open_sqlite(path, min_free=settings.min_free, run=new_id())
        self.reader = self.journal.reader()
        try:
            self._keys = self._message_id_keys()
        except JournalError:
            await self.journal.close()
            raise
        silencers = compile_silences(await self.reader.silences(), self._clock())
        self.rules = replace(build_ruleset(self.config, self._keys), silencers=silencers)
        self._sender_checks = SenderChecks(self.config.server.dns)
        self.pipeline = Pipeline(
            self.journal,
            self.rules,
            self._observer,
            wake_delivery=self.wake_delivery,
            first_call=self._first_call,
            examine=self._sender_checks.verify,
            clock=self._clock,
        )
        self._admission = Admission(
            min_free=settings.min_free,
            max_waiting=settings.max_waiting,
            max_in_flight=self.config.server.http.max_in_flight,
            free=free_bytes(path.parent),
        )
        self._health = Health({"journal": journal_check(self.journal, self._clock)}, notes=self._notes)
        self._operations = Operations(
            self.journal,
            lambda: self.rules,
            self.pipeline.accept,
            self._wake_all,
            silenced=self._silence,
            desks=self._desk,
        )
        self._build_door()
        self._servers = HttpServers(self._door, self.config.server.http, short_way=self._door.take)
        self._control = HttpServers(
            control_app(self._operations, self),
            HttpServer(listen=f"unix:{control_path(path)}"),
        )
        self._build_pipe(spool_path(self.config))
        self._mail_doors = [
            MailServer(
                door,
                self._mailroom(self.config, hostname_of(door)),
                admission=self._admission,
                metrics=self.metrics,
                on_broken=self._fail,
            )
            for door in (self.config.server.smtp, self.config.server.lmtp)
            if door is not None
        ]
        try:
            await self._servers.start()
            await self._control.start()
            await self._start_pipe()
            for mail_door in self._mail_doors:
                await mail_door.start()
        except (CannotListen, ValueError):
            for mail_door in self._mail_doors:
                await mail_door.stop(0.0)
            await self._pipe.stop(0.0)
            await self._control.stop(0.0)
            await self._servers.stop(0.0)
            await self.journal.close()
            raise
        for name in self.config.helpdesks:
            self._deliver_to(name)
        self._run(self.pipeline.run(), "pipeline")
        self._run(self.pipeline.timers.run(), "timers")
        self._run(self._admission.watch(self.reader), "admission")
        self._run(self._spool.run(), "spool")
        self._run(self._maintain(), "maintenance")

    async def stop(self, grace: float = GRACE) -> None:
        """Take nothing more, finish what is in flight for at most ``grace`` seconds, leave the rest for the next start."""
        # Messages that are coming in by mail are taken to their end: a mail server asks again only after minutes.
        await asyncio.gather(*(door.stop(min(grace, 5.0)) for door in self._mail_doors))
        self._admission.stopping = True
        self.pipeline.close()
        await self._servers.stop(min(grace, 10.0))
        await self._pipe.stop(min(grace, 10.0))
        await self._control.stop(1.0)
        await self.pipeline.stop()
        self._sender_checks.close()
        for name in list(self._watches):
            self._unwatch(name)
        await asyncio.gather(*(delivery.stop(grace) for delivery, _, _ in self._deliveries.values()))
        tasks = [*self._tasks, *(task for _, _, task in self._deliveries.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, http, _ in self._deliveries.values():
            await http.aclose()
        await self.journal.close()

    async def reload(self, config: Config) -> list[str]:
        """Put another configuration in force; gives back why it cannot be, or nothing.

        Doors that listen elsewhere, another journal or another sandbox need a restart. A helpdesk with unfinished work
        must not go away.
        """
        counts = await self.reader.counts()
        refused = [
            f"helpdesk {name} has {number} unfinished actions; it cannot be taken out now"
            for name, number in counts.actions_waiting.items()
            if number and name in self.config.helpdesks and name not in config.helpdesks
        ]
        if config.server != self.config.server:
            refused.append("a change of the server section needs a restart")
        if refused:
            return refused
        rules = replace(build_ruleset(config, self._keys), silencers=self.rules.silencers)
        before, self.config, self.rules = self.config, config, rules
        self.pipeline.rules = rules
        for name in before.helpdesks:
            if before.helpdesks[name] != config.helpdesks.get(name):
                self._unwatch(name)
                delivery, http, task = self._deliveries.pop(name)
                await delivery.stop(GRACE)
                task.cancel()
                await http.aclose()
        for name in config.helpdesks:
            if name not in self._deliveries:
                self._deliver_to(name)
        self.metrics = Metrics(config.sources, config.helpdesks)
        for name, (delivery, _, _) in self._deliveries.items():
            self.metrics.paused(name, paused=delivery.pauses.stands())
        self._build_door()
        configure_logging(config.server.log.format, config.server.log.level, config.secrets)
        self._servers.reload_certificate()
        doors = [door for door in (config.server.smtp, config.server.lmtp) if door is not None]
        for mail_door, settings in zip(self._mail_doors, doors, strict=True):  # a changed `server` was refused above
            mail_door.replace(self._mailroom(config, hostname_of(settings)))
            mail_door.reload_certificate()
        return []

    # ------------------------------------------------------------------------------------------- what the socket tells

    def status(self) -> dict[str, JsonValue]:
        """Figures and states of now, for the control socket."""
        helpdesks: dict[str, JsonValue] = {
            name: {
                "breaker": delivery.breaker.value,
                "paused": delivery.pauses.told,
                "paused_by": delivery.pauses.by,
                "braked": delivery.brake.holds,
                "shadow": self.rules.shows_only(name),
            }
            for name, (delivery, _, _) in self._deliveries.items()
        }
        addresses: list[JsonValue] = list(self.addresses)
        return {
            "addresses": addresses,
            "digest": self.config.digest,
            "helpdesks": helpdesks,
            "spool": self._spool.status(),
        }

    def _notes(self) -> dict[str, str]:
        """What is not as usual with helpdesks; no reason to send alarms elsewhere."""
        notes: dict[str, str] = {}
        for name, (delivery, _, _) in self._deliveries.items():
            if self.rules.shows_only(name):
                notes[f"helpdesk {name}"] = "in shadow mode: nothing is written to it"
            if delivery.brake.holds:
                notes[f"helpdesk {name}"] = f"{delivery.brake.waiting} new tickets are held back (limits.creates)"
            if delivery.pauses.stands():
                notes[f"helpdesk {name}"] = f"paused {delivery.pauses.told}"
            elif delivery.breaker is not BreakerState.CLOSED:
                notes[f"helpdesk {name}"] = f"fails again and again (breaker {delivery.breaker.value})"
        return notes

    def now(self) -> float:
        """The instant."""
        return self._clock()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _message_id_keys(self) -> tuple[bytes, ...]:
        """The keys beside the journal, made where there are none; not asked where the configuration names its own."""
        if configured_keys(self.config):
            return ()
        path = key_path(journal_path(self.config))
        keys = read_or_make_keys(path)
        if is_open_to_others(path):
            structlog.get_logger().warning(
                "the key of Message-IDs can be read by others", file=str(path), hint="chmod 600"
            )
        return keys

    def _silence(self, silences: Sequence[Silence]) -> None:
        """Put silences in force."""
        self.rules = replace(self.rules, silencers=compile_silences(silences, self._clock()))
        self.pipeline.rules = self.rules

    def _mailroom(self, config: Config, hostname: str) -> Mailroom:
        return Mailroom(config.sources, self.pipeline.accept_all, hostname=hostname, clock=self._clock)

    def _build_pipe(self, folder: Path) -> None:
        door = PipeDoor(self._accept_piped, lambda: self.config.sources, self.config.server, clock=self._clock)
        self._spool = Spool(
            folder,
            door,
            self.journal,
            open_=lambda: self._admission.refusal() is None,
            looked=lambda waiting, stuck: self.metrics.spool(waiting, stuck),  # noqa: PLW0108 - a reload replaces them
            clock=self._clock,
        )
        app = PipeApp(door, self._admission, ready=lambda: self._spool.ready, on_broken=self._fail)
        self._pipe = HttpServers(app, HttpServer(listen=f"unix:{socket_path(folder)}"))

    async def _accept_piped(self, new: NewReceipt) -> Accepted:
        began = time.monotonic()
        accepted = await self.pipeline.accept(new)
        if accepted.duplicate_of is None:
            self.metrics.accepted(new.source, time.monotonic() - began)
        else:
            self.metrics.duplicate(new.source)
        return accepted

    async def _start_pipe(self) -> None:
        folder = spool_path(self.config)
        try:
            prepare(folder)
        except OSError as error:
            raise CannotListen(f"cannot use the spool {folder}: {error.strerror}") from error
        await self._pipe.start()

    def _build_door(self) -> None:
        self._door.app = build_app(
            sources=self.config.sources,
            kinds=self.rules.kinds,
            server=self.config.server,
            intake=self.pipeline,
            reader=self.reader,
            admission=self._admission,
            metrics=self.metrics,
            health=self._health,
            mounts=self._mounts,
            now=self._clock,
            on_broken=self._fail,
            keeper=self._operations,
            notices=Notices(
                self._bells, self._admission, self.metrics.notice, timeout=self.config.server.http.body_timeout
            ),
        )

    def _deliver_to(self, name: str) -> None:
        settings = self.config.helpdesks[name]
        http = HelpdeskHttp(settings)
        delivery = Delivery(
            self.rules.connectors[name],
            settings,
            self.journal,
            http,
            self._observer,
            words=partial(brake_words, self.config.templates.get(FOLDER, {})),
            clock=self._clock,
            reachable=lambda other: other in self._deliveries and not self.rules.shows_only(other),
        )
        task = self._run(delivery.run(), f"delivery to {name}", keep=False)
        self._deliveries[name] = (delivery, http, task)
        self._watch(name, delivery, http)

    def _watch(self, name: str, delivery: Delivery, http: HelpdeskHttp) -> None:
        """Watch the tickets of a helpdesk, if it is to be watched."""
        settings, connector = self.config.helpdesks[name], self.rules.connectors[name]
        if not isinstance(settings, HttpHelpdeskSettings) or not isinstance(connector, Watched):
            return
        if settings.notify is None and settings.poll is None:
            return
        watch = Watch(
            name, connector, settings, self.journal, http, delivery, self._observer.noticed, clock=self._clock
        )
        self._watches[name] = (watch, self._run(watch.run(), f"watch of {name}", keep=False))

    def _unwatch(self, name: str) -> None:
        if name in self._watches:
            watch, task = self._watches.pop(name)
            watch.stop()
            task.cancel()

    def _bells(self) -> Mapping[str, Bell]:
        """What helpdesks may ring with their webhooks."""
        found: dict[str, Bell] = {}
        for name, (watch, _) in self._watches.items():
            settings = self.config.helpdesks[name]
            if isinstance(settings, HttpHelpdeskSettings) and settings.notify is not None:
                given = settings.notify.secret
                secrets = given if isinstance(given, list) else [given]
                found[name] = Bell(tuple(one.reveal().encode() for one in secrets), watch.hint)
        return found

    def _run(self, work: Coroutine[None, None, None], what: str, *, keep: bool = True) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=what)
        task.add_done_callback(self._ended)
        if keep:
            self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error(f"{task.get_name()} failed", exc_info=error)
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    def _desk(self, name: str) -> Delivery | None:
        return self._deliveries[name][0] if name in self._deliveries else None

    def wake_delivery(self, helpdesks: Iterable[str]) -> None:
        """There may be something to do for these helpdesks."""
        for name in helpdesks:
            if name in self._deliveries:
                self._deliveries[name][0].wake()

    def _first_call(self, action: NewAction, receipt: str, contents: Sequence[bytes]) -> FirstCall | None:
        if action.helpdesk not in self._deliveries:
            return None
        return self._deliveries[action.helpdesk][0].first_call(action, receipt, contents)

    def _wake_all(self) -> None:
        self.pipeline.wake()
        self.wake_delivery(self._deliveries)

    async def _maintain(self) -> None:
        """Delete what is old enough, a little at a time."""
        settings = self.config.server.journal
        while True:
            deleted = PRUNE_AT_ONCE
            while deleted >= PRUNE_AT_ONCE:
                try:
                    deleted = await self.journal.prune(
                        now=self._clock(), keep=settings.keep, keep_links=settings.keep_links, limit=PRUNE_AT_ONCE
                    )
                except JournalError as error:
                    structlog.get_logger().warning("old receipts were not deleted", detail=str(error))
                    deleted = 0
                await asyncio.sleep(0.2)
            await asyncio.sleep(PRUNE_EVERY)


class _Door:
    """The application in force; a reload puts another one in its place while requests of the old one go on."""

    app: Front

    def take(self, request: Whole) -> bool:
        return self.app.take(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class _Observer:
    """Tells log, metrics and those who wait for tickets what happens."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def processed(self, receipt: Receipt, processed: Processed) -> None:
        metrics = self._gateway.metrics
        for record in processed.events:
            metrics.event(receipt.source, record.event.kind.value)
            metrics.decision(record.reason.value)
            log_transition(
                "event",
                reason=record.reason,
                receipt=receipt.id,
                event=record.index,
                source=receipt.source,
                incident=record.incident,
                kind=record.event.kind.value,
                route=record.route,
                title=record.event.title[:200],
            )
        for line in processed.history:
            if line.reason is Reason.STORM_BEGAN:
                metrics.decision(line.reason.value)
                structlog.get_logger().warning(
                    "a storm began",
                    reason=line.reason.value,
                    receipt=receipt.id,
                    incident=line.incident,
                    detail=line.detail,
                )
        if processed.dead in HELD:
            begins = any(line.what == BEGINS for line in processed.history)
            (structlog.get_logger().warning if begins else structlog.get_logger().info)(
                "quarantine begins" if begins and processed.dead is Reason.QUARANTINED else "held back",
                reason=processed.dead.value,
                receipt=receipt.id,
                source=receipt.source,
                detail=processed.detail,
            )
        elif processed.dead is not None:
            structlog.get_logger().error(
                "dead letter",
                reason=processed.dead.value,
                receipt=receipt.id,
                source=receipt.source,
                detail=processed.detail,
            )

    def failed(self, receipt: Receipt, stage: str, error: BaseException) -> None:
        structlog.get_logger().error(
            "processing failed",
            stage=stage,
            receipt=receipt.id,
            source=receipt.source,
            tries=receipt.tries,
            exc_info=error,
        )

    def fired(self, timer: Timer, processed: Processed) -> None:
        for line in processed.history:
            assert line.reason is not None
            self._gateway.metrics.decision(line.reason.value)
            log_transition(
                "timer",
                reason=line.reason,
                receipt=line.receipt,
                incident=timer.incident.id,
                kind=timer.kind,
                route=timer.incident.route,
                title=timer.incident.title[:200],
            )

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        structlog.get_logger().error(
            "a timer failed", timer=timer.kind, incident=timer.incident.id, route=timer.incident.route, exc_info=error
        )

    def step(self, step: Step) -> None:
        metrics, action = self._gateway.metrics, step.action
        kind, outcome, reason = action.kind.value, step.outcome.kind.value, step.reason.value
        if step.called:
            metrics.attempt(step.helpdesk, kind, outcome, reason, step.seconds)
        if step.status not in UNFINISHED:
            metrics.action(step.helpdesk, kind, step.status.value, reason)
        if action.kind is ActionKind.CREATE and step.outcome.ticket is not None:
            metrics.ticket(step.helpdesk, max(0.0, self._gateway.now() - action.queued_at))
        log_transition(
            "action",
            reason=step.reason,
            detail=step.outcome.detail,
            receipt=action.receipt,
            incident=action.incident,
            action=action.id,
            helpdesk=step.helpdesk,
            kind=kind,
            status=step.status.value,
            outcome=outcome,
            ticket=step.outcome.ticket.number if step.outcome.ticket is not None else "",
            seconds=round(step.seconds, 4),
            to=step.fell_back_to,
        )
        if step.status.value == "dead":
            structlog.get_logger().error(
                "dead letter", reason=reason, action=action.id, helpdesk=step.helpdesk, detail=step.outcome.detail
            )
        if step.fell_back_to:
            metrics.fell_back(step.helpdesk, step.fell_back_to, outcome)
            self._gateway.wake_delivery([step.fell_back_to])
        self._gateway.pipeline.tickets.step(step)

    def noticed(self, noticed: Noticed) -> None:
        """What a person did to a ticket was learned, durably."""
        for line in noticed.history:
            assert line.reason is not None
            self._gateway.metrics.decision(line.reason.value)
            incident = noticed.incident
            log_transition(
                "ticket",
                reason=line.reason,
                detail=line.detail,
                incident=incident.id,
                route=incident.route,
                helpdesk=incident.helpdesk,
            )

    def ticket(self, action: Action, ticket: TicketRef) -> None:
        self._gateway.pipeline.tickets.known(action, ticket)

    def coalesced(self, action: Action, number: int) -> None:
        for _ in range(number):
            self._gateway.metrics.action(
                action.helpdesk, action.kind.value, ActionStatus.SKIPPED.value, Reason.COALESCED_INTO.value
            )

    def helpdesk(self, name: str, what: str, detail: str) -> None:
        metrics = self._gateway.metrics
        if what in {"paused", "resumed"}:
            metrics.paused(name, paused=what == "paused")
        elif what in _BREAKER:
            metrics.breaker(name, _BREAKER[what])
        log = structlog.get_logger()
        (log.error if what in {"paused", "breaker_open", "no_room", "brake"} else log.info)(
            what, helpdesk=name, detail=detail
        )


async def serve_until_stopped(
    config: Config,
    *,
    mounts: Mapping[str, ASGIApp] | None = None,
    then: Callable[[Gateway], Coroutine[None, None, None]] | None = None,
) -> int:
    """Run a gateway until SIGTERM or SIGINT; the exit code is 0 after a stop, 1 after a failure.

    ``then`` is run once it is up.
    """
    configure_logging(config.server.log.format, config.server.log.level, config.secrets)
    log = structlog.get_logger()
    for problem in config.notes:
        (log.info if problem.level is Level.INFO else log.warning)("configuration", detail=str(problem))
    gateway = Gateway(config, mounts=mounts)
    try:
        await gateway.start()
    except (JournalError, CannotListen, ValueError) as error:
        log.error("cannot start", detail=str(error))
        return 1
    # What lives until the end need not be looked at again and again: that took a fifth of the time of an intake.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    log.info("started", addresses=gateway.addresses, config=str(config.path), digest=config.digest[:12])
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    extra: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: extra.add(loop.create_task(_reload(gateway, config.path))))
    if then is not None:
        extra.add(loop.create_task(then(gateway)))
    stop = loop.create_task(_until(stopping))
    waiting: list[asyncio.Future[None]] = [stop, gateway.failure]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    failed = gateway.failure.done()
    if failed:
        log.error("cannot go on", detail=str(gateway.failure.exception()))
    else:
        log.info("stopping")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # a second one ends the process at once
    with contextlib.suppress(JournalError):
        await gateway.stop(0.0 if failed else GRACE)
    log.info("stopped")
    return 1 if failed else 0


async def _reload(gateway: Gateway, path: Path) -> None:
    log = structlog.get_logger()
    async with gateway.reloading:  # what was asked for last must be in force last
        try:
            config = await asyncio.to_thread(load_file, path, env=os.environ)  # a large table takes a while
        except ConfigErrors as errors:
            for problem in errors.problems:
                log.error("configuration not read again; the old one stays in force", detail=str(problem))
            return
        refused = await gateway.reload(config)
    for why in refused:
        log.error("configuration not put in force; the old one stays", detail=why)
    if not refused:
        log.info("configuration read again", digest=config.digest[:12])


async def _until(event: asyncio.Event) -> None:
    await event.wait()
