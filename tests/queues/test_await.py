"""Jobs in asyncio code: awaited, and added without blocking the loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

import actorflow as af
from actorflow.testing import LeakCheck

from . import tasks

QUEUES: dict[str, af.Queue] = {}


@af.task
async def double_and_add(n: int) -> int:
    return await QUEUES["numbers"].enqueue(tasks.double, n) + 1


@af.task
async def sum_of_doubles(n: int) -> int:
    jobs = [await QUEUES["numbers"].enqueue_async(tasks.double, i) for i in range(n)]
    return sum(await asyncio.wait_for(asyncio.gather(*jobs), 30))


@af.task
async def result_in_loop(job: str) -> None:
    af.Job(QUEUES["numbers"]._store, QUEUES["numbers"]._local.waits, job).result()


@af.task
async def enqueue_in_loop(count: int) -> int:
    return len([QUEUES["numbers"].enqueue(tasks.double, n) for n in range(count)])


def test_a_job_is_awaited(shop):
    jobs = shop.queue("numbers", workers=2)

    async def main() -> list[int]:
        first = await jobs.enqueue_async(tasks.double, 1)
        rest = await jobs.enqueue_many_async(tasks.double, ((n,) for n in range(2, 20)))
        return [await first, *await asyncio.gather(*rest), await first]

    assert asyncio.run(main()) == [2 * n for n in range(1, 20)] + [2]


def test_an_awaited_job_that_fails_raises_as_result_does(shop):
    jobs = shop.queue("numbers", workers=1)

    async def main() -> None:
        await jobs.enqueue(tasks.fail, "no such number")

    with pytest.raises(af.JobFailed, match="no such number") as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_async_task_awaits_jobs_of_its_queue(shop):
    QUEUES["numbers"] = jobs = shop.queue("numbers", workers=2)
    assert jobs.enqueue(double_and_add, 3).result(timeout=100) == 7
    assert jobs.enqueue(sum_of_doubles, 10).result(timeout=100) == 90


def test_result_in_an_async_task_is_refused_with_the_cure_also_of_a_job_that_is_over(shop):
    QUEUES["numbers"] = jobs = shop.queue("numbers", workers=2)
    over = jobs.enqueue(tasks.double, 1)
    over.result(timeout=100)
    with pytest.raises(af.JobFailed, match=r"DefinitionError: job\.result\(\) would block.*`await job`"):
        jobs.enqueue(result_in_loop, over.id).result(timeout=100)


def test_an_async_task_enqueues_while_other_threads_write(shop):
    QUEUES["numbers"] = jobs = shop.queue("numbers", workers=1)
    over = threading.Event()

    def write() -> None:
        other = shop.queue("others")
        while not over.is_set():
            other.enqueue(tasks.double, 1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert jobs.enqueue(enqueue_in_loop, 100).result(timeout=100) == 100
    finally:
        over.set()
        thread.join()


class Asks(af.Actor):
    async def double(self, n: int) -> int:
        return await QUEUES["numbers"].enqueue(tasks.double, n) + await (
            await QUEUES["numbers"].enqueue_async(tasks.double, n)
        )


class AsksInLoop(Asks, loop=True):
    pass


@pytest.mark.parametrize("kind", [Asks, AsksInLoop])
def test_an_async_handler_awaits_a_job(shop, kind):
    QUEUES["numbers"] = shop.queue("numbers", workers=1)
    assert shop.spawn(kind).call(kind.double, 4).get(timeout=100) == 16


def test_an_async_handler_on_virtual_time_awaits_a_job(timed):
    QUEUES["numbers"] = timed.queue("numbers", workers=1)
    assert timed.spawn(Asks).call(Asks.double, 4).get(timeout=100) == 16


def test_a_job_that_another_system_ends_is_awaited(shared_url):
    with (
        LeakCheck(),
        af.ActorSystem("web", store=shared_url, durability="process") as web,
        af.ActorSystem("worker", store=shared_url, durability="process") as worker,
    ):
        worker.queue("numbers", workers=1)
        jobs = web.queue("numbers")

        async def main() -> list[int]:
            return await asyncio.gather(*[await jobs.enqueue_async(tasks.double, n) for n in range(5)])

        assert asyncio.run(main()) == [0, 2, 4, 6, 8]


def test_without_news_of_a_commit_an_awaited_job_is_looked_at_now_and_then(shared_url):
    with (
        af.ActorSystem("web", store=shared_url, durability="process") as web,
        af.ActorSystem("worker", store=shared_url, durability="process") as worker,
    ):
        jobs = web.queue("numbers")
        job = jobs.enqueue(tasks.double, 4)
        web.store._watchers._notices.clear()

        async def main() -> int:
            waiting = asyncio.ensure_future(job)
            await asyncio.sleep(0)
            worker.queue("numbers", workers=1)
            return await asyncio.wait_for(waiting, 30)

        assert asyncio.run(main()) == 8


def test_the_loop_goes_on_while_the_store_is_busy(shop):
    jobs = shop.queue("numbers")
    job = jobs.enqueue(tasks.double, 1)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        transaction = shop.store.hold()
        held.set()
        free.wait(30)
        transaction.rollback()

    thread = threading.Thread(target=hold)

    async def main() -> None:
        thread.start()
        await asyncio.to_thread(held.wait, 30)
        added = asyncio.ensure_future(jobs.enqueue_async(tasks.double, 2))
        waiting = asyncio.ensure_future(job)
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not added.done()
        assert not waiting.done()
        free.set()
        assert (await added).status == "queued"
        waiting.cancel()

    try:
        asyncio.run(main())
    finally:
        free.set()
        thread.join()
    assert jobs.count("queued") == 2


def test_a_wait_that_is_given_up_leaves_the_job_alone(shop):
    jobs = shop.queue("numbers", workers=1)
    begun = tasks.begun("gate")
    job = jobs.enqueue(tasks.hold, "gate")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(job, 0.01)

    assert begun.wait(100)
    asyncio.run(main())
    assert not shop.waits._futures
    tasks.GATES["gate"].set()
    assert job.result(timeout=100) == "gate"


def test_the_end_of_the_system_ends_a_wait(url):
    with LeakCheck():
        system = af.ActorSystem("shop", store=url)
        job = system.queue("numbers").enqueue(tasks.double, 1)

        async def main() -> None:
            waiting = asyncio.ensure_future(job)
            await asyncio.to_thread(tasks.until, lambda: system.waits._futures)
            await asyncio.to_thread(system.stop)
            with pytest.raises(af.ActorDeadError, match="closed"):
                await asyncio.wait_for(waiting, 30)

        asyncio.run(main())


def test_a_job_of_the_callers_own_transaction_is_added_in_its_thread(tmp_path):
    path = tmp_path / "jobs.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as shop:
        jobs = shop.queue("numbers")
        shop.store.now()
        conn = sqlite3.connect(path)

        async def main() -> af.Job[int]:
            with conn:
                return await jobs.enqueue_async(tasks.double.options(conn=conn), 1)

        assert asyncio.run(main()).status == "queued"
        conn.close()
