"""Log records: those that are made in a simulated world carry its time, and the node and host whose code logs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.sim.patches.place import world_here, world_of_thread
from actorflow.sim.world.scheduler import SimScheduler

if TYPE_CHECKING:
    from actorflow.sim.patches.patched import Patch


class RecordFactory:
    """Makes log records while a simulation is open.

    The attributes have names of their own: those that a program gives as `extra` must not be there already.
    """

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a record; outside of a simulated world, one like any other."""
        record = self.real(*args, **kwargs)
        here = world_here()
        world = world_of_thread() if here is None else here.world
        if world is None:
            return record
        record.sim_time = world.clock.now
        execution = None if here is None else here.execution
        ref = None if execution is None else execution.receiver
        record.sim_node = record.sim_host = None
        if ref is not None and isinstance(ref._scheduler, SimScheduler):
            record.sim_node = ref._scheduler.number
            record.sim_host = ref._scheduler.hosts_here.of(ref).name
        return record


class LogRecords:
    """The patch of the factory. Another one each time: a program that wraps it may have it for ever."""

    def __init__(self) -> None:
        self._factory: RecordFactory | None = None

    def on(self) -> None:
        """Have records made here."""
        self._factory = RecordFactory(logging.getLogRecordFactory())
        logging.setLogRecordFactory(self._factory)

    def off(self) -> None:
        """Have records made as before, unless the program has set a factory of its own meanwhile."""
        factory, self._factory = self._factory, None
        if factory is not None and logging.getLogRecordFactory() is factory:
            logging.setLogRecordFactory(factory.real)


def patches() -> list[Patch]:
    """Return the patch of log records."""
    return [LogRecords()]
