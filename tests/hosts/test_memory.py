"""Promises: a message or an answer that does not fit into memory is an error of who waits, and never a silent wait."""

import pickle

import pytest

import actorflow as af
from actorflow.process import wire
from tests import memory
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Notes, call, hosted, pid_of
from tests.memory import ROOM, TOO_BIG, bounded

pytestmark = pytest.mark.timeout(300)


class Short(Notes):
    """Has no memory for big frames."""

    def write_no_more(self):
        memory.write_no_big_frames()

    def read_no_more(self):
        memory.read_no_big_frames()

    def make(self, size):
        return bytes(size)

    def make_with_buffer(self, size):
        return bytes(size), pickle.PickleBuffer(bytearray(ROOM))

    def pull(self, other, size):
        return len(other.call(Short.make, size).get())


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Short, restart="permanent"))


@pytest.mark.parametrize("make", [Short.make, Short.make_with_buffer])
def test_an_answer_that_there_is_no_memory_to_send_is_the_askers_error(ref, make):
    call(ref, Short.write_no_more)
    pid = pid_of(ref)
    asks = [ref.call(make, size) for size in (1, 2 * ROOM, 2)]
    with pytest.raises(MemoryError):
        asks[1].get(timeout=LIMIT)
    assert len(asks[0].get(timeout=LIMIT)) == len(asks[2].get(timeout=LIMIT)) or make is Short.make
    assert pid_of(ref) == pid


def test_answers_that_there_is_no_memory_to_send_together_are_errors_of_the_big_ones_only(ref):
    """While the writer is busy, answers wait and go in one frame."""
    call(ref, Short.write_no_more)
    asks = [ref.call(Short.make, 600_000) for _ in range(20)]
    for ask in asks:
        try:
            assert len(ask.get(timeout=LIMIT)) == 600_000
        except MemoryError:
            continue
    assert call(ref, Short.make, 1) == bytes(1)


def test_a_message_that_a_host_has_no_memory_to_read_ends_it_and_is_safe_to_send_again(system, ref, caplog):
    pid = pid_of(ref)
    call(ref, Short.read_no_more)
    with pytest.raises(af.HostDied, match="it had not begun"):
        ref.ask(TOO_BIG, timeout=LIMIT)
    assert pid_of(ref) != pid
    until(lambda: "no memory to read 1.9 MB from another process, so this host ends" in caplog.text)


def test_an_answer_that_there_is_no_memory_to_read_ends_its_host_and_the_error_says_so(ref, monkeypatch):
    pid = pid_of(ref)
    monkeypatch.setattr(wire, "bytearray", bounded, raising=False)
    with pytest.raises(af.HostDied, match=r"there was no memory to read 1\.9 MB"):
        call(ref, Short.make, 2 * ROOM)
    assert pid_of(ref) != pid


def test_an_answer_to_another_host_that_it_has_no_memory_for_ends_that_host_only(system, ref):
    other = system.spawn(hosted(Short, restart="permanent"))
    pids = [pid_of(ref), pid_of(other)]
    call(ref, Short.read_no_more)
    with pytest.raises(af.HostDied):
        call(ref, Short.pull, other, 2 * ROOM)
    assert pid_of(other) == pids[1]
    assert pid_of(ref) != pids[0]
