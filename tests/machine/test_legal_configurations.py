"""After each step of any chart its configuration is legal (SCXML section 3.11), whatever its histories hold."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode, Transition
from actorflow.machine.running import transition_sets
from tests.machine.charts import chart_of

EVENTS = ("a", "b", "c")


class Making:
    """A random chart: states within states to a depth of four, regions, histories with and without a default."""

    def __init__(self, choose: random.Random, order: str) -> None:
        self.choose = choose
        self.nodes: list[StateNode] = []
        self.numbers = iter(range(1_000))
        for _ in range(choose.randint(1, 3)):
            self.add(ROOT, 0)
        names = [node.name for node in self.nodes for _ in range(6 if node.kind in HISTORY else 1)]
        tops = [node.name for node in self.nodes if node.parent == ROOT]
        nodes = [replace(node, transitions=tuple(self.transitions(node, names))) for node in self.nodes]
        self.chart = replace(chart_of("any", *nodes, initial=choose.choice(tops)), order=order)

    def add(self, parent: str, depth: int) -> str:
        """Add a state, and what is within it."""
        choose = self.choose
        name = f"s{next(self.numbers)}"
        kind = "atomic" if depth == 3 else choose.choice(["atomic", "compound", "compound", "parallel"])
        place = len(self.nodes)
        self.nodes.append(StateNode(name, kind, parent=parent))
        if kind == "atomic":
            return name
        inner = [self.add(name, depth + 1) for _ in range(choose.choice([1, 1, 2, 3]))]
        if kind == "compound":
            if choose.random() < 0.3:
                self.nodes.append(StateNode(f"s{next(self.numbers)}", "final", parent=name))
            first = Transition(name, targets=(choose.choice(inner),))
            self.nodes[place] = replace(self.nodes[place], initial=first)
        for history in HISTORY:
            if choose.random() < 0.5:
                self.nodes.append(self.history(name, kind, history, inner))
        return name

    def history(self, parent: str, kind: str, history: str, inner: list[str]) -> StateNode:
        """Make a history, whose default is legal: one state in each region."""
        name = f"h{next(self.numbers)}"
        targets = inner if kind == "parallel" else [self.choose.choice(inner)]
        return StateNode(name, history, parent=parent, initial=Transition(name, targets=tuple(targets)))

    def transitions(self, node: StateNode, names: list[str]):
        """Make up to three transitions of a state that may have some."""
        if node.kind in ("final", *HISTORY):
            return
        for _ in range(self.choose.randint(1, 4)):
            yield Transition(
                node.name,
                (self.choose.choice(EVENTS),),
                self.targets(names),
                internal=self.choose.random() < 0.3,
            )

    def targets(self, names: list[str]) -> tuple[str, ...]:
        """Choose none, one, or two that are in different regions of one parallel state."""
        one, other = self.choose.choices(names, k=2)
        paths = [self.path(name) for name in (one, other)]
        shared = [mine for mine, its in zip(*paths, strict=False) if mine.name == its.name]
        apart = shared and shared[-1].kind == "parallel" and len(shared) < min(map(len, paths))
        if apart and not any(path[len(shared)].kind in HISTORY for path in paths):
            return one, other
        return self.choose.choice([(), (one,), (one,)])

    def path(self, name: str) -> list[StateNode]:
        """Return a state and those around it, outermost first."""
        by_name = {node.name: node for node in self.nodes}
        found: list[StateNode] = []
        while name != ROOT:
            found.insert(0, by_name[name])
            name = by_name[name].parent
        return found


def legal(chart: Chart, machine: af.Interpreter) -> bool:
    return transition_sets.is_legal(chart, machine.configuration)


def send(machine: af.Interpreter, event: str) -> None:
    with contextlib.suppress(af.TransitionRefused):
        machine.send(event)


@pytest.mark.parametrize("order", ["action first", "scxml"])
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), events=st.lists(st.sampled_from(EVENTS), max_size=12))
def test_a_configuration_is_legal_after_each_step_and_after_a_restore(order, seed, events):
    chart = Making(random.Random(seed), order).chart
    machine = af.Interpreter(chart)
    assert legal(chart, machine)
    for event in events:
        fresh = af.Interpreter.restore(replace(chart), machine.snapshot())  # a chart of which nothing is worked out yet
        send(machine, event)
        send(fresh, event)
        assert fresh.snapshot() | {"history": []} == machine.snapshot() | {"history": []}
        assert fresh.state == machine.state
        assert legal(chart, machine), machine.configuration
        again = af.Interpreter.restore(chart, machine.snapshot())
        assert again.configuration == machine.configuration
        if len(machine.configuration) % 2:  # go on with the one or the other
            machine = again


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data(), events=st.lists(st.sampled_from(EVENTS), min_size=3, max_size=10))
def test_a_snapshot_with_any_past_is_refused_or_keeps_configurations_legal(seed, data, events):
    chart = Making(random.Random(seed), "action first").chart
    machine = af.Interpreter(chart)
    for event in events:
        send(machine, event)
    snap = machine.snapshot()
    names = st.lists(st.sampled_from([name for name in chart.states if name]), max_size=3)
    histories = [name for name, node in chart.states.items() if node.kind in HISTORY]
    snap["remembered"] |= {name: data.draw(names) for name in histories}
    try:
        again = af.Interpreter.restore(chart, snap)
    except af.DefinitionError:
        return
    for event in EVENTS * 4:
        send(again, event)
        assert legal(chart, again), again.configuration


def test_the_past_of_a_parallel_state_is_one_of_each_region():
    class Machine(af.StateMachine):
        off = af.State(initial=True)
        both = af.State(parallel=True)
        one, two = af.State(parent=both), af.State(parent=both)
        a, b = af.State(parent=one, initial=True), af.State(parent=two, initial=True)
        past, deep = af.History(both), af.History(both, deep=True)

        @off.to(past)
        def shallow(self) -> None: ...

        @off.to(deep)
        def down(self) -> None: ...

        @both.to(off)
        def leave(self) -> None: ...

    snap = af.Interpreter(Machine.chart, Machine()).snapshot()
    for held in ({"past": ["one", "two"]}, {"deep": ["a", "b"]}):
        af.Interpreter.restore(Machine.chart, {**snap, "remembered": held}, Machine())
    for wrong in (
        {"past": ["one"]},
        {"past": ["a", "b"]},
        {"deep": ["a"]},
        {"deep": ["one", "two"]},
        {"deep": ["off"]},
    ):
        with pytest.raises(af.DefinitionError, match="is no past of 'both'"):
            af.Interpreter.restore(Machine.chart, {**snap, "remembered": wrong}, Machine())


def test_a_deep_history_reached_from_within_its_parallel_state_keeps_that_active():
    class Machine(af.StateMachine):
        both = af.State(initial=True, parallel=True)
        region = af.State(parent=both)
        first, second = af.State(parent=region, initial=True), af.State(parent=region)
        back = af.History(both, deep=True, default=region)

        @first.to(back)
        def again(self) -> None: ...

        @first.to(second)
        @second.to(first)
        def step(self) -> None: ...

    machine = af.Interpreter(Machine.chart, Machine())
    machine.send("again")
    assert machine.configuration == {"both", "region", "first"}


class Nested(af.StateMachine):
    """Regions within a region: three that end in any order."""

    outer = af.State(initial=True, parallel=True)
    one, inner = af.State(parent=outer), af.State(parent=outer, parallel=True)
    one_works, one_ready = af.State(parent=one, initial=True), af.State(parent=one, final=True)
    two, three = af.State(parent=inner), af.State(parent=inner)
    two_works, two_ready = af.State(parent=two, initial=True), af.State(parent=two, final=True)
    three_works, three_ready = af.State(parent=three, initial=True), af.State(parent=three, final=True)
    over = af.State(final=True)

    @one_works.to(one_ready)
    def a(self) -> None: ...

    @two_works.to(two_ready)
    def b(self) -> None: ...

    @three_works.to(three_ready)
    def c(self) -> None: ...

    @outer.to(over, event="done.state.outer")
    def done(self) -> None: ...


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_parallel_states_within_parallel_states_are_done_in_any_order_of_their_children(order):
    machine = af.Interpreter(Nested.chart, Nested())
    for event in order:
        assert machine.state != "over"
        machine.send(event)
    assert machine.state == "over"
