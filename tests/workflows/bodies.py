"""Bodies of workflows for tests: all interleave, and say in their results in which order things came."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import actorflow as af


@dataclass
class Approved:
    """A signal."""

    name: str


class Boom(Exception):
    """An error whose class no task declares."""


@af.task
def number(n: int, *seen: int) -> list[int]:
    """Return what it was given."""
    return [n, *seen]


@af.task
async def number_async(n: int, *seen: int) -> list[int]:
    """Return what it was given."""
    return [n, *seen]


@af.task
def boom(text: str) -> None:
    """Raise an error."""
    raise Boom(text)


async def chain(n: int, seen: list[int]) -> list[Any]:
    first = await number.submit(n)
    seen.append(n)
    second = await number_async(n, len(seen))  # depends on who was here before
    assert (first, second[0]) == ([n], n)
    return [first, second]


@af.workflow
async def nested() -> list[Any]:
    """Gather chains in gatherings."""
    seen: list[int] = []

    async def group(k: int) -> list[Any]:
        return await asyncio.gather(*(chain(10 * k + i, seen) for i in range(3)))

    return [await asyncio.gather(*(group(k) for k in range(3))), seen]


@af.workflow
async def workers() -> list[Any]:
    """Have three take items of a queue."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    for i in range(7):
        queue.put_nowait(i)
    done: list[Any] = []

    async def worker(k: int) -> None:
        while not queue.empty():
            item = queue.get_nowait()
            await number.submit(item)
            done.append([k, item])
            await number.submit(k, item, len(done))

    async with asyncio.TaskGroup() as group:
        for k in range(3):
            group.create_task(worker(k))
    return done


@af.workflow
async def failing() -> list[Any]:
    """Have one of a group fail: the others are cancelled, and clean up by steps."""
    log: list[Any] = []

    async def good(k: int) -> None:
        try:
            for i in range(4):
                await number.submit(k, i)
        finally:
            log.append(k)
            await number.submit(k, len(log))

    async def bad() -> None:
        await number.submit(9)
        await boom.submit("bad")

    try:
        async with asyncio.TaskGroup() as group:
            for k in range(3):
                group.create_task(good(k))
            group.create_task(bad())
    except* af.StepFailed as errors:
        log.append(str(errors.exceptions[0]))
    return [log, await number.submit(len(log))]


@af.workflow
async def first() -> Any:
    """Go on with the first of several, cancel the others, and have some in time."""
    tasks = [asyncio.ensure_future(chain(i, [])) for i in range(4)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    names = sorted(task.result()[0][0] for task in done)
    won = await number.submit(*names)
    try:
        async with asyncio.timeout(0.002):
            rest = await asyncio.gather(*(chain(50 + i, []) for i in range(3)))
    except TimeoutError:
        return [won, "late", await number.submit(1)]
    return [won, rest]


@af.workflow
async def walks_a_set() -> list[Any]:
    """Walk a set of tasks, as asyncio.wait gives them."""
    tasks = [asyncio.ensure_future(chain(i, [])) for i in range(6)]
    done, _ = await asyncio.wait(tasks)
    return [await number.submit(task.result()[0][0]) for task in done]


@af.workflow
async def timers() -> list[Any]:
    """Race timers against steps, and look at the clock."""
    order: list[Any] = []

    async def timed(k: int) -> None:
        await af.timer(0.001 * k)
        order.append(k)
        await number.submit(k, len(order))

    start = af.now()
    await asyncio.gather(*(timed(k) for k in (3, 1, 2)), chain(7, order))
    await asyncio.sleep(0.01)
    return [order, (af.now() - start).total_seconds(), af.random().random(), str(af.uuid())]


@af.workflow
def polls() -> list[Any]:
    """Look which of several are done, again and again."""
    futures = [number.submit(i) for i in range(5)]
    seen: list[Any] = []
    for k in range(4):
        seen.append([future.done() for future in futures])
        number(k, sum(seen[-1]))
    return [seen, [future.get() for future in futures]]


@af.workflow
def mapped() -> list[Any]:
    """Map with a limit, and plain steps between."""
    some = number.map(range(6), limit=2)
    one = number(100)
    both = af.gather(number.submit(7), number_async.submit(8)).get()
    try:
        boom("no")
    except af.StepFailed as error:
        caught = str(error)
    return [some.get(), one, [*both], caught, af.random().random()]


@af.workflow
def sleeps() -> list[Any]:
    """Sleep between steps, beside others that run."""
    start = af.now()
    beside = [number.submit(i) for i in range(3)]
    af.sleep(5)
    middle = (af.now() - start).total_seconds()
    number(1)
    short = af.timer(2)
    af.sleep(1)
    seen = short.done()
    short.get()
    return [middle, seen, (af.now() - start).total_seconds(), [future.get() for future in beside], str(af.uuid())]


@af.workflow
def factorial(n: int) -> int:
    """Call itself."""
    return n * factorial(n - 1) if n > 1 else number(1)[0]


@af.workflow
async def doubled(n: int) -> list[Any]:
    """Give a number twice, or fail at 13."""
    if n == 13:
        await boom.submit("13")
    return [await number.submit(n), await number_async(n)]


@af.workflow
def parent() -> list[Any]:
    """Have children, one after the other and beside each other, one of which fails."""
    beside = [doubled.submit(n) for n in (1, 13, 3)]
    seen: list[Any] = [factorial(4)]
    for future in beside:
        try:
            seen.append(future.get())
        except af.RunFailed as error:
            seen.append([error.run, "Boom: 13" in str(error)])
    return [*seen, number(5)]


@af.workflow
async def parent_async() -> list[Any]:
    """Have children in asyncio tasks, between steps."""

    async def one(n: int) -> Any:
        try:
            return [await doubled(n), await factorial.submit(n)]
        except af.RunFailed as error:
            return [await number.submit(n), type(error.__cause__).__name__]

    return [*await asyncio.gather(*(one(n) for n in (2, 13, 3))), await number.submit(4)]


@af.workflow
def branched() -> list[Any]:
    """Have branches that take turns, with branches of their own, and take results as they come."""
    order: list[Any] = []

    def leg(k: int, depth: int) -> list[Any]:
        first = number(k, len(order))
        order.append(k)
        inner = af.branch(leg, 10 * k, depth - 1) if depth else None
        af.sleep(0.001 * k)
        second = number(k, len(order))
        order.append(-k)
        return [first[0], second[0], inner.get() if inner else None]

    legs = [af.branch(leg, k, 1) for k in (3, 1, 2)]
    mine = number(7, len(order))
    some = [future.get() for future in itertools.islice(af.as_completed(legs), 2)]
    number(8, len(order))
    beside = [number.submit(k) for k in range(4)]
    ranks = [beside.index(future) for future in af.as_completed(beside)]
    return [mine, some, [future.get() for future in legs], order, ranks]


@af.workflow
async def branched_async() -> list[Any]:
    """The same, async."""
    order: list[Any] = []

    async def leg(k: int) -> list[Any]:
        order.append(k)
        await number.submit(k, len(order))
        await af.timer(0.001 * k)
        order.append(-k)
        return await number_async(k, len(order))

    legs = [af.branch(leg, k) for k in (3, 1, 2)]
    mine = await number_async(7, len(order))
    return [mine, [*await af.gather(*legs)], order]


@af.workflow
def patches() -> list[Any]:
    """Ask between steps whether a new path may be taken."""
    seen: list[Any] = [af.patched("early"), number(1)[0], af.patched("middle")]
    both = [number.submit(2), number.submit(3)]
    seen += [future.get()[0] for future in both]
    return [*seen, af.patched("late"), af.patched("early"), number(4)[0]]


@dataclass
class Nothing:
    """A state."""


class Oracle(af.Actor, durable=True):
    """Answers by what it is asked alone."""

    state: Nothing

    def __init__(self) -> None:
        super().__init__()
        self.state = Nothing()

    def twice(self, n: int) -> int:
        """Answer."""
        if n == 13:
            raise LookupError("13")
        return 2 * n


SYSTEMS: list[Any] = []  # the one that runs here, with the actor "oracle"


@af.workflow
def asking() -> list[Any]:
    """Ask a durable actor in a row, beside steps and each other, and tell it some."""
    oracle = SYSTEMS[0].durable("oracle", Oracle)
    first = oracle.call(Oracle.twice, 4).get()
    oracle.cast(Oracle.twice, 1)
    beside = [oracle.call(Oracle.twice, n) for n in (13, first)]
    mine = number.submit(first)
    oracle.cast(Oracle.twice, 2)
    try:
        seen = beside[0].get()
    except LookupError as error:
        seen = str(error)
    legs = [af.branch(lambda n: [number(n)[0], oracle.call(Oracle.twice, n).get()], n) for n in (3, 1)]
    return [first, seen, beside[1].get(), mine.get(), [leg.get() for leg in legs], number(9)]


@af.workflow
async def asking_async() -> list[Any]:
    """The same, async."""
    oracle = SYSTEMS[0].durable("oracle", Oracle)
    first = await oracle.call(Oracle.twice, 4)
    oracle.cast(Oracle.twice, 1)
    beside = [oracle.call(Oracle.twice, n) for n in (13, first)]
    mine = number.submit(first)
    oracle.cast(Oracle.twice, 2)
    try:
        seen: Any = await beside[0]
    except LookupError as error:
        seen = str(error)

    async def leg(n: int) -> list[int]:
        return [(await number.submit(n))[0], await oracle.call(Oracle.twice, n)]

    legs = await asyncio.gather(*(leg(n) for n in (3, 1)))
    return [first, seen, await beside[1], await mine, legs, await number.submit(9)]


@af.workflow
def exposes() -> list[Any]:
    """Expose how far it is, and let a branch do so, too."""
    done: list[int] = []
    af.expose("done", lambda: list(done))

    def leg(k: int) -> None:
        af.expose(f"leg {k}", lambda: k)
        done.extend(number(k))

    legs = [af.branch(leg, k) for k in (2, 1)]
    done.extend(number(0))
    af.sleep(0.001)
    for one in legs:
        one.get()
    return done


@af.workflow
def enqueues() -> list[Any]:
    """Have steps that are jobs, in a row, beside each other, and beside steps here."""
    job = number.options(queue="jobs")
    first = job(1)
    beside = [number_async.options(queue="jobs").submit(2), number.submit(3), job.submit(4)]
    try:
        boom.options(queue="jobs")("no")
    except af.StepFailed as error:
        caught = str(error)
    some = job.map(range(4), limit=2)
    return [first, [future.get() for future in beside], caught, some.get(), number(5)]


@af.workflow
async def enqueues_async() -> list[Any]:
    """The same, async."""
    job = number.options(queue="jobs")
    first = await job.submit(1)
    beside = [number_async.options(queue="jobs").submit(2), number.submit(3), job.submit(4)]
    try:
        await boom.options(queue="jobs").submit("no")
    except af.StepFailed as error:
        caught = str(error)
    some = job.map(range(4), limit=2)
    return [first, [*await af.gather(beside)], caught, await some, await number.submit(5)]


BODIES = [
    exposes,
    *(patches, asking, asking_async, enqueues, enqueues_async),
    *(branched, branched_async, nested, workers, failing, first, walks_a_set, timers, polls, mapped, sleeps),
    *(parent, parent_async),
]
