"""The fault matrix: one story of an incident, told to any helpdesk, with each fault at each of its steps."""

from gateway.model.json import JsonObject
from gateway.model.reasons import Reason
from gateway.sandbox.faults import AT_COMMIT, Fault
from tests.e2e.house import House

HEAD = """\
version: 1
server:
  http: {{listen: "127.0.0.1:0", max_body: 8MiB}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  operator: {{bearer: the-operators-token}}
sources:
  nagios: {{kind: nagios, auth: {{bearer: {token}}}}}
  app: {{kind: generic, auth: {{bearer: {token}}}}}
helpdesks:
"""

STORY = (("PROBLEM", "CRITICAL"), ("PROBLEM", "CRITICAL"), ("RECOVERY", "OK"), ("PROBLEM", "CRITICAL"))
STEPS = ("create", "append", "close", "reopen")
"""What the parts of the story ask of a helpdesk, with `repeat: {append_every: 1ms}` and `reopen_within`."""


def faults(timeout: float) -> dict[str, Fault]:
    """Each kind of fault, as it hurts a gateway whose calls may take ``timeout`` seconds."""
    given: dict[str, dict[str, object]] = {
        "refused": {"fault": "refuse", "count": 1},
        "slow": {"fault": "slow", "seconds": timeout / 3, "count": 8},
        "too slow": {"fault": "slow", "seconds": timeout * 1.2, "count": 1},
        "rate limited": {"fault": "rate_limit", "seconds": 0, "count": 1},
        "credentials refused": {"fault": "auth_broken", "count": 2},
        "database away": {"fault": "database_down", "count": 1},
        "bad gateway": {"fault": "html_error", "count": 1},
        "log-in page": {"fault": "redirect", "count": 2},
        "maintenance": {"fault": "maintenance", "seconds": 0, "count": 1},
        "hangs, then writes": {"fault": "hang_before_commit", "seconds": timeout * 1.2, "count": 1},
        "hangs, writes nothing": {
            "fault": "hang_before_commit",
            "seconds": timeout * 1.2,
            "commits": False,
            "count": 1,
        },
        "writes, then hangs": {"fault": "commit_then_hang", "seconds": timeout * 3, "count": 1},
        "writes, then hangs up": {"fault": "commit_then_drop", "count": 1},
        "dies half way": {"fault": "die_half_way", "count": 1},
    }
    return {name: Fault.model_validate(fault) for name, fault in given.items()}


DOUBTFUL = [name for name, fault in faults(1.0).items() if fault.fault in AT_COMMIT]
"""Those after which nobody knows what was written."""


async def told(home: House, kind: str, state: str, text: str) -> None:
    """One word of the monitoring, and all that follows from it."""
    answer = await home.nagios(kind, state, SERVICEOUTPUT=text)
    assert answer.status_code in {201, 202}
    await home.settled()


def switch(home: House, helpdesk: str, *armed: Fault) -> None:
    """Switch these faults of a helpdesk on, and all its others off."""
    home.sandbox.set_faults({helpdesk: list(armed)})


async def story(home: House, helpdesk: str, fault: Fault | None = None, *, steps: tuple[str, ...] = STEPS) -> None:
    """Problem, repeat, recovery, relapse of web1; the fault is switched on at each of ``steps``, and off after it.

    Between them other tickets are made, so that the breaker, which is tested elsewhere, stays closed.
    """
    for number, (kind, state) in enumerate(STORY):
        armed = [fault] if fault is not None and STEPS[number] in steps else []
        switch(home, helpdesk, *armed)
        await told(home, kind, state, f"step {number}")
        switch(home, helpdesk)
        for other in range(3):
            await home.nagios("PROBLEM", "CRITICAL", host=f"other-{number}-{other}")
        await home.settled()


def tickets_of(home: House, host: str = "web1") -> list[JsonObject]:
    """The tickets about a host, the oldest first."""
    return [ticket for ticket in home.tickets() if host in str(ticket["subject"])]


async def flagged(home: House) -> bool:
    """Whether any action says that it may be a duplicate."""
    receipts = await home.gateway.reader.receipts(limit=100)
    for receipt in receipts:
        view = await home.gateway.reader.receipt(receipt.id)
        if view is not None and any(Reason.POSSIBLE_DUPLICATE.value in action.flags for action in view.actions):
            return True
    return False
