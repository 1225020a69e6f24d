"""Promises: a process that does not read costs its parent no memory either when it is another process that sends to it,
and stops nobody but those who send to it.
"""

import contextlib
import os
import pickle
import signal

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, Notes, call, hosted, pid_of, until_gone
from tests.processes import stop_process

pytestmark = pytest.mark.timeout(300)

KB = 1024
TELLERS = af.Process(name="tellers")
LIMIT_BYTES = 200 * KB
SIZE = 20 * KB
COUNT = 2000  # 40 MB
BOUND = 8 * KB * KB  # what may wait: the limit, and what is sent until the news has come, see `Numbers.hear`


class Numbers(Fragile):
    """Keeps the numbers that it is told, and tells them to others."""

    def on_receive(self, message):
        if isinstance(message, tuple):
            self.seen.append(message[0])
        return message

    def hear(self, root, number):
        """Each tenth time hear from an actor of the parent: news that come before its answer are known then.

        On a busy machine all would be sent before this process has read that it is to wait.
        """
        if root is not None and not number % 10:
            root.ask("news?")

    def flood(self, to, count, root=None, size=SIZE, make=bytes):
        for number in range(count):
            to.tell((number, make(size)))
            self.hear(root, number)
        return count

    def flood_until_full(self, to, root):
        for number in range(COUNT):
            try:
                to.tell((number, bytes(SIZE)))
            except af.MailboxFull as error:
                return number, str(error)
            self.hear(root, number)
        return None

    def ask_many(self, to, count, root):
        futures = []
        for number in range(count):
            futures.append(to.ask((number, bytes(SIZE)), block=False))
            self.hear(root, number)
        return len([future.get() for future in futures])

    def spawn(self, name):
        return self.ctx.spawn(hosted(Numbers, name=name))

    def spawn_here(self, *, fails=False):
        return self.ctx.spawn(Failing if fails else Numbers)


class Failing(Numbers, overflow="fail"):
    """Has its tellers fail and not wait."""


@pytest.fixture
def system():
    with LeakCheck(), af.ActorSystem("test", settings=af.Settings(send_limit=LIMIT_BYTES)) as system:
        yield system


@pytest.fixture
def teller(system):
    return system.spawn(hosted(Numbers, name="teller", process=TELLERS))


@pytest.fixture
def root(system):
    """An actor in the parent of all processes."""
    return system.spawn(Here)


@pytest.fixture
def neighbour(system, teller):
    """An actor in the process of the teller."""
    return system.spawn(hosted(Here, process=TELLERS))


class Stopped:
    """Stops a process; lets it go on at the end, whatever happens."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        stop_process(self.pid)
        return self

    def go_on(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def __exit__(self, *_):
        self.go_on()


def flow_of(system):
    return links_of(system)[0].node.flow


def links_of(system):
    return [host.link for host in system.scheduler.hosts.all]


def waiting_bytes(system):
    total = 0
    for link in links_of(system):
        for entry in list(link.outbox):
            item, buffers = (entry, ()) if isinstance(entry, tuple) else (entry.item, entry.buffers)
            total += len(item[3]) if item[0] <= 1 else 0
            total += sum(buffer.nbytes for buffer in buffers)
    return total


def all_told(ref, count):
    until(lambda: call(ref, Notes.count) == count)
    assert call(ref, Notes.read) == list(range(count))


def buffer(size):
    return pickle.PickleBuffer(bytearray(size))


def settled(system):
    """Return when what waits does not grow any more."""
    before = [-1]

    def same():
        now = waiting_bytes(system)
        same_as_before = now == before[-1]
        before.append(now)
        return same_as_before and len(before) > 20

    until(same)


@pytest.mark.parametrize(("make", "size"), [(bytes, SIZE), (buffer, 70 * KB)], ids=["small", "buffers"])
def test_a_stopped_process_makes_tellers_of_other_processes_wait(system, teller, neighbour, root, make, size):
    ref = system.spawn(hosted(Numbers))
    pid = pid_of(ref)
    with Stopped(pid) as stopped:
        told = teller.call(Numbers.flood, ref, COUNT, root, size, make)
        until(lambda: flow_of(system).full)
        settled(system)
        assert waiting_bytes(system) < BOUND
        assert not told.done()
        assert neighbour.ask("others run meanwhile", timeout=LIMIT) == "others run meanwhile"
        stopped.go_on()
        assert told.get(timeout=3 * LIMIT) == COUNT
    all_told(ref, COUNT)
    until(lambda: not flow_of(system).full)  # the reader notes it after the message


def test_other_processes_go_on_meanwhile(system, teller, root):
    ref, third = system.spawn(hosted(Numbers)), system.spawn(hosted(Numbers))
    other = system.spawn(hosted(Numbers))
    with Stopped(pid_of(ref)) as stopped:
        told = teller.call(Numbers.flood, ref, COUNT, root)
        until(lambda: flow_of(system).full)
        assert call(other, Numbers.flood, third, COUNT) == COUNT
        all_told(third, COUNT)
        assert call(other, Numbers.flood, teller, 100) == 100
        assert not told.done()
        stopped.go_on()
        told.get(timeout=3 * LIMIT)


@pytest.mark.parametrize("inner", [False, True], ids=["ours", "of its own"])
def test_an_overflow_of_fail_raises_in_the_process_of_the_teller(system, teller, root, inner):
    ref = system.spawn(hosted(Numbers, overflow="fail"))
    to = ref.call(Numbers.spawn_here, fails=True).get(timeout=LIMIT) if inner else ref
    with Stopped(pid_of(ref)) as stopped:
        number, text = teller.call(Numbers.flood_until_full, to, root).get(timeout=LIMIT)
        stopped.go_on()
    assert "does not read" in text
    until(lambda: not flow_of(system).full)
    all_told(to, number)


@pytest.mark.parametrize("inner", [False, True], ids=["ours", "of its own"])
def test_when_it_dies_tellers_go_on_and_what_was_not_written_is_dead_letters(system, teller, inner):
    ref = system.spawn(hosted(Numbers))
    to = call(ref, Numbers.spawn_here) if inner else ref
    letters = []
    system.subscribe(af.DeadLetter, lambda event: letters.append(event.message[0]))
    with Stopped(pid_of(ref)) as stopped:
        told = teller.call(Numbers.flood, to, COUNT)
        until(lambda: flow_of(system).full)
        os.kill(stopped.pid, signal.SIGKILL)
        assert told.get(timeout=3 * LIMIT) == COUNT
    until(lambda: letters and sorted(letters) == list(range(min(letters), COUNT)))  # what it had read went with it
    until(lambda: not flow_of(system).full)


@pytest.mark.slow
def test_while_its_process_starts_again_tellers_of_other_processes_wait(system, teller, root):
    ref = system.spawn(hosted(Numbers, restart="permanent", backoff=af.Backoff(3.0, factor=1, jitter=0)))
    os.kill(pid_of(ref), signal.SIGKILL)
    until(lambda: ref._link is None)
    told = teller.call(Numbers.flood, ref, COUNT, root)
    until(lambda: flow_of(system).full)
    assert ref._backlog_size < BOUND
    assert told.get(timeout=3 * LIMIT) == COUNT
    all_told(ref, COUNT)


def test_two_processes_that_flood_each_other_both_get_all(system):
    refs = [system.spawn(hosted(Numbers)) for _ in range(2)]
    told = [a.call(Numbers.flood, b, COUNT) for a, b in (refs, refs[::-1]) for _ in range(2)]
    assert [future.get(timeout=4 * LIMIT) for future in told] == [COUNT] * 4
    for ref in refs:
        until(lambda ref=ref: call(ref, Notes.count) == 2 * COUNT)
    until(lambda: not flow_of(system).full)


def test_a_process_and_its_parent_that_flood_each_other_both_get_all(system):
    refs = [system.spawn(hosted(Numbers)), system.spawn(Numbers)]
    told = [a.call(Numbers.flood, b, COUNT) for a, b in (refs, refs[::-1]) for _ in range(2)]
    assert [future.get(timeout=4 * LIMIT) for future in told] == [COUNT] * 4
    for ref in refs:
        until(lambda ref=ref: call(ref, Notes.count) == 2 * COUNT)


def test_asks_between_processes_wait_too_and_are_all_answered(system, teller, root):
    ref = system.spawn(hosted(Numbers))
    with Stopped(pid_of(ref)) as stopped:
        asked = teller.call(Numbers.ask_many, ref, COUNT, root)
        until(lambda: flow_of(system).full)
        settled(system)
        assert waiting_bytes(system) < BOUND
        stopped.go_on()
        assert asked.get(timeout=3 * LIMIT) == COUNT


@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
def test_it_holds_over_processes_within_processes(system, teller, root, down):
    """From one process to the child of another, or from such a child to another."""
    outer = system.spawn(hosted(Numbers))
    inner = call(outer, Numbers.spawn, "inner")
    to, source = (inner, teller) if down else (teller, inner)
    pid = pid_of(to)
    with Stopped(pid) as stopped:
        told = source.call(Numbers.flood, to, COUNT, root)
        until(lambda: flow_of(system).full)
        settled(system)
        assert waiting_bytes(system) < BOUND
        assert not told.done()
        stopped.go_on()
        assert told.get(timeout=3 * LIMIT) == COUNT
    all_told(to, COUNT)
    until(lambda: not flow_of(system).full)


def test_a_teller_that_waits_is_woken_when_it_is_to_end(system, root):
    ref = system.spawn(hosted(Numbers))
    tree = system.spawn(
        af.child(af.Supervisor, hosted(Numbers, name="teller", shutdown=2 * LIMIT)).options(name="tree")
    )
    teller = system.find("/test/tree/teller", Numbers)
    pid = pid_of(teller)
    with Stopped(pid_of(ref)):
        told = teller.call(Numbers.flood, ref, COUNT, root)
        until(lambda: flow_of(system).full)
        settled(system)
        call(tree, af.Supervisor.terminate_child, "teller")
        with pytest.raises(af.ActorflowError) as ended:
            told.get(timeout=LIMIT)
    assert not isinstance(ended.value, af.HostDied)  # it was woken, and not killed
    until_gone(pid)
