"""Queue: the tasks that wait for a worker. Layer 2."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorflow.process.pool.task import Task


class TaskQueue:
    """Smaller priority goes first; within one, in the order of the submits.

    Tasks of priority 0, the usual ones, go through a deque and take no lock.
    """

    def __init__(self) -> None:
        self._usual: deque[Task[Any]] = deque()
        self._others: list[tuple[int, int, Task[Any]]] = []
        self._lock = threading.Lock()
        self._behind = itertools.count()
        self._ahead = itertools.count(-1, -1)

    def __len__(self) -> int:
        return len(self._usual) + len(self._others)

    def waiting(self) -> list[Task[Any]]:
        """Return what waits just now."""
        return [*self._usual.copy(), *(entry[2] for entry in self._others.copy())]

    def put(self, task: Task[Any]) -> None:
        """Append a task."""
        priority = task.options.priority
        if priority == 0:
            self._usual.append(task)
        else:
            with self._lock:
                heapq.heappush(self._others, (priority, next(self._behind), task))

    def put_back(self, task: Task[Any]) -> None:
        """Put a task that was taken, and has not run, to the front."""
        priority = task.options.priority
        if priority == 0:
            self._usual.appendleft(task)
        else:
            with self._lock:
                heapq.heappush(self._others, (priority, next(self._ahead), task))

    def take(self) -> Task[Any] | None:
        """Take the next task; None if there is none. Cancelled ones are thrown away here."""
        while True:
            task = self._take_other() if self._others else None
            if task is None:
                try:
                    task = self._usual.popleft()
                except IndexError:
                    return None
            if not task._done:
                return task

    def _take_other(self) -> Task[Any] | None:
        with self._lock:
            if self._others and (self._others[0][0] < 0 or not self._usual):
                return heapq.heappop(self._others)[2]
        return None

    def forget(self) -> list[Task[Any]]:
        """In a fork of this process: take all out."""
        tasks = [*self._usual, *[entry[2] for entry in self._others]]
        self._usual, self._others = deque(), []
        self._lock = threading.Lock()  # a thread that is not here may have held it
        return tasks
