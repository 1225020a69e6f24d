"""The table at the end of a replay, on stdout; what was refused, on stderr."""

from __future__ import annotations

import sys
from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .life import ACTIVITIES, LIVES
from .tally import Report

SHOWN_FAULTS = 5


def show(report: Report, killed: Counter[str]) -> None:
    """Print the report, and how many processes of each kind were killed."""
    console = Console(highlight=False)
    console.print(activities(report))
    console.print(objects(report))
    routes, packages = report.good_routes, report.packages
    console.print(f"{routes:,} of {packages:,} packages have a good route:", mark(packages == report.routes == routes))
    if killed:
        crashes = sum(report.restarts[kind] for kind in LIVES)
        workers, hosts = killed["worker"], killed["host"]
        console.print(f"Chaos: actors crashed {crashes:,}, workers killed {workers:,}, hosts killed {hosts:,}")
    handled, expected = report.handled.total(), report.expected.total()
    text = f"{handled:,} of {expected:,} events handled in {report.seconds:.1f} s:"
    console.print(text, mark(report.equal))
    for fault in report.faults[:SHOWN_FAULTS]:
        print(fault.text, file=sys.stderr)
    if (more := len(report.faults) - SHOWN_FAULTS) > 0:
        print(f"... and {more:,} more", file=sys.stderr)


def activities(report: Report) -> Table:
    """List the activities with their counts."""
    table = Table(title="Events")
    table.add_column("activity")
    for column in ("expected", "handled"):
        table.add_column(column, justify="right")
    table.add_column("")
    for activity in ACTIVITIES:
        expected, handled = report.expected[activity], report.handled[activity]
        table.add_row(activity, f"{expected:,}", f"{handled:,}", mark(expected == handled))
    return table


def objects(report: Report) -> Table:
    """List the kinds of objects, with how many of them lived as they should."""
    table = Table(title="Actors")
    table.add_column("kind")
    for column in ("alive", "restarts", "in file order", "in final state"):
        table.add_column(column, justify="right")
    table.add_column("")
    for kind in LIVES:
        count, final, _ = report.sections[kind]
        strays = {fault.name for fault in report.faults if fault.kind == "order" and fault.name.startswith(kind)}
        ordered = count - len(strays)
        numbers = (count, report.restarts[kind], ordered, final)
        table.add_row(kind, *(f"{number:,}" for number in numbers), mark(count == final == ordered))
    return table


def mark(good: bool) -> Text:
    """Say whether all is well, in words that need no colour."""
    return Text("ok", style="green") if good else Text("differs", style="red")
