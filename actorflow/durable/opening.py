"""Opening: durable actors for a system with a store. Layer 3."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.durable.ref import DurableRef
from actorflow.durable.registry import Registry
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.core.scheduler import Scheduler
    from actorflow.store.store import Store

_lock = threading.Lock()


def durable_kind(scheduler: Scheduler, store: Callable[[], Store], path: str, options: Any) -> type[ActorRef[Any]]:
    """Return the kind of ref of a durable actor; the first one opens the store.

    Raises:
        DefinitionError: it has no name.
    """
    if options.name is None:
        msg = (
            f"a durable actor under {path.rpartition('/')[0]} has no name: its rows are found by it; .options(name=...)"
        )
        raise DefinitionError(msg)
    registry_of(scheduler, store)
    return DurableRef


def registry_of(scheduler: Scheduler, store: Callable[[], Store]) -> Registry:
    """Return the registry of a system, made at first use."""
    with _lock:
        if scheduler.durable is None:
            scheduler.durable = Registry(scheduler, store())
        registry: Registry = scheduler.durable
        return registry
