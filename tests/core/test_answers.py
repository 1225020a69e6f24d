"""Every ask is answered: with its value, or with an error that says what became of it."""

import gc
import logging
import queue
import threading

import pytest

import actorflow as af
from tests.core.actors import Blocked, Echo, Failing, Held, Log, hold


class Promising(af.Actor):
    """Answers later."""

    def __init__(self):
        super().__init__()
        self.replies = []

    def ask(self):
        self.replies.append(self.ctx.reply_later())
        return "ignored"

    async def ask_async(self):
        self.replies.append(self.ctx.reply_later())
        return "ignored"

    def throw_away(self):
        self.ctx.reply_later()

    def answer(self, value):
        self.replies.pop(0).set(value)

    def give(self):
        return self.replies

    def fail(self, error):
        raise error


def dead_ref(system):
    ref = system.spawn(Log)
    assert ref.stop(timeout=20)
    return ref


def test_an_ask_that_is_queued_at_stop_gets_actor_dead_error(any_system):
    ref = any_system.spawn(Held)
    gate, answer = hold(ref)
    stopped = ref.stop(block=False)
    late = [ref.ask("late", block=False), ref.call(Held.read)]
    gate.set("held")
    assert answer.get(timeout=20) == "held"
    assert stopped.get(timeout=20) is True
    for future in late:
        with pytest.raises(af.ActorDeadError, match="before handling"):
            future.get(timeout=20)


def test_an_ask_that_is_queued_at_a_crash_gets_actor_dead_error_with_the_crash_as_cause(any_system):
    class Fragile(Held, Failing):
        pass

    ref = any_system.spawn(Fragile)
    gate, _ = hold(ref)
    ref.cast(Failing.fail, ZeroDivisionError("boom"))
    late = ref.ask("late", block=False)
    gate.set()
    with pytest.raises(af.ActorDeadError) as caught:
        late.get(timeout=20)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_asks_to_a_dead_actor_are_answered_at_once(any_system):
    ref = dead_ref(any_system)
    with pytest.raises(af.ActorDeadError):
        ref.ask(1)
    asked, called = ref.ask(1, block=False), ref.call(Log.read)
    assert asked.done()
    assert called.done()
    for future in (asked, called):
        with pytest.raises(af.ActorDeadError):
            future.get()


def test_tell_and_cast_to_a_dead_actor_raise(any_system):
    ref = dead_ref(any_system)
    with pytest.raises(af.ActorDeadError, match="/test/log-"):
        ref.tell(1)
    with pytest.raises(af.ActorDeadError):
        ref.cast(Log.note, 1)


def test_stop_of_a_dead_actor_is_false(any_system):
    assert dead_ref(any_system).stop(timeout=20) is False


def test_two_stops_at_once_are_both_answered(any_system):
    ref = any_system.spawn(Log)
    first, second = ref.stop(block=False), ref.stop(block=False)
    assert first.get(timeout=20) is True
    assert isinstance(second.get(timeout=20), bool)


def test_the_asker_of_a_crash_gets_its_cause(any_system):
    ref = any_system.spawn(Failing)
    crash = af.Crash("told to")
    crash.__cause__ = KeyError("the cause")
    with pytest.raises(KeyError, match="the cause"):
        ref.call(Failing.fail, crash).get(timeout=20)
    assert ref.actor_stopped.wait(20)


def test_an_abandoned_handlers_asker_gets_actor_dead_error():
    event = threading.Event()
    with af.ActorSystem("test") as system:
        answer = system.spawn(Blocked).call(Blocked.block, event)
        queued = system.spawn(Echo)
        assert queued.ask(1, timeout=20) == 1  # so the handler runs by now
        system.stop(grace=0.05)
        with pytest.raises(af.ActorDeadError):
            answer.get(timeout=20)
        event.set()


def test_an_ask_behind_an_abandoned_handler_gets_actor_dead_error():
    event = threading.Event()
    with af.ActorSystem("test") as system:
        ref = system.spawn(Blocked)
        ref.cast(Blocked.block, event)
        behind = ref.ask("behind", block=False)
        system.stop(grace=0.05)
        with pytest.raises(af.ActorDeadError):
            behind.get(timeout=20)
        event.set()


def test_an_ask_to_a_system_that_has_ended_is_answered(system_class):
    with system_class("test") as system:
        ref = system.spawn(Echo)
    with pytest.raises(af.ActorDeadError):
        ref.ask(1)


# --- reply_later ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Promising.ask, Promising.ask_async])
def test_a_later_handler_may_answer(any_system, method):
    ref = any_system.spawn(Promising)
    first, second = ref.call(method), ref.call(method)
    ref.cast(Promising.answer, 1)
    ref.cast(Promising.answer, 2)
    assert (first.get(timeout=20), second.get(timeout=20)) == (1, 2)


def test_another_thread_may_answer_later(any_system):
    ref = any_system.spawn(Promising)
    future = ref.call(Promising.ask)
    (reply,) = ref.call(Promising.give).get(timeout=20)
    thread = threading.Thread(target=reply.set, args=("from a thread",))
    thread.start()
    thread.join(30)
    assert future.get(timeout=20) == "from a thread"


def test_a_reply_may_be_an_error(any_system):
    ref = any_system.spawn(Promising)
    future = ref.call(Promising.ask)
    ref.call(Promising.give).get(timeout=20)[0].fail(KeyError("no"))
    with pytest.raises(KeyError):
        future.get(timeout=20)
    assert ref.is_alive()


def test_a_reply_is_set_once(any_system):
    ref = any_system.spawn(Promising)
    ref.call(Promising.ask)
    (reply,) = ref.call(Promising.give).get(timeout=20)
    reply.set(1)
    with pytest.raises(queue.Full):
        reply.set(2)
    with pytest.raises(queue.Full):
        reply.fail(KeyError())


def test_a_reply_to_a_cast_goes_nowhere(any_system):
    ref = any_system.spawn(Promising)
    ref.cast(Promising.ask)
    (reply,) = ref.call(Promising.give).get(timeout=20)
    reply.set("nobody hears it")
    assert ref.is_alive()


def test_a_reply_that_is_unset_at_a_crash_gets_its_cause(any_system):
    ref = any_system.spawn(Promising)
    future = ref.call(Promising.ask)
    ref.cast(Promising.fail, ZeroDivisionError("boom"))
    with pytest.raises(ZeroDivisionError, match="boom"):
        future.get(timeout=20)


def test_a_reply_that_is_unset_at_a_stop_gets_actor_dead_error(any_system):
    ref = any_system.spawn(Promising)
    future = ref.call(Promising.ask)
    assert ref.stop(timeout=20)
    with pytest.raises(af.ActorDeadError):
        future.get(timeout=20)


def test_a_reply_belongs_to_its_incarnation(any_system):
    ref = any_system.spawn(af.child(Promising).options(restart="permanent"))
    future = ref.call(Promising.ask)
    (reply,) = ref.call(Promising.give).get(timeout=20)
    ref.cast(Promising.fail, ZeroDivisionError("boom"))
    assert ref.call(Promising.give).get(timeout=20) == []  # the new incarnation
    with pytest.raises(ZeroDivisionError):
        future.get(timeout=20)
    with pytest.raises(queue.Full):
        reply.set("too late")


def test_a_reply_that_is_thrown_away_unset_gets_actor_dead_error_and_a_log_line(any_system, caplog):
    ref = any_system.spawn(Promising)
    with caplog.at_level(logging.WARNING, "actorflow"):
        future = ref.call(Promising.throw_away)
        with pytest.raises(af.ActorDeadError, match="dropped its Reply"):
            future.get(timeout=20)
    assert f"A Reply of {ref.path} was collected unset" in caplog.text


def test_a_lost_reply_is_logged_before_its_asker_is_answered(any_system):
    class Look(logging.Handler):
        def emit(self, _record):
            answered.append(future.done())

    ref = any_system.spawn(Promising)
    future, answered, look = ref.call(Promising.ask), [], Look()
    logging.getLogger("actorflow").addHandler(look)
    try:
        ref.proxy().replies = []
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=20)
    finally:
        logging.getLogger("actorflow").removeHandler(look)
    assert answered == [False]


def test_a_reply_that_is_collected_in_a_cycle_is_answered_too(any_system):
    ref = any_system.spawn(Promising)
    future = ref.call(Promising.ask)
    replies = ref.call(Promising.give).get(timeout=20)
    replies.append(replies)
    ref.proxy().replies = []
    del replies
    ref.call(Promising.give).get(timeout=20)
    gc.collect()
    with pytest.raises(af.ActorDeadError):
        future.get(timeout=20)


def test_reply_later_outside_of_a_handler_is_refused(any_system):
    ref = any_system.spawn(Promising)
    with pytest.raises(af.DefinitionError, match="inside a handler"):
        ref._actor.ctx.reply_later()


@pytest.mark.parametrize("wrong", [None, "went wrong", ValueError])
def test_a_reply_fails_with_an_error_only(any_system, wrong):
    class Fails(af.Actor):
        def on_receive(self, error):
            self.ctx.reply_later().fail(error)

    with pytest.raises(af.DefinitionError, match="give an error"):
        any_system.spawn(Fails).ask(wrong, timeout=20)
