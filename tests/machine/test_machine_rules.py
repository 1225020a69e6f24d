"""`actorflow.testing.machine_rules`: what a generated test tries, what it finds, and how it is made."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

import actorflow as af
from actorflow.machine.definition.chart import Hook, Transition
from actorflow.machine.definition.chart import StateNode as Node
from actorflow.testing import LeakCheck, machine_rules
from tests.machine.charts import PLAYER, chart_of, to


class Order(af.StateMachine):
    new, paid, shipped, dead = af.State(initial=True), af.State(), af.State(final=True), af.State(final=True)

    def __init__(self, total: int = 5) -> None:
        super().__init__()
        self.total, self.received = total, 0

    @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)
    @new.stay
    def pay(self, amount: int) -> int:
        self.received += amount
        return self.received

    @paid.to(shipped)
    def ship(self, parcel: str) -> None: ...

    @(new | paid).to(dead)
    def cancel(self, why: str = "") -> None: ...

    @new.after(1800, dead)
    def expire(self) -> None: ...


FOUND = 3_000  # examples at most for what is to be found; it takes a few


def run(rules, examples: int = 30, steps: int = 15) -> None:
    """Run a generated test as its `TestCase` would, the same each time; nothing is left behind."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    with LeakCheck():
        run_state_machine_as_test(rules, settings=chosen)


def run_until(rules, seen: set[str], wanted: set[str]) -> None:
    """Run a generated test until it has been in these states, or for 3,000 examples.

    Hypothesis also draws constants of the modules that are loaded: what 100 examples come to depends on these.
    """
    for examples in (100, 1_000, 3_000):
        run(rules, examples)
        if wanted <= seen:
            break
    assert wanted <= seen


def rules_that_see(machine, *args, **kwargs):
    """Make rules that collect the states they were in."""
    seen: set[str] = set()

    class Seeing(machine_rules(machine, *args, **kwargs)):
        @invariant()
        def see(self):
            seen.update(self.ref.configuration if self.ref.is_alive() else ())

    return Seeing, seen


# --- what is tried ---------------------------------------------------------------------------------------------------


def test_all_states_are_come_through_timeouts_included():
    rules, seen = rules_that_see(Order, {"pay": st.integers(1, 9)})
    run_until(rules, seen, {"new", "paid", "shipped", "dead"})
    assert len(seen) == 4


def test_strategies_come_from_annotations_and_defaults_are_left():
    drawn = []

    class Typed(af.StateMachine):
        here = af.State(initial=True)

        @here.stay
        def go(self, number: int, /, text: str, *, flag: bool, extra: float = 0.5) -> None:
            drawn.append((number, text, flag, extra))

    run(machine_rules(Typed))
    assert {(type(number), type(text), type(flag)) for number, text, flag, _ in drawn} == {(int, str, bool)}
    assert {extra for *_, extra in drawn} == {0.5}


def test_strategies_by_name_also_for_names_that_hypothesis_has_for_itself():
    drawn = []

    class Taken(af.StateMachine):
        here = af.State(initial=True)

        @here.stay
        def move(self, target: str, steps: int = 0) -> None:
            drawn.append((target, steps))

    run(machine_rules(Taken, {"move": {"target": st.just("x"), "steps": st.just(3)}}), examples=3)
    assert set(drawn) == {("x", 3)}


def test_event_may_have_another_name_than_its_method():
    drawn = []

    class Named(af.StateMachine):
        here = af.State(initial=True)

        @here.stay(event="stop")
        def halt(self, why: str) -> None:
            drawn.append(why)

    run(machine_rules(Named, {"stop": st.just("tired")}), examples=3)
    assert set(drawn) == {"tired"}


def test_functions_of_a_chart_say_what_its_events_take():
    drawn = []

    def go(model: object, number: int) -> None:
        drawn.append(number)

    chart = chart_of("x", Node("here", transitions=(to("here", None, "go", actions=(Hook("go", go),)),)))
    run(machine_rules(chart))
    assert {type(number) for number in drawn} == {int}


def test_make_gives_the_machine_its_arguments():
    totals = set()

    class Rules(machine_rules(Order, make=lambda: af.child(Order, 77))):
        @invariant()
        def total(self):
            totals.add(self.machine.total)

    run(Rules, examples=2)
    assert totals == {77}


def test_chart_with_regions_and_histories_is_tried():
    class Model:
        def rewind(self): ...
        def light(self): ...
        def hush(self): ...
        def party(self):
            return False

    rules, seen = rules_that_see(PLAYER, make=Model)
    run_until(rules, seen, {"off", "playing", "muted", "end"})


def test_machine_that_ends_in_its_final_state_is_fine():
    class Brief(af.StateMachine, stop_when_final=True):
        on, off = af.State(initial=True), af.State(final=True)

        @on.to(off)
        def halt(self) -> None: ...

    run(machine_rules(Brief), examples=5)


def test_deferred_event_is_no_refusal():
    class Busy(af.StateMachine):
        working, idle = af.State(initial=True), af.State()

        @working.defer
        @idle.to(working)
        def job(self) -> None: ...

        @working.to(idle)
        def ready(self) -> None: ...

    run(machine_rules(Busy))


def test_events_with_odd_names_have_rules_of_their_own():
    events = ("a.b", "a b", "a_b", "error.execution", "*")
    chart = chart_of("x", Node("here", transitions=tuple(to("here", None, event) for event in events)))
    rules = machine_rules(chart)
    assert [name for name in vars(rules) if name.startswith("send_")] == ["send_a_b", "send_a_b_2", "send_a_b_3"]
    run(rules, examples=3)


# --- what is found ---------------------------------------------------------------------------------------------------


def test_error_of_an_action_is_found():
    class Division(af.StateMachine):
        here = af.State(initial=True)

        @here.stay
        def divide(self, by: int) -> float:
            return 1 / by

    with pytest.raises(ZeroDivisionError):
        run(machine_rules(Division), FOUND)


def test_error_in_a_timeout_is_found():
    class Late(af.StateMachine):
        a, b = af.State(initial=True), af.State(final=True)

        @a.after(60, b)
        def expire(self) -> None:
            raise KeyError("late")

    with pytest.raises(KeyError, match="late"):
        run(machine_rules(Late), FOUND)


def test_error_of_a_deferred_event_is_found():
    class Busy(af.StateMachine):
        working, idle = af.State(initial=True), af.State()

        @working.defer
        @idle.to(working)
        def job(self) -> None:
            raise KeyError("job")

        @working.to(idle)
        def ready(self) -> None: ...

    with pytest.raises(KeyError, match="job"):
        run(machine_rules(Busy), FOUND)


def test_guard_that_changes_the_machine_and_refuses_is_found():
    class Counting(af.StateMachine):
        here, there = af.State(initial=True), af.State(final=True)
        asked = 0

        def count(self) -> bool:
            self.asked += 1
            return False

        @here.to(there, when=count)
        def go(self) -> None: ...

    with pytest.raises(AssertionError, match="'go' was refused in 'here', and changed the machine"):
        run(machine_rules(Counting), FOUND)


def test_invariant_of_a_subclass_is_checked():
    class Rules(machine_rules(Order, {"pay": st.integers(1, 9)})):
        @invariant()
        def never_much(self):
            assert self.machine.received < 10

    with pytest.raises(AssertionError, match="received"):
        run(Rules, FOUND)


@pytest.mark.parametrize(
    ("place", "broken", "text"),
    [
        ("actorflow.machine.running.transition_sets.exited", lambda *_: set(), "active together"),
        ("actorflow.machine.running.interpreter.Interpreter._note", lambda *_: None, "the first record is of"),
        ("actorflow.machine.running.steps.macrostep.without_transition", lambda *_: None, "was not refused"),
        ("actorflow.machine.running.snapshot.key_of", lambda timer: (timer["state"], 9), "is another instance"),
    ],
)
def test_fault_of_the_interpreter_is_found(monkeypatch, place, broken, text):
    class Timed(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        @a.to(b)
        def go(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

        @b.after(60, a)
        def expire(self) -> None: ...

    monkeypatch.setattr(place, broken)
    with pytest.raises(AssertionError, match=text):
        run(machine_rules(Timed))


def test_record_that_begins_elsewhere_is_found(monkeypatch):
    note = af.Interpreter._note
    monkeypatch.setattr(af.Interpreter, "_note", lambda self, source, target, *rest: note(self, target, source, *rest))
    with pytest.raises(AssertionError, match="the first record is of|the history ends in"):
        run(machine_rules(Order))


# --- how it is made --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pya": st.none()}, "Order has no event 'pya'; did you mean 'pay'?"),
        ({"pay": {"amuont": st.none()}}, "Order.pay has no argument 'amuont'; did you mean 'amount'?"),
    ],
)
def test_unknown_name_is_refused_and_names_the_nearest(arguments, text):
    with pytest.raises(af.DefinitionError) as raised:
        machine_rules(Order, arguments)
    assert str(raised.value) == text


def test_argument_without_annotation_needs_a_strategy():
    class Untyped(af.StateMachine):
        here = af.State(initial=True)

        @here.stay
        def go(self, number) -> None: ...

        @here.stay
        def rest(self) -> None: ...

    with pytest.raises(af.DefinitionError, match="Untyped.go has no annotation for 'number': give machine_rules"):
        machine_rules(Untyped)
    with pytest.raises(af.DefinitionError, match="Untyped.rest takes no arguments"):
        machine_rules(Untyped, {"go": st.none(), "rest": st.none()})
    run(machine_rules(Untyped, {"go": st.none()}), examples=2)


def test_annotation_that_cannot_be_read_needs_a_strategy():
    class Hidden(af.StateMachine):
        here = af.State(initial=True)

        @here.stay
        def go(self, number: Nowhere) -> None: ...  # noqa: F821

    with pytest.raises(af.DefinitionError, match="'Nowhere' is not defined, so 'number' cannot be drawn"):
        machine_rules(Hidden)


def test_error_at_the_start_leaves_no_system_behind():
    class Broken(af.StateMachine):
        here = af.State(initial=True)

        def __init__(self) -> None:
            raise KeyError("start")

        @here.stay
        def go(self) -> None: ...

    with pytest.raises(KeyError, match="start"):
        run(machine_rules(Broken))


def test_history_of_few_records_is_enough():
    class Short(af.StateMachine, history=1):
        a, b = af.State(initial=True), af.State()

        @a.to(b)
        @b.to(a)
        def go(self) -> None: ...

    run(machine_rules(Short), examples=5)


def test_order_of_scxml_drops_events_and_is_fine():
    from dataclasses import replace

    chart = chart_of("x", Node("a", transitions=(to("a", "b", "go", guard=Hook("g", lambda _: False)),)), Node("b"))
    turn = Node("b", transitions=(Transition("b", ("back",), ("a",)),))
    run(machine_rules(replace(chart, order="scxml", states={**chart.states, "b": turn})), examples=5)


def test_hypothesis_is_imported_only_when_it_is_used():
    code = "import sys, actorflow.testing, actorflow.testing.plugin as p; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_hypothesis_the_error_names_the_cure():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import actorflow.testing\n"
        "try: actorflow.testing.machine_rules\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "actorflow.testing.machine_rules needs hypothesis: pip install hypothesis\n"


TestOrder = machine_rules(Order, {"pay": st.integers(1, 9)}).TestCase
