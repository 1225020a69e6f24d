"""StateTransitionTime = ValidationTime + ActionTime, per machine class; and the capacity of a machine."""

from __future__ import annotations

import dataclasses
import math

import pytest

import actorflow as af
from actorflow.machine import machine_capacity
from actorflow.machine.running.steps import macrostep


def make(clock: list[float] | None = None) -> type[af.StateMachine]:
    """Make a class of its own: figures are a class's. A guard takes 2 s and an action 5 s of the given clock."""

    def passes(seconds: float) -> None:
        if clock is not None:
            clock[0] += seconds

    class Order(af.StateMachine):
        new, paid = af.State(initial=True), af.State()

        def enough(self, amount: int = 1) -> bool:
            passes(2.0)
            return amount > 0

        @new.to(paid, when=enough)
        def pay(self, amount: int = 1) -> None:
            passes(4.0)
            if amount == 13:
                raise ValueError("13")

        @paid.to(new, when=lambda self: self.enough())
        def back(self) -> None:
            passes(4.0)

        @(new | paid).exit
        def leave(self) -> None:
            passes(1.0)

    return Order


def test_transition_time_is_validation_time_and_action_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(macrostep.time, "perf_counter", lambda: now[0])
    order = make(now)
    machine = af.Interpreter(order.chart, order())
    for _ in range(160):
        machine.send("pay")
        machine.send("back")
    stats = order.stats()
    assert (stats.validation_time, stats.action_time, stats.transition_time) == (2.0, 5.0, 7.0)
    assert (stats.events, stats.refused, stats.failed) == (320, 0, 0)


def test_events_refusals_and_failures_are_counted_also_in_the_common_step():
    order = make()
    machine = af.Interpreter(order.chart, order())
    for _ in range(200):
        machine.send("pay")
        with pytest.raises(af.TransitionRefused):
            machine.send("pay")
        machine.send("back")
        with pytest.raises(ValueError, match="13"):
            machine.send("pay", 13)
        with pytest.raises(af.TransitionRefused):
            machine.send("pay", 0)  # by its guard
    stats = order.stats()
    assert (stats.events, stats.refused, stats.failed) == (1000, 400, 200)


def test_figures_are_of_all_machines_of_a_class_and_of_no_other(any_system):
    order, other = make(), make()
    refs = [any_system.spawn(order) for _ in range(3)]
    for ref in refs:
        ref.call(order.pay).get()
        with pytest.raises(af.TransitionRefused):
            ref.send("pay").get()
    assert (order.stats().events, order.stats().refused) == (6, 3)
    assert other.stats() == type(other.stats())(0, 0, 0, 0.0, 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        order.stats().events = 3


def test_times_are_those_of_real_events_after_some():
    order = make()
    machine = af.Interpreter(order.chart, order())
    for _ in range(64):
        machine.send("pay")
        machine.send("back")
    stats = order.stats()
    assert stats.validation_time > 0
    assert stats.action_time > 0


def test_capacity_is_states_times_rate_by_processing_capacity():
    assert machine_capacity(4, 1_000, 400_000) == pytest.approx(0.01)
    assert machine_capacity(states=0, event_rate=0.0, processing_capacity=0.5) == 0


@pytest.mark.parametrize(
    "given",
    [
        (-1, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, -1), (1, 1, math.nan), (math.nan, 1, 1), (1, math.inf, 1),
        (1, 1, math.inf), ("4", 1, 1), (1, None, 1), (1, 1, True), ([], 1, 1),
    ],
)  # fmt: skip
def test_capacity_of_what_makes_no_sense_is_refused(given):
    with pytest.raises(af.DefinitionError, match="give numbers, none negative, and a capacity above 0"):
        machine_capacity(*given)
