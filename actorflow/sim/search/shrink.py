"""Shrink: looks for the smallest run that fails in the same way.

Faults, client events and choices are left out in turn, as long as the same property fails: delta debugging (Zeller and
Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from actorflow.core.clock import SystemClock

if TYPE_CHECKING:
    from actorflow.sim.choices.tape import Tape

T = TypeVar("T")
SECONDS: Final = 10.0  # of real time
Fails = Callable[["Tape"], "tuple[Tape, int] | None"]


class Shrinker:
    """Looks for a smaller tape.

    Attributes:
        tape: the smallest so far.
        runs: how many were tried.
    """

    def __init__(self, tape: Tape, fails: Fails, *, seconds: float = SECONDS) -> None:
        """Begin.

        Args:
            tape: of a run that fails.
            fails: runs a tape; returns the choices that the run took, and the number of its client events, if it fails
                in the same way, else None.
            seconds: of real time that the search may take.
        """
        self.tape = tape
        self.runs = 0
        self._events = 0
        self._fails = fails
        self._end = SystemClock.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return SystemClock.monotonic() > self._end

    def shrink(self, events: int, faults: int) -> Tape:
        """Return the smallest tape that is found.

        Args:
            events: how many client events the run has come to.
            faults: how many faults.
        """
        self._events = events
        before = None
        while before != self._size() and not self.is_over:
            before = self._size()
            self._try(self.tape.only(()))
            self._leave_out([f"fault {i}" for i in range(faults)])
            self._leave_out([f"event {i}" for i in range(1, self._events + 1)])
            if not self._try(self.tape.only(())):
                self._choose_less()
        return self.tape

    def _size(self) -> tuple[int, int]:
        return -len(self.tape.left_out), self.tape.size

    def _try(self, tape: Tape) -> bool:
        if self.is_over or (tape.left_out == self.tape.left_out and tape.size == self.tape.size):
            return False
        self.runs += 1
        taken = self._fails(tape)
        if taken is None:
            return False
        self.tape, events = taken
        self._events = max(self._events, events)  # one that fails later comes to more of them
        return True

    def _leave_out(self, names: list[str]) -> None:
        """Leave out as many events or faults as can be."""
        start = self.tape
        kept = [name for name in names if name not in start.left_out]

        def works(rest: list[str]) -> bool:
            return self._try(self.tape.without(name for name in names if name not in rest))

        self._minimised(kept, works)

    def _choose_less(self) -> None:
        """Have as many choices as can be be 0."""
        start = self.tape

        def works(rest: list[tuple[str, int]]) -> bool:
            return self._try(start.only(rest))

        self._minimised(start.places(), works)

    def _minimised(self, items: list[T], works: Callable[[list[T]], bool]) -> list[T]:
        parts = 2
        while items and not self.is_over:
            step = max(1, len(items) // parts)
            for i in range(0, len(items), step):
                rest = items[:i] + items[i + step :]
                if works(rest):
                    items, parts = rest, max(2, parts - 1)
                    break
            else:
                if step == 1:
                    break
                parts = min(len(items), 2 * parts)
        return items
