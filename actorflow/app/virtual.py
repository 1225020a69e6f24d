"""VirtualSystem: an actor system on a virtual clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from actorflow.app.given_store import check_store, check_time
from actorflow.app.settings import Settings
from actorflow.app.system import ActorSystem, check_name
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.core.drivers.world import World, WorldScheduler
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.system_task import completed
from actorflow.core.system import SYSTEMS
from actorflow.errors import DefinitionError
from actorflow.process.hosts.parent.virtual_host import VIRTUAL_KINDS
from actorflow.process.pool.setup import check_positive
from actorflow.store.system_store import SystemStore

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability


class VirtualSystem(ActorSystem):
    """An actor system whose time jumps: an hour of timers passes in milliseconds, and a seed fixes the order of runs.

    The system runs while the thread that made it waits: in `get`, `ask`, `sleep` or `stop`. Between those it stands
    still, so a test sees no races. A seed chooses among all that could run next: the same seed gives the same run.

    >>> import actorflow as af
    >>> class Clock(af.Actor):
    ...     def on_start(self):
    ...         self.ticks = 0
    ...         self.ctx.every(60, self.tick)
    ...
    ...     def tick(self):
    ...         self.ticks += 1
    >>> with VirtualSystem("test", seed=7) as system:
    ...     clock = system.spawn(Clock)
    ...     system.sleep(3600)
    ...     clock.proxy().ticks.get()
    60
    """

    scheduler: VirtualScheduler

    def __init__(
        self,
        name: str = "test",
        *,
        seed: int | None = None,
        store: str | Store = "memory:",
        settings: Settings | None = None,
        step_limit: int | None = None,
        turn_seconds: float | None = 30.0,
    ) -> None:
        """Start a system.

        Args:
            name: the first part of its actors' paths.
            seed: chooses what runs next; None keeps the live order, first in, first out.
            store: its store, or the URL of one.
            settings: as those of an ActorSystem.
            step_limit: the steps that one wait of the test may take; a wait that takes more raises StuckError.
            turn_seconds: seconds of real time that a handler may keep its turn. Then the stacks of all handlers are
                logged, the handler is ended, and the wait of the test raises StuckError. None: any time. A
                handler that a debugger has stopped may keep it.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        check_name(name)
        check_store(store)
        check_time(store, name, is_virtual=True)  # before the scheduler takes over this thread's waits
        settings = settings if settings is not None else Settings()
        check_positive("step_limit", step_limit)
        check_positive("turn_seconds", turn_seconds, float | int)
        scheduler = VirtualScheduler(
            name=name,
            seed=seed,
            ask_timeout=settings.ask_timeout,
            threads=settings.threads,
            step_limit=step_limit,
            turn_seconds=turn_seconds,
        )
        scheduler.kinds = VIRTUAL_KINDS
        super().__init__(name, store=store, settings=settings, scheduler=scheduler)

    @classmethod
    def _within(
        cls, world: World, name: str, *, store: str | Store = "memory:", settings: Settings | None = None
    ) -> Self:
        """Start a system that shares a world with others: the clock, the seed and the order of steps."""
        check_name(name)
        check_store(store)
        check_time(store, name, is_virtual=True)
        settings = settings if settings is not None else Settings()
        return cls._on(WorldScheduler(world, name=name, ask_timeout=settings.ask_timeout), name, store, settings)

    @classmethod
    def _on(
        cls,
        scheduler: VirtualScheduler,
        name: str,
        store: str | Store,
        settings: Settings,
        durability: Durability | None = None,
    ) -> Self:
        """Start a system on a virtual scheduler that is there."""
        system = cls.__new__(cls)
        if scheduler.kinds[0] is ActorRef:
            scheduler.kinds = VIRTUAL_KINDS
        ActorSystem.__init__(system, name, store=store, durability=durability, settings=settings, scheduler=scheduler)
        return system

    async def flush(self) -> None:
        """Commit and tell like any system, and end the tasks that are left on its asyncio loops."""
        await super().flush()
        home: Any = self.scheduler.loop_thread
        for loop in () if home is None else home.loops:
            await completed(loop.end_in_turn())

    def _kill(self) -> None:
        """End a system of a world as by kill -9: nothing is drained, given back or told; the others go on."""
        assert isinstance(self.scheduler, WorldScheduler)
        self.scheduler.kill()
        for free in self.scheduler.at_kill:
            free()
        if isinstance(self._store, SystemStore):
            self._store.abandon()
        self._stopping = self._closed = True
        SYSTEMS.discard(self)
        self.ended._settle(None, None)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, and everything that is due in it happen.

        Raises:
            DefinitionError: the seconds are negative, or no number; or a handler calls it, which has `ctx.sleep`.
        """
        if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            msg = f"a sleep of {seconds!r} seconds: give a number that is not negative"
            raise DefinitionError(msg)
        self.scheduler.sleep(seconds)

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self.scheduler.clock.now

    def after_each_step(self, check: Callable[[], object]) -> None:
        """Call a function after each step from now on, while no handler runs: it may look at all actors, and not wait.

        Its error is raised by the wait of the test that is under way.
        """
        self.scheduler.after_step = check

    def record(self) -> list[tuple[float, str, str]]:
        """Collect each step from now on: (virtual time, path, message); the list grows as the system runs."""
        self.scheduler.trace = []
        return self.scheduler.trace
