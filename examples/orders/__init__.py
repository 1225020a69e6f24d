"""The shop: replays an order-management log, in which every order, item and package is a supervised actor.

    actorflow run examples.orders:app                       a generated log of 2,000 orders
    actorflow run examples.orders:app --log FILE.csv        a real one
    actorflow run examples.orders:app --chaos 100           crash 100 actors while they work

The events of the log are the messages. Three areas share them, each under a supervisor of its own:

    /orders/tally                           counts each event once
    /orders/sales/desk                      hands out the events, keeps what a crash would lose
    /orders/sales/desk/cases/order-990001   one actor for each order, with its life cycle
    /orders/warehouse/...                   the same for the items
    /orders/shipping/...                    the same for the packages

At the end a table shows for each activity how many events the log has and how many were handled. The exit code is 0 if
they are equal, each object saw its events in the order of the file, and each came to the end of its life; else 1.

Read on in `life` (the tables of the life cycles), `cases` (desks, objects, and how state survives a crash), `tally`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import actorflow as af
from actorflow.cli import progress_bar

from .cases import Case, Chaos, Desk, Item, Order, Package
from .generate import generate
from .log import Step, read, steps
from .table import show
from .tally import Tally

AREAS: Mapping[str, type[Case]] = {"sales": Order, "warehouse": Item, "shipping": Package}


@dataclass(frozen=True)
class Settings:
    """The flags of `actorflow run examples.orders:app`."""

    log: Path | None = field(default=None, metadata={"help": "Replay this log (CSV) instead of a generated one."})
    orders: int = field(default=2000, metadata={"help": "How many orders the generated log has."})
    seed: int = field(default=1, metadata={"help": "Seed of the generated log and of the chaos."})
    chaos: int = field(default=0, metadata={"help": "Crash so many random actors during the run."})

    def __post_init__(self) -> None:
        if self.orders < 1:
            raise af.DefinitionError(f"--orders {self.orders}: give at least 1")
        if self.chaos < 0:
            raise af.DefinitionError(f"--chaos {self.chaos}: give 0 or more")


app = af.App("orders", settings=Settings).add(af.child(Tally).options(name="tally", capacity=1024))


@app.main
def main(system: af.ActorSystem, settings: Settings) -> int:
    """Replay the log and compare what was handled with what the log holds."""
    events = read(settings.log) if settings.log else generate(settings.orders, settings.seed)
    shares = steps(events)
    fumbles = choose([step for share in shares.values() for step in share], settings)

    tally = system.find("/orders/tally", Tally)
    assert tally is not None
    system.subscribe(af.Restarted, tally)
    with quiet_chaos(), progress_bar("events") as progress:
        counting = tally.call(Tally.expect, events, progress)
        for name, case in AREAS.items():
            system.spawn(area(case, shares[case.life.kind], tally, fumbles).options(name=name))
        report = counting.get()
    show(report)
    return 0 if report.equal else 1


def area(
    case: type[Case], share: list[Step], tally: af.ActorRef[Tally], fumbles: Collection[Step]
) -> af.Child[af.Supervisor]:
    """Describe an area: a supervisor, under it the desk, under that the objects."""
    ordered = frozenset(fumbles).intersection(share)
    return af.child(af.Supervisor, af.child(Desk, case, share, tally, ordered).options(name="desk"))


def choose(all_steps: list[Step], settings: Settings) -> list[Step]:
    """Choose the steps at which an actor crashes."""
    if settings.chaos > len(all_steps):
        raise af.DefinitionError(f"--chaos {settings.chaos}: this log has {len(all_steps)} steps to crash at")
    return random.Random(settings.seed).sample(all_steps, settings.chaos)


@contextmanager
def quiet_chaos() -> Iterator[None]:
    """Keep the crashes that were ordered out of the log: the table counts them. All others are news."""

    def news(record: logging.LogRecord) -> bool:
        parts = (*(record.args or ()), *(record.exc_info or ()))
        return not any(isinstance(part, Chaos) for part in parts)

    log = logging.getLogger("actorflow")
    log.addFilter(news)
    try:
        yield
    finally:
        log.removeFilter(news)
