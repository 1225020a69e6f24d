"""Node: one system of a simulated app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from actorflow.app.virtual import VirtualSystem
from actorflow.errors import DefinitionError
from actorflow.sim.world.host import NodeHosts
from actorflow.sim.world.refs import LABEL
from actorflow.sim.world.scheduler import SimScheduler
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.app.app import App
    from actorflow.sim.world.scheduler import SimWorld
    from actorflow.store.store import Store


class SimSystem(VirtualSystem):
    """The system of one simulated node. An event that the test publishes here is a client event."""

    @classmethod
    def _on(cls, scheduler: Any, *args: Any, **kwargs: Any) -> Self:
        """Start a system; its node has it from here on, as it may crash before all parts of the app are up."""
        system = super()._on(scheduler, *args, **kwargs)
        scheduler.on_made(system)
        return system

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Deliver an event to all services of this node that handle it, as that of any system does."""
        scheduler: Any = self.scheduler
        world: SimWorld = scheduler.world
        if not world.is_entered():
            super().publish(event, key=key, delay=delay)
            return
        with world.one_event(lambda: f"publishes {stable_text(event, LABEL)}") as is_in:
            if is_in:
                super().publish(event, key=key, delay=delay)


class SimNode:
    """One node: the process, or the machine, that a system of the app runs on.

    Attributes:
        number: from 0.
        system: the one that runs; None while the node is down, and until all parts of the app are up.
        hosts: its processes.
        life: counts its deaths: a start that was to follow an earlier one is out of date.
    """

    def __init__(self, world: SimWorld, app: App, store: Store, number: int, *, each: bool) -> None:
        self.world = world
        self.app = app
        self.number = number
        self.hosts = NodeHosts(f"/{app.name}", number, each=each)
        self.system: SimSystem | None = None
        self.life = 0
        self._made: SimSystem | None = None  # it starts, runs or drains
        self._ended: list[SimSystem] = []
        self._store = store

    def __repr__(self) -> str:
        return f"<node {self.number} of {self.app.name}>"

    def start(self) -> SimSystem:
        """Start a system of the app."""
        settings = self.app.system_settings
        scheduler = SimScheduler(self.world, self.hosts, name=self.app.name, ask_timeout=settings.ask_timeout)
        scheduler.on_made = self._begin
        try:
            system = self.app._start_within(SimSystem, scheduler, self._store)
        except BaseException:
            self._made = None
            raise
        if system is self._made:  # else it was killed as it started
            self.system = system
        return system

    def _begin(self, system: SimSystem) -> None:
        self._made = system
        system.ended._when_done(lambda: self._end(system))

    def _end(self, system: SimSystem) -> None:
        """Note the end of a system, as after too many restarts: the node is down, and its process exits."""
        if self._made is system:
            self.system = self._made = None
            self._ended.append(system)
            self.world.timers.add(self.world.clock.now, self._exit)

    def _exit(self) -> None:
        """End the process of a system that has ended: its lock on the store is free."""
        while self._ended:
            self._ended.pop()._kill()

    def start_again(self, life: int) -> None:
        """Start, unless it has died again since a life, or runs."""
        if life == self.life and self._made is None:
            self.start()

    def kill(self) -> int:
        """End the system as by kill -9; its hosts die with it. Return the number of the life that follows."""
        self.life += 1
        self._exit()
        system, self.system, self._made = self._made, None, None
        if system is not None:
            for host in self.hosts.all():
                host.life += 1
                host.down_until = 0.0
                self.world.network.forget(host)
            system._kill()
        return self.life

    def deploy(self, app: App, restart: Callable[[int], object]) -> None:
        """Drain the system by its grace time; then `restart` is called, and the app is another one."""
        system, life = self.system, self.life
        self.app = app
        if system is None:
            return
        self.system = None

        def ended() -> None:
            if life == self.life:  # else it was killed meanwhile
                restart(life)

        system.begin_stop(system.grace)
        system.ended._when_done(ended)

    @property
    def scheduler(self) -> SimScheduler:
        """The scheduler of the system that runs.

        Raises:
            DefinitionError: the node is down.
        """
        if self.system is None:
            raise DefinitionError(f"{self!r} is down")
        return self.system.scheduler  # type: ignore[return-value]

    @property
    def is_up(self) -> bool:
        """Whether a system runs on it."""
        return self.system is not None
