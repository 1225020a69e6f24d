"""Rows: tables of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.sim.html.text import in_seconds, percent, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.sim.figures.histogram import Histogram
    from actorflow.sim.figures.pairs import EventPair
    from actorflow.sim.figures.tables import ActorFigures, FaultFigures, HandlerFigures, HostFigures


def table(names: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table.

    Args:
        names: of the columns.
        rows: as markup.
        words: how many of the columns, from the first, are words; the others are numbers.
    """

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ["" if place < words else ' class="number"' for place in range(len(values))]
        return "".join(f"<{tag}{kind}>{value}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells("th", names)}</tr>\n{body}</table></div>'


def percentiles(durations: Histogram) -> list[str]:
    """Return the number of durations, three percentiles, and the longest."""
    values = (durations.p50, durations.p95, durations.p99, durations.max)
    return [f"{durations.count:,}", *map(in_seconds, values)]


def pair_table(pairs: Sequence[EventPair]) -> str:
    """Return the latencies from one event to another."""
    rows = [[plain(one.first), plain(one.last), *percentiles(one.latency)] for one in pairs]
    return table(["from", "to", "count", "p50", "p95", "p99", "most"], rows, words=2)


def handler_table(handlers: Iterable[HandlerFigures]) -> str:
    """Return the waits and service times of handlers."""
    rows = [
        [plain(one.name), f"{one.service.count:,}"]
        + [in_seconds(value) for part in (one.wait, one.service) for value in (part.p50, part.p95, part.p99)]
        for one in handlers
    ]
    names = ["handler", "count", "wait p50", "p95", "p99", "service p50", "p95", "p99"]
    return table(names, rows)


def actor_table(actors: Iterable[ActorFigures], end: float) -> str:
    """Return the use of actors."""
    rows = [
        [plain(one.path), f"{one.handled:,}", percent(one.utilisation), f"{one.queue.integral / end if end else 0:.3g}"]
        for one in actors
    ]
    return table(["actor", "handled", "busy", "waiting, on average"], rows)


def host_table(hosts: Iterable[HostFigures]) -> str:
    """Return the use of the cores of hosts."""
    rows = [
        [
            plain(one.name),
            "as many as it needs" if one.cores is None else f"{one.cores}",
            in_seconds(one.computed),
            "" if one.utilisation is None else percent(one.utilisation),
        ]
        for one in hosts
    ]
    return table(["host", "cores", "computed", "in use"], rows)


def fault_table(faults: Iterable[FaultFigures]) -> str:
    """Return the faults of a run."""
    rows = [
        [plain(one.text), "yes" if one.touched else "no", f"{one.begin:g} s", f"{one.end:g} s"]
        for one in sorted(faults, key=lambda fault: fault.begin)
    ]
    return table(["fault", "touched something", "begin", "end"], rows, words=2)
