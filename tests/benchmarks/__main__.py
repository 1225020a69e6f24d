"""Measures against pykka, asyncio and the standard library. A report, not a test: a missed goal is no failure."""

import argparse
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

from . import (
    asking,
    dags,
    deaths,
    durable,
    event_log,
    hidden_io,
    hosts,
    lifecycle,
    machine_actors,
    machines,
    mailboxes,
    memory,
    messaging,
    pools,
    publishing,
    queues,
    restart,
    sagas,
    shrinking,
    simulation,
    standbys,
    waiting,
    workflows,
)
from .harness import Experiment, run
from .table import environment, render, write_json

GROUPS = (
    messaging,
    publishing,
    asking,
    hidden_io,
    mailboxes,
    lifecycle,
    memory,
    restart,
    pools,
    hosts,
    deaths,
    durable,
    event_log,
    standbys,
    machines,
    machine_actors,
    queues,
    dags,
    workflows,
    sagas,
    shrinking,
    simulation,
    waiting,
)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, print the table. 0 unless a benchmark broke, 2 for an unknown name."""
    options = _parser().parse_args(arguments)
    wanted = chosen(options.names, quick=options.quick)
    about = environment()
    logging.getLogger("actorflow").addHandler(logging.NullHandler())
    report = run(wanted, options.repeats or (3 if options.quick else 5), options.only)
    print(render(report, about))
    if options.json:
        write_json(options.json, report, about)
    return 1 if report.broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = f"{', '.join(_experiments())}; or a group: {', '.join(map(_group_name, GROUPS))}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names)
    parser.add_argument("--repeats", type=int, help="interleaved repeats (5; quick: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a look: under a minute")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WHO", help="run one contestant alone: ours, pykka, PPE"
    )
    return parser


def _experiments(*, quick: bool = False) -> dict[str, Experiment]:
    return {experiment.name: experiment for group in GROUPS for experiment in group.experiments(quick=quick)}


def _group_name(group: ModuleType) -> str:
    return group.__name__.rpartition(".")[2]


def chosen(names: list[str], *, quick: bool) -> list[Experiment]:
    known = _experiments(quick=quick)
    members = {_group_name(group): [e.name for e in group.experiments(quick=quick)] for group in GROUPS}
    wanted = {member for name in names for member in members.get(name, [name])}
    if unknown := wanted - known.keys():
        print(f"unknown benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    return [experiment for name, experiment in known.items() if not names or name in wanted]


def _end(code: int) -> None:
    """Leave for good when a benchmark broke: actors that hang there would keep the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code)


if __name__ == "__main__":
    _end(main())
