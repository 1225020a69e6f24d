"""The workflows that are killed, and what their runs are to return."""

import os
import random
import time
from dataclasses import dataclass

import actorflow as af
from tests.crash.tasks import note

STEPS = 7  # tasks of a run


@dataclass
class Approved:
    """A signal."""

    by: str


def begun() -> None:
    """Note which step begins: as the world outside would see it."""
    note(os.environ["ACTORFLOW_NOTES"], af.current().key)


@af.task(retry=af.Retry(3, af.Backoff(0.01)))
def doubled(n: int) -> int:
    """Take a moment, and fail now and then."""
    begun()
    time.sleep(random.random() * 0.05)
    if af.current().attempt == 1 and n % 5 == 0:
        raise OSError("not yet")
    return 2 * n


@af.task
async def increased(n: int) -> int:
    """Be async."""
    begun()
    return n + 1


@af.workflow
def plain(n: int) -> list[object]:
    """Steps in a row and beside each other, a signal and a timer."""
    first = doubled(n)
    some = af.gather(doubled.submit(first), increased.submit(first), *doubled_all(n)).get()
    signal = af.wait(Approved)
    af.sleep(0.05)
    return [first, [*some], signal.by, doubled(n + 1)]


@af.workflow
async def asynchronous(n: int) -> list[object]:
    """The same, async."""
    first = await doubled.submit(n)
    some = await af.gather(doubled.submit(first), increased.submit(first), *doubled_all(n))
    signal = await af.signal(Approved)
    await af.timer(0.05)
    return [first, [*some], signal.by, await doubled.submit(n + 1)]


def doubled_all(n: int) -> list[af.Future[int]]:
    """Begin three steps beside others."""
    return [doubled.submit(k) for k in (n + 2, n + 3, n + 4)]


def expected(n: int) -> list[object]:
    """Return what a run returns."""
    some = [4 * n, 2 * n + 1, 2 * n + 4, 2 * n + 6, 2 * n + 8]
    return [2 * n, some, "ann", 2 * n + 2]


@af.task
def summed(numbers: list[int]) -> int:
    """Add numbers up."""
    begun()
    time.sleep(random.random() * 0.05)
    return sum(numbers)


@af.task
def several(n: int) -> list[int]:
    """Return what a map is over."""
    begun()
    return list(range(n))


def declared() -> af.Dag:
    """Return a DAG with nodes of several kinds."""
    dag = af.Dag("tests.crash", durable=True, workers=4)
    first = dag.add(doubled, 5, name="first")  # which fails once
    mapped = dag.map(doubled, dag.add(several, 6, name="several"), limit=3, name="mapped")
    looped = dag.loop(doubled, first, until=lambda n: n > 70, limit=9, name="looped")
    later = dag.add(increased, looped, name="later")
    dag.add(doubled, later, when=lambda results: results[later] < 70, name="out")
    dag.add(summed, mapped, after=[later], name="sum")
    return dag


graph = declared()
NODES = 1 + 1 + 6 + 3 + 1 + 1  # tasks of a run
SUM = 30
