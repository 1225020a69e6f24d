"""Restart: the ref and the mailbox stay, the incarnation and all that it made go."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from tests.supervision.parts import PATIENCE, Worker, crash, ended, find, kid, ping, tree


class Busy(Worker):
    """Waits at a gate, so that a test can queue messages meanwhile; then crashes."""

    def crash_after(self, gate) -> None:
        gate.ask("wait")
        raise ValueError("after the gate")


class Gate(af.Actor):
    """Answers those who wait once it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[af.Reply] = []

    def on_receive(self, _message):
        self.waiting.append(self.ctx.reply_later())

    def open(self) -> int:
        for reply in self.waiting:
            reply.set(True)
        return len(self.waiting)


def open_gate(gate) -> None:
    while not gate.call(Gate.open).get(timeout=PATIENCE):
        pass


def test_ref_stays_valid_and_equal(any_system, log):
    any_system.spawn(tree(kid(log, "a")))
    a = find(any_system, "sup/a")
    before = (a.path, a.uid, a.actor_urn, hash(a))
    assert crash(a) == 2
    assert (a.path, a.uid, a.actor_urn, hash(a)) == before
    assert find(any_system, "sup/a") is a
    assert a.is_alive()


def test_a_new_actor_under_an_old_name_is_another(any_system, log):
    first = any_system.spawn(kid(log, "a"))
    first.stop(timeout=PATIENCE)
    second = any_system.spawn(kid(log, "a"))
    assert second != first
    assert second.path == first.path
    with pytest.raises(af.ActorDeadError):
        first.tell("to the old one")


def test_mailbox_survives_in_order_and_queued_asks_are_answered_by_the_new_incarnation(any_system, log):
    any_system.spawn(tree(kid(log, "a", Busy)))
    a, gate = find(any_system, "sup/a"), any_system.spawn(Gate)
    a.cast(Busy.crash_after, gate)
    for n in range(5):
        a.cast(Worker.note, str(n))
    asked = a.call(Worker.ping)
    open_gate(gate)
    assert asked.get(timeout=PATIENCE) == 2
    assert log == ["start a", "fail a", "start a", "0", "1", "2", "3", "4"]


def test_crashing_message_is_a_dead_letter_with_its_error(any_system, log, letters):
    any_system.spawn(tree(kid(log, "a")))
    crash(find(any_system, "sup/a"))
    letter = letters.expect(af.DeadLetter, within=PATIENCE)
    assert repr(letter.message) == "crash(<class 'ValueError'>)"
    assert isinstance(letter.reason, ValueError)
    assert letter.reason.__traceback__ is not None
    letters.expect_none(within=0.05)


def test_state_is_new(any_system, log):
    class Keeps(Worker):
        def note(self, what):
            self.kept = [*getattr(self, "kept", []), what]
            return self.kept

    any_system.spawn(tree(kid(log, "a", Keeps)))
    a = find(any_system, "sup/a")
    assert a.call(Keeps.note, 1).get(timeout=PATIENCE) == [1]
    crash(a)
    assert a.call(Keeps.note, 2).get(timeout=PATIENCE) == [2]


def test_error_in_an_ask_belongs_to_the_caller_and_the_actor_lives(any_system, log):
    any_system.spawn(tree(kid(log, "a")))
    a = find(any_system, "sup/a")
    with pytest.raises(ValueError, match="a"):
        a.call(Worker.crash).get(timeout=PATIENCE)
    assert ping(a) == 1


def test_af_crash_in_an_ask_answers_the_caller_and_restarts(any_system, log, letters):
    class Both(Worker):
        def crash(self, kind=KeyError):
            try:
                raise kind("inner")
            except kind as error:
                raise af.Crash from error

    any_system.spawn(tree(kid(log, "a", Both)))
    a = find(any_system, "sup/a")
    with pytest.raises(KeyError, match="inner"):
        a.call(Both.crash).get(timeout=PATIENCE)
    assert ping(a) == 2
    letters.expect_none(within=0.05)  # its caller was answered


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_base_exception_crashes_that_actor_only_and_answers_its_caller(any_system, log, kind):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b")))
    a, b = find(any_system, "sup/a"), find(any_system, "sup/b")
    with pytest.raises(af.Crash) as caught:
        a.call(Worker.crash, kind).get(timeout=PATIENCE)
    assert isinstance(caught.value.__cause__, kind)
    assert (ping(a), ping(b)) == (2, 1)


def test_hooks_on_failure_at_a_crash_on_stop_at_a_normal_end(any_system, log):
    any_system.spawn(tree(kid(log, "a"), intensity=5))
    a = find(any_system, "sup/a")
    crash(a)
    a.call(Worker.end).get(timeout=PATIENCE)
    a.call(Worker.ping).get(timeout=PATIENCE)
    a.stop(timeout=PATIENCE)
    assert log == ["start a", "fail a", "start a", "stop a", "start a", "stop a"]


def test_error_in_on_failure_does_not_hide_the_crash(any_system, log, letters):
    class Twice(Worker):
        def on_failure(self, kind, error, trace):
            raise RuntimeError("in the hook")

    any_system.spawn(tree(kid(log, "a", Twice)))
    assert crash(find(any_system, "sup/a")) == 2
    assert isinstance(letters.expect(within=PATIENCE).reason, ValueError)


def test_error_in_on_stop_does_not_stop_the_restart_of_the_others(any_system, log):
    class BadEnd(Worker):
        def on_stop(self):
            super().on_stop()
            raise RuntimeError("in the hook")

    any_system.spawn(tree(kid(log, "a"), kid(log, "b", BadEnd), strategy="one_for_all"))
    crash(find(any_system, "sup/a"))
    assert ping(find(any_system, "sup/b")) == 2


def test_children_stop_before_their_parent_restarts(any_system, log):
    class Parent(Worker):
        def on_start(self):
            super().on_start()
            for name in "xy":
                self.ctx.spawn(kid(self.log, f"{self.name}{name}"))

    any_system.spawn(tree(kid(log, "a", Parent)))
    a = find(any_system, "sup/a")
    old = find(any_system, "sup/a/ax")
    assert crash(a) == 2
    assert log[3:] == ["fail a", "stop ay", "stop ax", "start a", "start ax", "start ay"]
    assert find(any_system, "sup/a/ax") != old


def test_children_stop_before_their_parent_stops(any_system, log):
    class Parent(Worker):
        def on_start(self):
            super().on_start()
            for name in "xy":
                self.ctx.spawn(kid(self.log, f"{self.name}{name}"))

    parent = any_system.spawn(kid(log, "a", Parent))
    parent.stop(timeout=PATIENCE)
    assert log[3:] == ["stop ay", "stop ax", "stop a"]


def test_events_tell_of_crash_and_restart(any_system, log, probe):
    for kind in (af.Crashed, af.Restarted, af.Stopped):
        any_system.subscribe(kind, probe.ref)
    any_system.spawn(tree(kid(log, "a")))
    a = find(any_system, "sup/a")
    crash(a)
    seen = [probe.expect(within=PATIENCE) for _ in range(2)]
    assert [(type(event), event.ref) for event in seen] == [(af.Crashed, a), (af.Restarted, a)]
    assert all(isinstance(event.reason, ValueError) for event in seen)
    a.stop(timeout=PATIENCE)
    assert probe.expect(af.Stopped, within=PATIENCE).reason is None
    ended(a)
