"""Dead letters are counted, published and logged at most once a second; life-cycle events tell what happens."""

import logging
import threading

import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log, hold, until


def dead_letters_logged(caplog):
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Dead letter")]


class Telling(af.Actor):
    def tell(self, ref, message):
        ref.tell(message)


def stop_behind(ref):
    """Stop a held actor, so that what is sent from here on is a dead letter; returns what to do after the sends."""
    gate, _ = hold(ref)
    stopped = ref.stop(block=False)

    def go_on():
        gate.set()
        assert stopped.get(timeout=20) is True

    return go_on


def test_messages_that_nobody_handles_are_counted_and_published(any_system, probe):
    any_system.subscribe(af.DeadLetter, probe.ref)
    ref, telling = any_system.spawn(Held), any_system.spawn(Telling)
    go_on = stop_behind(ref)
    ref.tell("from outside")
    telling.call(Telling.tell, ref, "from an actor").get(timeout=20)
    ref.cast(Log.note, "a cast")
    go_on()
    first, second, third = (probe.expect(af.DeadLetter, within=30) for _ in range(3))
    assert (first.ref, first.message, first.sender) == (ref, "from outside", None)
    assert isinstance(first.reason, af.ActorDeadError)
    assert (second.message, second.sender) == ("from an actor", telling)
    assert repr(third.message) == "note('a cast')"
    assert any_system.dead_letters == 3


def test_asks_are_answered_and_are_no_dead_letters(any_system):
    ref = any_system.spawn(Held)
    go_on = stop_behind(ref)
    ref.ask("asked", block=False)
    go_on()
    any_system.spawn(Echo).ask("round", timeout=20)
    assert any_system.dead_letters == 0


def test_dead_letters_are_logged_at_most_once_a_second(virtual_system, caplog):
    for second in range(3):
        ref = virtual_system.spawn(Held)
        go_on = stop_behind(ref)
        for number in range(100):
            ref.tell(number)
        go_on()
        virtual_system.sleep(0.5)
        assert len(dead_letters_logged(caplog)) == (1, 1, 2)[second]
    first, second = dead_letters_logged(caplog)
    assert "more" not in first
    assert "(199 more since the last line)" in second


def test_a_filter_of_log_records_finds_the_reason_of_a_dead_letter(virtual_system, caplog):
    class Untold(Exception):
        def __str__(self):
            raise ValueError

    class Fails(af.Actor):
        def fail(self):
            raise Untold

    virtual_system.spawn(Fails).cast(Fails.fail)
    virtual_system.sleep(1)
    (record,) = [record for record in caplog.records if record.getMessage().startswith("Dead letter")]
    assert isinstance(record.args[2].value, Untold)
    assert "Untold, whose text cannot be made: ValueError" in record.getMessage()


def test_a_function_may_subscribe_and_runs_outside_of_the_scheduler(system):
    seen, blocked = [], threading.Event()

    def listen(event):
        blocked.wait(20)
        seen.append(event)

    system.subscribe(af.Stopped, listen)
    ref = system.spawn(Log)
    assert ref.stop(timeout=20)  # the listener blocks meanwhile
    assert system.spawn(Echo).ask("others run", timeout=20) == "others run"
    blocked.set()
    until(lambda: seen)
    assert seen[0].ref == ref


def test_a_life_is_told_in_order(any_system, probe):
    for kind in (af.Started, af.Crashed, af.Restarted, af.Stopped):
        any_system.subscribe(kind, probe.ref)
    error = ZeroDivisionError("boom")
    ref = any_system.spawn(af.child(Failing).options(restart="transient"))
    ref.cast(Failing.fail, error)
    assert ref.call(Log.read).get(timeout=20) == []
    assert ref.stop(timeout=20)
    events = [probe.expect(within=20) for _ in range(4)]
    assert [type(event) for event in events] == [af.Started, af.Crashed, af.Restarted, af.Stopped]
    assert {event.ref for event in events} == {ref}
    assert [event.reason for event in events] == [None, error, error, None]
    times = [event.time for event in events]
    assert times == sorted(times)


def test_the_stopped_event_of_a_crash_has_its_error(any_system, probe):
    any_system.subscribe(af.Stopped, probe.ref)
    error = ZeroDivisionError("boom")
    any_system.spawn(Failing).cast(Failing.fail, error)
    assert probe.expect(af.Stopped, within=30).reason is error


def test_children_have_events_too(any_system, probe):
    class Parent(af.Actor):
        def on_start(self):
            self.ctx.spawn(af.child(Echo).options(name="child"))

    any_system.subscribe(af.Started, probe.ref)
    any_system.subscribe(af.Stopped, probe.ref)
    ref = any_system.spawn(af.child(Parent).options(name="parent"))
    ref.stop(timeout=20)
    events = [(type(event), event.ref.path) for event in (probe.expect(within=20) for _ in range(4))]
    assert events[-2:] == [(af.Stopped, "/test/parent/child"), (af.Stopped, "/test/parent")]
    assert sorted(path for _, path in events[:2]) == ["/test/parent", "/test/parent/child"]


def test_a_cancelled_subscription_delivers_no_more(any_system, probe):
    subscription = any_system.subscribe(af.Started, probe.ref)
    any_system.spawn(Echo)
    probe.expect(af.Started, within=30)
    subscription.cancel()
    any_system.spawn(Echo)
    probe.expect_none(within=0.02)
    subscription.cancel()  # twice is fine


def test_an_error_in_a_subscribed_function_is_logged_and_others_are_called(any_system, probe, caplog):
    def fails(_event):
        raise KeyError("in the subscriber")

    any_system.subscribe(af.Started, fails)
    any_system.subscribe(af.Started, lambda event: probe.ref.tell(event))
    with caplog.at_level(logging.ERROR):
        ref = any_system.spawn(Echo)
        assert probe.expect(af.Started, within=30).ref == ref
    assert "in the subscriber" in caplog.text


def test_a_subscriber_that_is_dead_gets_nothing_and_makes_no_dead_letters(any_system):
    ref = any_system.spawn(Log)
    any_system.subscribe(af.Started, ref)
    ref.stop(timeout=20)
    any_system.spawn(Echo).ask("round", timeout=20)
    assert any_system.dead_letters == 0


def test_events_are_those_of_all_actors_of_the_system_and_say_whose(any_system, probe):
    class Parent(Log):
        def grow(self):
            return self.ctx.spawn(Echo)

    any_system.subscribe(af.Started, probe.ref)
    parent = any_system.spawn(Parent)
    child = parent.call(Parent.grow).get(timeout=20)
    assert [probe.expect(af.Started, within=30).ref for _ in range(2)] == [parent, child]


def test_only_published_events_can_be_subscribed_to(any_system):
    with pytest.raises(af.DefinitionError, match="Started, Crashed, Restarted, Stopped, DeadLetter"):
        any_system.subscribe(int, print)


def test_an_async_function_cannot_subscribe_since_nobody_would_await_it(any_system):
    async def hear(_event):
        pass

    for wrong in (hear, 7):
        with pytest.raises(af.DefinitionError, match="subscribe"):
            any_system.subscribe(af.Stopped, wrong)
