"""Schedules: which of the actors that are ready runs next.

No schedule finds everything: random order finds a double charge as often as priorities do, and a bug that needs twenty
steps of one actor in a row in no seed of a thousand, where priorities with change points find it in two hundred. So the
seeds of a search share out the schedules.

"Priorities" is the heuristic of PCT (Burckhardt and others, "A randomized scheduler with probabilistic guarantees of
finding bugs", 2010): each actor has a random priority, the highest one that is ready runs, and at a few random steps
the one that runs falls to the lowest. It starves by design, so after the last fault the order is random again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from actorflow.sim.choices.chooser import stream_of

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from actorflow.sim.choices.chooser import Chooser

PICK: Final = "schedule"  # the source of these choices
CHANGES: Final = 4  # steps at which the actor that runs falls to the lowest priority
BITS: Final = 30  # of a draw: one digit of an int in CPython, and its remainder is had in half of a float's time
HORIZON: Final = 1000  # steps, among which these are


class RunOrder(Protocol):
    """Chooses the next entry of the run queue, by its position."""

    def __call__(self, ready: deque[Any], /) -> int:
        """Return the position of the entry that is to run."""
        ...


def schedule_of(chooser: Chooser, name_of: Callable[[Any], object]) -> RunOrder:
    """Return the schedule of a seed: of every three, one is by priorities, and seed 0 is the live order."""
    if chooser.is_replay:
        return replayed(chooser)
    if chooser.seed == 0:
        return lambda _: 0
    if chooser.seed % 3 == 1:
        return Priorities(chooser, name_of)
    return Random(chooser)


def replayed(chooser: Chooser) -> RunOrder:
    """Return the schedule of a tape."""
    return lambda ready: chooser.choose(PICK, len(ready))


class Random:
    """The schedule that takes any entry.

    Attributes:
        draw: the next random number, of so many bits.
        drawn: the choices so far.
    """

    def __init__(self, chooser: Chooser) -> None:
        self.draw = stream_of(chooser.seed, PICK).getrandbits
        self.drawn = chooser.taken[PICK]

    def __call__(self, ready: deque[Any], /) -> int:
        """Return any position."""
        index = self.draw(BITS) % len(ready)
        self.drawn.append(index)
        return index


class Priorities:
    """The schedule by priorities with change points.

    Attributes:
        is_over: the last fault has healed: any order from now on.
    """

    def __init__(self, chooser: Chooser, name_of: Callable[[Any], object]) -> None:
        self._draw = stream_of(chooser.seed, PICK).random
        self._append = chooser.taken[PICK].append
        self._name_of = name_of
        self._priorities: dict[object, float] = {}
        self._left = [int(self._draw() * HORIZON) for _ in range(CHANGES)]
        self._steps = 0
        self.is_over = False

    def __call__(self, ready: deque[Any], /) -> int:
        """Return the position of the entry with the highest priority."""
        best = int(self._draw() * len(ready)) if self.is_over else self._highest(ready)
        self._append(best)
        return best

    def _highest(self, ready: deque[Any]) -> int:
        priorities, draw = self._priorities, self._draw
        names = [self._name_of(entry) for entry in ready]
        for name in names:
            if name not in priorities:
                priorities[name] = draw()
        best = max(range(len(names)), key=lambda i: priorities[names[i]])
        self._steps += 1
        if self._steps in self._left:
            priorities[names[best]] = -self._steps
        return best
