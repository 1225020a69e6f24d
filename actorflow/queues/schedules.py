"""Schedules: the actor that enqueues jobs at the times of cron expressions.

Each process that declares a schedule looks when it is due; the row in the store, moved on in the transaction that adds
the jobs, lets one of them win. The row has the text of the last declaration, and a process whose own text is another
leaves the schedule alone. Times are worked out before the transaction, and which of them are due is known in memory: a
tick costs as much as it fires, and once a minute one query reads all rows.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.errors import DefinitionError
from actorflow.queues import ledger
from actorflow.queues.cron import MOST, Schedule
from actorflow.queues.packing import put

if TYPE_CHECKING:
    from actorflow.core.refs.timers import Timer
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction

BEAT_SECONDS: Final = 60.0  # between two looks at all rows, with a note that this process declares its schedules
CLOCK_SECONDS: Final = 20.0  # between two looks at the clock, as somebody may set it
AGAIN_SECONDS: Final = 1.0  # until refused writes are tried again
STALE_SECONDS: Final = 300.0  # without a note of a process that declares it, after which a schedule has stopped
TOGETHER: Final = 200  # schedules that fire in one transaction

Entry: TypeAlias = tuple[float, float, str]  # when to fire a schedule, for which time, its name


class Firing:
    """A schedule that is due, the jobs that are added for it, and the refused ones among them."""

    def __init__(self, local: LocalQueue, schedule: Schedule, first: float, now: float) -> None:
        self.queue = local.name
        self.schedule = schedule
        self.first = first
        self.now = now
        self.times, self.following = schedule.due(first, now)
        self.news = ledger.News()
        self.ids: list[int] = []
        self.refused: list[DefinitionError] = []

    def fire(self, transaction: Transaction) -> ledger.ScheduleRow | None:
        """Add the jobs, and move the schedule on; if another process was faster, return the row as it is now."""
        schedule = self.schedule
        self.news.begin()
        self.ids, self.refused = [], []
        where = {"queue": self.queue, "name": schedule.name, "cron": schedule.cron, "zone": schedule.zone}
        last = self.times[-1] if self.times else None
        values = {"due": self.first, "next": self.following, "last": last, "now": self.now}
        if not transaction.run("schedules.fire", {**where, **values}):
            return ledger.schedule_row(transaction, self.queue, schedule.name)
        for time in self.times:
            try:
                self.ids.append(self.put(transaction, time))
            except DefinitionError as error:  # nothing of it was written: its time has passed
                self.refused.append(error)
        return ledger.ScheduleRow(schedule.name, schedule.cron, schedule.zone, self.following, last, self.now)

    def put(self, transaction: Transaction, time: float) -> int:  # noqa: ARG002 - of schedules that start runs
        """Add the job for a time; return its number."""
        return put(transaction, self.queue, self.schedule.packed, self.now, self.news)


class Schedules(Actor, intensity=10, period=60.0, restart="permanent"):
    """Enqueues the jobs of a queue's schedules when they are due.

    Attributes:
        firing: the class of a schedule that is due.
    """

    firing: ClassVar[type[Firing]] = Firing

    def __init__(self, local: LocalQueue) -> None:
        super().__init__()
        self.local = local
        self.declared: dict[str, Schedule] = local.declared
        self.entries: dict[str, Entry] = {}
        self.calendar: list[Entry] = []  # a heap; an entry that is not in `entries` is over
        self.left: dict[str, tuple[float, float]] = {}  # to other processes: `declared` of the row, since when
        self.looked_at = self.latest = -math.inf  # on the clock that nobody sets, and on the wall
        self.timer: Timer | None = None

    def on_start(self) -> None:
        """Go on with the schedules declared before a crash."""
        if self.declared:
            self.tick()

    # --- declarations ------------------------------------------------------------------------------------------------

    def declare(self, schedule: Schedule) -> None:
        """Add a schedule, or change it: the last declaration holds, in all processes. Its missed times are run now."""
        following = self.local.store.write(self.declaration(schedule))
        self.declared[schedule.name] = schedule
        self.declared_again(schedule, following)
        if following <= self.local.now():
            self.tick()
        else:
            self.come_again()

    def declaration(self, schedule: Schedule) -> Callable[[Transaction], float]:
        """Return the work that writes a schedule's row, and returns its next time."""
        queue, name, now = self.local.name, schedule.name, self.local.now()
        text = {"cron": schedule.cron, "zone": schedule.zone, "catch_up": schedule.catch_up}
        following = schedule.following(now)
        return lambda transaction: ledger.declare_schedule(transaction, queue, name, text, following, now)

    def declared_again(self, schedule: Schedule, following: float) -> None:
        """Plan a schedule whose row is this process's now."""
        self.left.pop(schedule.name, None)
        self.plan(schedule.name, following)

    # --- ticks -------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Enqueue the jobs that are due, and come again."""
        local, now = self.local, self.local.now()
        pause = math.inf
        try:
            if now < self.latest or local.clock.monotonic() - self.looked_at >= BEAT_SECONDS:
                self.look(now)
            self.latest = now
            for part in self.take_due(now):
                self.fire(part)
            local.upkeep.report_success("schedules")
        except Exception as error:  # noqa: BLE001 - the store is gone for now; nothing is missed, as the rows tell
            text = "Schedules of queue %s: the store failed, tried again in a second: %s"
            local.upkeep.report_failure("schedules", error, text)
            self.looked_at = -math.inf
            pause = AGAIN_SECONDS
        self.come_again(pause)

    def come_again(self, pause: float = math.inf) -> None:
        """Tick after a pause; or else at the next time, to look at the clock, or at all rows."""
        local, calendar = self.local, self.calendar
        if pause == math.inf:
            pause = max(0.0, self.looked_at + BEAT_SECONDS - local.clock.monotonic())
            if not local.scheduler.is_virtual:
                pause = min(pause, CLOCK_SECONDS)
            while calendar and self.entries.get(calendar[0][2]) is not calendar[0]:
                heapq.heappop(calendar)
            if calendar:
                pause = min(pause, calendar[0][0] - local.now())
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.ctx.after(max(0.001, pause), self.tick)

    def plan(self, name: str, due: float, at: float | None = None) -> None:
        """Have a schedule fire at its time, or later at another."""
        entry = self.entries.get(name)
        if entry is None or entry[1] != due or at is not None:
            entry = self.entries[name] = (due if at is None else at, due, name)
            heapq.heappush(self.calendar, entry)

    def take_due(self, now: float) -> Iterator[list[Firing]]:
        """Take the schedules that are due, with about as many jobs together as one transaction adds."""
        due: list[Entry] = []
        while self.calendar and self.calendar[0][0] <= now:
            entry = heapq.heappop(self.calendar)
            if self.entries.get(entry[2]) is entry:
                del self.entries[entry[2]]
                due.append(entry)
        part: list[Firing] = []
        jobs = 0
        for _, first, name in due:
            part.append(self.firing(self.local, self.declared[name], first, now))
            jobs += len(part[-1].times)
            if jobs >= MOST or len(part) == TOGETHER:
                yield part
                part, jobs = [], 0
        if part:
            yield part

    def fire(self, part: list[Firing]) -> None:
        """Add the jobs of schedules in one transaction; an error of one is its own, and it is tried again."""
        local = self.local
        errors: list[Exception] = []
        futures = local.store.submit_each([firing.fire for firing in part], local.durability)
        for firing, future in zip(part, futures, strict=True):
            try:
                self.fired(firing, future.get())
            except Exception as error:  # noqa: BLE001 - logged below
                errors.append(error)
                self.plan(firing.schedule.name, firing.first, firing.now + AGAIN_SECONDS)
        if errors:
            text = "Schedules of queue %s: %d of them are tried again in a second, as the store failed: %s"
            local.upkeep.report_failure("single schedules", errors[0], text, len(errors))
        else:
            local.upkeep.report_success("single schedules")
        if any(firing.ids for firing in part):
            local.wake()

    def fired(self, firing: Firing, row: ledger.ScheduleRow | None) -> None:
        """Tell of the jobs that were added, and plan the next time."""
        local, schedule = self.local, firing.schedule
        if firing.news.ended:  # they were replaced
            local.announcer.announce([], firing.news)
        for id_ in firing.ids:
            if id_ not in firing.news.duplicates:
                local.announcer.tell("queued", id_, schedule.packed.task)
        for error in firing.refused:
            logger.warning("Schedule %r of queue %s: its job is left out: %s", schedule.name, local.name, error)
        if not self.heed(schedule, row, firing.now):
            self.declared_again(schedule, local.store.write(self.declaration(schedule)))

    # --- other processes ---------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Read all rows, as others may have changed them or the clock was set; and note that this process lives."""
        local = self.local
        rows = local.store.read(partial(ledger.schedule_rows, queue=local.name))
        again = [one for one in self.declared.values() if not self.heed(one, rows.get(one.name), now)]
        futures = local.store.submit_each([self.declaration(schedule) for schedule in again])
        for schedule, future in zip(again, futures, strict=True):
            self.declared_again(schedule, future.get())
        old = [row.name for row in rows.values() if row.declared < now - BEAT_SECONDS / 2 and row.name in self.entries]
        if old:
            values: dict[str, Any] = {"queue": local.name, "names": json.dumps(old), "now": now}
            local.store.write(lambda transaction: transaction.run("schedules.beat", values), durability="process")
        self.looked_at = local.clock.monotonic()

    def heed(self, schedule: Schedule, row: ledger.ScheduleRow | None, now: float) -> bool:
        """Plan a schedule by its row; False if it is to be declared again, as it is gone, or its clock was wrong."""
        if row is not None and (row.cron, row.zone) != (schedule.cron, schedule.zone):
            self.entries.pop(schedule.name, None)
            return not self.is_abandoned(schedule, row, now)
        if row is None or row.is_ahead(now):
            return False
        self.left.pop(schedule.name, None)
        self.plan(schedule.name, row.next)
        return True

    def is_abandoned(self, schedule: Schedule, row: ledger.ScheduleRow, now: float) -> bool:
        """Say whether no living process has the times of a schedule's row, which are others than this process's.

        The same row is to be seen for a minute: after a computer has slept, all rows are old, and their processes live.
        """
        seen = self.local.clock.monotonic()
        before = self.left.get(row.name)
        if before is None or before[0] != row.declared:
            if before is None:
                text = "Queue %s: schedule %r has the times %r of another process; this one, with %r, leaves it alone"
                logger.info(text, self.local.name, row.name, row.cron, schedule.cron)
            self.left[row.name] = (row.declared, seen)
            return False
        if row.declared > now - STALE_SECONDS or seen - before[1] < BEAT_SECONDS:
            return False
        text = "Queue %s: no living process has the times %r of schedule %r any more; those of this one hold again, %r"
        logger.warning(text, self.local.name, row.cron, row.name, schedule.cron)
        return True
