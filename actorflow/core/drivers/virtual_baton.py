"""Virtual baton: the threads of a virtual system, of which one at a time has the baton.

It passes between carriers, which run the steps, handlers that wait, and the thread that made the scheduler (the
driver), whose waits make the system run.
"""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.atomic import at_once, at_once_if, rouser
from actorflow.core.clock import VirtualClock
from actorflow.core.drivers.unwinding import end_coroutine
from actorflow.core.drivers.virtual_threads import VirtualThread
from actorflow.core.drivers.watchdog import stack_of
from actorflow.core.futures.parking_lock import ParkingLock
from actorflow.core.futures.thread_wait import DRIVERS, LOOK_UP
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.core.running.scheduler import Scheduler
from actorflow.errors import ActorflowError, DefinitionError, ThreadLimit

if TYPE_CHECKING:
    from actorflow.core.drivers.parked import Parked
    from actorflow.core.drivers.virtual_threads import VirtualOwnThread
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef

RECALL_SECONDS = 2.0  # of real time


class VirtualBaton(Scheduler):
    """Has the threads, and passes the baton between them."""

    clock: VirtualClock
    is_virtual = True

    def __init__(self, *, name: str, seed: int | None, ask_timeout: float | None, threads: int) -> None:
        super().__init__(VirtualClock(), ask_timeout=ask_timeout, threads=threads, seed=seed or 0)
        self.name = name
        self.carriers: list[VirtualThread] = []  # threads that rest without the baton
        self.workers: dict[VirtualThread, None] = {}
        self.own_threads: dict[VirtualThread, VirtualOwnThread] = {}
        self.running: VirtualThread | None = None  # whose handler has the turn, or had it last
        self._rouse = rouser(self.carriers)
        self.driver: Parked | None = None
        self.next_look: float = 0  # at which step, before it is taken, `_is_due` looks at all that is rare
        self._failure: BaseException | None = None
        self._lost_baton = False
        self.driver_thread = threading.get_ident()
        self.strike_lock = _thread.allocate_lock()

    @property
    def failure(self) -> BaseException | None:
        """For the driver: why the run ends."""
        return self._failure

    @failure.setter
    def failure(self, failure: BaseException | None) -> None:
        self._failure = failure
        self.next_look = 0

    @property
    def lost_baton(self) -> bool:
        """Whether a wait was interrupted, and the handler that has the baton did not return."""
        return self._lost_baton

    @lost_baton.setter
    def lost_baton(self, is_lost: bool) -> None:
        self._lost_baton = is_lost
        self.next_look = 0

    def allocate_lock(self) -> Any:
        """Return a plain lock."""
        return _thread.allocate_lock()

    def mutex(self) -> Any:
        """Return a lock for which handlers park."""
        return ParkingLock()

    def wake(self) -> None:
        """Answer a late sender after the end; else nothing idles here: the driver's waits make the system run."""
        if self.closed:
            self.close_inbox()

    def start_in_loop(self, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
        """Run a handler as a task on a virtual loop."""
        from actorflow.core.drivers.asyncio_loop import begin_task  # noqa: PLC0415 - asyncio takes 30 ms to import
        from actorflow.core.drivers.virtual_loop import LoopHome  # noqa: PLC0415

        begin_task(self, item, coro, self.loop_of(item[0], LoopHome))

    def loop_of(self, ref: ActorRef[Any], make: Callable[[Any], Any]) -> Any:  # noqa: ARG002 - simulated hosts have their own
        """Return the asyncio loop that has the handlers of an actor, made at first need."""
        if self.loop_thread is None:
            self.loop_thread = make(self)
        return self.loop_thread

    def threads(self) -> list[VirtualThread]:
        """Return all threads that may have a handler."""
        return [*self.workers, *self.own_threads]

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

    def cut_off(self, execution: Execution) -> None:
        """Wake the thread of a handler that was abandoned while it waits: its frames end."""
        if isinstance(execution, VirtualThread) and execution.parked is not None:
            execution.parked.interrupt()
        elif execution.on_loop:
            from actorflow.core.drivers.virtual_loop import end_task  # noqa: PLC0415 - imported by then

            end_task(execution.task)  # type: ignore[attr-defined]

    def real_time(self, why: str) -> DefinitionError:
        """Return the error of a call that takes real time."""
        return DefinitionError(why)

    def close_coroutine(self, coro: Any) -> None:
        """End the coroutine of a handler that was abandoned, also one that goes on all the same."""
        end_coroutine(coro)

    # --- carriers ----------------------------------------------------------------------------------------------------

    def hand_baton(self) -> None:
        """Let another thread run the steps; the caller parks right after."""
        self.find_carrier()
        self._rouse()

    def find_carrier(self) -> None:
        """Make sure that a thread is at rest which can run the steps."""
        if self.carriers:
            return
        if len(self.workers) >= self.max_threads:
            msg = f"all {self.max_threads} threads of the system wait"
            raise ThreadLimit(msg)
        worker = VirtualThread(self)
        self.workers[worker] = None
        worker.thread = threading.Thread(target=self._work, args=(worker,), name=f"{self.name}-carrier", daemon=True)
        worker.thread.start()
        self.carriers.append(worker)

    def _work(self, worker: VirtualThread) -> None:
        worker.park.acquire()
        DRIVERS[threading.get_ident()] = self.refuse
        try:
            while not self.closed:
                self.run_steps(worker)
        except BaseException as error:  # noqa: BLE001 - a defect of the scheduler: say so, and free the driver
            logger.critical("The virtual scheduler failed; please report it", exc_info=error)
            if self.driver is not None:
                self.driver.stuck = True
                self.driver.lock.release()
        finally:
            DRIVERS.pop(threading.get_ident(), None)
            self.workers.pop(worker, None)

    def run_steps(self, worker: VirtualThread) -> None:
        """Let things happen, and time pass, until a new context is needed, or the system is closed."""
        raise NotImplementedError  # pragma: no cover - the subclass has it

    def refuse(self, future: Future[Any], timeout: float | None) -> None:
        """Refuse a wait in a thread of the system, but outside of a handler."""
        raise NotImplementedError  # pragma: no cover - the subclass has it

    def pass_to(self, worker: VirtualThread, lock: Any) -> None:
        """Wake a parked thread, which goes on with the baton, and rest."""
        worker.forget()
        self.carriers.append(worker)
        lock.release()
        worker.park.acquire()

    def rest(self, worker: VirtualThread) -> None:
        """Rest without the baton."""
        worker.forget()
        self.carriers.append(worker)
        worker.park.acquire()

    def park(self, parked: Parked, timeout: float | None) -> None:
        """Give a handler's baton away, and return when its thread has it again."""
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

    # --- the driver --------------------------------------------------------------------------------------------------

    def park_driver(self, parked: Parked, timeout: float | None) -> None:
        """Park the driver's thread, where a signal's handler may raise at any bytecode: it has the baton afterwards."""
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
        except BaseException as error:
            if parked.away:
                self.recall(parked, error)
            self.timers.look()
            raise
        finally:
            parked.over = True
            parked.future._drop_waiter(parked)
            if entry is not None:
                self.post_work(partial(self.timers.cancel, entry))  # by a thread that is not interrupted
            self.driver = None

    def recall(self, parked: Parked, error: BaseException) -> None:
        """Get the baton back for a driver that was interrupted; it comes when the running handler waits or ends.

        It comes as with an error of the run: a schedule may let others go first for ever. If it does not come, the
        error of the interrupt has a note of where the handler is.
        """
        mark = KeyboardInterrupt()
        if self.failure is None:
            self.failure = mark
        self.post_work(parked.enter)
        self.lost_baton = not parked.lock.acquire(timeout=RECALL_SECONDS)
        parked.away.clear()
        if self.failure is mark:
            self.failure = None
        if self.lost_baton and self.running is not None:
            error.add_note(f"A handler had not given its turn back for {RECALL_SECONDS:g} s:\n{stack_of(self.running)}")

    def give_back(self, worker: VirtualThread) -> None:
        """Let the driver, if it waits, wait for ever, as nothing is left to run."""
        driver = self.driver
        if driver is not None and not driver.over:
            driver.stuck = driver.over = True
            self.ready.append(driver)
        else:  # the driver's thread is running: rest until it waits again
            self.rest(worker)

    def tell_driver(self, worker: VirtualThread) -> bool:
        """Let the driver go on at once, with the error of the run; False if it does not wait."""
        driver = self.driver
        if driver is None or not driver.away:
            return False
        driver.over = driver.told = True
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
