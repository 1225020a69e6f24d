"""Charts as dicts: what is written is read again the same, and each mistake has its path."""

from __future__ import annotations

import contextlib
import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, Transition
from actorflow.machine.definition.checks import ChartWarning
from actorflow.machine.definition.draft import Draft, freeze
from actorflow.machine.mapping import chart_from_dict, chart_to_dict
from tests.machine.test_declare import Order, chart_of

ORDER = {
    "name": "order",
    "version": 3,
    "initial": "new",
    "states": {
        "new": {
            "enter": ["log"],
            "exit": "log",
            "on": {
                "pay": [{"target": "paid", "guard": "enough", "actions": ["take"]}, {"actions": "take"}],
                "cancel": "dead",
                "error.* lost": {"target": "dead"},
            },
            "after": {"1800": "dead"},
            "always": [{"target": "dead", "guard": "banned"}],
            "defer": ["ship"],
        },
        "paid": {
            "initial": "picking",
            "on": {"ship": "dead", "back": "back"},
            "invoke": {"id": "courier", "src": "Courier", "autoforward": True, "finalize": "note"},
            "states": {
                "picking": {"on": {"done.invoke.courier": "packed"}},
                "packed": {},
                "back": {"type": "history", "history": "deep"},
            },
        },
        "dead": {"type": "final", "donedata": "reason"},
    },
}


class Courier(af.Actor): ...


def read(data, functions=None):
    """Read a dict without a look at what can be doubted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChartWarning)
        return chart_from_dict(data, functions)


def one(**state):
    """A chart of one state."""
    return {"initial": "a", "states": {"a": state}}


# --- the form ---------------------------------------------------------------------------------------------------------


def test_a_dict_becomes_its_chart():
    chart = chart_from_dict(ORDER, {"Courier": Courier})
    assert (chart.name, chart.version, chart.order) == ("order", 3, "action first")
    assert list(chart.states) == ["", "new", "paid", "picking", "packed", "back", "dead"]
    assert chart.states["new"].transitions == (
        Transition("new", ("pay",), ("paid",), Hook("enough"), (Hook("take"),)),
        Transition("new", ("pay",), (), None, (Hook("take"),)),
        Transition("new", ("cancel",), ("dead",)),
        Transition("new", ("error.*", "lost"), ("dead",)),
        Transition("new", (), ("dead",), after=1800),
        Transition("new", (), ("dead",), Hook("banned")),
    )
    assert chart.states["new"].enter == chart.states["new"].exit == (Hook("log"),)
    assert chart.states["new"].defer == ("ship",)
    assert chart.states["paid"].kind == "compound"
    assert chart.states["paid"].invoke == (Invoke("courier", Courier, True, Hook("note")),)
    assert (chart.states["back"].kind, chart.states["back"].initial.targets) == ("deep", ("picking",))
    assert (chart.states["dead"].kind, chart.states["dead"].donedata) == ("final", Hook("reason"))


def test_the_same_through_json():
    text = json.dumps(chart_to_dict(chart_from_dict(ORDER, {"Courier": Courier})))
    assert chart_from_dict(json.loads(text), {"Courier": Courier}) == chart_from_dict(ORDER, {"Courier": Courier})


def test_a_class_goes_through_json_if_its_lambdas_are_given_again():
    chart = chart_of(Order)
    data = json.loads(json.dumps(chart_to_dict(chart)))
    guard = chart.states["new"].transitions[0].guard
    assert data["states"]["new"].keys() == {"on", "after"}, "what is empty or goes without saying is not written"
    assert data["states"]["new"]["on"]["pay"] == [
        {"target": "paid", "guard": guard.name, "actions": ["pay"]},
        {"actions": ["pay"]},
    ]
    with pytest.raises(
        af.DefinitionError, match=r"states\.new\.on\.pay\[0\]\.guard: .* is not evaluated; give functions="
    ):
        chart_from_dict(data)
    assert chart_from_dict(data, {guard.name: guard.function}) == chart


def test_a_text_that_is_code_is_never_run():
    code = "__import__('os').abort()"
    for key in ("guard", "actions", "choose"):
        with pytest.raises(af.DefinitionError, match="is not evaluated"):
            chart_from_dict(one(on={"go": {key: code}}))
    for key in ("enter", "exit", "donedata"):
        with pytest.raises(af.DefinitionError, match="is not evaluated"):
            chart_from_dict(one(**{key: code}))
    with pytest.raises(af.DefinitionError, match=r"states\.a\.invoke\[0\]\.src: nothing is imported by name"):
        chart_from_dict(one(invoke="os.abort"))


def test_regions_several_targets_and_an_initial_with_actions():
    data = {
        "initial": {"target": ["l2", "r2"], "actions": ["begin"]},
        "states": {
            "p": {
                "type": "parallel",
                "on": {"x": "h"},
                "states": {
                    "l": {"initial": "l1", "states": {"l1": {"on": {"x": "l2"}}, "l2": {}}},
                    "r": {"initial": "r1", "states": {"r1": {"on": {"x": "r2"}}, "r2": {}}},
                    "h": {"history": "shallow"},
                },
            }
        },
    }
    chart = chart_from_dict(data)
    assert chart.states[ROOT].initial == Transition(ROOT, targets=("l2", "r2"), actions=(Hook("begin"),))
    assert chart.states["h"].initial.targets == ("l", "r")
    assert chart_from_dict(chart_to_dict(chart)) == chart


def test_transitions_that_events_cannot_put_in_order_are_a_list():
    transitions = (
        Transition("a", ("go",), ("a",), Hook("g")),
        Transition("a", ("*",), ("a",), Hook("g")),
        Transition("a", ("go",), ("a",)),
        Transition("a", (), ("a",), after=1.5),
        Transition("a", (), ("a",), Hook("g")),
    )
    chart = freeze(
        "m", Draft(ROOT, initial=Transition(ROOT, targets=("a",))), [Draft("a", transitions=list(transitions))]
    )
    data = chart_to_dict(chart)
    assert "on" not in data["states"]["a"]
    assert data["states"]["a"]["transitions"][0] == {"event": ["go"], "target": "a", "guard": "g"}
    assert read(data) == chart


def test_a_chart_within_an_invoke_is_a_dict_within():
    inner = chart_from_dict(one(on={"go": {"target": "a", "guard": "ready"}}), {"ready": len})
    outer = chart_from_dict(one(invoke={"src": chart_to_dict(inner)}, on={"x": {}}), {"ready": len})
    assert outer.states["a"].invoke == (Invoke("chart", inner),)
    assert json.loads(json.dumps(chart_to_dict(outer)))["states"]["a"]["invoke"][0]["src"]["states"]["a"]
    assert chart_from_dict(chart_to_dict(outer), {"ready": len}) == outer


def test_a_recipe_is_written_by_the_name_of_its_class():
    recipe = af.child(Courier)
    chart = chart_from_dict(one(invoke="c", on={"x": {}}), {"c": recipe})
    assert chart_to_dict(chart)["states"]["a"]["invoke"] == [{"id": "c", "src": "Courier"}]
    assert chart_from_dict(chart_to_dict(chart), {"Courier": recipe}) == chart


def test_one_name_for_two_functions_is_not_written():
    chart = read(one(enter="f", on={"x": {"guard": "g"}}), {"f": len, "g": max})
    assert chart_to_dict(chart)["states"]["a"]["enter"] == ["f"]
    two = [Transition("a", ("x",), guard=Hook("<lambda>", len)), Transition("a", ("y",), guard=Hook("<lambda>", max))]
    chart = freeze("m", Draft(ROOT), [Draft("a", transitions=two)])
    with pytest.raises(af.DefinitionError, match="m: '<lambda>' is the name of both .*len.* and .*max"):
        chart_to_dict(chart)
    chart = freeze("m", Draft(ROOT), [Draft("a", enter=[Hook("f"), Hook("f", len)])])
    with pytest.raises(af.DefinitionError, match="both a method of the machine and .*len"):
        chart_to_dict(chart)


def test_a_child_without_a_name_is_not_written():
    chart = freeze("m", Draft(ROOT), [Draft("a", invoke=[Invoke("x", 3)])])
    with pytest.raises(af.DefinitionError, match="m: the child 3 has no name"):
        chart_to_dict(chart)


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (3, "chart: give a dict, not 3"),
        ({"states": []}, "chart: states: give a dict, not []"),
        ({"nmae": "m"}, "chart: nmae: unknown key 'nmae'; did you mean 'name'?"),
        ({"on": {}}, "chart: on: unknown key 'on'; known are name, version, order, initial, states"),
        ({"name": 3}, "chart: name: give a name, not 3"),
        ({"name": "m", "version": "1"}, "m: version: give an int, not '1'"),
        ({"version": True}, "version: give an int, not True"),
        ({"order": "xml"}, "order: give one of 'action first', 'scxml', not 'xml'"),
        ({"states": {"": {}}}, "states: give a name, not ''"),
        ({"states": {3: {}}}, "states: give a name, not 3"),
        ({"states": {"a": None}}, "states.a: give a dict, not None"),
        ({"states": {"a": {"states": {"a": {}}}}}, "states.a.states.a: there is a state 'a' already"),
        (one(entry="x"), "states.a.entry: unknown key 'entry'; here it is 'enter'"),
        (one(onDone="x"), "unknown key 'onDone'; here it is 'on' with the event 'done.state.<name>'"),
        (
            one(type="basic"),
            "states.a.type: give one of 'atomic', 'compound', 'parallel', 'final', 'history', not 'basic'",
        ),
        (one(type=["final"]), "states.a.type: give one of"),
        (one(type="atomic", states={"b": {}}), "states.a.type: it has states, so it is 'compound' or 'parallel'"),
        (one(type="history", on={}), "states.a.on: unknown key 'on'; known are type, history, target, actions"),
        (one(history="long"), "states.a.history: give one of 'shallow', 'deep', not 'long'"),
        (one(type="history", target=3), "states.a.target: give a name, not 3"),
        (one(initial={"target": "b", "guard": "g"}), "states.a.initial.guard: unknown key 'guard'"),
        (one(enter=3), "states.a.enter: give a name, not 3"),
        (one(enter=["ok", None]), "states.a.enter: give a name, not None"),
        (one(on=["go"]), "states.a.on: give a dict, not ['go']"),
        (one(on={"": "a"}), "states.a.on: give a name, not ''"),
        (one(on={"go": 3}), "states.a.on.go: give a dict, not 3"),
        (one(on={"go": [{}, None]}), "states.a.on.go[1]: give a dict, not None"),
        (one(on={"go": {"gaurd": "x"}}), "states.a.on.go.gaurd: unknown key 'gaurd'; did you mean 'guard'?"),
        (one(on={"go": {"cond": "x"}}), "states.a.on.go.cond: unknown key 'cond'; here it is 'guard'"),
        (one(on={"go": [{}, {"target": 3}]}), "states.a.on.go[1].target: give a name, not 3"),
        (one(on={"go": {"internal": 1}}), "states.a.on.go.internal: give true or false, not 1"),
        (one(on={"go": {"guard": ["x"]}}), "states.a.on.go.guard: give a name, not ['x']"),
        (one(after={"soon": "a"}), "states.a.after: give a number of seconds, 0 or more, not 'soon'"),
        (one(after={"-1": "a"}), "0 or more, not '-1'"),
        (one(after={"nan": "a"}), "0 or more, not 'nan'"),
        (one(after={"inf": "a"}), "0 or more, not 'inf'"),
        (one(after={True: "a"}), "0 or more, not True"),
        (one(always="a", always_="b"), "states.a.always_: unknown key 'always_'; did you mean 'always'?"),
        (one(transitions=[{"event": "x", "after": 3}]), "states.a.transitions[0]: it has an event and a time"),
        (one(transitions=[{"event": [3]}]), "states.a.transitions[0].event: give a name, not 3"),
        (one(defer=[3]), "states.a.defer: give a name, not 3"),
        (one(invoke=[{}]), "states.a.invoke[0].src: give a name, not None"),
        (one(invoke=[{"src": "Other"}]), "nothing is imported by name; give functions={'Other': ...}"),
        (one(invoke=[{"src": {"states": 3}}]), "chart: states: give a dict, not 3"),
        (one(invoke={"src": "x", "onDone": "y"}), "states.a.invoke[0].onDone: unknown key 'onDone'; here it is 'on'"),
        (one(donedata=3), "states.a.donedata: give a name, not 3"),
    ],
)
def test_a_mistake_has_its_path_and_cure(data, text):
    with pytest.raises(af.DefinitionError) as raised:
        chart_from_dict(data)
    assert text in str(raised.value)


def test_what_is_no_function_is_refused():
    with pytest.raises(af.DefinitionError, match=r"states\.a\.enter: functions\['f'\] is 3; give a function"):
        chart_from_dict(one(enter="f"), {"f": 3})


def test_nesting_without_end_is_an_error_of_ours():
    data = {}
    for number in range(100_000):
        data = {"states": {f"s{number}": data}}
    with pytest.raises(af.DefinitionError, match="nested too deep"):
        chart_from_dict(data)
    while data:  # or its end would recurse as deep
        data = data["states"].popitem()[1]


def test_what_can_be_doubted_is_a_warning():
    data = {"name": "m", "states": {"a": {"on": {"go": "aa"}}, "b": {}}}
    with pytest.warns(ChartWarning, match="m: no initial state") as caught:
        chart = chart_from_dict(data)
    assert "the target 'aa' of event 'go' does not exist" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert chart.states["a"].transitions[0].targets == ("aa",)


# --- there and back ---------------------------------------------------------------------------------------------------

NAMES = st.text("abcdefg_ .-+é", min_size=1, max_size=6).filter(str.strip)
EVENTS = st.text("ab.*_ ", min_size=1, max_size=5).filter(str.strip)
METHODS = [Hook(name) for name in ("pay", "take", "_x", "größe")]
FUNCTIONS = {"lambda self: 1": len, "<lambda>": max, "outside": min}
HOOKS = st.sampled_from([*METHODS, *(Hook(name, function) for name, function in FUNCTIONS.items())])
CHILDREN = {"Courier": Courier}
SECONDS = st.floats(0, 1e9) | st.integers(0, 10**6)


@st.composite
def transitions(draw, source, names):
    events = tuple(draw(st.lists(EVENTS, max_size=2)))
    return Transition(
        source,
        events,
        tuple(draw(st.lists(st.sampled_from(names), max_size=2))),
        draw(st.none() | HOOKS),
        tuple(draw(st.lists(HOOKS, max_size=2))),
        draw(st.booleans()),
        None if events else draw(st.none() | SECONDS),
        draw(st.none() | HOOKS),
    )


@st.composite
def charts(draw) -> Chart:
    names = draw(st.lists(NAMES, min_size=1, max_size=7, unique=True))
    drafts: list[Draft] = []
    for name in names:
        parents = [ROOT, *(draft.name for draft in drafts if draft.kind not in (*HISTORY, "final"))]
        kind = draw(st.sampled_from([None, None, "parallel", "final", "shallow", "deep", "compound"]))
        drafts.append(Draft(name, draw(st.sampled_from(parents)), kind))
    defaults = st.builds(
        lambda targets, actions: (tuple(targets), tuple(actions)),
        st.lists(st.sampled_from(names), min_size=1, max_size=2),
        st.lists(HOOKS, max_size=1),
    )
    for draft in [Draft(ROOT), *drafts]:
        if draft.kind in HISTORY or (draft.kind != "final" and any(other.parent == draft.name for other in drafts)):
            default = draw(st.none() | defaults)
            draft.initial = None if default is None else Transition(draft.name, targets=default[0], actions=default[1])
        if draft.name == ROOT:
            root = draft
            continue
        if draft.kind in HISTORY:
            continue
        draft.enter, draft.exit = draw(st.lists(HOOKS, max_size=2)), draw(st.lists(HOOKS, max_size=2))
        draft.transitions = draw(st.lists(transitions(draft.name, names), max_size=4))
        draft.defer = draw(st.lists(EVENTS, max_size=2))
        invokes = st.builds(Invoke, NAMES, st.just(Courier), st.booleans(), st.none() | HOOKS)
        draft.invoke = draw(st.lists(invokes, max_size=1))
        draft.donedata = draw(st.none() | HOOKS)
    order = draw(st.sampled_from(["action first", "scxml"]))
    return freeze(draw(NAMES), root, drafts, order=order, version=draw(st.integers(0, 9)))


@pytest.mark.timeout(300)  # 5 s on an idle machine
@settings(max_examples=300, deadline=None)
@given(charts())
@pytest.mark.slow
def test_what_is_written_as_a_dict_is_read_again_the_same(chart):
    data = chart_to_dict(chart)
    again = read(json.loads(json.dumps(data)), {**FUNCTIONS, **CHILDREN})
    assert again == chart
    assert list(again.states) == list(chart.states), "a mapping's equality knows no order"
    assert chart_to_dict(again) == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["states", "on", "after", "always", "type", "initial", "enter", "target", "history", "invoke"]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["states", "initial", "name"]), json_values))
def test_any_json_is_a_chart_or_a_definition_error(data):
    with contextlib.suppress(af.DefinitionError):
        read(data)
