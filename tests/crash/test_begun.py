"""A process that is killed has begun some of its jobs and only taken others: these are as if they were never taken."""

import signal
import subprocess
import sys

import pytest

import actorflow as af
from actorflow.queue import claimer
from tests.crash import tasks

DIES = """
import os, signal, sys
import actorflow as af
from actorflow.queue import claimer
from tests.crash import tasks

system = af.ActorSystem("dies", store=sys.argv[1])
queue = system.queue("begun")
for number in range(3):
    queue.enqueue(tasks.plain.options(at_most_once=sys.argv[2] == "once"), number)
line = system.lines["begun"]
claimed, _ = line.settle_and_claim([], 3)
assert len(claimed) == 3
store = system.store
store.node.begin(claimed[0].id)
store.node.begin(claimed[1].id)
store.node.end(claimed[1].id)
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(tmp_path, how):
    """Have a process take three jobs, begin the first, and die; return the URL of the store."""
    url = f"sqlite:///{tmp_path / 'begun.db'}"
    done = subprocess.run([sys.executable, "-c", DIES, url, how], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    return url


def test_only_jobs_that_were_begun_count_the_death_as_a_crash(tmp_path):
    with af.ActorSystem("after", store=die(tmp_path, "often")) as system:
        system.queue("begun", workers=1)
        jobs = [system.get_job(id_) for id_ in ("1", "2", "3")]
        assert [job.result(timeout=30) for job in jobs] == [0, 2, 4]
        assert [(job.info().crashes, job.info().attempt) for job in jobs] == [(1, 2), (0, 1), (0, 1)]
    assert list(tmp_path.glob("*-af-nodes/*")) == []


def test_jobs_that_may_run_once_are_dead_only_if_they_were_begun(tmp_path):
    with af.ActorSystem("after", store=die(tmp_path, "once")) as system:
        system.queue("begun", workers=1)
        jobs = [system.get_job(id_) for id_ in ("1", "2", "3")]
        with pytest.raises(af.JobFailed):
            jobs[0].result(timeout=30)
        assert [job.result(timeout=30) for job in jobs[1:]] == [2, 4]
        assert [job.status for job in jobs] == ["dead", "completed", "completed"]
        assert tasks.plain.name == jobs[0].info().task


def test_a_process_takes_the_jobs_of_the_dead_as_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(claimer, "LOOK_SECONDS", 3600.0)
    with af.ActorSystem("after", store=die(tmp_path, "often")) as system:
        system.queue("begun", workers=1)
        assert [system.get_job(id_).result(timeout=30) for id_ in ("1", "2", "3")] == [0, 2, 4]
