"""OpenAsks: the callers on this node that wait for the answers to messages that are rows.

An ask that timed out, or whose future was dropped, leaves no entry: the entry of a `StoredFuture` does not keep it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from actorflow.core.futures.future import Future

WAITED: Final[set[Future[Any]]] = set()  # futures that somebody waits for, which may be all that knows of them
MOST: Final = 65_536  # asks for which nobody waits, between two looks; the answers to more of them go after a day


class StoredFuture(Future[Any]):
    """The answer to a message that is a row; its waits keep it alive, and not the list of asks."""

    __slots__ = ()

    _becomes_unread = True

    def _add_waiter(self, wake: Callable[[], Any]) -> bool:
        WAITED.add(self)
        if super()._add_waiter(wake):
            return True
        WAITED.discard(self)
        return False

    def _drop_waiter(self, wake: Callable[[], Any]) -> bool:
        dropped = super()._drop_waiter(wake)
        if not self._wakes:
            WAITED.discard(self)
            if self._wakes:  # another thread has begun to wait just now
                WAITED.add(self)
        return dropped

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        settled = super()._settle(value, error)
        WAITED.discard(self)
        return settled


class Asking(weakref.ref[Future[Any]]):
    """Where the future of an ask is, and whose row it asks by."""

    __slots__ = ("name", "number")

    name: str
    number: int


class OpenAsks:
    """The open asks of one system on this node.

    Attributes:
        dropped: numbers of the messages whose answers are not waited for any more.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[str, Future[Any]] | Asking] = {}
        self.dropped: deque[tuple[int, str]] = deque(maxlen=MOST)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, number: int, name: str, future: Future[Any]) -> None:
        """Note the future that waits for the answer to a message."""
        if future.__class__ is not StoredFuture:
            self._entries[number] = (name, future)
            return
        entry = Asking(future, self._gone)
        entry.name, entry.number = name, number
        self._entries[number] = entry

    def _gone(self, entry: weakref.ref[Any]) -> None:
        """A future was collected, by any thread in the midst of anything."""
        assert isinstance(entry, Asking)
        if self._entries.pop(entry.number, None) is not None:
            self.dropped.append((entry.number, entry.name))

    def take(self, number: int) -> Future[Any] | None:
        """Return the future that waits for the answer to a message, and forget it."""
        return future_of(self._entries.pop(number, None))

    def get(self, number: int) -> Future[Any] | None:
        """Return the future that waits for the answer to a message."""
        return future_of(self._entries.get(number))

    def all(self) -> list[tuple[int, str]]:
        """Return the numbers of all messages that are asks, and the names of their receivers."""
        found = self._entries.copy()  # one step; within `list(items)` a collection may end other entries, up to 3.11
        return [(number, one.name if isinstance(one, Asking) else one[0]) for number, one in found.items()]

    def of(self, name: str) -> list[int]:
        """Return the numbers of the asks of an actor."""
        return [number for number, receiver in self.all() if receiver == name] if self._entries else []

    def take_dropped(self) -> list[tuple[int, str]]:
        """Return the numbers of messages whose answers are not waited for any more, once."""
        return [self.dropped.popleft() for _ in range(len(self.dropped))]


def future_of(entry: tuple[str, Future[Any]] | Asking | None) -> Future[Any] | None:
    """Return the future of an entry, if it is there."""
    if entry is None:
        return None
    return entry() if isinstance(entry, Asking) else entry[1]
