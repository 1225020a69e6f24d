"""The shop: replays an order-management log, in which each order, item and package is a state machine.

    actorflow run examples.orders:app                       a generated log of 2,000 orders
    actorflow run examples.orders:app --log FILE.csv        a real one
    actorflow run examples.orders:app --chaos 100           crash 100 actors while they work, kill 8 processes

The events of the log are the messages. Three areas share them, each under a supervisor of its own:

    /orders/tally                           counts each event once
    /orders/sales/desk                      hands out the events, keeps what a crash would lose
    /orders/sales/desk/cases/order-990001   one supervised machine for each order
    /orders/warehouse/...                   the same for the items
    /orders/shipping/...                    the same for the packages
    /orders/cpu                             a pool of two processes, which works out each package's route
    /orders/library/atlas                   knows the places of the routes; it has a process of its own

At the end a table shows for each activity how many events the log has and how many were handled. The exit code is 0 if
they are equal, each object saw its events in the order of the file, each came to the end of its life, and each package
has a route that visits all its stops; else 1. What the machines refused is listed with its lines, the first one first.

Read on in `life` (the machines), `cases` (the desks that feed them, and how state survives a crash), `tally`,
`route` (the CPU-bound part), `atlas` (how the death of a process is made good), `chaos`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import actorflow as af
from actorflow.cli import progress_bar

from .atlas import PROCESS, Atlas, Planner
from .cases import Desk, tell_desk
from .chaos import Saboteur, choose, quiet
from .generate import generate
from .life import Item, Life, Order, Package
from .log import Step, loads, read, steps
from .table import show
from .tally import Tally

AREAS: Mapping[str, type[Life]] = {"sales": Order, "warehouse": Item, "shipping": Package}


@dataclass(frozen=True)
class Settings:
    """The flags of `actorflow run examples.orders:app`."""

    log: Path | None = field(default=None, metadata={"help": "Replay this log (CSV) instead of a generated one."})
    orders: int = field(default=2000, metadata={"help": "How many orders the generated log has."})
    seed: int = field(default=1, metadata={"help": "Seed of the generated log and of the chaos."})
    chaos: int = field(default=0, metadata={"help": "Crash so many actors, and kill some processes."})

    def __post_init__(self) -> None:
        if self.orders < 1:
            raise af.DefinitionError(f"--orders {self.orders}: give at least 1")
        if self.chaos < 0:
            raise af.DefinitionError(f"--chaos {self.chaos}: give 0 or more")

    @property
    def kills(self) -> int:
        """How many hosts, and how many workers of the pool, are killed beside the crashes: one for each 25, at least 1.

        >>> Settings(chaos=0).kills, Settings(chaos=1).kills, Settings(chaos=100).kills
        (0, 1, 4)
        """
        return -(-self.chaos // 25)


app = af.App("orders", settings=Settings).add(af.child(Tally).options(name="tally", capacity=1024))


@app.main
def main(system: af.ActorSystem, settings: Settings) -> int:
    """Replay the log and compare what was handled with what the log holds."""
    events = read(settings.log) if settings.log else generate(settings.orders, settings.seed)
    shares = steps(events)
    fumbles = choose([step for share in shares.values() for step in share], settings.chaos, settings.seed)

    tally = system.find("/orders/tally", Tally)
    assert tally is not None
    system.subscribe(af.Restarted, tally)
    planner = open_library(system, settings.kills)
    with quiet(settings.chaos), progress_bar("events") as progress:
        counting = tally.call(Tally.expect, events, progress)
        saboteur = system.spawn(Saboteur, settings.kills, len(loads(events)), planner)
        if settings.chaos:
            system.subscribe(af.Started, saboteur)
        open_areas(system, shares, tally, fumbles, planner)
        report = counting.get()
        killed = saboteur.call(Saboteur.report).get()
    show(report, killed)
    return 0 if report.equal else 1


def open_library(system: af.ActorSystem, kills: int) -> Planner:
    """Start the atlas and the pool, which bear so many kills of their processes, and one more death."""
    atlas = af.child(Atlas).options(name="atlas")
    system.spawn(af.child(af.Supervisor, atlas, intensity=kills + 1, period=3600.0).options(name="library"))
    found = system.find("/orders/library/atlas", Atlas)
    assert found is not None
    return Planner(found, system.pool("cpu", workers=2, host=PROCESS).options(retries=kills + 1))


def open_areas(
    system: af.ActorSystem,
    shares: Mapping[str, Sequence[Step]],
    tally: af.ActorRef[Tally],
    fumbles: Collection[Step],
    planner: Planner,
) -> None:
    """Start the areas, and with them the work. Each is a supervisor, under it the desk, under that the objects."""
    system.subscribe(af.Restarted, tell_desk)
    system.subscribe(af.DeadLetter, tell_desk)
    for name, life in AREAS.items():
        share = shares[life.__name__.lower()]
        tools = (planner,) if issubclass(life, Package) else ()
        desk = af.child(Desk, life, share, tally, frozenset(fumbles).intersection(share), tools)
        system.spawn(af.child(af.Supervisor, desk.options(name="desk")).options(name=name))
