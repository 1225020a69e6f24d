"""Random SIGKILLs of processes that share durable runs of a DAG: each ends right, and no recorded node is run again."""

from __future__ import annotations

import random
import time

import pytest

import actorflow as af
from tests.crash import runs
from tests.crash.test_run_kills import PATIENCE, Notes, books, crew_of

__all__ = ["books"]  # a fixture

RUNS = 6
KILLS = 4


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs_of_a_dag_end_right_and_no_recorded_node_is_run_again_wherever_processes_are_killed(
    books, tmp_path, monkeypatch
):
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv("ACTORFLOW_NOTES", str(path))
    rng = random.Random(1)
    with af.ActorSystem("starter", store=books.url) as system, crew_of(books, rng) as crew:
        system.workflows = frozenset()  # it starts them, and others run them
        begun = [system.start(runs.graph.options(id=f"dag-{number}")) for number in range(RUNS)]
        crew.start()
        crew.start()
        notes = Notes(books, path)
        for _ in range(KILLS):
            crew.wait_until_up()
            time.sleep(rng.random() * 0.3)
            crew.kill_one()
            notes.check()
            crew.start()
        for run in begun:
            results = run.result(timeout=PATIENCE)
            assert results["sum"] == runs.SUM
            assert {step.status for step in run.steps} == {"completed", "skipped"}
        notes.check()
        assert len(notes.keys) == RUNS * runs.NODES  # a node that is run again has the same key
        crew.wait_until_up()
        crew.end()
