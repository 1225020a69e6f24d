"""Virtual time beside real time: live systems, their pools, and tasks that are coroutines."""

import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem


class Server(af.Actor):
    def __init__(self, gate=None):
        super().__init__()
        self.gate = gate

    def on_receive(self, message):
        if self.gate is not None:
            self.gate.wait(20)
        return message


@pytest.mark.parametrize("timeout", [None, 20])
def test_an_ask_to_a_live_system_takes_real_time(timeout):
    gate = threading.Event()
    with af.ActorSystem("live") as live:
        server = live.spawn(Server, gate)
        with VirtualSystem(seed=1) as system:
            opens = threading.Timer(0.05, gate.set)
            opens.start()
            assert server.ask(1, timeout=timeout) == 1
            opens.join()
            assert system.now == 0
            assert system.spawn(Server).ask(2, timeout=timeout) == 2


def test_a_wait_for_a_real_pool_takes_real_time():
    with af.ProcessPool(workers=1) as pool, VirtualSystem(seed=1) as system:
        assert pool.submit(pow, 2, 3).get(timeout=60) == 8
        assert system.now == 0


@af.task(name="tests.virtual.double")
async def double(n):
    await af.timer(60)
    return 2 * n


@af.task(name="tests.virtual.endless", retry=af.Retry(1))
async def endless():
    await af.timer(10**6)


@af.task(name="tests.virtual.foreign", retry=af.Retry(1))
async def foreign():
    import asyncio

    await asyncio.sleep(1)


@pytest.fixture
def jobs(virtual_system):
    return virtual_system.queue("q", workers=2)


def test_an_async_task_runs_in_virtual_time(jobs, virtual_system):
    assert [jobs.enqueue(double, n).result(timeout=600) for n in range(3)] == [0, 2, 4]
    assert virtual_system.now >= 180


def test_an_async_task_that_takes_too_long_fails_by_its_timeout(jobs, virtual_system):
    with pytest.raises(af.JobFailed, match="TaskTimeout: tests.virtual.endless took over 5 s"):
        jobs.enqueue(endless.options(timeout=5)).result(timeout=600)
    assert virtual_system.now < 60


def test_an_async_task_may_be_cancelled(jobs, virtual_system):
    job = jobs.enqueue(endless)
    virtual_system.sleep(1)
    assert job.cancel()
    with pytest.raises(af.JobCancelled):
        job.result(timeout=600)


def test_an_async_task_that_needs_asyncio_fails_and_says_so(jobs):
    with pytest.raises(af.JobFailed, match="event loop"):
        jobs.enqueue(foreign).result(timeout=600)
