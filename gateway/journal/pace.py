"""Whether work on the disk is short enough to be done on the loop: to wake a thread and come back costs more than it does.

Measured, never assumed: a disk that gets slow drives the work to the thread with the first long wait, and back only after
it has been fast there.
"""

FAST = 0.0008
"""Seconds: what takes longer on average is never done on the loop."""
_LONGEST = 10 * FAST


class Pace:
    """A moving average of the seconds that one sort of work takes; slow until proven otherwise."""

    def __init__(self) -> None:
        self._usual: float | None = None

    @property
    def fast(self) -> bool:
        """Whether it may be done on the loop."""
        return self._usual is not None and self._usual < FAST

    def took(self, seconds: float) -> None:
        """It was done on the loop."""
        usual = seconds if self._usual is None else self._usual
        self._usual = 0.9 * usual + 0.1 * min(seconds, _LONGEST)

    def took_elsewhere(self, seconds: float) -> None:
        """It was done on a thread, where the wait for the interpreter's lock counts in: only what is less says something."""
        if self._usual is None:
            self._usual = seconds
        elif seconds < self._usual:
            self.took(seconds)
