"""Timers: the heap of pending timers, on the scheduler's clock. Only the holder of the baton touches the heap."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Call
from actorflow.core.refs.cold_fields import cold_of

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler


MOST: Final = 1e18  # firings that are skipped at once: of a period next to nothing there would be more than numbers


class Sleep(Future[None]):
    """A future that is set once the time `due` has come."""

    __slots__ = ("due",)

    def __init__(self, due: float) -> None:
        super().__init__()
        self.due = due


class TimerEntry:
    """One callback in the heap; `fire` is None once it is cancelled, `is_silent` if nothing comes of it in a drain."""

    __slots__ = ("due", "fire", "is_silent", "number")

    def __init__(self, due: float, number: int, fire: Callable[[], object]) -> None:
        self.due = due
        self.number = number
        self.fire: Callable[[], object] | None = fire
        self.is_silent = False

    def __lt__(self, other: TimerEntry) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class TimerHeap:
    """Callbacks by due time; equal times fire in the order they were added. Cancelled ones are swept out.

    Each scheduler makes one. Only the holder of the baton calls its methods.
    """

    def __init__(self) -> None:
        self._heap: list[TimerEntry] = []
        self._count = itertools.count()
        self._cancelled = 0
        self.next_due = math.inf

    def add(self, due: float, fire: Callable[[], object]) -> TimerEntry:
        """Have `fire` called by the holder of the baton at `due` or soon after."""
        entry = TimerEntry(due, next(self._count), fire)
        heapq.heappush(self._heap, entry)
        self.next_due = self._heap[0].due
        return entry

    def cancel(self, entry: TimerEntry) -> None:
        """Do not call it; does nothing if it was called."""
        if entry.fire is None:
            return
        entry.fire = None
        self._cancelled += 1
        if self._cancelled > len(self._heap) // 2:
            self._heap = [kept for kept in self._heap if kept.fire is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0
        self._skip_cancelled()

    def has_due(self, until: float) -> bool:
        """Say whether something may come of a timer by then, while the system drains."""
        return any(entry.due <= until and entry.fire is not None and not entry.is_silent for entry in self._heap)

    def pop_due(self, now: float) -> list[Callable[[], object]]:
        """Take out all that is due."""
        fires = []
        while self._heap and self._heap[0].due <= now:
            entry = heapq.heappop(self._heap)
            if entry.fire is None:
                self._cancelled -= 1
            else:
                fires.append(entry.fire)
                entry.fire = None
        self._skip_cancelled()
        return fires

    def fire_due(self, now: float) -> None:
        """Call all that is due; one that fails keeps no other from its turn."""
        for fire in self.pop_due(now):
            try:
                fire()
            except Exception as error:  # noqa: BLE001 - the holder of the baton must live on
                logger.critical("A timer of the runtime failed; please report it", exc_info=error)

    def look(self) -> None:
        """Find the next timer that is due, after an `add` that was interrupted."""
        self._skip_cancelled()

    def _skip_cancelled(self) -> None:
        while self._heap and self._heap[0].fire is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        self.next_due = self._heap[0].due if self._heap else math.inf

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def clear(self) -> None:
        """Forget all timers."""
        self._heap.clear()
        self._cancelled = 0
        self.next_due = math.inf


class Timer:
    """A message to come, made by `ctx.after` or `ctx.every`. It dies with the incarnation that made it.

    A timer can be awaited in an `async def` handler, until it is due for the first time.
    """

    __slots__ = ("_actor", "_call", "_entry", "_fired", "_period", "_queued", "_scheduler", "cancelled")

    def __init__(self, actor: Actor, period: float | None, call: Call) -> None:
        self._actor = actor
        self._call = call
        self._entry: TimerEntry | None = None
        self._period = period
        self._scheduler: Scheduler = actor._actor_ref._scheduler
        self._queued = False
        self._fired = Sleep(math.inf)
        self.cancelled = False

    def cancel(self) -> bool:
        """Cancel the timer; True if a firing was still to come. A firing that is queued and not handled is dropped."""
        pending = not self.cancelled and (self._period is not None or not self._fired._done or self._queued)
        self.cancelled = True
        self._fired._settle(None, None)
        self._scheduler.post_work(self.forget)
        return pending

    def __await__(self) -> Generator[Any, Any, None]:
        return self._fired.__await__()

    def start(self, due: float) -> None:
        """Put the timer on the heap, from any thread."""
        self._fired.due = due
        self._scheduler.post_work(lambda: self._schedule(due))

    def _schedule(self, due: float) -> None:
        if self.is_wanted():
            cold_of(self._actor._actor_ref).timers.add(self)
            self._entry = self._scheduler.add_timer(due, lambda: self.fire(due))
            self._entry.is_silent = True

    def forget(self) -> None:
        """Take the timer off the heap: it is cancelled, or its incarnation is over."""
        if self._entry is not None:
            self._scheduler.timers.cancel(self._entry)
            self._entry = None
        cold = self._actor._actor_ref._cold
        if cold is not None:
            cold.timers.discard(self)

    def fire(self, due: float) -> None:
        """Queue the message, and the next firing; a firing that was not handled yet is not queued twice."""
        if not self.is_wanted():
            self._fired._settle(None, None)  # a handler that awaits it goes on, also while the system drains
            return
        if not self._queued:
            self._queued = True
            ref = self._actor._actor_ref
            self._scheduler.inbox.append((ref, self, None, ref))
        self._fired._settle(None, None)
        if self._period is None:
            self.forget()
            return
        # Fixed rate: the next due time counts from the last due time; missed ones are skipped.
        now = self._scheduler.clock.monotonic()
        missed = min((now - due) / self._period, MOST)
        later = due + self._period * max(1.0, math.floor(missed) + 1)
        self._entry = self._scheduler.add_timer(later, lambda: self.fire(later))
        self._entry.is_silent = True

    def is_wanted(self) -> bool:
        """Say whether the timer is not cancelled and its incarnation lives; while the system drains few timers fire."""
        actor = self._actor
        if self.cancelled or (self._scheduler.draining and not actor._works_in_drains):
            return False
        return actor._actor_ref._actor is actor

    def __repr__(self) -> str:
        return f"<Timer {self._call!r}>"


@handles(Timer, silent=True)
def run_timer(ref: ActorRef[Any], timer: Timer) -> Any:
    """Run the method of a timer whose message was reached, unless it is not wanted any more."""
    timer._queued = False
    if not timer.is_wanted():
        return None
    call = timer._call
    return ref._within(lambda: ref._actor._perform_named(call.name, call.args, call.kwargs))  # type: ignore[union-attr]
