"""Virtual time beside real time: live systems, their pools, and tasks that are coroutines."""

import threading
import time

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


def test_the_end_of_a_live_system_takes_real_time():
    gate = threading.Event()
    with VirtualSystem(seed=1) as system:
        with af.ActorSystem("live") as live:
            live.spawn(Server, gate).tell(1)
            opens = threading.Timer(0.05, gate.set)
            opens.start()
        opens.join()
        assert system.now == 0


def test_a_wait_for_a_job_of_a_live_system_takes_real_time():
    with VirtualSystem(seed=1) as system, af.ActorSystem("live") as live:
        job = live.queue("q", workers=1).enqueue(nap, 1)
        before = system.now
        assert job.result(timeout=20) == 1
        assert system.now == before


@pytest.mark.slow  # processes start
def test_a_map_a_drain_and_the_end_of_a_pool_take_real_time():
    with VirtualSystem(seed=1) as system:
        with af.ProcessPool(workers=1) as pool:
            assert list(pool.map(later, range(3))) == [0, 1, 2]
            pool.submit(later, 1)
            pool.drain(timeout=20)
            last = pool.submit(later, 2)
        assert last.done()
        assert system.now == 0


class Waiter(af.Actor):
    def get(self, begin):
        return begin().get(timeout=20)

    async def wait(self, begin):
        return await begin()

    async def join(self, begin):
        return await begin().map(str)

    def result(self, job):
        return job.result(timeout=20)


@pytest.mark.parametrize("way", ["get", "wait", "join"])
def test_a_handler_in_virtual_time_that_asks_a_live_actor_is_told_the_cure(way):
    gate = threading.Event()
    with af.ActorSystem("live") as live, VirtualSystem(seed=1) as system:
        server, waiter = live.spawn(Server, gate), system.spawn(Waiter)
        asked = waiter.call(getattr(Waiter, way), lambda: server.ask(1, block=False))
        cure = f"{waiter.path} is in virtual time and waits for {server.path} of a live system, .*: have both in one"
        with pytest.raises(af.DefinitionError, match=cure):
            asked.get(timeout=100)
        gate.set()
        assert system.now == 0


class ServesAfterAFile(af.Actor):
    """Answers once a file is there: a gate that stands between processes, too."""

    def on_receive(self, gate):
        deadline = time.monotonic() + 60
        while not gate.exists() and time.monotonic() < deadline:
            time.sleep(0.005)


class Parent(af.Actor):
    def child(self):
        return self.ctx.spawn(ServesAfterAFile)


@pytest.mark.slow  # a process starts
def test_a_handler_in_virtual_time_that_asks_an_actor_below_a_live_host_is_told_the_cure(tmp_path):
    gate = tmp_path / "gate"
    with af.ActorSystem("live") as live, VirtualSystem(seed=1) as system:
        parent = live.spawn(af.child(Parent).options(host=af.Process()))
        child = parent.call(Parent.child).get(timeout=60)
        waiter = system.spawn(Waiter)
        # An answer that is there before the wait would be taken, and rightly: the gate keeps it back.
        asked = waiter.call(Waiter.get, lambda: child.ask(gate, block=False))
        cure = f"{waiter.path} is in virtual time and waits for {child.path} of a live system, .*: have both in one"
        with pytest.raises(af.DefinitionError, match=cure):
            asked.get(timeout=100)
        gate.touch()


def test_a_handler_in_virtual_time_takes_a_live_answer_that_is_there():
    with af.ActorSystem("live") as live, VirtualSystem(seed=1) as system:
        answer = live.spawn(Server).ask(1, block=False)
        assert answer.get(timeout=20) == 1
        waiter = system.spawn(Waiter)
        assert waiter.call(Waiter.get, lambda: answer).get(timeout=20) == 1
        assert waiter.call(Waiter.wait, lambda: answer).get(timeout=20) == 1


def test_a_handler_in_virtual_time_that_waits_for_a_live_job_is_told_the_cure():
    with af.ActorSystem("live") as live, VirtualSystem(seed=1) as system:
        job = live.queue("q").enqueue(nap, 1)
        with pytest.raises(af.DefinitionError, match="waits for a pool or a job of a live system"):
            system.spawn(Waiter).call(Waiter.result, job).get(timeout=100)


@af.task(name="tests.virtual.nap")
def nap(n):
    time.sleep(0.05)
    return n


def later(n):
    time.sleep(0.01)
    return n


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


def test_an_async_task_that_needs_asyncio_has_a_loop(jobs, virtual_system):
    jobs.enqueue(foreign).result(timeout=600)
    assert 1 <= virtual_system.now < 10
