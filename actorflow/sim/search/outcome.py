"""Outcome: one run of a test, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from actorflow.errors import DefinitionError
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.figures.sequence import note_of, sequence
from actorflow.sim.limits import USUAL, RunLimits
from actorflow.sim.search.settings import in_force
from actorflow.sim.simulation import Simulation
from actorflow.sim.verdicts import says_failed, says_nothing

if TYPE_CHECKING:
    from actorflow.sim.choices.chooser import ChoiceMade
    from actorflow.sim.choices.tape import Tape

Body: TypeAlias = "Callable[[Simulation], None]"


class RunFigures(NamedTuple):
    """Figures of one run: its steps, virtual seconds, faults, digest and properties."""

    steps: int = 0
    time: float = 0.0
    faults: int = 0
    digest: int = 0
    properties: int = 0


@dataclass
class RunOutcome:
    """The end of one run.

    Attributes:
        failure: of the run; None: all properties held.
        key: of the failure: two runs with the same key fail in the same way.
        tape: the choices that were taken.
        figures: of the run.
        events: how many client events there were.
        declared: how many faults were declared.
        faults: those that happened, in words.
        met: whether each case that is to come in some run came in this one.
        diagram: of the messages, if they were noted.
        entered: client events that happened, in words, if they were noted.
        trail: all choices in their order, if they were noted.
        strayed: where the run left its tape; "": nowhere.
    """

    failure: BaseException | None
    key: str
    tape: Tape
    figures: RunFigures
    events: int
    declared: int
    faults: list[str] = field(default_factory=list)
    met: dict[str, bool] = field(default_factory=dict)
    diagram: str = ""
    entered: list[str] = field(default_factory=list)
    trail: list[ChoiceMade] = field(default_factory=list)
    strayed: str = ""


@dataclass(frozen=True)
class TestBody:
    """A test that takes a simulation, and the values of its other arguments; before these, the object of a method.

    Each of its runs has the limits.
    """

    __test__ = False  # for pytest: it is none

    function: Callable[..., None]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    before: tuple[Any, ...] = ()
    limits: RunLimits = USUAL

    def __call__(self, sim: Simulation) -> None:
        """Run the test."""
        __tracebackhide__ = True
        self.function(*self.before, sim, *self.args, **self.kwargs)


def run_once(
    body: Body,
    seed: int,
    tape: Tape | None = None,
    *,
    draw: bool = False,
    trail: bool = False,
    steps: list[tuple[float, str, str]] | None = None,
    is_blind: bool = False,
) -> RunOutcome:
    """Run a test once.

    Args:
        body: the test.
        seed: of the run.
        tape: its choices, if they do not come of the seed.
        draw: note messages and client events for a diagram.
        trail: note the choices in their order.
        steps: gets all steps, each with its time, its actor and its message.
        is_blind: call no check.

    Raises:
        DefinitionError: the test makes no sense.
    """
    until_step = in_force().until_step
    steps_at_most, seconds = body.limits if isinstance(body, TestBody) else USUAL
    turn_seconds = seconds if until_step is None else None  # whoever debugs takes their time
    sim = Simulation(seed, tape=tape, step_limit=steps_at_most, turn_seconds=turn_seconds)
    sim.stop_at_step = until_step
    sim.is_blind = is_blind
    if steps is not None:
        sim.world.trace = steps
    if draw:
        sim.world.network.passages = []
        sim.world.entered = []
    if trail:
        sim.chooser.trail = []
    failure: BaseException | None = None
    try:
        body(sim)
        if not sim.has_run:
            raise DefinitionError("the test did not call sim.run(until=...): nothing was simulated")
        sim.check_all_came()
    except BaseException as error:
        is_of_test = isinstance(error, Exception) and not (isinstance(error, DefinitionError) or says_nothing(error))
        if not is_of_test and not says_failed(error):
            error.add_note(f"in the simulation with seed {sim.chooser.seed}")
            raise
        failure = error  # the search raises it, with the seed
    finally:
        sim.close()
    return outcome_of(sim, failure)


def outcome_of(sim: Simulation, failure: BaseException | None) -> RunOutcome:
    """Return the outcome of a run that is over."""
    world = sim.world
    happened = [fault for fault in sim.faults if fault.name not in sim.chooser.left_out]
    diagram = ""
    if world.network.passages:
        notes = [(fault.begin, fault.text) for fault in happened] + [note_of(line) for line in world.entered or ()]
        diagram = sequence(world.network.passages, notes)
    return RunOutcome(
        failure,
        key_of(failure),
        sim.chooser.tape(),
        RunFigures(world.steps, world.clock.now, len(happened), world.digest, sim.properties),
        world.client_events,
        len(sim.faults),
        [str(fault) for fault in happened],
        sim.met,
        diagram,
        world.entered or [],
        sim.chooser.trail or [],
        sim.chooser.strayed(),
    )


def key_of(failure: BaseException | None) -> str:
    """Return the key that two failures of the same kind have in common."""
    if failure is None:
        return ""
    if isinstance(failure, SimulationFailure):
        return f"property {failure.property}"
    return type(failure).__name__
