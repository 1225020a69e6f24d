"""Schedules: their rows, which all processes share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

RESERVED: Final = "(runs of "  # queues of users have no name that begins so
RUNS: Final = f"{RESERVED}workflows)"  # in place of the name of a queue, of schedules of runs
SKEW_SECONDS: Final = 60.0  # by which a row may be ahead of the clock; else the clock was wrong when it was written


class ScheduleRow(NamedTuple):
    """The row of a schedule.

    Attributes:
        cron, zone: as the last process to declare it has them; the others leave it alone.
        last: the time for which it fired last.
        declared: when a process last said that it has these.
    """

    name: str
    cron: str
    zone: str
    next: float
    last: float | None
    declared: float

    @classmethod
    def of(cls, row: Row) -> ScheduleRow:
        """Make one of a row; a damaged one, with a time that is none, counts as ahead, and so is written anew."""
        found = cls(*row)
        times = (found.next, found.declared, found.last or 0.0)
        return (
            found
            if all(isinstance(one, float | int) for one in times)
            else found._replace(last=None, declared=math.inf)
        )

    def is_ahead(self, now: float) -> bool:
        """Say whether a schedule was written by a clock that was wrong: the next time may be a long way off."""
        return max(self.declared, self.last or 0.0) > now + SKEW_SECONDS


def schedule_rows(transaction: Transaction, queue: str) -> dict[str, ScheduleRow]:
    """Return the schedules of a queue, by name."""
    return {row[0]: ScheduleRow.of(row) for row in transaction.all("schedules.list", {"queue": queue})}


def schedule_row(transaction: Transaction, queue: str, name: str) -> ScheduleRow | None:
    """Return a schedule."""
    row = transaction.one("schedules.get", {"queue": queue, "name": name})
    return None if row is None else ScheduleRow.of(row)


def declare_schedule(
    transaction: Transaction, queue: str, name: str, text: dict[str, str], following: float, now: float
) -> float:
    """Write a schedule, and return its next time: the one that it had, if its times are the same.

    Args:
        text: its `cron`, `zone` and `catch_up`.
        following: the first time from now on.
    """
    row = schedule_row(transaction, queue, name)
    if row is not None and (row.cron, row.zone) == (text["cron"], text["zone"]) and not row.is_ahead(now):
        following = row.next
    values = {"queue": queue, "name": name, **text, "next": following, "now": now}
    transaction.run("schedules.declare", values)
    return following
