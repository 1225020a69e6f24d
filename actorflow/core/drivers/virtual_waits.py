"""Virtual waits: the waits of handlers and of the driver in virtual time, and their errors.

A handler that waits parks, and others run meanwhile. The driver is the thread that made the scheduler: its waits make
the system run, until their future is done, their time is over, nothing is left to run, or the run fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.drivers.parked import Parked
from actorflow.core.drivers.virtual_baton import VirtualBaton
from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import DRIVERS, ask_timeout, wait_outside
from actorflow.core.futures.wait_graph import deadlock, find_cycle
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.running.async_handler import stopping
from actorflow.core.running.run_queue import AT_REST
from actorflow.errors import ActorflowError, DeadlockError, DefinitionError, StuckError

if TYPE_CHECKING:
    from actorflow.core.refs.home import Home
    from actorflow.core.refs.ref import ActorRef


class VirtualWaits(VirtualBaton):
    """Parks the threads that wait, and says how each wait ended."""

    def __init__(
        self, *, name: str, seed: int | None, ask_timeout: float | None, threads: int, step_limit: int | None
    ) -> None:
        super().__init__(name=name, seed=seed, ask_timeout=ask_timeout, threads=threads)
        self._previous_driver = DRIVERS.get(self.driver_thread)
        DRIVERS[self.driver_thread] = self.drive
        self.steps = 0
        self.step_limit = math.inf if step_limit is None else step_limit
        self.last_step = math.inf  # of the present wait
        self._after_step: Callable[[], object] | None = None

    @property
    def after_step(self) -> Callable[[], object] | None:
        """The function to call after each step."""
        return self._after_step

    @after_step.setter
    def after_step(self, check: Callable[[], object] | None) -> None:
        self._after_step = check
        self.next_look = 0

    @property
    def world(self) -> VirtualWaits:
        """The scheduler that runs this one's steps."""
        return self

    # --- of handlers -------------------------------------------------------------------------------------------------

    def wait(self, worker: Any, future: Future[Any], timeout: float | None) -> None:
        """Park a handler's thread until the future is done."""
        ref = worker.item[0]
        if worker.item is AT_REST:  # a finaliser waits, which runs between two steps
            self.refuse(future, timeout)
            return
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

    def block_loop(self, execution: Any, future: Future[Any], timeout: float | None) -> None:
        """Park the thread that runs a turn of an asyncio loop; the loop has no other turn meanwhile."""
        worker = self.running
        assert worker is not None
        loop = execution.thread.loop
        if loop.is_frozen:
            raise worker.late()
        worker.forget()
        worker.parked = parked = Parked(self, future, timeout)
        loop.blocked = (parked, worker)
        parked.item = execution.item if execution.receiver is not None else None
        worker.is_busy = False
        try:
            self.park(parked, timeout)
        finally:
            worker.parked, worker.is_busy = None, True
            loop.blocked = None
            self.running = worker
        if loop.is_frozen:
            raise worker.late()
        if not future._done:
            raise ask_timeout(future, timeout)

    def refused_wait(self, ref: ActorRef[Any], future: Future[Any]) -> DefinitionError | None:
        """Return the error of a handler's wait for real time: the clock would jump past it, to the end of the wait."""
        return real_wait(ref, future) if is_real(future) and not future._done else None

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

    # --- of the driver -----------------------------------------------------------------------------------------------

    def drive(self, future: Future[Any], timeout: float | None) -> None:
        """Run the system until the driver's future is done.

        Raises:
            AskTimeout: the virtual time ran out.
            DeadlockError: nothing is left that could run.
        """
        home = home_of(future)
        if isinstance(home, VirtualWaits) and self.leaves_to(home):
            home.drive(future, timeout)
            return
        if self.closed or (self.driver is not None and self.driver.away) or is_real(future):
            wait_outside(future, timeout)
            return
        parked = Parked(self, future)
        self.run_until(parked, timeout)
        if future._done:
            return
        if parked.stuck:
            who = f" of {future._target.path}" if future._target is not None else ""
            msg = f"nothing is left to run at {self.clock.now:g} s of virtual time, and the answer{who} is not there"
            raise DeadlockError(msg)
        raise ask_timeout(future, timeout)

    def leaves_to(self, home: VirtualWaits) -> bool:
        """Say whether another scheduler of this thread has to run, as that is to set the future."""
        return home.world is not self.world and home.driver_thread == self.driver_thread and not home.closed

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, and all that is due in it happen; call it in the driver's thread."""
        if self.driver is not None and self.driver.away:
            msg = "sleep() of a virtual system is for the thread that made it; a handler sleeps by ctx.sleep"
            raise DefinitionError(msg)
        parked = Parked(self, Future())
        parked.until = self.clock.now + seconds
        self.run_until(parked, None)
        if parked.stuck:
            msg = "the virtual scheduler failed; the log says why"
            raise ActorflowError(msg)

    def run_until(self, parked: Parked, timeout: float | None) -> None:
        """Let the system run until a wait of the driver is over; raise the error that ended the run."""
        self.last_step = self.steps + self.step_limit
        self.next_look = 0
        self.park_driver(parked, timeout)
        failure, self.failure = self.failure, None
        if failure is not None:
            self.after_step = None  # the end of the system would fail, too
            raise failure

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

    def end_sleep(self) -> bool:
        """Wake the driver if it sleeps and nothing more is due until then."""
        driver = self.driver
        if driver is None or driver.until is None or driver.over or self.timers.next_due <= driver.until:
            return False
        self.clock.now = driver.until
        driver()
        return True

    def leave_driver(self) -> None:
        """Leave the driver's thread to the system that had its waits before."""
        if DRIVERS.get(self.driver_thread) == self.drive:
            del DRIVERS[self.driver_thread]
            earlier: Any = self._previous_driver
            while earlier is not None and earlier.__self__.closed:  # they may end in any order
                earlier = earlier.__self__._previous_driver
            if earlier is not None:
                DRIVERS[self.driver_thread] = earlier


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
