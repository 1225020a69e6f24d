"""Orders: all runs of a small scenario, from those with the fewest choices that are not the first.

The run with all choices the first comes at once, then those with one that is another, then those with two: delay
bounding (Emmi and others, "Delay-bounded scheduling", 2011). Most bugs take one or two.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actorflow.sim.choices.tape import Tape
from actorflow.sim.search.outcome import run_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.sim.choices.chooser import ChoiceMade
    from actorflow.sim.search.outcome import Body, RunOutcome

FEW: Final = 64  # of a choice among more, such as whether a message is lost, the first and the last one are tried


def all_orders(body: Body, seed: int, delays: int) -> Iterator[RunOutcome]:
    """Yield the runs of a test that have at most `delays` choices which are not the first.

    Args:
        body: the test.
        seed: of the random numbers that are no choices.
        delays: how many choices may be another one.
    """
    waiting: deque[tuple[Tape, int]] = deque([(Tape(seed), 0)])  # and how many of its choices have been varied
    while waiting:
        tape, varied = waiting.popleft()
        outcome = run_once(body, seed, tape, trail=True)
        yield outcome
        if tape.size < delays:
            waiting.extend(varied_by_one(tape, outcome.trail, varied))


def varied_by_one(tape: Tape, trail: list[ChoiceMade], first: int) -> Iterator[tuple[Tape, int]]:
    """Yield tapes with one more choice that is not the first, taken later than all others of the tape."""
    for i in range(first, len(trail)):
        made = trail[i]
        for value in range(1, made.among) if made.among <= FEW else (made.among - 1,):
            values = [*tape.choices.get(made.name, ())]
            values.extend([0] * (made.place + 1 - len(values)))
            values[made.place] = value
            yield Tape(tape.seed, {**tape.choices, made.name: values}, tape.left_out), i + 1
