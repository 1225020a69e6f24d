"""Outage: a failure that may last, as the log tells of it.

It is told at once, again after pauses that grow, and once more when it is over: a reader of a day's log learns of it
from some lines, not from one a second for each queue and each actor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.clock import Clock

FIRST_SECONDS: Final = 2.0  # between the first two lines; each pause is twice the one before
LAST_SECONDS: Final = 300.0
RELAPSE_SECONDS: Final = 30.0  # the most from its end until the next one is logged


class Outage:
    """One failure that may last; any thread may note it.

    Attributes:
        lasts: it was logged, and its end was not.
    """

    __slots__ = ("_clock", "_count", "_due", "_lock", "_noted_at", "_pause", "lasts")

    def __init__(self, clock: Clock) -> None:
        self.lasts = False
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = FIRST_SECONDS
        self._noted_at = self._due = float("-inf")
        self._count = 0  # failures since the last line

    def note(self, log: Callable[..., None], text: str, *values: object) -> None:
        """Log a failure, unless that was done a short while ago.

        Args:
            log: writes a line, such as `logger.error`.
            text: of the line.
            values: what stands in it.
        """
        now = self._clock.monotonic()
        with self._lock:
            if now - self._noted_at > LAST_SECONDS:
                self._pause = FIRST_SECONDS
            self._noted_at = now
            if now < self._due:
                self._count += 1
                return
            count, self._count = self._count, 0
            self._due, self._pause = now + self._pause, min(2 * self._pause, LAST_SECONDS)
            self.lasts = True
        if count:
            text, values = text + " (%s more since the last such line)", (*values, plural(count, "time"))
        log(text, *values)

    def over(self, log: Callable[..., None], text: str, *values: object) -> None:
        """Log the end of the outage, if a failure was logged; one that comes and goes is logged twice a minute."""
        with self._lock:
            was, self.lasts = self.lasts, False
            self._count = 0
            self._due = min(self._due, self._clock.monotonic() + RELAPSE_SECONDS)
        if was:
            log(text, *values)
