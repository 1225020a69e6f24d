"""As the standard library's: what code for `ProcessPoolExecutor` and `multiprocessing` finds in the pool."""

import concurrent.futures as cf
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures.process import BrokenProcessPool

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.pool import tasks


def script(text: str) -> str:
    """Run a program in development mode; it must end well and say nothing on its error output."""
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_death_of_a_worker_is_a_broken_process_pool_and_pickles(pool):
    with pytest.raises(BrokenProcessPool) as caught:
        pool.submit(tasks.leave, 3).result(timeout=30)
    copy = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, copy, caught.value.for_ask(maybe_ran=False)):
        assert isinstance(error, af.HostDied)
        assert isinstance(error, BrokenProcessPool)
        assert error.exitcode == 3
    assert str(copy) == str(caught.value)


def test_a_task_over_its_memory_is_a_broken_process_pool_too(pool):
    with pytest.raises(BrokenProcessPool) as caught:
        pool.options(memory="150M").submit(tasks.grow, 300_000_000).result(timeout=30)
    assert isinstance(caught.value, af.MemoryLimit)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), BrokenProcessPool)


def test_a_pool_that_is_broken_refuses_as_the_standard_librarys():
    with LeakCheck(), af.ProcessPool(workers=1, initializer=tasks.leave, initargs=(1,)) as pool:
        with pytest.raises(BrokenProcessPool):
            pool.submit(abs, 1).result(timeout=30)
        with pytest.raises(BrokenProcessPool):
            while True:  # until it has heard of the fifth start
                pool.submit(abs, 1).cancel()


def test_max_workers_is_the_number_of_workers():
    with LeakCheck(), af.ProcessPool(max_workers=3) as pool:
        assert len(pool.stats().workers) <= 3
        assert "3 workers" in repr(pool)
    with pytest.raises(af.DefinitionError, match=r"workers=2.*max_workers=3.*give one"):
        af.ProcessPool(2, max_workers=3)
    with pytest.raises(af.DefinitionError, match="max_workers=0"):
        af.ProcessPool(max_workers=0)


# --- multiprocessing -------------------------------------------------------------------------------------------------


PROXIES = """
    import multiprocessing
    import actorflow as af

    def put(queue, item):
        queue.put(item)
        return item

    class Putter(af.Actor):
        def __init__(self, queue=None):
            super().__init__()
            self.queue = queue

        def put(self, item, queue=None):
            return put(queue or self.queue, item)

    with multiprocessing.Manager() as manager, af.ProcessPool(2) as pool, af.ActorSystem("test") as system:
        queue = manager.Queue()
        print(pool.submit(put, queue, 1).result(timeout=30))
        print(*pool.map(put, [queue] * 3, [2, 3, 4], timeout=30))
        hosted = system.spawn(af.child(Putter, queue).options(host=af.Process()))
        print(hosted.call(Putter.put, 5).get(timeout=30), hosted.call(Putter.put, 6, queue).get(timeout=30))
        print(*sorted(queue.get(timeout=100) for _ in range(6)))
        futures = [pool.submit(put, manager.Queue(), number) for number in range(20)]
        print(*[future.result(timeout=30) for future in futures])
        hosted = system.spawn(af.child(Putter).options(host=af.Process()))
        asks = [hosted.call(Putter.put, number, manager.Queue()) for number in range(5)]  # the host has yet to start
        print(*[ask.get(timeout=30) for ask in asks])
"""


def test_proxies_of_a_multiprocessing_manager_work_in_tasks_and_hosts_and_live_until_these_are_done():
    numbers = " ".join(map(str, range(20)))
    assert script(PROXIES).splitlines() == ["1", "2 3 4", "5 6", "1 2 3 4 5 6", numbers, "0 1 2 3 4"]


# --- forks -----------------------------------------------------------------------------------------------------------


def forks_and_logs(folder):
    """Fork a child that logs, while each of its files that has the number of the worker's socket is one of its own."""
    import logging

    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    error = os.open(f"{folder}/error", os.O_RDWR | os.O_CREAT)
    os.dup2(error, 2)
    files = [os.open(f"{folder}/{number}", os.O_RDWR | os.O_CREAT) for number in range(8)]
    logging.getLogger("mine").error("a line of the log")
    os._exit(sum(os.fstat(file).st_size for file in files) > 0)


def test_a_child_that_a_task_forks_logs_into_no_file_of_its_own_but_to_its_error_output(pool, tmp_path):
    assert pool.submit(forks_and_logs, tmp_path).result(timeout=30) == 0
    assert (tmp_path / "error").read_text() == "a line of the log\n"


FORK = """
    import concurrent.futures as cf, os, sys, time, warnings
    import actorflow as af
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # Python's own, of a fork beside threads
    def hold(path):
        while not os.path.exists(path):
            time.sleep(0.01)
    with af.ProcessPool(workers=1) as pool:
        pool.submit(abs, 1).result(timeout=30)
        running, waiting = pool.submit(hold, {path!r}), pool.submit(pow, 2, 2)
        waiting.add_done_callback(lambda _: os.write(1, f"called in the parent: {{os.getpid() == parent}} ".encode()))
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            more = lambda: pool.submit(abs, 1), lambda: pool.map(abs, [1])
            for ask in (running.result, waiting.result, pool.drain, *more):
                try:
                    ask()
                except af.ActorDeadError as error:
                    assert "make another here" in str(error)
                    os.write(1, b"refused ")
            assert not cf.wait([running, waiting], timeout=100).not_done
            {end}
        else:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            open({path!r}, "w").close()
            os.write(1, str(waiting.result(timeout=30)).encode())
"""


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "pool.shutdown(); sys.exit(0)"])
def test_in_a_fork_of_the_program_futures_of_its_pool_raise_at_once_and_each_end_is_silent(end, tmp_path):
    out = script(FORK.format(end=end, path=str(tmp_path / "go")))
    assert out.count("refused") == 5
    assert out.count("called") == out.count("called in the parent: True") == 1
    assert "4" in out


# --- callbacks -------------------------------------------------------------------------------------------------------


def leave_thread(_future):
    raise SystemExit(3)


def test_a_callback_that_exits_is_logged_and_the_pool_and_who_waits_go_on(pool, caplog, tmp_path):
    future = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go"))
    future.add_done_callback(leave_thread)
    (tmp_path / "go").touch()
    got = []
    thread = threading.Thread(target=lambda: got.append(future.result(timeout=30)))
    thread.start()
    thread.join(30)
    assert got == ["held"]
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1
    assert "exception calling callback" in caplog.text


def test_who_waits_is_woken_before_callbacks_run(pool, tmp_path):
    future, go_on = pool.submit(tasks.hold, str(tmp_path / "begun"), str(tmp_path / "go")), threading.Event()
    future.add_done_callback(lambda _: go_on.wait(30))
    thread = threading.Thread(
        target=lambda: future.result(timeout=30) and go_on.set()
    )  # only who waits ends the callback
    thread.start()
    (tmp_path / "go").touch()
    thread.join(20)
    assert go_on.is_set()
    assert cf.wait([future], timeout=30).done


# --- tracebacks ------------------------------------------------------------------------------------------------------

SHELL = '''
import linecache
import actorflow as af

TEXT = """
def divide(n):
    return 1 // n  # a line of the shell

class Divider(af.Actor):
    def divide(self, n):
        return 1 // n  # a line of the actor
"""
linecache.cache["<shell 1>"] = len(TEXT), None, TEXT.splitlines(True), "<shell 1>"
exec(compile(TEXT, "<shell 1>", "exec"))

def note_of(future):
    try:
        future.result(timeout=30) if hasattr(future, "result") else future.get(timeout=30)
    except ZeroDivisionError as error:
        return error.__notes__[0]

with af.ActorSystem("s") as system:
    pool = system.pool("cpu", workers=1)
    print(note_of(pool.submit(divide, 0)))
    print(note_of(pool.submit(lambda: [divide(n) for n in (1, 0)])))
    actor = system.spawn(af.child(Divider).options(host=af.Process()))
    print(note_of(actor.call(Divider.divide, 0)))
'''


def test_tracebacks_of_functions_typed_in_a_shell_show_their_lines():
    out = script(SHELL)
    assert out.count("return 1 // n  # a line of the shell") == 2
    assert out.count("return 1 // n  # a line of the actor") == 1


def test_tracebacks_of_local_functions_show_their_lines(pool):
    def divide(n):
        return 1 // n  # a line of the test

    with pytest.raises(ZeroDivisionError) as caught:
        pool.submit(divide, 0).result(timeout=30)
    assert "return 1 // n  # a line of the test" in caught.value.__notes__[0]


# --- map -------------------------------------------------------------------------------------------------------------


def wait_for(path, number):
    """Work until a file is there, from the second item on."""
    if number:
        tasks.until(path.exists)
    return number


@pytest.mark.parametrize("options", [{}, {"progress": lambda _done, _total: None}])
def test_map_gives_each_result_when_it_is_there(pool, tmp_path, options):
    path = tmp_path / "go"
    results = pool.map(wait_for, [path] * 10, range(10), chunksize=5, timeout=30, **options)
    assert next(results) == 0  # those behind it in its chunk wait for what follows
    path.touch()
    assert list(results) == list(range(1, 10))


def test_the_progress_of_a_map_counts_results_of_chunks_that_are_not_done(pool, tmp_path):
    path, seen = tmp_path / "go", []
    results = pool.map(wait_for, [path] * 4, range(4), chunksize=4, progress=lambda done, _total: seen.append(done))
    next(results)
    assert seen[-1] == 1
    path.touch()
    assert list(results) == [1, 2, 3]
    assert seen == sorted(seen)
    assert seen[-1] == 4


def test_a_chunk_that_died_after_most_of_its_items_gives_all_of_them(pool, tmp_path):
    path = str(tmp_path / "die")

    def die_once_at_the_last(n):
        tasks.spin(0.002)
        return tasks.leave_once(path, 4) and n if n == 9 else n

    assert list(pool.options(retries=1).map(die_once_at_the_last, range(10), chunksize=10)) == list(range(10))


class Mapper(af.Actor):
    def sums(self, pool, path):
        results = pool.map(wait_for, [path] * 3, range(3), chunksize=3)
        first = next(results)
        path.touch()
        return [first, *results]


def test_a_handler_iterates_over_a_map(tmp_path):
    with LeakCheck(), af.ActorSystem("test") as system:
        mapper = system.spawn(Mapper)
        assert mapper.call(Mapper.sums, system.pool("cpu", workers=1), tmp_path / "go").get(timeout=30) == [0, 1, 2]
