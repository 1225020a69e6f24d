"""Strategies: who is restarted with a crashed child, and in which order."""

from __future__ import annotations

import pytest

import actorflow as af
from tests.supervision.parts import crash, find, kid, ping, tree


def three(log, strategy):
    return tree(*(kid(log, name) for name in "abc"), strategy=strategy, intensity=3)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_children_start_left_to_right_and_stop_right_to_left(any_system, log, strategy):
    sup = any_system.spawn(three(log, strategy))
    assert sup.stop(timeout=20) is True
    assert log == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["fail b", "start b"]),
        ("one_for_all", ["fail b", "stop c", "stop a", "start a", "start b", "start c"]),
        ("rest_for_one", ["fail b", "stop c", "start b", "start c"]),
    ],
)
def test_strategy_says_who_is_restarted_stops_right_to_left_starts_left_to_right(any_system, log, strategy, expected):
    any_system.spawn(three(log, strategy))
    a, b, c = (find(any_system, f"sup/{name}") for name in "abc")
    del log[:]
    b.cast(b.actor_class.crash)
    again = [ping(ref) for ref in (b, a, c)]
    assert log == expected
    assert again == [int(f"start {name}" in expected) for name in "bac"]


@pytest.mark.parametrize(("strategy", "restarted"), [("rest_for_one", "c"), ("one_for_all", "abc")])
def test_last_child_takes_only_those_with_it_that_the_strategy_names(any_system, log, strategy, restarted):
    any_system.spawn(three(log, strategy))
    crash(find(any_system, "sup/c"))
    numbers = [ping(find(any_system, f"sup/{name}")) for name in "abc"]
    assert numbers == [2 if name in restarted else 1 for name in "abc"]


def test_refs_of_restarted_siblings_stay_valid_and_keep_their_mailbox(virtual_system, log):
    virtual_system.spawn(three(log, "one_for_all"))
    a, b = find(virtual_system, "sup/a"), find(virtual_system, "sup/b")
    a.cast(a.actor_class.crash)
    queued = [b.call(b.actor_class.sleep, 1), b.call(b.actor_class.ping), b.call(b.actor_class.ping)]
    with pytest.raises(af.ActorDeadError):
        queued[0].get(timeout=60)  # its handler was woken with Stopping
    assert [future.get(timeout=60) for future in queued[1:]] == [2, 2]
    assert find(virtual_system, "sup/b") is b


def test_transient_sibling_that_lives_is_restarted_with_the_others(any_system, log):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b", restart="transient"), strategy="one_for_all"))
    crash(find(any_system, "sup/a"))
    assert ping(find(any_system, "sup/b")) == 2


def test_temporary_sibling_is_stopped_with_the_others_but_not_restarted(any_system, log):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b", restart="temporary"), strategy="one_for_all"))
    b = find(any_system, "sup/b")
    crash(find(any_system, "sup/a"))
    assert not b.is_alive()
    assert log == ["start a", "start b", "fail a", "stop b", "start a"]
    assert any_system.find("/test/sup/b") is None


def test_crash_of_a_temporary_child_leaves_its_siblings_alone(any_system, log):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b", restart="temporary"), strategy="one_for_all", intensity=0))
    b = find(any_system, "sup/b")
    b.cast(b.actor_class.crash)
    assert b.actor_stopped.wait(20)
    assert ping(find(any_system, "sup/a")) == 1


def test_normal_end_of_a_permanent_child_restarts_by_the_strategy_too(any_system, log):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b"), strategy="one_for_all"))
    a, b = find(any_system, "sup/a"), find(any_system, "sup/b")
    a.call(a.actor_class.end).get(timeout=20)
    while ping(a) == 1:  # the stop is a message behind the call
        pass
    assert ping(b) == 2
    assert log == ["start a", "start b", "stop a", "stop b", "start a", "start b"]


def test_unknown_strategy_is_refused_where_the_tree_is_spawned(any_system, log):
    with pytest.raises(af.DefinitionError, match="one_for_most"):
        any_system.spawn(tree(kid(log, "a"), strategy="one_for_most"))
    assert log == []


def test_a_child_that_is_no_recipe_is_refused(any_system):
    with pytest.raises(af.DefinitionError, match="af.child"):
        any_system.spawn(af.child(af.Supervisor, object))
    with pytest.raises(af.DefinitionError, match="no actor class"):
        af.child(dict)
