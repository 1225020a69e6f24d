"""Start: who hears of a child that cannot start, and what is left of it."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import until
from tests.supervision.parts import PATIENCE, Failing, Worker, crash, find, kid, ping, tree


class BadInit(Worker):
    """Its constructor fails."""

    def __init__(self, log, name):
        super().__init__(log, name)
        raise OSError("no port")


class SlowStart(Worker):
    """Takes a minute from its second start on."""

    def on_start(self):
        super().on_start()
        if self.ping() > 1:
            self.ctx.sleep(60)
            self.log.append(f"up {self.name}")


def test_failed_start_raises_in_the_spawner_and_nothing_is_left(any_system, log):
    with pytest.raises(OSError, match="start 1 of a"):
        any_system.spawn(kid(log, "a", Failing, 1))
    assert any_system.find("/test/a") is None
    assert not any_system.tree().children
    any_system.spawn(kid(log, "a"))  # the name is free again


def test_failed_constructor_raises_in_the_spawner_and_nothing_is_left(any_system, log):
    with pytest.raises(OSError, match="no port"):
        any_system.spawn(kid(log, "a", BadInit))
    assert not any_system.tree().children


@pytest.mark.parametrize("bad", [lambda log: kid(log, "b", Failing, 1), lambda log: kid(log, "b", BadInit)])
def test_supervisor_whose_child_cannot_start_raises_why_and_leaves_nothing_running(any_system, log, bad):
    with pytest.raises(OSError) as caught:
        any_system.spawn(tree(kid(log, "a"), bad(log), kid(log, "c")))
    assert any("/test/sup" in note for note in caught.value.__notes__)
    assert [line for line in log if line != "start b"] == ["start a", "stop a"]
    assert not any_system.tree().children


def test_failed_start_deep_in_a_tree_stops_the_whole_tree(any_system, log):
    deep = tree(kid(log, "x"), kid(log, "y", Failing, 1), name="inner")
    with pytest.raises(OSError, match="start 1 of y"):
        any_system.spawn(tree(kid(log, "a"), deep, name="outer"))
    assert log == ["start a", "start x", "start y", "stop x", "stop a"]
    assert not any_system.tree().children


def test_wrong_arguments_of_a_child_are_a_definition_error_where_it_is_described():
    with pytest.raises(af.DefinitionError, match="Worker"):
        af.child(Worker, 1, 2, 3, 4)
    with pytest.raises(af.DefinitionError, match="did you mean 'strategy'"):
        af.child(af.Supervisor, stratgy="one_for_one")
    with pytest.raises(af.DefinitionError, match=r"write \.options\(restart=\.\.\.\)"):
        af.child(af.Supervisor, restart="permanent")
    with pytest.raises(af.DefinitionError, match="an argument of Supervisor"):
        af.child(af.Supervisor).options(strategy="one_for_one")


def test_two_children_of_one_name_are_a_definition_error(any_system, log):
    with pytest.raises(af.DefinitionError, match="unique"):
        any_system.spawn(tree(kid(log, "a"), kid(log, "a")))
    assert not any_system.tree().children


def test_failed_start_of_a_restart_counts_as_a_crash(any_system, log):
    any_system.spawn(tree(kid(log, "a", Failing, 2), intensity=2))
    assert crash(find(any_system, "sup/a")) == 3
    assert log == ["start a", "fail a", "start a", "start a"]


def test_failed_starts_exceed_the_intensity(system_class, log):
    system = system_class("test")
    system.spawn(tree(kid(log, "a", Failing, 2, 3), kid(log, "b"), intensity=2, period=60))
    find(system, "sup/a").cast(Worker.crash)
    with pytest.raises(af.RestartLimitReached) as caught:
        system.run()
    assert [type(why) for _, _, why in caught.value.history] == [ValueError, OSError, OSError]
    assert log == ["start a", "start b", "fail a", "start a", "start a", "stop b"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_all", ["start a", "start b", "stop a", "start a", "start b", "start c"]),
        ("rest_for_one", ["start b", "start b", "start c"]),
    ],
)
def test_a_sibling_that_cannot_start_again_is_the_next_crash(any_system, log, strategy, expected):
    children = [kid(log, "a"), kid(log, "b", Failing, 2), kid(log, "c")]
    any_system.spawn(tree(*children, strategy=strategy, intensity=2))
    first = "a" if strategy == "one_for_all" else "b"
    assert crash(find(any_system, f"sup/{first}")) >= 2
    assert ping(find(any_system, "sup/c")) == 2
    assert log[log.index("stop c") :][-len(expected) :] == expected


def test_children_of_an_on_start_that_fails_are_stopped(any_system, log):
    class Parent(Failing):
        def on_start(self):
            self.ctx.spawn(kid(self.log, "x"))
            super().on_start()

    any_system.spawn(tree(kid(log, "a", Parent, 2), intensity=2))
    assert crash(find(any_system, "sup/a")) == 3
    assert log == ["start x", "start a", "fail a", "stop x", "start x", "start a", "stop x", "start x", "start a"]


def test_base_exception_in_on_start_is_a_failed_start(any_system, log):
    class Exits(Worker):
        def on_start(self):
            super().on_start()
            if self.ping() != 2:
                return
            raise SystemExit

    any_system.spawn(tree(kid(log, "a", Exits), kid(log, "b"), intensity=3))
    assert crash(find(any_system, "sup/a")) == 3
    assert ping(find(any_system, "sup/b")) == 1


def test_spawn_returns_when_the_tree_is_up(any_system, log):
    class Slow(Worker):
        def on_start(self):
            self.ctx.sleep(0.05)
            super().on_start()

    any_system.spawn(tree(kid(log, "a", Slow), tree(kid(log, "b", Slow), name="inner")))
    assert log == ["start a", "start b"]


def test_no_message_is_handled_before_on_start_has_ended(virtual_system, log):
    virtual_system.spawn(tree(kid(log, "a", SlowStart)))
    a = find(virtual_system, "sup/a")
    a.cast(Worker.crash)
    a.cast(Worker.note, "handled")
    virtual_system.sleep(100)
    assert log == ["start a", "fail a", "start a", "up a", "handled"]


def test_asking_the_own_supervisor_in_on_start_is_a_deadlock_error(any_system, log):
    class Asks(Worker):
        def on_start(self):
            super().on_start()
            self.ctx.parent.call(af.Supervisor.which_children).get(timeout=PATIENCE)

    with pytest.raises(af.DeadlockError, match="/test/sup/a"):
        any_system.spawn(tree(kid(log, "a", Asks)))
    assert not any_system.tree().children


def test_stop_of_a_supervisor_during_a_slow_restart_does_not_wait_for_it(virtual_system, log):
    sup = virtual_system.spawn(tree(kid(log, "a", SlowStart), kid(log, "b")))
    find(virtual_system, "sup/a").cast(Worker.crash)
    virtual_system.sleep(1)
    assert sup.stop() is True
    assert virtual_system.now == 1
    assert "up a" not in log


@pytest.mark.parametrize("deep", [False, True], ids=["an actor", "a tree"])
def test_an_actor_that_is_stopped_while_it_starts_has_not_crashed(any_system, log, deep, caplog):
    """A Ctrl-C just then left a traceback in the log of a program that had ended as it should."""
    caplog.set_level("INFO", logger="actorflow")
    begun = []

    class Sleeps(Worker):
        async def on_start(self):
            begun.append(self)
            await af.timer(600)

    class Spawner(af.Actor):
        def spawn(self, child):
            return self.ctx.spawn(child)

    spawner = any_system.spawn(Spawner)
    child = kid(log, "a", Sleeps)
    spawned = spawner.call(Spawner.spawn, tree(child) if deep else child)
    if isinstance(any_system, VirtualSystem):
        any_system.sleep(1)
    until(lambda: begun)
    any_system.stop(grace=5)
    with pytest.raises((af.Stopping, af.ActorDeadError)):
        spawned.get(timeout=PATIENCE)
    assert "was stopped while it started" in caplog.text
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_slow_first_start_is_woken_when_the_system_stops(virtual_system, log):
    class Sleeps(Worker):
        def on_start(self):
            super().on_start()
            self.ctx.sleep(600)

    class Spawner(af.Actor):
        def spawn(self):
            return virtual_system.spawn(kid(log, "a", Sleeps))

        def stop_all(self):
            virtual_system.stop(grace=5)

    spawner, stopper = virtual_system.spawn(Spawner), virtual_system.spawn(Spawner)
    spawned = spawner.call(Spawner.spawn)
    virtual_system.sleep(1)
    stopper.cast(Spawner.stop_all)
    with pytest.raises((af.Stopping, af.ActorDeadError)):
        spawned.get(timeout=30)
    assert virtual_system.now <= 6.1


@pytest.mark.filterwarnings("error")
def test_a_supervisors_own_on_start_does_not_lose_its_children(any_system, log):
    """Either a plain `on_start` works, or the class is refused; an async one works in any case."""

    class Awaits(af.Supervisor):
        async def on_start(self):
            log.append("before")
            await super().on_start()
            log.append("after")

    any_system.spawn(af.child(Awaits, kid(log, "a")).options(name="awaits"))
    assert log == ["before", "start a", "after"]
    del log[:]
    try:

        class Plain(af.Supervisor):
            def on_start(self):
                super().on_start()
                log.append("after")

    except af.DefinitionError:
        return
    else:
        any_system.spawn(af.child(Plain, kid(log, "a")).options(name="plain"))
        assert set(log) == {"start a", "after"}


class AsyncStart(Failing):
    """Waits in an `async def on_start`, and fails at some of its starts."""

    async def on_start(self):
        await af.timer(0.01)
        Failing.on_start(self)
        self.log.append(f"up {self.name}")


def test_an_async_on_start_that_fails_keeps_the_mailbox_closed(any_system, log):
    any_system.spawn(tree(kid(log, "a", AsyncStart, 2, 3, backoff=af.Backoff(0.1, jitter=0)), intensity=5))
    a = find(any_system, "sup/a")
    a.cast(Worker.crash)
    asked = [a.call(Worker.ping) for _ in range(3)]

    def is_up():
        answered = any(future.done() for future in asked)
        up = log.count("up a") == 2  # looked at after the answers, which come later
        assert up or not answered
        return up

    until(is_up, any_system)
    assert [future.get(timeout=PATIENCE) for future in asked] == [4, 4, 4]
    assert log == ["start a", "up a", "fail a", "start a", "start a", "start a", "up a"]


def test_an_async_on_start_opens_the_mailbox_only_at_its_end(any_system, log, probe):
    for kind in (af.Started, af.Restarted):
        any_system.subscribe(kind, probe.ref)
    any_system.spawn(tree(kid(log, "a", AsyncStart)))
    a = find(any_system, "sup/a")
    a.cast(Worker.crash)
    a.cast(Worker.note, "handled")
    assert ping(a) == 2
    assert log == ["start a", "up a", "fail a", "start a", "up a", "handled"]
    seen = [probe.expect(within=PATIENCE) for _ in range(3)]
    assert [(type(event), event.ref.name) for event in seen] == [
        (af.Started, "a"),
        (af.Started, "sup"),
        (af.Restarted, "a"),
    ]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_nested_supervisor_that_cannot_start_again_answers_when_it_can(any_system, log, strategy):
    backoff = af.Backoff(0.1, jitter=0)
    inner = tree(kid(log, "x"), kid(log, "y", AsyncStart, 2), name="inner").options(backoff=backoff)
    any_system.spawn(tree(kid(log, "a", backoff=backoff), inner, strategy=strategy, intensity=5))
    ref = find(any_system, "sup/inner")
    find(any_system, "sup/a").cast(Worker.crash)
    ping(find(any_system, "sup/a"))
    assert [row.name for row in ref.call(af.Supervisor.which_children).get(timeout=PATIENCE)] == ["x", "y"]
    assert log[-1] == "up y"


@pytest.mark.parametrize("blocking", [False, True])
def test_a_failed_start_leaves_no_thread_timer_or_watch(any_system, log, blocking):
    class Makes(Worker):
        def on_start(self):
            super().on_start()
            self.ctx.watch(other)
            self.ctx.every(0.01, self.note, "tick")
            raise OSError("late")

    other = any_system.spawn(kid(log, "other"))
    with pytest.raises(OSError, match="late"):
        any_system.spawn(kid(log, "a", Makes, blocking=blocking))
    ping(other)
    assert other._cold is None or not other._cold.watchers
    assert log == ["start other", "start a"]
    if any_system.scheduler.is_virtual:
        any_system.sleep(0.0)  # the bound of the wait above goes with the next step
    assert not len(any_system.scheduler.timers)
    # the fixture's LeakCheck looks for threads


@pytest.mark.parametrize("why", ["its constructor fails", "its name is taken"])
def test_children_timers_and_watches_of_a_constructor_end_with_the_spawn_that_failed(any_system, log, why):
    class Parent(af.Actor):
        def __init__(self):
            super().__init__()
            self.ctx.spawn(kid(log, "child"))
            self.ctx.after(1000, self.stop)
            self.ctx.watch(other)
            if why == "its constructor fails":
                raise OSError("no port")

    other = any_system.spawn(kid(log, "other"))
    any_system.spawn(kid(log, "parent"))
    with pytest.raises((OSError, af.DefinitionError)):
        any_system.spawn(af.child(Parent).options(name="parent"))
    until(lambda: "stop child" in log, any_system)
    ping(other)
    assert other._cold is None or not other._cold.watchers
    if any_system.scheduler.is_virtual:
        any_system.sleep(0.0)  # the bound of the wait above goes with the next step
    assert not len(any_system.scheduler.timers)
