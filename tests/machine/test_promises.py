"""What docs/guarantees.md promises of state machines as actors."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

import actorflow as af
from actorflow.machine import machine_capacity
from actorflow.testing import Probe, VirtualSystem


class Order(af.StateMachine, history=3):
    """With what an order may have."""

    new, paid, shipped, dead = af.State(initial=True), af.State(), af.State(final=True), af.State(final=True)

    def __init__(self, total: int = 5) -> None:
        super().__init__()
        self.total, self.received = total, 0
        self.log: list[str] = []

    def enough(self, amount: int) -> bool:
        self.log.append(f"asked with {self.received}")
        return self.received + amount >= self.total

    @new.to(paid, when=enough)
    @new.stay
    def pay(self, amount: int) -> int:
        self.received += amount
        return self.received

    @paid.to(shipped)
    def ship(self, parcel: str) -> None: ...

    @(new | paid).to(dead)
    def cancel(self, why: str) -> None: ...

    @new.after(1800, dead)
    def expire(self) -> None:
        self.log.append("expired")

    @paid.enter
    def receipt(self) -> None:
        self.log.append("receipt")

    @new.stay
    @paid.stay
    def remind(self) -> None:
        self.log.append("reminded")

    def remind_in(self, seconds: float) -> None:
        self.start_timer("reminder", seconds, self.remind)

    def read(self) -> list[str]:
        return self.log


def test_rules_are_tried_top_to_bottom_and_guards_before_the_action(any_system: af.ActorSystem) -> None:
    ref = any_system.spawn(Order)
    assert (ref.call(Order.pay, 3).get(timeout=20), ref.state) == (3, "new")
    assert (ref.call(Order.pay, 3).get(timeout=20), ref.state) == (6, "paid")
    assert ref.call(Order.read).get(timeout=20) == ["asked with 0", "asked with 3", "receipt"]


def test_refused_event_names_state_event_and_what_is_legal(any_system: af.ActorSystem) -> None:
    ref = any_system.spawn(Order)
    with pytest.raises(af.TransitionRefused) as refused:
        ref.send("ship", "parcel").get(timeout=20)
    assert (refused.value.state, refused.value.event, refused.value.legal) == (
        "new",
        "ship",
        ("pay", "cancel", "remind"),
    )
    assert (ref.state, ref.history) == ("new", [])


def test_state_is_read_behind_what_was_sent(any_system: af.ActorSystem) -> None:
    ref = any_system.spawn(Order, 1)
    ref.cast(Order.pay, 1)
    assert ref.state == "paid"
    ref.cast(Order.ship, "parcel")
    assert ref.configuration == {"shipped"}


class Relay(af.StateMachine):
    """Raises an event inside another."""

    idle, busy = af.State(initial=True), af.State()

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []

    @idle.to(busy)
    def begin(self) -> None:
        self.raise_event(Relay.finish)
        self.log.append("begin")

    @busy.enter
    def enter(self) -> None:
        self.log.append("enter")

    @busy.to(idle)
    def finish(self) -> None:
        self.log.append("finish")

    @idle.stay
    @busy.stay
    def note(self, what: int) -> None:
        self.log.append(what)

    def read(self) -> list[Any]:
        return self.log


def test_event_runs_to_completion_before_the_next_message(any_system: af.ActorSystem) -> None:
    ref = any_system.spawn(Relay)
    for number in range(3):
        ref.cast(Relay.begin)
        ref.cast(Relay.note, number)
    turn = ["begin", "enter", "finish"]
    assert ref.call(Relay.read).get(timeout=20) == [*turn, 0, *turn, 1, *turn, 2]


def test_timeout_of_a_state_ends_with_the_state(virtual_system: VirtualSystem) -> None:
    left, stays = virtual_system.spawn(Order), virtual_system.spawn(Order)
    left.call(Order.pay, 5).get()
    virtual_system.sleep(1799)
    assert (left.state, stays.state) == ("paid", "new")
    virtual_system.sleep(2)
    assert (left.state, stays.state) == ("paid", "dead")


def test_named_timer_survives_events_and_changes_of_state(virtual_system: VirtualSystem) -> None:
    ref = virtual_system.spawn(Order)
    ref.call(Order.remind_in, 60).get()
    ref.call(Order.pay, 5).get()
    virtual_system.sleep(61)
    assert ref.call(Order.read).get()[-1] == "reminded"


class Printer(af.StateMachine):
    """Pages wait while it warms up."""

    warming, ready = af.State(initial=True), af.State()

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[int] = []

    @warming.after(20, ready)
    def warm(self) -> None: ...

    @warming.defer
    @ready.stay
    def print(self, page: int) -> int:
        self.pages.append(page)
        return len(self.pages)

    @ready.to(warming)
    def clean(self) -> None: ...


def test_deferred_calls_are_answered_in_order_once_they_are_handled(virtual_system: VirtualSystem) -> None:
    ref = virtual_system.spawn(Printer)
    answers = [ref.call(Printer.print, page) for page in range(5)]
    assert [answer.get() for answer in answers] == [1, 2, 3, 4, 5]
    assert virtual_system.now >= 20


def test_history_is_a_copy_of_the_last_transitions(virtual_system: VirtualSystem) -> None:
    ref = virtual_system.spawn(Order, 9)
    for amount in (1, 2, 3, 4):
        ref.cast(Order.pay, amount)
    history = ref.history
    assert [(*record[:3], record.data) for record in history] == [
        ("new", "new", "pay", (2,)),
        ("new", "new", "pay", (3,)),
        ("new", "paid", "pay", (4,)),
    ]
    history.clear()
    assert len(ref.history) == 3


def test_subscription_outlives_a_restart(any_system: af.ActorSystem, probe: Probe) -> None:
    class Fragile(Order):
        def crash(self) -> None:
            raise ValueError

    ref = any_system.spawn(af.child(Fragile, 1).options(restart="permanent"))
    subscription = ref.subscribe(probe.ref)
    ref.cast(Fragile.crash)
    ref.cast(Fragile.pay, 1)
    assert probe.expect(within=20)[:3] == ("new", "paid", "pay")
    subscription.cancel()
    ref.call(Fragile.ship, "parcel").get(timeout=20)
    probe.expect_none(within=0.01)


def test_machine_in_a_final_state_answers_and_one_with_stop_when_final_ends(
    any_system: af.ActorSystem, probe: Probe
) -> None:
    class Once(af.StateMachine, stop_when_final=True):
        off, on = af.State(initial=True), af.State(final=True)

        @off.to(on)
        def switch(self) -> None: ...

    any_system.subscribe(af.Stopped, probe.ref)
    stays = any_system.spawn(Order)
    stays.call(Order.cancel, "why").get(timeout=20)
    assert stays.state == "dead"
    ends = any_system.spawn(af.child(Once).options(restart="permanent"))
    ends.call(Once.switch).get(timeout=20)
    assert probe.expect(af.Stopped, within=30).ref == ends


def test_restored_machine_goes_on_without_running_hooks(virtual_system: VirtualSystem) -> None:
    ref = virtual_system.spawn(Order)
    ref.call(Order.pay, 3).get()
    virtual_system.sleep(1000)
    snap = json.loads(json.dumps(ref.call(Order.snapshot).get()))
    ref.stop()
    again = virtual_system.spawn(Order.restore, snap)
    assert (again.state, len(again.history)) == ("new", 1)
    assert again.call(Order.read).get() == ["asked with 0"]
    virtual_system.sleep(799)
    assert again.state == "new"
    virtual_system.sleep(2)  # the deadline is that of the first
    assert again.state == "dead"


def test_running_interpreter_can_be_pickled() -> None:
    one = af.Interpreter(CLOCK)
    one.send("go")
    one.start_timer("alarm", 60, "stop")
    other = pickle.loads(pickle.dumps(one))
    assert (other.state, other.history, other.timers) == (one.state, one.history, one.timers)
    other.send("stop")
    assert (other.state, one.state) == ("off", "on")


CLOCK = af.Chart.from_dict(
    {"name": "clock", "initial": "off", "states": {"off": {"on": {"go": "on"}}, "on": {"on": {"stop": "off"}}}}
)


def test_transition_time_is_validation_time_and_action_time(any_system: af.ActorSystem) -> None:
    class Switch(af.StateMachine):
        off = af.State(initial=True)

        @off.stay
        def flip(self) -> None: ...

    ref = any_system.spawn(Switch)
    for _ in range(130):
        ref.cast(Switch.flip)
    with pytest.raises(af.TransitionRefused):
        ref.send("nothing").get(timeout=20)
    stats = Switch.stats()
    assert (stats.events, stats.refused, stats.failed) == (131, 1, 0)
    assert stats.transition_time == stats.validation_time + stats.action_time > 0


def test_capacity_is_states_times_rate_by_capacity() -> None:
    assert machine_capacity(states=4, event_rate=1_000, processing_capacity=8_000) == 0.5
    with pytest.raises(af.DefinitionError):
        machine_capacity(states=4, event_rate=1_000, processing_capacity=0)
