"""Sweep: the latencies and the load of an app for each combination of some settings, over several seeds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actorflow.app.loading import load
from actorflow.errors import DefinitionError
from actorflow.sim.figures.statistics import Interval, interval_of, warm_up_cut
from actorflow.sim.scenario.measuring import measured
from actorflow.sim.scenario.variation import varied, with_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.sim.report import Report
    from actorflow.sim.scenario.measuring import MeasuredRun
    from actorflow.sim.scenario.scenario import Scenario
    from actorflow.sim.scenario.variation import SettingChange

SHOWN: Final = 3  # latencies, and actors or hosts, that have a column


@dataclass
class SweepRow:
    """One combination of settings.

    Attributes:
        settings: by name.
        warm_up: virtual seconds at the begin of each run that do not count.
        p99: of latencies, over the seeds, by the names of the events, or of a handler.
        utilisation: of actors and hosts, over the seeds.
        failed: runs that ended early, as a property did not hold in them, or they could not go on.
    """

    settings: dict[str, str]
    warm_up: float
    p99: dict[str, Interval] = field(default_factory=dict)
    utilisation: dict[str, Interval] = field(default_factory=dict)
    failed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""

        def plain(figures: dict[str, Interval]) -> dict[str, Any]:
            return {
                name: {"mean": one.mean, "half": one.half if one.count > 1 else None, "runs": one.count}
                for name, one in figures.items()
            }

        return {
            "settings": self.settings,
            "warm_up": self.warm_up,
            "p99": plain(self.p99),
            "utilisation": plain(self.utilisation),
            "failed": self.failed,
        }


def swept(
    target: str,
    scenario: Scenario,
    settings: Sequence[Sequence[SettingChange]],
    *,
    warm_up: float | None = None,
    progress: Callable[[int, int], object] = lambda *_: None,
) -> list[SweepRow]:
    """Run an app for each combination of settings, with as many seeds as the scenario says.

    Args:
        target: `module:attribute` of the app.
        scenario: of the runs.
        settings: the values of each setting.
        warm_up: virtual seconds that do not count; None: they are found from the queues of the first run.
        progress: is called with the runs so far, and with all.

    Raises:
        DefinitionError: a setting makes no sense for the app.
    """
    combinations = combined(target, scenario, settings)
    total, done = len(combinations) * scenario.runs, 0
    rows = []
    for combination, own in combinations:
        cut = warm_up_of(measured(target, own, 0).report) if warm_up is None else warm_up
        runs = []
        for seed in range(own.runs):
            runs.append(measured(target, own, seed, after=cut))
            done += 1
            progress(done, total)
        rows.append(row_of(dict(combination), cut, runs))
    return rows


def combined(
    target: str, scenario: Scenario, settings: Sequence[Sequence[SettingChange]]
) -> list[tuple[tuple[SettingChange, ...], Scenario]]:
    """Return all combinations of settings, with the scenario of each: what makes no sense is told before the runs.

    Raises:
        DefinitionError: a setting makes no sense for the app, or is given twice.
    """
    names = [changes[0].name for changes in settings]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"sweep {name}: it is given twice; give all its values at once, {name}=1,2,4")
    found = []
    for combination in itertools.product(*settings):
        own = scenario
        for change in combination:
            own = with_change(own, change)
        own.try_out(varied(load(target), own.changes))
        found.append((combination, own))
    return found


def warm_up_of(report: Report) -> float:
    """Return the virtual seconds after which the queues of a run are as they stay."""
    if report.figures is None:
        return 0.0
    width = max((actor.queue.width for actor in report.figures.actors.values()), default=0.0)
    sums: defaultdict[int, float] = defaultdict(float)
    for actor in report.figures.actors.values():
        for place, mean in enumerate(actor.queue.means):
            sums[int(place * actor.queue.width / width)] += mean
    lengths = [sums[place] for place in range(max(sums, default=-1) + 1)]
    return warm_up_cut(lengths) * width


def row_of(settings: dict[str, str], warm_up: float, runs: Sequence[MeasuredRun]) -> SweepRow:
    """Return the figures of one combination over its runs."""
    p99: defaultdict[str, list[float]] = defaultdict(list)
    use: defaultdict[str, list[float]] = defaultdict(list)
    weight: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        report = run.report
        for pair in report.pairs(after=warm_up):
            name = f"{pair.first} to {pair.last}"
            p99[name].append(pair.latency.p99)
            weight[name] += 1e12 + pair.latency.count  # before all handlers
        figures = report.figures
        if figures is None:
            continue
        for handler in figures.handlers.values():
            if handler.sojourn.count:
                p99[handler.name].append(handler.sojourn.p99)
                weight[handler.name] += handler.sojourn.total
        for actor in figures.actors.values():
            use[actor.path].append(actor.utilisation)
        for host in figures.hosts.values():
            if host.utilisation is not None:
                use[f"cores of {host.name}"].append(host.utilisation)
    busiest = sorted(use, key=lambda name: -sum(use[name]))
    slowest = sorted(p99, key=lambda name: -weight[name])
    return SweepRow(
        settings,
        warm_up,
        {name: interval_of(p99[name]) for name in slowest},
        {name: interval_of(use[name]) for name in busiest},
        sum(run.failure is not None for run in runs),
    )


def columns_of(rows: Sequence[SweepRow]) -> tuple[list[str], list[str]]:
    """Return the latencies, and the actors or hosts, that a table has room for: those that come first in most rows."""

    def first(figures: Callable[[SweepRow], dict[str, Interval]]) -> list[str]:
        places: defaultdict[str, int] = defaultdict(int)
        for row in rows:
            for place, name in enumerate(itertools.islice(figures(row), SHOWN)):
                places[name] += SHOWN - place
        return sorted(places, key=lambda name: -places[name])[:SHOWN]

    return first(lambda row: row.p99), first(lambda row: row.utilisation)
