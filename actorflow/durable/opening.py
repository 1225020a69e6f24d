"""Opening: durable actors for a system with a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from actorflow.core.actors.actor import Actor
from actorflow.core.atomic import exclusively
from actorflow.durable.node.runtime import DurableRuntime
from actorflow.durable.ref import DurableRef
from actorflow.errors import DefinitionError
from actorflow.process.options import Process
from actorflow.tasks.options import check_text, is_text
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.store import Store

A = TypeVar("A", bound=Actor)


def place_durable(
    scheduler: Scheduler, store: Callable[[], Store], path: str, traits: Traits
) -> tuple[type[ActorRef[Any]], Traits]:
    """Return the kind of ref of a durable actor, and its traits in this process; the first one opens the store.

    Raises:
        DefinitionError: it has no name.
    """
    options = traits.options
    if options.name is None:
        msg = (
            f"a durable actor under {path.rpartition('/')[0]} has no name: its rows are found by it; .options(name=...)"
        )
        raise DefinitionError(msg)
    check_text("the path of a durable actor", path)
    runtime_of(scheduler, store)
    if options.host is None:
        return DurableRef, traits
    from actorflow.durable.remote.hosted import DurableHostedRef, DurableVirtualHostedRef  # noqa: PLC0415 - most have no host
    from actorflow.process.hosts.parent.hosted_ref import HostedTraits  # noqa: PLC0415

    if scheduler.is_virtual:
        return DurableVirtualHostedRef, traits
    if not isinstance(options.host, Process):
        msg = f"{path} is durable: host={options.host!r} cannot run it; give an af.Process"
        raise DefinitionError(msg)
    return DurableHostedRef, HostedTraits(traits.actor_class, options)


def runtime_of(scheduler: Scheduler, store: Callable[[], Store]) -> DurableRuntime:
    """Return the runtime of a system, made at first use."""
    if scheduler.durable is not None:
        return cast("DurableRuntime", scheduler.durable)
    scheduler.check_usable()  # in a fork, where nobody may be left to free the lock
    opened = store()  # before the lock is taken, since a server may be waited for
    return exclusively(scheduler.first_use, lambda: _make_runtime(scheduler, opened))


def _make_runtime(scheduler: Scheduler, store: Store) -> DurableRuntime:
    if scheduler.durable is None:
        scheduler.durable = DurableRuntime(scheduler, store)
    return cast("DurableRuntime", scheduler.durable)


def ref_by_name(scheduler: Scheduler, store: Callable[[], Store], name: str, cls: type[A]) -> ActorRef[A]:
    """Return a ref to the durable actor of a name, wherever it is.

    Raises:
        DefinitionError: the name is no path below a system, or the class is no actor.
    """
    if not isinstance(cls, type) or not issubclass(cls, Actor):
        msg = f"durable({text_of(name)}, {text_of(cls)}): give the class of the actor, as it is spawned"
        raise DefinitionError(msg)
    parts = name.split("/") if isinstance(name, str) else [""]
    if not all(parts) or not is_text(name):
        msg = (
            f"durable({text_of(name)}, ...): give the path of the actor below its system, such as 'ann' or 'sales/ann'"
        )
        raise DefinitionError(msg)
    return runtime_of(scheduler, store).ref_of(name, cls)
