"""A day at the shop, whoever coordinates its services: the orders, restarts on request, and a look at the books."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.table import Table

import actorflow as af
from examples.orders.log import expected as counted
from examples.orders.log import read

from .chaos import end_one, play_with_kills, quiet
from .events import OrderPlaced
from .outcome import books_of, broken, happened
from .outside import of_log, of_seed

LAST_MAILS = 20  # seconds that they may take, behind the end of the last order
LOOK = 5.0  # seconds until it is looked whether events are dead
T = TypeVar("T")
Work: TypeAlias = Callable[[af.ActorSystem, Sequence[OrderPlaced]], Iterator[int]]


@dataclass(frozen=True)
class Settings:
    """The flags of `actorflow run examples.shop.choreographed:app`, and of the other form."""

    log: Path | None = field(default=None, metadata={"help": "The orders of this log (CSV) in place of made-up ones."})
    orders: int = field(default=500, metadata={"help": "How many orders are made up."})
    seed: int = field(default=1, metadata={"help": "Seed of the orders and of the chaos."})
    chaos: int = field(default=0, metadata={"help": "Kill the whole process so often, and restart services."})
    nodes: int = field(default=1, metadata={"help": "So many processes on one store, for --chaos."})
    chaos_store: str = field(default="", metadata={"help": "The URL of their store (a file that is removed)."})
    restarts: int = field(default=0, metadata={"help": "Restart so many services, while they work."})
    progress: bool = field(default=False, metadata={"help": "Print how many orders are over, now and then."})

    def __post_init__(self) -> None:
        if self.orders < 1 or self.nodes < 1 or self.chaos < 0 or self.restarts < 0:
            raise af.DefinitionError("--orders and --nodes are at least 1, --chaos and --restarts are at least 0")
        if (self.nodes > 1 or self.chaos_store) and not self.chaos:
            raise af.DefinitionError("--nodes and --chaos-store are for --chaos")


def milestones(total: int) -> Iterator[int]:
    """Return about twenty numbers up to the total, which is the last one.

    >>> list(milestones(3)), list(milestones(100))[-2:]
    ([1, 2, 3], [95, 100])
    """
    return (total * step // min(20, total) for step in range(1, min(20, total) + 1))


def patiently(system: af.ActorSystem, ask: Callable[..., af.Future[T]], *arguments: object) -> T:
    """Ask until there is an answer, and have events handled after all that several kills in a row were blamed on."""
    while True:
        try:
            return ask(*arguments).get(timeout=LOOK)
        except af.AskTimeout:
            system.event_log.retry_all()


def play(system: af.ActorSystem, settings: Settings, app: str, work: Work) -> int:
    """Have a day pass; return 0 if all is well at its end."""
    if settings.chaos:
        return play_with_kills(app, settings)
    log = read(settings.log) if settings.log else []
    orders = of_log(log) if log else of_seed(settings.orders, settings.seed)
    began = time.perf_counter()
    chance = random.Random(settings.seed)
    with quiet():
        for number, over in enumerate(work(system, orders)):
            if settings.progress:
                print(f"{over:,} of {len(orders):,} orders are over", flush=True)
            if number < settings.restarts:
                end_one(system, chance)
    seconds = time.perf_counter() - began
    books = books_of(system)
    while (faults := broken(books, orders)) and time.perf_counter() - began < seconds + LAST_MAILS:
        time.sleep(0.05)
        system.event_log.retry_all()
        books = books_of(system)
    Console(highlight=False).print(table(happened(books), counted(log)))
    print(f"{len(orders):,} orders in {seconds:.1f} s: {'all is well' if not faults else 'something is wrong'}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def table(counts: Counter[str], log: Counter[str]) -> Table:
    """List the activities, beside those of the log."""
    shown = Table(title="The day")
    shown.add_column("activity")
    shown.add_column("happened", justify="right")
    if log:
        shown.add_column("in the log", justify="right")
    for activity in (*log, *sorted(counts.keys() - log.keys())):
        numbers = (counts[activity], log[activity]) if log else (counts[activity],)
        shown.add_row(activity, *(f"{number:,}" if number else "" for number in numbers))
    return shown
