"""Promises: faults of the store in a simulation: full, busy, slow, commits of which nobody knows, and a power cut."""

import contextlib
import logging

import pytest

import actorflow as af
from actorflow.sim import Simulation
from actorflow.testing import LeakCheck
from tests.sim.everything import DAG, DONE, Account, Load, app_of, flow, trip, work


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    DONE.clear()
    with LeakCheck():
        yield


def noting(act, notes, sim):
    """Return a client that notes the error of its call, and when."""

    def call():
        try:
            act()
        except af.StoreError as error:
            notes.append((sim.world.clock.now, type(error).__name__, str(error)))
        else:
            notes.append((sim.world.clock.now, "", ""))

    return call


def put(sim, n):
    return lambda: Load(sim).send(n)


def numbers(sim):
    return Load(sim).state("account", Account).numbers


def test_a_full_disk_refuses_writes_in_its_words_and_nothing_of_them_is_there():
    with Simulation() as sim:
        sim.start(app_of())
        notes = []
        sim.at(1).disk_full(heal=4)
        sim.at(2).call(noting(put(sim, 1), notes, sim))
        sim.at(6).call(noting(put(sim, 2), notes, sim))
        sim.run(until=10)
        assert [(time, kind) for time, kind, _ in notes] == [(2, "StoreError"), (6, "")]
        assert "full (SQLITE_FULL); nothing of it was written" in notes[0][2]
        assert numbers(sim) == [2]
        assert all(sim.met.values())


def test_a_handler_whose_commit_finds_no_room_goes_on_once_there_is():
    with Simulation() as sim:
        sim.start(app_of())
        sim.at(1).call(lambda: Load(sim).system().durable("account", Account).cast(Account.slow, 4))
        sim.at(2).disk_full(heal=20)
        sim.run(until=21)
        assert DONE == {}
        sim.run(until=40)
        assert numbers(sim) == [4, -4]


def test_writes_wait_for_a_busy_store_and_fail_after_half_a_minute():
    with Simulation() as sim:
        sim.start(app_of())
        notes = []
        sim.at(1).busy(heal=10)
        sim.at(2).call(noting(put(sim, 1), notes, sim))
        sim.at(20).busy(heal=50)
        sim.at(21).call(noting(put(sim, 2), notes, sim))
        sim.run(until=100)
        assert [(time, kind) for time, kind, _ in notes] == [(11, ""), (51, "StoreError")]
        assert "SQLITE_BUSY" in notes[1][2]
        assert numbers(sim) == [1]


def test_a_call_that_waits_for_the_store_writes_nothing_once_its_node_has_died():
    with Simulation() as sim:
        sim.start(app_of())
        notes = []

        def start():
            try:
                sim.nodes[0].system.start(flow.options(id="f"), 3)
            except af.ActorDeadError as error:
                notes.append(str(error))

        sim.at(1).busy(heal=10)
        sim.at(2).call(start)
        sim.at(3).crash(sim.nodes[0], down=1)
        sim.run(until=60)
        assert notes == ["the store memory: is closed for this system, which was killed"]
        assert not sim.nodes[0].system.runs(flow).count()


@pytest.mark.parametrize("time", [3.5, 4.5])
def test_a_node_may_be_killed_while_its_start_waits_for_the_store(time):
    with Simulation() as sim:
        sim.start(app_of())
        sim.at(1).crash(sim.nodes[0], down=2)
        sim.at(2).busy(heal=2)
        sim.at(4).slow_commits(0.4, heal=6)
        sim.at(time).crash(sim.nodes[0], down=1)
        sim.at(30).call(put(sim, 1))
        sim.run(until=60)
        assert numbers(sim) == [1]
        living = {row[0] for row in sim.store.read(lambda tx: tx.all("nodes.others", {"id": ""}))}
        assert living == {sim.nodes[0].system.store.node.id}


@pytest.mark.parametrize("end", ["run", "crash"])
def test_a_run_that_ends_while_the_store_is_busy_leaves_no_thread(end):
    with LeakCheck(), Simulation(seed=5) as sim:
        sim.start(app_of(), nodes=2)
        sim.at(4.2).busy(heal=50)
        if end == "crash":
            sim.at(5.5).crash(sim.nodes[0], down=1)
        sim.run(until=6 if end == "run" else 70)


def test_slow_commits_take_virtual_time():
    with Simulation() as sim:
        sim.start(app_of())
        notes = []
        sim.at(1).slow_commits(3, heal=10)
        sim.at(2).call(noting(put(sim, 1), notes, sim))
        sim.run(until=30)
        assert [time for time, _, _ in notes] == [5]
        assert numbers(sim) == [1]


def test_a_commit_that_nobody_knows_of_was_made_or_not():
    made = 0
    for seed in range(10):
        with Simulation(seed) as sim:
            sim.start(app_of())
            notes = []
            sim.at(1).commit_unknown(heal=1)
            sim.at(1.5).call(noting(put(sim, 1), notes, sim))
            sim.run(until=60)
            assert [kind for _, kind, _ in notes] == ["OutcomeUnknown"]
            made += numbers(sim) == [1]
    assert 0 < made < 10


def power_cut(durability, seed):
    """Return what was sent before a power cut, and what is left of it."""
    with Simulation(seed) as sim:
        sim.start(app_of(durability=durability))
        load = Load(sim)
        for n in (1, 2, 3):
            sim.at(n).call(lambda n=n: load.send(n))
        sim.at(5).lost_commits(down=1)
        sim.run(until=5.5)
        assert not sim.nodes[0].is_up
        sim.run(until=20)
        return load.sent, numbers(sim)


def test_a_queue_of_a_store_that_keeps_it_in_the_dark_claims_again_after_a_pause():
    with Simulation(step_limit=20_000) as sim:
        system, notes = sim.start(app_of()), []
        for n in range(20):
            sim.at(0.3 * n).call(noting(lambda n=n: system.queue("jobs").enqueue(work, n), notes, sim))
        sim.at(3).commit_unknown(1.0, heal=60)
        sim.run(until=100)
        assert sim.world.steps < 5_000
        assert all(DONE[f"work {n}"] for n in range(9))


def test_a_power_cut_loses_the_last_commits_that_outlive_a_process_alone():
    lost = set()
    for seed in range(8):
        sent, left = power_cut("process", seed)
        assert left == sent[: len(left)]  # an end of them, and nothing in the midst
        lost.add(len(left))
    assert len(lost) > 1


def test_a_power_cut_loses_no_commit_that_outlives_it():
    for seed in range(3):
        sent, left = power_cut("power", seed)
        assert sent == left == [1, 2, 3]


@af.task(name="everything.in_transaction")
def in_transaction() -> None:
    """Write for a long time in one transaction."""
    with af.current().transaction() as connection:
        connection.execute("create table if not exists own (n)")
        connection.execute("insert into own values (1)")
        DONE["begun"] += 1
        if DONE["begun"] == 1:
            af.timer(5).get()


def test_a_transaction_that_a_task_has_open_ends_with_its_process():
    app = app_of().add(in_transaction)
    with Simulation() as sim:
        sim.start(app, nodes=2)
        sim.at(1).call(lambda: sim.nodes[0].system.queue("jobs").enqueue(in_transaction.options(at_most_once=False)))
        sim.at(3).crash(sim.nodes[0], down=100)
        sim.at(3).crash(sim.nodes[1], down=1)
        sim.at(10).call(lambda: sim.nodes[1].system.queue("jobs").enqueue(work, 7))
        sim.run(until=60)
        assert DONE["work 7"] == 1
        assert sim.nodes[1].system.store.read(lambda tx: tx._connection.execute("select n from own").fetchall()) == [
            (1,)
        ]


def insisting(sim, act):
    """Return a client that repeats its call until the store takes it; the call may be made more than once."""

    def call():
        with contextlib.suppress(af.StoreError):
            if act():
                return
        sim.at(sim.world.clock.now + 1).call(call)  # no node is up, or its store refuses

    return call


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 60), marks=pytest.mark.slow)], ids=str)
def test_all_kinds_of_durable_work_come_through_faults_of_the_store_and_crashes(seeds):
    for seed in seeds:
        DONE.clear()
        with Simulation(seed) as sim:
            sim.start(app_of(), nodes=1 + seed % 2)
            load = Load(sim)
            for n in range(1, 9):
                for act in (load.deliver, load.place, load.enqueue):
                    sim.at(n * 0.7).call(insisting(sim, lambda act=act, n=n: act(n)))
            for name, what, args in (("f", flow, (3,)), ("t", trip, ("x",)), ("d", DAG, ())):
                begin = load.begin(what.options(id=name), *args)
                sim.at(1 + seed * 0.1).call(insisting(sim, begin))
            load.crash_often(seed, times=1)
            sim.at(2).commit_unknown(0.2, heal=3)
            sim.at(4).disk_full(heal=1)
            sim.at(6).busy(heal=2)
            sim.at(9).slow_commits(0.1, heal=1)
            sim.run(until=150)
            load.check(is_doubtful=True)
