"""StoredFuture: the answer to a message that is a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actorflow.core.futures.future import Future

WAITED: Final[set[Future[Any]]] = set()  # futures that somebody waits for, which may be all that knows of them


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
