"""Batching: which tasks go to a worker together, and which may wait there for others to end."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorflow.process.pool.task import PoolTask
    from actorflow.process.pool.task_queue import TaskQueue

BATCH_SECONDS: Final = 0.001  # that a batch takes about
BATCH_BYTES: Final = 48 * 1024  # more on both ways might have both sides wait in a send
SMALL: Final = 0.000_5  # seconds from which a task goes alone
SHORT: Final = 0.002  # seconds from which no other task waits behind one
BEHIND_BYTES: Final = 96 * 1024  # of a task that waits behind another


def gather(
    queue: TaskQueue, first: PoolTask[Any], seconds: float, most: float, known: Container[int]
) -> tuple[list[PoolTask[Any]], float]:
    """Take cheap tasks to go with the first, at most so many more; return all, and the seconds that they will take."""
    tasks = [first]
    size = weight(first, known)
    while len(tasks) <= most and (task := queue.take()) is not None:
        cost = task.cost
        if cost is None or seconds + cost > BATCH_SECONDS or size + weight(task, known) > BATCH_BYTES or task.buffers:
            queue.put_back(task)
            break
        tasks.append(task)
        size += weight(task, known)
        seconds += cost
    return tasks, seconds


def fits_behind(
    task: PoolTask[Any], cost: float | None, batches: Iterable[tuple[int, float]], known: Container[int]
) -> bool:
    """Say whether a task may wait at a worker for the batches that are there."""
    if cost is None or cost >= SHORT or not is_light(task, known):
        return False
    return all(seconds < SHORT for _, seconds in batches)


def is_light(task: PoolTask[Any], known: Container[int]) -> bool:
    """Say whether a task can be sent to a worker that does not read: one that runs another task, or is starting.

    The socket must hold all of the task. Else the sender waits for the worker, with the lock of the channel; and a
    worker that then sends much by itself, results or log records, waits for the channel's thread: for ever.
    """
    return not task.buffers and weight(task, known) <= BEHIND_BYTES


def weight(task: PoolTask[Any], known: Container[int]) -> int:
    """Return the bytes that go to a worker with a task: its arguments, and its function if that is not known there."""
    size = len(task.data)
    return size if task.function.number in known else size + len(task.function.data)
