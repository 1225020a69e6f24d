"""loop=True: handlers are tasks on the system's one asyncio loop."""

import asyncio
import contextlib
import contextvars
import threading

import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log, hold, until


class Net(Log, loop=True):
    async def sleep(self, value):
        await asyncio.sleep(0.001)
        return value

    async def gather(self, ref, count):
        return await asyncio.gather(*(ref.ask(n, block=False) for n in range(count)))

    async def thread(self):
        return threading.get_ident()

    async def blocking_get(self, ref):
        return ref.ask("blocks the loop")

    async def wait_for(self, entered, gate):
        entered.set()
        self.seen.append("begin")
        value = await gate
        self.seen.append("end")
        return value

    async def forever(self, entered):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        finally:
            self.seen.append("cleaned up")

    async def ask_held(self, ref):
        try:
            return await ref.ask("no timeout", block=False)
        except af.AskTimeout as error:
            return f"timed out: {error}"

    async def ask_back(self, ref, me):
        return await ref.call(Net.pass_on, me)

    def pass_on(self, ref):
        return ref.call(Log.read).get()

    async def fail(self, error):
        await asyncio.sleep(0)
        raise error

    def plain(self):
        return "a plain method"


def test_loop_handlers_may_use_asyncio(system):
    assert system.spawn(Net).call(Net.sleep, 7).get(timeout=20) == 7


def test_loop_handlers_gather_our_futures(system):
    ref, echo = system.spawn(Net), system.spawn(Echo)
    assert ref.call(Net.gather, echo, 50).get(timeout=20) == list(range(50))


def test_all_loop_handlers_of_a_system_share_one_thread(system):
    refs = [system.spawn(Net) for _ in range(5)]
    assert len({ref.call(Net.thread).get(timeout=20) for ref in refs}) == 1


def test_plain_methods_of_loop_actors_work(system):
    assert system.spawn(Net).call(Net.plain).get(timeout=20) == "a plain method"


def test_loop_handlers_of_one_actor_never_overlap(system):
    ref = system.spawn(Net)
    entered, gate = af.Future(), af.Future()
    first = ref.call(Net.wait_for, entered, gate)
    entered.get(timeout=20)
    second = ref.call(Net.sleep, "second")
    assert system.spawn(Net).call(Net.sleep, "others run").get(timeout=20) == "others run"
    assert not second.done()
    gate.set("first")
    assert (first.get(timeout=20), second.get(timeout=20)) == ("first", "second")
    assert ref.call(Log.read).get(timeout=20) == ["begin", "end"]


def test_get_in_a_loop_handler_is_refused_with_the_cure(system):
    ref, held = system.spawn(Net), system.spawn(Held)
    gate, _ = hold(held)
    with pytest.raises(af.DefinitionError, match="await the future"):
        ref.call(Net.blocking_get, held).get(timeout=20)
    gate.set()
    assert ref.is_alive()


def test_errors_of_loop_handlers_belong_to_the_caller_and_casts_crash(system):
    ref = system.spawn(Net)
    with pytest.raises(KeyError):
        ref.call(Net.fail, KeyError()).get(timeout=20)
    assert ref.call(Net.sleep, 1).get(timeout=20) == 1
    ref.cast(Net.fail, KeyError())
    assert ref.actor_stopped.wait(20)


def test_a_cancelled_error_in_a_loop_handler_crashes_that_actor_only(system):
    ref, other = system.spawn(Net), system.spawn(Net)
    with pytest.raises(af.Crash) as caught:
        ref.call(Net.fail, asyncio.CancelledError()).get(timeout=20)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert ref.actor_stopped.wait(20)
    assert other.call(Net.sleep, 1).get(timeout=20) == 1


def test_errors_of_awaited_futures_are_raised_in_loop_handlers(system):
    class Catching(Net):
        async def catch(self, ref):
            with pytest.raises(KeyError):
                await ref.call(Failing.fail, KeyError())
            return "caught"

    assert system.spawn(Catching).call(Catching.catch, system.spawn(Failing)).get(timeout=20) == "caught"


@pytest.mark.usefixtures("unhurried_cut")
def test_a_loop_handler_that_waits_is_cancelled_at_shutdown():
    seen, entered = [], af.Future()
    with af.ActorSystem("test") as system:
        answer = system.spawn(Net, seen).call(Net.forever, entered)
        entered.get(timeout=20)
        system.stop(grace=0.5)
        with pytest.raises(af.ActorDeadError):
            answer.get(timeout=20)
    assert seen == ["cancelled", "cleaned up"]
    assert system.scheduler.abandoned == 0


def test_a_cycle_of_awaits_through_the_loop_raises(system):
    ref, other = system.spawn(Net), system.spawn(Net)
    with pytest.raises(af.DeadlockError):
        ref.call(Net.ask_back, other, ref).get(timeout=20)


def test_an_await_on_the_loop_that_closes_a_cycle_raises(system):
    class Waits(Net):
        async def wait_and_ask(self, entered, gate, ref):
            await self.wait_for(entered, gate)
            return await ref.call(Log.read)

    class Asks(Log):
        def ask(self, ref):
            return ref.call(Log.read).get()

    ref, other = system.spawn(Waits), system.spawn(Asks)
    entered, gate = af.Future(), af.Future()
    answer = ref.call(Waits.wait_and_ask, entered, gate, other)
    entered.get(timeout=20)
    asks = other.call(Asks.ask, ref)
    until(lambda: other._waiting is not None)
    gate.set()
    with pytest.raises(af.DeadlockError, match=f"{ref.path} -> {other.path} -> {ref.path}"):
        answer.get(timeout=20)
    assert asks.get(timeout=20) == ["begin", "end"]


def test_ctx_works_in_loop_handlers(system):
    class Full(Net):
        async def later(self):
            await asyncio.sleep(0)
            self.reply = self.ctx.reply_later()

        async def answer(self, value):
            await asyncio.sleep(0)
            self.reply.set((value, self.ctx.sender))

        async def on_receive(self, message):
            await asyncio.sleep(0)
            if message == "open":
                self.seen.append(message)
                self.ctx.unstash()
            elif not self.seen:
                self.ctx.stash()
            else:
                await self.ctx.after(0.001, self.plain)
                return message

    ref = system.spawn(Full)
    later = ref.call(Full.later)
    ref.cast(Full.answer, "later")
    assert later.get(timeout=20) == ("later", None)
    stashed = ref.ask("stashed", block=False)
    ref.ask("open", timeout=20)
    assert stashed.get(timeout=20) == "stashed"


def test_contexts_of_loop_handlers_do_not_leak(system):
    var = contextvars.ContextVar("var", default="clean")

    class Setting(af.Actor, loop=True):
        async def set(self):
            var.set("set")
            await asyncio.sleep(0)
            return var.get()

        async def get(self):
            return var.get()

    ref = system.spawn(Setting)
    assert ref.call(Setting.set).get(timeout=20) == "set"
    assert ref.call(Setting.get).get(timeout=20) == "clean"


class Spawning(af.Actor, loop=True):
    async def leave(self, error):
        """Have a task of its own raise what asyncio ends a loop for."""

        async def raise_it():
            raise error

        with contextlib.suppress(BaseException):
            await asyncio.create_task(raise_it())

    async def sleep(self):
        await asyncio.sleep(0.001)
        return "slept"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_task_that_asyncio_would_end_its_loop_for_ends_no_other(system, caplog, error):
    ref = system.spawn(Spawning)
    other = system.spawn(Spawning)
    ref.call(Spawning.leave, error).get(timeout=30)
    assert [one.call(Spawning.sleep).get(timeout=30) for one in (ref, other)] == ["slept", "slept"]
    assert "all others go on" in caplog.text


def test_a_task_that_outlives_its_handler_is_no_wait_of_the_actor(system):
    class Begins(Net):
        async def begin(self, go, other):
            async def ask():
                await go
                try:
                    self.seen.append(await other.call(Log.read))
                except af.DeadlockError as error:
                    self.seen.append(error)

            self.task = asyncio.create_task(ask())

    class Asks(Log):
        def ask(self, ref, entered, gate):
            return ref.call(Net.wait_for, entered, gate).get(timeout=20)

    ref, other = system.spawn(Begins), system.spawn(Asks)
    go, entered, gate = af.Future(), af.Future(), af.Future()
    ref.call(Begins.begin, go, other).get(timeout=20)
    asks = other.call(Asks.ask, ref, entered, gate)
    entered.get(timeout=20)
    go.set()  # now the task asks who waits for another handler of its actor
    until(lambda: other._queue)
    gate.set()
    asks.get(timeout=20)
    until(lambda: [] in ref.call(Log.read).get(timeout=20))


def test_ask_timeout_of_the_settings_bounds_an_await():
    with af.ActorSystem("test", settings=af.Settings(ask_timeout=0.02)) as system:
        held, net = system.spawn(Held), system.spawn(Net)
        gate, _ = hold(held)
        said = net.call(Net.ask_held, held).get(timeout=20)
        assert said.startswith(f"timed out: no answer from {held.path} within 0.02 seconds")
        gate.set()
