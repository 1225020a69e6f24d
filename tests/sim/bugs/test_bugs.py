"""Promises: planted bugs are found within a thousand seeds and shrunk, and their cures are not blamed.

`tox -e sim` runs each cure with 2,000 seeds (ACTORFLOW_SIM_RUNS), and searches each bug in twenty ranges of seeds.
"""

import logging
import os
import re

import pytest

from actorflow.sim import SimulationFailure, simulate
from actorflow.sim.search.outcome import run_once
from actorflow.testing import LeakCheck
from tests.sim.bugs import crashes, durable, state, waiting  # noqa: F401 - each adds its bugs
from tests.sim.bugs.planted import CORPUS

SEEDS = 1000  # in which a bug is to be found
RUNS = int(os.environ.get("ACTORFLOW_SIM_RUNS", "0"))
SEARCHES = 20
QUICK = (
    "check_then_act",
    "double_charge",
    "cron_runs_twice",
    "timer_after_a_restart",
    "starvation",
    "job_charges_again_after_a_crash",
    "seen_events_in_memory",
    "timer_of_an_actor_in_memory",
    "two_keys_and_two_instances",
)

each_bug = pytest.mark.parametrize("bug", CORPUS.values(), ids=CORPUS.keys())


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


def sizes_of(failure):
    """Return how many client events and faults the smallest run has."""
    found = re.search(r"(\d+) of \d+ client events, (\d+) of \d+ faults", failure.scenario)
    return tuple(map(int, found.groups()))


@pytest.mark.slow(quick=QUICK)
@each_bug
def test_a_bug_is_found_and_shrunk_to_twice_its_smallest_scenario_at_most(bug):
    with pytest.raises(SimulationFailure) as caught:
        simulate(runs=SEEDS, tapes=None)(bug.ill)()
    events, faults = sizes_of(caught.value)
    assert events + faults <= 2 * (bug.events + bug.faults)


@pytest.mark.slow(quick=QUICK)
@each_bug
def test_a_cure_is_not_blamed(bug):
    for seed in range(RUNS or 12):
        outcome = run_once(bug.cured, seed)
        assert outcome.failure is None, f"seed {seed}"


@pytest.mark.skipif(not RUNS, reason="takes long: tox -e sim")
@each_bug
def test_a_bug_is_found_in_nineteen_of_twenty_searches(bug):
    found = sum(
        any(run_once(bug.ill, seed).failure for seed in range(first, first + SEEDS))
        for first in range(0, SEARCHES * SEEDS, SEEDS)
    )
    assert found >= 0.95 * SEARCHES


def test_the_corpus_has_forty_bugs():
    assert len(CORPUS) >= 40
