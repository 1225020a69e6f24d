"""Several processes on one store: they share the work, and what one of them had when it was killed the others do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.processes import stop_process

from . import tasks
from .node import quick, work

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(shared_url) -> Iterator[af.ActorSystem]:
    """A system that only enqueues, on a file or a server."""
    with LeakCheck(), af.ActorSystem("home", store=shared_url, durability="process") as system:
        yield system


@pytest.fixture
def start(home, tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that works on the file; killed at the end."""
    started = []

    def one(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.queues.node", home.store.url, str(tmp_path), *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield one
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def begun(folder: Path) -> dict[int, set[int]]:
    """Which processes have begun which jobs."""
    seen: dict[int, set[int]] = {}
    for path in folder.glob("*-*"):
        number, _, pid = path.name.partition("-")
        if number.isdigit() and pid.isdigit():
            seen.setdefault(int(number), set()).add(int(pid))
    return seen


def test_two_processes_share_the_work(home, start, tmp_path):
    one, other = start(), start()
    jobs = home.queue("q").enqueue_many(work, [(n,) for n in range(4)])
    tasks.until(lambda: len(begun(tmp_path)) == 4)
    (tmp_path / "go").touch()
    assert {job.result(timeout=30)[1] for job in jobs} == {one.pid, other.pid}


@pytest.mark.slow
def test_each_job_of_many_is_done_once(home, start, tmp_path):
    start(), start()
    jobs = home.queue("q").enqueue_many(quick, [(n,) for n in range(2000)])
    for job in jobs:
        job.result(timeout=30)
    stats = home.queue("q").stats()
    assert (stats.completed, stats.running, stats.queued, stats.retried) == (2000, 0, 0, 0)


def test_the_jobs_of_a_killed_process_run_elsewhere_at_once(home, start, tmp_path):
    victim = start()
    queue = home.queue("q")
    jobs = queue.enqueue_many(work, [(n,) for n in range(2)])
    tasks.until(lambda: len(begun(tmp_path)) == 2)
    other = start()
    victim.kill()
    killed = time.monotonic()
    tasks.until(lambda: all(other.pid in pids for pids in begun(tmp_path).values()), 60)
    assert time.monotonic() - killed < 25  # no lease of thirty seconds had to run out
    (tmp_path / "go").touch()
    assert [job.result(timeout=30) for job in jobs] == [[n, other.pid] for n in range(2)]
    assert [job.info().crashes for job in jobs] == [1, 1]


def test_a_job_that_may_run_once_is_a_dead_letter_when_its_process_is_killed(home, start, tmp_path):
    victim = start()
    job = home.queue("q").enqueue(work.options(at_most_once=True), 0)
    tasks.until(lambda: begun(tmp_path))
    victim.kill()
    start()
    with pytest.raises(af.JobFailed, match="HostDied: node .*: its process was killed or has crashed") as failure:
        job.result(timeout=30)
    assert isinstance(failure.value.__cause__, af.HostDied)
    assert len(begun(tmp_path)[0]) == 1


@pytest.mark.slow
def test_a_job_whose_processes_were_killed_three_times_is_a_dead_letter(home, start, tmp_path):
    job = home.queue("q").enqueue(work, 0)
    for n in range(3):
        victim = start()
        tasks.until(lambda n=n: len(begun(tmp_path).get(0, ())) == n + 1)
        victim.kill()
        victim.wait()
    start()
    with pytest.raises(af.JobFailed, match="is dead"):
        job.result(timeout=30)
    assert home.queue("q").retry(job)
    (tmp_path / "go").touch()
    assert job.result(timeout=30)[0] == 0


@pytest.mark.slow
def test_the_late_result_of_a_stopped_process_is_refused_and_reported(home, start, tmp_path):
    stopped = start("1.0")
    job = home.queue("q").enqueue(work, 0)
    tasks.until(lambda: begun(tmp_path))
    stop_process(stopped.pid)
    other = start("1.0")
    tasks.until(lambda: other.pid in begun(tmp_path)[0])  # the lease has run out
    (tmp_path / "go").touch()
    assert job.result(timeout=30) == [0, other.pid]
    stopped.send_signal(signal.SIGCONT)
    assert "its late result is refused" in read_until(stopped, "late result")
    assert job.result(timeout=30) == [0, other.pid]
    assert home.queue("q").stats().completed == 1


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the log of a process up to a line with the text."""
    lines = ""
    for line in process.stderr:
        lines += line
        if text in line:
            return lines
    return lines


@pytest.mark.slow
def test_a_cancel_reaches_the_process_that_runs_the_job(home, start, tmp_path):
    start()
    job = home.queue("q").enqueue(work, 0)
    tasks.until(lambda: begun(tmp_path))
    assert job.cancel()
    with pytest.raises(af.JobCancelled, match="runs on"):
        job.result(timeout=30)


def test_pause_holds_over_all_processes(home, start, tmp_path):
    queue = home.queue("q")
    queue.pause()
    start()
    job = queue.enqueue(quick, 1)
    with pytest.raises(af.AskTimeout):
        job.result(timeout=0.5)
    queue.resume()
    job.result(timeout=30)


def test_concurrency_holds_over_all_systems(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with af.ActorSystem("one", store=url) as one, af.ActorSystem("other", store=url) as other:
        queues = [system.queue("q", workers=2, concurrency=1) for system in (one, other)]
        begun = [tasks.begun(f"at once {n}") for n in range(2)]
        jobs = [queue.enqueue(tasks.hold, f"at once {n}") for n, queue in enumerate(queues)]
        assert begun[0].wait(30)
        assert not begun[1].wait(0.3)
        tasks.GATES["at once 0"].set()
        assert begun[1].wait(30)
        tasks.GATES["at once 1"].set()
        assert [job.result(timeout=30) for job in jobs] == ["at once 0", "at once 1"]


@pytest.mark.slow
def test_a_process_that_ends_gives_its_jobs_back(home, start, tmp_path):
    first = start()
    job = home.queue("q").enqueue(work, 0)
    tasks.until(lambda: begun(tmp_path))
    first.stdin.close()  # its end
    other = start()
    tasks.until(lambda: other.pid in begun(tmp_path)[0], 60)  # the first one has its grace time
    (tmp_path / "go").touch()
    assert job.result(timeout=30) == [0, other.pid]
    assert job.info().crashes == 0
