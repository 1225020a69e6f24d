"""Virtual: the scheduler on one virtual clock, one step at a time, in an order that a seed chooses.

Handlers, futures and supervision are the same; only the order of runs and the time differ. One thread runs at any
moment: the baton passes between carrier threads, handlers that wait, and the thread that made the scheduler (the
driver), whose waits make the system run. When nothing can run, the clock jumps to the next timer.
"""

from __future__ import annotations

import _thread
import contextlib
import hashlib
import math
import random
import re
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import at_once, at_once_if, rouser
from actorflow.core.clock import VirtualClock
from actorflow.core.drivers import collector, watchdog
from actorflow.core.drivers.parked import Parked
from actorflow.core.drivers.unwinding import end_coroutine
from actorflow.core.drivers.virtual_threads import LoopTurn, VirtualOwnThread, VirtualThread
from actorflow.core.futures.future import Future
from actorflow.core.futures.parking_lock import ParkingLock
from actorflow.core.futures.thread_wait import DRIVERS, LOOK_UP, ask_timeout, wait_outside
from actorflow.core.futures.wait_graph import deadlock, find_cycle
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, Abandoned, Execution, Item
from actorflow.core.refs.cell import BUSY, READY
from actorflow.core.refs.cold_fields import cold_of, must_stop
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.async_handler import AsyncHandler, stopping
from actorflow.core.running.run_queue import Ahead, SchedulerThread
from actorflow.core.running.scheduler import Scheduler
from actorflow.errors import ActorflowError, DeadlockError, DefinitionError, StuckError, ThreadLimit
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual_loop import VirtualLoop
    from actorflow.core.refs.home import Home

RECALL_SECONDS = 2.0  # of real time
ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
TRACED = 10_000  # characters of a message's text: two messages that differ are told apart


class VirtualScheduler(Scheduler):
    """Runs actors step by step on a virtual clock. Make it, use it and close it in one thread.

    `seed` None keeps the live order, first in first out; a number chooses among all runnable actors, and is repeatable.
    `trace` collects (virtual time, path, message) of each step when it is a list. StuckError ends a wait of more than
    `step_limit` steps, and one in which a handler keeps its turn for `turn_seconds` of real time.
    """

    clock: VirtualClock
    is_virtual = True

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
        super().__init__(VirtualClock(), ask_timeout=ask_timeout, threads=threads, seed=seed or 0)
        self.name = name
        self.seed = seed
        self.streams: dict[str, random.Random] = {}
        self.trace: list[tuple[float, str, str]] | None = None
        self.carriers: list[VirtualThread] = []  # threads that rest without the baton
        self.workers: dict[VirtualThread, None] = {}
        self.own_threads: dict[VirtualThread, None] = {}
        self.running: VirtualThread | None = None  # whose handler has the turn, or had it last
        self._rouse = rouser(self.carriers)
        self.driver: Parked | None = None
        self.lost_baton = False  # True: a wait was interrupted, and the handler that has the baton did not return
        self.driver_thread = threading.get_ident()
        self._previous_driver = DRIVERS.get(self.driver_thread)
        DRIVERS[self.driver_thread] = self.drive
        self.steps = 0
        self.step_limit = math.inf if step_limit is None else step_limit
        self.last_step = math.inf  # of the present wait
        self.after_step: Callable[[], object] | None = None
        self.failure: BaseException | None = None  # for the driver: why the run ends
        self.strike_lock = _thread.allocate_lock()
        collector.hold_off(id(self))
        if turn_seconds is not None:
            watchdog.watch(self, turn_seconds)

    @property
    def world(self) -> VirtualScheduler:
        """The scheduler that runs this one's steps."""
        return self

    # --- threads -----------------------------------------------------------------------------------------------------

    def allocate_lock(self) -> Any:
        """Return a plain lock."""
        return _thread.allocate_lock()

    def random_for(self, path: str) -> random.Random:
        """Return the stream of random numbers of a path: what others draw, and when, does not shift it."""
        stream = self.streams.get(path)
        if stream is None:
            text = f"{self.seed or 0} {path}".encode()
            stream = self.streams[path] = random.Random(int.from_bytes(hashlib.sha256(text).digest()))
        return stream

    def mutex(self) -> Any:
        """Return a lock for which handlers park."""
        return ParkingLock()

    def wake(self) -> None:
        """Answer a late sender after the end; else nothing idles here: the driver's waits make the system run."""
        if self.closed:
            self.close_inbox()

    def start_in_loop(self, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
        """Run a handler as a task on the system's virtual loop."""
        from actorflow.core.drivers.asyncio_loop import start_in_loop  # noqa: PLC0415 - asyncio takes 30 ms to import
        from actorflow.core.drivers.virtual_loop import LoopHome  # noqa: PLC0415

        if self.loop_thread is None:
            self.loop_thread = LoopHome(self)
        start_in_loop(self, item, coro)

    def hand_baton(self) -> None:
        """Let another thread run the loop; the caller parks right after."""
        self.find_carrier()
        self._rouse()

    def find_carrier(self) -> None:
        """Make sure that a thread is at rest which can run the loop."""
        if self.carriers:
            return
        if len(self.workers) >= self.max_threads:
            msg = f"all {self.max_threads} threads of the system wait"
            raise ThreadLimit(msg)
        worker = VirtualThread(self)
        self.workers[worker] = None
        threading.Thread(target=self._work, args=(worker,), name=f"{self.name}-carrier", daemon=True).start()
        self.carriers.append(worker)

    def _work(self, worker: VirtualThread) -> None:
        worker.park.acquire()
        DRIVERS[threading.get_ident()] = self.refuse
        try:
            while not self.closed:
                self.step(worker)
        except BaseException as error:  # noqa: BLE001 - a defect of the scheduler: say so, and free the driver
            logger.critical("The virtual scheduler failed; please report it", exc_info=error)
            if self.driver is not None:
                self.driver.stuck = True
                self.driver.lock.release()
        finally:
            DRIVERS.pop(threading.get_ident(), None)
            self.workers.pop(worker, None)

    def executions(self, ref: ActorRef[Any]) -> list[Execution]:
        """Return where handlers of the actor run or wait. A worker that rests, or is this one, has handled its item."""
        found: list[Execution] = []
        for worker in self.threads():
            if worker.item[0] is ref and not (worker in self.carriers or worker is CURRENT.get()):
                found.append(worker)
                if worker.task is not None and worker.task.item is worker.item:
                    found.append(worker.task)
        if isinstance(ref._waiting, Execution):
            found.append(ref._waiting)
        return found

    def threads(self) -> list[VirtualThread]:
        """Return all threads that may have a handler."""
        return [*self.workers, *self.own_threads]

    # --- the loop ----------------------------------------------------------------------------------------------------

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
        entry = self.pick()
        self.steps += 1
        collector.collect(self.steps)
        if entry.__class__ is Parked:
            if self.trace is not None and entry.item is not None:
                self.trace.append((self.clock.now, entry.item[0].path, f"{traced(entry.item[1])} goes on"))
            lock = entry.lock
            del entry  # while this thread rests it holds no request, or nobody would miss an unread error
            self.pass_to(worker, lock)
            return
        if entry.__class__ is LoopTurn:
            self.run_turn(worker, entry.loop)
            return
        ref, item = self.unpack(entry)
        if ref is None:
            return
        if self.trace is not None:
            goes_on = " goes on" if entry.__class__ is AsyncHandler else ""
            self.trace.append((self.clock.now, ref.path, traced(item[1]) + goes_on))
        if ref._traits.pinned and not (entry.__class__ is AsyncHandler and entry.is_abandoned):  # its thread ends
            pinned = self.pinned(ref)
            pinned.given = (entry, ref, item)
            self.pass_to(worker, pinned.worker.park)
        else:
            self.run_entry(worker, entry, ref, item)
            del item  # see `handle` of the scheduler

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

    def run_entry(self, worker: VirtualThread, entry: Any, ref: ActorRef[Any], item: Any) -> None:
        """Run a handler, or a step of one, and act on its outcome."""
        worker.begin()
        self.running = worker
        try:
            self._run_entry(worker, entry, ref, item)
        except Abandoned:  # it was struck in the last lines, which are the runtime's own
            logger.debug("a handler of %s was ended", ref.path)
        del item  # see `handle` of the scheduler
        worker.is_busy = False
        worker.frames_over()  # if it has returned all the same

    def run_turn(self, worker: VirtualThread, loop: VirtualLoop) -> None:
        """Let the asyncio loop of a system, of this one or of one in its world, run its ready handles."""
        system = loop.scheduler
        if system.closed:
            return
        if self.trace is not None:
            self.trace.append((self.clock.now, f"/{system.name}", "a turn of the asyncio loop"))
        worker.begin()
        self.running = worker
        try:
            loop.run_turn()
        except Abandoned:  # as in `run_entry`
            logger.debug("a task on the asyncio loop of %s was ended", system.name)
        worker.is_busy = False
        worker.frames_over()

    def _run_entry(self, worker: VirtualThread, entry: Any, ref: ActorRef[Any], item: Any) -> None:
        context = self.context.copy()
        context.run(CURRENT.set, worker)
        if entry.__class__ is AsyncHandler:
            outcome = context.run(self.resume, worker, entry)
        else:
            outcome = context.run(self.handle, worker, item)
            del item
        if not (entry.__class__ is Ahead or (entry.__class__ is AsyncHandler and entry.is_ahead)):
            self.after(worker, ref, outcome)

    def pick(self) -> Any:
        """Choose the next actor to run."""
        if self.seed is None or len(self.ready) == 1:
            return self.ready.popleft()
        index = self.random.randrange(len(self.ready))
        self.ready.rotate(-index)
        entry = self.ready.popleft()
        self.ready.rotate(index)
        return entry

    def check_run(self) -> None:
        """Look, between two steps, whether the run is to end with an error."""
        if self.steps >= self.last_step and self.failure is None:
            now = f"{self.clock.now:g} s of virtual time"
            msg = f"this wait has taken {self.step_limit} steps, and it is {now}: do actors keep each other busy?"
            self.failure = StuckError(f"{msg} If they should, give a higher step_limit")
        if self.after_step is not None and self.failure is None:
            try:
                self.after_step()
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
                self.failure = error

    def tell_driver(self, worker: VirtualThread) -> bool:
        """Let the driver go on at once, with the error of the run; False if it does not wait."""
        driver = self.driver
        if driver is None or not driver.away:
            return False
        driver.over = True
        with contextlib.suppress(ValueError):
            self.ready.remove(driver)
        self.pass_to(worker, driver.lock)
        return True

    def leave_behind(self) -> None:
        """Let the driver go on, though a handler has the baton and does not end; any thread may call it."""
        driver = self.driver
        if driver is not None and driver.away:
            self.lost_baton = driver.over = True
            driver.lock.release()

    def raise_failure(self) -> None:
        """Raise, in the driver's wait, the error that ended the run."""
        failure, self.failure = self.failure, None
        if failure is not None:
            self.after_step = None  # the end of the system would fail, too
            raise failure

    def end_sleep(self) -> bool:
        """Wake the driver if it sleeps and nothing more is due until then."""
        driver = self.driver
        if driver is None or driver.until is None or driver.over or self.timers.next_due <= driver.until:
            return False
        self.clock.now = driver.until
        driver()
        return True

    def advance(self) -> bool:
        """Jump to the next timer, if there is one."""
        timers = self.timers
        if timers.next_due == math.inf:  # nothing, or what never comes
            return False
        self.clock.now = max(self.clock.now, timers.next_due)
        timers.fire_due(self.clock.now)
        return True

    # --- the baton ---------------------------------------------------------------------------------------------------

    def pass_to(self, worker: VirtualThread, lock: Any) -> None:
        """Wake a parked thread, which goes on with the baton, and rest."""
        worker.forget()
        self.carriers.append(worker)
        lock.release()
        worker.park.acquire()

    def give_back(self, worker: VirtualThread) -> None:
        """Let the driver, if it waits, wait for ever, as nothing is left to run."""
        driver = self.driver
        if driver is not None and not driver.over:
            driver.stuck = driver.over = True
            self.ready.append(driver)
        else:  # the driver's thread is running: rest until it waits again
            self.rest(worker)

    def rest(self, worker: VirtualThread) -> None:
        """Rest without the baton."""
        worker.forget()
        self.carriers.append(worker)
        worker.park.acquire()

    def wait(self, worker: Any, future: Future[Any], timeout: float | None) -> None:
        """Park a handler's thread until the future is done."""
        ref = worker.item[0]
        if ref is None or worker.is_struck:
            raise worker.late()
        refused = self.refused_wait(ref, future)
        if refused is not None:
            raise refused
        parked = Parked(self, future, timeout)
        ref._waiting = parked
        parked.item = worker.item
        try:
            cycle = find_cycle(ref, future)
            if cycle is not None:
                raise deadlock(cycle)
            if must_stop(ref):
                if not worker.is_over:
                    raise stopping()
                ref._waiting = None
                parked = Parked(self, Future())  # it swallows that: time passes until it is abandoned
            worker.parked, worker.is_busy = parked, False
            self.park(parked, timeout)
        finally:
            worker.parked, worker.is_busy = None, True
            self.running = worker
            if ref._waiting is parked:
                ref._waiting = None
        if worker.is_abandoned:
            raise worker.late()
        if future._done:
            return
        if parked.interrupted:
            raise stopping()
        raise ask_timeout(future, timeout)

    def refused_wait(self, ref: ActorRef[Any], future: Future[Any]) -> DefinitionError | None:
        """Return the error of a handler's wait for real time: the clock would jump past it, to the end of the wait."""
        return real_wait(ref, future) if is_real(future) and not future._done else None

    def park(self, parked: Parked, timeout: float | None) -> None:
        """Give the baton away, and return when this thread has it again."""
        if not parked.future._add_waiter(parked):
            return
        entry = None
        if timeout is not None:
            entry = self.timers.add(self.clock.now + max(0.0, timeout), parked.time_out)
        try:
            self.hand_baton()
            parked.lock.acquire()
        finally:
            parked.future._drop_waiter(parked)
            if entry is not None:
                self.timers.cancel(entry)

    def park_driver(self, parked: Parked, timeout: float | None) -> None:
        """Park the driver's thread, where a signal's handler may raise at any bytecode: it has the baton afterwards."""
        self.last_step = self.steps + self.step_limit
        if self.lost_baton:
            msg = "an earlier wait was interrupted while a handler ran that has not returned: make a new system"
            raise ActorflowError(msg)
        entry = None
        try:
            self.driver = parked
            if not parked.future._add_waiter(parked):
                return
            if timeout is not None:
                entry = self.timers.add(self.clock.now + max(0.0, timeout), parked.time_out)
            self.find_carrier()
            at_once(self._rouse, partial(parked.away.append, True))
            while parked.away:
                at_once_if(partial(parked.lock.acquire, True, LOOK_UP), parked.away.clear)
        except BaseException:
            if parked.away:
                self.recall(parked)
            self.timers.look()
            raise
        finally:
            parked.over = True
            parked.future._drop_waiter(parked)
            if entry is not None:
                self.post_work(partial(self.timers.cancel, entry))  # by a thread that is not interrupted
            self.driver = None

    def recall(self, parked: Parked) -> None:
        """Get the baton back for a driver that was interrupted; it comes when the running handler waits or ends."""
        self.post_work(parked.enter)
        self.lost_baton = not parked.lock.acquire(timeout=RECALL_SECONDS)
        parked.away.clear()

    def drive(self, future: Future[Any], timeout: float | None) -> None:
        """Run the system until the driver's future is done.

        Raises:
            AskTimeout: the virtual time ran out.
            DeadlockError: nothing is left that could run.
        """
        home = home_of(future)
        if isinstance(home, VirtualScheduler) and self.leaves_to(home):
            home.drive(future, timeout)
            return
        if self.closed or (self.driver is not None and self.driver.away) or is_real(future):
            wait_outside(future, timeout)
            return
        parked = Parked(self, future)
        self.park_driver(parked, timeout)
        self.raise_failure()
        if future._done:
            return
        if parked.stuck:
            who = f" of {future._target.path}" if future._target is not None else ""
            msg = f"nothing is left to run at {self.clock.now:g} s of virtual time, and the answer{who} is not there"
            raise DeadlockError(msg)
        raise ask_timeout(future, timeout)

    def leaves_to(self, home: VirtualScheduler) -> bool:
        """Say whether another scheduler of this thread has to run, as that is to set the future."""
        return home.world is not self.world and home.driver_thread == self.driver_thread and not home.closed

    def refuse(self, future: Future[Any], timeout: float | None) -> None:
        """Refuse a wait in a thread of the system, but outside of a handler: nothing else would run meanwhile."""
        if is_real(future):
            wait_outside(future, timeout)
            return
        msg = (
            "a wait between two steps of a virtual system has no end, as nothing runs meanwhile: a function of "
            "after_each_step may look at actors, and not ask them; a handler waits in its own context"
        )
        raise DefinitionError(msg)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, and all that is due in it happen; call it in the driver's thread."""
        if self.driver is not None and self.driver.away:
            msg = "sleep() of a virtual system is for the thread that made it; a handler sleeps by ctx.sleep"
            raise DefinitionError(msg)
        parked = Parked(self, Future())
        parked.until = self.clock.now + seconds
        self.park_driver(parked, None)
        self.raise_failure()
        if parked.stuck:
            msg = "the virtual scheduler failed; the log says why"
            raise ActorflowError(msg)

    # --- own threads, end --------------------------------------------------------------------------------------------

    def cut_off(self, execution: Execution) -> None:
        """Wake the thread of a handler that was abandoned while it waits: its frames end."""
        if isinstance(execution, VirtualThread) and execution.parked is not None:
            execution.parked.interrupt()
        elif execution.on_loop:
            from actorflow.core.drivers.virtual_loop import end_task  # noqa: PLC0415 - imported by then

            end_task(execution.task)  # type: ignore[attr-defined]

    def close_coroutine(self, coro: Any) -> None:
        """End the coroutine of a handler that was abandoned, also one that goes on all the same."""
        end_coroutine(coro)

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
        if DRIVERS.get(self.driver_thread) == self.drive:
            del DRIVERS[self.driver_thread]
            earlier: Any = self._previous_driver
            while earlier is not None and earlier.__self__.closed:  # they may end in any order
                earlier = earlier.__self__._previous_driver
            if earlier is not None:
                DRIVERS[self.driver_thread] = earlier
        while self.carriers:
            self.carriers.pop().park.release()
        for worker in list(self.workers):  # whose start was interrupted: they rest, and nobody knows
            with contextlib.suppress(RuntimeError):
                worker.unpark()


def traced(message: Any) -> str:
    """Return the text of a message for a trace: without addresses, which are others in each process."""
    return ADDRESS.sub("", text_of(message, TRACED))


def real_wait(ref: ActorRef[Any], future: Future[Any]) -> DefinitionError:
    """Make the error for a handler in virtual time that waits for a live system, which takes real time."""
    target = future._target
    awaited = "a pool or a job of a live system" if target is None else f"{target.path} of a live system"
    return DefinitionError(
        f"{ref.path} is in virtual time and waits for {awaited}, which takes real time: have both in one system, or "
        "wait in the test's own thread and pass the result on"
    )


def home_of(future: Future[Any]) -> Home | None:
    """Return the system that is to set a future, if it is known."""
    target = future._target
    return future._home if target is None else target._home


def is_real(future: Future[Any]) -> bool:
    """Say whether a live system, or a process, is to set a future: that takes real time, and none of ours."""
    target = future._target
    return future._is_real if target is None else not target._home.is_virtual
