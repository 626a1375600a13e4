"""What is done with a doubtful call where a helpdesk can tell nothing (`on_unknown`), the same for all that cannot."""

from typing import Literal

from gateway.model.action import Outcome, OutcomeKind
from gateway.model.reasons import Reason

_MOST_REMEMBERED = 10_000


class Doubt:
    """Whether a call of unknown outcome is made again, of one helpdesk.

    Under ``dead_letter`` a person is asked once; when the same action comes again it is because that person retried it.
    What was asked is forgotten at a restart, and then asked once more.
    """

    def __init__(self, on_unknown: Literal["resend", "dead_letter"]) -> None:
        """``on_unknown`` as configured."""
        self._resend = on_unknown == "resend"
        self._asked: dict[str, None] = {}

    def arises(self, marker: str) -> None:
        """The call of this action had an unknown outcome: under ``dead_letter`` delivery asks a person now."""
        while len(self._asked) >= _MOST_REMEMBERED:
            self._asked.pop(next(iter(self._asked)))
        self._asked[marker] = None

    def verdict(self, marker: str, what: str) -> Outcome | None:
        """None: make the call again, flagged. Else the outcome that asks a person; ``what`` may have been done already."""
        if self._resend or self._asked.pop(marker, "") is None:
            return None
        self.arises(marker)
        detail = (
            f"it cannot be known whether {what}. Look for it by hand; `ticket-gateway dead retry` sends it again, and "
            "`on_unknown: resend` does so by itself in such cases"
        )
        return Outcome(OutcomeKind.REJECTED, Reason.UNKNOWN_OUTCOME, detail)
