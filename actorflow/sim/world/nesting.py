"""Nesting: a simulation is made by the test, not by a handler that runs in virtual time itself."""

from __future__ import annotations

from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError


def refuse_within_another() -> None:
    """Refuse a simulation in a handler of virtual time: what waits there waits in the world of the handler.

    Raises:
        DefinitionError: such a handler runs here.
    """
    execution = CURRENT.get()
    if execution is not None and execution.receiver is not None:
        scheduler: object = execution.receiver._scheduler
        if isinstance(scheduler, VirtualScheduler):
            who = f"a handler of {execution.receiver.path}, which runs in virtual time,"
            raise DefinitionError(f"{who} makes a simulation: make it in the test, or in a thread of its own")
