"""Promises: big messages arrive whole and writable, and a process that does not read costs its parent no memory."""

import os
import signal
import sys
import threading

import psutil
import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Here, Notes, call, events, hosted, pid_of
from tests.processes import stop_process

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.timeout(300)

MB = 2**20


class Arrays(Notes):
    def double(self, array):
        array *= 2  # it is its own, and writable
        return array

    def make(self, count):
        return numpy.arange(count, dtype=numpy.int64)

    def sums(self):
        return [float(array.sum()) for array in self.seen]

    def pass_on(self, other, array):
        return other.ask(array, timeout=LIMIT)

    def give_twice(self):
        self.array = numpy.zeros(MB)
        return self.array


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Arrays))


@pytest.mark.parametrize("megabytes", [8, 80])
def test_arrays_arrive_equal_and_writable(ref, megabytes):
    array = numpy.arange(megabytes * MB // 8, dtype=numpy.int64)
    answer = call(ref, Arrays.double, array)
    assert numpy.array_equal(answer, array * 2)
    answer += 1
    assert array[1] == 1


@pytest.mark.parametrize("size", [60_000, 70_000, 200_000, 300_000, MB])
def test_arrays_of_all_sizes_keep_their_order(ref, size):
    arrays = [numpy.full(size // 8, number) for number in range(20)]
    for array in arrays:
        ref.tell(array)
    ref.tell(numpy.zeros(1))
    assert call(ref, Arrays.sums) == [float(array.sum()) for array in arrays] + [0.0]


@pytest.mark.parametrize("size", [70_000, 100_000])
def test_answers_with_buffers_that_come_together_are_all_read(ref, size):
    futures = [ref.call(Arrays.make, size // 8) for _ in range(50)]
    for future in futures:
        assert len(future.get(timeout=LIMIT)) == size // 8
    assert call(ref, Arrays.pid) != os.getpid()


def test_later_changes_by_the_sender_are_not_seen(ref):
    array, small = numpy.zeros(MB), [1, 2]
    for number in range(5):
        ref.tell((array, small))
        array += 1
        small.append(number)
    seen = call(ref, Notes.read)
    assert [int(array[0]) for array, _ in seen] == list(range(5))
    assert [len(small) for _, small in seen] == [2, 3, 4, 5, 6]


def test_changes_by_a_sender_whose_receiver_is_being_restarted_are_not_seen(system):
    ref = system.spawn(hosted(Arrays, restart="permanent", backoff=af.Backoff(0.2, factor=1, jitter=0)))
    array = numpy.zeros(MB)
    with events(system, af.Restarted) as seen:
        os.kill(pid_of(ref), signal.SIGKILL)
        until(lambda: ref._link is None or seen)  # on a busy machine the pause may be over by then
        for _ in range(3):
            ref.tell(array)
            array += 1
    assert call(ref, Arrays.sums) == [0.0, MB, 2.0 * MB]


def test_what_the_answerer_keeps_is_its_own(ref):
    one = call(ref, Arrays.give_twice)
    one += 1
    assert call(ref, Arrays.give_twice).sum() == 0


def test_arrays_go_from_host_to_host(system, ref):
    other = system.spawn(hosted(Arrays))
    array = numpy.arange(MB)
    assert numpy.array_equal(call(other, Arrays.pass_on, ref, array), array)


def test_long_bytes_and_strings_arrive(ref):
    for value in (b"x" * 20 * MB, "é" * MB, list(range(200_000))):
        assert ref.ask(value, timeout=LIMIT) == value


def test_big_messages_from_several_threads_do_not_mix(ref):
    from tests.hosts.actors import run_in_threads

    def work(index):
        for _ in range(10):
            array = numpy.full(200_000, index)
            assert int(call(ref, Arrays.double, array).sum()) == index * 2 * 200_000
            assert ref.ask(index, timeout=LIMIT) == index

    run_in_threads(4, work)


# --- a process that does not read ------------------------------------------------------------------------------------


def tells(ref, count, message, done):
    for _ in range(count):
        ref.tell(message)
        done.append(1)


@pytest.fixture
def small_system():
    with LeakCheck(), af.ActorSystem("test", settings=af.Settings(send_limit="1M")) as system:
        yield system


def test_a_stopped_process_does_not_eat_the_parents_memory(small_system):
    ref = small_system.spawn(hosted(Notes))
    pid = pid_of(ref)
    message = bytes(10_000)
    before = psutil.Process().memory_info().rss
    stop_process(pid)
    done = []
    sender = threading.Thread(target=tells, args=(ref, 3000, message, done))
    sender.start()
    try:
        until(lambda: ref._link._room)
        assert len(done) < 1000
        assert psutil.Process().memory_info().rss < before + 10 * MB
    finally:
        os.kill(pid, signal.SIGCONT)
        sender.join(LIMIT)
    assert len(done) == 3000
    assert call(ref, Notes.count) == 3000


def test_a_tell_of_an_actor_that_waits_for_room_lets_others_run(small_system):
    class Teller(Here):
        def tell_many(self, to, count):
            for number in range(count):
                to.tell((number, bytes(10_000)))

    ref, teller, other = small_system.spawn(hosted(Notes)), small_system.spawn(Teller), small_system.spawn(Here)
    pid = pid_of(ref)
    stop_process(pid)
    told = teller.call(Teller.tell_many, ref, 1000)
    until(lambda: ref._link._room)
    assert other.ask("still here", timeout=LIMIT) == "still here"
    os.kill(pid, signal.SIGCONT)
    told.get(timeout=LIMIT)
    assert [number for number, _ in call(ref, Notes.read)] == list(range(1000))


def test_a_tell_that_waits_for_room_ends_when_the_process_dies(small_system):
    ref = small_system.spawn(hosted(Notes))
    pid = pid_of(ref)
    stop_process(pid)
    ended = []

    def send():
        try:
            tells(ref, 3000, bytes(10_000), [])
        except af.ActorDeadError as error:
            ended.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: ref._link._room)
    os.kill(pid, signal.SIGKILL)
    sender.join(LIMIT)
    assert not sender.is_alive()
    assert ended


def test_an_overflow_of_fail_raises_instead_of_waiting(small_system):
    ref = small_system.spawn(hosted(Notes, overflow="fail"))
    pid = pid_of(ref)
    stop_process(pid)
    done = []
    try:
        with pytest.raises(af.MailboxFull):
            tells(ref, 3000, bytes(10_000), done)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert 50 < len(done) < 1000
    until(lambda: ref._link.queued < MB)
    assert call(ref, Notes.count) == len(done)


def test_single_messages_above_the_limit_pass(small_system):
    ref = small_system.spawn(hosted(Notes))
    for number in range(20):
        ref.tell((number, bytes(3 * MB)))
    assert [number for number, _ in call(ref, Notes.read)] == list(range(20))


@pytest.fixture
def _many_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_many_switches")
@pytest.mark.parametrize(("limit", "size"), [(1, 1), (200, 100), (1000, 300)])
def test_a_tiny_limit_never_hangs(limit, size):
    with LeakCheck(), af.ActorSystem("test", settings=af.Settings(send_limit=limit)) as system:
        ref = system.spawn(hosted(Notes))
        for _ in range(2000):
            ref.tell(bytes(size))
        assert call(ref, Notes.count) == 2000


def test_a_sender_in_a_host_is_bounded_too(small_system):
    class Teller(Here):
        def tell_many(self, to, count):
            for number in range(count):
                to.tell((number, bytes(10_000)))

    here, teller = small_system.spawn(Notes), small_system.spawn(hosted(Teller))
    teller.call(Teller.tell_many, here, 2000).get(timeout=LIMIT)
    assert [number for number, _ in call(here, Notes.read)] == list(range(2000))
