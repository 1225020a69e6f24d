"""Task queue: the tasks that wait for a worker."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorflow.process.pool.task import PoolTask


class TaskQueue:
    """The waiting tasks of a pool. The smallest priority goes first; within one, the order of the submits holds.

    It takes no lock, which a signal's handler could have left held: all steps are single calls of C code. Tasks of
    priority 0, the usual ones, go through a deque.
    """

    def __init__(self) -> None:
        self._usual: deque[PoolTask[Any]] = deque()
        # A heap; the second numbers differ, so no tasks compare.
        self._others: list[tuple[int, int, PoolTask[Any]]] = []
        self._behind = itertools.count()
        self._ahead = itertools.count(-1, -1)

    def __len__(self) -> int:
        return len(self._usual) + len(self._others)

    def waiting(self) -> list[PoolTask[Any]]:
        """Return the tasks that wait just now."""
        return [*self._usual.copy(), *(entry[2] for entry in self._others.copy())]

    def put(self, task: PoolTask[Any]) -> None:
        """Append a task."""
        priority = task.options.priority
        if priority == 0:
            self._usual.append(task)
        else:
            heapq.heappush(self._others, (priority, next(self._behind), task))

    def put_back(self, task: PoolTask[Any]) -> None:
        """Put a task that was taken, and has not run, to the front."""
        priority = task.options.priority
        if priority == 0:
            self._usual.appendleft(task)
        else:
            heapq.heappush(self._others, (priority, next(self._ahead), task))

    def take(self) -> PoolTask[Any] | None:
        """Take the next task; None if there is none. Cancelled ones are thrown away here."""
        while True:
            task = self._take_other() if self._others else None
            if task is None:
                try:
                    task = self._usual.popleft()
                except IndexError:
                    if not self._others:
                        return None
                    continue
            if not task._done:
                return task

    def _take_other(self) -> PoolTask[Any] | None:
        try:
            entry = heapq.heappop(self._others)
        except IndexError:  # another thread was faster
            return None
        if entry[0] > 0 and self._usual:
            heapq.heappush(self._others, entry)
            return None
        return entry[2]

    def discard_done(self) -> None:
        """Throw away tasks that are done at the front; all, if all are."""
        while (task := self.take()) is not None:
            self.put_back(task)
            return
