"""A process that works on a journal until it is killed at a fault point; it prints what was answered."""

import asyncio
import sys
from pathlib import Path

from gateway.journal.protocol import IncidentChange, Processed
from gateway.journal.sqlite import open_sqlite
from tests.journal.builders import a_receipt, an_action, an_incident, begun, claimed, deliver


async def main(path: Path) -> None:
    journal = await open_sqlite(path, run="child")
    for number in range(3):
        new = a_receipt(str(number).encode())
        await journal.accept(new)
        print("accepted", new.id, flush=True)  # noqa: T201 - read by the test
        [receipt] = await journal.claim_receipts(limit=1, now=new.received_at, lease=60)
        incident = an_incident(f"key-{number}")
        change = IncidentChange(incident, None)
        await journal.commit_processed([Processed(receipt.id, incidents=(change,), actions=(an_action(incident.id),))])
        print("processed", new.id, flush=True)  # noqa: T201 - read by the test
        [action] = await claimed(journal)
        if number < 2:
            await deliver(journal, action)
            print("delivered", action.id, flush=True)  # noqa: T201 - read by the test
        else:
            assert await begun(journal, action)
    await journal.close()


asyncio.run(main(Path(sys.argv[1])))
