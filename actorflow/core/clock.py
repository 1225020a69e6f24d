"""Clock: the only place where the runtime asks for the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The clock that the scheduler and `ctx` ask for the time; simulations and tests put a virtual one in its place."""

    def monotonic(self) -> float:
        """Return seconds for differences and timers; they never go back."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch, as `time.time` does."""
        ...


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


class VirtualClock:
    """A clock that stands still until the scheduler has nothing to run, and then jumps to the next timer."""

    def __init__(self, start: float = 1_600_000_000.0) -> None:
        self._epoch = start
        self.now = 0.0

    def monotonic(self) -> float:
        """Return virtual seconds since the start."""
        return self.now

    def time(self) -> float:
        """Return virtual seconds since the epoch."""
        return self._epoch + self.now
