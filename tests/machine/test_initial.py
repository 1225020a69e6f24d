"""A machine that starts in a given state: for those who keep the state in a table of their own."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import actorflow as af
from actorflow.machine import ChartBuilder
from actorflow.testing import VirtualSystem


class Kept(enum.Enum):
    """What a program keeps: values that are states, and names that are."""

    NEW = "new"
    paid = 2


class Order(af.StateMachine):
    """With hooks that would be seen, a timeout, and an eventless transition behind a guard."""

    new, paid, shipped, dead = af.State(initial=True), af.State(), af.State(final=True), af.State(final=True)
    ran: tuple[str, ...] = ()

    def __init__(self, total: int = 5, *, state: Any = None) -> None:
        super().__init__() if state is None else super().__init__(initial=state)
        self.total = total

    @new.to(paid)
    def pay(self) -> None: ...

    @paid.to(shipped)
    def ship(self) -> str:
        return "shipped"

    @paid.always(shipped, when=lambda self: self.total == 0)
    def free(self) -> None:
        self.ran += ("free",)

    @paid.after(60, dead)
    def expire(self) -> None:
        self.ran += ("expire",)

    @new.enter
    @paid.enter
    @shipped.enter
    def entered(self) -> None:
        self.ran += (f"enter {self.state}",)


class Row(af.StateMachine):
    """Without an `__init__`: the class itself takes `initial`."""

    a, b = af.State(initial=True), af.State()

    @a.to(b)
    @b.to(a)
    def go(self) -> None: ...


class Nested(af.StateMachine):
    """Regions, and states within states."""

    off = af.State(initial=True)
    both = af.State(parallel=True)
    one, two = af.State(parent=both), af.State(parent=both)
    due, settled = af.State(parent=one, initial=True), af.State(parent=one, final=True)
    loose, packed = af.State(parent=two, initial=True), af.State(parent=two, final=True)
    past = af.History(both)
    over = af.State(final=True)

    @off.to(past)
    def go(self) -> None: ...

    @due.to(settled)
    def pay(self) -> None: ...

    @loose.to(packed)
    def pack(self) -> None: ...

    @both.to(over, event="done.state.both")
    def end(self) -> None: ...


@pytest.mark.parametrize("given", ["paid", Order.paid, Kept.paid])
def test_a_machine_starts_in_a_given_state_and_runs_none_of_its_enter_hooks(given, system: af.ActorSystem):
    ref = system.spawn(Order, 5, state=given)
    assert ref.state == "paid"
    assert ref.proxy().ran.get(timeout=100) == ()
    assert ref.call(Order.ship).get(timeout=100) == "shipped"
    local = Order.local(5, state=given)
    assert (local.state, local.ran) == ("paid", ())
    assert (local.ship(), local.state, local.ran) == ("shipped", "shipped", ("enter shipped",))
    for machine in (
        af.Interpreter(Order.chart, Order(5), initial=given),
        af.Interpreter(Order.chart, Order(5, state=given)),
    ):
        assert (machine.state, machine.model.state, machine.model.ran) == ("paid", "paid", ())


def test_a_class_without_an_init_takes_initial_itself(system: af.ActorSystem):
    assert system.spawn(Row, initial="b").state == "b"
    assert Row.local(initial=Row.b).state == "b"
    assert system.spawn(Row).state == "a"


def test_a_constructor_without_initial_says_how_it_gets_one(system: af.ActorSystem):
    class Fixed(Row):
        def __init__(self, total: int) -> None:
            super().__init__()

    with pytest.raises(af.DefinitionError, match=r"super\(\)\.__init__\(initial=initial\)"):
        system.spawn(Fixed, 5, initial="b")
    with pytest.raises(af.DefinitionError, match=r"super\(\)\.__init__\(initial=initial\)"):
        Fixed.local(5, initial="b")


def test_a_misspelt_keyword_is_refused(system: af.ActorSystem):
    with pytest.raises(af.DefinitionError, match="Row: its __init__ takes no 'inital'; there is initial="):
        system.spawn(Row, inital="b")


def test_timeouts_of_the_given_state_begin_and_eventless_transitions_are_taken(virtual_system: VirtualSystem):
    order = virtual_system.spawn(Order, 5, state="paid")
    virtual_system.sleep(59)
    assert order.state == "paid"
    virtual_system.sleep(2)
    assert order.state == "dead"
    free = virtual_system.spawn(Order, 0, state="paid")
    assert free.state == "shipped"
    assert free.proxy().ran.get() == ("free", "enter shipped")
    assert Order.local(0, state="paid").state == "shipped"


def test_a_restart_begins_in_the_given_state_again(virtual_system: VirtualSystem):
    class Frail(Order):
        @Order.paid.stay
        def crash(self) -> None:
            raise ValueError

    frail = virtual_system.spawn(af.child(Frail, 5, state="paid").options(restart="permanent"))
    frail.cast(Frail.crash)
    virtual_system.sleep(1)
    assert frail.state == "paid"


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ("both", "due+loose"),
        ("settled", "settled+loose"),
        ("due+packed", "due+packed"),
        (Nested.due | Nested.packed, "due+packed"),
        (("both", "one", "due", "two", "packed"), "due+packed"),
        (frozenset({"both", "one", "due", "two", "packed"}), "due+packed"),
        ("over", "over"),
    ],
)
def test_what_state_or_configuration_said_is_a_start(given, state):
    assert Nested.local(initial=given).state == state


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("payed", r"no such state; did you mean 'packed'"),
        ("zzz", r"no such state; its states are off"),
        ("past", "a history is never active"),
        ("due+settled", "never active together"),
        (("off", "due"), "never active together"),
        ("", "no such state; its states are off"),
        (None, "None is no state; leave initial out to start where the chart does"),
        ([None], "no such state"),
        ((), "give the name of a state"),
        (3, "give a state, its name, or an Enum member"),
        ([3], "no such state"),
        (Kept.NEW, "no such state"),
        (Order.shipped, "no such state"),
    ],
)
def test_what_is_no_state_is_refused_with_the_cure(given, text):
    with pytest.raises(af.DefinitionError, match=text):
        Nested(initial=given)


def test_regions_that_were_given_are_done_when_the_last_is():
    machine = Nested.local(initial="due+packed")
    machine.pay()
    assert machine.state == "over"


def test_an_enum_member_stands_for_its_name_or_for_its_value_if_that_is_the_state():
    assert Order.local(5, state=Kept.NEW).state == "new"
    assert Order.local(5, state=Kept.paid).state == "paid"

    class Status(enum.StrEnum):
        PAID = "paid"

    assert Order.local(5, state=Status.PAID).state == Status.PAID


def test_enum_members_are_states_of_a_builder():
    chart = (
        ChartBuilder("order")
        .add_state(Kept.NEW, initial=True)
        .add_state(Kept.paid)
        .add_transition(Kept.NEW, "pay", Kept.paid)
        .add_transition(Kept.paid, "undo", Kept.NEW)
        .build()
    )
    machine = af.Interpreter(chart, initial=Kept.paid)
    assert (machine.state, machine.send("undo"), machine.state) == ("paid", None, "NEW")


def test_a_machine_that_starts_in_its_final_state_is_over(virtual_system: VirtualSystem):
    class Once(Order, stop_when_final=True): ...

    once = virtual_system.spawn(Once, 5, state="shipped")
    virtual_system.sleep(1)
    assert not once.is_alive()


def test_what_the_given_state_invokes_is_started(virtual_system: VirtualSystem):
    class Child(af.StateMachine):
        a, b = af.State(initial=True), af.State(final=True)

        @a.after(5, b)
        def end(self) -> None: ...

    class Parent(af.StateMachine):
        idle, busy, done = af.State(initial=True), af.State(), af.State(final=True)

        @idle.to(busy)
        def go(self) -> None: ...

        @busy.invoke(Child)
        @busy.to(done)
        def child(self, _result: object) -> None: ...

    parent = virtual_system.spawn(Parent, initial="busy")
    assert parent.state == "busy"
    virtual_system.sleep(6)
    assert parent.state == "done"


def test_a_snapshot_of_a_machine_that_was_started_so_is_as_any():
    order = Order.local(5, state="paid")
    snap = order.snapshot()
    assert snap["configuration"] == ["paid"]
    assert snap["data"] == {"total": 5}
    assert af.Interpreter.restore(Order.chart, snap, Order(5)).state == "paid"


def test_none_from_an_empty_column_begins_no_machine_anew(system: af.ActorSystem):
    builder = ChartBuilder("x").add_state("a", initial=True).add_state("b", final=True)
    made = builder.add_transition("a", "go", "b").build()
    for start in (
        lambda: system.spawn(Row, initial=None),
        lambda: Row.local(initial=None),  # type: ignore[arg-type]
        lambda: af.Interpreter(Row.chart, Row(), initial=None),  # type: ignore[arg-type]
        lambda: af.Interpreter(made, initial=None),  # type: ignore[arg-type]
    ):
        with pytest.raises(af.DefinitionError, match=r"initial=None: None is no state; leave initial out"):
            start()
