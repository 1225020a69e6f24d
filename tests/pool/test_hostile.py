"""Hostile tasks: functions, arguments, results and processes that hurt their own task, and no other."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import actorflow as af
from actorflow.process.pool.batching import fits_behind, gather
from actorflow.process.pool.options import TaskOptions
from actorflow.process.pool.task import Function, PoolTask
from actorflow.process.pool.task_queue import TaskQueue
from actorflow.process.pool.workers import channel
from actorflow.testing import LeakCheck
from tests.pool import tasks

MUCH = 4_000_000  # bytes: more than a socket holds


@pytest.fixture
def one():
    """A pool of one worker, which is ready."""
    with LeakCheck(), af.ProcessPool(workers=1) as running:
        running.submit(os.getpid).result(timeout=30)
        yield running


# --- more than a socket holds ----------------------------------------------------------------------------------------


def test_a_function_with_much_in_it_waits_behind_no_task_of_a_worker_that_does_not_know_it():
    """A worker that then sends much would wait for its reader, who waits for the worker: for ever."""
    task = PoolTask(None, Function(1, "f", bytes(MUCH)), b"", (), TaskOptions())
    assert not fits_behind(task, 0.0001, [], known=())
    assert fits_behind(task, 0.0001, [], known={1})
    assert len(gather(queue_of(task, task), task, 0.0, 2, known=())[0]) == 1
    assert len(gather(queue_of(task, task), task, 0.0, 2, known={1})[0]) == 3


def queue_of(*tasks):
    queue = TaskQueue()
    for task in tasks:
        task.function.cost = 0.0001
        queue.put(task)
    return queue


def talk(path):
    """Log more than a socket holds, after a big task was submitted."""
    tasks.until(Path(path).exists)
    for _ in range(2000):
        logging.getLogger("start").info("x" * 1000)


@pytest.mark.parametrize("how", ["at once", "by the queue"])
def test_a_big_task_does_not_wait_in_a_send_while_the_initializer_runs(tmp_path, how, monkeypatch):
    monkeypatch.setattr(logging.getLogger("start"), "level", logging.INFO)
    path = tmp_path / "go"
    with LeakCheck(), af.ProcessPool(workers=1, initializer=talk, initargs=(str(path),)) as pool:
        futures = [pool.submit(abs, -1)] if how == "by the queue" else []
        futures.append(pool.submit(len, bytes(MUCH)))
        path.touch()
        assert futures[-1].result(timeout=30) == MUCH


# --- arguments and results -------------------------------------------------------------------------------------------


def only_in(pid, act, *args):
    """Unpickle to 5, but not in the process of that number."""
    if os.getpid() == pid:
        act(*args)
    return 5


class Shy:
    """Unpickles in workers only."""

    def __reduce__(self):
        return only_in, (os.getpid(), sys.exit, "not here")


def test_items_that_unpickle_in_workers_only_survive_the_death_of_one(one, tmp_path):
    """What had not begun is put back as it is."""
    list(one.map(abs, range(100)))
    running = one.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
    again = one.options(retries=2).map(tasks.add, [Shy()] * 20, chunksize=1)
    once = one.map(tasks.add, [Shy()] * 20, chunksize=3)
    tasks.until((tmp_path / "begun").exists)
    os.kill(one.stats().workers[0].pid, 9)
    with pytest.raises(af.HostDied):
        running.result(timeout=30)
    assert list(again) == list(once) == [5] * 20


def test_items_that_kill_who_unpickles_them_kill_workers_only():
    """A retry of a map unpickled them in the program."""
    code = """
        import os
        import actorflow as af

        class Killer:
            def __reduce__(self):
                return os._exit, (7,)

        with af.ProcessPool(workers=1) as pool:
            for options in ({}, {"retries": 1}):
                try:
                    list(pool.options(**options).map(len, [Killer(), "abc"]))
                except af.HostDied as error:
                    print("exit code 7" in str(error), flush=True)
    """
    assert output_of(code) == "True\nTrue\n"


def test_a_map_whose_result_does_not_unpickle_leaves_its_worker_to_others(one, tmp_path):
    """The rest of the chunk runs on, and the next task was sent to wait for that."""

    def act(item):
        tasks.spin(0.001)  # cheaper ones come in groups
        if item == 2:
            tasks.hold(str(tmp_path / "begun"), str(tmp_path / "never"))
        return tasks.bomb() if item == 1 else item

    results = one.map(act, range(5), chunksize=5)
    assert next(results) == 0
    with pytest.raises(af.errors.PayloadError, match="does not unpickle"):
        next(results)
    assert one.submit(abs, -1).result(timeout=30) == 1
    assert one.stats().failed == 1


def test_a_task_that_there_is_no_memory_to_send_has_that_error_and_others_go_on(one, monkeypatch, tmp_path):
    def frame(items, buffers=()):
        if b"poison" in repr(items).encode():
            raise MemoryError
        return known(items, buffers)

    known = channel.Frame
    monkeypatch.setattr(channel, "Frame", frame)
    running = one.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
    poisoned, other = one.submit(len, "poison"), one.submit(len, "other")
    (tmp_path / "go").touch()
    with pytest.raises(MemoryError):
        poisoned.result(timeout=30)
    assert (running.result(timeout=30), other.result(timeout=30)) == ("held", 5)


class Odd:
    """Raises at nearly each look at an attribute, and has no `repr`."""

    def __getattribute__(self, name):
        if name == "__class__":
            return Odd
        raise ZeroDivisionError(name)

    def __repr__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("odd", [lambda: {Odd(): threading.Lock()}, lambda: [Odd(), threading.Lock()], Odd])
def test_what_does_not_pickle_is_told_though_its_repr_and_attributes_raise(one, odd):
    with pytest.raises(af.errors.PayloadError, match="does not pickle"):
        one.submit(len, odd())
    with pytest.raises(af.errors.PayloadError, match="does not pickle"):
        one.submit(odd).result(timeout=30)


class Unnamed:
    """A call whose name is no text."""

    class Name:
        def __str__(self):
            raise ZeroDivisionError

        __repr__ = __str__

        def __format__(self, _):
            raise ZeroDivisionError

    def __getattr__(self, name):
        if name == "__qualname__":
            return self.Name()
        raise AttributeError(name)

    def __call__(self, act, *args):
        return act(*args)


def test_a_call_whose_name_is_no_text_is_named_by_its_class(one):
    with pytest.raises(af.HostDied, match=r"^Unnamed: its process ended with exit code 3"):
        one.submit(Unnamed(), os._exit, 3).result(timeout=30)
    assert one.submit(Unnamed(), abs, -1).result(timeout=30) == 1


def test_functions_that_a_worker_forgets_are_none_that_come_with_what_it_learns(one, monkeypatch):
    """One that was the oldest, and came in the same batch as a new one, was not found."""
    monkeypatch.setattr(channel, "KNOWN", 3)
    functions = [lambda x, n=n: x + n for n in range(8)]
    expected = [x + n for x in range(3) for n in range(8) for _ in "ab"]
    for _ in range(5):
        futures = [one.submit(functions[n], x) for x in range(3) for n in range(8) for _ in "ab"]
        assert [future.result(timeout=30) for future in futures] == expected
    assert len(one._dispatch.worker_threads[0].known) <= 8


# --- processes -------------------------------------------------------------------------------------------------------


def fork_and_come_back(item, how, path):
    """Note the call; of item 5 come back twice."""
    tasks.begin(path)
    if item == 5:
        pid = os.fork()
        if not pid and how == "exit":
            sys.exit(0)
        if not pid and how == "raise":
            os.close(2)
            raise ValueError("the child's")
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return item


@pytest.mark.parametrize(("how", "code"), [("return", 0), ("exit", 0), ("raise", 1)])
def test_a_forked_process_that_comes_back_from_its_task_ends_and_does_no_work_of_the_worker(one, tmp_path, how, code):
    path = str(tmp_path / "runs")
    act = fork_and_come_back
    for _ in range(20):
        one.submit(act, 0, how, path).result(timeout=30)  # it is known to be cheap
    futures = [one.submit(act, item, how, path) for item in range(50)]
    expected = [code if item == 5 else item for item in range(50)]
    assert [future.result(timeout=30) for future in futures] == expected
    assert list(one.map(act, range(50), [how] * 50, [path] * 50, chunksize=1)) == expected
    assert tasks.begun(path) == 120


@pytest.mark.parametrize("words", [("%d", "x"), (Unnamed.Name(),)])
def test_a_log_line_that_cannot_be_made_is_told_on_the_error_output_and_fails_nothing(capfd, words):
    """As in one process: `logging` keeps such errors from who logs."""
    with af.ProcessPool(workers=1) as pool:
        pool.submit(logging.getLogger("bad").warning, *words).result(timeout=30)
    assert "--- Logging error ---" in capfd.readouterr().err


def test_a_death_after_the_main_thread_has_ended_is_told_as_any(tmp_path):
    code = f"""
        import os, sys, threading, time
        import actorflow as af
        pool = af.ProcessPool(workers=1)
        future = pool.submit(os.kill, os.getpid(), 0)
        future.result(timeout=30)

        def die(path):
            while not os.path.exists(path):
                time.sleep(0.01)
            os._exit(3)

        future = pool.submit(die, {str(tmp_path / "go")!r})
        future.add_done_callback(lambda future: os.write(1, type(future.exception()).__name__.encode()))

        def go():
            threading.main_thread().join()
            time.sleep(0.1)
            open({str(tmp_path / "go")!r}, "w").close()

        threading.Thread(target=go, daemon=True).start()
    """
    assert output_of(code) in ("HostDied", "WorkerDied")


def output_of(code):
    """Run a program, and return what it prints; it must end well, and be silent on its error output."""
    from textwrap import dedent

    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("program", [None, "", "/nowhere/python"])
def test_a_program_without_an_interpreter_of_its_own_is_told_so(monkeypatch, program):
    """As one that embeds Python."""
    monkeypatch.setattr(sys, "executable", program)
    with af.ProcessPool(workers=1) as pool:
        error = pool.submit(abs, -1).exception(timeout=30)
    assert isinstance(error, af.HostDied)


@pytest.mark.parametrize("part", ["create", "Doorbell"])
def test_a_worker_for_which_files_are_lacking_keeps_none(monkeypatch, part):
    lacks, known = iter(range(3)), getattr(channel, part)

    def make(argument):
        if next(lacks, None) is not None:
            raise OSError(24, "Too many open files")
        return known(argument)

    monkeypatch.setattr(channel, part, make)
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        assert pool.submit(abs, -1).result(timeout=30) == 1
