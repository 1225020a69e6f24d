"""Worker: an actor that runs one job at a time. Layer 4."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from actorflow.core.actor import Actor
from actorflow.core.log import logger
from actorflow.errors import HostDied, JobCancelled, PayloadError, Stopping
from actorflow.queue.faults import write_error
from actorflow.queue.ledger import CRASHES, Claimed, Outcome
from actorflow.store.codec import decode, encode
from actorflow.workflow.current import CURRENT_TASK, Current
from actorflow.workflow.task import TASKS, AnyTask

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from actorflow.core.ref import ActorRef
    from actorflow.process.pool.pool import ProcessPool


class Attempt:
    """One attempt of a job on its way through a worker.

    Attributes:
        seconds: how long it ran.
        finished: it had begun; else it is only given back.
    """

    __slots__ = ("current", "job", "options", "outcome", "seconds", "started", "task")

    def __init__(self, job: Claimed, report: Callable[[int, Any, Any], None]) -> None:
        self.job = job
        self.task: AnyTask = TASKS[job.task]
        self.options: dict[str, Any] = json.loads(job.options) if job.options else {}
        self.current = Current(f"job-{job.id}", job.attempt, lambda done, total: report(job.id, done, total))
        self.outcome: Outcome | None = None
        self.started = 0.0
        self.seconds = 0.0

    @property
    def timeout(self) -> float | None:
        """Seconds that the attempt may take."""
        timeout: float | None = self.options.get("timeout", self.task.timeout)
        return timeout

    @property
    def keep(self) -> float:
        """Seconds that the result is kept."""
        keep: float = self.options.get("keep", 86400.0)
        return keep


class Worker(Actor):
    """Runs plain functions here, and those that compute in the pool; whatever they raise is the job's, not its own."""

    def __init__(self, claimer: ActorRef[Any], pool: Callable[[], ProcessPool]) -> None:
        super().__init__()
        self.claimer = claimer
        self.pool = pool

    def run(self, attempt: Attempt) -> None:
        """Run a job, and report what became of it."""
        attempt.started = time.perf_counter()
        try:
            value = self._call(attempt)
            attempt.outcome = completed(attempt, value)
        except BaseException as error:  # noqa: BLE001 - the job's error, whatever it is
            attempt.outcome = failed(attempt, error, self.ctx.now(), self.ctx.random)
        attempt.seconds = time.perf_counter() - attempt.started
        self.claimer.tell((self.actor_ref, attempt))

    def _call(self, attempt: Attempt) -> Any:
        task = attempt.task
        args, kwargs = decode(attempt.job.args)
        if task.cpu:
            pool = self.pool().options(timeout=attempt.timeout)
            key, number = attempt.current.key, attempt.job.attempt
            return pool.submit(run_in_process, task.function, args, kwargs, key, number).result()
        token = CURRENT_TASK.set(attempt.current)
        try:
            return task.function(*args, **kwargs)
        finally:
            CURRENT_TASK.reset(token)


class AsyncWorker(Actor, loop=True):
    """Runs `async def` functions on the system's loop."""

    def __init__(self, claimer: ActorRef[Any]) -> None:
        super().__init__()
        self.claimer = claimer

    async def run(self, attempt: Attempt) -> None:
        """Run a job, and report what became of it."""
        import asyncio  # noqa: PLC0415 - it takes 30 ms

        attempt.started = time.perf_counter()
        CURRENT_TASK.set(attempt.current)
        try:
            args, kwargs = decode(attempt.job.args)
            value = await asyncio.wait_for(attempt.task.function(*args, **kwargs), attempt.timeout)
            attempt.outcome = completed(attempt, value)
        except BaseException as error:  # noqa: BLE001 - the job's error, whatever it is
            attempt.outcome = failed(attempt, error, self.ctx.now(), self.ctx.random)
        attempt.seconds = time.perf_counter() - attempt.started
        self.claimer.tell((self.actor_ref, attempt))


def run_in_process(function: Any, args: Any, kwargs: Any, key: str, attempt: int) -> Any:
    """Call a task in a process of the pool."""
    CURRENT_TASK.set(Current(key, attempt, lambda _done, _total: None))
    return function(*args, **kwargs)


def completed(attempt: Attempt, value: Any) -> Outcome:
    """Return the outcome of an attempt that returned.

    Raises:
        PayloadError: the value cannot be stored.
    """
    job = attempt.job
    result = None if value is None else encode(value, f"the result of {job.task}")
    return Outcome(job.id, job.epoch, job.key, "completed", result, keep=attempt.keep)


def failed(attempt: Attempt, error: BaseException, now: float, rng: random.Random) -> Outcome:
    """Return the outcome of an attempt that raised: another try, or none."""
    job = attempt.job
    outcome = Outcome(job.id, job.epoch, job.key, "failed", error=write_error(error), keep=attempt.keep)
    if isinstance(error, Stopping):  # the worker was told to end: not the job's fault
        outcome.status = "dead" if job.at_most_once else "queued"
        return outcome
    if attempt.current.cancelled or isinstance(error, JobCancelled):
        outcome.status = "cancelled"
        return outcome
    if isinstance(error, HostDied):  # it has killed its process, or was in one that somebody else killed
        outcome.crashes = 1
        outcome.status = "dead" if job.at_most_once or job.crashes + 1 >= CRASHES else "queued"
        return outcome
    pause = pause_after(attempt, error, rng)
    if pause is not None:
        outcome.status, outcome.due = "queued", now + pause
    else:
        logger.info("Job %s (%s) failed for good: %r", job.id, job.task, error)
    return outcome


def pause_after(attempt: Attempt, error: BaseException, rng: random.Random) -> float | None:
    """Return the seconds until the next try; None if there is none."""
    job = attempt.job
    if job.at_most_once or isinstance(error, PayloadError):
        return None
    numbers = attempt.options.get("retry")
    rule = attempt.task.retry if numbers is None else attempt.task.retry.with_numbers(numbers)
    return rule.pause(job.attempt - job.crashes, error, rng)
