"""Random SIGKILLs of daemons that share a queue on one file, of their pool's workers, and of whole trees.

ACTORFLOW_CRASHES=1000 makes it 1,000 kills (`tox -e crashes`), ACTORFLOW_CRASHES_SEED another run of them.
"""

import contextlib
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time

import psutil
import pytest

import actorflow as af
from tests.crash import tasks

KILLS = int(os.environ.get("ACTORFLOW_CRASHES", "12"))
SEED = int(os.environ.get("ACTORFLOW_CRASHES_SEED", "1"))
EACH = 40  # jobs for each kill
PATIENCE = 20.0  # seconds for jobs of the dead to go on
LIMIT = 120 + 3 * KILLS  # seconds
WAL = 64 * 2**20  # bytes


class Daemon:
    """A process that works on the queue."""

    def __init__(self, url, queue):
        command = [sys.executable, "-m", "tests.crash.daemon", url, queue]
        self._process = subprocess.Popen(command)

    def children(self):
        """Return the processes below it, the zygote too."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def kill_a_child(self, rng):
        """Kill one process below it."""
        if children := self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(children).kill()

    def kill_the_tree(self):
        """Kill it with all that is below it."""
        family = [psutil.Process(self._process.pid), *self.children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
        self._process.wait(10)

    def end(self):
        """Have it end in order."""
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def path(tmp_path):
    """Return a file that keeps a list of its own of what was recorded as done."""
    path = tmp_path / "crash.db"
    with af.ActorSystem("first", store=f"sqlite:///{path}") as system:
        system.queue("crash")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            create table done (job integer, epoch integer);
            create trigger done after update of status on af_job when new.status = 'completed'
            begin insert into done values (new.id, new.epoch); end;
        """)
    return path


def enqueue(queue, rng, first):
    """Enqueue a wave of jobs of all kinds, some alone and some together; return (job, kind, number) of each."""
    wave = []
    for number in range(first, first + EACH, 4):
        kind = rng.choice(list(tasks.EXPECTED))
        task = getattr(tasks, kind)
        jobs = [queue.enqueue(task, number), *queue.enqueue_many(task, [(number + 1,), (number + 2,), (number + 3,)])]
        wave += [(job, kind, number + index) for index, job in enumerate(jobs)]
    return wave


def running(path):
    """Return the jobs that run, as (id, epoch)."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
        return set(connection.execute("select id, epoch from af_job where stage = 4"))


def wait_until_busy(path):
    """Wait until jobs run; a wave may be over too soon to be seen."""
    until = time.monotonic() + 2.0
    while not running(path) and time.monotonic() < until:
        time.sleep(0.002)


def seconds_until_moved_on(path, struck):
    """Wait until no job that ran at a kill is as it was; return the seconds that took."""
    begun = time.monotonic()
    while running(path) & struck:
        if time.monotonic() > begun + PATIENCE:
            pytest.fail(f"jobs that ran at a kill are where they were {PATIENCE} s later")
        time.sleep(0.01)
    return time.monotonic() - begun


def check(path, accepted):
    """All that was acknowledged is there, with the right result; nothing was recorded twice."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        twice = connection.execute("select job, count(*) from done group by job having count(*) > 1").fetchall()
        assert twice == []
        statuses = dict(connection.execute("select id, status from af_job"))
        poisoned = {
            id_ for (id_,) in connection.execute("select id from af_job where status = 'dead' and crashes >= 3")
        }
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from af_job where owner is not null").fetchone() == (0,)
    missing = [job.id for job, _, _ in accepted if int(job.id) not in statuses]
    assert missing == []
    for job, kind, number in accepted:
        if int(job.id) in poisoned:
            continue  # chance killed it thrice, and it says so
        assert job.result(timeout=30) == tasks.EXPECTED[kind](number), (job.id, kind)


@pytest.mark.timeout(LIMIT)
@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_whatever_is_killed(path, capsys):
    rng = random.Random(SEED)
    url = f"sqlite:///{path}"
    hit = 0
    accepted, seconds = [], {"child": [], "tree": [], "one of two": []}
    with af.ActorSystem("producer", store=url, durability="process") as system:
        queue = system.queue("crash")
        daemons = [Daemon(url, "crash") for _ in range(2)]
        for kill in range(KILLS):
            accepted += enqueue(queue, rng, kill * EACH)
            wait_until_busy(path)
            time.sleep(rng.uniform(0, 0.01))
            what = rng.choice(list(seconds))
            victims = daemons if what == "tree" else [rng.choice(daemons)]
            if what == "child":
                victims[0].kill_a_child(rng)
            else:
                for daemon in victims:
                    daemon.kill_the_tree()
            struck = running(path)
            hit += bool(struck)
            if what == "tree":
                daemons = [Daemon(url, "crash") for _ in range(2)]
            seconds[what].append(seconds_until_moved_on(path, struck))
            if what == "one of two":
                daemons = [Daemon(url, "crash"), *(daemon for daemon in daemons if daemon not in victims)]
        for job, kind, number in accepted:
            with contextlib.suppress(af.JobFailed):
                assert job.result(timeout=60) == tasks.EXPECTED[kind](number)
        for daemon in daemons:
            daemon.end()
        check(path, accepted)
        assert hit > KILLS / 2
        assert path.with_name("crash.db-wal").stat().st_size <= WAL
    with capsys.disabled():
        for what, times in seconds.items():
            if times:
                median = statistics.median(times)
                print(f"\n{what}: {len(times)} kills; jobs went on after {median:.3f} s, {max(times):.3f} s at most")
