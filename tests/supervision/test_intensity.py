"""Restart intensity: how many restarts are fine, and where it ends when they are not."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.supervision.parts import PATIENCE, Worker, crash, ended, find, kid, ping, tree


def run_to_the_end(system) -> af.RestartLimitReached:
    """Return the error that `run` ends with."""
    with pytest.raises(af.RestartLimitReached) as caught:
        system.run()
    return caught.value


def test_one_restart_in_five_seconds_is_fine_by_default(log):
    system = VirtualSystem()
    system.spawn(tree(kid(log, "a")))
    a = find(system, "sup/a")
    for wait in (0, 5.1, 5.1):
        system.sleep(wait)
        crash(a)
    assert ping(a) == 4
    system.sleep(4.9)
    a.cast(Worker.crash)
    assert run_to_the_end(system).path == "/test/sup"
    assert log.count("start a") == 4


def test_second_crash_within_the_period_ends_the_supervisor_and_the_system(system_class, log):
    system = system_class("test")
    system.spawn(tree(kid(log, "a"), kid(log, "b"), period=60))
    a = find(system, "sup/a")
    crash(a)
    a.cast(Worker.crash)
    error = run_to_the_end(system)
    assert error.path == "/test/sup"
    assert [(path, type(why)) for _, path, why in error.history] == [("/test/sup/a", ValueError)] * 2
    assert "/test/sup" in str(error)
    assert "ValueError" in str(error)
    assert isinstance(error.__cause__, ValueError)
    assert log == ["start a", "start b", "fail a", "start a", "fail a", "stop b"]


def test_it_is_raised_at_the_end_of_the_with_block(system_class, log):
    with pytest.raises(af.RestartLimitReached):
        with system_class("test") as system:
            sup = system.spawn(tree(kid(log, "a"), intensity=0))
            find(system, "sup/a").cast(Worker.crash)
            ended(sup)


def test_an_error_in_the_block_comes_before_it(system_class, log):
    with pytest.raises(KeyError):
        with system_class("test") as system:
            sup = system.spawn(tree(kid(log, "a"), intensity=0))
            find(system, "sup/a").cast(Worker.crash)
            ended(sup)
            raise KeyError


def test_crashes_of_all_children_count_together(system_class, log):
    system = system_class("test")
    system.spawn(tree(*(kid(log, name) for name in "abc"), intensity=2, period=60))
    a, b, c = (find(system, f"sup/{name}") for name in "abc")
    crash(a)
    crash(b)
    c.cast(Worker.crash)
    assert len(run_to_the_end(system).history) == 3
    assert log.count("start c") == 1


def test_a_restart_of_many_siblings_counts_once(any_system, log):
    any_system.spawn(tree(*(kid(log, name) for name in "abcd"), strategy="one_for_all", intensity=1))
    assert crash(find(any_system, "sup/a")) == 2
    assert [ping(find(any_system, f"sup/{name}")) for name in "bcd"] == [2, 2, 2]


def test_normal_ends_of_permanent_children_count_and_are_in_the_history(system_class, log):
    system = system_class("test")
    system.spawn(tree(kid(log, "a"), intensity=0))
    find(system, "sup/a").cast(Worker.end)
    assert [(path, why) for _, path, why in run_to_the_end(system).history] == [("/test/sup/a", None)]


def test_crashes_of_temporary_children_do_not_count(any_system, log):
    any_system.spawn(tree(kid(log, "a"), intensity=0))
    sup = find(any_system, "sup")
    for n in range(5):
        recipe = kid(log, f"t{n}", restart="temporary")
        ref = sup.call(af.Supervisor.start_child, recipe).get(timeout=PATIENCE)
        ref.cast(Worker.crash)
        ended(ref)
    assert sup.is_alive()
    assert ping(find(any_system, "sup/a")) == 1


def test_escalation_is_a_crash_to_the_parent_supervisor_which_restarts_the_subtree(any_system, log):
    inner = tree(kid(log, "a"), kid(log, "b"), name="inner", intensity=0)
    any_system.spawn(tree(inner, kid(log, "c"), name="outer", intensity=1))
    inner_ref, c = find(any_system, "outer/inner"), find(any_system, "outer/c")
    old = find(any_system, "outer/inner/a")
    old.cast(Worker.crash)
    ended(old)
    inner_ref.call(af.Supervisor.which_children).get(timeout=PATIENCE)
    assert find(any_system, "outer/inner") is inner_ref
    assert ping(find(any_system, "outer/inner/a")) == 2
    assert ping(c) == 1
    assert log == ["start a", "start b", "start c", "fail a", "stop b", "start a", "start b"]


def test_escalation_goes_up_level_by_level(system_class, log):
    system = system_class("test")
    inner = tree(kid(log, "a"), name="inner", intensity=0)
    middle = tree(inner, name="middle", intensity=0)
    system.spawn(tree(middle, kid(log, "z"), name="outer", intensity=0))
    find(system, "outer/middle/inner/a").cast(Worker.crash)
    error = run_to_the_end(system)
    chain = []
    while error is not None:
        chain.append(getattr(error, "path", type(error)))
        error = error.__cause__
    assert chain == ["/test/outer", "/test/outer/middle", "/test/outer/middle/inner", ValueError]
    assert log[-1] == "stop z"


def test_a_supervisor_restarted_by_its_parent_counts_from_zero_again(any_system, log):
    any_system.spawn(tree(tree(kid(log, "a"), name="inner", intensity=1), name="outer", intensity=1))
    inner = find(any_system, "outer/inner")
    for _ in range(2):
        ref = find(any_system, "outer/inner/a")
        ref.cast(Worker.crash)
        inner.call(af.Supervisor.which_children).get(timeout=PATIENCE)
        while ref.is_alive() and log.count("start a") == log.count("fail a"):
            inner.call(af.Supervisor.which_children).get(timeout=PATIENCE)
    while log.count("start a") < 3:
        inner.call(af.Supervisor.which_children).get(timeout=PATIENCE)
    assert crash(find(any_system, "outer/inner/a")) == 4


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_directly_under_the_system_it_ends_the_system_whatever_the_supervisors_kind(system_class, log, restart):
    system = system_class("test", settings=af.Settings(intensity=5))
    system.spawn(tree(kid(log, "a"), intensity=0).options(restart=restart))
    find(system, "sup/a").cast(Worker.crash)
    assert run_to_the_end(system).path == "/test/sup"


def test_restartable_children_of_the_system_share_the_settings(log):
    system = VirtualSystem(settings=af.Settings(intensity=2, period=10))
    a, b = (system.spawn(kid(log, name, restart="permanent")) for name in "ab")
    crash(a)
    crash(b)
    system.sleep(10.1)
    crash(a)
    crash(a)
    b.cast(Worker.crash)
    error = run_to_the_end(system)
    assert error.path == "/test"
    assert len(error.history) == 3
    assert (log.count("start a"), log.count("start b")) == (4, 2)


def test_restartable_children_of_a_plain_actor_share_its_class_keywords(log):
    class Parent(Worker, intensity=2, period=10):
        def on_start(self):
            super().on_start()
            for name in "ab":
                self.ctx.spawn(kid(self.log, name, restart="permanent"))

    with VirtualSystem() as system:
        parent = system.spawn(tree(kid(log, "p", Parent)))
        a, b = find(system, "sup/p/a"), find(system, "sup/p/b")
        crash(a)
        crash(b)
        assert ping(find(system, "sup/p")) == 1
        system.sleep(10.1)
        crash(a)
        crash(b)
        assert log[-1] == "start b"
        a.cast(Worker.crash)  # the third within ten seconds: a crash of the parent, whose supervisor restarts it
        system.sleep(0.1)
        assert ping(find(system, "sup/p")) == 2
        assert not a.is_alive()
        assert log[-5:] == ["fail p", "stop b", "start p", "start a", "start b"]
        assert parent.is_alive()


def test_open_asks_get_actor_dead_error_with_the_limit_as_cause(system_class, log):
    system = system_class("test")
    system.spawn(tree(kid(log, "a"), kid(log, "b"), intensity=0))
    a, b = find(system, "sup/a"), find(system, "sup/b")
    gate = af.Future()
    a.cast(Worker.hold, gate)  # so that all that follows is queued before the crash
    a.cast(Worker.crash)
    open_asks = [a.call(Worker.ping), b.call(Worker.sleep, 60), b.call(Worker.ping)]
    gate.set()
    limit = run_to_the_end(system)
    for future in open_asks:
        with pytest.raises(af.ActorDeadError) as caught:
            future.get(timeout=PATIENCE)
        assert caught.value.__cause__ is limit


@pytest.mark.parametrize("rules", [{"intensity": -1}, {"period": 0}, {"period": -1.0}])
def test_rules_that_make_no_sense_are_refused(any_system, log, rules):
    with pytest.raises(af.DefinitionError, match=next(iter(rules))):
        any_system.spawn(tree(kid(log, "a"), **rules))


@pytest.mark.parametrize("keywords", [{"intensity": -1}, {"period": 0}])
def test_class_keywords_that_make_no_sense_are_refused_at_the_class(keywords):
    with pytest.raises(af.DefinitionError, match=next(iter(keywords))):
        type("Parent", (af.Actor,), {}, **keywords)


def test_class_keywords_of_a_supervisor_are_its_defaults(log):
    class Patient(af.Supervisor, intensity=3, period=60):
        pass

    with pytest.raises(af.RestartLimitReached), VirtualSystem() as system:
        system.spawn(af.child(Patient, kid(log, "a")).options(name="sup"))
        a = find(system, "sup/a")
        for _ in range(3):
            crash(a)
            system.sleep(10)
        a.cast(Worker.crash)
        ended(a)
    assert log.count("start a") == 4


def test_reason_of_the_child_that_broke_the_limit_is_its_own_error(log):
    with pytest.raises(af.RestartLimitReached), VirtualSystem() as system:
        stopped = []
        system.subscribe(af.Stopped, stopped.append)
        system.spawn(tree(kid(log, "a"), kid(log, "b"), intensity=0))
        find(system, "sup/a").cast(Worker.crash)
        system.sleep(0)
    assert [(event.ref.name, type(event.reason)) for event in stopped] == [
        ("a", ValueError),
        ("b", type(None)),
        ("sup", af.RestartLimitReached),
    ]
