"""Promises: faults that the engine once had are found again by simulated runs, once their cures are taken out.

The store of a simulation has one lock for all that is written, so that no two commits deadlock in it. That they
would on a server is found by the order in which each comes to its locks; `tests/store/test_outcomes.py` has it tried.
"""

import dataclasses
import logging
import re
from collections import Counter
from pathlib import Path

import pytest

import actorflow as af
from actorflow.durable.node.runtime import DurableRuntime
from actorflow.queues.node.claimer import Claimer
from actorflow.queues.schedules import Schedules
from actorflow.sim import Simulation
from actorflow.store import group_commit, pending_writes, postgres
from actorflow.store.members import Members
from actorflow.store.sqlite.connection import STATEMENTS
from actorflow.store.sqlite.node import SqliteNode
from actorflow.testing import LeakCheck
from tests.sim.clients import AGAIN, Clients
from tests.sim.lock_order import LOCKS, LockOrder

STARTS: Counter[int] = Counter()


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    STARTS.clear()
    with LeakCheck():
        yield


def outside():
    """Stand for work elsewhere."""
    raise RuntimeError("a stub takes its place")


@af.task(name="cures.work", retry=af.Retry(9, AGAIN))
def work(n: int) -> None:
    STARTS[n] += 1
    outside()


@af.task(name="cures.report")
def report() -> None:
    STARTS[0] += 1


@dataclasses.dataclass
class Seen:
    numbers: list[int] = dataclasses.field(default_factory=list)


class Account(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = Seen()

    def put(self, n: int) -> None:
        self.state.numbers.append(n)


def unknown_claim(seed):
    """A transaction that has claimed jobs is lost in its commit: they are queued again, and run."""
    with Simulation(seed) as sim:
        sim.start(af.App("cures").add(work, af.queue("jobs", workers=2)))
        sim.stub(outside, lambda: None, latency=(0.1, 1))
        clients = Clients(sim)
        for n in range(8):
            clients.at(1 + n / 2, n, lambda system, n=n: system.queue("jobs").enqueue(work, n))
        sim.at(2).commit_unknown(0.3, heal=6)
        sim.run(until=200)
        statuses = {status for (status,) in clients.rows("select status from af_job")}
        assert statuses == {"completed"}, statuses


def unknown_message(seed):
    """The commit of a message to a durable actor is unknown: if it was made, the actor hears of the message."""
    with Simulation(seed) as sim:
        sim.start(af.App("cures").add(af.child(Account).options(name="account", backoff=AGAIN)))
        clients, sent = Clients(sim), []

        def send(system):
            try:
                system.durable("account", Account).cast(Account.put, 1)
            except af.OutcomeUnknown:
                sent.append("unknown")

        clients.at(2, "send", send)
        sim.at(1).commit_unknown(1.0, heal=1.5)
        sim.run(until=100)
        assert sent == ["unknown"]
        assert clients.rows("select count(*) from af_mail") == [(0,)]


def living_node(seed):
    """Two nodes of one store know that the other one lives: a job starts once."""
    with Simulation(seed) as sim:
        sim.start(af.App("cures").add(work, af.queue("jobs", workers=1)), nodes=2)
        sim.stub(outside, lambda: None, latency=(2, 6))
        clients = Clients(sim)
        for n in range(16):
            clients.at(1 + 3 * n, n, lambda system, n=n: system.queue("jobs").enqueue(work, n))
        sim.run(until=120)
        assert set(STARTS.values()) == {1}, STARTS


def changed_schedule(seed):
    """The times of a schedule are changed by a rolling deploy: those of the last declaration hold."""
    old, new = (
        af.App("cures").add(report, af.queue("jobs", workers=1).cron(times, report, name="report"))
        for times in ("*/4 * * * *", "* * * * *")
    )
    with Simulation(seed) as sim:
        sim.start(old, nodes=2)
        sim.at(60 + 7 * seed).deploy(new, nodes=[1])
        sim.run(until=320)
        before = STARTS[0]
        sim.run(until=920)
        assert STARTS[0] - before == 10, STARTS[0] - before


class Sender(af.Actor, durable=True):
    """Sends what it gets to some accounts."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    def send(self, n: int, accounts: list) -> None:
        self.state.numbers.append(n)
        for account in accounts:
            account.call(Account.put, n)


def order_of_locks(seed):
    """Durable actors of two nodes send to the same others, in any order: no two commits lock these in two orders."""
    with Simulation(seed) as sim:
        accounts = [af.child(Account).options(name=f"account-{i}") for i in range(4)]
        senders = [af.child(Sender).options(name=f"sender-{i}") for i in range(3)]
        sim.start(af.App("cures").add(*senders, *accounts), nodes=2)
        locks, clients = LockOrder(sim), Clients(sim)

        def send(system, n):
            chosen = [system.durable(f"account-{i}", Account) for i in clients.draw.sample(range(4), 2)]
            system.durable(f"sender-{n % 3}", Sender).call(Sender.send, n, chosen)

        for n in range(9):
            clients.at(1 + n / 10, n, lambda system, n=n: send(system, n))
        sim.run(until=20)
        assert locks.commits >= 5
        assert not locks.turned, locks.turned


SCENARIOS = [unknown_claim, unknown_message, living_node, changed_schedule, order_of_locks]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_with_its_cure_a_fault_does_not_come_back(scenario):
    for seed in range(4):
        STARTS.clear()
        scenario(seed)


def without_text(patch):
    """A process fires a schedule by its own times, whatever those of the row are."""

    def heed(schedules, schedule, row, now):
        is_fit = row is not None and not row.is_ahead(now)
        if is_fit:
            schedules.plan(schedule.name, row.next)
        return is_fit

    patch.setattr(Schedules, "heed", heed)
    patch.setitem(STATEMENTS, "schedules.fire", STATEMENTS["schedules.fire"].replace(" and cron = :cron", ""))


def never_doubting(patch):
    patch.setattr(DurableRuntime, "doubt", lambda *_: None)


def others_look_dead(patch):
    """As two paths of one file did: each looked for the other's lock beside its own path."""
    patch.setattr(
        SqliteNode,
        "dead",
        lambda node: [
            row[0] for row in node._store.read(lambda transaction: transaction.all("nodes.others", {"id": node.id}))
        ],
    )
    patch.setattr(Members, "look_for_others", lambda members, _: setattr(members, "has_others", True))  # on a file


def in_the_order_of_handlers(patch):
    """Work that locks what others do is done in the order in which it was asked for, as any other."""
    for module in (group_commit, pending_writes):
        patch.setattr(module, "sorted", lambda works, key: list(works), raising=False)


CURES = {
    "a claim that an unknown commit strands": (
        unknown_claim,
        lambda patch: patch.setattr(Claimer, "doubt", lambda *_: 0),
    ),
    "a message of an unknown commit": (unknown_message, never_doubting),
    "a node of a symlinked file": (living_node, others_look_dead),
    "a schedule of a rolling deploy": (changed_schedule, without_text),
    "the order in which two nodes lock mailboxes": (order_of_locks, in_the_order_of_handlers),
}


@pytest.mark.parametrize("cure", CURES)
def test_without_its_cure_a_fault_is_found(cure, monkeypatch):
    scenario, take_out = CURES[cure]
    take_out(monkeypatch)
    with pytest.raises((AssertionError, af.ActorflowError)):
        for seed in range(30):
            STARTS.clear()
            scenario(seed)


@pytest.mark.parametrize("name", LOCKS)
def test_a_statement_that_is_said_to_wait_for_a_lock_does_on_postgresql(name):
    room, _, statement = name.partition(".")
    sql = (Path(postgres.__file__).parent / f"{room}.sql").read_text().partition(f"-- name: {statement}\n")[2]
    sql = sql.partition("-- name: ")[0]
    assert re.search("pg_advisory_xact_lock|for update|for no key update", sql)
    assert "skip locked" not in sql
