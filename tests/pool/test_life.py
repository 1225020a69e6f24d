"""Life of a pool: how it is made, seen, resized and ended; in a system, alone, and when nobody ends it."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import actorflow as af
from actorflow.process.pool.workers import worker_thread
from actorflow.testing import LeakCheck, VirtualSystem
from tests.pool import tasks
from tests.pool.test_tasks import until
from tests.processes import is_gone

# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": -1}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"workers": "two"}, "workers"),
        ({"max_tasks": 0}, "max_tasks"),
        ({"max_rss": "much"}, "max_rss"),
        ({"initializer": 3}, "initializer"),
        ({"host": "here"}, "host"),
        ({"name": 3}, "name"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused_where_it_is_made(arguments, named):
    with LeakCheck(), pytest.raises(af.DefinitionError, match=named):
        af.ProcessPool(**arguments)


def test_an_initializer_that_does_not_pickle_is_refused_where_the_pool_is_made():
    with LeakCheck(), pytest.raises(af.PayloadError, match="initializer"):
        af.ProcessPool(1, initializer=tasks.add, initargs=(threading.Lock(),))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"memory": "lots"}, "memory"),
        ({"memory": 0}, "memory"),
        ({"priority": "high"}, "priority"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"timout": 5}, "did you mean 'timeout'"),
    ],
)
def test_options_that_make_no_sense_are_refused(pool, options, named):
    with pytest.raises(af.DefinitionError, match=named):
        pool.options(**options)


@pytest.mark.parametrize("workers", [0, -2, 1.5, None, "2"])
def test_a_size_that_makes_no_sense_is_refused(pool, workers):
    with pytest.raises(af.DefinitionError, match="workers"):
        pool.resize(workers)


# --- options ---------------------------------------------------------------------------------------------------------


def test_options_leave_the_pool_itself_as_it_was_and_add_up(pool):
    both = pool.options(timeout=30).options(priority=2)
    assert (both._options.timeout, both._options.priority) == (30, 2)
    assert pool._options.timeout is None
    assert both.submit(tasks.add, 1).result(timeout=30) == 1
    assert list(both.map(tasks.add, [1, 2])) == [1, 2]


def test_smaller_priority_goes_first_and_equal_ones_in_order(tmp_path):
    order = []
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        gate = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
        for name, priority in (("late", 9), ("usual", 0), ("first", -1), ("second", -1), ("usual-2", 0), ("later", 9)):
            future = pool.options(priority=priority).submit(tasks.add, name, "")
            future.add_done_callback(lambda done: order.append(done.result()))
        (tmp_path / "go").touch()
        gate.result(timeout=30)
    assert order == ["first", "second", "usual", "usual-2", "late", "later"]


# --- stats, size, drain ----------------------------------------------------------------------------------------------


def test_stats_show_what_waits_what_runs_and_what_was(pool, tmp_path):
    held = [pool.submit(tasks.hold, str(tmp_path / str(n)), str(tmp_path / "go")) for n in range(2)]
    queued = [pool.submit(tasks.add, n) for n in range(3)]
    until(lambda: len(pool.stats().running) == 2)
    stats = pool.stats()
    assert stats.queued == 3
    assert {task.task for task in stats.running} == {"hold"}
    assert {task.worker for task in stats.running} == {worker.pid for worker in stats.workers}
    assert all(0 <= task.since < 60 for task in stats.running)
    assert {worker.state for worker in stats.workers} == {"busy"}
    assert all(worker.rss > 1_000_000 and worker.cpu >= 0 for worker in stats.workers)
    done = stats.done
    (tmp_path / "go").touch()
    pool.drain(30)
    with pytest.raises(ValueError, match="x"):
        pool.submit(tasks.fail, "x").result(timeout=30)
    stats = pool.stats()
    assert all(future.done() for future in held + queued)
    assert (stats.queued, stats.running) == (0, ())
    assert (stats.done - done, stats.failed) == (5, 1)


def test_resize_adds_workers_and_takes_them_away_after_what_they_run(pool, tmp_path):
    pool.resize(4)
    held = [pool.submit(tasks.hold, str(tmp_path / str(n)), str(tmp_path / "go")) for n in range(4)]
    until(lambda: all(tasks.begun(str(tmp_path / str(n))) for n in range(4)))
    pool.resize(1)
    assert len(pool.stats().running) == 4
    (tmp_path / "go").touch()
    assert [future.result(timeout=30) for future in held] == ["held"] * 4
    until(lambda: len(pool.stats().workers) == 1)
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1
    pool.resize(3)
    until(lambda: len(pool.stats().workers) == 3)


def test_a_task_goes_to_a_worker_that_has_started_rather_than_to_one_that_still_does(tmp_path):
    with LeakCheck(), af.ProcessPool(1, initializer=tasks.hold_all_but_one, initargs=(str(tmp_path),)) as pool:
        first = pool.submit(os.getpid).result(timeout=30)
        pool.resize(2)
        until(lambda: len(pool._dispatch.idle) == 2)
        try:
            assert pool.submit(os.getpid).result(timeout=30) == first
        finally:
            (tmp_path / "go").touch()


def test_drain_waits_until_all_is_done_and_the_pool_goes_on(pool, tmp_path):
    pool.drain(30)
    held = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
    queued = [pool.submit(tasks.add, n) for n in range(100)]
    with pytest.raises(TimeoutError):
        pool.drain(0.05)
    (tmp_path / "go").touch()
    pool.drain(30)
    assert all(future.done() for future in [held, *queued])
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1


# --- the end ---------------------------------------------------------------------------------------------------------


def test_the_end_of_the_with_block_waits_for_all_tasks():
    with LeakCheck(), af.ProcessPool(workers=2) as pool:
        futures = [pool.submit(tasks.spin, 0.002) for _ in range(50)]
    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == [0.002] * 50


def test_a_submit_after_the_shutdown_is_refused_and_says_so():
    with LeakCheck():
        pool = af.ProcessPool(workers=1)
        pool.shutdown()
        pool.shutdown()
        for kind in (RuntimeError, af.ActorDeadError):
            with pytest.raises(kind, match="was shut down"):
                pool.submit(tasks.add, 1)
        with pytest.raises(af.ActorDeadError):
            pool.resize(2)


def test_shutdown_without_waiting_returns_at_once_and_the_tasks_are_done(tmp_path):
    with LeakCheck():
        pool = af.ProcessPool(workers=1)
        future = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
        behind = pool.submit(tasks.add, 1)
        pool.shutdown(wait=False)
        assert not future.done()
        (tmp_path / "go").touch()
        assert future.result(timeout=30) == "held"
        assert behind.result(timeout=30) == 1


def test_shutdown_can_cancel_what_has_not_begun(tmp_path):
    with LeakCheck():
        pool = af.ProcessPool(workers=1)
        running = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
        until(running.running)
        queued = [pool.submit(tasks.add, 1) for _ in range(5)]
        pool.shutdown(wait=False, cancel_futures=True)
        (tmp_path / "go").touch()
        assert running.result(timeout=30) == "held"
        assert all(future.cancelled() for future in queued)


def test_many_pools_one_after_the_other_leave_nothing():
    with LeakCheck():
        for number in range(5):
            with af.ProcessPool(workers=2) as pool:
                assert pool.submit(tasks.add, number).result(timeout=30) == number


def test_a_pool_that_was_never_used_ends_at_once(monkeypatch):
    monkeypatch.setattr(worker_thread, "ENDING", 60.0)
    with LeakCheck():
        begin = time.perf_counter()
        with af.ProcessPool(workers=2):
            pass
        assert time.perf_counter() - begin < 30  # nothing waits out its minute


# --- in a system -----------------------------------------------------------------------------------------------------


def test_a_system_has_one_pool_of_a_name_and_shows_its_workers():
    with LeakCheck(), af.ActorSystem("demo") as system:
        pool = system.pool("cpu", workers=2)
        assert system.pool("cpu") is pool
        assert system.pool("cpu", workers=2) is pool
        assert system.pool("other", workers=1) is not pool
        assert system.find("/demo/cpu/worker-1") is not None
        assert "worker-2" in str(system.tree())
        assert pool.submit(tasks.add, 1).result(timeout=30) == 1
        for arguments in ({"workers": 3}, {"max_tasks": 5}, {"initializer": tasks.add}, {"host": af.Process(nice=1)}):
            with pytest.raises(af.DefinitionError, match="was made with another"):
                system.pool("cpu", **arguments)
        with pytest.raises(af.DefinitionError, match="workers"):
            system.pool("none", workers=0)


def test_a_name_that_an_actor_has_is_refused():
    with LeakCheck(), af.ActorSystem("demo") as system:
        system.spawn(af.child(af.Actor).options(name="cpu"))
        with pytest.raises(af.DefinitionError, match="cpu"):
            system.pool("cpu", workers=1)


def test_a_pool_that_was_shut_down_can_be_made_anew():
    with LeakCheck(), af.ActorSystem("demo") as system:
        system.pool("cpu", workers=1).shutdown()
        assert system.find("/demo/cpu") is None
        assert system.pool("cpu", workers=1).submit(tasks.add, 1).result(timeout=30) == 1


def test_the_end_of_the_system_drains_its_pools():
    with LeakCheck():
        with af.ActorSystem("demo") as system:
            futures = [system.pool("cpu", workers=2).submit(tasks.spin, 0.002) for _ in range(50)]
        assert [future.result(timeout=0) for future in futures] == [0.002] * 50


def test_what_is_left_after_the_grace_time_of_the_system_is_killed_and_answered(tmp_path):
    with LeakCheck():
        system = af.ActorSystem("demo", settings=af.Settings(grace=60))
        pool = system.pool("cpu", workers=1)
        running = pool.submit(tasks.hold, str(tmp_path / "begun"), "/never")
        queued = pool.submit(tasks.add, 1)
        until(running.running)
        begin = time.perf_counter()
        system.stop(grace=0.5)
        assert time.perf_counter() - begin < 30  # the grace of who says nothing is a minute
        with pytest.raises(af.HostDied, match="may have run"):
            running.result(timeout=30)
        with pytest.raises(af.ActorDeadError, match="stopped before"):
            queued.result(timeout=30)


def test_a_dead_worker_is_a_crash_that_subscribers_see_and_no_end_of_the_supervisor():
    with LeakCheck(), af.ActorSystem("demo") as system:
        crashed = []
        system.subscribe(af.Crashed, crashed.append)
        pool = system.pool("cpu", workers=1)
        for _ in range(10):
            with pytest.raises(af.HostDied):
                pool.submit(tasks.leave, 1).result(timeout=30)
        assert pool.submit(tasks.add, 1).result(timeout=30) == 1
        until(lambda: len(crashed) == 10)
        assert {event.ref.path for event in crashed} == {"/demo/cpu/worker-1"}


def test_in_virtual_time_tasks_run_in_place_and_are_pickled_all_the_same():
    with LeakCheck(), VirtualSystem("test") as system:
        pool = system.pool("cpu", workers=2)
        given = [1]
        future = pool.submit(list, given)
        given.append(2)
        assert future.result() == [1]
        assert pool.submit(os.getpid).result() == os.getpid()
        assert list(pool.map(tasks.add, range(5))) == list(range(5))
        with pytest.raises(ValueError, match="x"):
            pool.submit(tasks.fail, "x").result()
        with pytest.raises(af.PayloadError):
            pool.submit(tasks.locked).result()


def test_it_works_with_fresh_interpreters_and_where_there_is_no_epoll(monkeypatch):
    monkeypatch.delattr("select.epoll", raising=False)
    with LeakCheck(), af.ProcessPool(workers=2, host=af.Process(start="spawn", env={"X": "y"})) as pool:
        assert pool.submit(os.getenv, "X").result(timeout=30) == "y"
        assert [pool.submit(tasks.add, n).result(timeout=30) for n in range(100)] == list(range(100))
        futures = [pool.submit(tasks.add, n) for n in range(1000)]
        assert [future.result(timeout=30) for future in futures] == list(range(1000))
        with pytest.raises(af.TaskTimeout):
            pool.options(timeout=0.2).submit(tasks.spin, 30).result(timeout=30)


# --- when nobody ends it ---------------------------------------------------------------------------------------------


def run_script(code, *, seconds=60):
    """Run a program of its own; returns its output and the processes that it leaves."""
    script = textwrap.dedent(code)
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=seconds, check=False
    )
    pids = [int(word[4:]) for word in result.stdout.split() if word.startswith("pid:")]
    until(lambda: all(map(is_gone, pids)))
    return result


def test_a_script_that_never_ends_its_pool_ends_and_leaves_nothing():
    result = run_script(
        """
        import os, actorflow as af
        pool = af.ProcessPool(workers=2)
        print(*{f"pid:{pool.submit(os.getpid).result()}" for _ in range(20)})
        pool.submit(print, "late", flush=True)
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "late" in result.stdout


def test_a_pool_that_is_dropped_finishes_its_tasks_and_ends():
    with LeakCheck():
        future = af.ProcessPool(workers=1).submit(tasks.spin, 0.05)
        assert future.result(timeout=30) == 0.05


def test_functions_of_python_c_and_of_a_thread_work():
    result = run_script(
        """
        import threading, actorflow as af
        class Point:
            def __init__(self, x): self.x = x
        def double(point): return Point(2 * point.x)
        def work():
            with af.ProcessPool(workers=1) as pool:
                print("got", pool.submit(double, Point(4)).result().x, list(pool.map(lambda p: p.x, [Point(1)])))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    )
    assert result.returncode == 0, result.stderr
    assert "got 8 [1]" in result.stdout


def test_a_fork_of_the_program_cannot_use_the_pool_and_does_not_keep_its_workers_alive():
    result = run_script(
        """
        import os, sys, actorflow as af
        with af.ProcessPool(workers=1) as pool:
            pid = pool.submit(os.getpid).result()
            if os.fork() == 0:
                try:
                    pool.submit(abs, 1)
                except af.ActorflowError as error:
                    os.write(1, b"refused\\n")
                os._exit(0)
            os.wait()
            print(f"pid:{pid}", pool.submit(abs, -1).result())
        """
    )
    assert result.returncode == 0, result.stderr
    assert "refused" in result.stdout
