"""Promises: all orders of a small scenario."""

import os

import pytest

import actorflow as af
from actorflow.sim import Link, SimulationFailure, simulate
from actorflow.sim.search.orders import all_orders
from actorflow.sim.search.settings import SearchSettings, use
from actorflow.testing import LeakCheck
from tests.sim.test_search import APP, Runner, race


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


def three(sim, *, link=None):
    """Three messages of one actor, and three of another, come to a third one; its order is what it has got."""
    system = sim.start(APP)
    goal = system.find("/track/race")
    if link is not None:
        sim.network(link)
    for name in "abab":
        system.find(f"/track/{name}").cast(Runner.run, goal)
    sim.run(until=5)
    got.append("".join(sim.peek(goal).got))


got: list[str] = []


def test_each_order_comes_once_all_is_varied():
    got.clear()
    digests = [outcome.figures.digest for outcome in all_orders(three, 0, 99)]
    assert set(got) == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}
    assert len(digests) == len(set(digests))


def test_runs_with_fewer_choices_that_are_not_the_first_come_before():
    sizes = [outcome.tape.size for outcome in all_orders(three, 0, 2)]
    assert sizes == sorted(sizes)
    assert set(sizes) == {0, 1, 2}


def test_latencies_and_losses_are_choices_too():
    got.clear()
    link = Link(latency=(0.1, 0.2), loss=0.1, hostile=True)
    for _ in all_orders(lambda sim: three(sim, link=link), 0, 1):
        pass
    assert {len(order) for order in got} == {3, 4}
    assert len(set(got)) > 3


def test_a_bug_is_found_without_luck_and_a_pass_has_tried_all(tmp_path):
    with pytest.raises(SimulationFailure, match="a comes first") as caught:
        simulate(exhaustive=1, tapes=tmp_path)(race)()
    (tape,) = tmp_path.iterdir()
    assert f"--sim-tape={os.path.relpath(tape)}" in caught.value.scenario
    with use(SearchSettings(tape=tape)), pytest.raises(SimulationFailure, match="a comes first"):
        simulate(tapes=None)(race)()
    simulate(exhaustive=0, tapes=None)(race)()
    simulate(exhaustive=2, tapes=None)(three)()


def test_a_scenario_with_more_orders_than_runs_fails():
    with pytest.raises(SimulationFailure, match="there are more"):
        simulate(exhaustive=9, runs=5, tapes=None)(three)()


def test_a_budget_ends_it_without_a_failure():
    with use(SearchSettings(budget=1e-9)):
        simulate(exhaustive=9, runs=5, tapes=None)(three)()


@pytest.mark.parametrize("value", [-1, True, "x", 1.5])
def test_a_number_of_choices_that_makes_no_sense_is_refused(value):
    with pytest.raises(af.DefinitionError, match="exhaustive="):
        simulate(exhaustive=value)
