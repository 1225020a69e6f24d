"""Preemption: the thread that fires timers and overtakes handlers that block unseen.

It ticks each millisecond while handlers run, and sleeps when the system has idled for a while.
"""

from __future__ import annotations

import _thread
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.refs.cell import WORK

if TYPE_CHECKING:
    from actorflow.core.drivers.live import LiveScheduler

TICK: Final = 0.001
IDLE_TICKS: Final = 50  # an ask a few milliseconds later must not pay for waking the thread
TIMER_TICKS: Final = 2  # after the work of a timer, which is no sign of asks: 50 each half second take 0.4 % of a core
# Woken late, it had to wait for the interpreter lock: some thread computes and nobody blocks. Ticking on would cost
# that thread, and all others that wait for the lock, 5 ms each time.
LATE: Final = 0.002
SLOW_TICK: Final = 0.016
COMPUTES: Final = 0.005  # a handler that computes is overtaken later: Python switches threads each 5 ms anyway


class Preemption:
    """The thread of a live scheduler that fires timers and overtakes blocking handlers; started at the first work."""

    def __init__(self, scheduler: LiveScheduler) -> None:
        self.scheduler = scheduler
        self.asleep = True
        self._tick = TICK
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        threading.Thread(target=self._work, name=f"{scheduler.name}-pulse", daemon=True).start()

    def ring(self) -> None:
        """Wake the thread."""
        self.asleep = False
        try:
            self._bell.release()
        except RuntimeError:  # rung already
            return

    def _work(self) -> None:
        scheduler = self.scheduler
        clock = scheduler.clock.monotonic
        quiet = 0
        is_timers = False  # the work that goes on is a timer's
        seen: Any = None
        since = cpu = 0.0
        while not scheduler.closed:
            if scheduler.idle:
                quiet, is_timers = quiet + 1, False
            elif not is_timers:
                quiet = 0
            self._sleep(quiet)
            now = clock()
            if scheduler.timers.next_due <= now and not scheduler.closed:
                self._fire()
                quiet, is_timers = min(quiet, IDLE_TICKS - TIMER_TICKS), True
            scheduler.tick()
            if scheduler.inbox and scheduler.slot:
                # Turns for waiting messages: a short inbox is run in its order, however long each handler takes.
                scheduler.inbox.appendleft((WORK, scheduler.sort_all, None, None))
            try:
                worker = scheduler.slot[0]
            except IndexError:
                seen = None
                continue
            if worker.item is not seen:
                seen, since, cpu = worker.item, now, self._cpu(worker)
            elif scheduler.inbox or scheduler.ready:
                computes = self._cpu(worker) - cpu > (now - since) / 2
                if (not computes or now - since > COMPUTES) and worker.item is seen:
                    self._overtake(worker, learn=not computes)
                    seen = None

    def _sleep(self, quiet: int) -> None:
        """Wait for the next tick, or, after some quiet ones, for the next timer or a ring."""
        scheduler, clock = self.scheduler, self.scheduler.clock.monotonic
        start = clock()
        until_timer = max(0.0, min(scheduler.timers.next_due - start, threading.TIMEOUT_MAX))
        if quiet < IDLE_TICKS:
            tick = min(self._tick, until_timer)
            self._bell.acquire(timeout=tick)
            self._tick = min(2 * self._tick, SLOW_TICK) if clock() - start > tick + LATE else TICK
            return
        self.asleep = True
        self._tick = TICK
        if scheduler.idle and not scheduler.closed:  # else the holder is at work, and does not ring
            until_timer = max(0.0, min(scheduler.timers.next_due - start, threading.TIMEOUT_MAX))
            self._bell.acquire(timeout=until_timer)
        self.asleep = False

    def _fire(self) -> None:
        scheduler = self.scheduler
        scheduler.timers.next_due = float("inf")  # until the holder has looked: do not post twice

        scheduler.post_work(lambda: scheduler.timers.fire_due(scheduler.clock.monotonic()))

    def _cpu(self, worker: Any) -> float:
        """Return the CPU seconds of the worker's thread; it tells a handler that computes from one that blocks."""
        if worker.cpu_clock is None:
            return 0.0
        try:
            return time.clock_gettime(worker.cpu_clock)
        except OSError:  # the thread has ended
            return 0.0

    def _overtake(self, worker: Any, *, learn: bool) -> None:
        """Take the baton from a handler that blocks, and let another thread go on."""
        scheduler = self.scheduler
        ref = worker.item[0]
        spare = scheduler.find_spare()
        if spare is None:
            return
        worker.without_baton = True
        try:
            scheduler.slot.remove(worker)
        except ValueError:
            scheduler.put_back(spare)
            return
        if learn and ref is not None:
            ref._traits.learn()
        spare.park.release()
