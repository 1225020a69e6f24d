"""Promises: frames of handlers are frozen as their host dies, and all of them end with the run."""

import _thread
import contextlib
import threading
import time

import pytest

import actorflow as af
from actorflow.sim import Simulation
from actorflow.testing import LeakCheck

REAL_LOCK = _thread.allocate_lock()  # made at import: no patch reaches it
NOTES = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    NOTES.clear()
    with LeakCheck():
        yield
    assert not REAL_LOCK.locked()


class Never(af.Actor):
    """Never answers."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_receive(self, message):
        self.kept.append(self.ctx.reply_later())


class Frames(af.Actor):
    """Waits in frames of all kinds."""

    def swallow(self, to):
        while True:
            try:
                to.ask("x")
            except BaseException:
                NOTES.append("swallowed")

    def clean(self, to):
        try:
            to.ask("x")
        finally:
            NOTES.append("finally")
            to.ask("more")

    def locked(self, to):
        with REAL_LOCK:
            to.ask("x")

    def generator(self, to):
        def each():
            try:
                yield to.ask("x")
            finally:
                NOTES.append("finally")

        for _ in each():
            pass

    def in_c(self, to):
        sorted([2, 1], key=lambda _: to.ask("x"))

    def suppress(self, to):
        while True:
            with contextlib.suppress(BaseException):
                to.ask("x")

    def sleeps(self, _):
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                time.sleep(5)

    def waits(self, _):
        lock = threading.Lock()
        with lock:
            while not lock.acquire(timeout=1e6):
                pass

    async def awaits(self, to):
        while True:
            try:
                await to.ask("x", block=False)
            except BaseException:
                NOTES.append("swallowed")


class Looped(Frames, loop=True):
    """The same on the asyncio loop."""


class Blocking(Frames, blocking=True):
    """The same on a thread of its own."""


SYNC = ["swallow", "clean", "locked", "generator", "in_c", "suppress", "sleeps", "waits"]
CASES = [*((Frames, name) for name in [*SYNC, "awaits"]), (Looped, "awaits"), *((Blocking, name) for name in SYNC)]

FROZEN = [case for case in CASES if case[0] is Frames]


def begin(sim, kind, name):
    NOTES.clear()
    app = af.App("demo").add(af.child(Never).options(name="never"), af.child(kind).options(name="a"))
    system = sim.start(app)
    ref, never = system.find("/demo/a", kind), system.find("/demo/never")
    ref.cast(getattr(kind, name), never)
    return ref


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_frames_end_with_the_run(kind, name):
    for seed in range(3):
        with Simulation(seed) as sim:
            begin(sim, kind, name)
            sim.run(until=2)
            assert NOTES == []
        assert threading.active_count() < 20


@pytest.mark.parametrize(("kind", "name"), FROZEN, ids=lambda value: getattr(value, "__name__", value))
def test_frames_of_a_host_that_dies_are_frozen_until_the_end(kind, name):
    with Simulation(1) as sim:
        ref = begin(sim, kind, name)
        sim.at(1).crash(ref, down=1)
        sim.run(until=5)
        assert NOTES == []  # a kill runs no `finally`
        assert sim.peek(ref) is not None
