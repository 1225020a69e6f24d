"""Deaths: of all tasks that a worker had, only the one that ran is hurt."""

import errno
import os
import signal
import threading

import pytest

import actorflow as af
from actorflow.process.pool.dispatcher import Dispatch
from actorflow.process.pool.workers.worker_thread import WorkerThread
from actorflow.testing import LeakCheck
from tests.pool import tasks
from tests.pool.test_tasks import until
from tests.processes import is_gone


@pytest.mark.parametrize(
    ("die", "words", "exitcode", "number"),
    [
        (lambda pool: pool.submit(tasks.leave, 3), ("leave", "exit code 3"), 3, None),
        (lambda pool: pool.submit(tasks.crash), ("crash", "SIGSEGV"), None, signal.SIGSEGV),
        (lambda pool: pool.submit(tasks.kill_self), ("kill_self", "SIGKILL"), None, signal.SIGKILL),
    ],
)
def test_the_error_says_how_the_process_ended_and_that_the_task_may_have_run(pool, die, words, exitcode, number):
    with pytest.raises(af.HostDied) as caught:
        die(pool).result(timeout=30)
    error = caught.value
    assert all(word in str(error) for word in (*words, "may have run"))
    assert (error.exitcode, error.signal, error.maybe_ran) == (exitcode, number, True)
    assert error.rss > 1_000_000
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1


def test_small_tasks_before_and_behind_the_one_that_died_are_delivered(pool):
    for _ in range(50):  # they are known to be cheap, so they go in batches
        pool.submit(tasks.add, 1).result(timeout=30)
    for _ in range(5):
        futures = [pool.submit(tasks.add, number) for number in range(300)]
        guilty = pool.submit(tasks.leave, 1)
        futures += [pool.submit(tasks.add, number) for number in range(300)]
        assert [future.result(timeout=30) for future in futures] == [*range(300), *range(300)]
        with pytest.raises(af.HostDied):
            guilty.result(timeout=30)


def test_a_task_that_may_have_run_runs_again_only_as_retries_say(pool, tmp_path):
    path = str(tmp_path / "runs")
    with pytest.raises(af.HostDied):
        pool.submit(tasks.leave_once, path, 1).result(timeout=30)
    assert tasks.begun(path) == 1
    path = str(tmp_path / "again")
    assert pool.options(retries=1).submit(tasks.leave_once, path, 1).result(timeout=30) == 2


def test_the_death_of_a_worker_is_logged_but_is_no_dead_letter(caplog):
    with af.ActorSystem("deaths") as system:
        pool = system.pool("pool", workers=1)
        with pytest.raises(af.HostDied):
            pool.submit(tasks.leave, 1).result(timeout=30)
        pool.submit(tasks.pid).result(timeout=30)
        os.kill(pool.stats().workers[0].pid, signal.SIGKILL)  # idle: a crash of the worker
        until(lambda: pool.stats().restarts == 2)
        pool.submit(tasks.pid).result(timeout=30)
        assert system.dead_letters == 0
    assert "SIGKILL" in caplog.text
    assert "Dead letter" not in caplog.text


def test_retries_are_used_up_by_deaths(pool):
    with pytest.raises(af.HostDied):
        pool.options(retries=2).submit(tasks.leave, 1).result(timeout=30)
    assert pool.stats().failed == 1


def test_retries_do_not_repeat_an_error_of_the_task(pool, tmp_path):
    path = str(tmp_path / "runs")

    def fail():
        tasks.begin(path)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        pool.options(retries=3).submit(fail).result(timeout=30)
    assert tasks.begun(path) == 1


def test_the_successor_of_a_dead_worker_starts_before_the_dead_one_is_buried(monkeypatch):
    starting = []
    bury = WorkerThread.wait_for_end

    def watched(worker_thread):
        starting.append([successor.handle.pid for successor in worker_thread.dispatch.launched])
        return bury(worker_thread)

    monkeypatch.setattr(WorkerThread, "wait_for_end", watched)
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        os.kill(pool.submit(os.getpid).result(timeout=30), signal.SIGKILL)
        successor = pool.submit(os.getpid).result(timeout=30)
        assert starting == [[successor]]


def test_a_successor_that_no_worker_takes_ends_with_the_pool():
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pool.submit(os.getpid).result(timeout=30)
        pool._dispatch.worker_threads[0].launch_successor()
        assert len(pool._dispatch.launched) == 1


def test_a_death_while_the_pool_ends_leaves_nothing():
    for _ in range(10):
        with LeakCheck(), af.ProcessPool(workers=2) as pool:
            pids = {worker.pid for worker in pool.stats().workers if worker.pid}
            pids.add(pool.submit(os.getpid).result(timeout=30))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


def test_idle_death_of_a_worker_is_noticed_and_replaced(pool):
    before = {worker.pid for worker in pool.stats().workers}
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in {worker.pid for worker in pool.stats().workers} and len(pool.stats().workers) == 2)
    assert [pool.submit(tasks.add, number).result(timeout=30) for number in range(20)] == list(range(20))
    assert pool.stats().restarts == 1


def test_results_that_were_finished_survive_a_death_in_the_next_task(tmp_path):
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        for function in (tasks.begin, tasks.leave_once):  # known to be cheap, so all go in one batch
            for _ in range(30):
                pool.submit(function, str(tmp_path / "warm"), 0) if function is tasks.leave_once else pool.submit(
                    function, str(tmp_path / "warm")
                )
        pool.drain(20)
        blocker = pool.submit(tasks.spin, 0.05)
        before = [pool.submit(tasks.begin, str(tmp_path / str(number))) for number in range(20)]
        guilty = pool.submit(tasks.leave_once, str(tmp_path / "guilty"), 1)
        after = [pool.submit(tasks.begin, str(tmp_path / f"after-{number}")) for number in range(20)]
        assert blocker.result(timeout=30)
        assert [future.result(timeout=30) for future in before + after] == [1] * 40
        with pytest.raises(af.HostDied, match="leave_once"):
            guilty.result(timeout=30)


def test_a_stuck_task_does_not_hold_back_what_finished_before_it_nor_what_waits_behind(tmp_path):
    """Also when it holds the interpreter lock of its process, so that nothing there can send anything."""
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        for _ in range(100):  # known to be cheap, so all go in one batch
            pool.submit(tasks.hold_lock, 0).result(timeout=30)
            pool.submit(tasks.add, 0).result(timeout=30)
        gate = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
        before = [pool.submit(tasks.add, number) for number in range(5)]
        stuck = pool.submit(tasks.hold_lock, 60.0)
        after = [pool.submit(tasks.add, number) for number in range(5)]
        (tmp_path / "go").touch()
        assert gate.result(timeout=30) == "held"
        until(stuck.running)
        assert [future.result(timeout=30) for future in before] == [*range(5)]
        pool.resize(2)
        assert [future.result(timeout=30) for future in after] == [*range(5)]
        assert not stuck.done()
        assert stuck.cancel()


def test_a_process_that_a_task_forked_does_not_hide_the_death(pool):
    with pytest.raises(af.HostDied, match="exit code 9"):
        pool.submit(tasks.fork_and_die).result(timeout=30)


def test_a_worker_with_what_it_started_is_killed_as_a_whole(pool, tmp_path):
    def start():
        import subprocess

        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "child").write_text(str(child.pid))
        child.wait()

    future = pool.submit(start)
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    pid = int((tmp_path / "child").read_text())
    assert future.cancel()
    until(lambda: is_gone(pid))


# --- limits and cancel -----------------------------------------------------------------------------------------------


def test_a_task_over_its_time_is_killed_and_told_so(pool, tmp_path):
    other = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
    with pytest.raises(af.TaskTimeout, match=r"spin ran longer than its timeout, 0\.1 s"):
        pool.options(timeout=0.1).submit(tasks.spin, 30).result(timeout=30)
    (tmp_path / "go").touch()
    assert other.result(timeout=30) == "held"
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1


@pytest.mark.slow
def test_time_in_the_queue_does_not_count(pool, tmp_path):
    gates = [pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go")) for _ in range(2)]
    timed = pool.options(timeout=10.0).submit(tasks.add, 1)  # a busy machine may take a process off for a while
    with pytest.raises(TimeoutError):
        timed.result(timeout=10.5)
    assert not timed.done()
    (tmp_path / "go").touch()
    assert timed.result(timeout=30) == 1
    assert [gate.result(timeout=30) for gate in gates] == ["held"] * 2


@pytest.mark.slow
def test_a_task_in_a_batch_has_its_time_from_its_own_start(pool):
    quick = pool.options(timeout=10.0)  # a busy machine may take a process off for a while
    for _ in range(50):
        quick.submit(tasks.spin, 0).result(timeout=30)
    futures = [quick.submit(tasks.spin, 0) for _ in range(200)]
    stuck = quick.submit(tasks.spin, 60)
    futures += [quick.submit(tasks.spin, 0) for _ in range(200)]
    with pytest.raises(af.TaskTimeout):
        stuck.result(timeout=30)
    assert [future.result(timeout=30) for future in futures] == [0] * 400


def test_a_task_over_its_memory_is_killed_and_told_so(pool):
    with pytest.raises(af.MemoryLimit, match="grow, limited to 100 MB") as caught:
        pool.options(memory="100M").submit(tasks.grow, 200 * 2**20).result(timeout=30)
    assert caught.value.rss > 100 * 2**20
    assert pool.options(memory="500M").submit(tasks.add, 1).result(timeout=30) == 1


def test_cancel_ends_a_running_task_and_its_slot_is_free(pool, tmp_path):
    futures = [pool.submit(tasks.hold, str(tmp_path / str(number)), "/never") for number in range(2)]
    until(lambda: all(tasks.begun(str(tmp_path / str(number))) for number in range(2)))
    until(lambda: all(future.running() for future in futures))
    assert all(future.cancel() for future in futures)
    assert all(future.cancelled() for future in futures)
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1
    assert pool.stats().cancelled == 2


def test_a_queued_task_that_is_cancelled_never_runs(pool, tmp_path):
    gates = [pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go")) for _ in range(2)]
    queued = [pool.submit(tasks.begin, str(tmp_path / "runs")) for _ in range(10)]
    assert all(future.cancel() for future in queued[1:])
    (tmp_path / "go").touch()
    assert queued[0].result(timeout=30) == 1
    assert [gate.result(timeout=30) for gate in gates] == ["held"] * 2
    pool.drain(30)
    assert tasks.begun(str(tmp_path / "runs")) == 1


def test_a_cancel_hurts_no_task_of_the_same_batch(pool):
    for _ in range(50):
        pool.submit(tasks.spin, 0.000_1).result(timeout=30)
    for _ in range(10):
        futures = [pool.submit(tasks.spin, 0.000_1) for _ in range(200)]
        gone = [future for future in futures[::7] if future.cancel()]
        left = [future for future in futures if future not in gone]
        assert [future.result(timeout=30) for future in left] == [0.000_1] * len(left)


# --- starts ----------------------------------------------------------------------------------------------------------


def test_the_initializer_runs_in_every_process_replacements_too():
    with LeakCheck(), af.ProcessPool(workers=1, initializer=tasks.remember, initargs=("x",)) as pool:
        assert pool.submit(tasks.remembered).result(timeout=30)[0] == "x"
        with pytest.raises(af.HostDied):
            pool.submit(tasks.leave, 1).result(timeout=30)
        assert pool.submit(tasks.remembered).result(timeout=30)[0] == "x"


@pytest.mark.parametrize(
    ("initializer", "args", "cause", "text"),
    [
        (tasks.refuse_to_start, ("no licence",), RuntimeError, "no licence"),
        (tasks.die_at_start, (), af.HostDied, "exit code 7"),
    ],
)
def test_a_pool_whose_workers_cannot_start_is_broken_and_says_why(initializer, args, cause, text):
    with LeakCheck(), af.ProcessPool(workers=2, initializer=initializer, initargs=args) as pool:
        try:
            future = pool.submit(tasks.add, 1)
        except af.HostDied as error:
            caught = error
        else:
            with pytest.raises(af.HostDied, match="broken") as info:
                future.result(timeout=30)
            caught = info.value
        assert isinstance(caught.__cause__, cause)
        assert text in str(caught.__cause__)
        until(lambda: not pool.is_open)
        with pytest.raises(af.HostDied, match="broken") as again:
            pool.submit(tasks.add, 1)
        assert isinstance(again.value.__cause__, cause)
        assert text in str(again.value)
        assert "lost" not in str(again.value)


def test_a_worker_is_replaced_after_so_many_tasks_and_nothing_is_lost():
    with LeakCheck(), af.ProcessPool(workers=2, max_tasks=10) as pool:
        futures = [pool.submit(tasks.pid) for _ in range(200)]
        pids = [future.result(timeout=30) for future in futures]
        assert len(set(pids)) >= 15
        assert max(map(pids.count, set(pids))) <= 10
        assert pool.stats().failed == 0


def test_a_worker_that_has_grown_too_much_is_replaced_and_nothing_is_lost():
    def grow():
        tasks.STATE["kept"] = bytearray(80 * 2**20)
        return os.getpid()

    with LeakCheck(), af.ProcessPool(workers=1, max_rss="60M") as pool:
        first = pool.submit(grow).result(timeout=30)
        until(lambda: pool.submit(tasks.pid).result(timeout=30) != first)
        assert pool.stats().failed == 0


@pytest.mark.parametrize("end", ["killed", "timed out"])
@pytest.mark.parametrize("between", [0, 50])
def test_a_task_that_dies_after_a_map_does_not_get_the_results_of_the_map(end, between):
    """The groups of a chunk stand in the same journal as the replies of single tasks."""
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        assert list(pool.map(tasks.spin, [0.000_2] * 300, chunksize=100)) == [0.000_2] * 300
        assert list(pool.map(abs, range(between), chunksize=50)) == list(range(between))
        future = pool.options(timeout=0.1 if end == "timed out" else None).submit(tasks.spin, 60)
        until(lambda: future.running() or future.done())  # one that has a tenth of a second may be over by then
        if end == "killed":
            os.kill(pool.stats().workers[0].pid, signal.SIGKILL)
        with pytest.raises(af.TaskTimeout if end == "timed out" else af.HostDied):
            future.result(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("times", [3, 8])
def test_a_lack_of_descriptors_for_workers_fails_no_task(monkeypatch, caplog, times):
    """Eight are more than the failed starts that break a pool."""
    lacks, launch = iter(range(times)), Dispatch.launch

    def without_room(self, descriptors):
        if next(lacks, None) is not None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return launch(self, descriptors)

    monkeypatch.setattr(Dispatch, "launch", without_room)
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        futures = [pool.submit(tasks.add, number) for number in range(3)]
        assert [future.result(timeout=30) for future in futures] == [0, 1, 2]
    assert caplog.text.count("cannot be started, so its tasks wait") == 1


@pytest.mark.slow(quick=["files"])
@pytest.mark.parametrize("lacking", [WorkerThread, threading.Thread], ids=["files", "threads"])
def test_a_lack_of_files_or_threads_for_workers_fails_no_task(monkeypatch, lacking):
    lacks, error = iter(range(6)), OSError if lacking is WorkerThread else RuntimeError

    def begin(self, *args, **kwargs):
        if (lacking is WorkerThread or self.name.endswith("worker-1")) and next(lacks, None) is not None:
            raise error("no room")
        return known(self, *args, **kwargs)

    name = "__init__" if lacking is WorkerThread else "start"
    known = getattr(lacking, name)
    monkeypatch.setattr(lacking, name, begin)
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        assert pool.submit(tasks.add, 1).result(timeout=30) == 1
    assert next(lacks, None) is None
