"""Virtual: the scheduler on one virtual clock, one step at a time, in an order that a seed chooses.

Handlers, futures and supervision are the same as on a live one; only the order of runs and the time differ. Here are
the steps; `virtual_baton` has the threads, `virtual_waits` what a wait does. When nothing can run, the clock jumps to
the next timer.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import re
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.drivers import collector, watchdog
from actorflow.core.drivers.parked import Parked
from actorflow.core.drivers.virtual_threads import Given, LoopTurn, VirtualOwnThread, VirtualThread
from actorflow.core.drivers.virtual_waits import VirtualWaits
from actorflow.core.messages.execution import CURRENT
from actorflow.core.refs.cell import BUSY, READY
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.run_queue import Ahead, SchedulerThread
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual_loop import VirtualLoop

ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
TRACED = 10_000  # characters of a message's text: two messages that differ are told apart


class VirtualScheduler(VirtualWaits):
    """Runs actors step by step on a virtual clock. Make it, use it and close it in one thread.

    `seed` None keeps the live order, first in first out; a number chooses among all runnable actors, and is repeatable.
    `trace` collects (virtual time, path, message) of each step when it is a list. StuckError ends a wait of more than
    `step_limit` steps, and one in which a handler keeps its turn for `turn_seconds` of real time.
    """

    def __init__(
        self,
        *,
        name: str,
        seed: int | None = None,
        ask_timeout: float | None = None,
        threads: int = 2000,
        step_limit: int | None = None,
        turn_seconds: float | None = None,
    ) -> None:
        super().__init__(name=name, seed=seed, ask_timeout=ask_timeout, threads=threads, step_limit=step_limit)
        self.seed = seed
        self.streams: dict[str, random.Random] = {}
        self.trace: list[tuple[float, str, str]] | None = None
        collector.hold_off(id(self))
        if turn_seconds is not None:
            watchdog.watch(self, turn_seconds)

    def random_for(self, path: str) -> random.Random:
        """Return the stream of random numbers of a path: what others draw, and when, does not shift it."""
        stream = self.streams.get(path)
        if stream is None:
            text = f"{self.seed or 0} {path}".encode()
            stream = self.streams[path] = random.Random(int.from_bytes(hashlib.sha256(text).digest()))
        return stream

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self, worker: VirtualThread) -> None:
        """Let one message, one step of a coroutine or one parked thread go on; or let time pass."""
        self.sort_all()
        if self.lost_baton:
            self.rest(worker)
            return
        if self.after_step is not None or self.failure is not None or self.steps >= self.last_step:
            self.check_run()
            if self.failure is not None and self.tell_driver(worker):
                return
        if not self.ready:
            if not self.inbox and not self.end_sleep() and not self.advance():
                self.give_back(worker)
            return
        self.steps += 1
        if not self.steps % collector.STEPS:
            collector.collect(self.steps)
        lock = self.start(worker, self.pick())
        if lock is not None:
            self.pass_to(worker, lock)  # here, where this thread holds no request while it rests: see `report_unread`

    def pick(self) -> Any:
        """Choose the next actor to run."""
        if self.seed is None or len(self.ready) == 1:
            return self.ready.popleft()
        index = self.random.randrange(len(self.ready))
        self.ready.rotate(-index)
        entry = self.ready.popleft()
        self.ready.rotate(index)
        return entry

    def advance(self) -> bool:
        """Jump to the next timer, if there is one."""
        timers = self.timers
        if timers.next_due == math.inf:  # nothing, or what never comes
            return False
        self.clock.now = max(self.clock.now, timers.next_due)
        timers.fire_due(self.clock.now)
        return True

    def start(self, worker: VirtualThread, entry: Any) -> Any:
        """Run an entry of the ready queue here, or return the lock of the thread that has to go on with it."""
        kind = entry.__class__
        if kind is Parked:
            if self.trace is not None and entry.item is not None:
                self.note(entry.item[0].path, f"{traced(entry.item[1])} goes on")
            return entry.lock
        if kind is LoopTurn:
            self.run_turn(worker, entry.loop)
            return None
        ref, item = self.unpack(entry)
        if ref is None:
            return None
        if self.trace is not None:
            self.note(ref.path, traced(item[1]) + (" goes on" if kind is AsyncHandler else ""))
        if ref._traits.pinned and not (kind is AsyncHandler and entry.is_abandoned):  # its thread ends
            pinned = self.pinned(ref)
            pinned.given = [entry, ref, item]
            return pinned.worker.park
        self.run_entry(worker, [entry, ref, item])
        del item  # see `handle` of the scheduler
        return None

    def note(self, path: str, text: str) -> None:
        """Write a line of the trace."""
        assert self.trace is not None
        self.trace.append((self.clock.now, path, text))

    def unpack(self, entry: Any) -> tuple[ActorRef[Any] | None, Any]:
        """Return actor and message of an entry of the ready queue; no actor if the entry is out of date."""
        kind = entry.__class__
        if kind is AsyncHandler:
            return entry.resume_item[0], entry.item
        if kind is Ahead:
            return entry.item[0], entry.item
        ref = entry
        if ref._state != READY or not ref._queue:
            return None, None
        item = ref._queue.popleft()
        ref._state = BUSY
        return ref, item

    def run_entry(self, worker: VirtualThread, given: Given) -> None:
        """Run a handler, or a step of one, and act on its outcome."""
        self.running = worker
        worker.run(self._run_entry, given)

    def _run_entry(self, worker: VirtualThread, given: Given) -> None:
        entry, ref, item = given
        given.clear()
        context = self.context.copy()
        context.run(CURRENT.set, worker)
        if entry.__class__ is AsyncHandler:
            outcome = context.run(self.resume, worker, entry)
        else:
            outcome = context.run(self.handle, worker, item)
            del item
        if not (entry.__class__ is Ahead or (entry.__class__ is AsyncHandler and entry.is_ahead)):
            self.after(worker, ref, outcome)

    def run_turn(self, worker: VirtualThread, loop: VirtualLoop) -> None:
        """Let the asyncio loop of a system, of this one or of one in its world, run its ready handles."""
        system = loop.scheduler
        if system.closed:
            return
        if self.trace is not None:
            self.note(f"/{system.name}", "a turn of the asyncio loop")
        self.running = worker
        worker.run(lambda _, loop: loop.run_turn(), loop)

    # --- own threads, end --------------------------------------------------------------------------------------------

    def pinned(self, ref: ActorRef[Any]) -> VirtualOwnThread:
        """Return the own thread of an actor with blocking=True, made at first use."""
        cold = cold_of(ref)
        if cold.pinned is None:
            cold.pinned = VirtualOwnThread(self, ref)
            self.own_threads[cold.pinned.worker] = None
        pinned: Any = cold.pinned
        return pinned  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the carrier threads, and leave the driver's thread alone again."""
        collector.let_run(id(self))
        watchdog.forget(self)
        self.closed = True
        self.idle = [SchedulerThread(self)]  # so that a late sender calls `wake`
        self.leave_driver()
        while self.carriers:
            self.carriers.pop().park.release()
        for worker in list(self.workers):  # whose start was interrupted: they rest, and nobody knows
            with contextlib.suppress(RuntimeError):
                worker.unpark()


def traced(message: Any) -> str:
    """Return the text of a message for a trace: without addresses, which are others in each process."""
    return ADDRESS.sub("", text_of(message, TRACED))
