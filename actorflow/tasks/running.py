"""Running: the ways to call a task's function: in a process of the pool, or on the system's loop."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import ActorDeadError, HostDied, JobCancelled, PayloadError, Stopping, TaskTimeout
from actorflow.tasks.current import CURRENT_TASK

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actorflow.process.pool.future import PoolFuture
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.tasks.execution import Attempt

NOT_CALLED: Final = "it was cancelled before its function was called"


class NotBegun(Exception):
    """Says that a task's function was not called, for lack of a resource that its process should have had.

    The cause is the error that was raised: no descriptor, no thread, no memory, no pool. The task is not at fault.
    """


# --- in the pool ------------------------------------------------------------------------------------------------------


def run_in_pool(attempt: Attempt[Any]) -> Any:
    """Have a process of the pool call the function of a cpu task, and wait for its value.

    Raises:
        NotBegun: there is no process, pool or folder for it.
        JobCancelled: it was given up before.
        Stopping: the system ends, and the pool has ended before.
        HostDied: the process died.
    """
    scheduler = attempt.site.scheduler
    args, kwargs = attempt.owner.arguments()
    try:
        pool = attempt.site.pool()
        if attempt.ending is not None:  # it was given up while the pool started
            raise JobCancelled(NOT_CALLED)
        future = submit(pool, attempt, args, kwargs)
    except (PayloadError, JobCancelled):
        raise
    except Exception as error:
        if scheduler.draining:  # the pool has ended before
            raise Stopping from error
        raise NotBegun from error
    attempt.in_pool, attempt.abort = future, future.cancel
    if attempt.ending is not None:  # just now, when it could not be aborted
        future.cancel()
    try:
        return future.result()
    except HostDied as error:
        if error.maybe_ran or scheduler.draining:
            raise
        raise NotBegun from error
    except (ActorDeadError, CancelledError) as error:
        if scheduler.draining:
            raise Stopping from error
        if isinstance(error, ActorDeadError) and not pool.is_open:  # somebody has stopped the pool
            raise NotBegun from error
        raise


def submit(pool: ProcessPool, attempt: Attempt[Any], args: Any, kwargs: Any) -> PoolFuture[Any]:
    """Give the call to the pool; errors are for want of a process or a folder."""
    if attempt.timeout is not None:
        pool = pool.options(timeout=attempt.timeout)
    owner, site = attempt.owner, attempt.site
    path = site.task_files.path_of(owner.key)
    return pool.submit(site.in_process(attempt.task), args, kwargs, owner.key, owner.attempt, path)


# --- on the loop ------------------------------------------------------------------------------------------------------


async def run_on_loop(attempt: Attempt[Any]) -> Any:
    """Await the function of a task, no longer than it may take.

    Raises:
        TaskTimeout: it took longer.
    """
    import asyncio  # noqa: PLC0415 - it takes 30 ms

    CURRENT_TASK.set(attempt.current(may_write=False))
    args, kwargs = attempt.owner.arguments()
    loop = asyncio.get_running_loop()
    running = loop.create_task(contained(attempt.task.function, args, kwargs))
    attempt.abort = lambda: loop.call_soon_threadsafe(running.cancel)
    if attempt.cancelled:  # before it could be aborted: the loop was busy
        running.cancel()
    try:
        done, _ = await asyncio.wait([running], timeout=attempt.timeout)
    except asyncio.CancelledError:  # the actor is to end
        running.cancel()
        raise Stopping from None
    if not done:
        running.cancel()
        await asyncio.wait([running], timeout=1.0)
        raise took_too_long(attempt)
    value, error = running.result()
    if error is not None:
        raise error
    return value


async def contained(
    function: Callable[..., Coroutine[Any, Any, Any]], args: Any, kwargs: Any
) -> tuple[Any, BaseException | None]:
    """Await a task's function; return its value, or an exception that asyncio would let end the loop."""
    try:
        return await function(*args, **kwargs), None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


def took_too_long(attempt: Attempt[Any]) -> TaskTimeout:
    """Return the error of a coroutine that was ended at its timeout."""
    return TaskTimeout(f"{attempt.task.name} took over {attempt.timeout:g} s")
