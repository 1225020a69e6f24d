"""What a hostile review found: each of these was broken once."""

import threading
import time

import pykka
import pytest
from pykka._envelope import Envelope

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log, hold, until


class Asker(Log):
    async def by_await(self, other):
        return await other.call(Answerer.answer)

    def by_get(self, other):
        return other.call(Answerer.answer).get()


class Answerer(Held):
    def answer(self):
        return "answered"

    def ask_back(self, other):
        return other.call(Log.read).get(timeout=20)


@pytest.mark.parametrize("how", ["by_await", "by_get"])
def test_a_wait_whose_answer_is_there_is_no_edge(any_system, how):
    """B answers A, and at once asks A, which has not gone on yet."""
    asker, answerer = any_system.spawn(Asker), any_system.spawn(Answerer)
    gate, held = hold(answerer)
    asked = asker.call(getattr(Asker, how), answerer)
    until(lambda: asker._waiting is not None, any_system)  # its request is in the other's mailbox
    back = answerer.call(Answerer.ask_back, asker)
    gate.set("go on")
    assert (held.get(timeout=20), asked.get(timeout=20), back.get(timeout=20)) == ("go on", "answered", [])


class Sleeper(Log):
    async def block_and_send(self, entered, event, sink):
        entered.set()
        event.wait(20)
        sink.tell("late")
        await af.timer(0)


def test_an_async_handler_that_blocks_is_cut_off_when_it_is_abandoned(system):
    sink, entered, event = system.spawn(Log), threading.Event(), threading.Event()
    top = system.spawn(af.Supervisor, af.child(Sleeper).options(name="s", shutdown=0.01))
    sleeper = system.find(f"{top.path}/s", Sleeper)
    sleeper.cast(Sleeper.block_and_send, entered, event, sink)
    assert entered.wait(20)
    top.call(af.Supervisor.terminate_child, "s").get(timeout=20)
    event.set()
    until(lambda: not any(worker.item[0] is None and worker.left for worker in system.scheduler.workers))
    assert sink.call(Log.read).get(timeout=20) == []
    assert not sleeper.is_alive()
    with pytest.raises(af.ActorDeadError):
        sleeper.ask("anything", timeout=20)


class Unprintable(RuntimeError):
    def __str__(self):
        raise ZeroDivisionError


def test_an_error_that_cannot_be_printed_is_answered_and_the_system_goes_on(any_system):
    failing, echo = any_system.spawn(Failing), any_system.spawn(Echo)
    with pytest.raises(Unprintable):
        failing.call(Failing.fail, Unprintable()).get(timeout=20)
    assert [echo.ask(n, timeout=20) for n in range(3)] == [0, 1, 2]


def test_an_envelope_whose_future_is_set_already_harms_nobody(any_system):
    echo = any_system.spawn(Echo)
    taken = pykka.ThreadingFuture()
    taken.set("taken")
    echo.actor_inbox.put(Envelope("late", reply_to=taken))
    assert echo.ask("next", timeout=20) == "next"
    assert taken.get() == "taken"


class Stasher(Log):
    def __init__(self):
        super().__init__()
        self.promised = None

    def aside(self):
        self.ctx.stash() if not self.seen else None
        return "handled"

    def promise_and_fail(self):
        self.promised = self.ctx.reply_later()
        raise KeyError("y")

    def fail_aside(self):
        self.ctx.stash()
        raise KeyError("x")

    def open(self):
        self.seen.append("open")
        self.ctx.unstash()


@pytest.mark.parametrize("capacity", [None, 2])
def test_a_failing_ask_takes_only_itself_off_the_stash(any_system, capacity):
    ref = any_system.spawn(af.child(Stasher).options(capacity=capacity, overflow="fail"))
    for _ in range(3):
        with pytest.raises(KeyError, match="x"):
            ref.call(Stasher.fail_aside).get(timeout=20)
    aside = ref.call(Stasher.aside)
    with pytest.raises(KeyError, match="y"):
        ref.call(Stasher.promise_and_fail).get(timeout=20)
    ref.call(Stasher.open).get(timeout=20)
    assert aside.get(timeout=20) == "handled"


@pytest.mark.parametrize("capacity", [None, 10])
def test_unstashed_messages_come_before_a_stop_that_was_queued(any_system, capacity):
    ref = any_system.spawn(af.child(Stasher).options(capacity=capacity))
    asides = [ref.call(Stasher.aside) for _ in range(2)]
    opened, stopped = ref.call(Stasher.open), ref.stop(block=False)
    assert opened.get(timeout=20) is None
    assert [aside.get(timeout=20) for aside in asides] == ["handled", "handled"]
    assert stopped.get(timeout=20)


def test_a_ref_that_a_failed_constructor_handed_out_is_dead(any_system):
    refs = []

    class Leaks(Log):
        def __init__(self):
            super().__init__()
            refs.append(self.actor_ref)
            self.actor_ref.tell("to myself")
            raise OSError

    with pytest.raises(OSError):
        any_system.spawn(Leaks)
    assert refs[0].actor_stopped.wait(20)
    with pytest.raises(af.ActorDeadError):
        refs[0].ask("anything", timeout=20)


def test_what_a_constructor_sends_to_itself_is_handled_after_it_in_order(any_system):
    class Eager(Log):
        def __init__(self):
            super().__init__()
            for n in range(100):
                self.actor_ref.tell(n)

    assert any_system.spawn(Eager).call(Log.read).get(timeout=20) == list(range(100))


def test_a_send_after_a_crash_says_what_crashed_the_actor(any_system):
    failing = any_system.spawn(Failing)
    failing.cast(Failing.fail, KeyError("why"))
    until(lambda: any_system.find(failing.path) is None, any_system)
    with pytest.raises(af.ActorDeadError, match="it crashed with KeyError") as caught:
        failing.call(Log.read).get(timeout=20)
    assert isinstance(caught.value.__cause__, KeyError)


def test_shutdown_time_holds_for_other_ends_than_the_systems():
    event = threading.Event()

    class Blocks(Log, shutdown=60.0):
        def block(self, entered):
            entered.set()
            event.wait(60)

    with af.ActorSystem("test") as system:
        entered = threading.Event()
        top = system.spawn(af.Supervisor, af.child(Blocks).options(name="b", shutdown=0.05))
        system.find(f"{top.path}/b", Blocks).cast(Blocks.block, entered)
        assert entered.wait(20)
        begin = time.monotonic()
        top.stop()
        taken = time.monotonic() - begin
        event.set()
    assert taken < 30  # who says nothing has a minute


class Pause:
    def __await__(self):
        yield


class Resists(Log):
    """Its coroutine does not let itself be closed, as long as `seen` is empty; it notes that it was."""

    async def go_on(self, future):
        while True:
            try:
                await (Pause() if future.done() else future)
            except GeneratorExit:
                if self.seen:
                    raise
                self.seen.append("closed")
            except af.Stopping:
                pass

    async def raise_another(self, future):
        while True:
            try:
                await (Pause() if future.done() else future)
            except GeneratorExit:
                self.seen.append("closed")
                raise ValueError("at the close") from None
            except af.Stopping:
                pass


@pytest.mark.parametrize("method", [Resists.go_on, Resists.raise_another])
def test_a_coroutine_that_resists_its_close_takes_nobody_with_it(system, method):
    seen, gate = [], af.Future()
    top = system.spawn(af.Supervisor, af.child(Resists, seen).options(name="r", shutdown=0.01))
    resists = system.find(f"{top.path}/r", Resists)
    answer = resists.call(method, gate)
    until(lambda: resists._waiting is not None)
    top.call(af.Supervisor.terminate_child, "r").get(timeout=20)
    with pytest.raises(af.ActorDeadError):
        answer.get(timeout=20)
    gate.set()
    until(lambda: seen == ["closed"])
    others = [system.spawn(Echo) for _ in range(3)]
    assert [other.ask(n, timeout=20) for n, other in enumerate(others)] == [0, 1, 2]
    assert len(system.scheduler.slot) <= 1
