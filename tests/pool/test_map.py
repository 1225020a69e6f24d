"""map: order, chunks, errors, progress."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

import actorflow as af
from actorflow.process.pool.task import Chunk
from actorflow.process.pool.workers import worker_thread
from actorflow.process.pool.workers.doorbell import Doorbell
from actorflow.testing import LeakCheck
from tests.pool import tasks


def test_results_come_in_order_and_the_shortest_iterable_counts(pool):
    assert list(pool.map(tasks.add, range(1000), range(2000))) == [2 * n for n in range(1000)]
    assert list(pool.map(tasks.add, [])) == []
    assert list(pool.map(tasks.add, [1], [])) == []
    assert list(pool.map(tasks.add, (n for n in range(3)))) == [0, 1, 2]


@pytest.mark.parametrize("chunksize", [1, 7, 100, 10_000])
def test_any_chunksize_gives_the_same(pool, chunksize):
    assert list(pool.map(tasks.add, range(500), chunksize=chunksize)) == list(range(500))


def test_cheap_items_go_in_big_chunks_and_slow_ones_are_shared_out(pool, tmp_path):
    assert sum(pool.map(tasks.add, range(200_000))) == sum(range(200_000))

    def slow(_):
        """Begin its first three items in a process no sooner than the other process has begun as many."""
        mine = tasks.begin(f"{folder}/{tasks.pid()}")
        if mine <= 3:
            tasks.until(lambda: sum(path.stat().st_size >= mine for path in folder.iterdir()) == 2)
        return tasks.pid()

    folder = tmp_path
    pids = list(pool.map(slow, range(20)))
    assert min(map(pids.count, set(pids))) >= 3
    assert len(set(pids)) == 2


def test_one_slow_item_does_not_keep_the_cheap_ones_from_the_other_worker(pool, tmp_path):
    count = str(tmp_path / "count")

    def which(n):
        if n == 0:
            tasks.until(lambda: tasks.begun(count) >= 1500)
        else:
            tasks.begin(count)
        return tasks.pid()

    pids = list(pool.map(which, range(2000)))
    assert pids.count(pids[0]) < 500


def test_an_error_comes_after_the_results_before_it_and_ends_the_iteration(pool):
    found, results = [], pool.map(tasks.tenth, range(1000))
    with pytest.raises(ValueError, match="ten"):
        found.extend(results)
    assert found == list(range(10))
    assert list(results) == []
    assert pool.submit(tasks.add, 1).result(timeout=30) == 1


def test_stop_iteration_in_the_function_is_an_error_and_no_silent_end(pool):
    found = []
    with pytest.raises(RuntimeError, match="StopIteration"):
        found.extend(pool.map(tasks.stop_iteration, range(10)))
    assert found == [0, 1, 2]


def test_an_item_whose_result_does_not_pickle_fails_after_those_before_it(pool):
    def maybe(n):
        return tasks.locked() if n == 50 else n

    found = []
    with pytest.raises(af.PayloadError):
        found.extend(pool.map(maybe, range(100)))
    assert found == list(range(50))


@pytest.mark.parametrize("bad", [0, 1, 50, 99])
@pytest.mark.parametrize("chunksize", [None, 1, 7, 100])
def test_an_item_that_does_not_pickle_fails_after_those_before_it(pool, bad, chunksize):
    items = [tasks.locked() if n == bad else n for n in range(100)]
    found = []
    with pytest.raises(af.PayloadError, match="does not pickle"):
        found.extend(pool.map(abs, items, chunksize=chunksize))
    assert found == list(range(bad))


def test_a_death_in_a_map_gives_the_items_before_it_and_names_the_function(pool):
    def die_at(n):
        time.sleep(0.000_5)
        return tasks.leave(4) if n == 60 else n

    found = []
    with pytest.raises(af.HostDied, match="die_at.*exit code 4"):
        found.extend(pool.map(die_at, range(100), chunksize=100))
    assert found == list(range(60))


def test_a_chunk_that_died_goes_on_where_it_was_if_retries_are_left(pool, tmp_path):
    path, count = str(tmp_path / "die"), str(tmp_path / "runs")

    def die_once_at(n):
        time.sleep(0.000_5)
        tasks.begin(count)
        return tasks.leave_once(path, 4) and n if n == 60 else n

    assert list(pool.options(retries=1).map(die_once_at, range(100), chunksize=100)) == list(range(100))
    assert tasks.begun(count) == 101


@pytest.mark.slow
def test_the_timeout_of_a_map_is_for_all_and_that_of_the_options_for_one_item(pool):
    with pytest.raises(TimeoutError):
        list(pool.map(tasks.spin, [0.2] * 10, timeout=0.3))
    patient = pool.options(timeout=3.0)  # a busy machine may take a process off for a second
    assert list(patient.map(tasks.spin, [0.3] * 24)) == [0.3] * 24
    with pytest.raises(af.TaskTimeout):
        list(patient.map(tasks.spin, [0.0, 0.0, 60.0]))


@pytest.mark.parametrize("progress", [None, lambda done, total: None])
def test_a_map_that_runs_out_of_time_names_its_function_and_its_timeout(pool, tmp_path, progress):
    with pytest.raises(TimeoutError, match=r"the map of hold_item had not all results within its timeout, 0\.2 s"):
        list(pool.map(tasks.hold_item, [str(tmp_path)], timeout=0.2, progress=progress))
    (tmp_path / "go").touch()


def test_a_map_with_progress_in_a_callback_that_delivers_its_results_is_a_deadlock_error(pool, tmp_path):
    """The wait for a result is one of slices, between reports; their ends are no errors, but others are."""
    errors = []
    done = threading.Event()
    later = tmp_path / "later"
    later.mkdir()

    def iterate(future):
        try:
            list(pool.map(tasks.hold_item, [str(later)], progress=lambda done, total: None))
        except BaseException as error:
            errors.append(type(error))
        done.set()

    pool.submit(tasks.hold_item, str(tmp_path)).add_done_callback(iterate)
    (tmp_path / "go").touch()
    assert done.wait(30)
    (later / "go").touch()
    assert errors == [af.DeadlockError]


def test_a_timeout_error_of_a_signals_handler_ends_a_map_with_progress(pool, monkeypatch, tmp_path):
    def interrupted(chunk, known, timeout):
        raise TimeoutError("by SIGALRM")

    results = pool.map(tasks.hold_item, [None, str(tmp_path)], chunksize=1, progress=lambda done, total: None)
    assert next(results) is None
    monkeypatch.setattr(Chunk, "wait_for_more", interrupted)
    with pytest.raises(TimeoutError, match="by SIGALRM"):
        next(results)
    (tmp_path / "go").touch()


def test_progress_is_reported_until_all_is_done(pool, tmp_path):
    told, seen = tmp_path / "told", []

    def slow(n):
        time.sleep(0.01)
        if n == 39:
            tasks.until(told.exists)
        return n

    def progress(done, total):
        seen.append((done, total))
        if done:
            told.touch()

    assert list(pool.map(slow, range(40), progress=progress)) == list(range(40))
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)
    assert any(0 < done < 40 for done, _ in seen)


def test_calls_begin_before_anybody_asks_for_results(pool, tmp_path):
    path = str(tmp_path / "runs")
    results = pool.map(tasks.begin, [path] * 50)
    pool.drain(20)
    assert tasks.begun(path) == 50
    assert len(list(results)) == 50


def test_a_map_that_is_given_up_takes_back_what_has_not_begun(pool, tmp_path):
    path, go = str(tmp_path / "runs"), tmp_path / "go"

    def held(n):
        """Return once the map was given up, but for the first item."""
        if n:
            tasks.until(go.exists)
        tasks.begin(path)
        return n

    results = pool.map(held, range(1000))
    assert next(results) == 0
    results.close()
    go.touch()
    pool.drain(30)
    assert tasks.begun(path) < 500


def test_big_results_come_out_of_band(pool):
    pytest.importorskip("numpy")
    assert [array.sum() for array in pool.map(tasks.fill, [100_000] * 10)] == [700_000.0] * 10


def test_bad_chunk_sizes_are_refused(pool):
    for chunksize in (0, -1, "many", 1.5):
        with pytest.raises(af.DefinitionError, match="chunksize"):
            pool.map(tasks.add, [1], chunksize=chunksize)


def test_a_map_after_the_shutdown_is_refused():
    with LeakCheck():
        pool = af.ProcessPool(workers=1)
        pool.shutdown()
        with pytest.raises(af.ActorDeadError):
            pool.map(tasks.add, [1])


def test_the_end_of_the_pool_waits_for_all_items_of_a_map():
    """Chunks are sent as others end; those that had not been sent at the shutdown were refused."""
    with LeakCheck():
        with af.ProcessPool(workers=2) as pool:
            results = pool.map(tasks.spin, [0.001] * 300)
        assert list(results) == [0.001] * 300


def test_a_shutdown_that_cancels_sends_no_more_items_of_a_map():
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        results = pool.map(tasks.spin, [0.01] * 10_000)
        pool.shutdown(cancel_futures=True)
        with pytest.raises((af.ActorDeadError, CancelledError)):
            list(results)


def test_items_that_the_journal_has_before_others_are_read_from_the_socket_stay_in_their_places(monkeypatch, tmp_path):
    """The pool's thread wakes as nothing has come, is late, and then looks at a worker that has sent much meanwhile."""
    begun, go = tmp_path / "begun", tmp_path / "go"

    def act(item):
        tasks.spin(0.002)  # so that the items before have left, and this one's results stand in the journal
        if item == 10:
            tasks.hold(str(begun), str(go))
        return item

    def wait(bell, seconds):
        readable = known(bell, seconds)
        if not late:
            if pool._dispatch.worker_threads[0].in_flight:
                late.append(tasks.until(begun.exists))
                long = time.perf_counter() + 2 * worker_thread.STALL
                tasks.until(lambda: time.perf_counter() > long)
            return readable and not late
        go.touch()
        return readable

    known, late = Doorbell.wait, []
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pool.submit(abs, -1).result(timeout=30)
        monkeypatch.setattr(Doorbell, "wait", wait)
        results = list(pool.map(act, range(20), chunksize=20))
    assert late
    assert results == list(range(20))
