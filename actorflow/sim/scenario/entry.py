"""Entry: one table of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorflow.sim.scenario.lines import TablePlace
    from actorflow.sim.simulation import Simulation


@dataclass(frozen=True)
class ScenarioTable:
    """One table.

    Attributes:
        place: of it.
        given: its keys.
    """

    place: TablePlace
    given: dict[str, Any]

    def check(self) -> None:
        """Refuse keys that there are not, and those that are missing.

        Raises:
            DefinitionError: there are such.
        """
        raise NotImplementedError

    def declare(self, sim: Simulation, until: float) -> None:
        """Declare the entry in a run, whose app has been started.

        Raises:
            DefinitionError: a value of it makes no sense.
        """
        raise NotImplementedError
