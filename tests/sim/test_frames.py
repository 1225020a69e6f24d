"""Promises: frames of handlers are frozen as their host dies, and all of them end with the run."""

import _thread
import asyncio
import contextlib
import gc
import threading
import time

import pytest

import actorflow as af
from actorflow.sim import Simulation
from actorflow.testing import LeakCheck
from tests.sim.stuck import Never

REAL_LOCK = _thread.allocate_lock()  # made at import: no patch reaches it
NOTES = []
STORES = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    NOTES.clear()
    STORES.clear()
    with LeakCheck():
        yield
    STORES.clear()
    assert not REAL_LOCK.locked()


class Frames(af.Actor):
    """Waits in frames of all kinds."""

    def idle(self):
        return "idle"

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

    def writes(self, _):
        while True:
            try:
                STORES[-1].write(lambda tx: None)
            except BaseException:
                NOTES.append("swallowed")

    async def awaits(self, to):
        while True:
            try:
                await to.ask("x", block=False)
            except BaseException:
                NOTES.append("swallowed")

    async def cleans_up(self, to):
        try:
            await to.ask("x", block=False)
        finally:
            NOTES.append("finally")
            await to.ask("more", block=False)

    async def asks_in_async(self, to):
        while True:
            try:
                to.ask("x")
            except BaseException:
                NOTES.append("swallowed")


class Looped(Frames, loop=True):
    """The same on the asyncio loop."""

    async def sleeps_there(self, _):
        while True:
            try:
                await asyncio.sleep(1000)
            except BaseException:
                NOTES.append("swallowed")

    async def has_tasks(self, to):
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(self.awaits(to))
            group.create_task(self.generates(to))

    async def leaves_a_task(self, to):
        self.task = asyncio.create_task(self.awaits(to))

    async def generates(self, _):
        async def each():
            try:
                while True:
                    yield await asyncio.sleep(1000)
            finally:
                NOTES.append("finally")

        async for _ in each():
            pass

    async def writes_there(self, to):
        self.writes(to)


class Blocking(Frames, blocking=True):
    """The same on a thread of its own."""


SYNC = ["swallow", "clean", "locked", "generator", "in_c", "suppress", "sleeps", "waits", "writes"]
ASYNC = ["awaits", "cleans_up"]
ON_LOOP = [*ASYNC, "sleeps_there", "has_tasks", "leaves_a_task", "generates", "writes_there"]
CASES = [
    *((Frames, name) for name in [*SYNC, *ASYNC, "asks_in_async"]),
    *((Looped, name) for name in ON_LOOP),
    *((Blocking, name) for name in [*SYNC, *ASYNC]),
]
NAMES = [f"{kind.__name__}-{name}" for kind, name in CASES]


def begin(sim, kind, name):
    NOTES.clear()
    app = af.App("demo").add(af.child(Never).options(name="never"), af.child(kind).options(name="a"))
    system = sim.start(app)
    STORES.append(sim.store)
    if name.startswith("writes"):
        sim.at(0).slow_commits(1000, heal=3000)
    ref, never = system.find("/demo/a", kind), system.find("/demo/never")
    sim.at(0.5).call(lambda: ref.cast(getattr(kind, name), never))
    return ref


def run_with_frames(seed, kind, name):
    with Simulation(seed) as sim:
        begin(sim, kind, name)
        sim.run(until=2)
        assert NOTES == []


def crash_with_frames(seed, kind, name, *, node=False):
    with Simulation(seed) as sim:
        ref = begin(sim, kind, name)
        sim.at(1).crash(sim.nodes[0] if node else ref, down=1)
        sim.run(until=5)
        assert NOTES == []  # a kill runs no `finally`
        assert node or sim.peek(ref) is not None
        again = sim.nodes[0].system.find("/demo/a", kind)
        assert again.call(kind.idle).get() == "idle"  # the next incarnation has its turn
        assert NOTES == []


@pytest.mark.parametrize(("kind", "name"), CASES, ids=NAMES)
def test_frames_end_with_the_run(kind, name):
    for seed in range(3):
        run_with_frames(seed, kind, name)


@pytest.mark.parametrize("node", [False, True], ids=["host", "node"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=NAMES)
def test_frames_of_a_host_that_dies_are_frozen_until_the_end(kind, name, node):
    crash_with_frames(1, kind, name, node=node)


class Ticks(af.Actor, loop=True):
    """Counts virtual seconds, in a task that its handler leaves."""

    def __init__(self):
        super().__init__()
        self.count = 0

    async def begin(self):
        self.task = asyncio.create_task(self.go_on())

    async def go_on(self):
        while True:
            await asyncio.sleep(1)
            self.count += 1


def test_the_asyncio_loop_of_a_host_dies_with_it_and_no_other():
    app = af.App("demo").add(*(af.child(Ticks).options(name=name) for name in "ab"))
    with Simulation(1) as sim:
        system = sim.start(app)
        dies, lives = (system.find(f"/demo/{name}", Ticks) for name in "ab")
        for ref in (dies, lives):
            sim.at(0.5).call(lambda ref=ref: ref.cast(Ticks.begin))
        sim.run(until=3.7)
        first = sim.peek(dies)
        sim.at(4).crash(dies, down=1)
        sim.run(until=20)
        assert sim.peek(dies) is not first
        assert (first.count, sim.peek(dies).count, sim.peek(lives).count) == (3, 0, 19)


CODE = []


@af.task(name="frames.act")
async def act() -> None:
    """Note that it was done."""
    CODE.append("act")


@act.compensate(name="frames.undo")
async def undo_act(_: None) -> None:
    """Note that it was undone."""
    CODE.append("undo")


@af.saga(name="frames.saga")
async def stays() -> None:
    """Do a step, wait, and clean up with another one."""
    await act.submit()
    try:
        await af.timer(1000)
    finally:
        CODE.append("finally")
        await act.submit()


@af.workflow(name="frames.workflow")
async def swallows() -> None:
    """Catch whatever comes."""
    while True:
        try:
            await af.timer(1000)
        except BaseException:
            CODE.append("caught")


def test_async_code_of_a_node_that_dies_is_frozen_until_the_end_and_undoes_nothing():
    CODE.clear()
    with Simulation(seed=1) as sim:
        system = sim.start(af.App("frames").add(stays).add(swallows))
        sim.at(1).call(lambda: (system.start(stays), system.start(swallows)))
        sim.run(until=10)
        sim.nodes[0].kill()
        gc.collect()
        assert CODE == ["act"], "a kill runs no clean-up"
    assert CODE.count("finally") == 1
    assert "caught" in CODE
    assert "undo" not in CODE
    assert CODE.count("act") == 1


@pytest.mark.slow
def test_frames_of_three_hundred_seeds_leave_no_thread():
    for seed in range(300):
        kind, name = CASES[seed % len(CASES)]
        crash_with_frames(seed, kind, name, node=seed % 7 == 0)
        run_with_frames(seed, kind, name)
    assert threading.active_count() < 20
