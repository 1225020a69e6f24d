"""Handlers of actors with loop=True, and `async def` tasks, run on an asyncio loop whose time is virtual."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest

import actorflow as af
from actorflow.core.drivers import watchdog
from actorflow.testing import VirtualSystem


class Echo(af.Actor):
    def on_receive(self, message):
        self.ctx.sleep(0.5)
        return message

    def fall(self):
        raise ValueError("fell")


class Service(af.Actor, loop=True):
    def __init__(self, echo=None):
        super().__init__()
        self.echo = echo
        self.log: list[object] = []

    def seconds(self):
        return self.ctx.now() - 1_600_000_000.0

    async def sleeps(self, seconds):
        await asyncio.sleep(seconds)
        return self.seconds()

    async def times_out(self):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 2)
        first = self.seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        return first, self.seconds()

    async def passes_on(self):
        queue: asyncio.Queue = asyncio.Queue(maxsize=2)

        async def put():
            for n in range(6):
                await queue.put(n)
                await asyncio.sleep(0.1)
            await queue.put(None)

        async def get():
            seen = []
            while (item := await queue.get()) is not None:
                seen.append(item)
                await asyncio.sleep(0.15)
            return seen

        return (await asyncio.gather(put(), get()))[1]

    async def groups(self):
        async def one(n):
            await asyncio.sleep(1 / (n + 1))
            self.log.append(n)
            return n

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(n)) for n in range(3)]
        return [task.result() for task in tasks], self.log, self.seconds()

    async def locks(self):
        lock, order = asyncio.Lock(), []

        async def enter(n):
            async with lock:
                order.append(n)
                await asyncio.sleep(0)

        await asyncio.gather(*(enter(n) for n in range(5)))
        return order

    async def asks(self, count=1):
        async def one(n):
            return await self.echo.ask(n, block=False)

        return await asyncio.gather(*(one(n) for n in range(count)))

    async def hears_errors(self):
        with pytest.raises(ValueError, match="fell"):
            await self.echo.call(Echo.fall)
        return "heard"

    async def in_a_thread(self):
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(pow, 2, 5), await loop.run_in_executor(None, max, 1, 2), self.seconds()

    async def blocks(self):
        return self.echo.ask("x")

    async def connects(self):
        await asyncio.open_connection("127.0.0.1", 9)

    async def serves(self):
        await asyncio.start_server(print, "127.0.0.1", 0)

    async def starts_a_process(self):
        await asyncio.create_subprocess_exec("true")

    async def watches_a_file(self):
        asyncio.get_running_loop().add_reader(0, print)

    async def cleans_up(self, done):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            done.append(self.seconds())

    async def swallows(self):
        while True:
            with contextlib.suppress(BaseException):
                await asyncio.sleep(1)

    async def generates(self, done):
        async def numbers():
            try:
                for n in range(3):
                    yield n
            finally:
                done.append("closed")

        async for n in numbers():
            if n == 1:
                return n


@pytest.fixture
def service(virtual_system):
    return virtual_system.spawn(Service, virtual_system.spawn(Echo))


def test_a_sleep_takes_virtual_time(service, virtual_system):
    assert service.call(Service.sleeps, 3600).get() == 3600
    assert virtual_system.now == 3600


def test_timeouts_take_virtual_time(service):
    assert service.call(Service.times_out).get() == (2, 3)


def test_queues_task_groups_and_locks_keep_their_order(service):
    assert service.call(Service.passes_on).get() == list(range(6))
    values, log, at = service.call(Service.groups).get()
    assert (values, log) == ([0, 1, 2], [2, 1, 0])
    assert at >= 1
    assert service.call(Service.locks).get() == list(range(5))


def test_actors_are_awaited(service, virtual_system):
    assert service.call(Service.asks, 3).get() == [0, 1, 2]
    assert virtual_system.now == 1.5
    assert service.call(Service.hears_errors).get() == "heard"


def test_a_function_in_a_thread_runs_in_place(service):
    assert service.call(Service.in_a_thread).get() == (32, 2, 0)


def test_a_blocking_wait_is_refused(service):
    with pytest.raises(af.DefinitionError, match="await the future"):
        service.call(Service.blocks).get()


@pytest.mark.parametrize("method", [Service.connects, Service.serves, Service.starts_a_process, Service.watches_a_file])
def test_what_takes_real_time_is_refused_with_the_cure(service, method):
    with pytest.raises(af.DefinitionError, match="real time.*use a live system"):
        service.call(method).get()


def test_a_handler_is_cancelled_with_its_actor_and_cleans_up(service, virtual_system):
    done: list[float] = []
    service.cast(Service.cleans_up, done)
    virtual_system.sleep(1)
    virtual_system.stop()
    assert len(done) == 1


def test_a_handler_that_swallows_its_cancellation_ends_with_the_system():
    with VirtualSystem("async", seed=1) as system:
        system.spawn(Service).cast(Service.swallows)
        system.sleep(5)
    assert system.scheduler.loop_thread.loop.is_closed()


def test_a_handler_that_swallows_its_cancellation_ends_with_its_incarnation():
    with VirtualSystem("async", seed=1) as system:
        recipe = af.child(Service).options(name="s", shutdown=2)
        system.spawn(af.child(af.Supervisor, recipe).options(name="sup"))
        service = system.find("/async/sup/s")
        service.cast(Service.swallows)
        system.sleep(3)
        trace = system.record()
        system.find("/async/sup").stop()
        system.sleep(10)
        trace.clear()
        system.sleep(10)
        assert not trace  # nothing turns any more


def test_an_asynchronous_generator_is_closed(service, virtual_system):
    done: list[str] = []
    assert service.call(Service.generates, done).get() == 1
    virtual_system.sleep(0)
    assert done == ["closed"]


def test_the_seed_chooses_the_turns_of_the_loop_and_gives_one_trace():
    def run(seed):
        with VirtualSystem("async", seed=seed) as system:
            trace = system.record()
            echoes = [system.spawn(Echo) for _ in range(3)]
            for echo in echoes:
                system.spawn(Service, echo).call(Service.asks, 3)
                echo.tell("x")
            system.sleep(20)
        return trace

    traces = [run(seed) for seed in (1, 1, 2, 3, 4)]
    assert traces[0] == traces[1]
    assert any(trace != traces[0] for trace in traces)
    assert any(step[2] == "a turn of the asyncio loop" for step in traces[0])


class Timers(af.Actor, loop=True):
    async def leaves_a_task(self):
        async def swallows():
            while True:
                with contextlib.suppress(BaseException):
                    await asyncio.sleep(1e6)

        self.task = asyncio.create_task(swallows())
        await asyncio.sleep(0)

    async def leaves_a_task_that_spins(self):
        async def spins():
            try:
                await asyncio.sleep(1e6)
            finally:
                while True:
                    pass

        self.task = asyncio.create_task(spins())
        await asyncio.sleep(0)

    async def leaves_a_generator(self, kept, log):
        async def numbers():
            try:
                yield 1
            finally:
                await asyncio.sleep(0)
                log.append("closed")

        kept.append(numbers())
        await anext(kept[0])

    async def cancels_one_of_two(self):
        calls: list[str] = []
        loop = asyncio.get_running_loop()
        first, _ = loop.call_later(1, calls.append, "x"), loop.call_later(1, calls.append, "x")
        first.cancel()
        await asyncio.sleep(2)
        return calls

    async def leaves_a_thread(self):
        try:
            await asyncio.to_thread(sys.exit, 3)
        except SystemExit as error:
            return error.code


def test_a_timer_that_is_cancelled_takes_no_equal_one_along(virtual_system):
    assert virtual_system.spawn(Timers).call(Timers.cancels_one_of_two).get(timeout=100) == ["x"]


def test_a_function_that_raises_system_exit_in_to_thread_answers_the_one_who_awaits_it(virtual_system):
    assert virtual_system.spawn(Timers).call(Timers.leaves_a_thread).get(timeout=100) == 3


def test_a_task_left_on_the_loop_that_spins_is_ended_and_stop_says_where_it_was(monkeypatch):
    monkeypatch.setattr(watchdog, "STRIKE_SECONDS", 30.0)  # the machine may be busy
    system = VirtualSystem("loops", seed=1, turn_seconds=600.0)
    system.spawn(Timers).call(Timers.leaves_a_task_that_spins).get()
    watchdog.watch(system.scheduler, 0.5)  # only now: on a busy machine any handler may take as long
    with pytest.raises(af.StuckError, match="in spins"):
        system.stop()
    assert system.scheduler.closed
    assert system.scheduler.loop_thread.loop.is_closed()


def test_an_async_generator_left_open_is_closed_with_the_loop():
    kept: list[object] = []  # so that the collector does not end it
    log: list[str] = []
    with VirtualSystem("loops", seed=1) as system:
        system.spawn(Timers).call(Timers.leaves_a_generator, kept, log).get()
    assert log == ["closed"]


def test_the_end_of_the_loop_keeps_the_debugger_of_the_tests_thread():
    def trace(frame, event, arg):
        return None

    def profile(frame, event, arg):
        return None

    before = sys.getprofile(), sys.gettrace()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        with VirtualSystem("loops", seed=1) as system:
            system.spawn(Timers).call(Timers.leaves_a_task).get()
        seen = sys.getprofile(), sys.gettrace()
    finally:
        sys.setprofile(before[0])
        sys.settrace(before[1])
    assert seen == (profile, trace)


@af.task
async def sleeps(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@af.task(timeout=5)
async def hangs() -> None:
    await asyncio.Event().wait()


def test_tasks_of_a_queue_may_use_asyncio(virtual_system):
    queue = virtual_system.queue("q", workers=3)
    jobs = [queue.enqueue(sleeps, float(n)) for n in range(1, 4)]
    assert [job.result(timeout=100) for job in jobs] == [1, 2, 3]
    assert virtual_system.now < 4
    with pytest.raises(af.JobFailed):
        queue.enqueue(hangs).result(timeout=100)
    assert virtual_system.now < 12
