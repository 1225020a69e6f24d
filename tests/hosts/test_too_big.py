"""Promises: what is too big for a frame is an error of its sender, with the cure; big buffers have no bound."""

import pickle

import pytest

import actorflow as af
from actorflow.process import pickling
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, Notes, call, events, hosted, pid_of

pytestmark = pytest.mark.timeout(300)

MOST = 1_000_000
BIG = MOST + 1


class Big(Fragile):
    """Makes big things, in a process whose limit is that of the test."""

    def on_start(self):
        super().on_start()
        pickling.MOST = MOST

    def make(self, size):
        return "x" * size

    def fail_big(self, size, parts=1):
        raise ValueError(*["x" * size] * parts)

    def tell_big(self, to, size):
        try:
            to.tell(bytes(size))
        except af.PayloadError as error:
            return str(error)

    def length(self, value):
        return memoryview(value).nbytes


@pytest.fixture(autouse=True)
def _limit(monkeypatch):
    monkeypatch.setattr(pickling, "MOST", MOST)


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Big, restart="permanent"))


@pytest.mark.parametrize(
    "value", [bytes(BIG), "x" * BIG, [bytes(BIG)], {"a": ["x" * BIG]}], ids=lambda v: type(v).__name__
)
def test_a_message_that_is_too_big_is_its_senders_error_with_size_limit_and_cure(ref, value):
    for send in (ref.tell, ref.ask, lambda value: call(ref, Notes.note, value)):
        with pytest.raises(af.PayloadError, match=r"too big .* 1,000,\d+ bytes .* is 1,000,000\. .*PickleBuffer"):
            send(value)
    assert ref.ask("next", timeout=LIMIT) == "next"


def test_a_message_by_value_that_is_too_big_is_its_senders_error(ref):
    value = bytes(BIG)
    with pytest.raises(af.PayloadError, match="too big"):
        call(ref, Notes.note, lambda: value)
    assert ref.ask("next", timeout=LIMIT) == "next"


def test_an_answer_that_is_too_big_is_the_askers_error(ref):
    pid = pid_of(ref)
    with pytest.raises(af.PayloadError, match="too big to be sent: the answer"):
        call(ref, Big.make, BIG)
    assert pid_of(ref) == pid


def test_a_tell_of_a_host_that_is_too_big_is_its_senders_error(system, ref):
    assert "too big" in call(ref, Big.tell_big, system.spawn(Notes), BIG)


def test_arguments_of_an_actor_that_are_too_big_are_its_spawners_error(system):
    with pytest.raises(af.PayloadError, match="too big"):
        system.spawn(hosted(Notes, [bytes(BIG)]))


@pytest.mark.parametrize(("size", "parts"), [(BIG, 1), (MOST // 2, 3)])
def test_an_error_that_is_too_big_comes_as_its_class_with_a_part_of_its_text(ref, size, parts):
    with pytest.raises(ValueError, match=r"x{9}.*characters") as caught:
        ref.call(Big.fail_big, size, parts).get(timeout=LIMIT)
    assert len(str(caught.value)) < MOST / 5
    assert any("in fail_big" in note for note in caught.value.__notes__)
    ref.cast(Big.fail_big, size, parts)  # a crash: its cause goes to the supervisor
    assert ref.ask("next", timeout=LIMIT) == "next"


def test_a_message_at_the_limit_passes(ref):
    value = bytes(MOST - 100)
    assert ref.ask(value, timeout=LIMIT) == value


def test_big_buffers_have_no_such_limit(system, ref):
    array = pickle.PickleBuffer(bytearray(2 * BIG))
    assert call(ref, Big.length, array) == 2 * BIG
    assert call(system.spawn(hosted(Notes, [array])), Notes.count) == 1


def test_a_dead_letter_of_a_host_brings_its_big_buffers(system, ref):
    class Spawner(Here):
        def leave(self, array):
            self.actor_ref.tell(array)
            self.stop()
            self.actor_ref.tell(array)

    seen = []
    spawner = system.spawn(hosted(Spawner))
    system.subscribe(af.DeadLetter, lambda event: seen.append(event.message))
    with events(system, af.DeadLetter):
        spawner.cast(Spawner.leave, pickle.PickleBuffer(bytearray(2 * BIG)))
        until(lambda: seen)
    assert memoryview(seen[0]).nbytes == 2 * BIG


def test_the_limit_of_pools_is_the_same(monkeypatch):
    def set_limit():
        pickling.MOST = MOST

    with af.ProcessPool(workers=1, initializer=set_limit) as pool:
        for args in [(bytes(BIG),), ([bytes(BIG)],)]:
            with pytest.raises(af.PayloadError, match="too big to be sent: the arguments"):
                pool.submit(len, *args)
        with pytest.raises(af.PayloadError, match="too big to be sent: the result"):
            pool.submit(bytes, BIG).result(timeout=LIMIT)
        with pytest.raises(af.PayloadError, match="too big to be sent: the result"):
            pool.submit(lambda: [bytes(BIG)]).result(timeout=LIMIT)
        value = bytes(BIG)
        with pytest.raises(af.PayloadError, match="too big"):
            pool.submit(lambda: value)
        assert [len(data) for data in pool.map(bytes, [MOST // 2] * 10, chunksize=10)] == [MOST // 2] * 10
        results = pool.map(bytes, [10, BIG, 10], chunksize=3)
        assert next(results) == bytes(10)
        with pytest.raises(af.PayloadError, match="too big"):
            next(results)
        assert pool.submit(len, b"next").result(timeout=LIMIT) == 4
        assert pool.stats().restarts == 0
