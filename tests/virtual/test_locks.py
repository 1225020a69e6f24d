"""Locks of the engine that user code may wait under: handlers in virtual time park for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

import actorflow as af
from actorflow.core.futures.future import Future
from actorflow.core.futures.parking_lock import ParkingLock
from actorflow.testing import VirtualSystem

SEEDS = range(12)


@af.task
def tick() -> None: ...


@af.task(cpu=True)
def square(n: int) -> int:
    return n * n


@af.task
def asks_in_a_transaction(n: int) -> int:
    with af.current().transaction():
        return PEERS[0].call(User.count, n).get()


PEERS: list[af.ActorRef] = []


class User(af.Actor):
    def count(self, n: int) -> int:
        return n

    def use(self, system: VirtualSystem, what: str) -> str:
        if what == "pool":
            return str(id(system.pool("cpu")))
        queue = system.queue("q", workers=1)
        if what == "cron":
            queue.cron("* * * * *", tick, tz="UTC", name="each minute")
        return queue.name


@pytest.mark.parametrize("what", ["pool", "queue", "cron"])
def test_actors_that_make_the_same_thing_at_once_share_it(what):
    for seed in SEEDS:
        with VirtualSystem(seed=seed) as system:
            users = [system.spawn(User).call(User.use, system, what) for _ in range(3)]
            assert len({user.get(timeout=100) for user in users}) == 1


@pytest.mark.parametrize("task", [square, asks_in_a_transaction])
def test_jobs_that_wait_for_actors_with_the_store_in_hand_all_end(task):
    for seed in SEEDS:
        with VirtualSystem(seed=seed) as system:
            PEERS[:] = [system.spawn(User)]
            queue = system.queue("q", workers=3)
            jobs = [queue.enqueue(task, n) for n in range(6)]
            assert [job.result(timeout=100) for job in jobs] == [n * n if task is square else n for n in range(6)]


@af.task
def stays_in_its_transaction(seconds: float) -> str:
    with af.current().transaction():
        PEERS[0].call(Sleeper.nap, seconds).get()
    return "committed"


class Sleeper(af.Actor):
    def nap(self, seconds: float) -> None:
        self.ctx.sleep(seconds)


def test_a_driver_that_writes_waits_for_an_open_transaction_in_virtual_time():
    with VirtualSystem(seed=1) as system:
        PEERS[:] = [system.spawn(Sleeper)]
        queue = system.queue("q", workers=1)
        job = queue.enqueue(stays_in_its_transaction, 5.0)
        system.sleep(1)  # it is in its transaction
        system.store.write(lambda _: None)
        assert system.now >= 5
        assert job.result(timeout=10) == "committed"


class OnLoop(af.Actor):
    async def write(self, system: VirtualSystem) -> float:
        system.store.write(lambda _: None)
        return system.now

    async def naps(self) -> str:
        await asyncio.sleep(1)
        return "rested"


def test_a_handler_on_the_asyncio_loop_waits_for_an_open_transaction_and_keeps_the_loop_meanwhile():
    for seed in SEEDS:
        with VirtualSystem(seed=seed) as system:
            PEERS[:] = [system.spawn(Sleeper)]
            writers = [system.spawn(af.child(OnLoop).options(loop=True)) for _ in range(3)]
            queue = system.queue("q", workers=1)
            job = queue.enqueue(stays_in_its_transaction, 5.0)
            system.sleep(1)  # it is in its transaction
            answers = [writer.call(OnLoop.write, system) for writer in writers]
            naps = writers[0].call(OnLoop.naps)
            assert all(answer.get(timeout=10) >= 5 for answer in answers)
            assert naps.get(timeout=10) == "rested"
            assert job.result(timeout=10) == "committed"


def test_a_handler_on_the_asyncio_loop_waits_for_a_lock_of_the_runtime():
    class Both(af.Actor):
        def hold(self) -> None:
            with lock:
                self.ctx.sleep(10)

        async def take(self) -> float:
            with lock:
                return self.ctx.now()

    for seed in SEEDS:
        lock = ParkingLock()
        with VirtualSystem(seed=seed) as system:
            start = system.scheduler.clock.time()
            system.spawn(Both).cast(Both.hold)
            system.sleep(1)
            waits = [system.spawn(af.child(Both).options(loop=True)).call(Both.take) for _ in range(3)]
            assert [wait.get(timeout=20) for wait in waits] == [start + 10] * 3


def test_a_handler_on_the_asyncio_loop_waits_for_the_store_no_longer_than_others_do():
    with VirtualSystem(seed=1) as system:
        PEERS[:] = [system.spawn(Sleeper)]
        writer = system.spawn(af.child(OnLoop).options(loop=True))
        system.queue("q", workers=1).enqueue(stays_in_its_transaction, 50.0)
        system.sleep(1)
        with pytest.raises(af.StoreError, match="did not begin in time"):
            writer.call(OnLoop.write, system).get(timeout=60)
        assert writer.call(OnLoop.naps).get(timeout=60) == "rested"


def test_a_system_ends_though_a_handler_on_its_asyncio_loop_waits_for_the_store():
    with VirtualSystem(seed=1) as system:
        PEERS[:] = [system.spawn(Sleeper)]
        writer = system.spawn(af.child(OnLoop).options(loop=True))
        system.queue("q", workers=1).enqueue(stays_in_its_transaction, 5000.0)
        system.sleep(1)
        writer.cast(OnLoop.write, system)
        system.sleep(1)


def test_a_lock_is_had_by_one_at_a_time_and_each_gets_it():
    class Holder(af.Actor):
        def hold(self) -> int:
            with lock:
                inside.append(self)
                self.ctx.sleep(1)
                return len(inside) * (inside.pop() is self)

    for seed in SEEDS:
        lock, inside = ParkingLock(), []
        with VirtualSystem(seed=seed) as system:
            answers = [system.spawn(Holder).call(Holder.hold) for _ in range(4)]
            assert [answer.get(timeout=10) for answer in answers] == [1] * 4
            assert system.now == 4


def test_a_wait_for_a_lock_ends_after_its_time():
    class Holder(af.Actor):
        def hold(self) -> None:
            with lock:
                self.ctx.sleep(10)

        def try_it(self) -> tuple[bool, float]:
            return lock.acquire(seconds=3), self.ctx.now()

    lock = ParkingLock()
    with VirtualSystem() as system:
        holder, other = system.spawn(Holder), system.spawn(Holder)
        holder.cast(Holder.hold)
        system.sleep(1)
        start = system.scheduler.clock.time()
        assert other.call(Holder.try_it).get() == (False, start + 3)


def test_a_thread_outside_of_virtual_time_blocks_for_the_lock():
    lock, got = ParkingLock(), Future()
    lock.acquire()
    threading.Thread(target=lambda: got.set(lock.acquire()), daemon=True).start()
    lock.release()
    assert got.get(timeout=20)


def test_a_driver_waits_for_a_lock_of_a_live_thread_in_real_time():
    lock, held, gate = ParkingLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            gate.wait(20)

    with VirtualSystem(seed=1) as system:
        threading.Thread(target=hold, daemon=True).start()
        assert held.wait(20)
        opens = threading.Timer(0.02, gate.set)
        opens.start()
        assert lock.acquire(seconds=30)
        lock.release()
        opens.join()
        assert system.now == 0
