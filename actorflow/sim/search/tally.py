"""Tally: figures of all simulated runs of this process, for the last lines of pytest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sim.search.outcome import RunFigures

SHOWN: Final = 8  # names


@dataclass
class Tally:
    """Figures of many runs.

    Attributes:
        searches: tests that ran some.
        runs: of a search; those of shrinking do not count.
        steps: of these.
        time: virtual seconds of these.
        faults: that happened in these.
        orders: runs whose steps were those of no other run of the same search.
        shared: names of modules that the runs changed.
    """

    searches: int = 0
    runs: int = 0
    steps: int = 0
    time: float = 0.0
    faults: int = 0
    orders: int = 0
    shared: set[str] = field(default_factory=set)

    def add(self, figures: RunFigures) -> None:
        """Count a run."""
        self.runs += 1
        self.steps += figures.steps
        self.time += figures.time
        self.faults += figures.faults

    def merge(self, packed: Sequence[float]) -> None:
        """Count the runs of another process."""
        searches, runs, steps, time, faults, orders = packed
        self.searches += int(searches)
        self.runs += int(runs)
        self.steps += int(steps)
        self.time += time
        self.faults += int(faults)
        self.orders += int(orders)

    def packed(self) -> list[float]:
        """Return the figures for another process."""
        return [self.searches, self.runs, self.steps, self.time, self.faults, self.orders]

    def warning(self) -> str:
        """Return a line about names of modules that all hosts have shared; "": there is none."""
        names = sorted(self.shared)
        if not names:
            return ""
        more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return (
            "runs changed these names of modules, which all simulated hosts and nodes share, and processes do not: "
            f"{', '.join(names[:SHOWN])}{more}"
        )

    def __str__(self) -> str:
        return (
            f"{self.runs:,} runs of {self.searches:,} tests, {self.orders:,} of them with steps of their own: "
            f"{self.steps:,} steps, {self.time:,.0f} virtual seconds, {self.faults:,} faults"
        )


TALLY = Tally()
