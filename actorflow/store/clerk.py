"""Clerk: an actor outside of the tree that does work with the store, one piece after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actorflow.core.actors.function_actor import FunctionActor, calling
from actorflow.core.actors.traits import Options, Traits
from actorflow.core.running.children import system_actor

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler


class BlockingTraits(Traits):
    """Traits of an actor that is known to block: it gets a thread beside the others, unless they have nothing to do."""

    __slots__ = ()

    def unlearn(self, seconds: float) -> None:
        """Keep the actor on a thread of its own: a quick disk is no reason to hold up others."""


def clerk_of(scheduler: Scheduler, name: str) -> ActorRef[FunctionActor]:
    """Start an actor that does work with the store."""
    traits = BlockingTraits(FunctionActor, Options())
    traits.blocks = True
    return system_actor(scheduler, traits, name)


def give(clerk: ActorRef[FunctionActor], work: Callable[[], None]) -> None:
    """Have an actor do a piece of work, behind the earlier ones; the work deals with its errors itself."""
    clerk._scheduler.post(clerk, calling(work), None)
