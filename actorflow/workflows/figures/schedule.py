"""Schedule: how long a DAG of known durations takes at best, to compare a run with."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush


def ideal_makespan(durations: Sequence[float], before: Sequence[Sequence[int]], workers: int) -> float:
    """Return the seconds of a list schedule: of the tasks that are ready, that with the longest remaining path begins.

    One task takes one worker, and nothing else takes time. It is no proof of an optimum, but seldom far from one.

    Args:
        durations: seconds of each task.
        before: for each task, the numbers of those that come before it.
        workers: how many tasks run at once.

    >>> ideal_makespan([2, 1, 1, 3], [[], [], [0, 1], [0]], workers=2)
    5.0
    """
    after = followers_of(before)
    remaining = remaining_paths(durations, before, after)
    wait = [len(some) for some in before]
    ready = [(-remaining[i], i) for i, count in enumerate(wait) if not count]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, i = heappop(ready)
            heappush(running, (now + durations[i], i))
        now, i = heappop(running)
        for j in after[i]:
            wait[j] -= 1
            if not wait[j]:
                heappush(ready, (-remaining[j], j))
    return now


def lower_bound(durations: Sequence[float], before: Sequence[Sequence[int]], workers: int) -> float:
    """Return the seconds that no schedule can be below: the longest path, or all work shared by all workers.

    >>> lower_bound([2, 1, 1, 3], [[], [], [0, 1], [0]], workers=2)
    5.0
    """
    after = followers_of(before)
    longest = max(remaining_paths(durations, before, after), default=0.0)
    return max(float(longest), sum(durations) / workers)


def levels_of(before: Sequence[Sequence[int]]) -> int:
    """Return how many tasks the longest chain has.

    >>> levels_of([[], [], [0, 1], [0]])
    2
    """
    return int(max(remaining_paths([1.0] * len(before), before, followers_of(before)), default=0.0))


def followers_of(before: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return, for each task, those that come after it."""
    after: list[list[int]] = [[] for _ in before]
    for i, some in enumerate(before):
        for j in some:
            after[j].append(i)
    return after


def remaining_paths(
    durations: Sequence[float], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]
) -> list[float]:
    """Return, for each task, the seconds of the longest path from its begin to an end."""
    left = [len(some) for some in after]
    order = [i for i, count in enumerate(left) if not count]
    remaining = [0.0] * len(durations)
    for i in order:  # it grows
        remaining[i] = durations[i] + max((remaining[j] for j in after[i]), default=0.0)
        for j in before[i]:
            left[j] -= 1
            if not left[j]:
                order.append(j)
    return remaining
