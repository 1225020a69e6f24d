"""Promises of the watch: memory counts children, and a limit calls back once."""

import errno
import os
import socket
import subprocess
import sys
import threading

import pytest

from actorflow.process import watch as watch_of
from actorflow.process.launch.launcher import Launch, acquire
from actorflow.process.watch import MemoryWatch, rss_of, usage
from actorflow.testing import LeakCheck

LIMIT = 30.0
MB = 1_000_000

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def big():
    """A process with 60 MB in a child of its own."""
    with LeakCheck():
        launcher = acquire(Launch())
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT)
        with ours, theirs:
            handle = launcher.launch("tests.process.children:takes_memory", None, [theirs.fileno()])
            assert ours.recv(100)
            yield handle
            launcher.release()


def test_memory_and_cpu_of_a_process_count_its_children(big):
    rss, cpu = usage(big.pid)
    assert rss > 60 * MB
    assert cpu >= 0.0
    assert rss_of(big.pid) > 60 * MB


def test_a_process_that_is_gone_uses_nothing():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    assert usage(process.pid) == (0, 0.0)


def test_a_passed_limit_calls_back_once_and_the_thread_ends_with_the_last_limit(big):
    with LeakCheck():
        watch = MemoryWatch()
        calls = []
        told = threading.Event()

        def exceeded(rss):
            calls.append(rss)
            told.set()

        small = watch.add(os.getpid(), 10**12, lambda _rss: pytest.fail("it has not that much"))
        token = watch.add(big.pid, 50 * MB, exceeded)
        assert told.wait(LIMIT)
        big.kill()
        assert big.wait(LIMIT)
        watch.remove(token)
        watch.remove(small)
    assert len(calls) == 1
    assert calls[0] > 60 * MB


def test_a_callback_that_fails_does_not_end_the_watch(big, caplog):
    with LeakCheck():
        watch = MemoryWatch()
        told = threading.Event()

        def bad(_rss):
            raise RuntimeError("a bad callback")

        watch.add(big.pid, 1, bad)
        watch.add(big.pid, 2, lambda _rss: told.set())
        assert told.wait(LIMIT)
        told.clear()
        watch.add(big.pid, 3, lambda _rss: told.set())  # a watch that had nothing left to do starts again
        assert told.wait(LIMIT)
    assert "memory limit" in caplog.text


def test_a_limit_holds_though_at_times_there_is_no_room_for_files_to_look_with(big, monkeypatch):
    looks, known = iter(range(3)), watch_of.children

    def children(pid):
        if next(looks, None) is not None:
            raise OSError(errno.EMFILE, "Too many open files")
        return known(pid)

    monkeypatch.setattr(watch_of, "children", children)
    with LeakCheck():
        watch, told = MemoryWatch(), threading.Event()
        watch.add(big.pid, 50 * MB, lambda _rss: told.set())
        assert told.wait(LIMIT)


def test_a_limit_for_which_there_was_no_thread_does_not_hinder_the_next(big, monkeypatch):
    known, lacks = threading.Thread.start, iter(range(1))

    def start(thread):
        if thread.name == "actorflow-memory" and next(lacks, None) is not None:
            raise RuntimeError("can't start new thread")
        known(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with LeakCheck():
        watch, told = MemoryWatch(), threading.Event()
        with pytest.raises(RuntimeError):
            watch.add(big.pid, 50 * MB, lambda _rss: pytest.fail("it was refused"))
        watch.add(big.pid, 50 * MB, lambda _rss: told.set())
        assert told.wait(LIMIT)
