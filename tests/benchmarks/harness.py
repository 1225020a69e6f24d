"""Runs contestants in turn and compares them pair by pair. Knows nothing of actors."""

import gc
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

OURS = "ours"
PYKKA = "pykka"
ASYNCIO = "asyncio"
PPE = "PPE"  # concurrent.futures.ProcessPoolExecutor
PIPE = "Pipe"  # multiprocessing.Pipe
DICT = "dict"  # a state machine written by hand
TRANSITIONS = "transitions"
XSTATE = "xstate"  # xstate-statemachine

WAIT = 120.0
"""Seconds after which a sample that does not end counts as broken."""

Figures = Mapping[str, float]
Sample = Callable[[], Figures]


class Broken(Exception):
    """A benchmark whose result is wrong or does not come; its figures mean nothing."""


def check(condition: object, what: str) -> None:
    """Raise Broken unless the condition holds. (An `assert` would vanish under `python -O`.)"""
    if not condition:
        raise Broken(what)


@dataclass(frozen=True)
class Goal:
    """A bound on our figure: on its ratio to another contestant's, or (`than=None`) on the figure itself."""

    op: Literal[">=", "<="]
    bound: float
    than: str | None = None

    def met(self, value: float) -> bool:
        return value >= self.bound if self.op == ">=" else value <= self.bound


@dataclass(frozen=True)
class Row:
    """One figure of an experiment: what it is called, its unit and its goals."""

    figure: str
    title: str
    unit: str
    goals: Sequence[Goal] = ()


@dataclass(frozen=True)
class Experiment:
    """Contestants that do the same work. Each call of one is a sample and returns one value a row."""

    name: str
    contestants: Mapping[str, Sample]
    rows: Sequence[Row]
    repeats: int | None = None
    """Set where a repeat costs seconds and its figure does not vary (a million actors' memory)."""


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was reached: the median of all repeats, and their least and greatest."""

    goal: Goal
    value: float
    low: float
    high: float

    @property
    def met(self) -> bool:
        return self.goal.met(self.value)


@dataclass
class Result:
    """All samples of one row."""

    experiment: str
    row: Row
    samples: dict[str, list[float]] = field(default_factory=dict)

    def median(self, contestant: str) -> float | None:
        values = self.samples.get(contestant)
        return statistics.median(values) if values else None

    def verdict(self, goal: Goal) -> Verdict | None:
        """Compare sample i with sample i of the other, since those ran side by side. None if one did not run."""
        values = self.samples.get(OURS, [])
        if goal.than is not None:
            values = [a / b for a, b in zip(values, self.samples.get(goal.than, []), strict=False)]
        if not values:
            return None
        return Verdict(goal, statistics.median(values), min(values), max(values))

    def as_dict(self) -> dict[str, Any]:
        verdicts = [(goal, self.verdict(goal)) for goal in self.row.goals]
        return {
            "experiment": self.experiment,
            "measure": self.row.title,
            "unit": self.row.unit,
            "samples": self.samples,
            "median": {name: self.median(name) for name in self.samples},
            "goals": [
                {
                    "op": goal.op,
                    "bound": goal.bound,
                    "than": goal.than,
                    "value": verdict and verdict.value,
                    "low": verdict and verdict.low,
                    "high": verdict and verdict.high,
                    "met": verdict and verdict.met,
                }
                for goal, verdict in verdicts
            ],
        }


@dataclass
class Report:
    """What a whole run gives: results, the experiments that broke, and how long it took."""

    results: list[Result] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run(experiments: Iterable[Experiment], repeats: int, only: Sequence[str] = ()) -> Report:
    """Run each experiment's contestants in turn, `repeats` times (ours, pykka, asyncio, ours, ...).

    An experiment that breaks is reported and the next one runs. `only` leaves out all other contestants.
    """
    report = Report()
    for experiment in experiments:
        print(f"{experiment.name} ...", end="", file=sys.stderr, flush=True)
        begin = time.perf_counter()
        try:
            report.results += _run_one(experiment, experiment.repeats or repeats, only)
        except Exception as error:
            traceback.print_exc()
            report.broken[experiment.name] = f"{type(error).__name__}: {error}"
        report.seconds[experiment.name] = time.perf_counter() - begin
        print(f" {report.seconds[experiment.name]:.1f} s", file=sys.stderr, flush=True)
    return report


def _run_one(experiment: Experiment, repeats: int, only: Sequence[str]) -> list[Result]:
    contestants = {name: sample for name, sample in experiment.contestants.items() if not only or name in only}
    results = [Result(experiment.name, row) for row in experiment.rows]
    for _ in range(repeats):
        for name, sample in contestants.items():
            gc.collect()  # nobody pays for the waste of the one before
            figures = sample()
            for result in results:
                if result.row.figure in figures:
                    result.samples.setdefault(name, []).append(figures[result.row.figure])
    return results
