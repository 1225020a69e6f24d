"""Promises: faults that a seed draws, of kinds that it draws, too."""

from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.sim import Simulation, SimulationFailure, simulate
from actorflow.testing import LeakCheck
from tests.sim.shop import Bank, Payments, trade


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


def drawn(seed, **options):
    with Simulation(seed) as sim:
        trade(sim, careful=True, orders=2)
        sim.chaos(**{"rate": 1.0, "until": 20.0, **options})
        return [(fault.kind, fault.text, fault.begin, fault.end) for fault in sim.faults]


def test_a_seed_draws_the_same_faults_and_another_draws_others():
    assert drawn(3) == drawn(3)
    assert len({tuple(drawn(seed)) for seed in range(10)}) == 10


def test_each_seed_has_kinds_of_its_own_and_all_come():
    kinds = [frozenset(kind for kind, *_ in drawn(seed)) for seed in range(40)]
    assert frozenset().union(*kinds) == {"crash", "pause", "partition", "slow", "clock skew"}
    assert len(set(kinds)) > 5


class Till(af.Actor, durable=True):
    """Has a state that is stored."""

    def __init__(self):
        super().__init__()
        self.state = Takings()

    def pay_in(self, amount):
        self.state.total += amount


@dataclass
class Takings:
    total: int = 0


def faults_of_the_store(seed, kinds=None):
    """Return the faults that a seed draws for an app that stores something; its clients try until they succeed."""
    with Simulation(seed) as sim:
        app = af.App("till", system=af.Settings(intensity=1000)).add(
            af.child(Till).options(name="till", backoff=af.Backoff(1))
        )
        market = sim.start(app)
        till = market.durable("till", Till)

        def pay(left):
            try:
                till.cast(Till.pay_in, 1)
            except (af.ActorflowError, AttributeError):  # the store fails, or the node is down
                if left:
                    sim.at(sim.world.clock.now + 5).call(lambda: pay(left - 1))

        for second in range(1, 10):
            sim.at(second).call(lambda: pay(20))
        sim.chaos(rate=1.0, until=20, kinds=kinds)
        sim.run(until=60)
        return {fault.text for fault in sim.faults}


def test_an_app_that_stores_something_has_faults_of_its_store_too():
    texts = set().union(*map(faults_of_the_store, range(20)))
    assert "store busy" in texts
    assert any(text.startswith("commits take") for text in texts)
    assert not {text for text in texts if "full" in text or "unknown" in text or "cut" in text}


def test_faults_by_which_clients_fail_are_drawn_if_they_are_named():
    texts = set().union(
        *(faults_of_the_store(seed, ["disk_full", "commit_unknown", "lost_commits"]) for seed in range(9))
    )
    assert {"disk full", "power cut"} < texts
    assert any("of commits unknown" in text for text in texts)


def test_the_rate_is_that_of_all_faults_and_none_begins_after_the_end():
    faults = [fault for seed in range(30) for fault in drawn(seed, rate=2.0)]
    assert 0.8 < len(faults) / (30 * 20 * 2) < 1.2
    assert max(begin for _, _, begin, _ in faults) < 20


def test_only_the_kinds_and_targets_that_are_given_are_drawn():
    faults = [fault for seed in range(10) for fault in drawn(seed, kinds=["crash", "drop"], targets=[Bank, Payments])]
    assert {kind for kind, *_ in faults} == {"crash", "drop"}
    assert not [text for _, text, *_ in faults if "Shop" in text or "shop" in text]


def test_faults_of_several_nodes_act_on_nodes():
    with Simulation(1) as sim:
        sim.start(af.App("shop", system=af.Settings(intensity=1000)).add(af.child(Bank).options(name="bank")), nodes=3)
        sim.chaos(rate=1, until=20)
        sim.run(until=60)
        assert all("node" in fault.text for fault in sim.faults)
        assert sim.faults


def test_a_fault_of_chaos_can_be_left_out_of_a_failure():
    @simulate(runs=50, tapes=None)
    def test(sim):
        trade(sim, careful=True, latency=0.01)  # its check takes it that the bank is there
        sim.chaos(rate=0.5, until=10, kinds=["crash"], targets=[Bank])
        sim.run(until=20)

    with pytest.raises(SimulationFailure, match="the check raised AttributeError") as caught:
        test()
    assert "0 of 20 client events, 1 of " in caught.value.scenario


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 0}, "rate=0"),
        ({"rate": "x"}, "rate='x'"),
        ({"until": 0}, "until=0"),
        ({"kinds": ["crahs"]}, "did you mean crash"),
        ({"kinds": "crash"}, "kinds='crash'"),
        ({"kinds": []}, "kinds="),
        ({"targets": []}, "give targets"),
        ({"targets": [Bank], "kinds": ["drop"]}, "two hosts"),
        ({"targets": ["nobody"], "kinds": ["crash"]}, "no actor"),
        ({"rate": 1e6}, "more than"),
    ],
)
def test_chaos_that_makes_no_sense_is_refused(options, words):
    with pytest.raises(af.DefinitionError, match=words):
        drawn(0, **options)


def test_chaos_before_an_app_is_started_is_refused():
    with Simulation() as sim, pytest.raises(af.DefinitionError, match="start an app first"):
        sim.chaos(rate=1, until=2)
