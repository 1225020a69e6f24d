"""Promises: a process that somebody stops (SIGSTOP, a debugger) holds no task and no timeout for ever."""

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest

import actorflow as af
from actorflow.process.pool.workers import watched_channel, worker_thread
from actorflow.testing import LeakCheck
from tests.pool import tasks
from tests.processes import is_gone, stop_process


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(watched_channel, "STUCK", 0.7)  # a busy machine may have a task begin so late
    monkeypatch.setattr(worker_thread, "STUCK", 0.7)
    monkeypatch.setattr(worker_thread, "LOOK", 0.05)


def ready(pool):
    """Return the process ids of the worker and of its zygote, which holds no copy of the worker's socket any more.

    One that is stopped before it has closed that keeps the pool from seeing that the worker has died.
    """
    pid = pool.submit(os.getpid).result(timeout=30)
    zygote = psutil.Process(pid).ppid()
    tasks.until(lambda: not sockets(pid) & sockets(zygote))
    return pid, zygote


def sockets(pid):
    """Return the names of a process's open sockets."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed between the two looks
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("size", [1, 4_000_000])
def test_a_task_that_a_stopped_worker_does_not_begin_runs_on_another(impatient, caplog, size):
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pid, _ = ready(pool)
        stop_process(pid)
        futures = [pool.submit(len, bytes(size)), pool.submit(os.getpid), pool.options(timeout=30).submit(abs, -1)]
        assert futures[0].result(timeout=30) == size
        assert futures[1].result(timeout=30) != pid
        assert futures[2].result(timeout=30) == 1
        assert f"worker {pid} has begun no task" in caplog.text
        assert pool.stats().failed == 0


def test_a_worker_that_is_busy_for_longer_is_not_replaced(monkeypatch, tmp_path):
    monkeypatch.setattr(worker_thread, "LOOK", 0.05)
    begun, go = tmp_path / "begun", tmp_path / "go"
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        ready(pool)
        running = pool.submit(tasks.hold, str(begun), str(go))
        tasks.until(begun.exists)
        monkeypatch.setattr(watched_channel, "STUCK", 0.2)  # not before: a busy machine may have it begin late
        monkeypatch.setattr(worker_thread, "STUCK", 0.2)
        late = time.perf_counter() + 2 * worker_thread.STUCK
        tasks.until(lambda: time.perf_counter() > late)
        go.touch()
        assert (running.result(timeout=30), tasks.begun(begun)) == ("held", 1)


def test_a_stopped_worker_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(worker_thread, "ENDING", 0.2)
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pid, _ = ready(pool)
        stop_process(pid)
    tasks.until(lambda: is_gone(pid))


@pytest.mark.parametrize("wish", ["timeout", "cancel", "death"])
def test_a_stopped_zygote_goes_on_when_there_is_a_process_to_end_or_to_start(wish, tmp_path):
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pid, zygote = ready(pool)
        stop_process(zygote)
        if wish == "timeout":
            with pytest.raises(af.TaskTimeout):
                pool.options(timeout=0.05).submit(tasks.spin, 60).result(timeout=60)
        elif wish == "death":
            with pytest.raises(af.HostDied):
                pool.submit(tasks.kill_self).result(timeout=60)
        else:
            running = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "never"))
            tasks.until((tmp_path / "begun").exists)
            assert running.cancel()
        assert ready(pool) != (pid, zygote)
        assert ready(pool)[1] == zygote  # one that takes no orders for ten seconds is replaced
