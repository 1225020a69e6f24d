"""Entries: events in line at one member of a consumer: those of the log, and those that it has set aside."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from actorflow.events.log.rows import LogRow

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

PARKED: Final = 0  # stages of a row of events beside the log
DEAD: Final = 1
ALOUD: Final = 2
DELAYED: Final = 3
MOST_PARKED: Final = 1000  # events that one member sets aside; then it stops
KEEP_DEAD: Final = 30 * 86_400.0


class Entry:
    """One event to be handled.

    Attributes:
        row: the event.
        number: of its row beside the log; 0: it comes from the log.
        due: when it is tried; None: behind the one before it in its lane.
        attempt: tries that failed.
        is_late: it was dead, and is tried again: later events of its key were handled before it.
        is_quiet: it was handled before a replay: what its handler sends is dropped.
        error: the last one, as it is stored.
        written: number of the row that the commit under way puts beside the log.
    """

    __slots__ = ("attempt", "due", "error", "is_late", "is_quiet", "number", "row", "written")

    def __init__(
        self,
        row: LogRow,
        number: int = 0,
        due: float | None = None,
        attempt: int = 0,
        *,
        is_late: bool = False,
        is_quiet: bool = False,
        error: bytes | None = None,
    ) -> None:
        self.row = row
        self.number = number
        self.due = due
        self.attempt = attempt
        self.is_late = is_late
        self.is_quiet = is_quiet
        self.error = error
        self.written = 0

    @classmethod
    def parked(cls, found: Row) -> Entry:
        """Return one of a row beside the log."""
        number, _lane, due, attempt, late, quiet, error, *columns = found
        row = LogRow._make(columns)
        return cls(row, number, due, attempt, is_late=bool(late), is_quiet=bool(quiet), error=error)

    def put_aside(
        self, transaction: Transaction, consumer: str, stage: int, due: float | None, keep: float | None
    ) -> int:
        """Write the event beside the log, and return the number of the row."""
        values: dict[str, Any] = {
            **self.row._asdict(),
            "stage": stage,
            "consumer": consumer,
            "lane": self.row.lane,
            "due": due,
            "attempt": self.attempt,
            "quiet": int(self.is_quiet),
            "error": self.error,
            "keep": keep,
        }
        row = transaction.one("events.set_aside", values)
        return 0 if row is None else int(row[0])


class ParkedEvents:
    """The events that one member has set aside for another try, in the lanes of their keys."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Entry]] = {}
        self.count = 0

    def __contains__(self, lane: str) -> bool:
        return lane in self._lanes

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes.values():
            yield from lane

    def load(self, entries: list[Entry]) -> None:
        """Take the events that the store has, in the order of numbers, in place of those that were known."""
        self._lanes.clear()
        self.count = 0
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Put an event behind the others of its lane."""
        self._lanes.setdefault(entry.row.lane, deque()).append(entry)
        self.count += 1

    def end(self, entry: Entry) -> None:
        """Take the first event of a lane out: it is dealt with."""
        lane = self._lanes.get(entry.row.lane)
        if lane and lane[0] is entry:
            lane.popleft()
            self.count -= 1
            if not lane:
                del self._lanes[entry.row.lane]

    @property
    def first_due(self) -> float:
        """The time at which the next of them is to be tried; infinite if there is none."""
        return min((lane[0].due or 0.0 for lane in self._lanes.values()), default=math.inf)

    def due(self, now: float, limit: int) -> list[Entry]:
        """Return the events of the lane whose first one has waited longest for its next try; none if none is due."""
        first = min(self._lanes.values(), key=lambda lane: lane[0].due or 0.0, default=None)
        if first is None or (first[0].due or 0.0) > now:
            return []
        chosen = [first[0]]
        for entry in first:
            if entry is not first[0]:
                if entry.due is not None or len(chosen) >= limit:
                    break
                chosen.append(entry)
        return chosen
