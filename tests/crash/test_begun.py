"""A process that is killed has begun some of its jobs and only taken others: these are as if they were never taken."""

import signal
import subprocess
import sys

import pytest

import actorflow as af
from actorflow.queues import ledger
from actorflow.queues.node import claimer
from actorflow.queues.node.job_owner import attempt_of, begin
from tests.crash import tasks
from tests.queues.tasks import until

DIES = """
import os, signal, sys
import actorflow as af
from actorflow.queues import ledger
from actorflow.queues.node import claimer
from actorflow.queues.node.job_owner import attempt_of, begin
from tests.crash import tasks

system = af.ActorSystem("dies", store=sys.argv[1])
queue = system.queue("begun")
for number in range(3):
    queue.enqueue(tasks.plain.options(at_most_once=sys.argv[2] == "once"), number)
line = system.local_queues["begun"]
claimed, _ = line.jobs.settle_and_claim([], 3)
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


# --- without notes that outlive the process: on PostgreSQL it may have been on another machine ------------------------

DIES_FAR = """
import os, signal, sys, time
import actorflow as af
from actorflow.queues.node.job_owner import attempt_of, begin
from tests.crash import tasks

system = af.ActorSystem("dies", store=sys.argv[1])
queue = system.queue("begun")
if sys.argv[2] == "first":
    for number in range(3):
        queue.enqueue(tasks.plain.options(at_most_once=sys.argv[3] == "once"), number)
line = system.local_queues["begun"]
claimed = []
until = time.monotonic() + 30
while len(claimed) < 3 and time.monotonic() < until:  # the server has to notice that a session is gone
    line.store.members.bury_dead()
    claimed += line.jobs.settle_and_claim([], 3)[0]
assert begin(attempt_of(claimed[0], line))
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_far(url, turn, how):
    """Have a process take over what is there, take three jobs, begin the first, and die."""
    done = subprocess.run([sys.executable, "-c", DIES_FAR, url, turn, how], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def bury(system):
    """Take over the jobs of those that have died."""
    queue, line = system.queue("begun"), system.local_queues["begun"]
    until(lambda: line.store.members.bury_dead() or queue.count(status="running") == 0)


@pytest.mark.slow
def test_on_postgres_a_job_that_was_only_taken_counts_one_death_and_no_more(postgres_server):
    with postgres_server.database() as url:
        for turn in ("first", "second", "third"):
            die_far(url, turn, "often")
        with af.ActorSystem("after", store=url) as system:
            bury(system)
            jobs = [system.get_job(id_).info() for id_ in ("1", "2", "3")]
            assert [(job.status, job.crashes) for job in jobs] == [("dead", 3), ("queued", 1), ("queued", 1)]


def test_on_postgres_jobs_that_may_run_once_are_dead_only_if_they_were_begun(postgres_server):
    with postgres_server.database() as url:
        die_far(url, "first", "once")
        with af.ActorSystem("after", store=url) as system:
            bury(system)
            assert [system.get_job(id_).status for id_ in ("1", "2", "3")] == ["dead", "queued", "queued"]


def test_on_postgres_a_job_that_was_lost_before_it_began_is_not_begun(postgres_server):
    with postgres_server.database() as url, af.ActorSystem("slow", store=url) as slow:
        job = slow.queue("begun").enqueue(tasks.plain.options(at_most_once=True), 1)
        line = slow.local_queues["begun"]
        (claimed,), _ = line.jobs.settle_and_claim([], 1)
        slow.store.write(
            lambda transaction: ledger.disown(transaction, "begun", slow.store.node.id, 0.0, ledger.News())
        )
        assert not begin(attempt_of(claimed, line))
        assert job.status == "queued"
        slow.queue("begun", workers=1)
        assert job.result(timeout=20) == 2
