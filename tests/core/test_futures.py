"""Futures: set once, read by many, computed once; pykka's API, and awaitable."""

import contextlib
import math
import queue
import sys
import threading
import time
import traceback

import pykka
import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, hold, let_time_pass, run_in_threads, until


def failed(error):
    future = af.Future()
    future.set_exception((type(error), error, None))
    return future


def waiters(future):
    return len(future._wakes)


def test_two_threads_that_wait_both_get_the_value():
    future, got = af.Future(), []

    def work(index):
        if index == 2:
            until(lambda: waiters(future) == 2)
            future.set("value")
        else:
            got.append(future.get(timeout=20))

    run_in_threads(3, work)
    assert got == ["value"] * 2


def test_a_thousand_waiters_get_the_value(any_system):
    class Waiter(af.Actor):
        async def wait(self, gate):
            return await gate

    gate = af.Future()
    answers = [any_system.spawn(Waiter).call(Waiter.wait, gate) for _ in range(1000)]
    echo = any_system.spawn(Echo)
    until(lambda: echo.ask(True, timeout=20) and waiters(gate) == 1000)
    gate.set("value")
    assert [answer.get(timeout=20) for answer in answers] == ["value"] * 1000


def test_get_gives_the_same_value_again():
    future = af.Future()
    future.set([1])
    assert future.get() is future.get()


def test_get_raises_the_same_error_again():
    error = KeyError("again")
    future = failed(error)
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            future.get()
        assert caught.value is error


def test_a_second_set_fails():
    future = af.Future()
    future.set(1)
    for again in (future.set, future.set_exception, lambda: future.set_get_hook(lambda _timeout: 3)):
        with pytest.raises(queue.Full):
            again()
    assert future.get() == 1


def test_of_two_sets_in_a_race_exactly_one_wins():
    def give_way(frame, _event, _argument):
        """Let another thread run before each line of `_settle`, so that all interleavings come up."""
        if frame.f_code.co_name == "_settle":
            time.sleep(0)
        return give_way

    futures = [af.Future() for _ in range(300)]
    won = [[] for _ in futures]
    meet = threading.Barrier(2)

    def work(index):
        sys.settrace(give_way)
        try:
            for future, winners in zip(futures, won, strict=True):
                meet.wait(20)
                try:
                    future.set(index)
                except queue.Full:
                    continue
                winners.append(index)
        finally:
            sys.settrace(None)

    run_in_threads(2, work)
    assert [[future.get()] for future in futures] == won
    assert {winner for (winner,) in won} == {0, 1}


def test_get_times_out_as_asked():
    with pytest.raises(af.AskTimeout) as caught:
        af.Future().get(timeout=0.01)
    assert isinstance(caught.value, pykka.Timeout)
    assert isinstance(caught.value, TimeoutError)


def test_a_wait_that_timed_out_leaves_nothing_behind(any_system):
    ref = any_system.spawn(Held)
    gate, answer = hold(ref)
    with pytest.raises(af.AskTimeout):
        answer.get(timeout=0.01)
    assert waiters(answer) == 0
    gate.set(1)
    assert answer.get(timeout=20) == 1


def test_a_wait_in_a_handler_that_timed_out_leaves_nothing_behind(any_system):
    class Impatient(af.Actor):
        def wait(self, future):
            try:
                return future.get(timeout=0.001)
            except af.AskTimeout:
                return "timed out"

    future = af.Future()
    ref = any_system.spawn(Impatient)
    assert ref.call(Impatient.wait, future).get(timeout=20) == "timed out"
    assert waiters(future) == 0
    future.set("now")
    assert ref.call(Impatient.wait, future).get(timeout=20) == "now"


def test_an_ask_that_times_out_names_the_actor_and_may_still_be_handled(any_system):
    ref = any_system.spawn(Held)
    gate, _ = hold(ref)
    with pytest.raises(af.AskTimeout, match=f"{ref.path} within 0.01 seconds"):
        ref.ask("late", timeout=0.01)
    gate.set()
    assert ref.call(Held.read).get(timeout=20) == ["late"]


def test_ask_timeout_of_the_settings_holds_where_none_is_given(system_class):
    with system_class("test", settings=af.Settings(ask_timeout=0.02)) as system:
        ref = system.spawn(Held)
        gate, answer = hold(ref)
        with pytest.raises(af.AskTimeout, match=r"0\.02"):
            ref.ask("no timeout")
        with pytest.raises(af.AskTimeout, match=r"0\.03"):
            ref.ask("its own timeout", timeout=0.03)
        gate.set(1)
        assert answer.get(timeout=20) == 1


class Asker(af.Actor):
    """Awaits answers of another actor, which may never come."""

    async def ask(self, ref, kind):
        asked = ref.ask("no timeout", block=False)
        try:
            return await {"plain": asked, "joined": asked.join(asked), "mapped": asked.map(str)}[kind]
        except af.AskTimeout as error:
            return f"timed out: {error}"

    async def ask_often(self, ref, times):
        return [await ref.call(Held.note, n) for n in range(times)]

    async def ask_again(self, ref, gate):
        asked = ref.ask("no timeout", block=False)
        for _ in range(2):
            with pytest.raises(af.AskTimeout):
                await asked
        gate.set("answered")
        while True:
            with contextlib.suppress(af.AskTimeout):  # on a busy machine
                return await asked

    async def stop(self, ref):
        return await ref.stop(block=False)


@pytest.mark.parametrize("kind", ["plain", "joined", "mapped"])
def test_ask_timeout_of_the_settings_bounds_an_await_in_a_handler(system_class, kind):
    with system_class("test", settings=af.Settings(ask_timeout=0.02)) as system:
        held, asker = system.spawn(Held), system.spawn(Asker)
        gate, answer = hold(held)
        said = asker.call(Asker.ask, held, kind).get(timeout=20)
        assert said.startswith(f"timed out: no answer from {held.path} within 0.02 seconds")
        gate.set(1)
        assert answer.get(timeout=20) == 1


def test_an_await_that_timed_out_can_be_repeated(system_class):
    with system_class("test", settings=af.Settings(ask_timeout=0.05)) as system:
        held, asker = system.spawn(Held), system.spawn(Asker)
        gate, _ = hold(held)
        assert asker.call(Asker.ask_again, held, gate).get(timeout=20) is None


def test_an_await_in_time_leaves_no_timer_behind(system_class):
    with system_class("test", settings=af.Settings(ask_timeout=1000)) as system:
        held, asker = system.spawn(Held), system.spawn(Asker)
        assert asker.call(Asker.ask_often, held, 50).get(timeout=20) == list(range(50))
        until(lambda: len(system.scheduler.timers) == 0, system)


def test_ask_timeout_does_not_bound_an_await_of_a_stop(system_class):
    with system_class("test", settings=af.Settings(ask_timeout=0.01)) as system:
        held, asker = system.spawn(Held), system.spawn(Asker)
        gate, _ = hold(held)
        stopped = asker.call(Asker.stop, held)
        let_time_pass(system, 0.05)
        gate.set()
        assert stopped.get(timeout=20) is True


def test_set_exception_takes_the_error_that_is_handled():
    future = af.Future()
    try:
        raise KeyError("handled")
    except KeyError:
        future.set_exception()
    with pytest.raises(KeyError, match="handled"):
        future.get()


def test_done_says_whether_get_would_wait():
    future = af.Future()
    mapped = future.map(str)
    assert not future.done()
    assert not mapped.done()
    future.set(1)
    assert future.done()
    assert mapped.done()


# --- combinators ------------------------------------------------------------------------------------------------------


class Counting:
    """A function that counts its calls, and takes its time."""

    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        threading.Event().wait(0.001)
        return self.function(*args)


def numbers():
    future = af.Future()
    future.set([3, 1, 2])
    return future


COMBINED = {
    "map": lambda future, count: future.map(count),
    "filter": lambda future, count: future.filter(count),
    "reduce": lambda future, count: future.reduce(count, 0),
}
FUNCTIONS = {"map": sum, "filter": lambda n: n > 1, "reduce": lambda total, n: total + n}
RESULTS = {"map": (6, 1), "filter": ([3, 2], 3), "reduce": (6, 3)}


@pytest.mark.parametrize("kind", COMBINED)
def test_combinators_compute_lazily_and_once(kind):
    count = Counting(FUNCTIONS[kind])
    combined = COMBINED[kind](numbers(), count)
    assert count.calls == 0
    value, calls = RESULTS[kind]
    assert combined.get() == value
    assert combined.get() == value
    assert count.calls == calls


@pytest.mark.parametrize("kind", COMBINED)
def test_combinators_compute_once_also_in_a_race(kind):
    value, calls = RESULTS[kind]
    for _ in range(10):
        count = Counting(FUNCTIONS[kind])
        combined, got = COMBINED[kind](numbers(), count), []
        run_in_threads(4, lambda _index, combined=combined, got=got: got.append(combined.get(timeout=20)))
        assert got == [value] * 4
        assert count.calls == calls


def test_an_error_in_a_combinators_function_is_raised_each_time_and_it_ran_once():
    count = Counting(lambda _n: 1 // 0)
    mapped = numbers().map(count)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            mapped.get()
    assert count.calls == 1


def test_an_error_of_the_source_reaches_all_combinators():
    future = failed(KeyError("source"))
    for combined in (future.map(str), future.filter(bool), future.reduce(max), future.join(numbers())):
        with pytest.raises(KeyError, match="source"):
            combined.get()


def test_join_keeps_the_order_and_takes_pykkas_own_futures():
    foreign = pykka.ThreadingFuture()
    foreign.set("foreign")
    first, second = af.Future(), af.Future()
    joined = first.join(second, foreign)
    second.set(2)
    first.set(1)
    assert joined.get(timeout=20) == [1, 2, "foreign"]


def test_a_timeout_of_a_combinator_bounds_all_its_sources(any_system):
    joined = numbers().join(af.Future(), af.Future())
    with pytest.raises(af.AskTimeout):
        joined.get(timeout=0.02)


def test_a_combinator_that_timed_out_may_be_asked_again():
    future = af.Future()
    mapped = future.map(lambda n: n + 1)
    with pytest.raises(af.AskTimeout):
        mapped.get(timeout=0.01)
    future.set(1)
    assert mapped.get(timeout=20) == 2


def test_a_get_hook_is_asked_once():
    future, count = af.Future(), Counting(lambda timeout: ("hooked", timeout))
    future.set_get_hook(count)
    assert future.get(timeout=30) == ("hooked", 30)
    assert future.get() == ("hooked", 30)
    assert count.calls == 1


def test_combinators_of_answers_work_in_handlers(any_system):
    class Summing(af.Actor):
        def total(self, echo):
            first, second = echo.ask(1, block=False), echo.ask(2, block=False)
            return first.join(second).map(sum).get()

        async def total_async(self, echo):
            first, second = echo.ask(1, block=False), echo.ask(2, block=False)
            return await first.join(second).map(sum)

    ref, echo = any_system.spawn(Summing), any_system.spawn(Echo)
    assert ref.call(Summing.total, echo).get(timeout=20) == 3
    assert ref.call(Summing.total_async, echo).get(timeout=20) == 3


def test_the_traceback_of_an_error_does_not_grow_when_it_is_got_often(any_system):
    future = any_system.spawn(Failing).call(Failing.fail, ZeroDivisionError("boom"))

    def depth():
        with pytest.raises(ZeroDivisionError) as caught:
            future.get(timeout=20)
        return len(list(traceback.walk_tb(caught.value.__traceback__)))

    assert depth() == max(depth() for _ in range(100))


@pytest.mark.parametrize("timeout", [math.inf, 1e12])
def test_a_timeout_longer_than_locks_know_is_a_wait_for_ever(any_system, timeout):
    class Asks(Echo):
        def ask(self, other):
            return other.ask("hello", timeout=timeout)

    echo = any_system.spawn(Echo)
    assert echo.ask("hello", timeout=timeout) == "hello"
    assert any_system.spawn(Asks).call(Asks.ask, echo).get(timeout=20) == "hello"
    if not any_system.scheduler.is_virtual:
        answers = []
        run_in_threads(1, lambda _: answers.append(echo.ask("hello", timeout=timeout)))
        assert answers == ["hello"]


@pytest.mark.parametrize("how", ["get", "done first", "await"])
def test_a_chain_of_thousands_of_derived_futures_needs_no_recursion(any_system, how):
    class Awaits(af.Actor):
        async def wait_for(self, future):
            return await future

    gate = af.Future()
    chain, joined = gate, gate
    for _ in range(5000):
        chain, joined = chain.map(lambda n: n + 1), joined.join().map(lambda values: values[0])
    if how == "await":
        answer = any_system.spawn(Awaits).call(Awaits.wait_for, chain)
    assert not chain.done()
    gate.set(0)
    assert how != "done first" or chain.done()
    assert (answer if how == "await" else chain).get(timeout=20) == 5000
    assert joined.get(timeout=20) == 0


def test_what_is_made_of_a_future_with_a_hook_runs_the_hook(any_system):
    class Pipes(Echo):
        def pipe(self, future):
            self.reply = self.ctx.reply_later()
            self.ctx.pipe(future, self.take)

        def take(self, value):
            self.reply.set(value)

        async def wait_for(self, future):
            return await future

    def hooked():
        future = af.Future()
        future.set_get_hook(lambda _timeout: 5)
        return future

    pipes = any_system.spawn(Pipes)
    for made, expected in ((hooked(), 5), (hooked().map(str), "5"), (hooked().join(hooked()), [5, 5])):
        assert pipes.call(Pipes.pipe, made).get(timeout=20) == expected
    assert hooked().map(str).get(timeout=20) == "5"
    assert pipes.call(Pipes.wait_for, hooked().map(str)).get(timeout=20) == "5"
