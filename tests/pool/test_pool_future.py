"""PoolFuture: all that a future of `concurrent.futures` promises, and all that one of actorflow does."""

import asyncio
import concurrent.futures as cf
import logging
import random
import sys
import threading
import time

import pytest

import actorflow as af
from actorflow.process.pool.future import PoolFuture

DONE = "result"


def settled(result=DONE, error=None):
    future = PoolFuture()
    future._settle(None if error else result, error)
    return future


def cancelled():
    future = PoolFuture()
    assert future.cancel()
    return future


# --- one thread ------------------------------------------------------------------------------------------------------


def test_it_is_a_future_of_both_kinds():
    assert isinstance(PoolFuture(), cf.Future)
    assert isinstance(PoolFuture(), af.Future)


def test_result_gives_the_result_or_raises_the_error():
    assert settled().result() == DONE
    with pytest.raises(KeyError):
        settled(error=KeyError("x")).result()


def test_exception_gives_the_error_or_none():
    error = KeyError("x")
    assert settled(error=error).exception() is error
    assert settled().exception() is None


@pytest.mark.parametrize("ask", ["result", "exception"])
def test_a_wait_that_runs_out_of_time_raises_the_builtin_timeout_error(ask):
    with pytest.raises(TimeoutError):
        getattr(PoolFuture(), ask)(timeout=0.01)
    with pytest.raises(cf.TimeoutError):
        getattr(PoolFuture(), ask)(timeout=0)


def test_a_cancelled_future_raises_cancelled_error_everywhere():
    future = cancelled()
    for ask in (future.result, future.exception, future.get):
        with pytest.raises(cf.CancelledError):
            ask()
    assert future.cancelled()
    assert future.done()
    assert not future.running()


def test_cancel_is_true_again_for_a_cancelled_future_and_false_for_a_done_one():
    assert cancelled().cancel()
    assert not settled().cancel()
    assert not settled(error=KeyError()).cancel()
    assert settled(error=KeyError()).cancelled() is False


def test_a_task_that_raises_cancelled_error_is_not_cancelled():
    future = settled(error=cf.CancelledError())
    assert not future.cancelled()
    assert isinstance(future.exception(), cf.CancelledError)


def test_a_second_result_is_an_invalid_state():
    for future in (settled(), cancelled(), settled(error=KeyError())):
        with pytest.raises(cf.InvalidStateError):
            future.set_result(1)
        with pytest.raises(cf.InvalidStateError):
            future.set_exception(KeyError())


def test_set_running_or_notify_cancel_tells_whether_to_begin():
    assert PoolFuture().set_running_or_notify_cancel()
    assert not cancelled().set_running_or_notify_cancel()
    with pytest.raises(cf.InvalidStateError):
        settled().set_running_or_notify_cancel()


def test_set_exception_takes_an_exception_as_in_concurrent_futures():
    future = PoolFuture()
    error = KeyError("x")
    future.set_exception(error)
    assert future.exception() is error


def test_callbacks_run_in_order_once_and_with_the_future():
    future, called = PoolFuture(), []
    for number in range(3):
        future.add_done_callback(lambda given, number=number: called.append((number, given)))
    future.set_result(DONE)
    future.add_done_callback(lambda given: called.append((3, given)))
    assert called == [(number, future) for number in range(4)]


def test_callbacks_of_a_cancelled_future_run():
    future, called = PoolFuture(), []
    future.add_done_callback(called.append)
    future.cancel()
    assert called == [future]


@pytest.mark.parametrize("late", [False, True])
def test_a_callback_that_raises_is_logged_and_the_others_run(late, caplog):
    future, called = settled() if late else PoolFuture(), []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(called.append)
    if not late:
        future.set_result(DONE)
    assert called == [future]
    assert "exception calling callback" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_combinators_of_actorflow_work():
    assert settled(20).map(lambda n: n + 1).get() == 21
    assert settled(1).join(settled(2)).get() == [1, 2]


def test_the_standard_library_leaves_nothing_in_a_future_it_did_not_look_at():
    future = PoolFuture()
    future.add_done_callback(lambda _: None)
    future.set_result(1)
    assert future.result() == 1
    assert future.__dict__ == {}


# --- the standard library's functions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "futures", "done"),
    [
        (cf.ALL_COMPLETED, lambda: [settled(), cancelled(), settled(error=KeyError())], 3),
        (cf.ALL_COMPLETED, lambda: [settled(), PoolFuture()], 1),
        (cf.FIRST_COMPLETED, lambda: [PoolFuture(), settled()], 1),
        (cf.FIRST_COMPLETED, lambda: [PoolFuture(), cancelled()], 1),
        (cf.FIRST_EXCEPTION, lambda: [PoolFuture(), settled(error=KeyError())], 1),
        (cf.FIRST_EXCEPTION, lambda: [PoolFuture(), cancelled()], 1),
    ],
)
def test_wait_tells_done_from_not_done(when, futures, done):
    given = futures()
    found = cf.wait(given, timeout=0.01, return_when=when)
    assert len(found.done) == done
    assert found.done | found.not_done == set(given)


def test_as_completed_gives_all_and_raises_on_timeout():
    future = PoolFuture()
    given = [settled(), cancelled(), future]
    ordered = cf.as_completed(given, timeout=0.05)
    assert {next(ordered), next(ordered)} == set(given[:2])
    with pytest.raises(TimeoutError):
        next(ordered)
    future.set_result(1)
    assert set(cf.as_completed(given, timeout=30)) == set(given)


def test_asyncio_wraps_it_and_cancels_through_it():
    async def main():
        future = PoolFuture()
        wrapped = asyncio.wrap_future(future)
        threading.Timer(0.01, future.set_result, [DONE]).start()
        assert await wrapped == DONE
        for given, error in ((settled(error=KeyError()), KeyError), (cancelled(), asyncio.CancelledError)):
            with pytest.raises(error):
                await asyncio.wrap_future(given)
        future = PoolFuture()
        asyncio.wrap_future(future).cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert future.cancelled()

    asyncio.run(main())


def test_it_can_be_awaited_directly():
    async def main():
        future = PoolFuture()
        threading.Timer(0.01, future.set_result, [DONE]).start()
        return await future

    assert asyncio.run(main()) == DONE


# --- many threads ----------------------------------------------------------------------------------------------------


@pytest.fixture
def _quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(*works):
    """Run functions at the same time, and raise what one of them raises."""
    start = threading.Barrier(len(works))

    def run(work):
        start.wait()
        return work()

    with cf.ThreadPoolExecutor(len(works)) as threads:
        for done in [threads.submit(run, work) for work in works]:
            done.result(timeout=30)


def settle_all(futures, rng):
    for future in rng.sample(futures, len(futures)):
        kind = rng.randrange(3)
        if kind == 0:
            future.set_result(1)
        elif kind == 1:
            future.set_exception(KeyError())
        else:
            future.cancel()
        if rng.random() < 0.1:
            time.sleep(0)


@pytest.mark.usefixtures("_quick_switches")
@pytest.mark.parametrize("seed", range(4))
def test_wait_for_all_returns_when_all_are_done_and_not_before(seed):
    rng = random.Random(seed)
    for _ in range(150):
        futures = [PoolFuture() for _ in range(6)]

        def wait(futures=futures):
            found = cf.wait(futures, timeout=30)
            assert not found.not_done
            assert all(future.done() for future in futures)

        in_threads(wait, wait, lambda futures=futures: settle_all(futures, rng))


@pytest.mark.usefixtures("_quick_switches")
@pytest.mark.parametrize("when", [cf.FIRST_COMPLETED, cf.FIRST_EXCEPTION])
def test_wait_for_the_first_returns_and_all_are_found_in_the_end(when):
    rng = random.Random(7)
    for _ in range(150):
        futures = [PoolFuture() for _ in range(6)]

        def wait(futures=futures):
            left = set(futures)
            while left:
                found = cf.wait(left, timeout=30, return_when=when)
                assert found.done
                left = found.not_done

        in_threads(wait, wait, lambda futures=futures: settle_all(futures, rng))


@pytest.mark.usefixtures("_quick_switches")
def test_wait_with_short_timeouts_never_loses_a_future():
    rng = random.Random(8)
    for _ in range(100):
        futures = [PoolFuture() for _ in range(6)]

        def wait(futures=futures):
            left = set(futures)
            deadline = time.monotonic() + 30
            while left:
                left = cf.wait(left, timeout=0.000_05).not_done
                assert time.monotonic() < deadline

        in_threads(wait, wait, lambda futures=futures: settle_all(futures, rng))


@pytest.mark.usefixtures("_quick_switches")
@pytest.mark.parametrize("seed", range(3))
def test_as_completed_gives_each_future_once(seed):
    rng = random.Random(seed)
    for _ in range(150):
        futures = [PoolFuture() for _ in range(6)]

        def collect(futures=futures):
            given = list(cf.as_completed(futures, timeout=30))
            assert len(given) == len(futures)
            assert set(given) == set(futures)

        in_threads(collect, collect, lambda futures=futures: settle_all(futures, rng))


@pytest.mark.usefixtures("_quick_switches")
def test_of_a_cancel_and_a_result_in_a_race_one_wins_and_all_agree():
    for _ in range(300):
        future, told, called = PoolFuture(), [], []
        future.add_done_callback(called.append)

        def result(future=future, told=told):
            try:
                future.set_result(1)
                told.append("result")
            except cf.InvalidStateError:
                pass

        def cancel(future=future, told=told):
            if future.cancel():
                told.append("cancel")

        in_threads(result, cancel, cancel)
        assert told == ["result"] if not future.cancelled() else "result" not in told
        assert called == [future]
        if future.cancelled():
            assert told == ["cancel", "cancel"]


@pytest.mark.usefixtures("_quick_switches")
def test_a_callback_added_in_a_race_with_the_result_runs_once():
    for _ in range(300):
        future, called = PoolFuture(), []
        in_threads(
            lambda future=future: future.set_result(1),
            lambda future=future, called=called: future.add_done_callback(called.append),
            lambda future=future: cf.wait([future], timeout=30),
        )
        assert called == [future]
