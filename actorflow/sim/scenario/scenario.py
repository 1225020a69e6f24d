"""Scenario: the clients, faults and checks of the simulation of an app, and the body of a run of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from actorflow.app.loading import load
from actorflow.sim.scenario.entries import CheckEntry
from actorflow.sim.scenario.variation import SettingChange, varied
from actorflow.sim.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.app.app import App
    from actorflow.app.virtual import VirtualSystem
    from actorflow.sim.scenario.entry import ScenarioTable

UNTIL: Final = 60.0
RUNS: Final = 100
RATE: Final = 0.1  # faults a virtual second, where nobody says which
RUNNING: Final = "every node runs"  # the property of an app that has no checks
GAVE_UP: Final = "its supervisor gave up; af.Settings(intensity=) says how many crashes it takes"


@dataclass(frozen=True)
class Scenario:
    """The clients, faults and checks of the simulation of an app.

    Attributes:
        until: the end of a run; virtual seconds.
        runs: how many seeds.
        nodes: how many systems of the app run.
        hosts: as `Simulation.start` has it.
        cores: of each host; None: as many as it needs.
        entries: its links, faults, chaos, stubs, checks, costs and clients.
        is_given: by a file; else by the function of the app, or else by chaos.
        changes: of the options of the app's parts and queues.
    """

    until: float = UNTIL
    runs: int = RUNS
    nodes: int = 1
    hosts: Literal["each", "one"] = "each"
    cores: int | None = None
    entries: tuple[ScenarioTable, ...] = ()
    is_given: bool = False
    changes: tuple[SettingChange, ...] = ()

    def declare(self, sim: Simulation, app: App, system: VirtualSystem) -> None:
        """Declare the whole scenario in a run, whose app has been started.

        Raises:
            DefinitionError: something in it makes no sense for this app; the error names its place.
        """
        if self.cores is not None:
            sim.cores(self.cores)
        if not self.is_given:
            if app.scenario_function is None:
                declare_default(sim, self.until)
            else:
                app.scenario_function(sim, system)
        for entry in self.entries:
            entry.declare(sim, self.until)

    def try_out(self, app: App) -> None:
        """Start the app, declare all, and call each check once, without a step of a run.

        Raises:
            DefinitionError: something in it makes no sense for this app.
            ActorflowError: a part of the app could not start.
        """
        with Simulation() as sim:
            self.declare(sim, app, sim.start(app, nodes=self.nodes, hosts=self.hosts))
            for entry in self.entries:
                if isinstance(entry, CheckEntry):
                    entry.try_out(sim)

    def replaced(self, until: float | None, runs: int | None) -> Scenario:
        """Return the same with another end, or another number of seeds."""
        return dataclasses.replace(
            self, until=self.until if until is None else until, runs=self.runs if runs is None else runs
        )


def declare_default(sim: Simulation, until: float) -> None:
    """Have chaos come over an app of which nothing is said: all of its nodes are to run in the end."""
    sim.chaos(rate=RATE, until=until, kinds=["crash", "pause"])

    def runs() -> None:
        down = [node.number for node in sim.nodes if not node.is_up]
        assert not down, f"node {down[0]} is down: {GAVE_UP}"

    sim.eventually(runs, RUNNING)


def run_app(sim: Simulation, target: str, scenario: Scenario, begin: Callable[[], object] = lambda: None) -> None:
    """Run an app once: the body of a search.

    Args:
        sim: the run.
        target: `module:attribute` of the app, so that a fresh process finds it, too.
        scenario: of the run.
        begin: is called when all is declared, before the first step.
    """
    app = varied(load(target), scenario.changes)
    scenario.declare(sim, app, sim.start(app, nodes=scenario.nodes, hosts=scenario.hosts))
    begin()
    sim.run(until=scenario.until)
