"""Promises: a hosted actor is used as one in this process is."""

import os
import threading

import pykka
import pytest

import actorflow as af
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Deaf, Fragile, Gate, Here, Notes, call, events, hosted, pid_of, run_in_threads

pytestmark = pytest.mark.timeout(300)


class Burst(Notes):
    """Sends numbers to another actor, by all kinds of sends in turn."""

    def send(self, receiver, count, mark=None):
        for number in range(count):
            message = (mark, number)
            kind = number % 4
            if kind == 0:
                receiver.tell(message)
            elif kind == 1:
                receiver.cast(Notes.note, message)
            elif kind == 2:
                receiver.ask(message, block=False)
            elif number % 100 == 3:
                receiver.ask(message, timeout=LIMIT)
            else:
                receiver.call(Notes.note, message)

    def to_self(self, count):
        for number in range(count):
            self.actor_ref.tell(number)


class Watcher(Notes):
    def __init__(self, answer_to):
        super().__init__()
        self.answer_to = answer_to

    def watch(self, ref):
        self.ctx.watch(ref)

    def on_receive(self, message):
        self.answer_to.tell(message)


class Clock(Notes):
    def tick(self, delay, to):
        self.ctx.after(delay, self.tock, to)
        self.ctx.every(delay, self.note, "beat")

    def tock(self, to):
        to.tell(("tock", self.count()))

    async def awaits(self, ref, message):
        return await ref.ask(message, block=False)

    async def sleeps(self, seconds):
        await af.timer(seconds)
        return "slept"

    def put_by(self):
        self.ctx.stash()
        self.seen.append("stashed")

    def pipes(self, ref):
        self.ctx.pipe(ref.ask("piped", block=False), self.note)


class Db(Here, host=af.Process()):
    """Runs in a process of its own by its class keyword."""


class Thread(Here):
    def __init__(self):
        super().__init__()
        self.made_in = threading.get_ident()

    def threads(self):
        return self.made_in, threading.get_ident()


class Looped(Here):
    async def loop_runs(self):
        import asyncio

        await asyncio.sleep(0)
        return asyncio.get_running_loop().is_running()


@pytest.fixture
def notes(system):
    return system.spawn(hosted(Notes, name="notes"))


def test_it_runs_in_another_process(system):
    ref = system.spawn(hosted(Here, name="here"))
    assert pid_of(ref) != os.getpid()
    assert ref.path == "/test/here"
    assert system.find("/test/here", Here) == ref


def test_a_class_keyword_moves_it_to_a_process(system):
    assert pid_of(system.spawn(Db)) != os.getpid()
    assert pid_of(system.spawn(af.child(Db).options(host=None))) == os.getpid()


def test_it_runs_in_another_process_of_a_plain_actor(system):
    class Parent(Here):
        def start(self):
            return self.ctx.spawn(hosted(Here, name="child"))

    parent = system.spawn(Parent)
    child = call(parent, Parent.start)
    assert pid_of(child) != os.getpid()
    assert call(child, Here.parent) == parent
    parent.stop()
    assert not child.is_alive()


def test_call_cast_tell_ask_and_proxy_work_and_share_one_order(notes):
    proxy = notes.proxy()
    for number in range(0, 500, 5):
        notes.tell(number)
        notes.cast(Notes.note, number + 1)
        notes.call(Notes.note, number + 2)
        notes.ask(number + 3, block=False)
        proxy.note(number + 4)
    assert call(notes, Notes.read) == list(range(500))


def test_asks_answer_with_what_the_handler_returns(notes):
    assert notes.ask({"a": (1, [2])}, timeout=LIMIT) == {"a": (1, [2])}
    assert call(notes, Notes.note, None) is None
    assert notes.proxy().seen.get(timeout=LIMIT) == [{"a": (1, [2])}, None]


def test_a_proxy_reads_and_sets_attributes(notes):
    proxy = notes.proxy()
    proxy.seen = [1, 2]
    assert proxy.seen.get(timeout=LIMIT) == [1, 2]
    assert proxy.count().get(timeout=LIMIT) == 2
    with pytest.raises(AttributeError):
        proxy.unknown


def test_a_proxy_reads_and_sets_attributes_of_an_actor_that_is_started_anew(system):
    """Its class does not know those that `__init__` sets, and between two incarnations there is nobody to ask."""
    ref = system.spawn(hosted(Fragile, restart="permanent", backoff=af.Backoff(0.3, factor=1, jitter=0)))
    proxy, user = ref.proxy(), system.spawn(hosted(Traversable))
    assert call(user, Traversable.ask_by, proxy) == 0
    ref.cast(Fragile.kill)
    until(lambda: ref._link is None)
    asked = [proxy.seen, ref.proxy().seen]
    unknown = proxy.unknown
    read_there = user.call(Traversable.read_by, proxy)
    proxy.seen = [1]
    assert [future.get(timeout=LIMIT) for future in asked] == [[], []]
    assert read_there.get(timeout=LIMIT) in ([], [1])
    assert call(ref, Notes.read) == [1]
    with pytest.raises(AttributeError, match="unknown"):
        unknown.get(timeout=LIMIT)


class Inner:
    def __init__(self):
        self.n = 1

    def plus(self, k):
        return self.n + k


class Traversable(Here):
    def __init__(self):
        super().__init__()
        self.inner = pykka.traversable(Inner())

    def ask_by(self, proxy):
        return proxy.count().get(timeout=LIMIT)

    def read_by(self, proxy):
        return proxy.seen.get(timeout=LIMIT)


def test_a_proxy_goes_through_traversable_attributes(system):
    proxy = system.spawn(hosted(Traversable)).proxy()
    assert proxy.inner.plus(1).get(timeout=LIMIT) == 2
    proxy.inner.n = 5
    assert proxy.inner.n.get(timeout=LIMIT) == 5
    assert proxy.inner.plus.defer(1) is None


@pytest.mark.parametrize("place", ["here", "there"])
def test_proxies_travel_in_messages(system, notes, place):
    other = system.spawn(Notes) if place == "here" else system.spawn(hosted(Notes))
    user = system.spawn(hosted(Traversable))
    assert call(user, Traversable.ask_by, other.proxy()) == 0
    assert call(user, Traversable.read_by, other.proxy()) == []
    proxy = notes.ask(other.proxy(), timeout=LIMIT)
    assert proxy.note("by proxy").get(timeout=LIMIT) == "by proxy"
    assert call(other, Notes.read) == ["by proxy"]


def test_futures_of_asks_map_join_and_time_out(system, notes):
    assert notes.ask(2, block=False).map(lambda n: n + 1).get(timeout=LIMIT) == 3
    assert notes.ask(1, block=False).join(notes.ask(2, block=False)).get(timeout=LIMIT) == [1, 2]
    deaf = system.spawn(hosted(Deaf))
    with pytest.raises(pykka.Timeout):
        deaf.ask("?", timeout=0.05)
    with pytest.raises(af.AskTimeout):
        deaf.ask("?", block=False).get(timeout=0)


def test_ten_thousand_tells_arrive_in_order(notes):
    for number in range(10_000):
        notes.tell(number)
    assert call(notes, Notes.read) == list(range(10_000))


def test_interleaved_sends_of_threads_arrive_in_the_order_of_each(notes):
    def send(thread):
        for number in range(1000):
            message = (thread, number)
            if number % 250 == 249:
                notes.ask(message, timeout=LIMIT)
            elif number % 3 == 0:
                notes.tell(message)
            elif number % 3 == 1:
                notes.ask(message, block=False)
            else:
                notes.call(Notes.note, message)

    run_in_threads(4, send)
    seen = call(notes, Notes.read)
    for thread in range(4):
        assert [number for who, number in seen if who == thread] == list(range(1000))


def test_sends_of_actors_here_and_there_arrive_in_the_order_of_each(system, notes):
    senders = [system.spawn(Burst), system.spawn(hosted(Burst)), system.spawn(hosted(Burst))]
    sent = [sender.call(Burst.send, notes, 1000, index) for index, sender in enumerate(senders)]
    for future in sent:
        future.get(timeout=LIMIT)
    seen = call(notes, Notes.read)
    for index in range(3):
        assert [number for who, number in seen if who == index] == list(range(1000))


def test_sends_of_a_hosted_actor_arrive_here_in_order(system):
    here, sender = system.spawn(Notes), system.spawn(hosted(Burst))
    call(sender, Burst.send, here, 2000)
    assert call(here, Notes.read) == [(None, number) for number in range(2000)]


def test_messages_to_itself_arrive_in_order(system):
    ref = system.spawn(hosted(Burst))
    call(ref, Burst.to_self, 1000)
    assert call(ref, Notes.read) == list(range(1000))


def test_messages_of_different_sizes_keep_their_order(notes):
    sizes = [10, 100_000, 10, 1_000_000, 10, 70_000, 10] * 5
    for number, size in enumerate(sizes):
        notes.tell((number, bytearray(size)))
    assert [(number, len(body)) for number, body in call(notes, Notes.read)] == list(enumerate(sizes))


def test_timers_stash_pipe_and_awaits_work_in_a_host(system, probe):
    ref, echo = system.spawn(hosted(Clock)), system.spawn(Here)
    ref.cast(Clock.tick, 0.02, probe.ref)
    assert probe.expect(lambda got: got[0] == "tock", within=LIMIT)
    assert call(ref, Clock.awaits, echo, "hello") == "hello"
    assert call(ref, Clock.sleeps, 0.01) == "slept"
    call(ref, Clock.pipes, echo)
    until(lambda: "piped" in call(ref, Clock.read))


def test_async_handlers_ask_each_other_over_the_border(system):
    there, here = system.spawn(hosted(Clock)), system.spawn(Clock)
    assert call(there, Clock.awaits, here, 1) == 1
    assert call(here, Clock.awaits, there, 2) == 2


def test_reply_later_works_in_a_host(system):
    gate = system.spawn(hosted(Gate))
    first = [gate.ask(number, block=False) for number in range(3)]
    assert call(gate, Gate.arrived) == 3
    gate.call(Gate.open)
    assert [future.get(timeout=LIMIT) for future in first] == [0, 1, 2]


# --- the end ---------------------------------------------------------------------------------------------------------


def test_stop_comes_after_what_is_queued(system, probe):
    ref = system.spawn(hosted(Watcher, probe.ref))
    for number in range(100):
        ref.tell(number)
    assert ref.stop(timeout=LIMIT) is True
    assert [probe.expect(within=LIMIT) for _ in range(100)] == list(range(100))
    assert not ref.is_alive()
    assert ref.stop(timeout=LIMIT) is False


def test_stop_without_blocking_gives_a_future(system):
    ref = system.spawn(hosted(Notes))
    assert ref.stop(block=False).get(timeout=LIMIT) is True


def test_asks_of_a_dead_actor_raise(notes):
    notes.stop(timeout=LIMIT)
    with pytest.raises(af.ActorDeadError):
        notes.tell(1)
    with pytest.raises(pykka.ActorDeadError):
        notes.ask(1, timeout=LIMIT)
    with pytest.raises(af.ActorDeadError):
        notes.proxy()


def test_asks_that_are_queued_behind_stop_get_actor_dead_error(system):
    ref, gate = system.spawn(hosted(Clock)), system.spawn(Gate)
    first = ref.call(Clock.awaits, gate, 1)
    while not call(gate, Gate.arrived):
        pass
    stopped = ref.stop(block=False)
    late = [ref.ask(number, block=False) for number in range(3)]
    call(gate, Gate.open)
    assert first.get(timeout=LIMIT) == 1
    assert stopped.get(timeout=LIMIT)
    for future in late:
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=LIMIT)


def test_an_actor_that_stops_itself_is_dead_here(system, probe):
    ref = system.spawn(hosted(Notes, name="n"))
    watcher = system.spawn(Watcher, probe.ref)
    call(watcher, Watcher.watch, ref)
    ref.cast(Notes.end)
    assert probe.expect(af.Terminated, within=LIMIT) == af.Terminated(ref, None)
    assert not ref.is_alive()


@pytest.mark.parametrize(("watched_at", "watcher_at"), [("here", "there"), ("there", "here"), ("there", "there")])
def test_a_watcher_gets_terminated_after_the_last_messages(system, probe, watched_at, watcher_at):
    watcher = system.spawn(hosted(Watcher, probe.ref) if watcher_at == "there" else af.child(Watcher, probe.ref))
    watched = system.spawn(hosted(LastWords, watcher) if watched_at == "there" else af.child(LastWords, watcher))
    call(watcher, Watcher.watch, watched)
    watched.cast(LastWords.say, 50)
    assert [probe.expect(within=LIMIT) for _ in range(51)] == [*range(50), "bye"]
    terminated = probe.expect(af.Terminated, within=LIMIT)
    assert terminated.ref == watched
    assert terminated.reason is None


class LastWords(Notes):
    def __init__(self, to):
        super().__init__()
        self.to = to

    def say(self, count):
        for number in range(count):
            self.to.tell(number)
        self.stop()

    def on_stop(self):
        self.to.tell("bye")


def test_a_watcher_of_a_dead_actor_hears_at_once(system, probe):
    ref = system.spawn(hosted(Notes))
    ref.stop(timeout=LIMIT)
    for watcher in (system.spawn(Watcher, probe.ref), system.spawn(hosted(Watcher, probe.ref))):
        call(watcher, Watcher.watch, ref)
        assert probe.expect(af.Terminated, within=LIMIT).ref == ref


def test_a_crash_is_the_reason_of_terminated(system, probe):
    ref = system.spawn(hosted(Fragile))
    for watcher in (system.spawn(Watcher, probe.ref), system.spawn(hosted(Watcher, probe.ref))):
        call(watcher, Watcher.watch, ref)
    ref.cast(Fragile.fail, ValueError("boom"))
    for _ in range(2):
        reason = probe.expect(af.Terminated, within=LIMIT).reason
        assert isinstance(reason, ValueError)
        assert reason.args == ("boom",)


def test_events_are_published_as_for_an_actor_here(system):
    with events(system, af.Started, af.Crashed, af.Restarted, af.Stopped) as seen:
        ref = system.spawn(hosted(Fragile, name="x", restart="transient"))
        ref.cast(Fragile.fail, ValueError("boom"))
        call(ref, Notes.count)
        ref.stop(timeout=LIMIT)
        until(lambda: ("Stopped", "x") in [event[:2] for event in seen])
    kinds = [kind for kind, name, _ in seen if name == "x"]
    assert kinds == ["Started", "Crashed", "Restarted", "Stopped"]
    reasons = [reason for _, name, reason in seen if name == "x"]
    assert isinstance(reasons[1], ValueError)
    assert isinstance(reasons[2], ValueError)
    assert reasons[3] is None


def test_a_message_that_crashes_it_is_a_dead_letter(system):
    with events(system, af.DeadLetter) as seen:
        ref = system.spawn(hosted(Fragile, name="x", restart="permanent"))
        ref.cast(Fragile.fail, ValueError("boom"))
        call(ref, Notes.count)
        until(lambda: seen)
    assert [(kind, name, type(reason)) for kind, name, reason in seen] == [("DeadLetter", "x", ValueError)]


# --- options of the actor --------------------------------------------------------------------------------------------


def test_a_blocking_actor_has_one_thread_in_its_host(system):
    ref = system.spawn(hosted(Thread, blocking=True))
    seen = {call(ref, Thread.threads) for _ in range(5)}
    assert len(seen) == 1
    made_in, runs_in = seen.pop()
    assert made_in == runs_in


def test_a_loop_actor_has_a_loop_in_its_host(system):
    assert call(system.spawn(hosted(Looped, loop=True)), Looped.loop_runs) is True


def test_a_bounded_mailbox_refuses_in_its_host(system):
    gate = system.spawn(Gate)
    ref = system.spawn(hosted(Clock, name="full", capacity=2, overflow="fail"))
    first = ref.call(Clock.awaits, gate, 0)
    while not call(gate, Gate.arrived):
        pass
    asks = [ref.ask(number, block=False) for number in range(2)]
    with pytest.raises(af.MailboxFull):
        ref.ask(2, block=False)
    call(gate, Gate.open)
    assert first.get(timeout=LIMIT) == 0
    assert [future.get(timeout=LIMIT) for future in asks[:2]] == [0, 1]


def test_a_bounded_mailbox_drops_the_oldest_in_its_host(system):
    gate = system.spawn(Gate)
    ref = system.spawn(hosted(Clock, capacity=2, overflow="drop_oldest"))
    first = ref.call(Clock.awaits, gate, 0)
    while not call(gate, Gate.arrived):
        pass
    asks = [ref.ask(number, block=False) for number in range(5)]
    with pytest.raises(af.MailboxFull):
        asks[0].get(timeout=LIMIT)
    call(gate, Gate.open)
    assert first.get(timeout=LIMIT) == 0
    assert [future.get(timeout=LIMIT) for future in asks[3:]] == [3, 4]


def test_a_bounded_mailbox_that_blocks_takes_all_in_order(system):
    ref = system.spawn(hosted(Notes, capacity=2))
    for number in range(500):
        ref.tell(number)
    assert call(ref, Notes.read) == list(range(500))
