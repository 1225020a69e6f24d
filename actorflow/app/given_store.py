"""Given store: checks of the store that a system is given, and what is taken over there from nodes that have died."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.actors.traits import check_choice
from actorflow.errors import DefinitionError
from actorflow.store.store import check_url
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.store.base import StoreBase
    from actorflow.store.members import Inheriting
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability


def check_store(store: str | Store) -> None:
    """Refuse any object but a store or the URL of one: here, and not at the first queue, perhaps hours later.

    Raises:
        DefinitionError: it is something else, a URL of no kind of store, or one that a system has opened for itself.
    """
    if isinstance(store, str):
        check_url(store)
        return
    from actorflow.store.base import StoreBase  # noqa: PLC0415 - most systems open a store by its URL
    from actorflow.store.system_store import SystemStore  # noqa: PLC0415 - as above

    if isinstance(store, SystemStore) or (isinstance(store, StoreBase) and store.owner):
        name = store.name if isinstance(store, SystemStore) else store.owner
        msg = f"store= is that of system {name!r}, which ends with it: open one for both by af.open_store(...)"
        raise DefinitionError(msg)
    if not isinstance(store, StoreBase):
        msg = f"store={text_of(store)}: give a URL such as 'sqlite:///shop.db', or a store of af.open_store(...)"
        raise DefinitionError(msg)


def check_time(store: str | Store, name: str, *, is_virtual: bool) -> None:
    """Refuse a store that is open and has systems in another time, or is closed.

    Raises:
        DefinitionError: the times differ.
        ActorDeadError: the store is closed.
    """
    if not isinstance(store, str):
        opened_one(store).check_admits(name, is_virtual=is_virtual)


def opened_one(store: Store) -> StoreBase[Any]:
    """Return a store as `open_store` makes it; `check_store` has refused all others."""
    return cast("StoreBase[Any]", store)


def check_durability(durability: Durability | None) -> None:
    """Refuse a durability that is none; None is what the store has."""
    if durability is not None:
        check_choice("durability", durability, ("power", "process"))


def register_heirs(store: Store) -> None:
    """Have the jobs and runs of dead nodes taken over, whether or not this system has any."""
    store.members.register("jobs", partial(jobs_of, store))
    store.members.register("runs", partial(runs_of, store))


def runs_of(store: Store, node: str) -> Inheriting | None:
    """Return a function that takes over the runs of a dead node in a system that has none; None if there are none."""
    if store.read(lambda transaction: transaction.one("runs.owned", {"owner": node})) is None:
        return None
    from actorflow.workflows.opening import heir_of  # noqa: PLC0415 - most systems have no runs

    return heir_of(store)(node)


def jobs_of(store: Store, node: str) -> Inheriting | None:
    """Return a function that takes over the jobs of a dead node in a system without open queues; None without jobs."""
    if store.read(lambda transaction: transaction.one("jobs.owned", {"owner": node})) is None:
        return None
    from actorflow.queues.retention import taking_over  # noqa: PLC0415 - most systems have no queue

    return taking_over(store)(node)
