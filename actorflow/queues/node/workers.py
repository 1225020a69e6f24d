"""JobWorker: an actor that runs one job at a time."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.errors import ActorDeadError, HostDied, PayloadError, Stopping, TaskTimeout
from actorflow.queues.node.attempt import NotBegun
from actorflow.tasks.current import CURRENT_TASK

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from actorflow.core.clock import Clock
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.pool.future import PoolFuture
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queues.node.attempt import Attempt
    from actorflow.queues.node.local_queue import LocalQueue


class JobWorker(Actor):
    """Runs plain functions here, and CPU-bound ones in the pool; any error of theirs is the job's, not its own."""

    def __init__(self, claimer: ActorRef[Any], local: LocalQueue) -> None:
        super().__init__()
        self.claimer = claimer
        self.local = local

    def run(self, attempt: Attempt) -> None:
        """Run a job, and report its outcome."""
        clock = self.local.clock
        attempt.began = clock.monotonic()
        try:
            value = self._run_in_pool(attempt) if attempt.task.cpu else run_here(attempt)
            outcome = attempt.completed(value)
            attempt.outcome = attempt.commit(outcome) if attempt.held is not None else outcome
        except BaseException as error:  # noqa: BLE001 - the job's error, whatever it is
            attempt.end_by(error, self.local.now(), self.ctx.random, self.actor_ref)
        attempt.seconds = clock.monotonic() - attempt.began
        self.claimer.tell((self.actor_ref, attempt))

    def _run_in_pool(self, attempt: Attempt) -> Any:
        args, kwargs = attempt.arguments()
        try:
            pool = self.local.pool()
            future = self._submit(pool, attempt, args, kwargs)
        except PayloadError:
            raise
        except Exception as error:
            if self.local.scheduler.draining:  # the pool has ended before the queue
                raise Stopping from error
            raise NotBegun from error
        attempt.in_pool, attempt.abort = future, future.cancel
        try:
            return future.result()
        except HostDied as error:
            if error.maybe_ran or self.local.scheduler.draining:
                raise
            raise NotBegun from error
        except (ActorDeadError, CancelledError) as error:
            if self.local.scheduler.draining:
                raise Stopping from error
            if isinstance(error, ActorDeadError) and not pool.is_open:  # somebody has stopped the pool
                raise NotBegun from error
            raise

    def _submit(self, pool: ProcessPool, attempt: Attempt, args: Any, kwargs: Any) -> PoolFuture[Any]:
        """Have a process of the pool call the function; errors are for want of a process or a folder."""
        if attempt.timeout is not None:
            pool = pool.options(timeout=attempt.timeout)
        job = attempt.job
        function = self.local.in_process(attempt.task)
        return pool.submit(function, args, kwargs, attempt.key, job.attempt, self.local.task_files.folder, job.id)


class AsyncJobWorker(Actor, loop=True):
    """Runs `async def` functions on the system's loop."""

    def __init__(self, claimer: ActorRef[Any], local: LocalQueue) -> None:
        super().__init__()
        self.claimer = claimer
        self.local = local

    async def run(self, attempt: Attempt) -> None:
        """Run a job, and report its outcome."""
        clock: Clock = self.local.clock
        attempt.began = clock.monotonic()
        try:
            attempt.outcome = attempt.completed(await self.result_of(attempt))
        except BaseException as error:  # noqa: BLE001 - the job's error, whatever it is
            attempt.end_by(error, self.local.now(), self.ctx.random, self.actor_ref)
        attempt.seconds = clock.monotonic() - attempt.began
        self.claimer.tell((self.actor_ref, attempt))

    async def result_of(self, attempt: Attempt) -> Any:
        """Await the function of the task."""
        return await run_on_loop(attempt)


class SteppedWorker(AsyncJobWorker, loop=False):
    """Runs `async def` functions in virtual time, where they may await futures and timers, but no asyncio."""

    async def result_of(self, attempt: Attempt) -> Any:
        """Await the function of the task, within its timeout.

        Raises:
            TaskTimeout: it took longer.
            DefinitionError: it awaits an object that needs an asyncio loop.
        """
        CURRENT_TASK.set(attempt.current(may_write=False))
        args, kwargs = attempt.arguments()
        ends = {"timed out": False, "over": False}

        def end() -> None:
            waiting = self.actor_ref._waiting
            if waiting is not None and not ends["over"]:
                waiting.interrupt()

        def time_out() -> None:
            ends["timed out"] = not ends["over"]
            end()

        attempt.abort = lambda: self.local.scheduler.call_later(0.0, end)
        if attempt.timeout is not None:
            self.local.scheduler.call_later(attempt.timeout, time_out)
        try:
            return await attempt.task.function(*args, **kwargs)
        except Stopping:
            if ends["timed out"]:
                msg = f"{attempt.job.task} took over {attempt.timeout:g} s"
                raise TaskTimeout(msg) from None
            raise
        finally:
            ends["over"] = True


def run_here(attempt: Attempt) -> Any:
    """Call the function of a task in this thread."""
    args, kwargs = attempt.arguments()
    token = CURRENT_TASK.set(attempt.current(may_write=True))
    try:
        return attempt.task.function(*args, **kwargs)
    finally:
        CURRENT_TASK.reset(token)


async def run_on_loop(attempt: Attempt) -> Any:
    """Await the function of a task, no longer than it may take.

    Raises:
        TaskTimeout: it took longer.
    """
    import asyncio  # noqa: PLC0415 - it takes 30 ms

    CURRENT_TASK.set(attempt.current(may_write=False))
    args, kwargs = attempt.arguments()
    loop = asyncio.get_running_loop()
    running = loop.create_task(contained(attempt.task.function(*args, **kwargs)))
    attempt.abort = lambda: loop.call_soon_threadsafe(running.cancel)
    try:
        done, _ = await asyncio.wait([running], timeout=attempt.timeout)
    except asyncio.CancelledError:  # the actor is to end
        running.cancel()
        raise Stopping from None
    if not done:
        running.cancel()
        await asyncio.wait([running], timeout=1.0)
        msg = f"{attempt.job.task} took over {attempt.timeout:g} s"
        raise TaskTimeout(msg)
    value, error = running.result()
    if error is not None:
        raise error
    return value


async def contained(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Await a task's coroutine; return its value, or an exception that asyncio would let end the loop."""
    try:
        return await coroutine, None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error
