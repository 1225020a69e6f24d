"""Futures in asyncio code: awaiting one never blocks the loop."""

import asyncio
import threading

import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log, hold


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


@pytest.fixture
def watchdog():
    """Sets futures after five seconds: a loop that is blocked must not hang the suite."""
    futures = []
    timer = threading.Timer(5, lambda: [future._settle("watchdog", None) for future in futures])
    timer.start()
    yield futures.append
    timer.cancel()
    timer.join()


@pytest.mark.parametrize("combine", ["plain", "map", "filter", "join", "reduce"])
def test_awaiting_a_future_does_not_block_the_loop(combine, watchdog):
    source = af.Future()
    watchdog(source)
    future, value = {
        "plain": lambda: (source, [1, 2]),
        "map": lambda: (source.map(sum), 3),
        "filter": lambda: (source.filter(lambda n: n > 1), [2]),
        "join": lambda: (source.join(source), [[1, 2], [1, 2]]),
        "reduce": lambda: (source.reduce(lambda a, b: a + b), 3),
    }[combine]()

    async def other_work():
        await asyncio.sleep(0)
        source.set([1, 2])  # only a loop that runs comes here

    async def main():
        work = asyncio.create_task(other_work())
        got = await future
        await work
        return got

    assert run(main()) == value


def test_answers_of_actors_can_be_awaited_and_gathered(system):
    async def main():
        ref, echo = system.spawn(Log), system.spawn(Echo)
        asked = [echo.ask(n, block=False) for n in range(100)]
        noted = ref.call(Log.note, "noted")
        return await asyncio.gather(*asked), await noted, await ref.proxy().seen, await ref.stop(block=False)

    assert run(main()) == (list(range(100)), "noted", ["noted"], True)


def test_a_blocking_answer_is_awaited_while_the_loop_goes_on(system, watchdog):
    ref = system.spawn(Held)
    gate, answer = hold(ref)
    watchdog(gate)

    async def main():
        async def let_go():
            gate.set("let go by the loop")

        got, _ = await asyncio.gather(answer, let_go())
        return got

    assert run(main()) == "let go by the loop"


def test_errors_are_raised_in_the_await(system):
    ref = system.spawn(Failing)

    async def main():
        with pytest.raises(ZeroDivisionError):
            await ref.call(Failing.fail, ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await ref.call(Failing.fail, ZeroDivisionError()).map(str)

    run(main())


def test_a_cancelled_await_leaves_nothing_behind():
    future = af.Future()

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(wait()), 0.01)

    async def wait():
        return await future

    run(main())
    assert future._wakes == []
    future.set("late")
    assert future.get() == "late"


def test_one_future_may_be_awaited_by_many_tasks():
    future = af.Future()

    async def wait():
        return await future

    async def main():
        tasks = [asyncio.create_task(wait()) for _ in range(100)]
        await asyncio.sleep(0)
        threading.Thread(target=future.set, args=("value",)).start()
        return await asyncio.gather(*tasks)

    assert run(main()) == ["value"] * 100


def test_ask_timeout_of_the_settings_bounds_an_await():
    with af.ActorSystem("test", settings=af.Settings(ask_timeout=0.02)) as system:
        held = system.spawn(Held)
        gate, answer = hold(held)

        async def main():
            with pytest.raises(af.AskTimeout, match=rf"{held.path} within 0\.02 seconds"):
                await held.ask("no timeout", block=False)

        run(main())
        gate.set(1)
        assert answer.get(timeout=20) == 1
