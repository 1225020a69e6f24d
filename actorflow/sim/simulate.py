"""simulate: the search over seeds, as a decorator of tests."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.choices.tape import Tape
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.sequence import sequence
from actorflow.sim.shrink import Shrinker
from actorflow.sim.simulation import Simulation
from actorflow.text import reason_of, text_of

F = TypeVar("F", bound=Callable[..., None])
SHOWN = 20  # client events and faults that a failure names
Body = Callable[[Simulation], None]


@dataclass
class RunOutcome:
    """The end of one run.

    Attributes:
        failure: of the run; None: all properties held.
        key: of the failure: two runs with the same key fail in the same way.
        tape: the choices that were taken.
        digest: of the steps.
        events: how many client events there were.
        faults: that were declared, in words.
        met: whether each case that is to come in some run came in this one.
        diagram: of the messages, if they were noted.
    """

    failure: Exception | None
    key: str
    tape: Tape
    digest: int
    events: int
    faults: list[str] = field(default_factory=list)
    met: dict[str, bool] = field(default_factory=dict)
    diagram: str = ""


def simulate(*, runs: int = 100, first: int = 0) -> Callable[[F], F]:
    """Run a test with many seeds; a failure is shrunk, and names the seed that repeats it.

    The test takes a `Simulation` as its first argument, starts an app in it, and calls `run`. pytest's fixtures may
    follow as further arguments.

    >>> import actorflow as af
    >>> class Counter(af.Actor):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.n = 0
    ...
    ...     def add(self) -> None:
    ...         self.n += 1
    >>> app = af.App("demo").add(af.child(Counter).options(name="counter"))
    >>> @simulate(runs=20)
    ... def test_counts(sim: Simulation) -> None:
    ...     counter = sim.start(app).find("/demo/counter", Counter)
    ...     counter.cast(Counter.add)
    ...     sim.eventually(lambda: sim.peek(counter).n == 1, within=5)
    ...     sim.run(until=1)
    >>> test_counts()

    Args:
        runs: how many seeds.
        first: the first of them.

    Raises:
        DefinitionError: an argument makes no sense.
    """
    for name, value in (("runs", runs), ("first", first)):
        if isinstance(value, bool) or not isinstance(value, int) or value < (name == "runs"):
            raise DefinitionError(
                f"simulate({name}={text_of(value)}): give a whole number, {int(name == 'runs')} or more"
            )

    def decorate(function: F) -> F:
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters:
            raise DefinitionError(f"{function.__qualname__} takes no argument: its first one is the Simulation")

        @functools.wraps(function)
        def search(*args: Any, **kwargs: Any) -> None:
            search_seeds(lambda sim: function(sim, *args, **kwargs), range(first, first + runs))

        search.__signature__ = inspect.Signature(parameters[1:])  # type: ignore[attr-defined]
        return search  # type: ignore[return-value]

    return decorate


def search_seeds(body: Body, seeds: range) -> None:
    """Run a test with each seed.

    Raises:
        SimulationFailure: a run failed, or a case that is to come in some run came in none.
    """
    met: dict[str, bool] = {}
    for seed in seeds:
        outcome = run_once(body, seed)
        if outcome.failure is not None:
            raise explained(body, seed, outcome) from outcome.failure
        for name, is_met in outcome.met.items():
            met[name] = met.get(name, False) or is_met
    missed = [name for name, is_met in met.items() if not is_met]
    if missed and len(seeds) > 1:
        raise SimulationFailure(
            missed[0], 0.0, f"it came to pass in none of {len(seeds)} runs: the test does not try what it is about"
        )


def run_once(body: Body, seed: int, tape: Tape | None = None, *, draw: bool = False) -> RunOutcome:
    """Run a test once."""
    sim = Simulation(seed, tape=tape)
    if draw:
        sim.world.network.passages = []
    failure: Exception | None = None
    try:
        body(sim)
        if not sim.has_run:
            raise DefinitionError("the test did not call sim.run(until=...): nothing was simulated")
    except (ActorflowError, AssertionError) as error:
        failure = error
    finally:
        sim.close()
    if isinstance(failure, DefinitionError):
        raise failure
    world = sim.world
    diagram = ""
    happened = [fault for fault in sim.faults if fault.name not in sim.chooser.left_out]
    if world.network.passages is not None:
        diagram = sequence(world.network.passages, [(fault.begin, fault.text) for fault in happened])
    return RunOutcome(
        failure,
        key_of(failure),
        sim.chooser.tape(),
        world.digest,
        world.client_events,
        [str(fault) for fault in happened],
        sim.met,
        diagram,
    )


def key_of(failure: Exception | None) -> str:
    """Return the key that two failures of the same kind have in common."""
    if failure is None:
        return ""
    if isinstance(failure, SimulationFailure):
        return f"property {failure.property}"
    return type(failure).__name__


def explained(body: Body, seed: int, outcome: RunOutcome) -> SimulationFailure:
    """Return the error of a run that failed, with the smallest run that fails in the same way."""
    declared = max([int(name.split()[1]) for name in outcome.tape.left_out if name.startswith("fault")], default=-1) + 1
    declared = max(declared, len(outcome.faults))

    def fails(tape: Tape) -> Tape | None:
        again = run_once(body, seed, tape)
        return again.tape if again.key == outcome.key else None

    shrinker = Shrinker(outcome.tape, fails)
    tape = shrinker.shrink(outcome.events, declared)
    smallest = run_once(body, seed, tape, draw=True)
    if smallest.key != outcome.key:  # it depends on something that no choice decides
        smallest = run_once(body, seed, draw=True)
        tape = outcome.tape
    failure = smallest.failure or outcome.failure
    assert failure is not None
    left = sum(1 for name in tape.left_out if name.startswith("event"))
    parts = (
        f"{outcome.events - left} of {outcome.events} client events",
        f"{len(smallest.faults)} of {declared} faults",
        f"{tape.size} choices that are not the first",
    )
    words = [
        f"smallest run found ({shrinker.runs} tries): {', '.join(parts)}",
        *(f"  {text}" for text in smallest.faults[:SHOWN]),
        f"again: Simulation(seed={seed}), or --sim-seed={seed}",
        "",
        smallest.diagram,
    ]
    scenario = "\n".join(words)
    if isinstance(failure, SimulationFailure):
        return SimulationFailure(failure.property, failure.time, failure.why, seed=seed, scenario=scenario)
    return SimulationFailure(type(failure).__name__, 0.0, reason_of(failure), seed=seed, scenario=scenario)
