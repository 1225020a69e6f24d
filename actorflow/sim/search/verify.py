"""Verify: runs a seed twice and names the first step that differs; a third run has no checks, to see their effect."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

from actorflow.sim.failure import SimulationFailure
from actorflow.sim.search.outcome import run_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sim.search.outcome import Body, RunOutcome

Step: TypeAlias = "tuple[float, str, str]"  # virtual time, path, message

REPEATS: Final = "the same seed takes the same steps"
LEAVES: Final = "a check changes nothing"
PARTS: Final = (
    "What no choice decides has a part: the order of a set, id(), a clock or random numbers from outside, or state "
    "that a run leaves in a module"
)
SHOWN: Final = 200  # characters of a step's message


def verify(body: Body, seed: int) -> None:
    """Run a test twice with one seed, and once without its checks: all have to take the same steps.

    >>> import actorflow as af
    >>> from actorflow.sim import Simulation
    >>> class Counter(af.Actor):
    ...     def add(self) -> None: ...
    >>> app = af.App("demo").add(af.child(Counter).options(name="counter"))
    >>> def body(sim: Simulation) -> None:
    ...     sim.start(app).find("/demo/counter", Counter).cast(Counter.add)
    ...     sim.run(until=1)
    >>> verify(body, 3)

    Args:
        body: the test, with the simulation as its argument.
        seed: of the runs.

    Raises:
        SimulationFailure: the runs differ; it names the first step that does.
        DefinitionError: the test makes no sense.
    """
    first: list[Step] = []
    then: list[Step] = []
    one, two = run_once(body, seed, steps=first), run_once(body, seed, steps=then)
    compare(first, then, REPEATS, f"at first, and {{}} then. {PARTS}", seed)
    if (one.figures, one.key) != (two.figures, two.key):
        why = f"{ended(one)} at first, {ended(two)} then. {PARTS}"
        raise SimulationFailure(REPEATS, two.figures.time, why, seed=seed)
    if one.failure is None:
        blind: list[Step] = []
        end = run_once(
            body, seed, steps=blind, is_blind=True
        ).figures.time  # others wait for what is to come eventually
        compare(before(first, end), before(blind, end), LEAVES, "with the checks, and {} without them", seed)


def compare(one: Sequence[Step], two: Sequence[Step], name: str, words: str, seed: int) -> None:
    """Compare the steps of two runs.

    Raises:
        SimulationFailure: they differ.
    """
    for number, (a, b) in enumerate(zip_longest(one, two), 1):
        if a != b:
            time = min(step[0] for step in (a, b) if step is not None)
            why = f"step {number} was {described(a)} {words.format(described(b))}"
            raise SimulationFailure(name, time, why, seed=seed)


def before(steps: Sequence[Step], time: float) -> list[Step]:
    """Return the steps before a time."""
    return [step for step in steps if step[0] < time]


def described(step: Step | None) -> str:
    """Return a step in words."""
    if step is None:
        return "not taken"
    time, path, text = step
    return f"{text[:SHOWN]!r} in {path} at {time:g} s"


def ended(outcome: RunOutcome) -> str:
    """Return the end of a run in words."""
    run = outcome.figures
    return f"{run.steps} steps to {run.time:g} s (digest {run.digest}){f', {outcome.key}' if outcome.key else ''}"
