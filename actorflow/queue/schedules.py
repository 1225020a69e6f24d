"""Schedules: what is enqueued at the times of cron expressions. Layer 4.

Each process that declares a schedule looks when it is due; the row in the store, moved on in the transaction that adds
the jobs, lets one of them win.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from cronsim import CronSim, CronSimError

from actorflow.core.actor import Actor
from actorflow.core.log import logger
from actorflow.core.traits import check_choice, check_type
from actorflow.errors import DefinitionError
from actorflow.queue import ledger
from actorflow.queue.packing import Packed, put
from actorflow.workflow.options import check_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.core.timers import Timer
    from actorflow.queue.line import Line
    from actorflow.store.transaction import Transaction

LATE_SECONDS: Final = 60.0  # after which a time counts as missed
BEAT_SECONDS: Final = 60.0  # between two notes that a process declares its schedules
MOST: Final = 1000  # jobs that one transaction adds; more follow in the next


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task, and when it is enqueued.

    Raises:
        DefinitionError: the expression or the zone makes no sense, or never comes.
    """

    name: str
    cron: str
    zone: str
    catch_up: Literal["skip", "latest", "all"]
    packed: Packed

    def __post_init__(self) -> None:
        check_choice("catch_up", self.catch_up, ("skip", "latest", "all"))
        for what in ("cron", "name"):
            check_type(what, getattr(self, what), str)
        check_text("name", self.name)
        if self.packed.options.conn is not None:
            msg = "cron(): a schedule cannot enqueue in a transaction of yours, options(conn=)"
            raise DefinitionError(msg)
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            msg = f"tz={self.zone!r}: there is no such time zone here; if there are none at all, pip install tzdata"
            raise DefinitionError(msg) from error
        try:
            next(self.times(0.0))
        except (CronSimError, StopIteration, ValueError, TypeError, AttributeError) as error:
            msg = (
                f"cron {self.cron!r}: {str(error) or 'its time never comes'}; write minute, hour, day, month and "
                "weekday, such as '*/5 * * * *'"
            )
            raise DefinitionError(msg) from error

    def times(self, after: float) -> Iterator[float]:
        """Yield when it is due after a time, in seconds since the epoch."""
        start = dt.datetime.fromtimestamp(after, zoneinfo.ZoneInfo(self.zone))
        return (time.timestamp() for time in CronSim(self.cron, start))

    def due(self, first: float, now: float) -> tuple[list[float], float]:
        """Return for which times it is to be enqueued now, of those from `first` on, and its next time."""
        fired = [first]
        following = now
        for time in self.times(first):
            following = time
            if time > now:
                break
            if self.catch_up == "all" and len(fired) == MOST:
                break
            fired.append(time)
            if self.catch_up != "all":
                del fired[:-1]
        if self.catch_up == "skip" and fired[-1] < now - LATE_SECONDS:
            fired = []
        return fired, following


class Schedules(Actor, intensity=10, period=60.0, restart="permanent"):
    """Enqueues the jobs of a queue's schedules when they are due."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self.schedules: dict[str, Schedule] = line.declared
        self.timer: Timer | None = None

    def on_start(self) -> None:
        """Go on with what was declared before a crash."""
        if self.schedules:
            self.tick()

    def declare(self, schedule: Schedule) -> None:
        """Add a schedule, or change it."""
        line, now = self.line, self.line.now()

        def work(transaction: Transaction) -> Any:
            row = transaction.one("schedules.get", {"queue": line.name, "name": schedule.name})
            if row is not None and row[:2] == (schedule.cron, schedule.zone):
                following = row[3]
            else:
                following = next(schedule.times(now))
            values = {"cron": schedule.cron, "zone": schedule.zone, "catch_up": schedule.catch_up}
            where = {"queue": line.name, "name": schedule.name}
            transaction.run("schedules.declare", {**where, **values, "next": following, "now": now})

        line.store.write(work)
        self.schedules[schedule.name] = schedule
        self.tick()

    def tick(self) -> None:
        """Enqueue what is due, and come again."""
        line, now = self.line, self.line.now()
        following = now + BEAT_SECONDS
        try:
            for schedule in self.schedules.values():
                news = ledger.News()
                ids, due = line.store.write(self.work(schedule, now, news), line.durability)
                if news.ended:  # they were replaced
                    line.told([], news)
                for id_ in ids:
                    line.listeners.tell("queued", id_, schedule.packed.task)
                if ids:
                    line.wake()
                following = min(following, due)
        except Exception as error:  # noqa: BLE001 - the store is gone for now; nothing is missed, as the row tells
            logger.error("Schedules of queue %s: the store failed, tried again in a second: %s", line.name, error)
            following = now + 1.0
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.ctx.after(max(0.001, following - self.line.now()), self.tick)

    def work(self, schedule: Schedule, now: float, news: ledger.News) -> Any:
        """Return the work that enqueues a schedule's jobs if it is due, and returns them and its next time."""
        queue = self.line.name
        where = {"queue": queue, "name": schedule.name}

        def fire(transaction: Transaction) -> tuple[list[int], float]:
            news.begin()
            row = transaction.one("schedules.get", where)
            if row is None:  # somebody has removed it
                return [], now + BEAT_SECONDS
            first = row[3]
            if first > now:
                transaction.run("schedules.beat", {**where, "now": now})
                return [], first
            times, following = schedule.due(first, now)
            values = {"next": following, "last": times[-1] if times else row[4], "due": first, "now": now}
            if not transaction.run("schedules.fire", {**where, **values}):
                return [], following  # another process was faster
            return [put(transaction, queue, schedule.packed, now, news) for _ in times], following

        return fire
