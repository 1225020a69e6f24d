"""A machine without an actor whose events are called as methods, and an event called on an object that nothing runs."""

from __future__ import annotations

import copy
import pickle

import cloudpickle
import pytest

import actorflow as af
from actorflow.machine import Event


class Order(af.StateMachine, history=4):
    """An order with a guard, a plain method that calls an event's method, hooks, a timeout, and an override below."""

    new, paid, dead = af.State(initial=True), af.State(), af.State(final=True)

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total, self.received = total, 0

    @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)
    @new.stay
    def pay(self, amount: int) -> int:
        """Take money."""
        self.received += amount
        return self.received

    @paid.to(dead)
    def refund(self) -> int:
        return self.pay(-self.received)

    @paid.enter
    def receipt(self) -> None:
        self.printed = True

    def settle(self) -> int:
        return self.pay(self.total - self.received)

    @new.after(1800, dead)
    def expire(self) -> None: ...

    def __len__(self) -> int:
        return self.received

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self.total == other.total

    __hash__ = None  # type: ignore[assignment]


class Gift(Order):
    """An override without a rule of its own is the event, too."""

    def pay(self, amount: int) -> int:
        return super().pay(amount) * 10


class Tariff:
    """A mixin with an event's method, for machines that have such states."""

    @Order.new.stay
    def quote(self) -> int:
        return 7


class Quoted(Tariff, Order): ...


def test_events_of_a_local_machine_are_called_as_methods_and_change_its_state():
    order = Order.local(5)
    assert order.state == Order.new
    assert order.pay(3) == 3
    assert order.state == "new"
    assert order.pay(amount=2) == 5
    assert (order.state, order.received, order.printed) == ("paid", 5, True)
    assert order.legal == ("refund",)
    with pytest.raises(af.TransitionRefused, match=r"Order refuses 'pay' in state 'paid': legal are refund"):
        order.pay(1)
    assert [record.event for record in order.history] == ["pay", "pay"]


def test_within_a_local_machine_an_events_method_is_the_action_alone_as_in_an_actor():
    order = Order.local(5)
    assert order.settle() == 5
    assert order.state == "new", "a plain method called the action"
    order.pay(0)
    assert order.refund() == 0
    assert order.state == "dead"
    gift = Gift.local(5)
    assert (gift.pay(5), gift.state) == (50, "paid")


def test_an_event_called_on_an_object_that_nothing_runs_is_refused_with_the_cure():
    for made in (Order(5), Gift(5)):
        name = type(made).__name__
        with pytest.raises(
            af.DefinitionError, match=rf"{name}.pay is an event.*{name}\.local\(.*ref\.call.*send\('pay'"
        ):
            made.pay(3)
        assert made.received == 0
    quoted = Quoted(5)
    with pytest.raises(af.DefinitionError, match=r"Quoted\.quote is an event"):
        quoted.quote()
    assert Tariff().quote() == 7, "a mixin alone is no machine"


def test_a_model_between_two_events_of_its_interpreter_refuses_its_events():
    order = Order(5)
    machine = af.Interpreter(Order.chart, order)
    assert machine.send("pay", 5) == 5
    assert machine.send("refund") == 0
    with pytest.raises(af.DefinitionError, match="Order.pay is an event"):
        order.pay(3)


def test_in_an_actor_an_events_method_stays_the_action(system: af.ActorSystem):
    order = system.spawn(Gift, 5)
    assert order.call(Order.settle).get(timeout=100) == 50
    assert order.state == "new"
    assert order.call(Order.pay, 0).get(timeout=100) == 50
    assert order.state == "paid"
    assert order.call(Order.refund).get(timeout=100) == 0
    again = system.spawn(Order, 5)
    assert again.proxy().pay(5).get(timeout=100) == 5
    assert again.state == "paid"


def test_a_method_that_was_pickled_by_value_is_an_event_still():
    class Here(af.StateMachine):
        off, on = af.State(initial=True), af.State()

        @off.to(on)
        @on.stay
        def go(self) -> str:
            return "gone"

    there = cloudpickle.loads(cloudpickle.dumps(Here))
    with pytest.raises(af.DefinitionError, match="Here.go is an event"):
        there().go()
    machine = there.local()
    assert (machine.go(), machine.state) == ("gone", "on")


def test_a_local_machine_is_one_of_its_class_in_all_else():
    order = Order.local(5)
    assert isinstance(order, Order)
    assert not isinstance(order, Gift)
    order.total = 7
    assert vars(order)["total"] == 7
    assert order == Order.local(7)
    assert Order.local(7) == order
    assert order != Order.local(5)
    assert len(order) == 0
    assert order.pay.func is not None
    with pytest.raises(TypeError, match="unhashable"):
        hash(order)
    with pytest.raises(AttributeError, match="nothing"):
        order.nothing
    del order.total
    assert not hasattr(order, "total")


def test_hooks_and_timeouts_of_a_local_machine_are_not_for_callers():
    order = Order.local(5)
    for hook in (order.receipt, order.expire):
        with pytest.raises(af.TransitionRefused):
            hook()
    assert order.state == "new"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_local_machine_goes_on_by_itself(copied):
    order = Order.local(5)
    order.pay(3)
    other = copied(order)
    assert (other.pay(2), other.state) == (5, "paid")
    assert (order.state, order.received) == ("new", 3)


def test_the_interpreter_of_a_local_machine_has_its_timers_and_more():
    order = Order.local(5)
    machine = af.Interpreter.of(order)
    assert machine.may("pay", 1)
    assert list(machine.timers) == [("new", 3)] or len(machine.timers) == 1
    assert af.Interpreter.of(machine.model) is machine
    with pytest.raises(af.DefinitionError, match="no interpreter alone runs"):
        af.Interpreter.of(Order(5))


def test_an_init_that_calls_an_events_method_runs_its_action():
    class Prepaid(Order):
        def __init__(self) -> None:
            super().__init__(5)
            self.pay(2)

    order = Prepaid.local()
    assert (order.received, order.state) == (2, "new")


class Motor(af.StateMachine):
    """Events whose names cannot be methods of an actor."""

    on, off = af.State(initial=True), af.State()
    log: tuple[str, ...] = ()

    @on.to(off, event="stop")
    def halt(self) -> str:
        return "halted"

    @off.to(on, event="start")
    def go(self) -> str:
        return "gone"

    @on.stay(event="halt")
    def halted_by_name(self) -> str:
        return "the other"

    @on.stay(event="card cash")
    def paid(self, amount: int) -> int:
        return amount

    @off.to(on, event="wake call")
    def wake(self) -> str:
        self.raise_event(self.halt)
        return "awake"

    @off.defer
    @on.stay(event="hold")
    def wait(self) -> str:
        return "waited"

    @on.stay(event="error.*")
    def failed(self) -> None: ...


def test_an_event_that_cannot_be_a_method_is_called_by_its_typed_method(system: af.ActorSystem):
    motor = system.spawn(Motor)
    assert motor.call(Motor.halted_by_name).get(timeout=100) == "the other"
    assert motor.call(Motor.halt).get(timeout=100) == "halted"
    waiting = motor.call(Motor.wait)
    assert motor.state == "off", "the event 'hold' is deferred"
    assert motor.call(Motor.go).get(timeout=100) == "gone"
    assert waiting.get(timeout=100) == "waited"
    assert motor.send("halt").get(timeout=100) == "the other", "by name it is the event of that name"
    motor.cast(Motor.halt)
    assert motor.state == "off"
    assert motor.call(Motor.wake).get(timeout=100) == "awake"
    assert motor.state == "off"
    assert motor.legal == ("start", "wake", "call")


def test_a_local_motor_is_stopped_by_its_typed_method():
    motor = Motor.local()
    assert (motor.halt(), motor.state) == ("halted", "off")
    assert (motor.go(), motor.state) == ("gone", "on")


def test_one_rule_may_be_for_several_events_and_a_call_of_its_method_must_say_which(system: af.ActorSystem):
    motor = system.spawn(Motor)
    assert [motor.send(event, 3).get(timeout=100) for event in ("card", "cash")] == [3, 3]
    with pytest.raises(af.DefinitionError, match=r"Motor\.paid handles 'card', 'cash'.*send one by its name"):
        motor.call(Motor.paid, 3).get(timeout=100)
    with pytest.raises(af.TransitionRefused):
        motor.call(Motor.failed).get(timeout=100)


def test_legal_events_are_read_from_a_ref_and_have_none_that_only_the_machine_raises(system: af.ActorSystem):
    motor = system.spawn(Motor)
    assert motor.legal == ("stop", "halt", "card", "cash", "hold")
    with pytest.raises(AttributeError, match="no state machine"):
        system.spawn(af.Actor).legal


# --- states as values ------------------------------------------------------------------------------------------------


class Light(af.StateMachine):
    green, red = af.State(initial=True), af.State()
    lit = green | red

    @green.to(red)
    @red.to(green)
    def cycle(self) -> None: ...


def test_a_state_is_equal_to_its_own_name_and_hashes_like_it():
    light = Light.local()
    assert light.state == Light.green
    assert Light.green == "green"
    assert Light.green != "red"
    assert Light.green != Light.red
    assert Light.green != Order.new
    assert {Light.green: 1}["green"] == 1
    assert light.state in {Light.green, Light.red}
    assert light.state in Light.lit
    assert Light.red in Light.lit
    assert "blue" not in Light.lit
    assert list(Light.lit) == [Light.green, Light.red]
    assert cloudpickle.loads(cloudpickle.dumps(Light.green)) == Light.green


def test_a_state_without_a_name_yet_has_no_hash_that_would_change():
    with pytest.raises(TypeError, match=r"no hash.*new \| paid"):

        class Machine(af.StateMachine):
            a, b = af.State(initial=True), af.State()
            both = {a, b}  # noqa: RUF012

    assert af.State() != ""
    assert af.State() != af.State()


# --- any state, hooks with the event ---------------------------------------------------------------------------------


class Ticket(af.StateMachine):
    """Rules for any state, nested and final ones too; hooks that get the event, and hooks that do not."""

    fresh, open, closed = af.State(initial=True), af.State(), af.State(final=True)
    read, answered = af.State(parent=open, initial=True), af.State(parent=open)
    seen: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    @fresh.to(open)
    def look(self, by: str) -> None: ...

    @read.to(answered)
    def answer(self) -> None: ...

    @af.State.any().to(closed)
    @answered.stay
    def close(self, why: str = "") -> str:
        return f"closed in {self.state}"

    @af.State.any().enter
    def note(self, event: Event) -> None:
        self.seen.append(f"{event.name}{event.args}>")

    @af.State.any().exit
    def left(self) -> None:
        self.seen.append("<")

    @closed.enter
    def last(self, event: Event | None = None, times: int = 1) -> None:
        self.seen.append(f"last {event.data if event else None} {times}")


def test_a_rule_from_any_state_is_tried_after_a_states_own_and_not_in_final_ones():
    ticket = Ticket.local()
    assert ticket.close("spam") == "closed in fresh"
    with pytest.raises(af.TransitionRefused, match="no event is legal there"):
        ticket.close()
    ticket = Ticket.local()
    ticket.look("ann")
    ticket.answer()
    assert ticket.close() == "closed in answered"
    assert ticket.state == "answered", "the state's own rule came first"


def test_a_rule_from_any_state_holds_in_the_states_of_a_subclass():
    class Escalated(Ticket):
        urgent = af.State()

        @Ticket.fresh.to(urgent)
        def escalate(self) -> None: ...

    ticket = Escalated.local()
    ticket.escalate()
    ticket.close()
    assert ticket.state == "closed"


def test_a_hook_that_takes_an_argument_gets_the_event():
    ticket = Ticket.local()
    assert ticket.seen == ["start()>"]
    ticket.look("ann")
    assert ticket.seen[1:] == ["<", "look('ann',)>", "look('ann',)>"]
    del ticket.seen[:]
    ticket.close("spam")
    assert ticket.seen == ["<", "<", "last spam 1", "close('spam',)>"], "inner first; hooks for any state last"


def test_a_hook_of_a_builder_or_a_dict_gets_the_event_too():
    seen = []
    chart = af.Chart.from_dict(
        {
            "initial": "a",
            "states": {"a": {"on": {"go": "b"}, "exit": ["out"]}, "b": {"type": "final", "enter": ["in"]}},
        },
        {"out": lambda model, event: seen.append(event.data), "in": lambda model, seen=seen: seen.append("in")},
    )
    af.Interpreter(chart).send("go", 3)
    assert seen == [3, "in"]


def test_an_eventless_transitions_hooks_get_the_event_that_led_there():
    class Machine(af.StateMachine):
        a, b, c = af.State(initial=True), af.State(), af.State(final=True)
        got = ""

        @a.to(b)
        def go(self) -> None: ...

        @b.always(c)
        def on(self) -> None: ...

        @c.enter
        def end(self, event: Event) -> None:
            self.got = event.name

    machine = Machine.local()
    machine.go()
    assert (machine.state, machine.got) == ("c", "go")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, any_: any_ | a,
        lambda a, any_: a | any_,
        lambda a, any_: a.to(any_),
        lambda a, any_: af.History(a, default=any_),
    ],
)
def test_any_state_is_no_target_and_no_part_of_a_group(wrong):
    with pytest.raises(af.DefinitionError):
        wrong(af.State(), af.State.any())


class Lamp(af.StateMachine):
    """An event that raises another within, a timeout, and a hook that a test can interrupt."""

    off, on, bright = af.State(initial=True), af.State(), af.State()
    within = af.State(parent=bright, initial=True)
    interrupt = False

    def __init__(self) -> None:
        super().__init__()
        self.lit: list[str] = []

    @off.to(on)
    def press(self) -> None:
        self.raise_event(self.turn)

    @on.to(bright)
    def turn(self) -> None: ...

    @bright.enter
    def shine(self) -> None:
        if self.interrupt:
            raise KeyboardInterrupt

    @bright.after(0, off)
    def fade(self) -> None: ...

    @within.after(3600, off)
    def burn(self) -> None: ...


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_in_any_depth_takes_nothing_from_its_original(copied):
    lamp = Lamp.local()
    other = copied(lamp)
    lamp.press()
    assert (lamp.state, other.state) == ("within", "off")
    other.press()
    assert other.state == "within"
    model = Lamp()
    machine = af.Interpreter(Lamp.chart, model)
    twin = copied(machine)
    machine.send("press")
    assert (machine.state, model.state, twin.state, twin.model.state) == ("within", "within", "off", "off")
    twin.send("press")
    assert (twin.state, twin.model.state, twin.model is model) == ("within", "within", False)


def test_a_shallow_copy_shares_attributes_and_a_deep_one_does_not():
    lamp = Lamp.local()
    assert copy.copy(lamp).lit is lamp.lit
    assert copy.deepcopy(lamp).lit is not lamp.lit


def test_a_state_that_ctrl_c_has_interrupted_at_its_enter_still_times_out():
    lamp = Lamp.local()
    lamp.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        lamp.press()
    machine = af.Interpreter.of(lamp)
    assert lamp.state == "within"
    assert len(machine.timers) == 2  # that of the state within, whose turn had not come, too
    assert machine.advance() == 1
    assert (lamp.state, machine.timers) == ("off", {})


class Eager(af.StateMachine):
    """Its `__init__` raises an event and starts a timer, which an actor's may."""

    new, paid = af.State(initial=True), af.State()

    def __init__(self) -> None:
        super().__init__()
        self.raise_event(self.pay)
        self.start_timer("again", 0, self.refund)

    @new.to(paid)
    def pay(self) -> None: ...

    @paid.to(new)
    def refund(self) -> None: ...


class Greeting(Eager):
    """The same with a hook of the initial state, so that the start is no quiet one."""

    greeted = False

    @Eager.new.enter
    def greet(self) -> None:
        self.greeted = True


@pytest.mark.parametrize("cls", [Eager, Greeting])
def test_events_and_timers_of_an_init_are_not_lost_in_a_local_machine(cls, virtual_system):
    ref = virtual_system.spawn(cls)
    assert ref.state == "paid"
    machine = cls.local()
    assert machine.state == "paid"
    assert [(one.event, one.target) for one in machine.history] == [("pay", "paid")]
    assert af.Interpreter.of(machine).advance() == 1
    assert machine.state == "new"
    virtual_system.sleep(1)
    assert ref.state == "new"


def test_an_init_that_nothing_runs_has_no_events_and_says_the_cure():
    with pytest.raises(af.DefinitionError, match=r"Eager: nothing runs this object yet.*Eager\.local"):
        Eager()
