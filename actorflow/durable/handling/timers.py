"""Timers: those of one durable actor that are rows, and when they fire. Those of machines: `machine_timers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.durable.handling.runtime_messages import TimerFired
from actorflow.durable.rows.answers import TimerRows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.refs.timers import TimerEntry
    from actorflow.durable.rows.records import TimerRow


class Timers(TimerRows):
    """The timers of one durable actor that are rows, by number; the holder of the baton fires each as `TimerFired`."""

    def __init__(self, ref: ActorRef[Any]) -> None:
        super().__init__()
        self.ref = ref
        self.armed: dict[int, TimerEntry] = {}

    def load(self, rows: Iterable[TimerRow]) -> None:
        """Have these and no others; none of them fires yet."""
        self.disarm_all()
        for row in rows:
            self.add(row)

    def arm(self, row: TimerRow) -> None:
        """Have a timer fire when it is due."""
        scheduler = self.ref._scheduler
        delay = max(0.0, row.due - scheduler.clock.time())
        actor = self.ref._actor
        self.add(row)
        self.armed[row.id] = scheduler.add_timer(scheduler.clock.monotonic() + delay, lambda: self.fire(row, actor))

    def arm_all(self, rows: Iterable[TimerRow]) -> None:
        """Have the timers of a new incarnation fire, as far as they are there yet."""
        for row in rows:
            if row.id in self:
                self.arm(row)

    def fire(self, row: TimerRow, actor: Any) -> None:
        """Queue the message of a timer."""
        scheduler = self.ref._scheduler
        if row.id in self and self.ref._actor is actor and not scheduler.draining:
            self.armed.pop(row.id, None)
            scheduler.post(self.ref, TimerFired(row), None)

    def disarm(self, id: int) -> bool:
        """Forget a timer; False if there is none."""
        entry = self.armed.pop(id, None)
        if entry is not None:
            self.ref._scheduler.timers.cancel(entry)
        return self.drop(id)

    def disarm_all(self) -> None:
        """Forget all timers."""
        for id_ in list(self):
            self.disarm(id_)

    def move(self, id: int, due: float) -> None:
        """Have a timer fire at another time."""
        row = self.get(id)
        if self.disarm(id) and row is not None:
            row.due = due
            self.arm(row)
