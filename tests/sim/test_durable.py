"""Promises: what is durable outlives the crashes of a simulation: what was committed stays, what was not is gone."""

import logging

import pytest

import actorflow as af
from actorflow.sim import Simulation
from actorflow.testing import LeakCheck
from tests.sim.everything import DAG, DONE, Account, Load, Order, app_of, flow, trip


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    DONE.clear()
    with LeakCheck():
        yield


def account_of(sim, number=0):
    return sim.nodes[number].system.durable("account", Account)


def state_of(sim, name, cls):
    """Return the state of a durable actor on the node that has it."""
    return Load(sim).state(name, cls)


def test_a_message_whose_handler_dies_with_its_host_is_handled_again_on_the_old_state():
    with Simulation() as sim:
        sim.start(app_of())
        sim.at(1).call(lambda: account_of(sim).cast(Account.slow, 5))  # it sleeps for 2 s
        sim.at(1.5).call(lambda: account_of(sim).cast(Account.put, 6))
        sim.at(2).crash(Account, down=1)
        sim.run(until=4)
        assert state_of(sim, "account", Account).numbers == [5]  # begun anew at 3, and its sleep is not over
        sim.run(until=20)
        assert state_of(sim, "account", Account).numbers == [5, -5, 6]


def test_a_message_whose_handler_dies_with_its_node_is_handled_again_there_or_elsewhere():
    for nodes in (1, 2):
        with Simulation(3) as sim:
            sim.start(app_of(), nodes=nodes)
            sim.at(1).call(lambda sim=sim: account_of(sim).cast(Account.slow, 5))
            sim.at(2).crash(sim.nodes[0], down=20)
            sim.run(until=15)
            if nodes == 2:  # taken over
                assert state_of(sim, "account", Account).numbers == [5, -5]
            sim.run(until=40)
            assert state_of(sim, "account", Account).numbers == [5, -5]


def test_a_node_that_is_paused_for_longer_than_its_lease_loses_its_actors_and_commits_nothing_any_more():
    with Simulation(4) as sim:
        sim.start(app_of(), nodes=2)
        sim.at(1).call(lambda: account_of(sim).cast(Account.slow, 5))
        sim.at(2).pause(sim.nodes[0], 100)
        sim.at(60).call(lambda: account_of(sim, 1).cast(Account.put, 6))
        sim.run(until=99)
        assert state_of(sim, "account", Account).numbers == [5, -5, 6]
        sim.run(until=150)
        assert state_of(sim, "account", Account).numbers == [5, -5, 6]


def test_a_durable_target_is_the_node_that_has_it_and_others_are_named_with_their_node():
    with Simulation() as sim:
        sim.start(app_of(), nodes=2)
        sim.at(1).crash(Account, down=1)
        sim.at(3).crash("/all/account (node 1)", down=1)
        report = sim.run(until=10)
        assert report.faults == ["crash of Account at 1 s", "crash of /all/account (node 1) at 3 s"]


def test_a_node_that_crashes_twice_starts_once_after_the_later_crash():
    with Simulation() as sim:
        sim.start(app_of())
        sim.at(1).crash(sim.nodes[0], down=3)
        sim.at(2).crash(sim.nodes[0], down=5)
        sim.run(until=6)
        assert not sim.nodes[0].is_up
        sim.run(until=8)
        assert sim.nodes[0].is_up


def test_a_node_that_crashes_while_it_drains_for_a_deploy_starts_with_the_new_app():
    app = app_of()
    with Simulation() as sim:
        sim.start(app_of())
        sim.at(1).call(lambda: account_of(sim).cast(Account.slow, 1))
        sim.at(2).deploy(app)
        sim.at(2.5).crash(sim.nodes[0], down=1)
        sim.run(until=20)
        assert sim.nodes[0].is_up
        assert sim.nodes[0].app is app
        assert state_of(sim, "account", Account).numbers == [1, -1]


def test_the_durability_of_the_app_is_that_of_its_nodes():
    with Simulation() as sim:
        assert sim.start(af.App("weak", durability="process")).store.durability == "process"


@pytest.mark.parametrize(("nodes", "seeds"), [(1, 6), (2, 1), pytest.param(5, 2, marks=pytest.mark.slow)])
def test_all_kinds_of_durable_work_outlive_crashes_of_hosts_and_nodes(nodes, seeds):
    for seed in range(seeds):
        DONE.clear()
        with Simulation(seed) as sim:
            sim.start(app_of(), nodes=nodes)
            load = Load(sim)
            load.declare(orders=8)
            for name, work in (("f", flow), ("t", trip), ("d", DAG)):
                load.begin_at(1 + seed * 0.1, work.options(id=name), *{"f": (3,), "t": ("x",), "d": ()}[name])
            load.crash_often(seed)
            sim.run(until=100)
            load.check()
            assert state_of(sim, "order", Order) == "dead"  # the timer of the machine has come
            assert DONE["sweep"] >= 1


def test_the_same_seed_takes_the_same_steps_with_a_store():
    def digest(seed):
        with Simulation(seed) as sim:
            sim.start(app_of(), nodes=2)
            load = Load(sim)
            load.declare(orders=5)
            load.crash_often(seed)
            return sim.run(until=20).digest

    assert digest(7) == digest(7) != digest(8)
