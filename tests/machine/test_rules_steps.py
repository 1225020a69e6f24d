"""Rules of machines: a step in the default order, and what an error in each part of it leaves behind."""

from __future__ import annotations

import logging
from collections import deque

import pytest

import actorflow as af


class Lift(af.StateMachine):
    """Notes what runs; `fail` names what raises."""

    floor = af.State(initial=True, parallel=False)
    low = af.State(parent=floor, initial=True)
    high = af.State(parent=floor)
    out = af.State()
    back = af.History(floor, deep=True)

    def __init__(self, fail: str = "") -> None:
        super().__init__()
        self.fail = fail
        self.log: list[str] = []

    def note(self, what: str) -> None:
        self.log.append(what)
        if what == self.fail:
            raise ValueError(what)

    def allowed(self) -> bool:
        self.note("guard")
        return True

    @low.to(high)
    def up(self) -> str:
        self.note("up")
        return "up"

    @floor.to(out, when=allowed)
    def leave(self) -> str:
        self.note("action")
        return "value"

    @out.to(back)
    def home(self) -> None: ...

    @high.exit
    def leave_high(self) -> None:
        self.note("exit high")

    @floor.exit
    def leave_floor(self) -> None:
        self.note("exit floor")

    @out.enter
    def enter_out(self) -> None:
        self.note("enter out")

    @out.enter
    def enter_out_too(self) -> None:
        self.note("enter out too")


def lift(fail: str = "", *events: str) -> tuple[af.Interpreter, Lift]:
    model = Lift(fail)
    machine = af.Interpreter(Lift.chart, model)
    for event in events:
        machine.send(event)
    model.log.clear()
    return machine, model


@pytest.fixture(params=["first time", "common step"])
def times(request):
    """The first time a step is worked out, later it is taken in a row: both must be the same."""
    return 1 if request.param == "first time" else 200


def after_laps(fail: str, times: int):
    """Return a machine in "high" that has gone round often."""
    machine, model = lift("", "up")
    for _ in range(times - 1):
        machine.send("leave")
        machine.send("home")
    model.log.clear()
    model.fail = fail
    return machine, model


def test_guard_action_exits_inside_out_record_listeners_enters(times):
    machine, model = after_laps("", times)
    machine.listen(lambda record: model.log.append(f"heard {record.source} {record.target} in {machine.state}"))
    assert machine.send("leave") == "value"
    assert model.log == [
        "guard", "action", "exit high", "exit floor", "heard high out in out", "enter out", "enter out too",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fail", "ran"),
    [
        ("guard", ["guard"]),
        ("action", ["guard", "action"]),
        ("exit high", ["guard", "action", "exit high"]),
        ("exit floor", ["guard", "action", "exit high", "exit floor"]),
    ],
)
def test_a_failed_guard_action_or_exit_leaves_all_as_it_was(fail, ran, times):
    machine, model = after_laps(fail, times)
    before = machine.snapshot()
    with pytest.raises(ValueError, match=fail):
        machine.send("leave")
    assert machine.snapshot() == before
    assert model.log == ran
    model.fail = ""
    assert machine.send("leave") == "value"
    machine.send("home")
    assert machine.state == "high"  # what the history holds was not lost


@pytest.mark.parametrize("fail", ["enter out", "enter out too"])
def test_a_failed_enter_leaves_the_new_state_in_force_and_counts_as_a_failure(fail, times):
    machine, model = after_laps(fail, times)
    with pytest.raises(ValueError, match=fail):
        machine.send("leave")
    assert machine.state == "out"
    assert machine.history[-1][:3] == ("high", "out", "leave")
    assert model.log[-2:] == ["enter out", "enter out too"]  # the others run


class Careful(af.StateMachine):
    """Handles the error of a failed enter."""

    a, b, broken = af.State(initial=True), af.State(), af.State()
    heard: Exception | None = None

    @a.to(b)
    def go(self) -> str:
        return "went"

    @b.to(a)
    def back(self) -> None: ...

    @b.enter
    def fail(self) -> None:
        raise ValueError("enter")

    @b.to(broken, event="error.execution")
    def repair(self, error: Exception) -> None:
        self.heard = error

    @broken.to(a)
    def again(self) -> None: ...


def test_error_execution_can_be_handled_inside_and_then_nobody_else_hears():
    machine = af.Interpreter(Careful.chart, Careful())
    for _ in range(100):
        assert machine.send("go") == "went"
        assert machine.state == "broken"
        assert str(machine.model.heard) == "enter"
        machine.send("again")


def test_attributes_that_a_failed_action_set_stay():
    class Counting(af.StateMachine):
        a, b = af.State(initial=True), af.State()
        count = 0

        @a.to(b)
        def go(self) -> None:
            self.count += 1
            raise ValueError

        @b.to(a)
        def back(self) -> None: ...

    machine = af.Interpreter(Counting.chart, Counting())
    for _ in range(3):
        with pytest.raises(ValueError):
            machine.send("go")
    assert (machine.model.count, machine.state, machine.history) == (3, "a", [])


def test_a_failed_event_still_runs_what_it_has_raised(times):
    class Raising(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        @a.stay
        def fail(self) -> None:
            self.raise_event(Raising.go)
            raise ValueError("fail")

        @a.to(b)
        def go(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

    machine = af.Interpreter(Raising.chart, Raising())
    for _ in range(times):
        with pytest.raises(ValueError, match="fail"):
            machine.send("fail")
        assert machine.state == "b"
        machine.send("back")


def test_of_two_failures_in_one_event_the_first_is_raised_and_the_other_logged(caplog, times):
    class Twice(af.StateMachine):
        a = af.State(initial=True)

        @a.stay
        def first(self) -> None:
            self.raise_event(Twice.second)
            raise ValueError("first")

        @a.stay
        def second(self) -> None:
            raise KeyError("second")

    machine = af.Interpreter(Twice.chart, Twice())
    for _ in range(times):
        with pytest.raises(ValueError, match="first"):
            machine.send("first")
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == times
    assert "second" in str(logged[0].exc_info[1])


def test_a_listener_that_raises_is_logged_and_changes_nothing(caplog, times):
    machine, model = after_laps("", times)
    heard = []

    def bad(record):
        raise ValueError("listener")

    machine.listen(bad)
    machine.listen(heard.append)
    assert machine.send("leave") == "value"
    assert machine.state == "out"
    assert [record.event for record in heard] == ["leave"]
    assert model.log[-1] == "enter out too"
    assert "A listener of Lift failed" in caplog.text


def test_a_refusal_names_the_state_the_event_and_the_legal_ones():
    machine, _ = lift("", "up")
    with pytest.raises(af.TransitionRefused) as raised:
        machine.send("home")
    error = raised.value
    assert (error.state, error.event) == ("high", "home")
    assert str(error) == "Lift refuses 'home' in state 'high': legal are leave"
    assert machine.history[-1].event == "up"


def test_rules_of_one_event_are_read_top_to_bottom_and_inner_states_come_first():
    class Nested(af.StateMachine):
        outer = af.State(initial=True)
        a, b, c = af.State(parent=outer, initial=True), af.State(parent=outer), af.State(parent=outer)
        allow: set[str] = set()  # noqa: RUF012 - one machine, in one test

        @a.to(b, when=lambda self: "b" in self.allow)
        @a.to(c, when=lambda self: "c" in self.allow)
        @outer.stay
        def go(self) -> None: ...

        @(b | c).to(a)
        def back(self) -> None: ...

    machine = af.Interpreter(Nested.chart, Nested())
    for allow, state in (({"b", "c"}, "b"), ({"c"}, "c"), (set(), "a")):
        machine.model.allow = allow
        machine.send("go")
        assert machine.state == state
        if state != "a":
            machine.send("back")


def test_an_internal_transition_does_not_leave_its_state_and_a_self_transition_does():
    class Both(af.StateMachine):
        outer = af.State(initial=True)
        a, b = af.State(parent=outer, initial=True), af.State(parent=outer)

        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []

        @outer.to(b, internal=True)
        def inside(self) -> None: ...

        @outer.to(b)
        def outside(self) -> None: ...

        @b.to(b)
        def itself(self) -> None: ...

        @b.stay
        def nothing(self) -> None: ...

        @a.stay
        def there(self) -> None: ...

        @outer.enter
        def enter_outer(self) -> None:
            self.log.append("+outer")

        @outer.exit
        def exit_outer(self) -> None:
            self.log.append("-outer")

        @b.enter
        def enter_b(self) -> None:
            self.log.append("+b")

        @b.exit
        def exit_b(self) -> None:
            self.log.append("-b")

    model = Both()
    machine = af.Interpreter(Both.chart, model)
    for event, expected in (
        ("inside", ["+b"]),
        ("outside", ["-b", "-outer", "+outer", "+b"]),
        ("itself", ["-b", "+b"]),
        ("nothing", []),
    ):
        model.log.clear()
        machine.send(event)
        assert model.log == expected, event
    assert [record.event for record in machine.history] == ["inside", "outside", "itself", "nothing"]


def test_an_event_runs_to_completion_and_those_sent_meanwhile_wait():
    class Chatty(af.StateMachine):
        a, b, c = af.State(initial=True), af.State(), af.State()

        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []

        @a.to(b)
        def go(self) -> None:
            self._interpreter.send("sent")
            self.raise_event(Chatty.raised)
            self.log.append(f"go in {self.state}")

        @b.enter
        def enter_b(self) -> None:
            self.log.append(f"enter in {self.state}")

        @b.to(c)
        def raised(self) -> None:
            self.log.append(f"raised in {self.state}")

        @c.stay
        def sent(self) -> None:
            self.log.append(f"sent in {self.state}")

        @c.to(a)
        def back(self) -> None: ...

    machine = af.Interpreter(Chatty.chart, Chatty())
    for _ in range(100):
        machine.model.log.clear()
        machine.send("go")
        assert machine.model.log == ["go in a", "enter in b", "raised in b", "sent in c"]
        machine.send("back")


def test_self_and_super_are_the_action_alone():
    class Base(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []

        @a.to(b)
        def go(self, n: int) -> int:
            self.log.append(f"go {n} in {self.state}")
            return n

        @a.stay
        @b.stay
        def twice(self) -> int:
            return self.go(1) + self.go(2)

    class Derived(Base):
        def go(self, n: int) -> int:
            return 10 * super().go(n)

    machine = af.Interpreter(Derived.chart, Derived())
    assert machine.send("twice") == 30
    assert machine.state == "a"
    assert machine.send("go", 3) == 30  # the override keeps the rules
    assert machine.state == "b"
    assert machine.send("twice") == 30  # the action, in a state in which the event is not legal
    assert machine.model.log == ["go 1 in a", "go 2 in a", "go 3 in a", "go 1 in b", "go 2 in b"]


def test_history_keeps_the_last_and_nothing_if_it_is_off(any_system):
    class Short(Lift, history=3): ...

    class Off(Lift, history=0): ...

    for kind, kept in ((Short, 3), (Off, 0)):
        ref = any_system.spawn(kind)
        ref.call(Lift.up).get()
        for _ in range(5):
            ref.call(Lift.leave).get()
            ref.call(Lift.home).get()
        assert [record.event for record in ref.history] == ["home", "leave", "home"][:kept]
    assert af.Interpreter(Lift.chart, Lift(), history=2).history == []
    with pytest.raises(af.DefinitionError, match="history=-1: how many transitions to keep"):
        type("Negative", (Lift,), {}, history=-1)


def test_raised_events_of_the_start_are_handled_once_it_has_started(any_system):
    class Eager(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        def on_start(self) -> None:
            self.raise_event(Eager.go)

        @a.enter
        def arrive(self) -> None: ...

        @a.to(b)
        def go(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

    assert any_system.spawn(Eager).state == "b"


def test_a_chart_that_goes_round_in_circles_is_an_error_that_names_it():
    class Dizzy(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        @a.stay
        def go(self) -> None:
            self.raise_event(Dizzy.go)

        @a.to(b)
        def leave(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

    machine = af.Interpreter(Dizzy.chart, Dizzy())
    with pytest.raises(af.DefinitionError, match="it goes round in circles"):
        machine.send("go")
    assert machine._pending.internal == deque()
    machine.send("leave")
    assert machine.state == "b"
