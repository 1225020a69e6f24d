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
import threading
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.drivers import collector, watchdog
from actorflow.core.drivers.parked import Parked
from actorflow.core.drivers.virtual_threads import Given, LoopTurn, VirtualOwnThread, VirtualThread
from actorflow.core.drivers.virtual_waits import VirtualWaits
from actorflow.core.messages.execution import ABANDONED, CURRENT, Abandoned
from actorflow.core.messages.handlers import HANDLERS
from actorflow.core.messages.messages import CHANGED, Ended
from actorflow.core.refs.cell import BUSY, IDLE, READY
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.failure import failed
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.run_queue import AT_REST, Ahead, Done, SchedulerThread
from actorflow.text import stable_text

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from actorflow.core.drivers.virtual_loop import VirtualLoop

ENTRIES: Final = frozenset((Parked, LoopTurn, AsyncHandler, Ahead))  # of the run queue, that are no refs
TRACED = 10_000  # characters of a message's text: two messages that differ are told apart


class VirtualScheduler(VirtualWaits):
    """Runs actors step by step on a virtual clock. Make it, use it and close it in one thread.

    `seed` None keeps the live order, first in first out; a number chooses among all runnable actors, and is repeatable.
    `trace` collects (virtual time, path, message) of each step when it is a list. StuckError ends a wait of more than
    `step_limit` steps, and one in which a handler keeps its turn for `turn_seconds` of real time.
    """

    is_killed = False  # of a system in a world: nothing of it runs any more

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
        self._draw = self.random.random
        self.streams: dict[str, random.Random] = {}
        self._trace: list[tuple[float, str, str]] | None = None
        self.detours = False  # True: each step goes by `start`, which notes it, or sees whether it is to be taken
        self.cause: int | None = None  # of a simulation: the client event that this step comes of
        self._collected = 0  # at which step
        collector.hold_off(id(self))
        if turn_seconds is not None:
            watchdog.watch(self, turn_seconds)

    @property
    def trace(self) -> list[tuple[float, str, str]] | None:
        """The steps so far, if they are noted."""
        return self._trace

    @trace.setter
    def trace(self, steps: list[tuple[float, str, str]] | None) -> None:
        self._trace = steps
        self.detours = steps is not None

    def random_for(self, path: str) -> random.Random:
        """Return the stream of random numbers of a path: what others draw, and when, does not shift it."""
        stream = self.streams.get(path)
        if stream is None:
            text = f"{self.seed or 0} {path}".encode()
            stream = self.streams[path] = random.Random(int.from_bytes(hashlib.sha256(text).digest()))
        return stream

    # --- steps -------------------------------------------------------------------------------------------------------

    def run_steps(self, worker: VirtualThread) -> None:
        """Take step after step, until a handler has changed the context, or the system is closed."""
        context = self.context.copy()
        context.run(self._run_steps, worker, context)

    def _run_steps(self, worker: VirtualThread, context: contextvars.Context) -> None:
        """Take steps. A message of a plain handler runs here, without the calls of `start`: a third of its time.

        CURRENT stays this worker from one such message to the next, as on a live system; None for all that is rarer. To
        set it takes 100 ns, and a step without that 1500.
        """
        inbox, ready, set_current, free = self.inbox, self.ready, CURRENT.set, self._free_queues
        pick = self.picker()
        set_current(None)
        is_current = False
        worker.ident = threading.get_ident()
        while True:  # not `while not self.closed`: CPython 3.11 quickens code at plain jumps only, to twice the speed
            if self.closed:
                return
            came = len(inbox)
            while came and inbox:  # as `sort_all` does, for the few messages of one step; work may sort the rest
                came -= 1
                item: Any = inbox.popleft()
                ref: Any = item[0]
                kind = type(item[1])  # compared, not looked up: its class may have no hash
                is_message = kind is not AsyncHandler and kind is not Done
                if is_message and ref._state == IDLE:
                    ref._state = READY
                    ref._queue = queue = free.pop() if free else self.new_queue()
                    queue.append(item)
                    ready.append(ref)
                elif is_message and ref._state == READY and ref._queue is not None:
                    ref._queue.append(item)
                else:
                    if is_current:
                        set_current(None)
                        is_current = False
                    self.sort(item)
            ref = item = None
            if not ready or self.steps >= self.next_look:
                if is_current:
                    set_current(None)
                    is_current = False
                if not self._is_due(worker):
                    continue
            self.steps += 1
            ref = pick()
            if self.detours or ref.__class__ in ENTRIES or ref._traits.pinned:
                if is_current:
                    set_current(None)
                    is_current = False
                lock = self.start(worker, ref)
                ref = None
                if lock is not None:
                    self.pass_to(worker, lock)  # here, where this thread holds no request: see `report_unread`
                continue
            queue = ref._queue
            if ref._state != READY or not queue:
                continue
            owner = ref._scheduler
            if owner.is_killed:
                continue
            item = queue.popleft()
            ref._state = BUSY
            self.cause = item[4] if len(item) > 4 else None
            message, future = item[1], item[2]
            result: Any = None
            self.running = worker
            worker.scheduler = owner
            worker.is_busy = True
            worker.item = item
            if not is_current:
                set_current(worker)
                is_current = True
            try:
                try:
                    if (kind := type(message)) in HANDLERS:
                        result = HANDLERS[kind](ref, message)
                    else:
                        result = ref._actor.on_receive(message)
                except BaseException as error:  # noqa: BLE001 - each kind has its own rule
                    outcome: Any = failed(owner, worker, error, future) or CHANGED
                else:
                    if worker.item is not item or (kind := type(result)) is CoroutineType or kind is Ended:
                        outcome = owner.finish(worker, item, result)
                    else:
                        outcome = None
                        if future is not None:
                            future._settle(result, None)
                worker.is_busy = False
                if worker.is_marked:
                    worker.end()
            except Abandoned:  # it was struck in the last lines, which are the runtime's own; no other strike follows
                outcome = None
                is_current = False  # the handler may have set another
                worker.end_struck()
            cold = ref._cold
            if (
                outcome is not None
                or (cold is not None and (cold.exit is not None or cold.unstash))
                or worker.item is ABANDONED
            ):
                set_current(None)
                is_current = False
                owner.after(worker, ref, outcome)
            elif ref._queue:
                ref._state = READY
                ready.append(ref)
            else:
                free.append(ref._queue)
                ref._queue = None
                ref._state = IDLE
            worker.item = AT_REST
            ref = item = message = future = result = outcome = owner = cold = None
            if len(context) > 1:  # more than CURRENT: a handler has set a variable
                return

    def _is_due(self, worker: VirtualThread) -> bool:
        """Look after the driver, and let time pass; False if there is no step to take now."""
        every = collector.STEPS
        self.next_look = min(self.last_step, self.steps + every - self.steps % every)  # first: others set it to 0
        if self.lost_baton:
            self.next_look = 0
            self.rest(worker)
            return False
        if not self.steps % every:
            self.tidy()
        if self.after_step is not None or self.failure is not None or self.steps >= self.last_step:
            self.next_look = 0
            self.check_run()
            if self.failure is not None and self.tell_driver(worker):
                return False
        if self.ready:
            return True
        if not self.inbox and not self.end_sleep() and not self.advance():
            self.give_back(worker)
        return False

    def tidy(self) -> None:
        """Collect garbage."""
        if self.steps != self._collected:
            self._collected = self.steps
            collector.collect(self.steps)

    def picker(self) -> Callable[[], Any]:
        """Return the function that chooses the next entry of the run queue, and takes it out."""
        return self.pick

    def pick(self) -> Any:
        """Choose the next actor to run."""
        if self.seed is None or len(self.ready) == 1:
            return self.ready.popleft()
        return self.take(int(self._draw() * len(self.ready)))

    def take(self, index: int) -> Any:
        """Take the entry at a position out of the run queue; the others keep their order."""
        ready = self.ready
        if not index:
            return ready.popleft()
        ready.rotate(-index)
        entry = ready.popleft()
        ready.rotate(index)
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
        if system.closed and loop.ended is None:
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
            self.own_threads[cold.pinned.worker] = cold.pinned
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
    """Return the text of a message for a trace."""
    return stable_text(message, TRACED)
