"""The table of docs/machines.md, "When something fails": each part of a transition fails, in both orders."""

from __future__ import annotations

import dataclasses
import logging

import pytest

import actorflow as af
from actorflow.machine import ChartActor, ChartBuilder
from tests.interrupts import at_every_bytecode

PARTS = ("guard", "action", "exit", "listener", "enter")


class Part(Exception):
    """The part that was to fail has."""


class Model:
    """Writes down what is called; one part fails."""

    def __init__(self, failing: str | None) -> None:
        self.failing = failing
        self.ran: list[str] = []

    def run(self, part: str) -> bool:
        self.ran.append(part)
        if part == self.failing:
            raise Part(part)
        return True

    def hear(self, _record: object) -> None:
        if self.ran[-1] != "handler":  # its transition is told of, too
            self.run("listener")


def chart(order: str, *, handles: bool = False) -> af.Chart:
    builder = ChartBuilder("machine").add_state("a", initial=True, exit=lambda model: model.run("exit"))
    builder.add_state("b", enter=[lambda model: model.run("enter"), lambda model: model.run("enter too")])
    builder.add_transition(
        "a", "go", "b", when=lambda model: model.run("guard"), action=lambda model: model.run("action")
    )
    builder.add_transition("b", "back", "a")
    if handles:
        for state in "ab":
            builder.add_transition(state, "error.execution", None, action=lambda model, error: model.run("handler"))
    return dataclasses.replace(builder.build(), order=order)


def machine(order: str, failing: str | None, *, handles: bool = False) -> af.Interpreter:
    one = af.Interpreter(chart(order, handles=handles), Model(failing))
    one.listen(one.model.hear)
    return one


def test_default_order_is_guard_action_exit_listeners_enter() -> None:
    one = machine("action first", None)
    one.send("go")
    assert one.model.ran == ["guard", "action", "exit", "listener", "enter", "enter too"]


def test_scxml_order_is_guard_exit_action_listeners_enter() -> None:
    one = machine("scxml", None)
    one.send("go")
    assert one.model.ran == ["guard", "exit", "action", "listener", "enter", "enter too"]


@pytest.mark.parametrize("failing", ["guard", "action", "exit"])
def test_failure_before_the_change_leaves_state_and_history_as_they_were(failing: str) -> None:
    one = machine("action first", failing)
    with pytest.raises(Part, match=failing):
        one.send("go")
    assert (one.state, one.history, one.model.ran[-1]) == ("a", [], failing)
    one.model.failing = None
    one.send("go")
    assert one.state == "b"


def test_failed_enter_leaves_the_new_state_in_force_and_is_raised() -> None:
    one = machine("action first", "enter")
    with pytest.raises(Part, match="enter"):
        one.send("go")
    assert (one.state, len(one.history), one.model.ran[-1]) == ("b", 1, "enter too")


def test_failed_enter_that_a_rule_handles_is_no_failure() -> None:
    one = machine("action first", "enter", handles=True)
    one.send("go")
    assert (one.state, one.model.ran[-1]) == ("b", "handler")


@pytest.mark.parametrize("order", ["action first", "scxml"])
def test_failed_listener_is_logged_and_changes_nothing(order: str, caplog: pytest.LogCaptureFixture) -> None:
    one = machine(order, "listener")
    with caplog.at_level(logging.ERROR, "actorflow"):
        one.send("go")
    assert (one.state, len(one.history), one.model.ran[-1]) == ("b", 1, "enter too")
    assert "A listener of machine failed" in caplog.text


@pytest.mark.parametrize("failing", ["action", "exit", "enter"])
def test_scxml_completes_the_step_and_raises_error_execution_inside(failing: str) -> None:
    one = machine("scxml", failing, handles=True)
    one.send("go")
    assert (one.state, one.history[0][:3], one.model.ran[-1]) == ("b", ("a", "b", "go"), "handler")


def test_scxml_takes_a_failed_guard_for_false() -> None:
    one = machine("scxml", "guard", handles=True)
    one.send("go")
    assert (one.state, one.model.ran) == ("a", ["guard", "handler"])


@pytest.mark.parametrize("failing", PARTS)
def test_scxml_drops_an_error_that_no_rule_takes(failing: str) -> None:
    one = machine("scxml", failing)
    assert one.send("go") is None
    assert one.state == ("a" if failing == "guard" else "b")


@pytest.mark.parametrize("lap", [1, 2])  # the first step of its kind goes the long way
@pytest.mark.parametrize(
    ("failing", "said"),
    [("guard", "a guard"), ("action", "an action"), ("exit", "an exit hook"), ("enter", "an enter hook")],
)
def test_error_says_which_part_failed(failing: str, said: str, lap: int) -> None:
    one = machine("action first", None)
    for _ in range(lap - 1):
        one.send("go")
        one.send("back")
    one.model.failing = failing
    with pytest.raises(Part) as error:
        one.send("go")
    state = "b" if failing == "enter" else "a"
    assert error.value.__notes__ == [f"machine: {said} failed, at event 'go', in state '{state}'"]


# --- who hears of it --------------------------------------------------------------------------------------------------


class Machine(af.StateMachine):
    """One part fails; the rest says that it was there."""

    a, b = af.State(initial=True), af.State()

    def __init__(self, failing: str) -> None:
        super().__init__()
        self.failing = failing
        self.touched = False

    def check(self, part: str) -> bool:
        if part == self.failing:
            raise Part(part)
        return True

    def guard(self) -> bool:
        return self.check("guard")

    @a.to(b, when=guard)
    def go(self) -> None:
        self.touched = True
        self.check("action")

    @b.to(a)
    def back(self) -> None: ...

    @a.exit
    def leave(self) -> None:
        self.check("exit")

    @b.enter
    def arrive(self) -> None:
        self.check("enter")

    def go_later(self) -> None:
        self.start_timer("soon", 0.01, self.go)

    def look(self) -> tuple[str, int, bool]:
        return self.state, len(self.history), self.touched


@pytest.mark.parametrize(
    ("failing", "seen"),
    [("guard", ("a", 0, False)), ("action", ("a", 0, True)), ("exit", ("a", 0, True)), ("enter", ("b", 1, True))],
)
def test_caller_gets_the_error_and_the_machine_lives_on(
    any_system: af.ActorSystem, failing: str, seen: tuple[str, int, bool]
) -> None:
    ref = any_system.spawn(Machine, failing)
    with pytest.raises(Part, match=failing):
        ref.call(Machine.go).get(timeout=20)
    assert ref.call(Machine.look).get(timeout=20) == seen


@pytest.mark.parametrize("how", ["cast", "timer"])
@pytest.mark.parametrize("failing", ["guard", "action", "exit", "enter"])
def test_failure_that_nobody_asked_for_is_a_crash(any_system: af.ActorSystem, probe, failing: str, how: str) -> None:
    any_system.subscribe(af.Crashed, probe.ref)
    ref = any_system.spawn(af.child(Machine, failing).options(restart="permanent"))
    ref.cast(Machine.go if how == "cast" else Machine.go_later)
    assert isinstance(probe.expect(af.Crashed, within=30).reason, Part)
    assert ref.call(Machine.look).get(timeout=20) == ("a", 0, False)  # a new machine


@pytest.mark.parametrize("how", ["cast", "timer"])
def test_refusal_that_nobody_asked_for_is_a_dead_letter_and_no_crash(
    any_system: af.ActorSystem, probe, how: str
) -> None:
    any_system.subscribe(af.DeadLetter, probe.ref)
    ref = any_system.spawn(Machine, "")
    ref.call(Machine.go).get(timeout=20)
    ref.cast(Machine.go if how == "cast" else Machine.go_later)
    assert isinstance(probe.expect(af.DeadLetter, within=30).reason, af.TransitionRefused)
    assert ref.call(Machine.look).get(timeout=20) == ("b", 1, True)


def test_nobody_hears_of_errors_in_a_chart_of_scxmls_order(any_system: af.ActorSystem) -> None:
    ref = any_system.spawn(ChartActor, chart("scxml"), Model("action"))
    assert ref.send("go").get(timeout=20) is None
    assert ref.state == "b"


class Interruptible:
    """Raises an event in a part of a transition, and is interrupted there if it is told so."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.interrupted: str | None = None

    def run(self, part: str, machine: af.Interpreter) -> None:
        self.ran.append(part)
        machine.raise_event("then")
        if part == self.interrupted:
            raise KeyboardInterrupt


def interruptible(order: str) -> af.Interpreter:
    def part(name: str):
        return lambda model: model.run(name, model.machine)

    builder = (
        ChartBuilder("machine").add_state("a", initial=True, exit=part("exit")).add_state("b", enter=part("enter"))
    )
    builder.add_transition("a", "go", "b", action=part("action"))
    builder.add_transition("b", "back", "a")
    for state in "ab":
        for event in ("then", "next"):
            builder.add_transition(state, event, None, action=lambda model, event=event: model.ran.append(event))
    model = Interruptible()
    model.machine = one = af.Interpreter(dataclasses.replace(builder.build(), order=order), model)
    return one


@pytest.mark.parametrize("part", ["action", "exit", "enter"])
@pytest.mark.parametrize("order", ["action first", "scxml"])
def test_an_event_that_is_interrupted_is_finished_before_the_next(order: str, part: str) -> None:
    one = interruptible(order)
    one.model.interrupted = part
    for round_ in range(70):  # the first goes the common way, one in 64 the long one
        with pytest.raises(KeyboardInterrupt):
            one.send("go")
        raised = len(one.model.ran)
        one.send("next")
        assert one.model.ran[raised:] == ["then"] * raised + ["next"], round_
        one.model.interrupted = None
        if one.state == "b":
            one.send("back")
        one.model.ran.clear()
        one.model.interrupted = part


@pytest.mark.parametrize(("order", "every"), [("action first", 1), ("scxml", 7)])
def test_a_machine_interrupted_at_any_bytecode_goes_on(order: str, every: int) -> None:
    one = interruptible(order)

    def act() -> None:
        one.send("go")
        one.send("back")

    def mended() -> None:
        one.send("next")
        assert one.model.ran[-1] == "next"  # and what was raised came before
        one.model.ran.clear()
        if one.state == "b":
            one.send("back")

    assert at_every_bytecode(act, mended, every=every) > 100
