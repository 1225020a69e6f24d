"""Neighbours: the stores of one process on one database, which tell each other of commits where no thread may look.

On the machine's clock a store has a thread that looks for commits of others. A system in virtual time has none, as the
moment of its look would be another in each run; so a commit itself tells it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.store.base import StoreBase


class Neighbours:
    """The stores of this process on one database, and the functions to call when one of them has committed."""

    def __init__(self) -> None:
        self._stores: weakref.WeakSet[StoreBase[Any]] = weakref.WeakSet()
        self._hearers: dict[object, tuple[StoreBase[Any], Callable[[], object]]] = {}

    def add(self, store: StoreBase[Any]) -> None:
        """Have a store tell of its commits if somebody hears of them; it costs the others nothing."""
        self._stores.add(store)
        if self._hearers:
            store.tell_of_commits(partial(self._tell, weakref.ref(store)))

    def hear(self, store: StoreBase[Any], notice: Callable[[], object]) -> Callable[[], None]:
        """Have a function called, within a commit, when something was written; return a function to end it.

        A store that nobody else uses tells nothing of its own commits.
        """
        key = object()
        self._hearers[key] = store, notice
        for one in list(self._stores):
            one.tell_of_commits(partial(self._tell, weakref.ref(one)))

        def end() -> None:
            self._hearers.pop(key, None)
            if not self._hearers:
                for one in list(self._stores):
                    one.tell_of_commits(None)

        return end

    def users(self) -> list[tuple[str, bool]]:
        """Return the systems that are on the database: the name of each, and whether its time is virtual."""
        return [user for store in list(self._stores) for user in store.users()]

    def _tell(self, teller: weakref.ref[StoreBase[Any]]) -> None:
        store, hearers = teller(), list(self._hearers.values())
        if store is None or not store.has_written():
            return
        is_shared = sum(one is store for one, _ in hearers) > 1
        for one, notice in hearers:
            if one is not store or is_shared:
                try:
                    notice()
                except Exception:  # noqa: BLE001 - the commit stands
                    logger.exception("A system could not be told of a commit: %r", notice)


_PLACES: Final[weakref.WeakValueDictionary[Hashable, Neighbours]] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def neighbours_at(place: Hashable) -> Neighbours:
    """Return the neighbours on the database of a place, such as a file's real path."""
    with _lock:
        found = _PLACES.get(place)
        if found is None:
            found = _PLACES[place] = Neighbours()
        return found
