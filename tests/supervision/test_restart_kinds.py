"""Restart kinds: which ends of a child are followed by a new incarnation."""

from __future__ import annotations

import pytest

import actorflow as af
from tests.supervision.parts import PATIENCE, Worker, ended, find, kid, ping, tree

KINDS = ["permanent", "transient", "temporary"]


def one(system, log, restart, **rules):
    system.spawn(tree(kid(log, "a", restart=restart), kid(log, "b"), **rules))
    return find(system, "sup/a")


@pytest.mark.parametrize("restart", KINDS)
def test_crash_restarts_all_but_temporary(any_system, log, restart):
    a = one(any_system, log, restart)
    a.cast(Worker.crash)
    if restart == "temporary":
        ended(a)
        assert log == ["start a", "start b", "fail a"]
        with pytest.raises(af.ActorDeadError):
            a.tell("late")
    else:
        assert ping(a) == 2


@pytest.mark.parametrize("restart", KINDS)
def test_self_stop_restarts_permanent_only(any_system, log, restart):
    a = one(any_system, log, restart)
    first = a.call(Worker.end)
    first.get(timeout=PATIENCE)
    if restart == "permanent":
        queued = a.call(Worker.ping)  # sent behind the stop
        assert queued.get(timeout=PATIENCE) == 2
    else:
        ended(a)
        assert log.count("start a") == 1
    assert log.count("stop a") == 1
    assert ping(find(any_system, "sup/b")) == 1


@pytest.mark.parametrize("restart", KINDS)
def test_ref_stop_ends_a_child_for_good_whatever_its_kind(any_system, log, restart):
    a = one(any_system, log, restart, intensity=0)
    assert a.stop(timeout=PATIENCE) is True
    assert not a.is_alive()
    assert a.stop(timeout=PATIENCE) is False
    assert ping(find(any_system, "sup/b")) == 1
    assert log == ["start a", "start b", "stop a"]


def test_ref_stop_is_behind_what_was_queued(any_system, log):
    a = one(any_system, log, "permanent")
    told = [a.call(Worker.note, str(n)) for n in range(3)]
    a.stop(timeout=PATIENCE)
    assert [future.get(timeout=PATIENCE) for future in told] == [None] * 3
    assert log == ["start a", "start b", "0", "1", "2", "stop a"]


def test_ref_stop_holds_though_a_crash_comes_first(any_system, log):
    a = one(any_system, log, "permanent")
    a.cast(Worker.crash)
    assert a.stop(timeout=PATIENCE) is True
    assert log == ["start a", "start b", "fail a", "start a", "stop a"]


def test_ref_stop_holds_though_a_sibling_crashes_during_on_stop(virtual_system, log):
    class SlowEnd(Worker):
        def on_stop(self):
            super().on_stop()
            self.ctx.sleep(1)

    virtual_system.spawn(tree(kid(log, "a"), kid(log, "b", SlowEnd), strategy="one_for_all"))
    b = find(virtual_system, "sup/b")
    stopped = b.stop(block=False)
    virtual_system.sleep(0.5)
    find(virtual_system, "sup/a").cast(Worker.crash)
    virtual_system.sleep(5)
    assert stopped.get(timeout=100) is True
    assert log.count("start b") == 1
    assert not b.is_alive()


def test_children_are_permanent_by_default_under_a_supervisor(any_system, log):
    any_system.spawn(tree(kid(log, "a")))
    a = find(any_system, "sup/a")
    a.cast(Worker.crash)
    assert ping(a) == 2


def test_actors_of_the_system_are_temporary_by_default(any_system, log):
    ref = any_system.spawn(Worker, log, "a")
    ref.cast(Worker.crash)
    ended(ref)
    assert log == ["start a", "fail a"]


def test_children_of_a_plain_actor_are_temporary_by_default(any_system, log):
    class Parent(af.Actor):
        def make(self):
            return self.ctx.spawn(Worker, log, "a")

    parent = any_system.spawn(Parent)
    ref = parent.call(Parent.make).get(timeout=PATIENCE)
    ref.cast(Worker.crash)
    ended(ref)
    assert parent.is_alive()


@pytest.mark.parametrize("restart", ["always", "never", ""])
def test_unknown_kind_is_refused_with_the_known_ones(restart):
    with pytest.raises(af.DefinitionError, match="permanent"):
        af.child(Worker, [], "a").options(restart=restart)
