"""Chooser: makes the choices of one simulated run, from its seed or from a tape, and notes them."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from actorflow.sim.choices.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable


def stream_of(seed: int, name: str) -> random.Random:
    """Return the stream of random numbers of a name: what others draw does not shift it."""
    return random.Random(int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()))


class ChoiceMade(NamedTuple):
    """One choice: its name, its position among those of that name, what was chosen, and among how many."""

    name: str
    place: int
    value: int
    among: int


class Chooser:
    """Makes the choices of one run.

    Attributes:
        seed: of the run.
        left_out: client events and faults that do not happen.
        taken: the choices so far, by name.
        trail: the choices in their order, if they are noted: those of a tape only.
    """

    def __init__(self, seed: int, tape: Tape | None = None) -> None:
        self.seed = seed if tape is None else tape.seed
        self.left_out: frozenset[str] = frozenset() if tape is None else tape.left_out
        self.taken: defaultdict[str, list[int]] = defaultdict(list)
        self.trail: list[ChoiceMade] | None = None
        self._tape = None if tape is None else tape.choices
        self._draws: dict[str, Callable[[], float]] = {}

    @property
    def is_replay(self) -> bool:
        """Whether the choices come from a tape."""
        return self._tape is not None

    def choose(self, source: str, count: int, cause: int | None = None) -> int:
        """Return a number below `count`.

        Args:
            source: who chooses: a link, a fault, the schedule.
            count: how many there are to choose from.
            cause: the client event that it comes of.
        """
        if count == 1:
            return 0
        name = source if cause is None else f"{source} of event {cause}"
        taken = self.taken[name]
        if self._tape is None:
            draw = self._draws.get(source)
            if draw is None:
                draw = self._draws[source] = stream_of(self.seed, source).random
            value = int(draw() * count)
        else:
            values = self._tape.get(name, ())
            place = len(taken)
            value = values[place] % count if place < len(values) else 0
            if self.trail is not None:
                self.trail.append(ChoiceMade(name, place, value, count))
        taken.append(value)
        return value

    def chance(self, source: str, probability: float, cause: int | None = None) -> bool:
        """Say whether something that has a probability comes to pass; 0 on the tape: it does not."""
        if probability <= 0:
            return False
        return self.choose(source, 1 << 16, cause) > (1 << 16) - 1 - round(probability * ((1 << 16) - 1))

    def strayed(self) -> str:
        """Say where the run left its tape: a choice other than the first one that it never came to; "": nowhere."""
        for name, values in () if self._tape is None else self._tape.items():
            taken = self.taken.get(name, ())
            for place in range(len(taken), len(values)):
                if values[place]:
                    return f"it never came to choice {place + 1} of {name}"
        return ""

    def tape(self) -> Tape:
        """Return the choices so far."""
        return Tape(self.seed, {name: list(values) for name, values in self.taken.items()}, self.left_out)
