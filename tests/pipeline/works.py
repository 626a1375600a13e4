"""A pipeline over a real journal and real rules, without doors and without delivery."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.config.loader import load_file
from gateway.config.shipped import shipped_templates
from gateway.journal.protocol import Journal, Processed, ReceiptView, Timer
from gateway.journal.sqlite import open_sqlite
from gateway.model.ids import new_id
from gateway.model.receipt import DuplicateKey, NewReceipt, Receipt
from gateway.pipeline import Pipeline
from gateway.ruleset import Ruleset, build_ruleset
from tests.pipeline.poison import KIND

CONFIG = """\
version: 1
server:
  http: {listen: "127.0.0.1:0"}
  journal: {url: "sqlite:///journal.db", min_free: 1MiB}
sources:
  app: {kind: generic, auth: none}
  other: {kind: generic, auth: none}
  nagios: {kind: nagios, auth: none}
helpdesks:
  desk:
    kind: osticket
    url: http://127.0.0.1:9/api
    auth: {api_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}
    requester: {name: Monitoring, email: monitoring@example.org}
    sandbox: true
routes:
  - name: all
    ticket: {helpdesk: desk}
    incident: {repeat: {append_every: 1h}, reopen_within: 1h}
"""


@dataclass(slots=True)
class Seen:
    """What the observer was told."""

    order: list[tuple[str, str]] = field(default_factory=list)  # (source, receipt)
    failures: list[tuple[str, str]] = field(default_factory=list)  # (stage, error)
    timers: list[tuple[str, float]] = field(default_factory=list)  # (kind, due)

    def processed(self, receipt: Receipt, processed: Processed) -> None:
        self.order.append((receipt.source, receipt.id))

    def failed(self, receipt: Receipt, stage: str, error: BaseException) -> None:
        self.failures.append((stage, str(error)))

    def fired(self, timer: Timer, processed: Processed) -> None:
        self.timers.append((timer.kind, timer.due_at))

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        self.failures.append((timer.kind, str(error)))


def event(title: str, *, kind: str = "problem", host: str = "db-1", size: int = 0) -> bytes:
    text = "x" * size
    return json.dumps({"kind": kind, "severity": "critical", "title": title, "host": host, "text": text}).encode()


@dataclass(slots=True)
class Works:
    """What a test works with."""

    journal: Journal
    rules: Ruleset
    pipeline: Pipeline
    seen: Seen
    task: "asyncio.Task[None]"
    at: float = 1_800_000_000.0

    def receipt(self, body: bytes, *, source: str = "app", key: str = "", content_type: str = "") -> NewReceipt:
        self.at += 1
        return NewReceipt(
            id=new_id(),
            source=source,
            received_at=self.at,
            body=body,
            content_type=content_type or "application/json",
            duplicate_key=DuplicateKey(key, 600.0) if key else None,
        )

    async def take(self, body: bytes, *, source: str = "app") -> str:
        return (await self.pipeline.accept(self.receipt(body, source=source))).id

    async def view(self, receipt: str) -> ReceiptView:
        found = await self.journal.reader().receipt(receipt)
        assert found is not None
        return found

    async def idle(self, seconds: float = 20.0) -> None:
        """Until every receipt is processed; the pipeline must stay alive meanwhile."""
        end = asyncio.get_running_loop().time() + seconds
        while (await self.journal.reader().counts()).receipts_waiting:
            if self.task.done():
                self.task.result()
            assert asyncio.get_running_loop().time() < end, "receipts are left lying"
            await asyncio.sleep(0.02)

    async def titles(self, receipts: Iterable[str]) -> list[str]:
        return [str((await self.view(name)).events[0].event["title"]) for name in receipts]


@asynccontextmanager
async def works(folder: Path, *, poisoned: bool = False, config: str = CONFIG) -> AsyncIterator[Works]:
    """A pipeline that runs; stopped afterwards."""
    (folder / "routes.yaml").write_text(config)
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(shipped_templates())
    rules = build_ruleset(load_file(folder / "routes.yaml", env={}))
    if poisoned:
        rules = replace(rules, kinds={**rules.kinds, "generic": KIND})
    journal = await open_sqlite(folder / "journal.db", run=new_id())
    seen = Seen()
    pipeline = Pipeline(journal, rules, seen, wake_delivery=lambda _: None)
    task = asyncio.create_task(pipeline.run())
    try:
        yield Works(journal, rules, pipeline, seen, task)
    finally:
        await pipeline.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
