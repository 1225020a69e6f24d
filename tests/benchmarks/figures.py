"""The figures that the docs draw as bars: `tox -e figures` measures them anew and writes them to docs/figures.

A file has medians only, and names neither the machine nor its kernel. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import sys
from pathlib import Path
from typing import Any

from .__main__ import chosen
from .harness import Report, run
from .table import environment, text_of

FOLDER = Path(__file__).parents[2] / "docs" / "figures"
SETS = {
    "machines": ("machine", "statechart", "build"),
    "pools": ("submit", "map", "roundtrip", "array8"),
    "queues": ("enqueue", "enqueue_power", "enqueue_many", "jobs", "wake"),
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the sets that were asked for, or all, and write a file for each. 1 if a benchmark broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.figures", description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all without one")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (5)")
    options = parser.parse_args(arguments)
    if unknown := set(options.sets) - SETS.keys():
        parser.error(f"unknown set: {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    logging.getLogger("actorflow").addHandler(logging.NullHandler())
    FOLDER.mkdir(exist_ok=True)
    is_broken = False
    for name in options.sets or SETS:
        about = environment()
        report = run(chosen(list(SETS[name]), quick=False), options.repeats, [])
        is_broken |= bool(report.broken)
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(figures(report, about, options.repeats), indent=1) + "\n", encoding="utf-8")
    return int(is_broken)


def figures(report: Report, about: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return the medians of a report, as numbers for the lengths and as text."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "repeats": repeats,
        **{name: about[name] for name in ("python", "cores", "load")},
        "results": [
            {
                "measure": result.row.title,
                "unit": result.row.unit,
                "medians": {name: result.median(name) for name in result.samples},
                "texts": {name: text_of(result.median(name), result.row.unit) for name in result.samples},
            }
            for result in report.results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
