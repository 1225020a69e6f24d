"""OTP's four verbs: start_child, terminate_child, restart_child, which_children."""

from __future__ import annotations

import pytest

import actorflow as af
from tests.supervision.parts import PATIENCE, Failing, Worker, crash, ended, find, kid, ping, tree

Sup = af.Supervisor


def do(sup, verb, *args):
    return sup.call(verb, *args).get(timeout=PATIENCE)


@pytest.fixture
def sup(any_system, log):
    return any_system.spawn(tree(kid(log, "a"), kid(log, "b", restart="transient"), intensity=5))


def rows(sup):
    return [(row.name, row.status) for row in do(sup, Sup.which_children)]


def test_which_children_lists_them_in_start_order(any_system, sup):
    found = do(sup, Sup.which_children)
    assert [(row.name, row.actor_class, row.restart, row.status) for row in found] == [
        ("a", Worker, "permanent", "running"),
        ("b", Worker, "transient", "running"),
    ]
    assert [row.ref for row in found] == [find(any_system, "sup/a"), find(any_system, "sup/b")]


def test_start_child_starts_at_the_right_end_and_supervises(any_system, sup, log):
    ref = do(sup, Sup.start_child, kid(log, "c"))
    assert ref == find(any_system, "sup/c")
    assert rows(sup) == [("a", "running"), ("b", "running"), ("c", "running")]
    assert crash(ref) == 2
    sup.stop(timeout=PATIENCE)
    assert log[-3:] == ["stop c", "stop b", "stop a"]


def test_start_child_that_cannot_start_raises_and_leaves_nothing(sup, log):
    with pytest.raises(OSError, match="start 1 of c"):
        do(sup, Sup.start_child, kid(log, "c", Failing, 1))
    assert rows(sup) == [("a", "running"), ("b", "running")]


@pytest.mark.parametrize("wrong", [Worker, None, "a"])
def test_start_child_takes_recipes_only(sup, wrong):
    with pytest.raises(af.DefinitionError, match="af.child"):
        do(sup, Sup.start_child, wrong)


def test_start_child_of_a_taken_name_is_refused(sup, log):
    with pytest.raises(af.DefinitionError, match="unique"):
        do(sup, Sup.start_child, kid(log, "a"))
    do(sup, Sup.terminate_child, "a")
    with pytest.raises(af.DefinitionError, match="restart_child"):  # OTP: already_present
        do(sup, Sup.start_child, kid(log, "a"))
    assert rows(sup) == [("b", "running"), ("a", "terminated")]


def test_terminate_child_stops_it_for_good_and_restart_child_starts_a_new_actor(any_system, sup, log):
    old = find(any_system, "sup/a")
    assert do(sup, Sup.terminate_child, "a") is None
    assert not old.is_alive()
    assert log == ["start a", "start b", "stop a"]
    assert rows(sup) == [("b", "running"), ("a", "terminated")]
    row = do(sup, Sup.which_children)[1]
    assert (row.ref, row.actor_class, row.restart) == (None, Worker, "permanent")
    new = do(sup, Sup.restart_child, "a")
    assert new != old
    assert new == find(any_system, "sup/a")
    assert ping(new) == 2
    assert rows(sup) == [("b", "running"), ("a", "running")]


def test_a_terminated_child_is_not_restarted_with_its_siblings(any_system, log):
    sup = any_system.spawn(tree(kid(log, "a"), kid(log, "b"), strategy="one_for_all"))
    do(sup, Sup.terminate_child, "b")
    crash(find(any_system, "sup/a"))
    assert rows(sup) == [("a", "running"), ("b", "terminated")]


def test_terminate_child_of_a_temporary_child_keeps_no_recipe(sup, log):
    do(sup, Sup.start_child, kid(log, "t", restart="temporary"))
    do(sup, Sup.terminate_child, "t")
    assert rows(sup) == [("a", "running"), ("b", "running")]
    with pytest.raises(af.DefinitionError, match="no such child 't'"):
        do(sup, Sup.restart_child, "t")


@pytest.mark.parametrize("verb", [Sup.terminate_child, Sup.restart_child])
def test_unknown_names_are_refused_and_the_known_ones_named(sup, verb):
    with pytest.raises(af.DefinitionError, match="'z'.*a, b"):
        do(sup, verb, "z")


def test_restart_child_of_a_running_child_is_refused(sup):
    with pytest.raises(af.DefinitionError, match="call terminate_child first"):
        do(sup, Sup.restart_child, "a")


def test_restart_child_that_cannot_start_can_be_tried_again(any_system, log):
    sup = any_system.spawn(tree(kid(log, "a", Failing, 2)))
    do(sup, Sup.terminate_child, "a")
    with pytest.raises(OSError, match="start 2 of a"):
        do(sup, Sup.restart_child, "a")
    assert rows(sup) == [("a", "terminated")]
    assert ping(do(sup, Sup.restart_child, "a")) == 3


def test_terminate_child_ends_a_child_that_waits_for_its_restart(virtual_system, log):
    sup = virtual_system.spawn(tree(kid(log, "a", backoff=af.Backoff(60))))
    a = find(virtual_system, "sup/a")
    a.cast(Worker.crash)
    virtual_system.sleep(1)
    assert rows(sup) == [("a", "restarting")]
    do(sup, Sup.terminate_child, "a")
    ended(a)
    assert virtual_system.now == 1
    virtual_system.sleep(200)
    assert log == ["start a", "fail a"]
    assert ping(do(sup, Sup.restart_child, "a")) == 2


def test_started_children_are_gone_after_the_supervisors_own_restart(any_system, log):
    class Inner(af.Supervisor):
        def fall(self):
            raise ValueError("inner")

    inner = af.child(Inner, kid(log, "a")).options(name="inner")
    any_system.spawn(tree(inner, name="outer"))
    ref = find(any_system, "outer/inner")
    do(ref, Inner.start_child, kid(log, "extra"))
    do(ref, Inner.terminate_child, "a")
    ref.cast(Inner.fall)
    assert rows(ref) == [("a", "running")]
    assert any_system.find("/test/outer/inner/extra") is None
    assert log[-2:] == ["stop extra", "start a"]


def test_the_verbs_work_in_a_handler_of_another_actor(any_system, sup, log):
    class Admin(af.Actor):
        def swap(self, sup):
            sup.call(Sup.terminate_child, "a").get()
            return sup.call(Sup.start_child, kid(log, "c")).get()

    ref = any_system.spawn(Admin).call(Admin.swap, sup).get(timeout=PATIENCE)
    assert ping(ref) == 1
    assert rows(sup) == [("b", "running"), ("c", "running"), ("a", "terminated")]
