"""Measuring: runs of an app whose figures are recorded, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.scenario.scenario import run_app
from actorflow.sim.simulation import Simulation

if TYPE_CHECKING:
    from actorflow.sim.choices.tape import Tape
    from actorflow.sim.report import Report
    from actorflow.sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class MeasuredRun:
    """One run whose figures were recorded.

    Attributes:
        seed: of the run.
        report: of the run, up to its failure if it failed.
        failure: of the run.
    """

    seed: int
    report: Report
    failure: ActorflowError | None = None

    @property
    def diagram(self) -> str:
        """The last messages of the run, as Mermaid."""
        return "" if self.report.figures is None else self.report.figures.diagram


def measured(
    target: str, scenario: Scenario, seed: int, *, tape: Tape | None = None, after: float = 0.0
) -> MeasuredRun:
    """Run an app once, and record its figures.

    Args:
        target: `module:attribute` of the app.
        scenario: of the run.
        seed: of the run.
        tape: its choices, if they do not come of the seed.
        after: virtual seconds of the warm-up, which is left out.

    Raises:
        DefinitionError: the run makes no sense.
    """
    with Simulation(seed, tape=tape) as sim:

        def record() -> None:
            load = sim.world_load
            if load is None or load.recording is None:  # else the app's own scenario has it recorded
                sim.record(after=after)

        try:
            run_app(sim, target, scenario, record)
        except DefinitionError:
            raise
        except ActorflowError as error:  # a property does not hold, or the run cannot go on: the search tells of it
            failure: ActorflowError | None = error
        else:
            failure = None
        return MeasuredRun(seed, sim._report(), failure)
