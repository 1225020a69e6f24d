"""Context: each handler runs in its own copy of the context; and what `ctx` may be used for, where."""

import contextvars
import gc
import logging
import threading

import pytest

import actorflow as af
from tests.core.actors import Echo, Log, until

VAR = contextvars.ContextVar("VAR", default="clean")


class Vars(af.Actor):
    def on_start(self):
        VAR.set("on_start")

    def set(self, value):
        VAR.set(value)
        return VAR.get()

    def get(self):
        return VAR.get()

    def set_and_wait(self, value, echo):
        VAR.set(value)
        echo.ask(1)
        return VAR.get()

    async def set_and_await(self, value, echo):
        VAR.set(value)
        await echo.ask(1, block=False)
        first = VAR.get()
        await echo.ask(1, block=False)
        return first, VAR.get()


def test_a_variable_that_a_handler_sets_is_gone_in_the_next(any_system):
    ref, other = any_system.spawn(Vars), any_system.spawn(Vars)
    assert ref.call(Vars.get).get(timeout=20) == "clean"
    assert ref.call(Vars.set, "mine").get(timeout=20) == "mine"
    assert ref.call(Vars.get).get(timeout=20) == "clean"
    assert other.call(Vars.get).get(timeout=20) == "clean"


def test_variables_do_not_leak_between_queued_messages(any_system):
    ref, other = any_system.spawn(Vars), any_system.spawn(Vars)
    asked = []
    for index in range(200):
        asked += [ref.call(Vars.set, index), ref.call(Vars.get), other.call(Vars.get)]
    answers = [future.get(timeout=20) for future in asked]
    assert answers[0::3] == list(range(200))
    assert set(answers[1::3]) == set(answers[2::3]) == {"clean"}


def test_a_handler_keeps_its_variables_while_it_waits(any_system):
    ref, other, echo = any_system.spawn(Vars), any_system.spawn(Vars), any_system.spawn(Echo)
    waits = [each.call(Vars.set_and_wait, index, echo) for index, each in enumerate((ref, other))]
    awaits = [each.call(Vars.set_and_await, index, echo) for index, each in enumerate((ref, other))]
    assert [future.get(timeout=20) for future in waits] == [0, 1]
    assert [future.get(timeout=20) for future in awaits] == [(0, 0), (1, 1)]
    assert ref.call(Vars.get).get(timeout=20) == "clean"


def test_the_callers_variables_do_not_reach_the_handler(any_system):
    ref = any_system.spawn(Vars)

    def ask():
        VAR.set("caller")
        return ref.call(Vars.get).get(timeout=20)

    assert contextvars.copy_context().run(ask) == "clean"


def test_sender_is_who_sent_the_current_message(any_system):
    class Asks(af.Actor):
        def who_asks(self):
            return self.ctx.sender

        def ask(self, ref):
            return ref.call(Asks.who_asks).get()

        async def ask_async(self, ref):
            return await ref.call(Asks.who_asks)

    first, second = any_system.spawn(Asks), any_system.spawn(Asks)
    assert first.call(Asks.who_asks).get(timeout=20) is None
    assert first.call(Asks.ask, second).get(timeout=20) == first
    assert first.call(Asks.ask_async, second).get(timeout=20) == first


def test_ctx_names_parent_and_clock(virtual_system):
    class Parent(af.Actor):
        def child(self):
            return self.ctx.spawn(Child)

    class Child(af.Actor):
        def look(self):
            return self.ctx.parent, self.ctx.now()

    parent = virtual_system.spawn(Parent)
    child = parent.call(Parent.child).get(timeout=20)
    virtual_system.sleep(100)
    at = child.call(Child.look).get(timeout=20)
    assert at == (parent, virtual_system.scheduler.clock.time())
    assert parent._actor.ctx.parent is None


def test_ctx_random_is_seeded_on_virtual_time():
    from actorflow.testing import VirtualSystem

    class Dice(af.Actor):
        def roll(self):
            return [self.ctx.random.random() for _ in range(5)]

    rolls = []
    for seed in (1, 1, 2):
        with VirtualSystem("test", seed=seed) as system:
            rolls.append(system.spawn(Dice).call(Dice.roll).get(timeout=20))
    assert rolls[0] == rolls[1] != rolls[2]


def test_log_lines_carry_the_actors_path(any_system, caplog):
    class Logs(af.Actor):
        def say(self):
            self.ctx.log.warning("hello %s", "there")

    ref = any_system.spawn(Logs)
    with caplog.at_level(logging.WARNING):
        ref.call(Logs.say).get(timeout=20)
    (record,) = [record for record in caplog.records if "hello" in record.getMessage()]
    assert record.getMessage() == f"[{ref.path}] hello there"
    assert record.actor == ref.path
    assert record.name == __name__


def test_ctx_and_tell_work_in_any_thread(system, probe):
    class Ticks(af.Actor):
        def tick(self):
            probe.ref.tell("tick")

    ref = system.spawn(Ticks)
    actor = ref._actor

    def work():
        actor.ctx.after(0, actor.tick)
        actor.ctx.spawn(Echo)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    probe.expect("tick", within=30)
    assert len(list(ref._children)) == 1


def test_a_finaliser_may_tell(any_system):
    class Finalised:
        def __init__(self, ref):
            self.ref, self.cycle = ref, self

        def __del__(self):
            self.ref.tell("finalised")

    ref = any_system.spawn(Log)
    bounded = any_system.spawn(af.child(Log).options(capacity=100))
    for each in (ref, bounded):
        Finalised(each)
        gc.collect()
        assert each.call(Log.read).get(timeout=20) == ["finalised"]


@pytest.mark.parametrize("what", ["sender", "stash", "unstash", "reply_later"])
def test_what_concerns_the_current_message_is_refused_elsewhere(any_system, what):
    actor = any_system.spawn(Echo)._actor
    with pytest.raises(af.DefinitionError, match=what):
        found = getattr(actor.ctx, what)
        found()


class Final(Log):
    """Its finaliser runs where its system drops it: between two messages of others."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def __del__(self):
        self.act()


def test_a_finaliser_that_waits_between_two_messages_gets_an_error_and_nobody_hangs(system):
    errors = []

    def wait():
        with pytest.raises(af.DeadlockError, match="finaliser") as caught:
            other.ask("will you answer?")
        errors.append(caught)

    other = system.spawn(Echo)
    top = system.spawn(af.Supervisor, af.child(Final, wait).options(name="a", restart="temporary"))
    system.spawn(Final, wait).stop(block=False)
    top.call(af.Supervisor.terminate_child, "a").get(timeout=20)
    until(lambda: len(errors) == 2)
    assert other.ask("and now?", timeout=20) == "and now?"


def test_a_finaliser_of_the_runtimes_own_work_has_no_sender(system_class):
    class Hears(Log):
        def on_receive(self, message):
            self.seen.append((message, self.ctx.sender))

    heard = []
    with system_class("hears") as hears, system_class("dies") as dies:
        hears_it = hears.spawn(Hears, heard)
        dies.spawn(Final, lambda: hears_it.tell("the end"))
        dies.stop()
        until(lambda: heard, hears)
    assert heard == [("the end", None)]
