"""Operator: starts and deploys nodes in the midst of a run, which takes handlers that may wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actorflow.app.settings import Settings
from actorflow.app.virtual import VirtualSystem
from actorflow.core.actors.actor import Actor
from actorflow.core.messages.execution import Abandoned
from actorflow.sim.world.host import NodeHosts
from actorflow.sim.world.scheduler import SimScheduler

if TYPE_CHECKING:
    from actorflow.sim.world.scheduler import SimWorld

NAME = "operator"


class OperatorCall(Actor):
    """Calls one function, which may wait, and ends."""

    def act(self, function: Callable[[], object], failed: Callable[[BaseException], object]) -> None:
        """Call the function."""
        try:
            function()
        except Abandoned:
            raise
        except BaseException as error:  # noqa: BLE001 - the one who waits for the run gets it
            failed(error)
        self.stop()


class Operator:
    """A system of its own in the world, outside of all nodes: it is never killed."""

    def __init__(self, world: SimWorld) -> None:
        scheduler = SimScheduler(world, NodeHosts(f"/{NAME}", -1, each=False), name=NAME, ask_timeout=None)
        self.system = VirtualSystem._on(scheduler, NAME, "memory:", Settings())

    def call(self, function: Callable[[], object], failed: Callable[[BaseException], object]) -> None:
        """Have a function called in a handler of its own."""
        self.system.spawn(OperatorCall).cast(OperatorCall.act, function, failed)
