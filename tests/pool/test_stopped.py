"""Promises: a process that somebody stops (SIGSTOP, a debugger) holds no task and no timeout for ever."""

import ctypes
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

import actorflow as af
from actorflow.process.launch import fork_server
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
    """Return the process ids of the worker and of its zygote."""
    pid = pool.submit(os.getpid).result(timeout=30)
    return pid, psutil.Process(pid).ppid()


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


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_death_is_noticed_though_the_zygote_is_stopped_at_each_fork(when, monkeypatch):
    """Behind the fork, and until it is continued, it has copies of the worker's socket."""
    monkeypatch.setattr(fork_server, "LOOK", 0.05)
    host = af.Process(preload=["tests.process.preloads.stopping"], env={"AF_TEST_STOP": when})
    with LeakCheck(), af.ProcessPool(workers=1, host=host) as pool:
        with pytest.raises(af.HostDied):
            pool.submit(tasks.kill_self).result(timeout=60)
        assert pool.options(timeout=30).submit(abs, -1).result(timeout=60) == 1


def test_a_death_is_noticed_though_a_program_that_left_its_group_has_the_workers_socket(tmp_path):
    with af.ProcessPool(workers=1) as pool:
        try:
            with pytest.raises(af.HostDied):
                pool.submit(fork_in_c_and_die, str(tmp_path / "left")).result(timeout=60)
        finally:
            os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def fork_in_c_and_die(file):
    """Leave a process that Python's hooks for forks do not know of."""
    libc = ctypes.PyDLL(None)
    pid = libc.fork()
    if pid == 0:
        libc.setsid()
        while True:
            libc.pause()
    Path(file).write_text(str(pid))
    tasks.until(lambda: os.getsid(pid) == pid)
    tasks.kill_self()
