"""Rules of machines as actors: who hears of an error, what is delivered as an event, how a machine ends."""

from __future__ import annotations

import threading

import pytest

import actorflow as af


class Order(af.StateMachine):
    new, paid, shipped, dead = af.State(initial=True), af.State(), af.State(final=True), af.State(final=True)

    def __init__(self, total: int = 5) -> None:
        super().__init__()
        self.total, self.received = total, 0
        self.receipts = 0

    @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)
    @new.stay
    def pay(self, amount: int) -> int:
        self.received += amount
        return self.received

    @paid.to(shipped)
    def ship(self, parcel: str = "") -> None: ...

    @(new | paid).to(dead)
    def cancel(self, why: str = "") -> None: ...

    @new.after(1800, dead)
    def expire(self) -> None: ...

    @paid.enter
    def receipt(self) -> None:
        self.receipts += 1

    @new.stay
    def fail(self) -> None:
        raise ValueError("fail")

    # no events
    def helper(self) -> str:
        return f"helped in {self.state}"

    def later(self, seconds: float, amount: int) -> None:
        self.ctx.after(seconds, self.pay, amount)

    def pays(self, amount: int) -> int:
        return self.pay(amount)

    def every(self) -> None:
        self.ctx.every(1.0, self.pay, 1)

    def piped(self, other: af.ActorRef[Order]) -> None:
        self.ctx.pipe(other.call(Order.pay, 4), self.pay)

    def timed(self, seconds: float) -> None:
        self.start_timer("t", seconds, self.fail)

    def ends(self) -> None:
        self.stop()


# --- who hears of it -------------------------------------------------------------------------------------------------


def test_the_caller_of_call_and_send_gets_the_error_and_the_machine_lives(any_system):
    order = any_system.spawn(Order)
    for request in (lambda: order.call(Order.fail), lambda: order.send("fail"), lambda: order.proxy().fail()):
        with pytest.raises(ValueError, match="fail"):
            request().get()
    assert order.state == "new"
    assert any_system.dead_letters == 0


def test_an_error_in_a_cast_is_a_crash(any_system, probe):
    any_system.subscribe(af.Stopped, probe.ref)
    order = any_system.spawn(Order)
    order.cast(Order.fail)
    assert str(probe.expect(af.Stopped, within=30).reason) == "fail"


def test_an_error_in_a_timer_or_a_timeout_is_a_crash(virtual_system, probe):
    virtual_system.subscribe(af.Stopped, probe.ref)

    class Late(Order):
        @Order.dead.enter
        def bury(self) -> None:
            raise ValueError("enter")

    for make, text in ((lambda o: o.call(Late.timed, 5).get(), "fail"), (lambda o: None, "enter")):
        order = virtual_system.spawn(Late)
        make(order)
        assert str(probe.expect(af.Stopped, within=2000).reason) == text


def test_a_refused_cast_or_timer_is_a_dead_letter_and_no_crash(virtual_system, probe):
    virtual_system.subscribe(af.DeadLetter, probe.ref)
    order = virtual_system.spawn(Order)
    order.cast(Order.ship)
    assert isinstance(probe.expect(af.DeadLetter).reason, af.TransitionRefused)
    order.call(Order.timed, 5).get()
    order.call(Order.pay, 5).get()
    virtual_system.sleep(10)
    letter = probe.expect(af.DeadLetter)
    assert str(letter.reason) == "Order refuses 'fail' in state 'paid': legal are ship, cancel"
    assert (order.state, virtual_system.dead_letters) == ("paid", 2)


def test_a_refusal_of_another_machine_that_an_action_gets_is_a_failure_of_its_own(any_system, probe):
    class Asking(af.StateMachine):
        a, b = af.State(initial=True), af.State(final=True)

        @a.to(b)
        def go(self, other: af.ActorRef[Order]) -> None:
            other.call(Order.ship).get()

    any_system.subscribe(af.Stopped, probe.ref)
    order, asking = any_system.spawn(Order), any_system.spawn(Asking)
    with pytest.raises(af.TransitionRefused, match="Order refuses 'ship'"):
        asking.call(Asking.go, order).get()
    assert asking.state == "a"
    asking.cast(Asking.go, order)
    assert isinstance(probe.expect(af.Stopped, within=30).reason, af.TransitionRefused)


def test_a_failed_enter_of_the_initial_state_fails_the_spawn(any_system):
    class Broken(af.StateMachine):
        a = af.State(initial=True)

        @a.enter
        def arrive(self) -> None:
            raise ValueError("arrive")

        @a.stay
        def go(self) -> None: ...

    with pytest.raises(ValueError, match="arrive"):
        any_system.spawn(Broken)


# --- what is an event ------------------------------------------------------------------------------------------------


def test_other_methods_are_called_in_any_state_and_hooks_and_timeouts_are_refused(any_system):
    order = any_system.spawn(Order)
    assert order.call(Order.helper).get() == "helped in new"
    for hook in (Order.receipt, Order.expire):
        with pytest.raises(af.TransitionRefused, match=f"refuses '{hook.__name__}' in state 'new'"):
            order.call(hook).get()
        with pytest.raises(af.TransitionRefused):
            order.send(hook.__name__).get()
    order.call(Order.pay, 5).get()
    assert order.proxy().receipts.get() == 1


def test_a_direct_call_is_the_action_alone_and_proxy_after_every_and_pipe_are_events(virtual_system):
    def state_after(use, wait=0):
        order = virtual_system.spawn(Order)
        use(order)
        virtual_system.sleep(wait)
        return order.state, order.proxy().received.get()

    assert state_after(lambda order: order.call(Order.pays, 9).get()) == ("new", 9)
    assert state_after(lambda order: order.proxy().pay(9).get()) == ("paid", 9)
    assert state_after(lambda order: order.call(Order.later, 5, 9).get(), 10) == ("paid", 9)
    assert state_after(lambda order: order.call(Order.every).get(), 4.5) == ("new", 4)
    assert state_after(lambda order: order.call(Order.every).get(), 9) == ("paid", 5)  # then they are refused
    other = virtual_system.spawn(Order)
    assert state_after(lambda order: order.call(Order.piped, other).get(), 1) == ("new", 4)


def test_wrong_arguments_are_the_callers_and_change_nothing(any_system):
    order = any_system.spawn(Order)
    for args, kwargs in (((), {}), ((1, 2), {}), ((), {"amuont": 1}), (("a",), {})):
        with pytest.raises(TypeError):
            order.send("pay", *args, **kwargs).get()
        with pytest.raises(TypeError):
            order.call(Order.pay, *args, **kwargs).get()
    assert (order.state, order.history, order.proxy().received.get()) == ("new", [], 0)
    assert order.send("pay", amount=3).get() == 3


@pytest.mark.parametrize("name", ["", "no such", "__init__", "_send", "state", "helper", "on_start", "pay ", "*", "."])
def test_send_takes_events_only(any_system, name):
    order = any_system.spawn(Order)
    with pytest.raises(af.TransitionRefused, match="legal are pay, cancel, fail"):
        order.send(name).get()
    assert order.state == "new"


def test_send_and_subscribe_are_for_machines(any_system):
    class Plain(af.Actor): ...

    plain = any_system.spawn(Plain)
    with pytest.raises(af.DefinitionError, match="Plain is no state machine, and send is for these"):
        plain.send("go")
    with pytest.raises(af.DefinitionError, match="Plain is no state machine"):
        plain.subscribe(print)
    with pytest.raises(AttributeError, match="Plain is no state machine"):
        plain.state


def test_raise_event_and_timers_take_events_of_the_machine_only(any_system):
    class Wrong(Order):
        def raise_it(self, what: object) -> None:
            self.raise_event(what)

        def time_it(self, seconds: object, what: object = None) -> None:
            self.start_timer("t", seconds, self.fail if what is None else what)

    order = any_system.spawn(Wrong)
    for what in ("pay", Order.helper, 5, Order.receipt):
        with pytest.raises(
            af.DefinitionError, match="is no event of Wrong: give one of its methods; events are cancel"
        ):
            order.call(Wrong.raise_it, what).get()
        with pytest.raises(af.DefinitionError, match="is no event of Wrong"):
            order.call(Wrong.time_it, 1, what).get()
    for seconds in (-1, float("nan"), float("inf"), "soon", True, None):
        with pytest.raises(af.DefinitionError, match="give a number of seconds, 0 or more"):
            order.call(Wrong.time_it, seconds).get()


# --- timers ----------------------------------------------------------------------------------------------------------


class Timed(af.StateMachine):
    """A state timeout, and named timers."""

    a, b, c = af.State(initial=True), af.State(), af.State()
    ticks = 0

    @a.after(10, c)
    def late(self) -> None: ...

    @(a | b | c).stay
    def tick(self) -> None:
        self.ticks += 1

    @a.to(b)
    def go(self) -> None: ...

    @a.to(a)
    def again(self) -> None: ...

    @(b | c).to(a)
    def back(self) -> None: ...

    def start(self, seconds: float, name: str = "t") -> None:
        self.start_timer(name, seconds, self.tick)

    def cancel(self, name: str = "t") -> bool:
        return self.cancel_timer(name)


def test_a_state_timeout_is_cancelled_by_a_change_of_state_and_not_by_events(virtual_system):
    timed = virtual_system.spawn(Timed)
    timed.call(Timed.go).get()
    virtual_system.sleep(20)
    assert timed.state == "b"
    timed.call(Timed.back).get()
    virtual_system.sleep(6)
    timed.call(Timed.tick).get()
    virtual_system.sleep(6)
    assert timed.state == "c"


def test_a_self_transition_starts_the_timeout_anew(virtual_system):
    timed = virtual_system.spawn(Timed)
    for _ in range(3):
        virtual_system.sleep(6)
        timed.call(Timed.again).get()
    assert timed.state == "a"
    virtual_system.sleep(11)
    assert timed.state == "c"


def test_neither_events_nor_changes_of_state_cancel_a_named_timer_and_its_name_restarts_it(virtual_system):
    timed = virtual_system.spawn(Timed)
    timed.call(Timed.start, 5).get()
    timed.call(Timed.go).get()
    virtual_system.sleep(4)
    timed.call(Timed.start, 5).get()
    timed.call(Timed.start, 1, "other").get()
    virtual_system.sleep(4)
    assert timed.proxy().ticks.get() == 1
    virtual_system.sleep(2)
    assert timed.proxy().ticks.get() == 2
    timed.call(Timed.start, 1).get()
    assert [timed.call(Timed.cancel).get() for _ in range(2)] == [True, False]
    virtual_system.sleep(10)
    assert timed.proxy().ticks.get() == 2


def test_a_timer_that_was_cancelled_while_its_message_was_queued_does_not_fire(virtual_system):
    class Slow(Timed):
        def cancel_late(self) -> bool:
            self.ctx.sleep(5)
            return self.cancel_timer("t")

    timed = virtual_system.spawn(Slow)
    timed.call(Timed.start, 2).get()
    timed.call(Slow.cancel_late).get()
    virtual_system.sleep(5)
    assert timed.proxy().ticks.get() == 0


def test_timers_die_with_a_crash_and_the_new_incarnation_begins_anew(virtual_system):
    class Crashing(Timed):
        @Timed.b.stay
        def crash(self) -> None:
            raise ValueError("crash")

    child = af.child(Crashing).options(name="m", restart="permanent")
    virtual_system.spawn(af.child(af.Supervisor, child).options(name="top"))
    timed = virtual_system.find("/test/top/m", Crashing)
    timed.call(Timed.start, 5).get()
    timed.call(Timed.go).get()
    timed.cast(Crashing.crash)
    virtual_system.sleep(6)
    assert (timed.state, timed.history, timed.proxy().ticks.get()) == ("a", [], 0)
    virtual_system.sleep(6)
    assert timed.state == "c"  # its own state timeout runs


# --- deferred events -------------------------------------------------------------------------------------------------


class Busy(af.StateMachine):
    working, idle, closed = af.State(initial=True), af.State(), af.State()

    def __init__(self) -> None:
        super().__init__()
        self.done: list[int] = []

    @working.defer
    @idle.to(working)
    def job(self, number: int) -> int:
        self.done.append(number)
        if number < 0:
            raise ValueError(f"job {number}")
        return number

    @working.to(idle)
    def ready(self) -> str:
        return "ready"

    @working.stay
    def note(self) -> None: ...

    @(working | idle).to(closed)
    def close(self) -> None: ...

    @closed.to(idle)
    def open(self) -> None: ...

    def plan(self, number: int) -> None:
        self.start_timer("job", 1.0, self.job, number)


def test_deferred_events_come_back_in_order_after_a_change_of_state_and_answer_then(any_system):
    busy = any_system.spawn(Busy)
    jobs = [busy.call(Busy.job, number) for number in range(3)]
    busy.call(Busy.note).get()
    assert not any(job.done() for job in jobs)
    for number, job in enumerate(jobs):
        assert busy.call(Busy.ready).get() == "ready"
        assert job.get(timeout=20) == number
    assert busy.proxy().done.get() == [0, 1, 2]


def test_an_error_of_a_deferred_event_is_its_own_callers_not_that_of_the_change_of_state(any_system):
    busy = any_system.spawn(Busy)
    job = busy.call(Busy.job, -1)
    assert busy.call(Busy.ready).get() == "ready"
    with pytest.raises(ValueError, match="job -1"):
        job.get()
    assert busy.state == "idle"


def test_an_error_of_a_deferred_cast_or_timer_is_a_crash_and_the_change_of_state_is_answered(virtual_system, probe):
    virtual_system.subscribe(af.Stopped, probe.ref)
    for defer in (lambda busy: busy.cast(Busy.job, -2), lambda busy: busy.call(Busy.plan, -2).get()):
        busy = virtual_system.spawn(Busy)
        defer(busy)
        virtual_system.sleep(2)
        assert busy.call(Busy.ready).get() == "ready"
        assert str(probe.expect(af.Stopped).reason) == "job -2"


def test_a_deferred_event_that_is_refused_in_the_end_is_its_callers_or_a_dead_letter(virtual_system, probe):
    virtual_system.subscribe(af.DeadLetter, probe.ref)
    busy = virtual_system.spawn(Busy)
    job = busy.call(Busy.job, 1)
    busy.cast(Busy.job, 2)
    busy.call(Busy.plan, 3).get()
    virtual_system.sleep(2)
    busy.call(Busy.close).get()
    with pytest.raises(af.TransitionRefused, match="'job' in state 'closed'"):
        job.get()
    assert [str(probe.expect(af.DeadLetter).message) for _ in range(2)] == ["job(2)", "job(3)"]
    assert virtual_system.dead_letters == 2


def test_callers_of_deferred_events_are_answered_when_the_machine_ends(any_system):
    busy = any_system.spawn(Busy)
    job = busy.call(Busy.job, 1)
    busy.call(Busy.note).get()
    busy.stop()
    with pytest.raises(af.ActorDeadError):
        job.get()


def test_many_deferred_events_do_not_cost_their_square(any_system):
    class Deferring(Busy):
        @Busy.working.defer
        @Busy.idle.stay
        def job(self, number: int) -> None:
            self.done.append(number)

    busy = any_system.spawn(Deferring)
    for number in range(20_000):
        busy.cast(Deferring.job, number)
    busy.call(Busy.ready).get()
    assert busy.proxy().done.get() == list(range(20_000))


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_machine_in_a_final_state_stays_answers_and_refuses_all_events(any_system):
    order = any_system.spawn(Order)
    order.call(Order.cancel).get()
    assert order.state == "dead"
    with pytest.raises(af.TransitionRefused, match=r"refuses 'pay' in state 'dead'"):
        order.call(Order.pay, 1).get()
    assert order.call(Order.helper).get() == "helped in dead"


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("how", ["event", "timeout", "failed enter"])
def test_stop_when_final_ends_for_good_whatever_the_restart_kind(virtual_system, probe, restart, how):
    class Brief(Order, stop_when_final=True):
        broken = False

        def break_it(self) -> None:
            self.broken = True

        @Order.dead.enter
        def bury(self) -> None:
            if self.broken:
                raise ValueError("bury")

    virtual_system.subscribe(af.Stopped, probe.ref)
    virtual_system.spawn(
        af.child(af.Supervisor, af.child(Brief).options(name="o", restart=restart)).options(name="top")
    )
    order = virtual_system.find("/test/top/o", Brief)
    if how == "failed enter":
        order.call(Brief.break_it).get()
        with pytest.raises(ValueError, match="bury"):
            order.call(Order.cancel).get()
    elif how == "event":
        order.call(Order.cancel).get()
    virtual_system.sleep(2000)
    stopped = probe.expect(af.Stopped)
    assert (stopped.ref, stopped.reason) == (order, None)
    assert not order.is_alive()


def test_a_machine_that_stops_itself_in_an_action_ends_behind_what_is_queued(any_system):
    class Stopping(Order):
        @Order.new.to(Order.paid)
        def pay(self, amount: int) -> str:
            queued.append(self.actor_ref.call(Order.helper))
            self.stop()
            return "paid"

    queued: list[af.Future[str]] = []
    order = any_system.spawn(Stopping)
    assert order.call(Order.pay, 1).get() == "paid"
    assert queued[0].get() == "helped in paid"
    with pytest.raises(af.ActorDeadError):
        while True:
            order.call(Order.helper).get()


def test_base_exceptions_of_an_action_crash_that_machine_only(any_system, probe):
    class Ending(Order):
        @Order.new.to(Order.paid)
        def end(self, error: BaseException) -> None:
            raise error

    any_system.subscribe(af.Stopped, probe.ref)
    for error in (SystemExit(3), GeneratorExit()):
        ending, other = any_system.spawn(Ending), any_system.spawn(Order)
        with pytest.raises(af.Crash):
            ending.call(Ending.end, error).get()
        assert probe.expect(af.Stopped, within=30).ref == ending
        assert other.state == "new"


def test_a_base_exception_leaves_an_interpreter_usable():
    class Ending(Order):
        @Order.new.to(Order.paid)
        def end(self, error: BaseException) -> None:
            self.raise_event(Order.fail)
            raise error

    machine = af.Interpreter(Ending.chart, Ending())
    for _ in range(100):
        with pytest.raises(KeyboardInterrupt):
            machine.send("end", KeyboardInterrupt())
        assert machine.state == "new"
        with pytest.raises(ValueError, match="fail"):  # it was raised, and comes before the next event
            machine.send("pay", 0)


def test_the_state_can_be_read_from_any_thread_while_the_machine_runs(system):
    class Spinning(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        @a.to(b)
        def go(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

        def spin(self) -> None:
            for _ in range(200):
                self._interpreter.send("go")
                self._interpreter.send("back")

    spinning = system.spawn(Spinning)
    wrong, over = [], threading.Event()

    def read():
        while not over.is_set():
            if spinning.state not in {"a", "b"} or len(spinning.history) > 32:
                wrong.append(spinning.state)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        spinning.call(Spinning.spin).get()
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_subscribers_hear_of_each_transition_also_after_a_restart(virtual_system, probe):
    class Crashing(Order):
        @Order.new.stay
        def crash(self) -> None:
            raise ValueError("crash")

    child = af.child(Crashing).options(name="o", restart="permanent")
    virtual_system.spawn(af.child(af.Supervisor, child).options(name="top"))
    order = virtual_system.find("/test/top/o", Crashing)
    subscription = order.subscribe(probe.ref)
    order.call(Order.pay, 1).get()
    assert probe.expect()[:4] == ("new", "new", "pay", (1,))
    order.cast(Crashing.crash)
    order.call(Order.cancel, why="enough").get()
    assert probe.expect()[:4] == ("new", "dead", "cancel", ({"why": "enough"},))
    subscription.cancel()
    probe.expect_none()
