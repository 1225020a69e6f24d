"""What is wrong with an interpreter's or a machine's arguments is an error of ours, where it is given."""

from __future__ import annotations

import copy

import pytest

import actorflow as af
from actorflow.machine import ChartActor, Event


class Door(af.StateMachine):
    shut, open = af.State(initial=True), af.State()

    @shut.to(open)
    def push(self) -> None: ...

    @open.to(shut)
    def pull(self) -> None: ...


CHART = {
    "name": "door",
    "initial": "shut",
    "states": {"shut": {"on": {"push": {"target": "open", "guard": "may", "actions": ["act"]}}, "exit": ["leave"]},
               "open": {"on": {"pull": "shut"}, "enter": ["arrive"]}},
}  # fmt: skip


class Model:
    def may(self) -> bool:
        return True

    def act(self) -> None: ...

    def leave(self) -> None: ...

    def arrive(self) -> None: ...


@pytest.mark.parametrize("name", ["may", "act", "leave", "arrive"])
def test_async_methods_and_generators_of_a_model_are_refused_with_the_cure(any_system, name):
    async def later(self) -> bool:
        return True

    def step_by_step(self):
        yield True

    chart = af.Chart.from_dict(CHART)
    for function, text in ((later, "it is async, and a step of a machine runs to its end"), (step_by_step, "a yield")):
        model = type("Late", (Model,), {name: function})()
        for make in (lambda: af.Interpreter(chart, model), lambda: any_system.spawn(ChartActor, chart, model)):  # noqa: B023
            with pytest.raises(af.DefinitionError, match=f"chart 'door' names {name!r} of Late: {text}|{text}"):
                make()
    with pytest.raises(af.DefinitionError, match="it is async"):
        af.Chart.from_dict(CHART, {name: later})


@pytest.mark.parametrize("value", [None, 5, "text"])
def test_what_a_chart_names_must_be_a_method_of_the_model(value):
    chart = af.Chart.from_dict(CHART)
    with pytest.raises(af.DefinitionError, match="names 'act', and Bare has no such method"):
        af.Interpreter(chart, type("Bare", (Model,), {"act": value})())
    with pytest.raises(af.DefinitionError, match="NoneType has no such method"):
        af.Interpreter(chart)


@pytest.mark.parametrize("history", [-1, 2.5, "32", None, True])
def test_a_history_of_no_number_is_refused(history):
    with pytest.raises(af.DefinitionError, match="how many transitions to keep, 0 or more"):
        af.Interpreter(Door.chart, Door(), history=history)
    if history is not None:  # as a class keyword, the parent's
        with pytest.raises(af.DefinitionError, match="how many transitions to keep, 0 or more"):
            type("Bad", (Door,), {}, history=history)


def test_a_version_of_no_number_is_refused():
    with pytest.raises(af.DefinitionError, match="version='2': give a whole number"):
        type("Bad", (Door,), {}, version="2")


def test_an_interpreter_starts_once_and_takes_no_event_before():
    machine = af.Interpreter(Door.chart, Door(), start=False)
    with pytest.raises(af.TransitionRefused, match="refuses 'push' in state ''"):
        machine.send("push")
    machine.start()
    with pytest.raises(af.DefinitionError, match="Door has started: it is in 'shut'"):
        machine.start()


def test_arguments_may_have_any_name():
    class Odd(af.StateMachine):
        a = af.State(initial=True)

        @a.stay(when=lambda me, *, event, model, self, name: event == model)
        def go(me, *, event: int, model: int, self: int, name: int) -> int:
            return event + model + self + name

    machine = af.Interpreter(Odd.chart, Odd())
    for _ in range(130):
        assert machine.send("go", event=1, model=1, self=2, name=3) == 7
    with pytest.raises(af.TransitionRefused):
        machine.send("go", event=1, model=2, self=2, name=3)


def test_an_event_that_a_subclass_takes_away_is_refused_also_by_its_parents_name(any_system):
    class Locked(Door):
        push = None

        @Door.shut.to(Door.open)
        def unlock(self) -> None: ...

    locked = any_system.spawn(Locked)
    with pytest.raises(af.TransitionRefused, match="Locked refuses 'push' in state 'shut': legal are unlock"):
        locked.call(Door.push).get()
    locked.cast(Door.push)
    assert locked.state == "shut"


def test_subscribing_something_else_than_a_ref_or_a_function_is_refused(any_system):
    door = any_system.spawn(Door)
    with pytest.raises(af.DefinitionError, match="give a ref or a function"):
        door.subscribe(5)


def test_one_listener_heard_twice_is_taken_out_once():
    machine = af.Interpreter(Door.chart, Door())
    heard = []
    ends = [machine.listen(heard.append), machine.listen(heard.append)]
    machine.send("push")
    ends[0]()
    ends[0]()
    machine.send("pull")
    ends[1]()
    machine.send("push")
    assert [record.event for record in heard] == ["push", "push", "pull"]


def test_a_copy_of_an_interpreter_goes_its_own_way():
    machine = af.Interpreter(Door.chart, Door())
    twin = copy.deepcopy(machine)
    twin.send("push")
    assert (machine.state, twin.state, twin.model._interpreter is twin) == ("shut", "open", True)


def test_abstract_machines_are_not_spawned(any_system):
    class Nothing(af.StateMachine): ...

    with pytest.raises(af.DefinitionError, match="it has no states"):
        any_system.spawn(Nothing)


@pytest.mark.parametrize("name", [None, 5, b"push", Event("push")])
def test_an_event_that_is_no_name_is_refused_and_changes_nothing(any_system, name):
    ref = any_system.spawn(Door)
    with pytest.raises(af.DefinitionError, match="Door: .* is no event's name: give a str"):
        ref.send(name).get(timeout=100)
    assert ref.state == "shut"
    with pytest.raises(af.DefinitionError, match="is no event's name"):
        af.Interpreter(Door.chart, Door()).send(name)


@pytest.mark.parametrize("given", [None, Door, "door", CHART])
def test_what_is_no_chart_is_refused_with_the_cure(any_system, given):
    with pytest.raises(af.DefinitionError, match=r"is no chart: give one, such as (Door|Order)\.chart"):
        af.Interpreter(given, Door())
    with pytest.raises(af.DefinitionError, match="is no chart"):
        any_system.spawn(ChartActor, given)
