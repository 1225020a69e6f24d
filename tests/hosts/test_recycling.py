"""Promises: an actor whose process is replaced loses no message and no order, whoever sends, and whenever."""

import os
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorflow as af
from tests.core.actors import Log, until
from tests.hosts.actors import (
    LIMIT,
    Fragile,
    Gate,
    Here,
    call,
    events,
    hosted,
    pid_of,
    run_in_threads,
    until_gone,
)

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


class Forward(Here):
    """Sends on what it gets, with its process, and answers with it."""

    def __init__(self, to):
        super().__init__()
        self.to = to

    def on_receive(self, message):
        self.to.tell((message, os.getpid()))
        return message


def send_numbers(to, name, count):
    """Send numbers, each tenth as an ask and waiting for each fourth of these; return what was answered."""
    answers = []
    for number in range(count):
        if number % 10:
            to.tell((name, number))
        else:
            answers.append(to.ask((name, number), block=False))
        if not number % 40:
            answers[-1].get(timeout=LIMIT)
    return [answer.get(timeout=LIMIT) for answer in answers]


class Sender(Here):
    def send(self, to, name, count):
        return send_numbers(to, name, count)

    def send_after(self, gate, to, name, count):
        gate.ask("in")
        return send_numbers(to, name, count)


def by_sender(seen):
    numbers = defaultdict(list)
    for (name, number), _ in seen:
        numbers[name].append(number)
    return dict(numbers)


def tenth(name, count):
    return [(name, number) for number in range(0, count, 10)]


@pytest.mark.parametrize("options", [{}, {"capacity": 20}], ids=["unbounded", "bounded"])
@pytest.mark.slow
def test_every_message_of_every_sender_arrives_once_and_in_order(system, options):
    seen, count = [], 150
    recycled = hosted(Forward, system.spawn(Log, seen), process=af.Process(max_messages=50), **options)
    ref = system.spawn(recycled)
    far = system.spawn(hosted(Sender))
    from_far = far.call(Sender.send, ref, "far", count)
    near = system.spawn(Sender).call(Sender.send, ref, "near", count)

    def work(index):
        assert send_numbers(ref, index, count) == tenth(index, count)

    run_in_threads(3, work)
    assert from_far.get(timeout=LIMIT) == tenth("far", count)
    assert near.get(timeout=LIMIT) == tenth("near", count)
    names = [0, 1, 2, "far", "near"]
    until(lambda: len(seen) >= count * len(names))
    assert by_sender(seen) == {name: list(range(count)) for name in names}
    assert len({pid for _, pid in seen}) > 1  # how many depends on who is faster, the senders or the moves
    assert system.dead_letters == 0


class Slow:
    """Takes its time to be pickled; arrives as a text."""

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        self.begun.set()
        assert self.go_on.wait(LIMIT)
        return str, ("slow",)


@pytest.mark.parametrize("send", ["ask", "tell"])
def test_what_is_being_sent_when_the_way_is_shut_is_handled_in_the_old_process(system, send):
    seen = []
    ref = system.spawn(hosted(Forward, system.spawn(Log, seen), process=af.Process(max_messages=5)))
    first = pid_of(ref)
    slow = Slow()
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(getattr(ref, send), slow)
        assert slow.begun.wait(LIMIT)
        for number in range(5):
            ref.tell(number)
        until(lambda: ref._link is None)
        slow.go_on.set()
        assert sent.result(LIMIT) in ("slow", None)
    until(lambda: ("slow", first) in seen)
    assert pid_of(ref) != first
    assert system.dead_letters == 0


@pytest.fixture
def gate(system):
    return system.spawn(Gate)


def parted(system, gate, receiver, options):
    """Start two actors in one process, of which the first has moved out and the other is in a handler yet.

    Returns the first, the call that the other is in, and the first's new process.
    """
    shared = af.Process(name="io", max_messages=20)
    ref = system.spawn(hosted(*receiver, process=shared, **options))
    sender = system.spawn(hosted(Sender, process=shared))
    first = pid_of(ref)
    held = sender.call(Sender.send_after, gate, ref, "left", 50)
    until(lambda: call(gate, Gate.arrived) == 1)
    for _ in range(30):
        pid_of(ref)
    until(lambda: pid_of(ref) != first)
    return ref, held, sender


@pytest.mark.parametrize("options", [{}, {"capacity": 5}], ids=["unbounded", "bounded"])
def test_one_left_behind_in_the_old_process_reaches_those_who_have_moved(system, gate, options):
    seen = []
    _, held, _ = parted(system, gate, (Forward, system.spawn(Log, seen)), options)
    call(gate, Gate.open)
    assert held.get(timeout=LIMIT) == tenth("left", 50)
    until(lambda: len(seen) == 50)
    assert by_sender(seen) == {"left": list(range(50))}
    assert system.dead_letters == 0


class Watcher(Sender):
    """Watches an actor; then waits in a handler, and tells what it has heard."""

    def __init__(self, witness):
        super().__init__()
        self.witness = witness

    def watch(self, other):
        self.ctx.watch(other)

    def hold(self, gate):
        gate.ask("in")

    def look(self, other):
        return other.is_alive(), call(other, Here.pid)

    def on_receive(self, message):
        self.witness.tell(message)


def test_a_move_is_no_end_for_who_watches_in_the_old_process(system, gate, probe):
    shared = af.Process(name="io", max_messages=20)
    ref = system.spawn(hosted(Here, process=shared))
    watcher = system.spawn(hosted(Watcher, probe.ref, process=shared))
    first = pid_of(ref)
    call(watcher, Watcher.watch, ref)
    held = watcher.call(Watcher.hold, gate)
    look = watcher.call(Watcher.look, ref)
    watcher.tell("behind")
    until(lambda: call(gate, Gate.arrived) == 1)
    for _ in range(30):
        pid_of(ref)
    until(lambda: pid_of(ref) != first)
    call(gate, Gate.open)
    held.get(timeout=LIMIT)
    alive, pid = look.get(timeout=LIMIT)
    assert alive
    assert pid != first
    assert probe.expect(within=LIMIT) == "behind"


class Breaks(Fragile):
    """Goes on with what it is sent; once, it waits in a handler and then fails."""

    def fail_after(self, gate):
        gate.ask("in")
        raise ValueError("boom")


def test_one_that_crashes_in_a_worn_out_process_starts_in_the_next_with_its_mailbox(system, gate):
    recycled = hosted(
        Breaks, process=af.Process(max_messages=5), restart="permanent", backoff=af.Backoff(0.3, jitter=0)
    )
    ref = system.spawn(recycled)
    first = pid_of(ref)
    with events(system, af.Restarted) as restarts:
        ref.cast(Breaks.fail_after, gate)
        answers = [ref.call(Here.pid) for _ in range(10)]
        until(lambda: call(gate, Gate.arrived) == 1)
        until(lambda: ref._link is None)  # it is to move
        late = [ref.ask(number, block=False) for number in range(3)]
        call(gate, Gate.open)
        pids = {answer.get(timeout=LIMIT) for answer in answers}
        assert [answer.get(timeout=LIMIT) for answer in late] == [0, 1, 2]
        until(lambda: restarts)
    assert first not in pids
    assert len(restarts) == 1
    until_gone(first)


class NoLonger:
    """Does not pickle."""

    def __init__(self):
        self.lock = threading.Lock()


class Once:
    """Pickles, to something that does not."""

    def __reduce__(self):
        return NoLonger, ()


@pytest.mark.parametrize("options", [{}, {"capacity": 50}], ids=["unbounded", "bounded"])
def test_a_tell_that_cannot_be_given_back_is_a_dead_letter_and_an_ask_an_error(system, gate, options):
    recycled = hosted(
        Breaks, process=af.Process(max_messages=5), restart="permanent", backoff=af.Backoff(0.3, jitter=0), **options
    )
    ref = system.spawn(recycled)
    letters = []
    system.subscribe(af.DeadLetter, lambda event: letters.append((event.ref, event.message, event.reason)))
    ref.cast(Breaks.fail_after, gate)
    ref.tell(Once())
    asked = ref.ask(Once(), block=False)
    answers = [ref.call(Here.pid) for _ in range(10)]
    until(lambda: call(gate, Gate.arrived) == 1)
    until(lambda: ref._link is None)  # it is to move
    call(gate, Gate.open)
    with pytest.raises(af.PayloadError, match="lock"):
        asked.get(timeout=LIMIT)
    assert len({answer.get(timeout=LIMIT) for answer in answers}) == 1
    until(lambda: len(letters) == 2)  # the message that it crashed with is the other
    (lost,) = [letter for letter in letters if "NoLonger" in str(letter[1])]
    assert lost[0] == ref
    assert isinstance(lost[2], af.PayloadError)


def outcome(future):
    try:
        return future.get(timeout=LIMIT)
    except af.ActorDeadError as error:
        return type(error).__name__


class Asker(Here):
    def __init__(self):
        super().__init__()
        self.futures = []

    def begin(self, to, count):
        self.futures = [to.ask(number, block=False) for number in range(count)]

    def outcomes(self):
        return [outcome(future) for future in self.futures]


def test_asks_that_stand_in_line_for_a_full_mailbox_in_a_host_are_answered_at_its_end(system, gate):
    ref = system.spawn(hosted(Breaks, capacity=1))
    ref.cast(Breaks.fail_after, gate)
    until(lambda: call(gate, Gate.arrived) == 1)
    asker = system.spawn(hosted(Asker))  # sends of other processes do not wait at the sender
    call(asker, Asker.begin, ref, 4)
    asker.ask("they are on their way", timeout=LIMIT)
    call(gate, Gate.open)
    assert call(asker, Asker.outcomes) == ["ActorDeadError"] * 4
