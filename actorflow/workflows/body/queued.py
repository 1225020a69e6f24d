"""Queues without memory while they are empty: a deque takes 760 bytes, and thousands of bodies wait with nothing."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeVar

T = TypeVar("T")

EMPTY: Final[Any] = ()  # in place of an empty deque


def queued(queue: deque[T], item: T) -> deque[T]:
    """Add an item to a queue that may be `EMPTY`, and return the queue."""
    if not queue:
        return deque((item,))
    queue.append(item)
    return queue
