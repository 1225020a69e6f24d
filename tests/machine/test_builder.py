"""Charts made at run time, step by step: each word of the brief's machine, and state objects that say what is next."""

from __future__ import annotations

import copy
import enum
import json
import pickle
import warnings

import pytest

import actorflow as af
from actorflow.machine.definition.builder import ChartBuilder
from actorflow.machine.definition.chart import ROOT, Hook, Invoke, Transition
from actorflow.machine.definition.checks import ChartWarning
from actorflow.machine.mapping import chart_to_dict
from actorflow.machine.running.interpreter import Interpreter


def door():
    return ChartBuilder("door").add_state("shut", initial=True).add_state("open")


class Logged:
    """A state as the brief has it: name, enter, exit, and its own handling of an event."""

    def __init__(self, name, log, **moves):
        self.name = name
        self.log = log
        self.moves = moves

    def enter(self):
        self.log.append(f"enter {self.name}")

    def exit(self):
        self.log.append(f"exit {self.name}")

    def handle(self, event):
        self.log.append(f"{self.name} {event.name} {event.data}")
        return self.moves.get(event.name)


# --- the brief's words ------------------------------------------------------------------------------------------------


def test_states_transitions_guard_action_and_initial_state_in_any_words():
    log = []
    builder = door()
    builder.add_transition(
        "shut", "push", "open", when=lambda model, force: force > 3, action=lambda model, force: log.append(force)
    )
    builder.add_transition("shut", "push", action=lambda model, force: log.append("too weak"))
    builder.add_transition("open", "pull", "shut")
    machine = Interpreter(builder.build())
    assert machine.state == "shut"
    machine.send("push", 2)
    assert (machine.state, log) == ("shut", ["too weak"])
    machine.send("push", 4)
    assert (machine.state, log) == ("open", ["too weak", 4])
    machine.send("pull")
    assert machine.state == "shut"


def test_hooks_by_name_are_methods_of_the_model():
    class Model:
        def __init__(self):
            self.log = []

        def strong(self, force):
            return force > 3

        def note(self, *args):
            self.log.append(args)

    builder = (
        ChartBuilder("door").add_state("shut", initial=True, exit="note").add_state("open", enter=["note", "note"])
    )
    builder.add_transition("shut", "push", "open", when="strong", action="note").add_transition("open", "pull", "shut")
    model = Model()
    machine = Interpreter(builder.build(), model)
    machine.send("push", 4)
    assert model.log == [(4,), (), (), ()]
    assert json.dumps(chart_to_dict(builder.build())), "hooks by name make it data"


def test_the_first_transition_that_fits_is_taken():
    builder = door().add_state("broken", final=True)
    builder.add_transition("shut", "push", "open", when=lambda model: False)
    builder.add_transition("shut", "*", "broken")
    with pytest.warns(ChartWarning, match=r"door\.shut: event 'push' is never taken to 'open'"):
        machine = Interpreter(
            builder.add_transition("shut", "push", "open").add_transition("open", "x", "shut").build()
        )
    machine.send("push")
    assert machine.state == "broken"


def test_enter_of_the_initial_state_runs_at_start():
    log = []
    builder = ChartBuilder("m").add_state("a", enter=lambda model: log.append("a"))
    chart = builder.add_transition("a", "x").set_initial("a").build()
    assert log == []
    Interpreter(chart)
    assert log == ["a"]


# --- state objects ----------------------------------------------------------------------------------------------------


def test_a_state_object_names_the_next_state():
    log = []
    idle, busy = Logged("idle", log, work="busy"), Logged("busy", log, rest="idle", again="busy")
    machine = Interpreter(ChartBuilder("m").add_state(idle, initial=True).add_state(busy).build())
    machine.send("work", 7)
    assert log == ["enter idle", "idle work 7", "exit idle", "enter busy"]
    log.clear()
    machine.send("again")
    assert log == ["busy again None", "exit busy", "enter busy"], "its own name: it is left and entered again"
    assert [(r.source, r.target, r.event) for r in machine.history] == [
        ("idle", "busy", "work"),
        ("busy", "busy", "again"),
    ]


def test_a_state_object_that_names_none_refuses_the_event():
    log = []
    machine = Interpreter(ChartBuilder("m").add_state(Logged("idle", log, work="idle"), initial=True).build())
    with pytest.raises(af.ActorflowError, match="sleep"):
        machine.send("sleep")
    assert machine.state == "idle"
    assert log == ["enter idle", "idle sleep None"]


def test_a_state_object_that_names_no_state_is_an_error_and_changes_nothing():
    log = []
    machine = Interpreter(ChartBuilder("m").add_state(Logged("idle", log, work="bussy"), initial=True).build())
    with pytest.raises(af.ActorflowError, match="bussy"):
        machine.send("work")
    assert machine.state == "idle"
    assert machine.history == []


def test_added_transitions_come_before_the_objects_own_handling():
    log = []
    builder = ChartBuilder("m").add_state(Logged("a", log, go="a"), initial=True).add_state("b", final=True)
    machine = Interpreter(builder.add_transition("a", "go", "b").build())
    machine.send("go")
    assert machine.state == "b"
    assert log == ["enter a", "exit a"]


def test_a_state_object_may_return_the_next_object_and_its_hooks_may_take_the_model():
    class Bare:
        name = "bare"

    class Modelled:
        name = "modelled"

        def enter(self, model):
            model.append("in")

        def handle(self, _event):
            return Bare

    model = []
    builder = ChartBuilder("m").add_state(Modelled(), initial=True).add_state(Bare, final=True)
    machine = Interpreter(builder.build(), model)
    machine.send("any", 1, key=2)
    assert (machine.state, model) == ("bare", ["in"])


def test_an_object_stands_for_its_state_in_all_calls():
    class Named:
        def __init__(self, name):
            self.name = name

    around, inner, end = Named("around"), Named("inner"), Named("end")
    builder = ChartBuilder("m").add_state(around).add_state(inner, parent=around).add_state(end, final=True)
    builder.add_history("back", of=around, default=inner).add_transition(around, "go", end)
    builder.add_transition(inner, "x", "back").set_initial(around).set_initial(inner)
    assert list(builder.build().states) == ["", "around", "inner", "back", "end"]


def test_a_chart_of_state_objects_can_be_pickled_and_copied():
    chart = ChartBuilder("m").add_state(Logged("idle", [], work="idle"), initial=True).build()
    machine = Interpreter(pickle.loads(pickle.dumps(chart)))
    machine.send("work")
    assert machine.state == "idle"
    assert copy.deepcopy(chart).states["idle"].transitions[0].choose.name == "idle.handle"


# --- the rest of a chart ----------------------------------------------------------------------------------------------


def test_all_that_a_chart_can_say():
    builder = ChartBuilder("m", version=4)
    builder.add_state("on", enter="begin", exit=["end"], defer="poke", initial=True)
    builder.add_state("p", parent="on", parallel=True, initial=True)
    builder.add_state("l", parent="p").add_state("r", parent="p")
    builder.add_state("off", final=True, donedata="result", defer=[])
    builder.add_history("back", of="on", deep=True)
    builder.add_transition("l", None, "off", after=3)
    builder.add_transition("l", None, "off", when="ready", action=["a", "b"])
    builder.add_transition("on", "go stop", ("l", "r"), internal=True)
    builder.add_transition("r", "poke", "back")
    builder.add_invoke("r", int, id="x", autoforward=True, finalize="note")
    chart = builder.build()
    assert chart.version == 4
    states = chart.states
    assert states[ROOT].initial == Transition(ROOT, targets=("on",))
    assert states["on"].initial == Transition("on", targets=("p",))
    assert (states["on"].enter, states["on"].exit, states["on"].defer) == ((Hook("begin"),), (Hook("end"),), ("poke",))
    assert states["p"].kind == "parallel"
    assert (states["back"].kind, states["back"].initial.targets) == ("deep", ("p",))
    assert states["off"].donedata == Hook("result")
    assert states["l"].transitions == (
        Transition("l", (), ("off",), after=3),
        Transition("l", (), ("off",), Hook("ready"), (Hook("a"), Hook("b"))),
    )
    assert states["on"].transitions == (Transition("on", ("go", "stop"), ("l", "r"), internal=True),)
    assert states["r"].invoke == (Invoke("x", int, True, Hook("note")),)


def test_a_chart_that_was_built_does_not_change_when_the_builder_goes_on():
    builder = door().add_transition("shut", "x", "open").add_transition("open", "x", "shut")
    first = builder.build()
    builder.add_state("broken", final=True).add_transition("open", "hit", "broken")
    assert "broken" not in first.states
    assert len(first.states["open"].transitions) == 1
    assert builder.build() == builder.build()


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (lambda b: b.add_state("shut"), "state 'shut': there is one already"),
        (lambda b: b.add_state(""), "state '': give a name"),
        (lambda b: b.add_state(3), "state 3: give a name, or an object with one"),
        (lambda b: b.add_state("x", parent="opne"), "there is no state 'opne'; did you mean 'open'?"),
        (lambda b: b.add_state("x", final=True, parallel=True), "leave final or parallel out"),
        (lambda b: b.add_state("x", initial=True), "initial state 'x': 'shut' is initial already; keep one"),
        (lambda b: b.set_initial("zzz"), "door: there is no state 'zzz'; add it first"),
        (lambda b: b.set_initial("open"), "'shut' is initial already"),
        (lambda b: b.add_transition("zzz", "go", "open"), "there is no state 'zzz'"),
        (lambda b: b.add_transition("shut", "go", "zzz"), "there is no state 'zzz'"),
        (lambda b: b.add_transition("shut", "go", ("open", "zzz")), "there is no state 'zzz'"),
        (lambda b: b.add_transition("shut", "", "open"), "give an event's name"),
        (lambda b: b.add_transition("shut", 3, "open"), "give an event's name"),
        (lambda b: b.add_transition("shut", "go", "open", after=3), "give an event's name, or None and a time"),
        (lambda b: b.add_transition("shut", None, "open", after=-1), "after=-1: give a number of seconds, 0 or more"),
        (lambda b: b.add_transition("shut", None, "open", after="3"), "after='3'"),
        (lambda b: b.add_transition("shut", None, "open", after=float("nan")), "after=nan"),
        (lambda b: b.add_transition("shut", "go", "open", when=3), "when=3: give a function"),
        (lambda b: b.add_transition("shut", "go", "open", when="not a name"), "when='not a name': give a function"),
        (lambda b: b.add_transition("shut", "go", "open", action=[3]), "action=3: give a function"),
        (lambda b: b.add_history("h", of="zzz"), "there is no state 'zzz'"),
        (lambda b: b.add_history("h", of="shut", default="zzz"), "there is no state 'zzz'"),
        (lambda b: b.add_invoke("zzz", int, id="x"), "there is no state 'zzz'"),
    ],
)
def test_a_mistake_is_an_error_in_its_call_and_leaves_no_trace(mistake, text):
    builder = door().add_transition("shut", "x", "open").add_transition("open", "x", "shut")
    before = builder.build()
    with pytest.raises(af.DefinitionError) as raised:
        mistake(builder)
    assert text in str(raised.value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChartWarning)
        assert builder.build() == before


def test_what_a_machine_cannot_run_is_refused():
    async def later(model): ...

    class Later:
        name = "later"

        async def handle(self, event): ...

    class Greedy:
        name = "greedy"

        def handle(self, event, more): ...

    class Valued:
        name = "valued"
        enter = 3

    with pytest.raises(af.DefinitionError, match="when=later: it is async"):
        door().add_transition("shut", "x", "open", when=later)
    with pytest.raises(af.DefinitionError, match="handle=handle: it is async"):
        door().add_state(Later())
    with pytest.raises(af.DefinitionError, match=r"state 'greedy': handle\(event\) gets the event alone"):
        door().add_state(Greedy())
    with pytest.raises(af.DefinitionError, match="enter=3: give a function"):
        door().add_state(Valued())


def test_what_can_be_doubted_is_a_warning_where_it_is_built():
    builder = ChartBuilder("m").add_state("a").add_transition("a", "x")
    with pytest.warns(ChartWarning, match="m: no initial state; mark one as initial: a") as caught:
        builder.build()
    assert caught[0].filename == __file__


class Text(str, enum.Enum):  # noqa: UP042 - of before Python 3.11, and its str() is not its value
    """Members that are text."""

    NEW = "new"
    PAID = "paid"


class Word(enum.StrEnum):
    """Members that are text, as of Python 3.11."""

    NEW = "new"
    PAID = "paid"


@pytest.mark.parametrize("members", [Text, Word])
def test_enum_members_that_are_text_are_the_states_of_their_text(members):
    new, paid = members
    chart = (
        ChartBuilder("order")
        .add_state(new, initial=True)
        .add_state(paid, final=True)
        .add_transition(new, "pay", paid)
        .build()
    )
    assert [type(name) for name in chart.states] == [str, str, str]
    machine = Interpreter(chart)
    machine.send("pay")
    assert (machine.state, machine.state == paid) == ("paid", True)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 10**400, "3", True])
def test_a_time_that_no_timer_can_wait_is_refused(seconds):
    with pytest.raises(af.DefinitionError, match="give a number of seconds"):
        door().add_transition("shut", None, "open", after=seconds)
    with pytest.raises(af.DefinitionError, match="give a number of seconds"):
        af.State().after(seconds, af.State())
    machine = Interpreter(door().add_transition("shut", "go", "open").add_transition("open", "go", "shut").build())
    with pytest.raises(af.DefinitionError, match="give a number of seconds"):
        machine.start_timer("t", seconds, "go")
    if not isinstance(seconds, str):
        states = {"a": {"transitions": [{"after": seconds, "target": "b"}]}, "b": {"type": "final"}}
        with pytest.raises(af.DefinitionError, match="give a number of seconds"):
            af.Chart.from_dict({"initial": "a", "states": states})


@pytest.mark.parametrize("name", [None, ("a", 0), ["a"], 3])
def test_a_timer_without_a_name_is_refused(name):
    machine = Interpreter(door().add_transition("shut", "go", "open").add_transition("open", "go", "shut").build())
    with pytest.raises(af.DefinitionError, match="known by its name"):
        machine.start_timer(name, 3, "go")
    assert machine.timers == {}


@pytest.mark.filterwarnings("ignore::actorflow.machine.definition.checks.ChartWarning")
@pytest.mark.parametrize(
    "states",
    [
        {"a": {"on": {"go": "lost"}}},
        {"a": {"after": {"3": "lost"}}},
        {"a": {"type": "compound", "initial": "lost", "states": {"b": {}}}},
        {"a": {"type": "compound", "initial": "b", "states": {"b": {}, "h": {"type": "history", "target": "lost"}}}},
    ],
)
def test_a_chart_that_leads_nowhere_is_neither_run_nor_drawn_and_says_where(states):
    chart = af.Chart.from_dict({"name": "m", "initial": "a", "states": states})
    for use in (Interpreter, af.Chart.mermaid, af.Chart.dot, af.Chart.svg):
        with pytest.raises(af.DefinitionError, match="chart 'm': state '[ah]' leads to 'lost'"):
            use(chart)
    assert af.Chart.from_dict(chart.to_dict()) == chart


@pytest.mark.filterwarnings("ignore::actorflow.machine.definition.checks.ChartWarning")
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"states": {"a": {}}}, "the chart itself has no initial state"),
        ({}, "the chart itself has no initial state"),
        ({"initial": "a", "states": {"a": {"type": "parallel"}}}, "state 'a' is parallel and has no regions"),
        (
            {"initial": "b", "states": {"a": {"type": "compound", "states": {"c": {}}}, "b": {"on": {"go": "a"}}}},
            "state 'a' has no initial state",
        ),
    ],
)
def test_a_chart_that_could_be_in_no_state_is_drawn_but_does_not_run(data, text):
    chart = af.Chart.from_dict({"name": "m", **data})
    assert chart.mermaid()
    assert chart.dot()
    with pytest.raises(af.DefinitionError, match=f"chart 'm' cannot run: {text}"):
        Interpreter(chart)
