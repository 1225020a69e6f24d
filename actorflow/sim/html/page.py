"""Page: the findings of a search, and the figures of its runs, as one HTML file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.pairs import EventPair
from actorflow.sim.html.gantt_picture import gantt_picture
from actorflow.sim.html.histogram_picture import histogram_picture
from actorflow.sim.html.rows import actor_table, fault_table, handler_table, host_table, pair_table, table
from actorflow.sim.html.sequence_picture import sequence_picture
from actorflow.sim.html.series_picture import series_picture
from actorflow.sim.html.style import STYLE
from actorflow.sim.html.text import plain
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actorflow.sim.figures.tables import Figures, HandlerFigures
    from actorflow.sim.report import Report
    from actorflow.sim.scenario.measuring import MeasuredRun

PICTURES = 12  # histograms, and actors over time; of more, those with most


def page_of(found: dict[str, Any], runs: Sequence[MeasuredRun], chosen: MeasuredRun) -> str:
    """Return the page.

    Args:
        found: the findings of the search, as `actorflow sim --json` prints them.
        runs: those whose latencies are added up.
        chosen: the run that is drawn.
    """
    title = f"Simulation of {plain(found['app'])}"
    body = "\n".join([*head(found), *failure_part(found), *latencies(runs), *one_run(chosen), *cases(found)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def head(found: dict[str, Any]) -> Iterator[str]:
    """Yield the title and the outcome."""
    yield f"<h1>Simulation of {plain(found['app'])}</h1>"
    if found["failure"] is None:
        held = "All properties held" if found["properties"] else "No property was checked"
        yield f'<p class="{"good" if found["properties"] else "soft"}">{held}</p>'
    else:
        yield f'<p class="bad">{plain(found["failure"]["property"])}: does not hold</p>'
    runs, steps = plural(found["runs"], "run", ","), plural(found["steps"], "step", ",")
    faults = plural(found["faults"], "fault", ",")
    yield (
        f'<p class="soft">{runs}, {found["orders"]:,} with steps of their own; {steps}, '
        f"{found['virtual_seconds']:,.0f} virtual seconds, {faults}</p>"
    )
    if found.get("warning"):
        yield f"<p>{plain(found['warning'], 2000)}</p>"
    if found.get("errors"):
        yield f"<p>Handlers raised: {plain('; '.join(found['errors']), 2000)}</p>"


def failure_part(found: dict[str, Any]) -> Iterator[str]:
    """Yield the failure, if there is one: the smallest run, its diagram, and the command that repeats it."""
    failure = found["failure"]
    if failure is None:
        return
    yield "<h2>The smallest run that fails</h2>"
    yield f"<p>At {failure['time']:g} s with seed {failure['seed']}{': ' if failure['why'] else ''}"
    yield f"{plain(failure['why'], 2000)}</p>"
    if failure["command"]:
        yield f"<pre>{plain(failure['command'], 2000)}</pre>"
    yield f"<pre>{plain(failure['scenario'], 20_000)}</pre>"
    yield from diagram_part(failure["diagram"] or "")


def diagram_part(diagram: str) -> Iterator[str]:
    """Yield a sequence diagram, with its source."""
    picture = sequence_picture(diagram)
    if picture:
        yield f'<div class="scroll">{picture}</div>'
        yield f"<details><summary>Mermaid</summary><pre>{plain(diagram, 100_000)}</pre></details>"


def latencies(runs: Sequence[MeasuredRun]) -> Iterator[str]:
    """Yield the latencies from event to event, from handler to handler, and of handlers, over some runs."""
    pairs = added_pairs(run.report.pairs() for run in runs)
    between = added_pairs(run.report.handler_pairs() for run in runs if run.report.figures is not None)
    over = f"over {len(runs)} run{'' if len(runs) == 1 else 's'}"
    if pairs:
        yield f'<h2>Latency from event to event <span class="soft">{over}</span></h2>'
        yield pair_table(pairs)
        yield from histograms((f"{one.first} to {one.last}", one.latency) for one in pairs if one.latency.max)
    if between:
        yield f'<h2>Latency from handler to handler <span class="soft">{over}</span></h2>'
        yield pair_table(between)
        yield from histograms((f"{one.first} to {one.last}", one.latency) for one in between if one.latency.max)
    handlers = added_handlers(runs)
    if handlers:
        yield f'<h2>Handlers <span class="soft">{over}</span></h2>'
        yield handler_table(handlers)


def added_pairs(of_runs: Iterable[Sequence[EventPair]]) -> list[EventPair]:
    """Return the latencies of all runs, by pairs, those with most first."""
    found: dict[tuple[str, str], Histogram] = {}
    for pairs in of_runs:
        for pair in pairs:
            key = (pair.first, pair.last)
            found[key] = found.get(key, Histogram()) + pair.latency
    pairs = [EventPair(first, last, latency) for (first, last), latency in found.items()]
    return sorted(pairs, key=lambda pair: -pair.latency.count)


def added_handlers(runs: Sequence[MeasuredRun]) -> list[HandlerFigures]:
    """Return the times of all handlers over all runs, those with the longest services first."""
    found: dict[str, HandlerFigures] = {}
    for run in runs:
        figures = run.report.figures
        for name, one in () if figures is None else figures.handlers.items():
            before = found.get(name)
            found[name] = one if before is None else both(before, one)
    return sorted(found.values(), key=lambda one: -one.sojourn.total)


def both(one: HandlerFigures, other: HandlerFigures) -> HandlerFigures:
    """Return the times of a handler in two runs."""
    return replace(
        one,
        wait=one.wait + other.wait,
        service=one.service + other.service,
        sojourn=one.sojourn + other.sojourn,
    )


def histograms(several: Iterable[tuple[str, Histogram]]) -> Iterator[str]:
    """Yield the pictures of some latencies, with their names."""
    yield '<div class="pictures">'
    for _, (name, latency) in zip(range(PICTURES), several, strict=False):
        yield f"<figure><figcaption>{plain(name)}</figcaption>{histogram_picture(latency)}</figure>"
    yield "</div>"


def one_run(run: MeasuredRun) -> Iterator[str]:
    """Yield the figures of one run over its time."""
    report, figures = run.report, run.report.figures
    yield f'<h2>One run <span class="soft">seed {run.seed}, {report.time:g} virtual seconds</span></h2>'
    if figures is not None:
        yield from over_time(figures, report)
    if report.fault_table:
        yield "<h3>Faults</h3>"
        yield fault_table(report.fault_table)
    diagram = list(diagram_part(run.diagram))
    if diagram:
        yield "<h3>Last messages between hosts</h3>"
        yield from diagram


def over_time(figures: Figures, report: Report) -> Iterator[str]:
    """Yield the busy times, the queues and the throughput of actors."""
    gantt = gantt_picture(figures.gantt, report.fault_table, report.time)
    if gantt:
        yield "<h3>Busy actors, and faults</h3>"
        yield f'<div class="scroll">{gantt}</div>'
        if figures.left_out:
            yield f'<p class="soft">{figures.left_out:,} later times are left out</p>'
    actors = sorted(figures.actors.values(), key=lambda actor: -actor.handled)
    busy = [actor for actor in actors if actor.handled]
    if busy:
        yield "<h3>Queues and throughput</h3>"
        yield '<div class="pictures">'
        for actor in busy[:PICTURES]:
            picture = series_picture(actor.queue, actor.throughput, report.time)
            yield f"<figure><figcaption>{plain(actor.path)}</figcaption>{picture}</figure>"
        yield "</div>"
        yield actor_table(busy, report.time - figures.begin)
    hosts = [host for host in figures.hosts.values() if host.cores is not None or host.computed]
    if hosts:
        yield "<h3>Hosts</h3>"
        yield host_table(hosts)


def cases(found: dict[str, Any]) -> Iterator[str]:
    """Yield the cases that are to come in some run."""
    if found["met"]:
        yield "<h2>Cases that some run has to come to</h2>"
        rows = [[plain(name), "yes" if is_met else "not yet"] for name, is_met in found["met"].items()]
        yield table(["case", "came"], rows, words=2)
