"""World: several systems on one virtual clock, in one order of steps that one seed chooses.

Each system has a scheduler of its own: its end, its events and its settings are apart from the others'. The world has
the run queue, the timers, the clock, the threads and the random numbers. A system may end, or be killed,
at any time; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from actorflow.core.drivers import collector
from actorflow.core.drivers.lost_baton import end_threads
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.core.drivers.virtual_threads import Given, VirtualOwnThread, VirtualThread
from actorflow.core.futures.thread_wait import DRIVERS
from actorflow.core.refs.cell import WORK
from actorflow.core.refs.termination import refuse
from actorflow.core.running.async_handler import AsyncHandler, stopping
from actorflow.core.running.run_queue import Done, SchedulerThread

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef


class World(VirtualScheduler):
    """Runs the actors of several systems. Make it, its systems, and use and close them in one thread."""

    def __init__(
        self,
        *,
        seed: int | None = None,
        threads: int = 2000,
        step_limit: int | None = None,
        turn_seconds: float | None = 30.0,
    ) -> None:
        super().__init__(name="world", seed=seed, threads=threads, step_limit=step_limit, turn_seconds=turn_seconds)

    def run_entry(self, worker: VirtualThread, given: Given) -> None:
        """Run a handler as one of the system that the actor is in."""
        worker.scheduler = owner = owner_of(given[1])
        owner.run_entry(worker, given)

    def unpack(self, entry: Any) -> tuple[ActorRef[Any] | None, Any]:
        """Return actor and message of an entry of the ready queue; those of a killed system are out of date."""
        ref, item = super().unpack(entry)
        if ref is None or owner_of(ref).is_killed:
            return None, None
        return ref, item

    def pinned(self, ref: ActorRef[Any]) -> VirtualOwnThread:
        """Return the own thread of an actor with blocking=True, made at first use."""
        return owner_of(ref).pinned(ref)

    def close(self) -> None:
        """End all threads, also those that nobody would wake any more."""
        super().close()
        if self.lost_baton:
            end_threads(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def owner_of(ref: ActorRef[Any]) -> WorldScheduler:
    """Return the scheduler of the system that an actor of a world is in."""
    scheduler = ref._scheduler
    assert isinstance(scheduler, WorldScheduler)
    return scheduler


class WorldScheduler(VirtualScheduler):
    """The scheduler of one system in a world.

    Attributes:
        is_killed: its actors are gone as by kill -9: nothing of them runs, and nobody is told.
    """

    def __init__(self, world: World, *, name: str, ask_timeout: float | None = None) -> None:
        self._world = world
        super().__init__(name=name, seed=world.seed, ask_timeout=ask_timeout, threads=world.max_threads)
        DRIVERS[world.driver_thread] = world.drive
        self.is_killed = False
        self.clock, self.timers, self.random = world.clock, world.timers, world.random
        self.inbox, self.ready, self.abandoned_items = world.inbox, world.ready, world.abandoned_items
        self.looking = world.looking
        self.carriers, self.workers, self._rouse = world.carriers, world.workers, world._rouse
        self.streams = world.streams
        self.own_threads, self.strike_lock = world.own_threads, world.strike_lock
        self.key = f"{world.random.getrandbits(64):016x}"

    @property
    def world(self) -> World:
        """The world that runs the steps of this system."""
        return self._world

    @property
    def trace(self) -> list[tuple[float, str, str]] | None:
        """The steps of the whole world."""
        return self._world.trace

    @trace.setter
    def trace(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, steps: list[tuple[float, str, str]] | None
    ) -> None:
        if steps is not None:
            self._world.trace = steps

    @property
    def running(self) -> VirtualThread | None:
        """The thread in the whole world that has the turn."""
        return self._world.running

    @running.setter
    def running(self, worker: VirtualThread | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._world.running = worker

    @property
    def after_step(self) -> Callable[[], object] | None:
        """The function to call after each step of the world."""
        return self._world.after_step

    @after_step.setter
    def after_step(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, check: Callable[[], object] | None
    ) -> None:
        if check is not None:
            self._world.after_step = check

    def find_carrier(self) -> None:
        """Make sure that a thread of the world is at rest which can run the loop."""
        self._world.find_carrier()

    def drive(self, future: Future[Any], timeout: float | None) -> None:
        """Run the world until the future of the thread that made it is done."""
        self._world.drive(future, timeout)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for all systems of the world."""
        self._world.sleep(seconds)

    def end_own_threads(self) -> None:
        """End the threads of actors with blocking=True; one whose handler waits ends after it."""
        for own in list(self.own_threads.values()):
            if own.scheduler is self:
                own.end()

    def after(self, worker: SchedulerThread, ref: ActorRef[Any], outcome: Any) -> None:
        """Act on the outcome of a handler, unless the system was killed meanwhile."""
        if not self.is_killed:
            super().after(worker, ref, outcome)

    def wait(self, worker: Any, future: Future[Any], timeout: float | None) -> None:
        """Park a handler's thread until the future is done; in a system that was killed nothing is waited for."""
        if self.is_killed:
            raise stopping()
        super().wait(worker, future, timeout)

    # --- the end -----------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End as by kill -9: no handler runs any more, no `on_stop`, no timer; who waits in one gets Stopping."""
        self.is_killed = True
        for worker in self.threads():
            ref = worker.item[0]
            if ref is not None and ref._scheduler is self and ref._waiting is not None:
                ref._waiting.interrupt()
        self.end_own_threads()
        self.close()

    def close(self) -> None:
        """End this system's part; the world goes on."""
        collector.let_run(id(self))
        self.closed = True
        self.idle = [SchedulerThread(self)]  # so that a late sender calls `wake`

    def close_inbox(self) -> None:
        """Answer the messages to actors of this system that came in after its end."""
        inbox = self.inbox
        for _ in range(len(inbox)):
            item = inbox.popleft()
            if item[0] is WORK or item[0]._scheduler is not self or type(item[1]) in (Done, AsyncHandler):
                inbox.append(item)
            else:
                refuse(item, None)
