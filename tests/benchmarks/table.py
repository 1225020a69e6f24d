"""Prints a report as a table and writes it as JSON, with the versions that it was made with."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .harness import ASYNCIO, DICT, OURS, PIPE, PPE, PYKKA, TRANSITIONS, XSTATE, Goal, Report, Result

PEERS = (PYKKA, ASYNCIO, PPE, PIPE, DICT, TRANSITIONS, XSTATE)
"""Contestants with a column of their own, in tables in which they occur; others stand under "other"."""


def environment() -> dict[str, Any]:
    """Name what the figures depend on: interpreter, machine, versions, and how busy the machine was."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "pykka": _version("pykka"),
        "actorflow": _version("actorflow"),
        "numpy": _version("numpy"),
        "transitions": _version("transitions"),
        "xstate-statemachine": _version("xstate-statemachine"),
    }


def render(report: Report, about: Mapping[str, Any]) -> str:
    """Give the whole table, one line a goal (a row with two goals takes two lines)."""
    seen = {name for result in report.results for name in result.samples}
    shown = (OURS, *[name for name in PEERS if name in seen])
    head = ("measure", *shown, "other", "ratio", "spread", "goal", "met?")
    lines: list[tuple[str, ...]] = [head]
    for result in report.results:
        lines += _lines(result, shown)
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    text.append("")
    text += [f"BROKEN {name}: {error}" for name, error in report.broken.items()]
    text.append(_summary(report))
    text.append(", ".join(f"{name} {value}" for name, value in about.items()))
    return "\n".join(text)


def write_json(path: Path, report: Report, about: Mapping[str, Any]) -> None:
    """Write every sample and every verdict."""
    results = [result.as_dict() for result in report.results]
    data = {**about, "results": results, "broken": report.broken, "seconds": report.seconds}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _lines(result: Result, shown: Sequence[str]) -> list[tuple[str, ...]]:
    unit = result.row.unit
    others = [name for name in result.samples if name not in shown]
    other = ", ".join(f"{name} {text_of(result.median(name), unit)}" for name in others)
    first = (result.row.title, *[text_of(result.median(name), unit) for name in shown], other or "-")
    goals = [_goal_cells(result, goal) for goal in result.row.goals] or [("-", _spread(result), "-", "-")]
    return [(*first, *goals[0]), *((*[""] * len(first), *cells) for cells in goals[1:])]


def _goal_cells(result: Result, goal: Goal) -> tuple[str, str, str, str]:
    unit = result.row.unit
    bound = f"{goal.op} {text_of(goal.bound, unit)}" if goal.than is None else f"{goal.op} {goal.bound:g}x {goal.than}"
    verdict = result.verdict(goal)
    if verdict is None:
        return ("-", "-", bound, "-")
    met = "yes" if verdict.met else "NO"
    if goal.than is None:
        return ("-", f"{text_of(verdict.low, unit)} - {text_of(verdict.high, unit)}", bound, met)
    return (f"{_ratio(verdict.value)}x", f"{_ratio(verdict.low)} - {_ratio(verdict.high)}", bound, met)


def _spread(result: Result) -> str:
    values = result.samples.get(OURS)
    return f"{text_of(min(values), result.row.unit)} - {text_of(max(values), result.row.unit)}" if values else "-"


def _summary(report: Report) -> str:
    verdicts = [result.verdict(goal) for result in report.results for goal in result.row.goals]
    met = sum(1 for verdict in verdicts if verdict is not None and verdict.met)
    return f"{met} of {len(verdicts)} goals met, {len(report.broken)} broken, {sum(report.seconds.values()):.0f} s"


def text_of(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "/s":
        for size, letter in ((1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g} {letter}/s"
    if unit == "":
        return f"{value:g}"
    return f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:.3g} {unit}"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
