"""Fault points: places where a test can have the process killed, to prove that nothing is lost or doubled there.

Without the environment variable nothing happens and a point costs one comparison.
"""

import os
import signal
from enum import StrEnum

ENVIRONMENT = "TICKET_GATEWAY_FAULT_POINT"
"""``NAME=N``: kill this process with SIGKILL the N-th time it comes to the point NAME."""


class Point(StrEnum):
    """The places, in the order of an event's way."""

    ACCEPT_BEFORE_COMMIT = "accept.before_commit"
    ACCEPT_AFTER_COMMIT = "accept.after_commit"
    CLAIM_BEFORE_COMMIT = "claim.before_commit"
    CLAIM_AFTER_COMMIT = "claim.after_commit"
    PROCESSED_BEFORE_COMMIT = "processed.before_commit"
    PROCESSED_AFTER_COMMIT = "processed.after_commit"
    INTENT_BEFORE_COMMIT = "intent.before_commit"
    INTENT_AFTER_COMMIT = "intent.after_commit"
    CALL_BEFORE = "call.before"
    CALL_AFTER = "call.after"
    OUTCOME_BEFORE_COMMIT = "outcome.before_commit"
    OUTCOME_AFTER_COMMIT = "outcome.after_commit"


class _Switch:
    """Counts down the hits of one point."""

    def __init__(self, setting: str) -> None:
        name, _, count = setting.partition("=")
        self.point = Point(name)
        self.left = int(count or "1")

    def hit(self, point: Point) -> None:
        if point is self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_switch = _Switch(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None


def hit(point: Point) -> None:
    """The process has come to ``point``."""
    if _switch is not None:
        _switch.hit(point)
