"""Promises: safeguards of the engine hold in simulated runs, and the absence of each is found by them.

`tox -e sim` runs more seeds.
"""

import contextlib
import dataclasses
import logging
import os
import re
from collections import Counter

import pytest

import actorflow as af
from actorflow.durable.handling.unit_of_work import UnitOfWork
from actorflow.sagas.course import Course
from actorflow.sim import Simulation
from actorflow.store.sqlite.connection import STATEMENTS
from actorflow.supervision.window import RestartWindow
from actorflow.testing import LeakCheck
from actorflow.workflows.node.members import TurnMember
from actorflow.workflows.rows.records import INTENT

RUNS = int(os.environ.get("ACTORFLOW_SIM_RUNS", "24"))  # of all scenarios together
AGAIN = af.Backoff(0.5, factor=1, jitter=0)
OUTSIDE: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


@dataclasses.dataclass
class Seen:
    numbers: list[int] = dataclasses.field(default_factory=list)


@af.event(name="engine.asked", key="key")
@dataclasses.dataclass
class Asked:
    key: str
    n: int


@af.event(name="engine.charged", key="key")
@dataclasses.dataclass
class Charged:
    key: str
    n: int


class Charges(af.Service, durable=True):
    """Takes two seconds for each, and says so."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    @af.on(Asked)
    def charge(self, event: Asked) -> Charged:
        self.ctx.sleep(2)
        self.state.numbers.append(event.n)
        return Charged(event.key, event.n)


class Books(af.Service, durable=True):
    """Notes what was charged."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    @af.on(Charged)
    def note(self, event: Charged) -> None:
        self.state.numbers.append(event.n)


class Box(af.Actor):
    """Keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append(message)


class Teller(af.Actor, durable=True):
    """Tells the box, and takes its time before it commits."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    def on_receive(self, message: int) -> None:
        self.state.numbers.append(message)
        BOX[0].tell(message)
        self.ctx.sleep(2)


BOX: list = []


class Fragile(af.Actor):
    """Crashes on each message."""

    def __init__(self):
        super().__init__()
        OUTSIDE["starts"] += 1

    def on_receive(self, message):
        raise ValueError(message)


@af.task(name="engine.book", retry=af.Retry(1))
def book(what: str) -> str:
    OUTSIDE[f"booked {what}"] += 1
    return what


@book.compensate
def unbook(step: af.Step) -> None:
    OUTSIDE["unbooked"] += 1


@af.task(name="engine.take_back", retry=af.Retry(1))
def reserve(what: str) -> str:
    OUTSIDE[f"reserved {what}"] += 1
    return what


@reserve.compensate
def release(what: str) -> None:
    OUTSIDE[f"released {what}"] += 1


@af.saga(name="engine.trip")
def trip() -> None:
    """One booking."""
    book("seat")


@af.saga(name="engine.fickle")
def fickle() -> None:
    """Two reservations, and code that fails the first time."""
    reserve("seat")
    reserve("room")
    OUTSIDE["ran to the end"] += 1
    if OUTSIDE["ran to the end"] == 1:
        raise ValueError("no")


def elsewhere():
    """Stand for work elsewhere."""
    raise RuntimeError("a stub takes its place")


@af.task(name="engine.effect")
def effect(n: int) -> int:
    """Work for long, then write; return the number of the start."""
    OUTSIDE[f"started {n}"] += 1
    start = OUTSIDE[f"started {n}"]
    elsewhere()
    with af.current().transaction() as conn:
        conn.execute("create table if not exists effect (n integer)")
        conn.execute("insert into effect values (?)", (n,))
    return start


def app():
    return af.App("engine", system=af.Settings(intensity=100)).add(
        af.child(Charges).options(name="charges", backoff=AGAIN),
        af.child(Books).options(name="books", backoff=AGAIN),
        af.child(Box).options(name="box"),
        af.child(Teller).options(name="teller", backoff=AGAIN),
        book,
        reserve,
        trip,
        fickle,
    )


def state(sim, name):
    """Return the numbers of a durable actor on the node that has it."""
    owners = []
    for node in sim.nodes:
        ref = None if node.system is None else node.system.find(f"/engine/{name}")
        actor = None if ref is None else sim.peek(ref)
        if actor is not None and ref._box.is_owner:
            owners.append((ref._box.epoch, actor.state.numbers))
    return max(owners)[1]


def paused_service(seed):
    """A node is paused in a handler of a service for longer than its lease; another one takes over."""
    with Simulation(seed) as sim:
        sim.start(app(), nodes=2)
        sim.at(1).call(lambda: sim.nodes[0].system.publish(Asked("a", 1)))
        sim.at(2).pause(sim.nodes[0], 100)
        sim.at(60).call(lambda: sim.nodes[1].system.publish(Asked("a", 2)))
        sim.run(until=140)
        assert sorted(state(sim, "books")) == [1, 2]


def crashed_service(seed):
    """A service crashes between its events."""
    with Simulation(seed) as sim:
        sim.start(app())
        for n in range(1, 5):
            sim.at(n).call(lambda n=n: sim.nodes[0].system.publish(Asked("a", n)))
        sim.at(4 + 0.3 * seed % 30).crash(Charges, down=1)
        sim.at(14.5).crash(Books, down=1)
        sim.run(until=40)
        assert state(sim, "charges") == state(sim, "books") == [1, 2, 3, 4]


def crashed_sender(seed):
    """A durable actor crashes after it has sent, and before it commits."""
    with Simulation(seed) as sim:
        system = sim.start(app())
        BOX[:] = [system.find("/engine/box", Box)]
        sim.at(1).call(lambda: system.durable("teller", Teller).tell(7))
        sim.at(2).crash(Teller, down=1)
        sim.run(until=20)
        assert state(sim, "teller") == [7]
        assert sim.peek(BOX[0]).got == [7]


def repeated_delivery(seed):
    """Messages from elsewhere are delivered again until it is known that they are there."""
    with Simulation(seed) as sim:
        system = sim.start(app())
        BOX[:] = [system.find("/engine/box", Box)]

        def deliver(n):
            with contextlib.suppress(af.StoreError):
                system.deliver(system.durable("teller", Teller), n, id=str(n))
                return
            sim.at(sim.world.clock.now + 1).call(lambda: deliver(n))

        sim.at(0.5).commit_unknown(heal=4)
        for n in (1, 2, 3):
            sim.at(n).call(lambda n=n: deliver(n))
        sim.run(until=60)
        assert sorted(state(sim, "teller")) == [1, 2, 3]


def crashing_child(seed):
    """A child crashes more often than its supervisor allows."""
    OUTSIDE.clear()
    tree = af.child(af.Supervisor, af.child(Fragile).options(name="fragile"), intensity=2, period=5.0).options(
        name="tree", restart="temporary"
    )
    with Simulation(seed) as sim:
        system = sim.start(af.App("engine").add(tree))
        fragile = system.find("/engine/tree/fragile", Fragile)

        def send():
            with contextlib.suppress(af.ActorDeadError):
                fragile.tell("x")

        for n in range(8):
            sim.at(n * 0.5).call(send)
        sim.run(until=30)
        assert OUTSIDE["starts"] <= 3


def cancelled_saga(seed):
    """The process of a saga dies in a step; it is cancelled before another one takes over."""
    OUTSIDE.clear()
    with Simulation(seed) as sim:
        sim.stub(book, book.function, latency=4)
        sim.start(app(), nodes=2)
        sim.at(1).call(lambda: sim.nodes[0].system.start(trip.options(id="t")))
        sim.at(3.2).pause(sim.nodes[1], 4)
        sim.at(3.5).crash(sim.nodes[0], down=50)
        sim.at(4).call(lambda: sim.nodes[1].system.get_run("t").cancel())
        sim.run(until=100)
        assert OUTSIDE["booked seat"]
        assert OUTSIDE["unbooked"], OUTSIDE


def turned_saga(seed):
    """The process of a saga dies as it undoes; its code would not fail a second time."""
    OUTSIDE.clear()
    with Simulation(seed) as sim:
        sim.start(app())
        sim.at(1).call(lambda: sim.nodes[0].system.start(fickle.options(id="f")))
        sim.at(1).slow_commits(0.5, heal=10)
        sim.at(2 + 0.25 * seed).crash(sim.nodes[0], down=1)
        sim.run(until=100)
        status = sim.nodes[0].system.get_run("f").status
        released = {OUTSIDE[f"released {what}"] > 0 for what in ("seat", "room")}
        assert (status, released) in [("completed", {False}), ("compensated", {True})], (status, OUTSIDE)


def paused_worker(seed):
    """A node is paused in jobs for longer than their lease; they begin elsewhere, and it comes back meanwhile."""
    OUTSIDE.clear()
    with Simulation(seed) as sim:
        sim.start(af.App("engine").add(effect, af.queue("jobs", workers=4)), nodes=2)
        sim.stub(elsewhere, lambda: None, latency=10)
        jobs = [sim.nodes[0].system.queue("jobs").enqueue(effect, n) for n in range(4)]
        sim.at(1.5).pause(sim.nodes[seed % 2], 32 + seed % 10)
        sim.run(until=100)
        rows = sim.store.read(lambda tx: tx._connection.execute("select n from effect order by n").fetchall())
        assert rows == [(0,), (1,), (2,), (3,)]  # each has one effect
        for n, job in enumerate(jobs):
            assert job.result(timeout=0) == OUTSIDE[f"started {n}"] <= 2, n  # that of the last one to have had it


SCENARIOS = [
    paused_service,
    paused_worker,
    crashed_service,
    crashed_sender,
    repeated_delivery,
    crashing_child,
    cancelled_saga,
    turned_saga,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_engine_keeps_its_promises_in_each_scenario(scenario):
    for seed in range(RUNS // len(SCENARIOS)):
        scenario(seed)


def send_at_once(unit, ref, message, future):
    ref._scheduler.post(ref, message, future)


def without_fence(patch):
    sql = STATEMENTS["events.save"].partition(" where ")[0]
    patch.setitem(STATEMENTS, "events.save", f"{sql} where name = :name")


def without_fence_of_jobs(patch):
    sql = STATEMENTS["jobs.complete"]
    patch.setitem(STATEMENTS, "jobs.complete", sql.replace(" and owner = :owner and epoch = :epoch", ""))


def without_lease(patch):
    """Jobs of others are taken whenever somebody looks."""
    patch.setitem(STATEMENTS, "jobs.overdue", re.sub(r" and lease < \S+", "", STATEMENTS["jobs.overdue"]))


def without_offsets(patch):
    patch.setitem(STATEMENTS, "events.save", STATEMENTS["events.save"].replace(", log = :log", ""))


def without_marks(patch):
    sql = STATEMENTS["actors.mark"]
    patch.setitem(STATEMENTS, "actors.mark", sql.replace("do nothing", "do update set at = :at"))


def without_intents(patch):
    note = Course.note
    patch.setattr(
        Course, "note", lambda course, record, is_held: record.kind == INTENT or note(course, record, is_held)
    )


OFF = {
    "fencing": (paused_service, without_fence),
    "fencing of jobs": (paused_worker, without_fence_of_jobs),
    "leases of jobs": (paused_worker, without_lease),
    "offsets in the handler's commit": (crashed_service, without_offsets),
    "send after commit": (crashed_sender, lambda patch: patch.setattr(UnitOfWork, "hold", send_at_once)),
    "de-duplication": (repeated_delivery, without_marks),
    "restart window": (crashing_child, lambda patch: patch.setattr(RestartWindow, "allows", lambda *_: True)),
    "intent before step": (cancelled_saga, without_intents),
    "compensating before the first undo": (turned_saga, lambda patch: patch.setattr(TurnMember, "write", lambda *_: 0)),
}


@pytest.mark.parametrize("safeguard", OFF)
def test_a_safeguard_that_is_off_is_found(safeguard, monkeypatch):
    scenario, switch_off = OFF[safeguard]
    switch_off(monkeypatch)
    with pytest.raises((AssertionError, af.ActorflowError)):
        for seed in range(30):
            scenario(seed)
