"""Durable state machines: the row is the snapshot."""

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.asking import Answerer
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_state import named


class Order(af.StateMachine, durable=True):
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
    def ship(self, parcel: str) -> None:
        self.received += 100
        if parcel == "broken":
            self.extra = 1
            raise ValueError(parcel)

    @new.after(60, dead)
    def expire(self) -> None: ...


def test_a_machine_goes_on_where_it_was(start):
    with start() as system:
        ref = system.spawn(named(Order))
        assert ref.call(Order.pay, 3).get(timeout=30) == 3
        assert ref.state == "new"
    with start() as system:
        ref = system.spawn(named(Order))
        assert ref.call(Order.pay, 2).get(timeout=30) == 5
        assert ref.state == "paid"
    with start() as system:
        ref = system.spawn(named(Order))
        assert ref.state == "paid"
        assert [record.event for record in ref.history] == ["pay", "pay"]


def test_a_failed_event_leaves_the_machine_as_it_was(start):
    with start() as system:
        ref = system.spawn(named(Order))
        ref.call(Order.pay, 5).get(timeout=30)
        with pytest.raises(ValueError, match="broken"):
            ref.call(Order.ship, "broken").get(timeout=30)
        assert ref.state == "paid"
        assert ref.proxy().received.get(timeout=30) == 5
        assert "extra" not in ref.call(Order.snapshot).get(timeout=30)["data"]
        ref.call(Order.ship, "fine").get(timeout=30)
        assert ref.state == "shipped"


def test_a_refused_cast_is_a_dead_letter_and_not_tried_again(start):
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref = system.spawn(named(Order, retry=QUICK))
        ref.cast(Order.ship, "x")
        wait_for(lambda: letters)
        with pytest.raises(af.TransitionRefused):
            ref.call(Order.ship, "x").get(timeout=30)
        assert rows(system, "af_mail") == rows(system, "af_dead_mail") == 0
        assert ref.state == "new"


def test_a_timeout_of_a_state_outlives_the_process_and_is_committed():
    with VirtualSystem("test") as system:
        ref = system.spawn(named(Order))
        ref.call(Order.pay, 1).get()
        system.sleep(30)
        ref.stop()
        ref = system.spawn(named(Order))
        system.sleep(29)
        assert ref.state == "new"
        system.sleep(2)
        assert ref.state == "dead"
        ref.stop()
        assert system.spawn(named(Order)).state == "dead"


def test_a_timeout_that_fails_is_tried_again_then_crashes_the_machine():
    tries = []

    class Failing(Order):
        quick, over = af.State(), af.State(final=True)

        @Order.new.to(quick)
        def hurry(self) -> None: ...

        @quick.after(1, over)
        def end(self) -> None:
            tries.append(self.received)
            self.received += 1
            if len(tries) < 3:
                raise ValueError("no")

    with VirtualSystem("test") as system:
        ref = system.spawn(named(Failing, retry=QUICK))
        ref.call(Failing.hurry).get()
        system.sleep(5)
        assert tries == [0, 0, 0]
        assert ref.state == "over"


class Slow(af.StateMachine, durable=True):
    waiting, over = af.State(initial=True), af.State()

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @waiting.stay
    @over.stay
    def hold(self, seconds: float) -> None:
        self.start_timer("made in vain", 0.1, Slow.add)
        if seconds:
            self.ctx.sleep(seconds)
        raise ValueError("no")

    @waiting.after(0.3, over)
    def expire(self) -> None:
        self.count += 1

    @over.to(waiting)
    @waiting.stay
    def add(self) -> None:
        self.count += 100


@pytest.mark.parametrize("seconds", [0, 1])
def test_timers_of_a_machine_that_is_rolled_back_are_as_they_were(seconds):
    """One that the failed event has made is not there; one that was due meanwhile fires once."""
    with VirtualSystem("test") as system:
        ref = system.spawn(named(Slow))
        failed = ref.call(Slow.hold, seconds)
        system.sleep(2)
        with pytest.raises(ValueError, match="no"):
            failed.get()
        assert (ref.state, ref.proxy().count.get()) == ("over", 1)


def test_a_timeout_that_no_try_could_handle_crashes_the_machine_and_that_is_an_event():
    failures = []

    class Hopeless(Order):
        @Order.new.after(60, Order.dead)
        def expire(self) -> None:
            self.received = 7
            raise ValueError("no")

        def on_failure(self, kind, error, trace):
            failures.append((kind, str(error), self.received, self.actor_ref.is_alive()))

    with VirtualSystem("test") as system:
        letters, crashes = [], []
        system.subscribe(af.DeadLetter, letters.append)
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Hopeless, retry=QUICK))
        system.sleep(62)
        assert not ref.is_alive()
        assert [str(event.reason) for event in (*letters, *crashes)] == ["no", "no"]
        assert failures == [(ValueError, "no", 0, False)]  # rolled back by then


def test_a_machine_that_a_timeout_crashes_is_restarted_where_it_was(start):
    made = []

    class Stubborn(Order):
        quick = af.State()

        def on_restore(self) -> None:
            made.append(self)

        @Order.new.to(quick)
        def hurry(self) -> None: ...

        @quick.after(0.01, Order.dead)
        def end(self) -> None:
            if len(made) < 2:
                raise ValueError("no")

    with start() as system:
        child = named(Stubborn, retry=af.Retry(1))
        tree = system.spawn(af.child(af.Supervisor, child, intensity=9, period=60.0).options(name="tree"))
        ref = system.find(f"{tree.path}/a")
        ref.call(Stubborn.hurry).get(timeout=30)
        wait_for(lambda: ref.is_alive() and ref.state == "dead")


class Asking(Order):
    @Order.new.stay
    def ask(self, other: af.ActorRef[Account]) -> None:
        self.ctx.pipe(other.call(Account.add, 1), self.hear)

    @Order.new.stay
    def hear(self, total: int) -> None:
        self.received += total
        raise ValueError("no")


def test_a_piped_result_that_no_try_could_handle_is_a_dead_letter_and_the_machine_goes_on(start):
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref = system.spawn(named(Asking, retry=QUICK))
        ref.call(Asking.ask, system.spawn(named(Account, "other"))).get(timeout=30)
        wait_for(lambda: letters)
        assert [repr(letter.message) for letter in letters] == ["<Piped to hear>"]
        assert ref.call(Asking.pay, 2).get(timeout=30) == 2


class Impatient(af.StateMachine, durable=True):
    """Asks, and may be elsewhere when the answer comes."""

    idle, asked, moved = af.State(initial=True), af.State(), af.State()

    @idle.to(asked)
    def ask(self, other: af.ActorRef[Answerer]) -> None:
        self.ctx.pipe(other.call(Answerer.act, "promise"), self.hear, on_error=self.miss, timeout=60.0)

    @asked.to(moved)
    def move(self) -> None: ...

    @asked.stay
    def hear(self, answer: str) -> None: ...

    @moved.stay
    def miss(self, error: Exception) -> None: ...


@pytest.mark.parametrize("host", [None, af.Process()], ids=["here", "hosted"])
def test_an_answer_that_a_machine_refuses_has_come_and_has_no_timeout(start, host):
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref, other = system.spawn(named(Impatient, host=host)), system.spawn(named(Answerer, "other"))
        ref.call(Impatient.ask, other).get(timeout=30)
        wait_for(lambda: len(other.call(Account.seen).get(timeout=30)) == 1)
        ref.call(Impatient.move).get(timeout=30)
        other.call(Answerer.keep_promise).get(timeout=30)
        wait_for(lambda: letters)
        assert rows(system, "af_actor_timer") == rows(system, "af_mail") == 0


def door(**options):
    """Make the class of a machine that has whoever comes wait before a shut door."""

    class Door(af.StateMachine, **options):
        shut, wide = af.State(initial=True), af.State()

        @shut.to(wide)
        def open(self) -> None: ...

        @wide.to(shut)
        def close(self) -> None: ...

        @shut.defer
        @wide.stay
        def enter(self, who: str) -> str:
            return who

    return Door


def test_a_deferred_event_is_answered_when_it_is_handled(start):
    Door = door(durable=True)
    with start() as system:
        ref = system.spawn(named(Door))
        future = ref.call(Door.enter, "Ann")
        assert ref.state == "shut"
        ref.call(Door.open).get(timeout=30)
        assert future.get(timeout=30) == "Ann"


def test_an_invoked_child_is_not_doubled_by_a_failed_event(start):
    started = []

    class Child(af.Actor):
        def on_start(self):
            started.append(self.actor_ref)

    class Parent(af.StateMachine, durable=True):
        on = af.State(initial=True)
        off = af.State()

        @on.invoke(Child)
        def begin(self, result: object) -> None: ...

        @on.stay
        def poke(self, *, fail: bool) -> None:
            if fail:
                raise ValueError("no")

        @on.to(off)
        def end(self) -> None: ...

        @off.to(on)
        def again(self) -> None: ...

    with start() as system:
        ref = system.spawn(named(Parent))
        with pytest.raises(ValueError, match="no"):
            ref.call(Parent.poke, fail=True).get(timeout=30)
        ref.call(Parent.poke, fail=False).get(timeout=30)
        assert len(started) == 1
        ref.call(Parent.end).get(timeout=30)
        wait_for(lambda: not started[0].is_alive())


class Placed(Order, durable=True):
    def __init__(self, state: str) -> None:
        af.StateMachine.__init__(self, initial=state)
        self.total, self.received = 5, 0


def test_a_machine_that_was_started_in_a_given_state_goes_on_from_what_is_stored(start):
    with start() as system:
        ref = system.spawn(named(Placed, "a", "paid"))
        assert ref.state == "paid"
        ref.call(Order.ship, "fine").get(timeout=30)
        assert ref.state == "shipped"
    with start() as system:
        ref = system.spawn(named(Placed, "a", "new"))
        assert ref.state == "shipped"
        assert ref.call(Placed.snapshot).get(timeout=30)["timers"] == []


def test_a_timeout_of_the_given_state_is_stored_too(start):
    with start() as system:
        ref = system.spawn(named(Placed, "a", "new"))
        (timer,) = ref.call(Placed.snapshot).get(timeout=30)["timers"]
        due = timer["due"]
        assert ref.call(Order.pay, 1).get(timeout=30) == 1
    with start() as system:
        ref = system.spawn(named(Placed, "a", "new"))
        (timer,) = ref.call(Placed.snapshot).get(timeout=30)["timers"]
        assert timer["due"] == due, "its deadline is kept"
