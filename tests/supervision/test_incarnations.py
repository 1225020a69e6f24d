"""Incarnations: timers, watches, stash and promised replies of one do not leak into the next."""

from __future__ import annotations

import pytest

import actorflow as af
from tests.supervision.parts import PATIENCE, Worker, crash, ended, find, kid, ping, tree


class Active(Worker):
    """Makes timers, watches, stashes and promises."""

    def tick_in(self, seconds: float) -> None:
        self.ctx.after(seconds, self.note, f"tick of {self.ping()}")

    def tick_every(self, seconds: float) -> None:
        self.ctx.every(seconds, self.note, f"tick of {self.ping()}")

    def watch(self, ref) -> None:
        self.ctx.watch(ref)

    def put_aside(self, what: str) -> str | None:
        if self.ping() == 1:
            self.ctx.stash()
            return None
        self.log.append(what)
        return what

    def promise(self) -> None:
        self.reply = self.ctx.reply_later()

    def wait_and_crash(self, seconds: float) -> None:
        self.ctx.sleep(seconds)
        raise ValueError

    def on_receive(self, message) -> None:
        self.log.append(f"got {message.ref.name}" if isinstance(message, af.Terminated) else message)


@pytest.fixture
def active(any_system, log):
    any_system.spawn(tree(kid(log, "a", Active), intensity=5))
    return find(any_system, "sup/a")


@pytest.fixture
def virtual(virtual_system, log):
    virtual_system.spawn(tree(kid(log, "a", Active), intensity=5))
    return find(virtual_system, "sup/a")


def test_timers_die_with_their_incarnation(virtual, virtual_system, log):
    virtual.cast(Active.tick_in, 10)
    virtual.cast(Active.tick_every, 3)
    virtual_system.sleep(1)
    crash(virtual)
    virtual.cast(Active.tick_in, 5)
    virtual_system.sleep(60)
    assert [line for line in log if line.startswith("tick")] == ["tick of 2"]


def test_a_timer_that_was_queued_at_the_crash_is_dropped(virtual, virtual_system, log):
    virtual.cast(Active.tick_in, 1)
    virtual.cast(Active.wait_and_crash, 5)
    virtual_system.sleep(10)
    assert ping(virtual) == 2
    assert not [line for line in log if line.startswith("tick")]


def test_own_watches_die_with_the_incarnation(active, any_system, log):
    other = any_system.spawn(Worker, log, "other")
    active.call(Active.watch, other).get(timeout=PATIENCE)
    assert crash(active) == 2
    other.stop(timeout=PATIENCE)
    ping(active)
    ping(active)
    assert not [line for line in log if line.startswith("got")]


def test_a_terminated_that_was_queued_at_the_crash_is_dropped(virtual, virtual_system, log):
    other = virtual_system.spawn(kid(log, "other"))
    virtual.call(Active.watch, other).get()
    virtual.cast(Active.wait_and_crash, 5)
    virtual_system.sleep(1)
    other.stop()
    virtual_system.sleep(10)
    assert ping(virtual) == 2
    assert "got other" not in log


def test_watch_without_a_crash_gets_terminated_once(active, any_system, log):
    other = any_system.spawn(kid(log, "other"))
    active.call(Active.watch, other).get(timeout=PATIENCE)
    active.call(Active.watch, other).get(timeout=PATIENCE)
    other.stop(timeout=PATIENCE)
    ping(active)
    ping(active)
    assert log.count("got other") == 1


def test_restart_of_a_watched_actor_sends_nothing_only_its_end_does(any_system, log, probe):
    class Watcher(af.Actor):
        def watch(self, ref, to):
            self.to = to
            self.ctx.watch(ref)

        def on_receive(self, message):
            self.to.tell(message)

    any_system.spawn(tree(kid(log, "a")))
    a = find(any_system, "sup/a")
    watcher = any_system.spawn(Watcher)
    watcher.call(Watcher.watch, a, probe.ref).get(timeout=PATIENCE)
    crash(a)
    probe.expect_none(within=0.05)
    a.stop(timeout=PATIENCE)
    assert probe.expect(within=PATIENCE) == af.Terminated(a, None)
    probe.expect_none(within=0.05)


def test_terminated_carries_the_error_that_ended_a_temporary_child(any_system, log, probe):
    class Watcher(af.Actor):
        def watch(self, ref, to):
            self.to = to
            self.ctx.watch(ref)

        def on_receive(self, message):
            self.to.tell(message)

    a = any_system.spawn(kid(log, "a"))
    any_system.spawn(Watcher).call(Watcher.watch, a, probe.ref).get(timeout=PATIENCE)
    a.cast(Worker.crash)
    message = probe.expect(af.Terminated, within=PATIENCE)
    assert message.ref == a
    assert isinstance(message.reason, ValueError)
    ended(a)


def test_stashed_messages_go_back_to_the_front_in_their_order(active, log):
    asked = [active.call(Active.put_aside, str(n)) for n in range(3)]
    active.cast(Worker.crash)
    last = active.call(Worker.note, "behind")
    assert [future.get(timeout=PATIENCE) for future in asked] == ["0", "1", "2"]
    last.get(timeout=PATIENCE)
    assert log == ["start a", "fail a", "start a", "0", "1", "2", "behind"]


def test_a_promised_reply_gets_the_cause_of_the_crash(active):
    promised = active.call(Active.promise)
    active.cast(Worker.crash)
    with pytest.raises(ValueError, match="a"):
        promised.get(timeout=PATIENCE)
    assert ping(active) == 2


def test_a_promised_reply_gets_actor_dead_error_at_a_normal_end(active):
    promised = active.call(Active.promise)
    active.stop(timeout=PATIENCE)
    with pytest.raises(af.ActorDeadError):
        promised.get(timeout=PATIENCE)


def test_a_piped_future_of_the_old_incarnation_is_not_delivered(any_system, log):
    class Pipes(Active):
        def pipe(self, slow):
            self.ctx.pipe(slow, self.note)

    any_system.spawn(tree(kid(log, "a", Pipes)))
    a = find(any_system, "sup/a")
    promiser = any_system.spawn(Active, log, "p")
    slow = promiser.call(Active.promise)
    a.call(Pipes.pipe, slow).get(timeout=PATIENCE)
    crash(a)
    slow.set("late")
    ping(a)
    assert "late" not in log
