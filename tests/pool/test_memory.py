"""Promises: a task whose arguments or result do not fit into memory fails, and no other; none is tried for ever."""

import os
import threading

import pytest

import actorflow as af
from actorflow.process import wire
from actorflow.testing import LeakCheck
from tests import memory
from tests.memory import ROOM, bounded


@pytest.fixture
def one():
    """A pool of one worker, which is ready and has no memory for big results."""
    with LeakCheck(), af.ProcessPool(workers=1, initializer=memory.write_no_big_frames) as running:
        running.submit(os.getpid).result(timeout=30)
        yield running


@pytest.mark.parametrize("act", [memory.big, memory.big_with_buffer])
def test_a_result_that_there_is_no_memory_to_send_fails_its_own_task_only(one, act):
    home = one.submit(os.getpid).result(timeout=30)
    futures = [one.submit(abs, -1), one.submit(act), one.submit(abs, -2), one.submit(os.getpid)]
    with pytest.raises(MemoryError):
        futures[1].result(timeout=30)
    assert [futures[n].result(timeout=30) for n in (0, 2, 3)] == [1, 2, home]


@pytest.mark.parametrize("chunksize", [1, 5, None])
def test_an_item_whose_result_there_is_no_memory_to_send_fails_after_those_before_it(one, chunksize):
    home = one.submit(os.getpid).result(timeout=30)
    results = one.map(bytes, [1, 2, 2 * ROOM, 3], chunksize=chunksize)
    assert [next(results), next(results)] == [bytes(1), bytes(2)]
    with pytest.raises(MemoryError):
        next(results)
    assert one.submit(os.getpid).result(timeout=30) == home


def test_arguments_that_fit_into_no_workers_memory_are_an_error_and_not_sent_to_one_worker_after_the_other():
    with LeakCheck(), af.ProcessPool(workers=1, initializer=memory.bind, initargs=(16 * ROOM,)) as pool:
        futures = [pool.submit(abs, -1), pool.submit(len, bytes(32 * ROOM)), pool.submit(abs, -2)]
        with pytest.raises(af.HostDied, match="as it read the arguments, as 4 before it did") as caught:
            futures[1].result(timeout=60)
        assert caught.value.maybe_ran is False
        assert any("no memory to read 30.5 MB" in note for note in caught.value.__notes__)
        assert [futures[n].result(timeout=30) for n in (0, 2)] == [1, 2]
        assert pool.stats().restarts <= 5


@pytest.mark.parametrize("wait", ["in the main thread", "in a thread", "later"])
@pytest.mark.parametrize("reading", ["begun", "ended"])
def test_a_result_that_there_is_no_memory_to_read_fails_its_own_task_only(monkeypatch, caplog, wait, reading):
    def loads(data):
        if len(data) > ROOM:
            raise MemoryError
        return known(data)

    known = wire.marshal.loads
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pool.submit(os.getpid).result(timeout=30)
        if reading == "begun":
            monkeypatch.setattr(wire, "bytearray", bounded, raising=False)
        else:
            monkeypatch.setattr(wire.marshal, "loads", loads)
        big, other = pool.submit(bytes, 2 * ROOM), pool.submit(abs, -1)
        errors = []
        if wait == "later":
            assert other.result(timeout=30) == 1
        if wait == "in a thread":
            waiter = threading.Thread(target=lambda: errors.append(big.exception(timeout=30)))
            waiter.start()
            waiter.join(60)
        else:
            errors.append(big.exception(timeout=30))
        assert isinstance(errors[0], af.HostDied)
        assert "there was no memory to read 1.9 MB" in str(errors[0])
        assert errors[0].maybe_ran
        assert other.result(timeout=30) == 1
    assert "report it" not in caplog.text


def test_a_task_whose_result_there_was_no_memory_to_read_runs_again_if_retries_are_left(monkeypatch, tmp_path):
    with LeakCheck(), af.ProcessPool(workers=1) as pool:
        pool.submit(os.getpid).result(timeout=30)
        monkeypatch.setattr(wire, "bytearray", bounded, raising=False)
        future = pool.options(retries=1).submit(memory.big_once, str(tmp_path / "begun"))
        assert future.result(timeout=30) == b"little"
