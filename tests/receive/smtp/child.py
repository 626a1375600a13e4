"""The SMTP door on a real journal, as a process that a test can kill: ``python -m tests.receive.smtp.child FOLDER``."""

import asyncio
import sys
from pathlib import Path

import uvloop

from gateway.config.models import SmtpServer
from gateway.journal.sqlite import open_sqlite
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.server import MailServer
from tests.receive.smtp.support import SOURCES


async def main(folder: Path) -> None:
    journal = await open_sqlite(folder / "journal.db", run="child")
    settings = SmtpServer(listen=f"unix:{folder}/smtp.sock", hostname="own.example")
    mailroom = Mailroom(SOURCES, journal.accept_all, hostname="own.example")
    server = MailServer(settings, mailroom, admission=Admission(), metrics=Metrics(SOURCES))
    await server.start()
    print("up", flush=True)  # noqa: T201 - the test waits for it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
