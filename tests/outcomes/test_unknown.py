"""Promises: a commit whose outcome is unknown strands nothing and does nothing twice, drawn by seed, in virtual time.

Commits fail before they are made, while nobody knows, and after they were made. `tox -e unknown` draws 1,000 seeds.
"""

import contextlib
import dataclasses
import logging
import os

import pytest

import actorflow as af
from actorflow.errors import StoreError
from actorflow.testing import VirtualSystem
from tests.outcomes.faulty import faults

SEEDS = int(os.environ.get("ACTORFLOW_UNKNOWN", "24"))
COUNT = 20  # jobs, or messages, of a seed
SHARE = 8  # seeds of one test


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


def seeds():
    return [range(first, min(first + SHARE, SEEDS)) for first in range(0, SEEDS, SHARE)]


@af.task(name="tests.outcomes.work", retry=af.Retry(50, af.Backoff(0.1)))
def work(n: int) -> int:
    return n


@af.task(name="tests.outcomes.fails", retry=af.Retry(2, af.Backoff(0.1)))
def fails(n: int) -> int:
    raise ValueError(n)


@pytest.mark.parametrize("some", seeds(), ids=lambda some: f"{some[0]}-{some[-1]}")
def test_jobs_are_neither_stranded_nor_ended_twice(some):
    drawn = set()
    for seed in some:
        with VirtualSystem(seed=seed) as system:
            queue = system.queue("q", workers=3, concurrency=5)
            jobs = [queue.enqueue(work, n) for n in range(COUNT - 3)]
            jobs.append(queue.enqueue(work.options(after=[jobs[0]]), 0))
            jobs += [queue.enqueue(fails.options(key="k"), 0) for _ in range(2)]
            with faults(system, seed) as faulty:
                for n in range(5):
                    with contextlib.suppress(StoreError):  # the caller's matter; it must not harm the others
                        queue.enqueue(work, n)
                    system.sleep(3)
                system.sleep(60)
                drawn |= faulty.drawn
            system.sleep(120)
            statuses = [job.status for job in jobs]
            assert statuses == ["completed"] * (COUNT - 2) + ["failed"] * 2, (seed, statuses)
            stats = queue.stats()
            assert (stats.queued, stats.running, stats.failed) == (0, 0, 2), seed
            assert stats.completed == queue.count(status="completed"), seed  # each is counted once
    assert drawn == {"before", "at", "after"} or len(some) < SHARE


@dataclasses.dataclass
class Seen:
    numbers: list[int] = dataclasses.field(default_factory=list)
    ticks: int = 0


class Sink(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = Seen()

    def on_receive(self, number):
        self.state.numbers.append(number)

    def numbers(self):
        return self.state.numbers


class Source(af.Actor, durable=True):
    def __init__(self, sink):
        super().__init__()
        self.state = Seen()
        self.sink = sink

    def on_receive(self, number):
        self.state.numbers.append(number)
        self.sink.tell(number)
        self.ctx.after(1.0, self.tick)

    def tick(self):
        self.state.ticks += 1

    def seen(self):
        return self.state.numbers, self.state.ticks


def deliver(system, ref, number):
    """Deliver a message until the store takes it, as a broker does."""
    while True:
        try:
            system.deliver(ref, number, id=str(number))
        except StoreError:
            system.sleep(1)
        else:
            return


@pytest.mark.parametrize("some", seeds(), ids=lambda some: f"{some[0]}-{some[-1]}")
def test_messages_are_neither_stranded_nor_handled_twice_by_record(some):
    numbers = list(range(COUNT))
    for seed in some:
        with VirtualSystem(seed=seed) as system:
            sink = system.spawn(af.child(Sink).options(name="sink", restart="permanent"))
            source = system.spawn(af.child(Source, sink).options(name="source", restart="permanent"))
            assert source.call(Source.seen).get(timeout=10) == ([], 0)
            with faults(system, seed):
                for number in numbers:
                    deliver(system, source, number)
                system.sleep(60)
            system.sleep(120)
            seen, ticks = source.call(Source.seen).get(timeout=10)
            assert (sorted(seen), ticks) == (numbers, COUNT), seed
            assert sorted(sink.call(Sink.numbers).get(timeout=10)) == numbers, seed
