"""6.4 of the SCXML recommendation, for machines as classes: a child lives as long as the state that invokes it."""

from __future__ import annotations

from typing import Any

import pytest

import actorflow as af
from actorflow.machine import ChartActor, ChartBuilder


class Child(af.StateMachine):
    """Ends at "finish", with what it counted."""

    at_work, over = af.State(initial=True), af.State(final=True)

    def __init__(self, journal: list[str] | None = None) -> None:
        super().__init__()
        self.count = 0
        self.journal = [] if journal is None else journal

    def on_start(self) -> None:
        self.journal.append("child starts")

    def on_stop(self) -> None:
        self.journal.append("child stops")

    @at_work.stay
    def step(self, by: int = 1) -> None:
        self.count += by

    @at_work.to(over)
    def finish(self) -> None: ...

    @over.donedata
    def result(self) -> dict[str, int]:
        return {"count": self.count}

    @at_work.stay
    def crash(self) -> None:
        raise ValueError("child")


class Parent(af.StateMachine):
    """Invokes a child in "busy"."""

    idle, busy, good, bad = af.State(initial=True), af.State(), af.State(), af.State()

    def __init__(self, child: Any = None) -> None:
        super().__init__()
        self.got: Any = None
        self.log: list[str] = []

    @idle.to(busy)
    def go(self) -> None: ...

    @busy.invoke(Child, autoforward=True, finalize=lambda self, data=None: self.log.append(f"finalize {data}"))
    @busy.to(good)
    def child(self, result: Any) -> None:
        self.log.append("done")
        self.got = result

    @busy.to(bad, event="error.execution")
    def repair(self, error: Exception) -> None:
        self.got = error

    @busy.stay
    def step(self, by: int = 1) -> None: ...

    @(busy | good | bad).to(idle)
    def leave(self) -> None: ...

    def children(self) -> list[af.ActorRef[Any]]:
        children = self.actor_ref._children
        return [] if children is None else list(children.members.values())


def child_of(parent: af.ActorRef[Any]) -> Any:
    (child,) = parent.call(Parent.children).get()
    return child


def until(system: Any, condition: Any) -> None:
    """Let the system go on until something holds."""
    for _ in range(1_000):
        if condition():
            return
        system.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_6_4_done_invoke_has_the_childs_donedata(virtual_system):
    parent = virtual_system.spawn(Parent)
    parent.call(Parent.go).get()
    child = child_of(parent)
    child.call(Child.step, 4).get()
    child.call(Child.finish).get()
    until(virtual_system, lambda: parent.state == "good")
    assert parent.proxy().got.get() == {"count": 4}
    until(virtual_system, lambda: not child.is_alive())


def test_6_4_leaving_the_state_ends_the_child_and_its_late_news_are_dropped(virtual_system):
    parent = virtual_system.spawn(Parent)
    for _ in range(3):
        parent.call(Parent.go).get()
        child = child_of(parent)
        child.call(Child.step).get()
        parent.call(Parent.leave).get()
        until(virtual_system, lambda child=child: not child.is_alive())
        assert parent.state == "idle"
    assert virtual_system.dead_letters == 3  # "leave" was forwarded to each child, which refused it


def test_6_4_a_state_that_is_left_in_the_same_macrostep_starts_no_child(virtual_system):
    class Hasty(Parent):
        @Parent.busy.always(Parent.good)
        def hurry(self) -> None: ...

    parent = virtual_system.spawn(Hasty)
    parent.call(Parent.go).get()
    assert (parent.state, parent.call(Parent.children).get()) == ("good", [])


def test_6_4_autoforward_gives_the_child_each_external_event_in_order(virtual_system):
    parent = virtual_system.spawn(Parent)
    parent.call(Parent.go).get()
    child = child_of(parent)
    for by in (1, 10, 100):
        for _ in range(70):  # also in the common step
            parent.call(Parent.step, by).get()
    until(virtual_system, lambda: child.proxy().count.get() == 70 * 111)


def test_6_4_autoforward_comes_also_with_events_that_the_parent_refuses(virtual_system):
    class Deaf(Parent):
        @Parent.idle.stay
        def step(self, by: int = 1) -> None: ...

    parent = virtual_system.spawn(Deaf)
    parent.call(Parent.go).get()
    child = child_of(parent)
    for _ in range(130):
        with pytest.raises(af.TransitionRefused):
            parent.call(Parent.step).get()
    until(virtual_system, lambda: child.proxy().count.get() == 130)


def test_6_5_finalize_runs_on_the_childs_events_before_a_transition_is_selected(virtual_system):
    parent = virtual_system.spawn(Parent)
    parent.call(Parent.go).get()
    parent.call(Parent.step).get()
    child_of(parent).call(Child.finish).get()
    until(virtual_system, lambda: parent.state == "good")
    assert parent.proxy().log.get() == ["finalize {'count': 1}", "done"]


def test_a_child_that_crashes_is_error_execution_with_its_cause(virtual_system):
    parent = virtual_system.spawn(Parent)
    parent.call(Parent.go).get()
    child_of(parent).cast(Child.crash)
    until(virtual_system, lambda: parent.state == "bad")
    assert str(parent.proxy().got.get()) == "child"


def test_a_child_that_crashes_and_that_nobody_handles_is_a_crash_of_the_parent(virtual_system, probe):
    class Careless(Parent):
        repair = None

    virtual_system.subscribe(af.Stopped, probe.ref)
    parent = virtual_system.spawn(Careless)
    parent.call(Parent.go).get()
    child_of(parent).cast(Child.crash)
    assert str(probe.expect(af.Stopped).reason) == "child"
    assert str(probe.expect(af.Stopped).reason) == "child"
    assert not parent.is_alive()


def test_a_child_that_cannot_be_started_is_error_execution(virtual_system):
    class Unable(af.Actor):
        def __init__(self) -> None:
            raise ValueError("unable")

    class Hopeful(Parent):
        @Parent.busy.invoke(Unable)
        @Parent.busy.to(Parent.good)
        def child(self, result: object) -> None: ...

    parent = virtual_system.spawn(Hopeful)
    parent.call(Parent.go).get()
    assert (parent.state, str(parent.proxy().got.get())) == ("bad", "unable")


def test_any_actor_can_be_invoked_and_its_end_is_done_invoke_without_data(virtual_system):
    class Plain(af.Actor):
        def quit(self) -> None:
            self.stop()

    class Hiring(Parent):
        @Parent.busy.invoke(af.child(Plain))
        @Parent.busy.to(Parent.good)
        def child(self, result: object) -> None:
            self.got = ["ended", result]

    parent = virtual_system.spawn(Hiring)
    parent.call(Parent.go).get()
    child_of(parent).cast(Plain.quit)
    until(virtual_system, lambda: parent.state == "good")
    assert parent.proxy().got.get() == ["ended", None]


def test_a_chart_can_be_invoked(virtual_system):
    inner = ChartBuilder("inner").add_state("a", initial=True).add_state("f", final=True, donedata=lambda model: 9)
    inner.add_transition("a", "finish", "f")

    class Outer(Parent):
        @Parent.busy.invoke(inner.build())
        @Parent.busy.to(Parent.good)
        def child(self, result: object) -> None:
            self.got = result

    parent = virtual_system.spawn(Outer)
    parent.call(Parent.go).get()
    child = child_of(parent)
    assert child.actor_class is ChartActor
    child.send("finish").get()
    until(virtual_system, lambda: parent.state == "good")
    assert parent.proxy().got.get() == 9


def test_a_child_whose_donedata_fails_is_done_all_the_same(virtual_system, caplog):
    class Failing(Child):
        def result(self) -> dict[str, int]:
            raise ValueError("donedata")

    class Wide(Parent):
        @Parent.busy.invoke(Failing)
        @Parent.busy.to(Parent.good)
        def child(self, result: object) -> None:
            self.got = ["done", result]

    parent = virtual_system.spawn(Wide)
    parent.call(Parent.go).get()
    child_of(parent).call(Child.finish).get()
    until(virtual_system, lambda: parent.state == "good")
    assert parent.proxy().got.get() == ["done", None]
    assert "donedata" in caplog.text


def test_children_end_with_their_parent_and_at_its_final_state(virtual_system):
    class Outer(af.StateMachine):
        on, off = af.State(initial=True), af.State(final=True)

        @on.invoke(Child)
        def child(self, result: object) -> None: ...

        @on.to(off)
        def quit(self) -> None: ...

        def children(self) -> list[Any]:
            return Parent.children(self)

    for end in (lambda ref: ref.stop(), lambda ref: ref.call(Outer.quit).get()):
        outer = virtual_system.spawn(Outer)
        child = child_of(outer)
        assert child.is_alive()
        end(outer)
        until(virtual_system, lambda child=child: not child.is_alive())


def test_an_interpreter_without_an_actor_says_that_children_are_actors():
    machine = af.Interpreter(Parent.chart, Parent())
    machine.send("go")
    assert machine.state == "bad"
    assert isinstance(machine.model.got, af.DefinitionError)
    assert "children are actors: spawn the machine as an actor" in str(machine.model.got)
