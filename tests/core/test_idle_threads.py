"""Threads that wait for work: they keep nothing of what they handled, and those that are not needed end."""

import contextlib
import gc
import threading
import time
import weakref

import pytest

import actorflow as af
from actorflow.core.drivers import baton
from actorflow.core.drivers.live import LiveScheduler
from actorflow.core.running.run_queue import SchedulerThread
from actorflow.testing import LeakCheck
from tests.core.actors import until


class Blob:
    pass


class Taker(af.Actor):
    def take(self, _blob):
        return None

    def block(self, _blob):
        time.sleep(0.05)  # unseen by the scheduler, which goes on with another thread

    def wait(self, _blob, gate):
        gate.get(timeout=20)

    async def wait_async(self, _blob, gate):
        await gate

    def fail(self, _blob):
        time.sleep(0.05)
        raise ZeroDivisionError


KINDS = {
    "shared threads": af.child(Taker),
    "own thread": af.child(Taker).options(blocking=True),
    "bounded": af.child(Taker).options(capacity=9),
}


@pytest.mark.parametrize("recipe", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("method", [Taker.take, Taker.block, Taker.wait, Taker.wait_async, Taker.fail])
def test_a_message_goes_when_it_was_handled(any_system, recipe, method):
    takers = [any_system.spawn(recipe) for _ in range(6)]
    gate, blobs, futures = af.Future(), [], []
    for taker in takers:
        blob = Blob()
        blobs.append(weakref.ref(blob))
        given = (blob, gate) if method in (Taker.wait, Taker.wait_async) else (blob,)
        futures.append(taker.call(method, *given))
    del blob, given, taker
    gate.set()
    for future in futures:
        with contextlib.suppress(ZeroDivisionError):
            future.get(timeout=20)
    del future, futures

    def kept():
        gc.collect()
        return sum(blob() is not None for blob in blobs)

    if hasattr(any_system, "sleep"):  # virtual time: it stands still between waits
        any_system.sleep(1)
        assert kept() == 0
    until(lambda: not kept())


def test_a_message_of_a_loop_handler_goes_when_it_was_handled(system):
    taker = system.spawn(af.child(Taker).options(loop=True))
    gate, blob = af.Future(), Blob()
    seen = weakref.ref(blob)
    future = taker.call(Taker.wait_async, blob, gate)
    del blob
    gate.set()
    future.get(timeout=20)
    del future
    until(lambda: gc.collect() is not None and seen() is None)


def test_threads_that_have_nothing_to_do_end_but_for_a_few(system, monkeypatch):
    monkeypatch.setattr(baton, "SPARE_SECONDS", 0.05)

    def threads():
        return sum(thread.name == f"{system.name}-worker" for thread in threading.enumerate())

    for _ in range(2):
        gate = af.Future()
        takers = [system.spawn(Taker) for _ in range(30)]
        futures = [taker.call(Taker.wait, None, gate) for taker in takers]
        until(lambda: threads() >= 30)
        gate.set()
        for future in futures:
            future.get(timeout=20)
        until(lambda: threads() <= baton.KEPT + 2)
    assert system.spawn(Taker).call(Taker.take, 1).get(timeout=20) is None


def test_a_thread_whose_handler_outlives_the_system_ends_with_the_handler():
    let, began = threading.Event(), threading.Event()

    class Stubborn(af.Actor):
        def work(self):
            began.set()
            let.wait(20)

    with af.ActorSystem("outlived", settings=af.Settings(grace=0.1)) as system:
        system.spawn(Stubborn).cast(Stubborn.work)
        assert began.wait(20)
    let.set()
    until(lambda: not any(thread.name.startswith("outlived") for thread in threading.enumerate()))


def overtake(scheduler, worker):
    scheduler.preemption._overtake(worker, learn=False)


def give_up(scheduler, worker):
    scheduler.give_up(worker)


@pytest.mark.parametrize("take_baton", [overtake, give_up])
@pytest.mark.parametrize("spares", [0, 1])
def test_a_thread_that_was_taken_in_vain_just_as_the_system_closed_ends(monkeypatch, take_baton, spares):
    with LeakCheck():
        scheduler = LiveScheduler(name="taken", threads=20)
        until(lambda: scheduler.idle)
        find, worker = scheduler.find_spare, SchedulerThread(scheduler)
        taken = [] if spares else [find() for _ in list(scheduler.spares)]

        def find_late():
            spare = find()
            scheduler.slot.remove(worker)  # its handler has just ended, and that of the end as well
            scheduler.close()
            return spare

        monkeypatch.setattr(scheduler, "find_spare", find_late)
        scheduler.slot.append(worker)
        take_baton(scheduler, worker)
        for spare in taken:
            scheduler.put_back(spare)


def test_an_idle_thread_that_lost_the_baton_just_as_the_system_closed_ends_at_once(monkeypatch):
    monkeypatch.setattr(baton, "SPARE_SECONDS", 1000.0)

    class Closing(list):
        def pop(self):
            other = scheduler_idle.pop()
            scheduler.close()
            return other

    with LeakCheck():
        scheduler = LiveScheduler(name="lost", threads=4)
        until(lambda: scheduler.idle)
        scheduler_idle, scheduler.idle = scheduler.idle, Closing()
        assert not scheduler.lost(SchedulerThread(scheduler), None, None)
