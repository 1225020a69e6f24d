"""The tree: names, paths, `find`, and a picture of what runs."""

import pytest

import actorflow as af
from tests.core.actors import Echo, Held, Log, hold


class Parent(af.Actor):
    def __init__(self, *names):
        super().__init__()
        self.names = names

    def on_start(self):
        for name in self.names:
            self.ctx.spawn(af.child(Log).options(name=name))

    def add(self, child):
        return self.ctx.spawn(child)


def parent(system, *names, name="parent"):
    return system.spawn(af.child(Parent, *names).options(name=name))


def test_paths_are_system_parents_and_name(any_system):
    ref = parent(any_system, "a")
    child = ref.call(Parent.add, af.child(Parent, "deep").options(name="b")).get(timeout=20)
    assert (ref.name, ref.path) == ("parent", "/test/parent")
    assert (child.name, child.path) == ("b", "/test/parent/b")
    assert child.parent == ref
    assert ref.parent is None
    assert any_system.find("/test/parent/b/deep").path == "/test/parent/b/deep"


def test_actors_without_a_name_are_called_after_their_class_and_a_number(any_system):
    first, second = any_system.spawn(Log), any_system.spawn(Log)
    assert first.name == "log-1"
    assert second.name == "log-2"
    assert any_system.find("/test/log-2") is second


def test_find_returns_the_living_ref_or_none(any_system):
    ref = parent(any_system, "a")
    assert any_system.find("/test/parent") is ref
    for path in (
        "",
        "/",
        "/test",
        "/other/parent",
        "test/parent",
        "/test/parent/x",
        "/test/parent/a/b",
        "/test/log-99",
        "/test/x-1",
    ):
        assert any_system.find(path) is None, path
    ref.stop(timeout=20)
    assert any_system.find("/test/parent") is None
    assert any_system.find("/test/parent/a") is None


def test_find_checks_the_class_when_it_is_given(any_system):
    ref = any_system.spawn(af.child(Held).options(name="held"))
    assert any_system.find("/test/held", Held) is ref
    assert any_system.find("/test/held", Log) is ref  # a subclass is fine
    with pytest.raises(af.DefinitionError, match="is of class Held, not Echo"):
        any_system.find("/test/held", Echo)


def test_a_name_can_be_taken_again_by_another_actor(any_system):
    first = any_system.spawn(af.child(Log).options(name="x"))
    first.stop(timeout=20)
    second = any_system.spawn(af.child(Log).options(name="x"))
    assert first != second
    assert first.path == second.path
    assert any_system.find("/test/x") is second
    assert not first.is_alive()


def test_names_are_unique_among_siblings_only(any_system):
    parent(any_system, "x", name="a")
    parent(any_system, "x", name="b")
    with pytest.raises(af.DefinitionError, match="named 'x' already"):
        any_system.find("/test/a").call(Parent.add, af.child(Log).options(name="x")).get(timeout=20)
    assert any_system.find("/test/a/x") != any_system.find("/test/b/x")


def test_the_tree_shows_children_in_start_order_with_status_and_queue(any_system):
    parent(any_system, "b", "a")
    held = any_system.spawn(af.child(Held).options(name="held"))
    gate, answer = hold(held)
    for number in range(3):
        held.tell(number)
    any_system.spawn(Echo).ask("they are queued", timeout=20)
    tree = any_system.tree()
    first, second = tree.children[:2]
    assert (tree.name, tree.path) == ("test", "/test")
    assert (first.name, first.actor_class, first.status) == ("parent", "Parent", "idle")
    assert [child.name for child in first.children] == ["b", "a"]
    assert first.children[0].path == "/test/parent/b"
    assert (second.name, second.status, second.queued) == ("held", "busy", 3)
    gate.set()
    answer.get(timeout=20)


def test_the_tree_counts_the_messages_of_a_bounded_mailbox(any_system):
    held = any_system.spawn(af.child(Held).options(name="held", capacity=5))
    gate, answer = hold(held)
    for number in range(3):
        held.tell(number)
    any_system.spawn(Echo).ask("they are queued", timeout=20)
    assert any_system.tree().children[0].queued == 3
    gate.set()
    answer.get(timeout=20)


def test_the_tree_prints(any_system):
    parent(any_system, "a", "b")
    any_system.spawn(af.child(Log).options(name="log"))
    assert str(any_system.tree()).splitlines() == [
        "test",
        "├─ parent  Parent (idle)",
        "│  ├─ a  Log (idle)",
        "│  └─ b  Log (idle)",
        "└─ log  Log (idle)",
    ]


def test_children_stop_before_their_parent(any_system):
    order = []

    class Noting(Parent):
        def on_stop(self):
            order.append(self.actor_ref.path)

        def on_start(self):
            for name in self.names:
                self.ctx.spawn(af.child(Noting).options(name=name))

    ref = any_system.spawn(af.child(Noting, "a", "b").options(name="top"))
    assert ref.stop(timeout=20)
    assert order == ["/test/top/b", "/test/top/a", "/test/top"]


def test_children_stop_when_their_parent_crashes(any_system):
    class Crashing(Parent):
        def crash(self):
            raise ZeroDivisionError

    ref = any_system.spawn(af.child(Crashing, "a").options(name="top"))
    child = any_system.find("/test/top/a")
    ref.cast(Crashing.crash)
    assert child.actor_stopped.wait(20)
    assert ref.actor_stopped.wait(20)
