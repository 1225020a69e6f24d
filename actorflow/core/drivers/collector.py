"""Collector: the garbage collector in virtual time, which runs after so many steps and not whenever it likes.

It decides when a `reply_later` that was dropped in a cycle is answered, so one that runs after so many allocations (how
many there are depends on the imports, on caches, on the version of Python) would give one seed several runs.
"""

from __future__ import annotations

import gc
from typing import Final

STEPS: Final = 5_000  # of one virtual system, between two collections of the young generations: 60 us of 50 ms
FULL: Final = 100  # young ones to a full one, which takes 20 ms or more, as long as 10,000 steps
RARELY: Final = 1_000_000  # new objects: who makes so many in a step would rather have a collection than no memory

_systems: set[int] = set()  # the virtual ones, by `id`
_before: list[tuple[int, int, int]] = [gc.get_threshold()]  # the thresholds of the program


def hold_off(key: int) -> None:
    """Let the collector run by itself no more: a virtual system begins."""
    if not _systems:
        _before[0] = gc.get_threshold()
    _systems.add(key)
    if _before[0][0]:  # else the program has turned it off
        gc.set_threshold(RARELY, *_before[0][1:])


def let_run(key: int) -> None:
    """Let the collector run as it did, as the last virtual system ends; may be called again after an interruption."""
    _systems.discard(key)
    if not _systems and gc.get_threshold()[0] == RARELY:
        gc.set_threshold(*_before[0])


def collect(steps: int) -> None:
    """Collect after STEPS steps of a system, or a multiple of them."""
    if gc.isenabled() and gc.get_threshold()[0]:
        gc.collect(2 if not steps % (STEPS * FULL) else 1)
