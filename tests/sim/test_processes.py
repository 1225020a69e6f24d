"""Promises: a seed is the same run in each process, whatever the hash seed, and on each Python."""

import re
import sys

import pytest

from actorflow.sim import Simulation
from tests.sim import pythons
from tests.sim.everything import DAG, Load, app_of, flow, trip

SEEDS = range(3)
PROGRAM = """
import logging
logging.disable(logging.CRITICAL)
from tests.sim.test_processes import SEEDS, stored
from tests.sim.test_repeatable import mixed
print([mixed(seed) for seed in SEEDS], [stored(seed) for seed in SEEDS])
"""


def stored(seed):
    """Return the digest of a run of durable actors and services, a queue, a workflow, a DAG, a saga, and crashes."""
    with Simulation(seed) as sim:
        sim.start(app_of(), nodes=2)
        load = Load(sim)
        load.declare(orders=5)
        for name, work, args in (("f", flow, (3,)), ("t", trip, ("x",)), ("d", DAG, ())):
            load.begin_at(1 + seed * 0.1, work.options(id=name), *args)
        load.crash_often(seed)
        return sim.run(until=70).digest


@pytest.mark.slow
def test_the_same_seed_takes_the_same_steps_in_three_processes_with_all_that_is_stored():
    said = [pythons.output(sys.executable, PROGRAM, hash_seed=hash_seed) for hash_seed in (1, 2, 3)]
    assert None not in said
    assert len(set(said)) == 1
    (digests,) = set(said)
    assert str([stored(seed) for seed in SEEDS]) in digests
    assert len(set(re.findall(r"\d+", digests))) == 2 * len(SEEDS)  # each seed is a run of its own


@pytest.mark.slow
def test_the_same_seed_takes_the_same_steps_on_each_python():
    others = pythons.others()
    if not others:
        pytest.skip("no other Python here has the package")
    own = pythons.output(sys.executable, PROGRAM)
    assert own is not None
    for python in others:
        assert pythons.output(python, PROGRAM, hash_seed=1) == own, python
