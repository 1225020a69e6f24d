"""Tasks: what comes back of them, and what may go wrong with one without hurting another."""

import asyncio
import concurrent.futures as cf
import functools
import operator
import os
import threading

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.pool import tasks


def result_of(pool, function, *args):
    return pool.submit(function, *args).result(timeout=30)


def test_results_and_keyword_arguments_arrive(pool):
    assert result_of(pool, tasks.add, 1, 2) == 3
    assert pool.submit(tasks.add, a=1, b=2).result(timeout=30) == 3
    assert result_of(pool, os.getpid) != os.getpid()


def test_lambdas_closures_and_partials_work(pool):
    factor = 3
    assert result_of(pool, lambda n: n * factor, 2) == 6
    assert result_of(pool, functools.partial(tasks.add, 1), 2) == 3
    assert result_of(pool, operator.attrgetter("real"), 5) == 5


def test_a_closure_that_changed_is_sent_anew(pool):
    box = [1]

    def peek():
        return box[0]

    assert result_of(pool, peek) == 1
    box[0] = 2
    assert result_of(pool, peek) == 2


def test_arguments_are_what_they_were_at_the_submit(pool):
    given = [1]
    futures = [pool.submit(list, given) for _ in range(20)]
    given.append(2)
    assert [future.result(timeout=30) for future in futures] == [[1]] * 20


def test_thousands_of_small_tasks_give_their_own_results(pool):
    futures = [pool.submit(tasks.add, number, 1) for number in range(5000)]
    assert [future.result(timeout=30) for future in futures] == list(range(1, 5001))


def test_many_threads_submit_and_wait_at_once(pool):
    def work(start):
        for number in range(start, start + 200):
            assert pool.submit(tasks.add, number, 1).result(timeout=30) == number + 1

    with cf.ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, 1000 * index) for index in range(8)]:
            done.result(timeout=60)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_error_arrives_with_its_remote_traceback(pool):
    with pytest.raises(ValueError, match="broken") as caught:
        result_of(pool, tasks.fail, "broken")
    assert "in fail" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_a_task_is_its_error_and_the_worker_lives(pool, error):
    def leave():
        raise error

    before = pool.stats().restarts
    with pytest.raises(error):
        result_of(pool, leave)
    assert result_of(pool, tasks.pid)
    assert pool.stats().restarts == before


def test_an_exception_with_another_constructor_arrives_as_its_class(pool):
    with pytest.raises(tasks.TwoArguments, match="507: full") as caught:
        result_of(pool, tasks.fail_with_two)
    assert caught.value.code == 507


def test_an_argument_that_does_not_pickle_is_refused_at_the_submit_and_named(pool):
    with pytest.raises(af.PayloadError, match="lock"):
        pool.submit(tasks.add, {"guard": threading.Lock()})


def test_a_function_that_does_not_pickle_is_refused_at_the_submit(pool):
    lock = threading.Lock()
    with pytest.raises(af.PayloadError, match="lock"):
        pool.submit(lambda: lock)


def test_a_result_that_does_not_pickle_fails_its_own_task_only(pool):
    futures = [pool.submit(tasks.add, 1), pool.submit(tasks.locked), pool.submit(tasks.add, 2)]
    with pytest.raises(af.PayloadError, match=r"result\['guard'\]"):
        futures[1].result(timeout=30)
    assert (futures[0].result(timeout=30), futures[2].result(timeout=30)) == (1, 2)


def test_a_result_that_does_not_unpickle_here_fails_its_own_task_only(pool):
    def bomb():
        return tasks.Bomb()

    futures = [pool.submit(tasks.add, 1), pool.submit(bomb), pool.submit(tasks.add, 2)]
    with pytest.raises(af.PayloadError, match="no unpickling here"):
        futures[1].result(timeout=30)
    assert (futures[0].result(timeout=30), futures[2].result(timeout=30)) == (1, 2)


@pytest.mark.parametrize("borrowed", [False, True])
def test_a_callback_may_use_the_pool_but_not_wait_for_it(borrowed):
    found = []

    def again(pool, done):
        found.append(done.result())
        second = pool.submit(tasks.add, done.result(), 1)
        second.add_done_callback(lambda done: found.append(done.result()))
        if threading.current_thread() is not threading.main_thread():
            for wait in (second.result, pool.drain, pool.shutdown):
                with pytest.raises(af.DeadlockError, match="callback"):
                    wait()
                found.append("refused")

    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        first = pool.submit(tasks.spin, 0.0 if borrowed else 0.05)
        first.add_done_callback(lambda done: again(pool, done))
        if borrowed:
            first.result(timeout=30)
        until(lambda: len(found) >= 2)
    assert 1.0 + first.result() in found
    assert not borrowed or "refused" not in found or found.count("refused") == 3


def test_more_functions_than_a_worker_keeps(pool):
    functions = [lambda n=n: n for n in range(700)]
    for _ in range(2):
        futures = [pool.submit(function) for function in functions]
        assert [future.result(timeout=30) for future in futures] == list(range(700))


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 100_000, 2_000_000])
def test_arrays_go_and_come_and_arrive_writable(pool, size):
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(size)
    changed = result_of(pool, tasks.change, array)
    assert changed[0] == 99.0
    assert changed.sum() == 98.0 + size
    changed[1] = 5.0
    assert array[0] == 1.0


def test_arrays_are_what_they_were_at_the_submit(pool):
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(200_000)
    futures = [pool.submit(tasks.total, array) for _ in range(8)]
    array[:] = 0.0
    assert [future.result(timeout=30) for future in futures] == [200_000.0] * 8


# --- together with others --------------------------------------------------------------------------------------------


def test_the_standard_library_takes_its_futures(pool):
    futures = [pool.submit(tasks.add, number, 1) for number in range(50)]
    assert {future.result() for future in cf.as_completed(futures, timeout=30)} == set(range(1, 51))
    assert not cf.wait(futures, timeout=30).not_done


def test_asyncio_runs_calls_in_it(pool):
    async def main():
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(pool, tasks.add, number, 1) for number in range(20)]
        return await asyncio.gather(*calls), await pool.submit(tasks.add, 1, 2)

    assert asyncio.run(main()) == (list(range(1, 21)), 3)


def test_a_handler_that_waits_for_a_task_lets_other_actors_run():
    class Asker(af.Actor):
        def ask(self, pool, path, until):
            return pool.submit(tasks.hold, path, until).result(timeout=30)

        async def await_it(self, pool):
            return await pool.submit(tasks.add, 1, 2)

        def piped(self, pool):
            self.ctx.pipe(pool.submit(tasks.add, 2, 2), self.got)

        def got(self, value):
            self.value = value

        def tell_value(self):
            return getattr(self, "value", None)

    def scenario(tmp_path):
        with af.ActorSystem("test") as system:
            pool = system.pool("cpu", workers=1)
            waiting, other = system.spawn(Asker), system.spawn(Asker)
            answer = waiting.call(Asker.ask, pool, str(tmp_path / "begun"), str(tmp_path / "go"))
            assert other.call(Asker.tell_value).get(timeout=30) is None
            (tmp_path / "go").touch()
            assert answer.get(timeout=30) == "held"
            assert other.call(Asker.await_it, pool).get(timeout=30) == 3
            other.call(Asker.piped, pool).get(timeout=30)
            pool.drain(20)
            while other.call(Asker.tell_value).get(timeout=30) is None:
                pass
            assert other.call(Asker.tell_value).get(timeout=30) == 4

    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        scenario(pathlib.Path(folder))


def test_a_pool_handed_to_its_own_tasks_cannot_lock_up(pool):
    futures = [pool.submit(tasks.submit_to, pool, number) for number in range(6)]
    assert [future.result(timeout=30) for future in futures] == [number + 1 + 2 * number for number in range(6)]


@pytest.mark.timeout(300)
def test_a_task_may_have_a_pool_of_its_own(pool):
    assert result_of(pool, tasks.own_pool) == 3


def test_log_records_of_tasks_reach_this_process_with_the_pools_path(pool, caplog):
    result_of(pool, tasks.log, "shop.tasks", "hello")
    result_of(pool, tasks.log_at_first_import, "first")
    result_of(pool, tasks.add, 1)
    until(lambda: len(caplog.records) == 2)
    hello, first = caplog.records
    assert hello.getMessage() == "hello from a task"
    assert (hello.name, hello.levelname, hello.actor) == ("shop.tasks", "WARNING", pool.path)
    assert first.name == "first"
    assert hello.process != os.getpid()


def until(condition, seconds=30.0):
    """Wait for something that nothing tells of."""
    from time import monotonic, sleep

    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not happen"
        sleep(0.002)
