"""Races: several crashes, stops and restarts at once; under FIFO and many seeds on virtual time, and on threads."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.supervision.parts import PATIENCE, Worker, crash, ended, find, kid, ping, tree

SEEDS = [None, *range(60)]
STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]


class SlowAgain(Worker):
    """Takes a minute to start again."""

    def on_start(self):
        super().on_start()
        if self.ping() > 1:
            self.ctx.sleep(60)


class SlowEnd(Worker):
    """Takes a second to end, and crashes its sibling meanwhile if it is told to."""

    victim = None

    def on_stop(self):
        super().on_stop()
        if self.victim is not None and self.victim.is_alive():
            self.victim.cast(Worker.crash)
        self.ctx.sleep(1)

    def aim(self, ref):
        self.victim = ref


def balanced(log, name) -> bool:
    """Say whether each start of the child was followed by one end before the next."""
    mine = [line.split()[0] for line in log if line.endswith(f" {name}")]
    return mine[::2] == ["start"] * len(mine[::2]) and set(mine[1::2]) <= {"stop", "fail"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_crashes_at_once_leave_all_children_running(strategy):
    for seed in SEEDS:
        log: list[str] = []
        with VirtualSystem(seed=seed) as system:
            system.spawn(tree(*(kid(log, name) for name in "abc"), strategy=strategy, intensity=10))
            refs = [find(system, f"sup/{name}") for name in "abc"]
            refs[0].cast(Worker.crash)
            refs[2].cast(Worker.crash)
            system.sleep(1)
            assert all(ping(ref) >= 1 for ref in refs), (seed, log)
        assert all(balanced(log, name) for name in "abc"), (seed, log)
        starts = [log.count(f"start {name}") for name in "abc"]
        assert starts[0] >= 2, (seed, log)
        assert starts[2] >= 2, (seed, log)
        assert strategy != "one_for_one" or starts == [2, 1, 2], (seed, log)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stop_of_the_supervisor_at_the_time_of_a_crash_takes_no_time(strategy):
    for seed in SEEDS:
        log: list[str] = []
        with VirtualSystem(seed=seed) as system:
            sup = system.spawn(tree(*(kid(log, name) for name in "abc"), strategy=strategy, intensity=10))
            find(system, "sup/a").cast(Worker.crash)
            sup.stop()
            assert system.now == 0, (seed, log)
            assert system.scheduler.abandoned == 0, (seed, log)
        assert all(balanced(log, name) for name in "abc"), (seed, log)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stop_of_the_system_at_the_time_of_a_crash_takes_no_time(strategy):
    for seed in SEEDS:
        log: list[str] = []
        system = VirtualSystem(seed=seed)
        system.spawn(tree(*(kid(log, name) for name in "abc"), strategy=strategy, intensity=10))
        find(system, "sup/a").cast(Worker.crash)
        system.stop()
        assert (system.now, system.scheduler.abandoned) == (0, 0), (seed, log)
        assert all(balanced(log, name) for name in "abc"), (seed, log)


def test_terminate_child_at_the_time_of_a_siblings_crash_ends_it_once():
    for seed in SEEDS:
        log: list[str] = []
        with VirtualSystem(seed=seed) as system:
            sup = system.spawn(tree(*(kid(log, name) for name in "abc"), strategy="one_for_all", intensity=10))
            b = find(system, "sup/b")
            find(system, "sup/a").cast(Worker.crash)
            sup.call(af.Supervisor.terminate_child, "b").get(timeout=PATIENCE)
            assert not b.is_alive(), (seed, log)
            assert [ping(find(system, f"sup/{name}")) for name in "ac"] == [2, 2], (seed, log)
            assert system.now == 0, (seed, log)
        assert all(balanced(log, name) for name in "abc"), (seed, log)


def test_asks_sent_around_a_crash_are_all_answered():
    for seed in SEEDS:
        log: list[str] = []
        with VirtualSystem(seed=seed) as system:
            system.spawn(tree(kid(log, "a"), kid(log, "b"), strategy="one_for_all", intensity=10))
            refs = [find(system, f"sup/{name}") for name in "ab"]
            asked = [ref.call(Worker.ping) for ref in refs]
            refs[0].cast(Worker.crash)
            asked += [ref.call(Worker.ping) for ref in refs * 3]
            assert {future.get(timeout=PATIENCE) for future in asked} <= {1, 2}, (seed, log)


def test_crash_during_the_shutdown_of_siblings_is_restarted_once(virtual_system, log):
    children = [kid(log, "a"), kid(log, "b"), kid(log, "c", SlowEnd)]
    virtual_system.spawn(tree(*children, strategy="one_for_all", intensity=2))
    a, b, c = (find(virtual_system, f"sup/{name}") for name in "abc")
    c.call(SlowEnd.aim, b).get()
    assert crash(a) == 2
    assert [ping(b), ping(c)] == [2, 2]
    assert log == ["start a", "start b", "start c", "fail a", "stop c", "fail b", "start a", "start b", "start c"]


def test_crash_during_the_end_of_the_supervisor_is_not_restarted(virtual_system, log):
    sup = virtual_system.spawn(tree(kid(log, "a"), kid(log, "b"), kid(log, "c", SlowEnd)))
    a, c = find(virtual_system, "sup/a"), find(virtual_system, "sup/c")
    c.call(SlowEnd.aim, a).get()
    sup.stop()
    assert log == ["start a", "start b", "start c", "stop c", "fail a", "stop b"]


def test_siblings_are_started_though_one_is_terminated_during_its_restart(virtual_system, log):
    sup = virtual_system.spawn(tree(kid(log, "a"), kid(log, "b", SlowAgain), kid(log, "c"), strategy="one_for_all"))
    c = find(virtual_system, "sup/c")
    find(virtual_system, "sup/a").cast(Worker.crash)
    virtual_system.sleep(1)
    sup.call(af.Supervisor.terminate_child, "b").get(timeout=PATIENCE)
    assert ping(c) == 2
    assert virtual_system.now == 1


def test_a_stale_escalation_does_not_crash_the_next_incarnation(virtual_system, log):
    class Busy(Worker, intensity=0):
        def on_start(self):
            super().on_start()
            self.ctx.spawn(kid(self.log, "k", restart="permanent"))

        def busy(self):
            try:
                self.ctx.sleep(60)
            except af.Stopping:
                self.log.append("woken")

    virtual_system.spawn(tree(kid(log, "a"), kid(log, "b", Busy), strategy="one_for_all"))
    b = find(virtual_system, "sup/b")
    b.cast(Busy.busy)
    virtual_system.sleep(1)
    find(virtual_system, "sup/b/k").cast(Worker.crash)  # b is to crash, after its handler
    virtual_system.sleep(1)
    find(virtual_system, "sup/a").cast(Worker.crash)  # but is restarted before
    virtual_system.sleep(1)
    assert ping(b) == 2
    assert log.count("fail b") == 0


def test_system_stop_during_a_restart_on_threads_ends_soon(log):
    for _ in range(20):
        with af.ActorSystem("test", settings=af.Settings(grace=60)) as system:
            children = (kid(log, name, shutdown=60) for name in "abc")
            system.spawn(tree(*children, strategy="one_for_all", intensity=10))
            find(system, "sup/b").cast(Worker.crash)
        assert system.scheduler.abandoned == 0


def test_a_deep_tree_starts_escalates_and_stops(any_system, log):
    depth = 20
    recipe = kid(log, "leaf")
    for level in range(depth):
        recipe = tree(recipe, kid(log, f"k{level}"), name=f"s{level}", intensity=0)
    top = any_system.spawn(tree(recipe, name="top", intensity=5))
    path = "top/" + "/".join(f"s{level}" for level in reversed(range(depth)))
    leaf = find(any_system, f"{path}/leaf")
    assert log == ["start leaf"] + [f"start k{level}" for level in range(depth)]
    leaf.cast(Worker.crash)  # each level has intensity 0: up to the top, which starts all of it again
    ended(leaf)
    while log.count(f"start k{depth - 1}") < 2:
        top.call(af.Supervisor.which_children).get(timeout=PATIENCE)
    assert ping(find(any_system, f"{path}/leaf")) == 2
    top.stop(timeout=PATIENCE)
    assert log[-depth - 1 :] == [f"stop k{level}" for level in reversed(range(depth))] + ["stop leaf"]


def test_a_wide_tree_restarts_all_of_many(any_system, log):
    names = [f"n{n}" for n in range(300)]
    any_system.spawn(tree(*(kid(log, name) for name in names), strategy="one_for_all"))
    crash(find(any_system, "sup/n150"))
    assert ping(find(any_system, "sup/n299")) == 2
    assert log[300:] == (
        ["fail n150"]
        + [f"stop {name}" for name in reversed(names) if name != "n150"]
        + [f"start {name}" for name in names]
    )
