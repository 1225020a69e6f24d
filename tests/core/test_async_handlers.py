"""`async def` handlers run on the run queue: they await futures and timers, and nothing that needs an asyncio loop."""

import asyncio

import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log, until


class Agent(Log):
    async def on_receive(self, message):
        return await self.relay_to.ask(message, block=False)

    async def on_start(self):
        self.relay_to = await af.Future.map(opened(), lambda _: None) or self.ctx.spawn(Echo)

    async def call(self, ref, message):
        return await ref.call(Log.note, message)

    async def ask_twice(self, ref):
        return [await ref.ask(1, block=False), await ref.ask(2, block=False)]

    async def sleep(self, seconds):
        before = self.ctx.now()
        await af.timer(seconds)
        return self.ctx.now() - before

    async def wait_for_timer(self, seconds):
        before = self.ctx.now()
        await self.ctx.after(seconds, self.note, "timer")
        return self.ctx.now() - before

    async def nested(self, depth, ref):
        if depth == 0:
            return await ref.ask("bottom", block=False)
        return await self.nested(depth - 1, ref)

    async def plain(self):
        return "nothing awaited"

    async def catch(self, ref):
        try:
            await ref.call(Failing.fail, KeyError("theirs"))
        except KeyError as error:
            return str(error)

    async def blocking(self, ref):
        return ref.ask("plain get"), await ref.ask("await", block=False)

    async def bare_yield(self):
        await asyncio.sleep(0)
        return "went on"


def opened():
    future = af.Future()
    future.set()
    return future


def test_async_on_receive_and_on_start(any_system):
    assert any_system.spawn(Agent).ask("hello", timeout=20) == "hello"


def test_async_handlers_await_asks_and_calls(any_system):
    ref, echo, log = any_system.spawn(Agent), any_system.spawn(Echo), any_system.spawn(Log)
    assert ref.call(Agent.call, log, "noted").get(timeout=20) == "noted"
    assert ref.call(Agent.ask_twice, echo).get(timeout=20) == [1, 2]
    assert ref.proxy().nested(20, echo).get(timeout=20) == "bottom"
    assert ref.call(Agent.plain).get(timeout=20) == "nothing awaited"


def test_async_handlers_await_timers(virtual_system):
    ref = virtual_system.spawn(Agent)
    assert ref.call(Agent.sleep, 600).get(timeout=3600) == 600
    assert ref.call(Agent.wait_for_timer, 600).get(timeout=3600) == 600
    assert ref.call(Log.read).get(timeout=20) == ["timer"]


def test_async_handlers_await_timers_on_the_machines_clock(system):
    ref = system.spawn(Agent)
    assert ref.call(Agent.sleep, 0.01).get(timeout=20) >= 0.009
    assert ref.call(Agent.wait_for_timer, 0.01).get(timeout=20) >= 0.009


def test_errors_of_awaited_calls_are_raised_in_the_handler(any_system):
    ref, failing = any_system.spawn(Agent), any_system.spawn(Failing)
    assert ref.call(Agent.catch, failing).get(timeout=20) == "'theirs'"


def test_an_async_handler_may_use_a_plain_get(any_system):
    ref, echo = any_system.spawn(Agent), any_system.spawn(Echo)
    assert ref.call(Agent.blocking, echo).get(timeout=20) == ("plain get", "await")


def test_a_bare_yield_lets_others_run(any_system):
    assert any_system.spawn(Agent).call(Agent.bare_yield).get(timeout=20) == "went on"


def test_a_nested_exchange_of_awaits_and_gets_works(any_system):
    class Tower(af.Actor):
        async def up(self, levels):
            if not levels:
                return 0
            return 1 + await levels[0].call(Tower.down, levels[1:])

        def down(self, levels):
            if not levels:
                return 0
            return 1 + levels[0].call(Tower.up, levels[1:]).get()

    levels = [any_system.spawn(Tower) for _ in range(10)]
    assert levels[0].call(Tower.up, levels[1:]).get(timeout=20) == 9


def test_many_suspended_handlers_finish(any_system):
    gate = af.Future()
    refs = [any_system.spawn(Held) for _ in range(500)]
    answers = [ref.call(Held.hold_async, af.Future(), gate) for ref in refs]
    assert any_system.spawn(Echo).ask("all wait", timeout=20)
    gate.set("go")
    assert {answer.get(timeout=20) for answer in answers} == {"go"}


# --- what needs a loop ------------------------------------------------------------------------------------------------


class Foreign(af.Actor):
    async def sleep(self):
        await asyncio.sleep(0.001)

    async def gather(self):
        await asyncio.gather(asyncio.sleep(0))

    async def running_loop(self):
        return asyncio.get_running_loop()

    async def await_loop_future(self, future):
        return await future

    async def cleanup(self, future, seen):
        try:
            await future
        except af.DefinitionError:
            seen.append("refused in the await")
            raise


@pytest.mark.parametrize("method", [Foreign.sleep, Foreign.running_loop])
def test_asyncio_in_a_handler_without_loop_gets_a_note_that_names_the_option(any_system, method):
    ref = any_system.spawn(Foreign)
    with pytest.raises(RuntimeError, match="no running event loop") as caught:
        ref.call(method).get(timeout=20)
    assert any("loop=True" in note for note in caught.value.__notes__)
    assert ref.is_alive()


def test_a_foreign_await_gets_a_definition_error_that_names_loop_true(any_system):
    loop = asyncio.new_event_loop()
    try:
        seen = []
        ref = any_system.spawn(Foreign)
        with pytest.raises(af.DefinitionError, match="loop=True"):
            ref.call(Foreign.cleanup, loop.create_future(), seen).get(timeout=20)
        assert seen == ["refused in the await"]
        assert ref.is_alive()
    finally:
        loop.close()


def test_a_foreign_await_in_a_cast_crashes_the_actor(any_system, caplog):
    loop = asyncio.new_event_loop()
    try:
        ref = any_system.spawn(Foreign)
        ref.cast(Foreign.await_loop_future, loop.create_future())
        assert ref.actor_stopped.wait(20)
        until(lambda: "loop=True" in caplog.text)
    finally:
        loop.close()


def test_timer_outside_of_actors_is_refused():
    with pytest.raises(af.DefinitionError, match="handlers"):
        af.timer(1)


@pytest.mark.usefixtures("unhurried_cut")
def test_a_suspended_handler_is_woken_with_stopping_at_the_end(system_class):
    woken = []

    class Waiting(af.Actor):
        async def wait(self, entered):
            entered.set()
            try:
                await af.Future()
            except af.Stopping as error:
                woken.append(error)
                raise

    with system_class("test") as system:
        entered = af.Future()
        answer = system.spawn(Waiting).call(Waiting.wait, entered)
        entered.get(timeout=20)
        system.stop(grace=0.1)
        with pytest.raises(af.ActorDeadError):
            answer.get(timeout=20)
    assert len(woken) == 1


def test_async_on_stop_runs(any_system):
    done = []

    class Tidy(af.Actor):
        async def on_stop(self):
            await af.timer(0.001)
            done.append("tidy")

    assert any_system.spawn(Tidy).stop(timeout=20)
    assert done == ["tidy"]
