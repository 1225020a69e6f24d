"""Timers: fixed rate, never piling up, cancelled, and gone with their incarnation."""

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import Failing, Held, hold, until


class Ticker(Held, Failing):
    """Notes when its timers fire, in seconds since its start."""

    def __init__(self, seen=None):
        super().__init__(seen)
        self.timers = []
        self.busy = 0.0

    def on_start(self):
        self.start = self.ctx.now()

    def every(self, period):
        self.timers.append(self.ctx.every(period, self.tick))

    def after(self, delay, *args, **kwargs):
        self.timers.append(self.ctx.after(delay, self.tick, *args, **kwargs))

    def tick(self, what=None, *, more=None):
        self.seen.append((round(self.ctx.now() - self.start, 6), what, more))
        if self.busy:
            self.ctx.sleep(self.busy)

    def cancel(self):
        return [timer.cancel() for timer in self.timers]

    def times(self):
        return [at for at, _, _ in self.seen]


def test_an_hour_of_timers_fires_at_the_exact_times(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.every, 60)
    virtual_system.sleep(3600)
    assert ref.call(Ticker.times).get(timeout=100) == [60.0 * n for n in range(1, 61)]


def test_timers_fire_on_the_machines_clock(system, probe):
    class Real(af.Actor):
        def on_start(self):
            self.ctx.every(0.005, self.tick)
            self.ctx.after(0.001, self.once)

        def tick(self):
            probe.ref.tell("tick")

        def once(self):
            probe.ref.tell("once")

    system.spawn(Real)
    seen = [probe.expect(within=20) for _ in range(6)]
    assert seen.count("once") == 1
    assert seen.count("tick") == 5


def test_a_system_that_only_timers_wake_sleeps_between_them(system):
    seen = []

    class Rare(af.Actor):
        def on_start(self):
            self.ctx.every(0.02, self.tick)

        def tick(self):
            seen.append("tick")

    system.spawn(Rare)
    until(lambda: len(seen) > 2)
    until(lambda: system.scheduler.preemption.asleep)
    before = len(seen)
    until(lambda: len(seen) > before)


def test_after_fires_once_with_its_arguments(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.after, 5, "what", more="more")
    ref.cast(Ticker.after, 0)
    virtual_system.sleep(100)
    assert ref.call(Ticker.read).get(timeout=100) == [(0.0, None, None), (5.0, "what", "more")]


def test_timers_due_at_the_same_time_fire_in_the_order_they_were_set(virtual_system):
    ref = virtual_system.spawn(Ticker)
    for number in range(5):
        ref.cast(Ticker.after, 1, number)
    virtual_system.sleep(2)
    assert [what for _, what, _ in ref.call(Ticker.read).get(timeout=100)] == list(range(5))


def test_a_slow_handler_does_not_shift_the_rate(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.proxy().busy = 0.4
    ref.cast(Ticker.every, 1)
    virtual_system.sleep(5.5)
    assert ref.call(Ticker.times).get(timeout=100) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_firings_never_pile_up_behind_a_slow_handler(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.proxy().busy = 3.5
    ref.cast(Ticker.every, 1)
    virtual_system.sleep(10)
    ref.proxy().busy = 0  # waits for its turn, at 15
    virtual_system.sleep(3.1)
    # 1 takes until 4.5; what came due at 2, 3 and 4 is one firing at 4.5, which takes until 8; and so on, until 15.
    assert ref.call(Ticker.times).get(timeout=20) == [1.0, 4.5, 8.0, 11.5, 15.0, 16.0, 17.0, 18.0]


def test_firings_never_pile_up_behind_a_handler_that_blocks(system):
    ref = system.spawn(Ticker)
    ref.call(Ticker.every, 0.001).get(timeout=20)
    gate, _ = hold(ref)
    other = system.spawn(Ticker)
    other.call(Ticker.after, 0.03).get(timeout=20)
    seen = other._actor.seen
    while not seen:
        other.call(Ticker.read).get(timeout=20)
    assert len(ref._queue or ()) <= 1  # thirty periods later
    gate.set()
    ref.call(Ticker.cancel).get(timeout=20)


def test_a_cancelled_timer_does_not_fire(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.after, 5)
    ref.cast(Ticker.every, 2)
    virtual_system.sleep(3)
    assert ref.call(Ticker.cancel).get(timeout=100) == [True, True]
    virtual_system.sleep(10)
    assert ref.call(Ticker.times).get(timeout=100) == [2.0]
    assert ref.call(Ticker.cancel).get(timeout=100) == [False, False]


def test_cancel_of_a_timer_that_has_fired_is_false(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.after, 1)
    virtual_system.sleep(2)
    assert ref.call(Ticker.cancel).get(timeout=100) == [False]


def test_a_firing_that_is_queued_is_dropped_when_it_is_cancelled(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.after, 1)
    gate, _ = hold(ref)
    virtual_system.sleep(2)
    (timer,) = ref._actor.timers
    assert timer.cancel() is True
    gate.set()
    virtual_system.sleep(1)
    assert ref.call(Ticker.times).get(timeout=100) == []


def test_timers_die_with_their_incarnation(virtual_system):
    seen = []
    ref = virtual_system.spawn(af.child(Ticker, seen).options(restart="permanent"))
    ref.cast(Ticker.every, 1)
    ref.cast(Ticker.after, 5)
    virtual_system.sleep(2.5)
    ref.cast(Failing.fail, ZeroDivisionError())
    virtual_system.sleep(10)
    assert ref.is_alive()
    assert [at for at, _, _ in seen] == [1.0, 2.0]


def test_a_firing_that_is_queued_at_a_restart_is_dropped(virtual_system):
    seen = []
    ref = virtual_system.spawn(af.child(Ticker, seen).options(restart="permanent"))
    ref.cast(Ticker.after, 1)
    gate, _ = hold(ref)
    ref.cast(Failing.fail, ZeroDivisionError())
    virtual_system.sleep(2)
    gate.set()
    virtual_system.sleep(2)
    assert ref.is_alive()
    assert seen == []


def test_timers_stop_first_when_the_system_drains(virtual_system):
    seen = []
    older = virtual_system.spawn(Ticker, seen)  # waits for its end until the younger one has let go
    older.call(Ticker.after, 1).get(timeout=100)
    older.call(Ticker.every, 0.5).get(timeout=100)
    gate, _ = hold(virtual_system.spawn(Held))
    virtual_system.scheduler.timers.add(2.0, gate.set)
    virtual_system.stop(grace=10)
    assert virtual_system.now == 2.0
    assert seen == []


def test_a_firing_is_no_dead_letter(virtual_system):
    ref = virtual_system.spawn(Ticker)
    ref.cast(Ticker.every, 1)
    gate, _ = hold(ref)
    stopped = ref.stop(block=False)
    virtual_system.sleep(5)
    gate.set()
    assert stopped.get(timeout=20) is True
    virtual_system.sleep(5)
    assert virtual_system.dead_letters == 0


def test_the_sender_of_a_firing_is_the_actor_itself(virtual_system):
    class Asks(af.Actor):
        def on_start(self):
            self.ctx.after(1, self.look)

        def look(self):
            self.found = self.ctx.sender

    ref = virtual_system.spawn(Asks)
    virtual_system.sleep(2)
    assert ref.proxy().found.get(timeout=100) == ref


def test_many_timers_cost_no_thread():
    with VirtualSystem("test") as system:
        ref = system.spawn(Ticker)
        for number in range(1000):
            ref.cast(Ticker.after, 1000 - number, number)
        system.sleep(1000)
        assert [what for _, what, _ in ref.call(Ticker.read).get(timeout=100)] == list(range(999, -1, -1))


@pytest.mark.parametrize(
    ("method", "arguments", "match"),
    [
        (Ticker.every, (0,), "a period above 0"),
        (Ticker.every, (-1,), "a period above 0"),
        (Ticker.every, (float("nan"),), "period|delay"),
        (Ticker.after, (-1,), "negative"),
        (Ticker.after, (float("nan"),), "negative"),
    ],
)
def test_impossible_times_are_refused(any_system, method, arguments, match):
    ref = any_system.spawn(Ticker)
    with pytest.raises(af.DefinitionError, match=match):
        ref.call(method, *arguments).get(timeout=20)


def test_timers_take_a_method_of_the_actor_only(any_system):
    class Wrong(af.Actor):
        def wrong(self, method):
            self.ctx.after(1, method)

    ref, other = any_system.spawn(Wrong), any_system.spawn(Wrong)
    for method in (print, Wrong.wrong, other._actor.wrong, lambda: None):
        with pytest.raises(af.DefinitionError, match=r"self\.method"):
            ref.call(Wrong.wrong, method).get(timeout=20)
