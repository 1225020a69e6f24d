"""Promises: queues, runs, services and supervisors of one to five nodes keep theirs through crashes and faults.

`tox -e sim` runs 2,000 seeds.
"""

import logging
import os

import pytest

from actorflow.testing import LeakCheck
from tests.sim.worlds import queue_world, register_world, run_world, service_world, tree_world

RUNS = int(os.environ.get("ACTORFLOW_SIM_RUNS", "21"))
PARTS = {queue_world: 0.2, run_world: 0.2, service_world: 0.2, register_world: 0.2, tree_world: 0.4}  # of the runs


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


@pytest.mark.parametrize("world", PARTS, ids=lambda world: world.__name__)
def test_a_part_of_the_engine_keeps_its_promises_on_one_to_five_nodes(world):
    for seed in range(int(RUNS * PARTS[world])):
        try:
            world(seed)
        except Exception as error:
            error.add_note(f"{world.__name__}({seed})")
            raise
