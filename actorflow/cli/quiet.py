"""Quiet: counts the log records of a search in place of printing them: most of its errors are meant to come."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.search.workers import RunNotes
from actorflow.sim.world.scheduler import is_callers
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN: Final = 5
EXPECTED: Final = (ActorflowError, ConnectionError, TimeoutError)


class ErrorCount(logging.Handler, RunNotes):
    """Counts errors of handlers by their class and the user's line that raised them.

    Attributes:
        counts: by (class, place).
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record that has an error with a line of the user's; those that faults lead to are no news."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or (isinstance(error, EXPECTED) and not isinstance(error, DefinitionError)):
            return
        place = ""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if is_callers(frame.f_code.co_filename):
                place = f"{Path(frame.f_code.co_filename).name}:{line}"
        if not place and isinstance(error, TypeError):  # of a message that does not fit its handler
            place = f"a call: {text_of(error, render=str)}"
        if place:
            self.counts[type(error).__name__, place] += 1

    def take(self) -> Counter[tuple[str, str]]:
        """Return the counts since the last call, for another process."""
        taken, self.counts = self.counts, Counter()
        return taken

    def merge(self, noted: Counter[tuple[str, str]], /) -> None:
        """Add the counts of another process."""
        self.counts.update(noted)

    def lines(self) -> list[str]:
        """Return the errors in words, the most frequent first."""
        return [f"{name} at {place}, {count:,} times" for (name, place), count in self.counts.most_common(SHOWN)]


@contextlib.contextmanager
def quiet() -> Iterator[ErrorCount]:
    """Have nothing be logged but counted, in a block."""
    root, counted = logging.getLogger(), ErrorCount()
    before, level = root.handlers[:], root.level
    root.handlers[:] = [counted]
    root.setLevel(logging.WARNING)
    try:
        yield counted
    finally:
        root.handlers[:] = before
        root.setLevel(level)
