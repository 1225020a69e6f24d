"""Bounds: a mailbox with a capacity waits, fails or drops the oldest, and refuses nothing that the runtime sends."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.core.refs.bounded_mailbox import Place, Room
from actorflow.testing import VirtualSystem
from tests.core.actors import Echo, Held, Log, hold, let_time_pass, until


class Stashing(Held):
    """Puts numbers aside until it is told to open."""

    def __init__(self, seen=None):
        super().__init__(seen)
        self.open = True

    def on_receive(self, message):
        if message in ("open", "shut"):
            self.open = message == "open"
            if self.open:
                self.ctx.unstash()
        elif self.open:
            self.seen.append(message)
        else:
            self.ctx.stash()


class Teller(af.Actor):
    def fill(self, ref, messages, progress):
        for message in messages:
            ref.tell(message)
            progress.append(message)

    async def fill_async(self, ref, messages, progress):
        self.fill(ref, messages, progress)


def bounded(system, overflow, capacity=2, cls=Held):
    """Spawn a bounded actor and keep it busy; what it handles does not count."""
    ref = system.spawn(af.child(cls).options(capacity=capacity, overflow=overflow))
    gate, answer = hold(ref)
    return ref, gate, answer


def test_fail_raises_mailbox_full_beyond_the_capacity(any_system):
    ref, gate, answer = bounded(any_system, "fail")
    ref.tell(1)
    ref.cast(Log.note, 2)
    for send in (lambda: ref.tell(3), lambda: ref.cast(Log.note, 3)):
        with pytest.raises(af.MailboxFull, match=f"{ref.path} holds its 2"):
            send()
    gate.set()
    assert answer.get(timeout=20) is None
    until(lambda: ref._actor.seen == [1, 2], any_system)


@pytest.mark.parametrize(
    "send", [lambda ref: ref.call(Log.read).get(), lambda ref: ref.ask(1), lambda ref: ref.proxy().read().get()]
)
def test_a_request_to_a_full_mailbox_that_fails_is_answered_with_mailbox_full(any_system, send):
    ref, gate, _ = bounded(any_system, "fail", capacity=1)
    ref.tell(1)
    with pytest.raises(af.MailboxFull):
        send(ref)
    gate.set()


def test_block_makes_an_actor_wait_and_lets_others_run(any_system):
    ref, gate, _ = bounded(any_system, "block")
    progress = []
    filled = any_system.spawn(Teller).call(Teller.fill, ref, range(5), progress)
    assert any_system.spawn(Echo).ask("others run", timeout=20) == "others run"
    until(lambda: len(progress) == 2, any_system)
    assert any_system.spawn(Echo).ask("still", timeout=20) == "still"
    assert progress == [0, 1]
    assert not filled.done()
    gate.set()
    filled.get(timeout=20)
    assert ref.call(Log.read).get(timeout=20) == list(range(5))


def test_block_makes_a_thread_outside_wait(system):
    ref, gate, _ = bounded(system, "block")
    progress = []
    thread = threading.Thread(target=lambda: [progress.append(ref.tell(n)) for n in range(50)])
    thread.start()
    until(lambda: len(progress) == 2)
    assert system.spawn(Echo).ask("others run", timeout=20) == "others run"
    assert len(progress) == 2
    gate.set()
    thread.join(30)
    assert not thread.is_alive()
    assert ref.call(Log.read).get(timeout=20) == list(range(50))


def test_senders_that_wait_for_room_get_actor_dead_error_when_it_dies(any_system):
    ref, gate, _ = bounded(any_system, "block", capacity=1)
    teller = any_system.spawn(Teller)
    filled = teller.call(Teller.fill, ref, range(5), [])
    until(lambda: teller._waiting is not None, any_system)
    ref.stop(block=False)
    gate.set()
    assert ref.actor_stopped.wait(20)
    with pytest.raises(af.ActorDeadError):
        filled.get(timeout=20)


def test_drop_oldest_drops_the_oldest_as_a_dead_letter(any_system, probe):
    any_system.subscribe(af.DeadLetter, probe.ref)
    ref, gate, _ = bounded(any_system, "drop_oldest")
    for number in range(4):
        ref.tell(number)
    for number in (0, 1):
        letter = probe.expect(af.DeadLetter, within=30)
        assert (letter.ref, letter.message) == (ref, number)
        assert isinstance(letter.reason, af.MailboxFull)
    gate.set()
    ref.stop(timeout=20)
    assert any_system.dead_letters == 2


def test_a_dropped_ask_is_answered_with_mailbox_full(any_system):
    ref, gate, _ = bounded(any_system, "drop_oldest", capacity=1)
    dropped = ref.call(Log.read)
    kept = ref.call(Log.read)
    with pytest.raises(af.MailboxFull, match="dropped"):
        dropped.get(timeout=20)
    gate.set()
    assert kept.get(timeout=20) == []


def test_what_is_handled_does_not_count(any_system):
    ref, gate, _ = bounded(any_system, "fail", capacity=1)
    ref.tell("the one that fits")
    gate.set()
    ref.stop(timeout=20)


@pytest.mark.parametrize("overflow", ["fail", "block", "drop_oldest"])
def test_stop_terminated_timers_and_pipes_pass_a_full_mailbox(any_system, overflow):
    class Full(Held):
        def prepare(self, other, future):
            self.ctx.watch(other)
            self.ctx.after(0.001, self.note, "timer")
            self.ctx.pipe(future, self.note)

    seen, future = [], af.Future()
    ref = any_system.spawn(af.child(Full, seen).options(capacity=1, overflow=overflow))
    other = any_system.spawn(Log)
    ref.call(Full.prepare, other, future).get(timeout=20)
    gate, _ = hold(ref)
    ref.tell("user")
    other.stop(timeout=20)
    future.set("piped")
    let_time_pass(any_system, 0.01)
    if overflow == "fail":
        with pytest.raises(af.MailboxFull):
            ref.tell("it is full")
    stopped = ref.stop(block=False)
    gate.set()
    assert stopped.get(timeout=20) is True
    assert sorted(map(str, seen)) == sorted(map(str, ["user", "piped", af.Terminated(other, None), "timer"]))


def test_stashed_messages_count(any_system):
    ref = any_system.spawn(af.child(Stashing).options(capacity=3, overflow="fail"))
    ref.ask("shut", timeout=20)
    for number in range(2):
        ref.tell(number)
    any_system.spawn(Echo).ask("they are stashed", timeout=20)
    gate, _ = hold(ref)
    ref.tell("open")
    with pytest.raises(af.MailboxFull):
        ref.tell("one too many")
    gate.set()
    until(lambda: any_system.spawn(Echo).ask(1, timeout=20) and ref._actor.seen == [0, 1])
    for number in range(2, 5):
        ref.ask(number, timeout=20)
    assert ref.call(Log.read).get(timeout=20) == list(range(5))


# --- the mailbox against a deque --------------------------------------------------------------------------------------


class Model:
    """What a bounded mailbox does, on plain lists."""

    def __init__(self, capacity, overflow):
        self.capacity, self.overflow = capacity, overflow
        self.mail, self.stash, self.seen, self.open, self.dropped = [], [], [], True, 0

    def send(self, message):
        if len(self.mail) + len(self.stash) >= self.capacity:
            if self.overflow == "fail" or not self.mail:
                return False
            self.mail.pop(0)
            self.dropped += 1
        self.mail.append(message)
        return True

    def run(self):
        while self.mail:
            message = self.mail.pop(0)
            if message == "open":
                self.open, self.mail, self.stash = True, self.stash + self.mail, []
            elif message == "shut":
                self.open = False
            else:
                (self.seen if self.open else self.stash).append(message)


@settings(max_examples=150, deadline=None)
@given(
    capacity=st.integers(1, 4),
    overflow=st.sampled_from(["fail", "drop_oldest"]),
    steps=st.lists(st.sampled_from(["send", "send", "send", "open", "shut", "run"]), max_size=30),
)
def test_a_bounded_mailbox_behaves_like_a_deque(capacity, overflow, steps):
    model = Model(capacity, overflow)
    with VirtualSystem("test") as system:
        ref = system.spawn(af.child(Stashing).options(capacity=capacity, overflow=overflow))
        for number, step in enumerate([*steps, "run"]):
            if step == "run":  # nothing runs on virtual time in between
                system.sleep(1)
                model.run()
                assert ref._actor.seen == model.seen
                assert system.dead_letters == model.dropped
                continue
            message = number if step == "send" else step
            try:
                ref.tell(message)
            except af.MailboxFull:
                assert not model.send(message)
            else:
                assert model.send(message)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32), capacity=st.integers(1, 4), sizes=st.lists(st.integers(0, 8), min_size=1, max_size=4)
)
def test_a_blocking_mailbox_loses_nothing_and_keeps_each_senders_order(seed, capacity, sizes):
    with VirtualSystem("test", seed=seed) as system:
        ref = system.spawn(af.child(Log).options(capacity=capacity))
        fills = []
        for index, size in enumerate(sizes):
            messages = [(index, n) for n in range(size)]
            fills.append(system.spawn(Teller).call(Teller.fill, ref, messages, []))
        for fill in fills:
            fill.get(timeout=20)
        system.sleep(1)
        seen = ref._actor.seen
    assert len(seen) == sum(sizes)
    for index, size in enumerate(sizes):
        assert [n for who, n in seen if who == index] == list(range(size))


def test_a_sender_whose_wait_for_room_is_interrupted_leaves_the_line():
    room, place = Room(), Place(None)
    room.join(Place(None))

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.wait(place, interrupt)
    assert len(room) == 1
    assert not room.leave(place)
    with pytest.raises(af.AskTimeout):
        room.wait(place, lambda: None, timeout=0.001)
    assert len(room) == 1
    room.admit()
    assert len(room) == 0
