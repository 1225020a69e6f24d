"""Promises: code of users that does the worst ends its own run, in bounded time and with a reason, and no other."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, boom, number, number_async

RAN: list[Any] = []


class Nasty:
    """Has a text for nobody."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __eq__(self, _other: object) -> bool:
        raise RuntimeError("no ==")

    __hash__ = None  # type: ignore[assignment]


class NastyError(Exception):
    """Has a text for nobody."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


@pytest.fixture(params=[False, True], ids=["plain", "async"])
def is_async(request):
    return request.param


def ends(workflow: Any, *args: Any) -> tuple[str, Any]:
    """Run it, and a good one after it; return its status, and its value or the text of its error."""
    with VirtualSystem() as system:
        run = system.start(workflow, *args)
        try:
            value = run.result(timeout=60)
        except (af.RunFailed, af.RunCancelled) as error:
            value = str(error)
        assert system.start(good, 3).result(timeout=60) == [3]  # nothing of it stops another one
        return run.status, value


@af.workflow
def good(n: int) -> list[int]:
    return number(n)


def flow(plain, asynchronous, *, is_async):
    """Make one of two functions a workflow."""
    function = asynchronous if is_async else plain
    return af.workflow(name=f"hostile.{function.__qualname__}")(function)


# --- what the code returns and raises --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Nasty, object, lambda: (i for i in ()), lambda: [NastyError()]], ids=list("abcd"))
def test_a_run_whose_code_returns_what_cannot_be_stored_fails(make, is_async):
    def plain():
        return make()

    async def asynchronous():
        return make()

    status, text = ends(flow(plain, asynchronous, is_async=is_async))
    assert status == "failed"
    assert "the result of hostile." in text


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, af.Unload, NastyError, asyncio.CancelledError, StopIteration]
)
def test_a_run_whose_code_raises_any_error_fails(kind, is_async):
    def plain():
        number(1)
        raise kind

    async def asynchronous():
        await number.submit(1)
        raise kind

    assert ends(flow(plain, asynchronous, is_async=is_async))[0] == "failed"


RAISES = [
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    af.Unload,
    NastyError,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    af.Stopping,
    af.RunCancelled,
]


@pytest.mark.parametrize("kind", RAISES)
@pytest.mark.parametrize("inline", [True, False])
def test_an_error_of_a_task_is_the_step_s_whatever_its_class(kind, inline, is_async):
    @af.task(name="hostile.raises")
    def raises():
        raise kind

    def plain():
        try:
            raises() if inline else raises.submit().get()
        except Exception as error:
            return [type(error).__name__, number(5)]

    async def asynchronous():
        try:
            await raises.submit()
        except Exception as error:
            return [type(error).__name__, await number.submit(5)]

    status, value = ends(flow(plain, asynchronous, is_async=is_async))
    assert status == "completed"
    assert value[1] == [5]
    is_itself = issubclass(kind, Exception) and kind not in {
        NastyError,
        StopIteration,
        StopAsyncIteration,
        af.Stopping,
        af.RunCancelled,
    }
    assert value[0] == (kind.__name__ if is_itself else "StepFailed")


@pytest.mark.parametrize("kind", [Nasty, object])
def test_a_step_with_arguments_or_a_result_that_cannot_be_stored_raises(kind, is_async):
    @af.task(name="hostile.returns")
    def returns(*_args: Any) -> Any:
        return kind()

    def plain():
        caught = []
        for call in (
            lambda: returns(),
            lambda: returns(kind()),
            lambda: returns.submit(kind()).get(),
            lambda: returns.map([1, kind()], limit=1).get(),
        ):
            try:
                call()
            except af.PayloadError as error:
                caught.append(str(error))
        return caught

    async def asynchronous():
        caught = []
        for call in (
            lambda: returns.submit(),
            lambda: returns.submit(kind()),
            lambda: returns.map([1, kind()], limit=1),
            lambda: returns.map([kind()]),
        ):
            try:
                await call()
            except af.PayloadError as error:
                caught.append(str(error))
        return caught

    status, value = ends(flow(plain, asynchronous, is_async=is_async))
    assert status == "completed"
    assert len(value) == 4


def test_a_limited_map_whose_later_item_cannot_be_stored_fails_alone(is_async):
    def plain():
        bad = number.map([1, 2, Nasty(), 4], limit=1)
        number_async.submit(1).get()
        for n in range(5):
            number_async.submit(n).get()
        with pytest.raises(af.PayloadError):
            bad.get()
        return "went on"

    async def asynchronous():
        bad = number.map([1, 2, Nasty(), 4], limit=1)
        for n in range(5):
            await number_async.submit(n)
        with pytest.raises(af.PayloadError):
            await bad
        return "went on"

    assert ends(flow(plain, asynchronous, is_async=is_async)) == ("completed", "went on")


def test_a_map_that_is_cancelled_while_its_code_is_over_ends():
    @af.task(name="hostile.slow")
    async def slow(n: int) -> int:
        await asyncio.sleep(5)
        return n

    @af.workflow(name="hostile.left_map")
    def left_map():
        slow.map(range(3), limit=1)
        return "left"

    with VirtualSystem() as system:
        run = system.start(left_map)
        system.sleep(1)
        run.cancel()
        assert run.result(timeout=60) == "left"


def test_an_argument_over_the_limit_is_refused_with_the_limit(is_async):
    text = "x" * 70_000_000

    def plain():
        number(text)

    async def asynchronous():
        await number.submit(text)

    status, text_ = ends(flow(plain, asynchronous, is_async=is_async))
    assert status == "failed"
    assert "payload_limit" in text_


# --- code that catches everything -------------------------------------------------------------------------------------


def test_a_stop_passes_code_that_catches_everything(is_async, caplog):
    def plain():
        for n in range(5):
            try:
                af.wait(Approved)
            except BaseException:
                RAN.append(n)
        try:
            number(1)
        finally:
            noted()

    async def asynchronous():
        for n in range(5):
            try:
                await af.signal(Approved)
            except BaseException:
                RAN.append(n)
        try:
            await number.submit(1)
        finally:
            noted()

    RAN.clear()
    with af.open_store() as store:
        with VirtualSystem(store=store) as system:
            run = system.start(flow(plain, asynchronous, is_async=is_async).options(id="x"))
            system.sleep(1)
        assert "noted" not in RAN
        with VirtualSystem(store=store) as system:
            run = system.get_run("x")
            assert run.status == "running"
            run.cancel()


@af.task
def noted() -> None:
    RAN.append("noted")


@af.task
async def noted_async() -> None:
    RAN.append("noted")


def test_clean_up_code_of_an_unloaded_run_runs_no_task(is_async):
    def plain():
        try:
            af.wait(Approved)
        finally:
            noted()

    async def asynchronous():
        try:
            await af.signal(Approved)
        finally:
            try:
                await noted_async()
            finally:
                try:
                    noted()
                finally:
                    await noted.submit()

    RAN.clear()
    with VirtualSystem() as system:
        system.start(flow(plain, asynchronous, is_async=is_async))
        system.sleep(1)
    assert RAN == []


def test_asyncio_tasks_that_nobody_awaits_are_cancelled_at_the_end_and_clean_up():
    async def beside(log):
        try:
            await af.signal(Approved)
        finally:
            await number.submit(1)
            await noted.submit()

    @af.workflow(name="hostile.unawaited")
    async def unawaited():
        left = asyncio.ensure_future(beside([]))
        await number.submit(1)
        return "over" if not left.done() else "done"

    RAN.clear()
    assert ends(unawaited) == ("completed", "over")
    assert RAN == ["noted"]


# --- signals ----------------------------------------------------------------------------------------------------------


class Unchecked(Protocol):
    """No class that isinstance takes."""

    def f(self) -> None: ...


def test_a_wait_for_a_class_that_cannot_be_checked_is_refused(is_async):
    def plain():
        af.wait(Unchecked, timeout=30)

    async def asynchronous():
        await af.signal(Unchecked, timeout=30)

    status, text = ends(flow(plain, asynchronous, is_async=is_async))
    assert status == "failed"
    assert "Unchecked" in text


def test_two_cancels_at_once_are_one(is_async):
    def plain():
        caught = 0
        for _ in range(3):
            try:
                af.sleep(5)
            except af.RunCancelled:
                caught += 1
        return caught

    async def asynchronous():
        caught = 0
        for _ in range(3):
            try:
                await af.timer(5)
            except asyncio.CancelledError:
                caught += 1
        return caught

    with VirtualSystem() as system:
        run = system.start(flow(plain, asynchronous, is_async=is_async))
        system.sleep(1)
        assert run.cancel()
        assert run.cancel()
        assert run.result(timeout=60) == 1


# --- asyncio ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda loop: loop.getaddrinfo("localhost", 80),
        lambda loop: loop.create_connection(asyncio.Protocol, "localhost", 80),
        lambda loop: loop.add_signal_handler(2, print),
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: asyncio.to_thread(print),
        lambda loop: asyncio.create_subprocess_exec("true"),
    ],
)
def test_calls_of_asyncio_that_reach_outside_are_refused_with_the_cure(call):
    @af.workflow(name="hostile.outside")
    async def outside():
        try:
            await call(asyncio.get_running_loop())
        except af.DefinitionError as error:
            return str(error)

    status, text = ends(outside)
    assert status == "completed"
    assert "task" in text


def test_coroutines_cannot_be_sent_to_the_loop_of_a_run_by_other_threads():
    @af.workflow(name="hostile.threadsafe")
    async def threadsafe():
        loop = asyncio.get_running_loop()
        caught = []

        def other():
            try:
                loop.call_soon_threadsafe(print)
            except af.DefinitionError as error:
                caught.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return caught

    status, caught = ends(threadsafe)
    assert status == "completed"
    assert "thread" in caught[0]


def test_things_of_asyncio_work_in_a_body():
    @af.workflow(name="hostile.things")
    async def things():
        order = []
        gate = asyncio.Event()
        places = asyncio.Semaphore(2)
        lock = asyncio.Lock()

        async def worker(n):
            async with places:
                order.append(await number.submit(n))
                async with lock:
                    await asyncio.sleep(0)
            gate.set()

        async def numbers():
            try:
                for n in range(3):
                    yield await number.submit(n)
            finally:
                await number.submit(99)

        some = [asyncio.create_task(worker(n)) for n in range(4)]
        await gate.wait()
        await asyncio.gather(*some)
        inner = asyncio.ensure_future(number_async(7))
        shielded = asyncio.shield(inner)
        shielded.cancel()
        try:
            await shielded
        except asyncio.CancelledError:
            order.append("shield")
        order.append(await inner)
        try:
            await asyncio.wait_for(af.signal(Approved), 5)
        except TimeoutError:
            order.append("late")
        got = [n async for n in numbers()]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker(5))
                group.create_task(fails())
        except* af.StepFailed as errors:
            order.append(len(errors.exceptions))
        async for _ in numbers():
            break
        return [len(order), order[-1], got]

    async def fails():
        await boom.submit("x")

    assert ends(things)[0] == "completed"


# --- threads ---------------------------------------------------------------------------------------------------------


def test_a_step_from_another_thread_of_the_code_is_refused():
    @af.workflow(name="hostile.thread")
    def threaded():
        caught = []

        def other():
            try:
                number(1)
            except af.DefinitionError as error:
                caught.append(str(error))

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(other,))
        thread.start()
        thread.join()
        return caught

    status, caught = ends(threaded)
    assert status == "completed"
    assert "thread" in caught[0]


# --- code and records that do not fit --------------------------------------------------------------------------------


@dataclass
class Known:
    """A class that a later process does not know."""

    n: int


@af.task
def known() -> Known:
    return Known(1)


SHORT: list[bool] = []


@af.workflow(name="hostile.shorter")
def shorter():
    if SHORT:
        return "short"
    number(1)
    number(2)
    af.wait(Approved)
    return None


@af.workflow(name="hostile.reads")
def reads():
    known()
    try:
        af.wait(Approved)
    except Exception:
        return "caught"


@af.workflow(name="hostile.reads_async")
async def reads_async():
    await known.submit()
    await af.signal(Approved)


@pytest.mark.parametrize("workflow", [reads, reads_async])
def test_a_run_whose_records_cannot_be_read_is_parked_and_can_be_cancelled(workflow, monkeypatch):
    with af.open_store() as store:
        with VirtualSystem(store=store) as system:
            system.start(workflow.options(id="x"))
            system.sleep(1)
        monkeypatch.delattr(f"{__name__}.Known")
        with VirtualSystem(store=store) as system:
            run = system.get_run("x")
            run.signal(Approved("ann"))
            system.sleep(1)
            assert run.status == "parked"
            assert run.cancel()
            with pytest.raises(af.RunCancelled):
                run.result(timeout=30)
            assert run.cancel() is False


def test_a_run_whose_code_returns_before_its_records_are_heard_is_parked():
    SHORT.clear()
    with af.open_store() as store:
        with VirtualSystem(store=store) as system:
            run = system.start(shorter.options(id="x"))
            system.sleep(1)
        SHORT.append(True)
        with VirtualSystem(store=store) as system:
            run = system.get_run("x")
            run.signal(Approved("ann"))
            system.sleep(1)
            assert run.status == "parked"


def test_a_map_with_a_limit_gives_all_results_in_order(is_async):
    def plain():
        return number.map(range(7), limit=2).get()

    async def asynchronous():
        return await number.map(range(7), limit=2)

    status, value = ends(flow(plain, asynchronous, is_async=is_async))
    assert (status, value) == ("completed", [[n] for n in range(7)])


def test_timers_that_were_cancelled_leave_no_record():
    @af.workflow(name="hostile.timeouts")
    async def timeouts():
        for n in range(5):
            async with asyncio.timeout(0.5):
                await number.submit(n)
        await af.timer(10)

    with VirtualSystem() as system:
        run = system.start(timeouts)
        run.result(timeout=60)
        assert [step.name for step in run.steps if step.name == "timer"] == ["timer"]


def test_a_run_that_cannot_be_loaded_is_parked_and_nothing_of_it_holds_up_the_end(monkeypatch):
    def fails(_actor):
        raise RuntimeError("no load")

    with monkeypatch.context() as patch, VirtualSystem() as system:
        patch.setattr("actorflow.workflows.node.run_actor.RunActor.on_start", fails)
        run = system.start(good, 1)
        system.sleep(1)
        assert run.status == "parked"
        patch.undo()
        assert system.start(good, 2).result(timeout=60) == [2]
        assert run.cancel()
        began = system.scheduler.clock.monotonic()
        system.stop()
        assert system.scheduler.clock.monotonic() - began < 1  # of virtual time


OWN: list[af.ActorSystem] = []


@af.task(name="hostile.waits_for_own")
def waits_for_own(id: str) -> Any:
    """Wait for the run of which this is a step."""
    return OWN[0].get_run(id).result(timeout=1000)


@af.task(name="hostile.awaits_own")
async def awaits_own(id: str) -> Any:
    """Await the run of which this is a step."""
    return await OWN[0].get_run(id)


@af.workflow(name="hostile.own")
def own(id: str) -> Any:
    """Run such a step in the thread of the code."""
    return waits_for_own(id)


@af.workflow(name="hostile.own_in_runner")
def own_in_runner(id: str) -> Any:
    """Run such a step in a thread of its own."""
    return waits_for_own.options(timeout=5000).submit(id).get()


@af.workflow(name="hostile.own_async")
async def own_async(id: str) -> Any:
    """Run such a step beside async code."""
    return await awaits_own.submit(id)


own_dag = af.Dag("hostile.own_dag", durable=True)
own_dag.add(waits_for_own, "own")


@pytest.mark.parametrize("workflow", [own, own_in_runner, own_async, own_dag])
def test_a_task_that_waits_for_its_own_run_gets_a_deadlock_error(workflow):
    with VirtualSystem() as system:
        OWN[:] = [system]
        args = () if workflow is own_dag else ("own",)
        run = system.start(workflow.options(id="own"), *args)
        with pytest.raises(af.RunFailed, match="a task of run own waits for the end of its own run"):
            run.result(timeout=100)
