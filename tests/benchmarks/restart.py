"""Crashes under a supervisor: how long until the next message is handled, and whether anything is left behind."""

import gc
import logging
import statistics
import threading
import time
from array import array
from functools import partial
from time import perf_counter
from typing import Any

import psutil

from . import probe
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check
from .runtimes import actor_class

CHILDREN = 10


def experiments(*, quick: bool) -> list[Experiment]:
    """Give restart: 10,000 cycles in a fresh process, after as many that warm it up."""
    cycles = 2000 if quick else 10_000
    return [
        Experiment(
            "restart",
            {OURS: partial(probe.sample, restarts, cycles)},
            [
                Row("median", f"{cycles:,} crashes: crash to next message handled, median", "us", [Goal("<=", 100)]),
                Row("p99", "same, 99th percentile", "us"),
                Row("outside", "crash told and next message asked from outside", "us"),
                Row("rss", "resident set left by a crash", "B", [Goal("<=", 100)]),
                Row("objects", "objects left by a crash", "", [Goal("<=", 0.1)]),
                Row("threads", "threads left", "", [Goal("<=", 0)]),
                Row("files", "open files left", "", [Goal("<=", 0)]),
            ],
        )
    ]


class Book:
    """What the crashing actors write down; it outlives their incarnations."""

    def __init__(self, cycles: int) -> None:
        self.left = self.made = self.noted = 0
        self.crashed: float | None = None
        self.gaps = array("d", bytes(8 * cycles))  # its memory is there from the start: it must not look like a leak
        self.done = threading.Event()


class Crasher:
    """Crashes at each "go", after having told itself the next one, as long as the book has cycles left."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.book = book
        self.actor_ref: Any
        book.made += 1

    def on_receive(self, message: Any) -> Any:
        now, book = perf_counter(), self.book
        if message == "crash":
            raise ValueError(message)
        if message == "count":
            return book.made
        if book.crashed is not None:
            book.gaps[book.noted] = now - book.crashed
            book.noted += 1
        if not book.left:
            book.crashed = None
            book.done.set()
            return None
        book.left -= 1
        self.actor_ref.tell("go")
        book.crashed = perf_counter()
        raise ValueError(book.left)


def restarts(cycles: int) -> Figures:
    """Crash 10 children in turn, `cycles` times in all, twice; give the times and the growth over the second half."""
    import actorflow as af

    for name in ("actorflow", "pykka"):  # records are made but nobody prints them
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    actor: Any = actor_class(Crasher, af.Actor)
    book = Book(cycles)
    with af.ActorSystem("bench") as system:
        children = [af.child(actor, book).options(name=f"c{i}", restart="permanent") for i in range(CHILDREN)]
        supervisor = af.child(af.Supervisor, *children, strategy="one_for_one", intensity=10**9, period=0.1)
        system.spawn(supervisor.options(name="sup"))
        refs = [_found(system, f"/bench/sup/c{i}", actor) for i in range(CHILDREN)]
        _crash_each(refs, book, cycles)
        book.noted = 0
        before = _left()
        _crash_each(refs, book, cycles)
        grown = {name: value - before[name] for name, value in _left().items()}
        outside = _crash_from_outside(refs, cycles // 10)
        made = CHILDREN + 2 * cycles + cycles // 10
        check(refs[0].ask("count", timeout=WAIT) == made, f"{book.made} incarnations, not {made}")
    check(book.noted == cycles, f"{book.noted} gaps, not {cycles}")
    return {
        "median": statistics.median(book.gaps) * 1e6,
        "p99": statistics.quantiles(book.gaps, n=100)[98] * 1e6,
        "outside": outside,
        "rss": grown["rss"] / cycles,
        "objects": grown["objects"] / cycles,
        "threads": grown["threads"],
        "files": grown["files"],
    }


def _crash_each(refs: list[Any], book: Book, cycles: int) -> None:
    for ref in refs:  # one after the other: no gap has another actor's restart in it
        book.left = cycles // len(refs)
        book.done.clear()
        ref.tell("go")
        check(book.done.wait(WAIT), f"no message after a crash, {book.left} cycles left")


def _crash_from_outside(refs: list[Any], cycles: int) -> float:
    begin = perf_counter()
    for i in range(cycles):
        ref = refs[i % len(refs)]
        ref.tell("crash")
        ref.ask("count", timeout=WAIT)
    return (perf_counter() - begin) / cycles * 1e6


def _found(system: Any, path: str, actor: type) -> Any:
    end = time.monotonic() + 5
    while (ref := system.find(path, actor)) is None:
        check(time.monotonic() < end, f"no actor at {path}")
        time.sleep(0.001)
    return ref


def _left() -> dict[str, float]:
    gc.collect()
    process = psutil.Process()
    return {
        "rss": process.memory_info().rss,
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "files": process.num_fds(),
    }
