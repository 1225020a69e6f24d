"""BaseExceptions of what tasks take, return and raise: the task concerned gets an error, the pool goes on."""

import sys
import threading

import pytest

import actorflow as af


class ExitsHere:
    """Raises SystemExit as it is unpickled."""

    def __reduce__(self):
        return sys.exit, (1,)


class BadText(Exception):
    def __str__(self):
        raise SystemExit(2)

    __repr__ = __str__


class BadState(Exception):
    def __setstate__(self, state):
        raise SystemExit(3)

    def __reduce__(self):
        return BadState, (), {"a": 1}


class BadReduce:
    def __reduce__(self):
        raise SystemExit(4)


class LongText(str):
    __slots__ = ()


class OddText(Exception):
    def __str__(self):
        return LongText("odd")


def give(kind):
    return kind()


def fail(kind):
    raise kind


def pairs(kind):
    return [1, kind()]


CASES = {
    "a result that exits here": (give, ExitsHere, af.PayloadError),
    "a part of one": (pairs, ExitsHere, af.PayloadError),
    "a result that exits as it is pickled": (give, BadReduce, SystemExit),
    "an error without a text": (fail, BadText, BaseException),
    "an error that exits here": (fail, BadState, BaseException),
    "an error whose text is no plain one": (fail, OddText, OddText),
}


@pytest.mark.parametrize(("act", "kind", "error"), CASES.values(), ids=CASES)
def test_the_task_gets_an_error_and_threads_that_come_after_wait_as_any(pool, act, kind, error):
    for wait in (True, False):
        future = pool.submit(act, kind)
        if not wait:  # the worker's own thread reads the reply
            done = threading.Event()
            future.add_done_callback(lambda _, done=done: done.set())
            assert done.wait(30)
        with pytest.raises(error):
            future.result(timeout=30)
    with pytest.raises(error):
        list(pool.map(act, [kind], timeout=30))
    found = []
    for _ in range(10):  # their ids may be those of threads that have ended
        thread = threading.Thread(target=lambda: found.append(pool.submit(abs, -1).result(timeout=30)))
        thread.start()
        thread.join(30)
    assert found == [1] * 10
    assert pool.stats().restarts == 0
