"""Timers: what is due when, on the scheduler's clock. Layer 1. Only the holder of the baton touches the heap."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from actorflow.core.future import Future
from actorflow.core.messages import Call

if TYPE_CHECKING:
    from actorflow.core.actor import Actor
    from actorflow.core.scheduler import Scheduler


class TimerHeap:
    """Callbacks by due time; equal times fire in the order they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._count = itertools.count()
        self.next_due = math.inf

    def add(self, due: float, fire: Callable[[], object]) -> None:
        """Have `fire` called by the holder of the baton at `due` or soon after."""
        heapq.heappush(self._heap, (due, next(self._count), fire))
        self.next_due = self._heap[0][0]

    def pop_due(self, now: float) -> list[Callable[[], object]]:
        """Take out all that is due."""
        fires = []
        while self._heap and self._heap[0][0] <= now:
            fires.append(heapq.heappop(self._heap)[2])
        self.next_due = self._heap[0][0] if self._heap else math.inf
        return fires

    def __len__(self) -> int:
        return len(self._heap)

    def clear(self) -> None:
        """Forget all timers."""
        self._heap.clear()
        self.next_due = math.inf


class Timer:
    """A message to come: `ctx.after` and `ctx.every` make it. It dies with the incarnation that made it.

    It can be awaited in an `async def` handler; that waits until it is due for the first time.
    """

    __slots__ = ("_actor", "_call", "_fired", "_period", "_queued", "_scheduler", "cancelled")

    def __init__(self, actor: Actor, period: float | None, call: Call) -> None:
        self._actor = actor
        self._call = call
        self._period = period
        self._scheduler: Scheduler = actor._actor_ref._scheduler
        self._queued = False
        self._fired: Future[None] = Future()
        self.cancelled = False

    def cancel(self) -> bool:
        """Cancel it; True if a firing was still to come. A firing that is queued, but not handled, is dropped too."""
        pending = not self.cancelled and (self._period is not None or not self._fired._done or self._queued)
        self.cancelled = True
        self._fired._settle(None, None)
        return pending

    def __await__(self) -> Generator[Any, Any, None]:
        return self._fired.__await__()

    def start(self, due: float) -> None:
        """Put it on the heap, from any thread."""
        self._scheduler.post_work(lambda: self._scheduler.add_timer(due, lambda: self.fire(due)))

    def fire(self, due: float) -> None:
        """Queue the message, and the next firing; a firing that was not handled yet is not queued twice."""
        if not self.is_wanted():
            return
        if not self._queued:
            self._queued = True
            ref = self._actor._actor_ref
            self._scheduler.inbox.append((ref, self, None, ref))
        self._fired._settle(None, None)
        if self._period is not None:
            # Fixed rate: the next due time counts from the last due time; missed ones are skipped.
            now = self._scheduler.clock.monotonic()
            later = due + self._period * max(1.0, math.floor((now - due) / self._period) + 1)
            self._scheduler.add_timer(later, lambda: self.fire(later))

    def is_wanted(self) -> bool:
        """Say whether its incarnation still lives and nobody cancelled it."""
        actor = self._actor
        return not (self.cancelled or self._scheduler.draining) and actor._actor_ref._actor is actor

    def __repr__(self) -> str:
        return f"<Timer {self._call!r}>"


def run_timer(ref: Any, timer: Timer) -> Any:
    """Run the method of a timer whose message was reached, unless it is not wanted any more."""
    timer._queued = False
    if not timer.is_wanted():
        return None
    call = timer._call
    return getattr(ref._actor, call.name)(*call.args, **call.kwargs)
