"""Shortest paths to each state, by structure alone and with models."""

from __future__ import annotations

import logging

import pytest

import actorflow as af
from actorflow.machine.definition.chart import Hook, Transition
from actorflow.machine.definition.chart import StateNode as Node
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.paths import shortest_paths
from tests.machine.charts import ORDER, PLAYER, chart_of, to

# --- by structure alone ----------------------------------------------------------------------------------------------


def test_paths_are_the_shortest():
    assert shortest_paths(ORDER) == {
        "new": [],
        "paid": [("pay", ())],
        "dead": [("cancel", ())],
        "shipped": [("pay", ()), ("ship", ())],
    }


def test_paths_go_into_regions_and_through_history():
    paths = shortest_paths(PLAYER)
    assert paths["stopped"] == paths["on"] == [("power", ())]  # the history is empty, and its default is "stopped"
    assert paths["muted"] == [("quiet", ())]
    assert paths["end"] == [("power", ()), ("play", ()), ("end", ())]
    assert set(paths) == {"off", "on", "tape", "stopped", "playing", "end", "sound", "loud", "muted"}


def test_state_that_only_its_history_brings_back_is_reached():
    chart = chart_of(
        "x",
        Node("a", transitions=(to("a", "was", "back"),)),
        Node("group", "compound", initial=to("group", "one"), transitions=(to("group", "a", "leave"),)),
        Node("was", "shallow", parent="group", initial=to("was", "one")),
        Node("one", parent="group", transitions=(to("one", "two", "next"),)),
        Node("two", parent="group", enter=(), transitions=(to("two", "three", "a.b"),)),
        Node("three", "final", parent="group"),
    )
    assert shortest_paths(chart)["three"] == [("back", ()), ("next", ()), ("a.b", ())]


def test_both_ways_of_a_guard_are_followed():
    chart = chart_of(
        "x",
        Node("a", transitions=(to("a", "b", "go", guard=Hook("g")), to("a", "c", "go"), to("a", "d", "go"))),
        *map(Node, "bcd"),
    )
    assert shortest_paths(chart) == {"a": [], "b": [("go", ())], "c": [("go", ())]}  # "d" is behind one without a guard


def test_timeout_is_a_step_without_an_event():
    chart = chart_of("x", Node("a", transitions=(to("a", "b", after=30.0),)), Node("b"))
    assert shortest_paths(chart)["b"] == [(None, (30.0,))]


def test_eventless_transitions_and_done_events_cost_no_step():
    chart = chart_of(
        "x",
        Node("a", transitions=(to("a", "group", "go"),)),
        Node("group", "compound", initial=to("group", "b"), transitions=(to("group", "after", "done.state.group"),)),
        Node("b", parent="group", transitions=(to("b", "end"),)),
        Node("end", "final", parent="group"),
        Node("after", transitions=(to("after", "beyond", guard=Hook("g")), to("after", "a", "again"))),
        Node("beyond"),
    )
    paths = shortest_paths(chart)
    assert {name: len(path) for name, path in paths.items()} == {
        "a": 0,
        "group": 1,
        "b": 1,
        "end": 1,
        "after": 1,
        "beyond": 1,
    }


def test_parallel_state_is_done_when_all_its_regions_are():
    chart = chart_of(
        "x",
        Node("both", "parallel", transitions=(to("both", "through", "done.state.both"),)),
        Node("p", "compound", parent="both", initial=to("p", "p1")),
        Node("p1", parent="p", transitions=(to("p1", "p2", "a"),)),
        Node("p2", "final", parent="p"),
        Node("q", "compound", parent="both", initial=to("q", "q1")),
        Node("q1", parent="q", transitions=(to("q1", "q2", "b"),)),
        Node("q2", "final", parent="q"),
        Node("through"),
    )
    assert sorted(shortest_paths(chart)["through"]) == [("a", ()), ("b", ())]


def test_unreachable_state_has_no_path():
    chart = chart_of("x", Node("a"), Node("island", transitions=(to("island", "a", "swim"),)))
    assert shortest_paths(chart) == {"a": []}


def test_patterns_become_events_that_match_them():
    chart = chart_of("x", Node("a", transitions=(to("a", "b", "error.*"), to("a", "c", "*"))), *map(Node, "bc"))
    assert shortest_paths(chart) == {"a": [], "b": [("error", ())], "c": [("*", ())]}


def test_limit_says_what_was_not_found(caplog):
    numbers = [Node(str(n), transitions=(to(str(n), str(n + 1), "next"),)) for n in range(9)]
    with caplog.at_level(logging.WARNING):
        paths = shortest_paths(chart_of("x", *numbers, Node("9")), limit=8)
    assert set(paths) == set("01234567")
    assert "8 situations seen, no path yet to: 8, 9" in caplog.text


# --- with models -----------------------------------------------------------------------------------------------------


class Account:
    def __init__(self):
        self.received = 0

    def enough(self, amount):
        return self.received + amount >= 10

    def pay(self, amount):
        self.received += amount


PAYMENTS = chart_of(
    "Payments",
    Node(
        "new",
        transitions=(
            to("new", "paid", "pay", guard=Hook("enough"), actions=(Hook("pay"),)),
            to("new", None, "pay", actions=(Hook("pay"),)),
            to("new", "late", after=60.0),
        ),
    ),
    Node("paid", transitions=(to("paid", "gift", "pay", guard=Hook("never", lambda *_: False)),)),
    Node("late", transitions=(to("late", "dead", after=5.0),)),
    Node("dead", "final"),
    Node("gift", "final"),
)


def test_guards_and_actions_of_a_model_decide():
    paths = shortest_paths(PAYMENTS, Account, {"pay": [(3,), (4,)]}, limit=100)
    assert len(paths.pop("paid")) == 3  # 3 + 3 + 4
    assert paths == {"new": [], "late": [(None, (60.0,))], "dead": [(None, (60.0,)), (None, (5.0,))]}


def test_path_taken_by_another_model_leads_to_the_state():
    paths = shortest_paths(PAYMENTS, Account, {"pay": [(3,), (4,)]}, limit=100)
    machine = Interpreter(PAYMENTS, Account())
    for event, args in paths["paid"]:
        machine.send(event, *args)
    assert machine.state == "paid"


def test_only_events_that_are_given_are_tried():
    assert set(shortest_paths(PAYMENTS, Account, {})) == {"new", "late", "dead"}


def test_error_of_a_model_says_on_which_path():
    with pytest.raises(TypeError) as raised:
        shortest_paths(PAYMENTS, Account)  # pay() without its amount
    assert raised.value.__notes__[-1:] == ["on the path [('pay', ())] of Payments"]


def test_search_with_models_ends_at_the_limit(caplog):
    class Counter:
        n = 0

        def count(self):
            self.n += 1

    chart = chart_of("x", Node("a", transitions=(to("a", None, "tick", actions=(Hook("count"),)),)), Node("b"))
    with caplog.at_level(logging.WARNING):
        assert shortest_paths(chart, Counter, limit=50) == {"a": []}
    assert "50 situations seen, no path yet to: b" in caplog.text


def test_event_that_a_state_defers_is_tried_where_it_is_handled():
    chart = chart_of(
        "x",
        Node("busy", defer=("job",), transitions=(to("busy", "idle", "ready"),)),
        Node("idle", transitions=(to("idle", "working", "job"),)),
        Node("working", transitions=(Transition("working", ("job",), ("never",)),)),
        Node("never"),
    )
    assert shortest_paths(chart, object, {"ready": [()]}).keys() == {"busy", "idle"}
    assert shortest_paths(chart, object)["working"] == [("ready", ()), ("job", ())]


def test_paths_of_a_class_run_its_instances():
    class Door(af.StateMachine):
        shut, open, broken = af.State(initial=True), af.State(), af.State(final=True)
        kicks = 0

        @shut.to(open)
        def push(self) -> None: ...

        @open.to(shut)
        def pull(self) -> None: ...

        @shut.to(broken, when=lambda self: self.kicks == 2)
        @shut.stay
        def kick(self) -> None:
            self.kicks += 1

    assert shortest_paths(Door.chart, Door) == {
        "shut": [],
        "open": [("push", ())],
        "broken": [("kick", ()), ("kick", ()), ("kick", ())],
    }
