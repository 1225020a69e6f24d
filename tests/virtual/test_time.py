"""Virtual time: it jumps, it only moves when nothing can run, and all waits count in it."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem


class Clock(af.Actor):
    """Counts its ticks."""

    def __init__(self, period: float = 1.0) -> None:
        super().__init__()
        self.ticks: list[float] = []
        self.period = period

    def on_start(self) -> None:
        self.began = self.ctx.now()
        self.ctx.every(self.period, self.tick)

    def tick(self) -> None:
        self.ticks.append(self.ctx.now() - self.began)

    def nap(self, seconds: float) -> float:
        self.ctx.sleep(seconds)
        return self.ctx.now() - self.began

    async def nap_async(self, seconds: float) -> float:
        await af.timer(seconds)
        return self.ctx.now() - self.began

    def count(self) -> int:
        return len(self.ticks)

    def never(self) -> None:
        self.kept = self.ctx.reply_later()

    def ask_in_vain(self, other, seconds: float) -> float:
        with pytest.raises(af.AskTimeout):
            other.call(Clock.never).get(timeout=seconds)
        return self.ctx.now() - self.began


def test_an_hour_of_timers_ends_in_milliseconds(virtual_system):
    clocks = [virtual_system.spawn(Clock, 60.0) for _ in range(5)]
    start = time.perf_counter()
    virtual_system.sleep(3600)
    assert time.perf_counter() - start < 60
    assert [clock.call(Clock.count).get() for clock in clocks] == [60] * 5
    assert virtual_system.now == 3600


@pytest.mark.parametrize("seconds", ["1", None, -1, math.nan, math.inf])
def test_a_sleep_of_no_sensible_number_is_refused(virtual_system, seconds):
    with pytest.raises(af.DefinitionError, match="give a number that is not negative"):
        virtual_system.sleep(seconds)


def test_a_handler_that_lets_the_systems_time_pass_is_refused_and_the_test_goes_on(virtual_system):
    class Driver(af.Actor):
        def on_receive(self, message):
            with pytest.raises(af.DefinitionError, match=r"a handler sleeps by ctx\.sleep"):
                virtual_system.sleep(1)
            self.ctx.sleep(1)
            seen.append(virtual_system.now)

    seen: list[float] = []
    virtual_system.spawn(Driver).tell("x")
    virtual_system.sleep(10)
    assert seen == [1.0]


def test_timers_fire_at_their_exact_time(virtual_system):
    clock = virtual_system.spawn(Clock, 0.25)
    virtual_system.sleep(1)
    assert clock.proxy().ticks.get() == [0.25, 0.5, 0.75, 1.0]


def test_time_stands_still_while_something_can_run(virtual_system):
    class Busy(af.Actor):
        def again(self, n):
            if n:
                self.actor_ref.cast(Busy.again, n - 1)
            return self.ctx.now()

    busy = virtual_system.spawn(Busy)
    before = busy.call(Busy.again, 0).get()
    busy.cast(Busy.again, 2000)
    virtual_system.sleep(0)
    assert busy.call(Busy.again, 0).get() == before


def test_time_stands_still_between_the_waits_of_the_driver(virtual_system):
    virtual_system.spawn(Clock)
    virtual_system.sleep(1)
    time.sleep(0.02)
    assert virtual_system.now == 1


@pytest.mark.parametrize("nap", [Clock.nap, Clock.nap_async])
def test_sleeping_handlers_take_virtual_time(virtual_system, nap):
    clocks = [virtual_system.spawn(Clock, 1e6) for _ in range(20)]
    start = time.perf_counter()
    asked = [clock.call(nap, 100.0 * n) for n, clock in enumerate(clocks)]
    assert [future.get(timeout=2000) for future in asked] == [100.0 * n for n in range(20)]
    assert virtual_system.now == 1900
    assert time.perf_counter() - start < 60


def test_get_with_a_timeout_of_the_driver_takes_virtual_time(virtual_system):
    clock = virtual_system.spawn(Clock, 1e6)
    start = time.perf_counter()
    with pytest.raises(af.AskTimeout, match="500"):
        clock.call(Clock.never).get(timeout=500)
    assert virtual_system.now == 500
    assert time.perf_counter() - start < 60


def test_get_with_a_timeout_in_a_handler_takes_virtual_time(virtual_system):
    one, other = virtual_system.spawn(Clock, 1e6), virtual_system.spawn(Clock, 1e6)
    assert one.call(Clock.ask_in_vain, other, 30.0).get() == 30
    assert virtual_system.now == 30


def test_an_answer_in_time_does_not_wait_for_the_timeout(virtual_system):
    clock = virtual_system.spawn(Clock, 1e6)
    assert clock.call(Clock.nap, 3.0).get(timeout=1000) == 3
    assert virtual_system.now == 3


def test_the_default_ask_timeout_takes_virtual_time():
    with VirtualSystem(settings=af.Settings(ask_timeout=7)) as system:
        clock = system.spawn(Clock, 1e6)
        with pytest.raises(af.AskTimeout):
            clock.call(Clock.never).get()
        assert system.now == 7


def test_the_default_ask_timeout_of_an_await_takes_virtual_time():
    class Asker(af.Actor):
        async def ask(self, clock):
            with pytest.raises(af.AskTimeout):
                await clock.call(Clock.never)
            return await clock.call(Clock.nap, 3.0)

    with VirtualSystem(settings=af.Settings(ask_timeout=7)) as system:
        assert system.spawn(Asker).call(Asker.ask, system.spawn(Clock, 1e6)).get(timeout=1000) == 10
        assert system.now == 10


def test_asyncio_code_that_awaits_an_answer_lets_virtual_time_pass():
    with VirtualSystem(settings=af.Settings(ask_timeout=7)) as system:
        clock = system.spawn(Clock, 1e6)

        async def main():
            assert await clock.call(Clock.nap, 3.0) == 3
            assert await clock.call(Clock.nap, 1.0).map(lambda now: now + 1) == 5
            with pytest.raises(af.AskTimeout):
                await clock.call(Clock.never)

        asyncio.run(asyncio.wait_for(main(), 30))
        assert system.now == 11


@pytest.mark.parametrize("wait", ["get", "ask"])
def test_nothing_left_to_run_is_a_deadlock_error_in_the_driver(virtual_system, wait):
    class Stuck(af.Actor):
        def on_receive(self, _message):
            af.Future().get()

    stuck = virtual_system.spawn(Stuck)
    with pytest.raises(af.DeadlockError, match="nothing is left to run at 0 s.*/test/stuck"):
        stuck.ask("answer me") if wait == "ask" else stuck.ask("answer me", block=False).get()
    assert stuck.is_alive()
    with pytest.raises(af.DeadlockError):
        af.Future().get()


def test_nothing_left_to_run_is_found_after_the_last_timer(virtual_system):
    class Silent(af.Actor):
        def on_receive(self, seconds):
            self.kept = self.ctx.reply_later()
            self.ctx.after(seconds, self.nothing)

        def nothing(self):
            pass

    with pytest.raises(af.DeadlockError, match="at 50 s"):
        virtual_system.spawn(Silent).ask(50)
    assert virtual_system.now == 50


def test_the_end_of_the_system_takes_no_longer_than_its_grace():
    class Stubborn(af.Actor):
        def nap(self):
            self.ctx.sleep(1000)

    system = VirtualSystem()
    system.spawn(Stubborn).cast(Stubborn.nap)
    system.stop(grace=5)
    assert 0 < system.now <= 5


def test_two_systems_have_clocks_of_their_own():
    with VirtualSystem("one") as one:
        one.sleep(10)
        with VirtualSystem("two") as two:
            clock = two.spawn(Clock)
            two.sleep(5)
            assert (one.now, two.now) == (10, 5)
            assert clock.call(Clock.count).get() == 5
        one.sleep(1)
        assert one.now == 11


def test_many_timers_at_one_moment_fire_in_the_order_they_were_made(virtual_system):
    order = []

    class Many(af.Actor):
        def on_start(self):
            for n in range(50):
                self.ctx.after(1, self.fire, n)

        def fire(self, n):
            order.append(n)

    virtual_system.spawn(Many)
    virtual_system.sleep(1)
    assert order == list(range(50))


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_a_sleep_that_is_no_time_is_refused(virtual_system, seconds):
    with pytest.raises(af.DefinitionError, match="a sleep of"):
        virtual_system.sleep(seconds)
    assert virtual_system.now == 0


def test_what_is_never_due_does_not_make_time_pass(virtual_system):
    class Waits(af.Actor):
        def on_start(self):
            self.ctx.after(math.inf, self.stop)
            self.ctx.every(math.inf, self.stop)

        def on_receive(self, _message):
            self.kept = self.ctx.reply_later()

    waits = virtual_system.spawn(Waits)
    virtual_system.sleep(10)
    assert waits.is_alive()
    with pytest.raises(af.DeadlockError, match="at 10 s"):
        waits.ask("never answered", timeout=math.inf)
    assert virtual_system.now == 10
