"""Node: one system of a simulated app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.app.virtual import VirtualSystem
from actorflow.errors import DefinitionError
from actorflow.sim.world.host import NodeHosts
from actorflow.sim.world.scheduler import SimScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.app.app import App
    from actorflow.sim.world.scheduler import SimWorld
    from actorflow.store.store import Store


class SimSystem(VirtualSystem):
    """The system of one simulated node. An event that the test publishes here is a client event."""

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Deliver an event to all services of this node that handle it, as that of any system does."""
        scheduler: Any = self.scheduler
        world: SimWorld = scheduler.world
        if not world.is_entered():
            super().publish(event, key=key, delay=delay)
            return
        if not world.begin_event():
            return
        was, world.is_entering = world.is_entering, False
        driver, world.driver_thread = world.driver_thread, 0
        try:
            super().publish(event, key=key, delay=delay)
        finally:
            world.is_entering, world.driver_thread = was, driver


class SimNode:
    """One node: the process, or the machine, that a system of the app runs on.

    Attributes:
        number: from 0.
        system: the one that runs; None while the node is down.
        hosts: its processes.
    """

    def __init__(self, world: SimWorld, app: App, store: Store, number: int, *, each: bool) -> None:
        self.world = world
        self.app = app
        self.number = number
        self.hosts = NodeHosts(f"/{app.name}", number, each=each)
        self.system: SimSystem | None = None
        self._store = store

    def __repr__(self) -> str:
        return f"<node {self.number} of {self.app.name}>"

    def start(self) -> SimSystem:
        """Start a system of the app."""
        settings = self.app.system_settings
        scheduler = SimScheduler(self.world, self.hosts, name=self.app.name, ask_timeout=settings.ask_timeout)
        self.system = self.app._start_within(SimSystem, scheduler, self._store)
        return self.system

    def kill(self) -> None:
        """End the system as by kill -9; its hosts die with it."""
        system, self.system = self.system, None
        if system is None:
            return
        for host in self.hosts.all():
            host.life += 1
            self.world.network.forget(host)
        system._kill()

    def deploy(self, app: App, restart: Callable[[], object]) -> None:
        """Drain the system by its grace time; then `restart` is called, and the app is another one."""
        system = self.system
        self.app = app
        if system is None:
            return
        self.system = None
        system.begin_stop(system.grace)
        system.ended._when_done(restart)

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
