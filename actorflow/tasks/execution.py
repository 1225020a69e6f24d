"""Execution: one attempt of one task, from its call to its end, for a job of a queue or a step of a workflow.

`Attempt` runs the task here, on the loop or in the pool, has it see itself as `af.current()`, commits what it wrote
together with its result, and ends it from outside: at its timeout, or when it is cancelled. All errors are contained in
it: of the user's function, of the values it returns, and of the errors it raises. The `Owner` says for whom it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from actorflow.core.log import logger
from actorflow.core.refs.cold_fields import must_stop
from actorflow.errors import (
    DefinitionError,
    HostDied,
    JobCancelled,
    OutcomeUnknown,
    PayloadError,
    Stopping,
    TaskTimeout,
    is_a,
)
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error
from actorflow.tasks.current import CURRENT_TASK, Current
from actorflow.tasks.running import NotBegun, run_in_pool, run_on_loop
from actorflow.tasks.watching import watch_held

if TYPE_CHECKING:
    import random

    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.pool.future import PoolFuture
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.store.transaction import Transaction, Work
    from actorflow.tasks.cause import Cause
    from actorflow.tasks.retry import Retry
    from actorflow.tasks.site import TaskSite
    from actorflow.tasks.task import AnyTask


@dataclass(slots=True)
class Ending:
    """The end of an attempt.

    Attributes:
        kind: "completed"; "again": it failed, and is to be tried again after `pause`; "failed": no try is left; "died":
            its process did; "cancelled"; "cut": its worker or its system ended meanwhile; "not begun": this process
            lacks a resource, and the function was not called.
        result: the value that was returned, as stored.
        error: the one that was raised, as stored.
        pause: seconds.
        spent: of "again" and "died": seconds since the begin of the first try.
        cause: of "died" and "not begun": the error.
        is_doubtful: it may be written already, by a commit whose outcome is unknown.
    """

    kind: Literal["completed", "again", "failed", "died", "cancelled", "cut", "not begun"]
    result: bytes | None = None
    error: bytes | None = None
    pause: float = 0.0
    spent: float = 0.0
    cause: BaseException | None = None
    is_doubtful: bool = False


class Owner(Protocol):
    """The job, or the step, that a task runs for; `str` of it begins a line of the log.

    Attributes:
        attempt: counts from 1.
        tries: the attempts so far that count for the task's retry.
        spent: seconds from the begin of the first try to that of this one.
        may_write: a plain task may open a transaction on the store.
        cause: of what the task publishes.
        takes_work: work of upper layers may be part of the commit of its end.
    """

    attempt: int
    tries: int
    spent: float
    may_write: bool
    takes_work: bool

    @property
    def cause(self) -> Cause:
        """The event that it came of; without one, the job or the run itself."""
        ...

    @property
    def key(self) -> str:
        """The same for each attempt, and no other owner's of the store."""
        ...

    def arguments(self) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the arguments of the task.

        Raises:
            NotBegun: this process cannot read them for now.
            PayloadError: they are damaged.
        """
        ...

    def report(self, done: Any, total: Any, /) -> None:
        """Note how far the task is."""
        ...

    def settle_within(self, transaction: Transaction, ending: Ending, /) -> bool:
        """Write the end of the attempt into the transaction of its task; False if others own it by now."""
        ...

    def end(self, ending: Ending, /) -> None:
        """Take over the end of the attempt; the call with kind "failed" does not raise."""
        ...


O = TypeVar("O", bound=Owner)  # noqa: E741 - the owner's class


class Attempt(Generic[O]):
    """One attempt of one task. A worker's thread runs it; the actor that hands out work may end it meanwhile.

    Attributes:
        owner: for whom it is.
        timeout: seconds that it may run.
        cancelled: its end was asked for.
        abort: ends the running process or coroutine, where that is possible.
        in_pool: the call of a cpu task.
        held: the open transaction that the task writes into; its result goes into it too.
        settled: its end is in the store already, by that transaction.
        works: of upper layers, to be written with the result.
        ending: its end, once it is over: the first one counts.
        waits_for: the job whose end its task waits for, in this process.
        began: seconds on the system's clock.
        seconds: how long it ran.
    """

    cancelled = settled = False
    abort: Callable[[], object] | None = None
    in_pool: PoolFuture[Any] | None = None
    held: OpenTransaction | None = None
    works: list[Work] | None = None
    ending: Ending | None = None
    waits_for: int | None = None
    began = seconds = 0.0

    def __init__(self, owner: O, task: AnyTask, site: TaskSite, timeout: float | None, retry: Retry) -> None:
        self.owner = owner
        self.task = task
        self.site = site
        self.timeout = timeout
        self.retry = retry

    def __str__(self) -> str:
        """Return how the log names it."""
        return str(self.owner)

    # --- it runs ------------------------------------------------------------------------------------------------------

    def run(self, rng: random.Random, worker: ActorRef[Any] | None = None) -> None:
        """Run a plain function, here or in the pool, to its end. It does not raise.

        Args:
            rng: for the pause before another try.
            worker: the actor that runs it: its end cuts the attempt.
        """
        if self.ending is not None:
            return  # it was given up before its worker's thread came to it
        self.began = self.site.clock.monotonic()
        try:
            load = self.site.scheduler.load
            if load is not None:
                load.begin_task(self)
            self.complete(run_in_pool(self) if self.task.cpu else self.call())
        except BaseException as error:  # noqa: BLE001 - the task's error, whatever it is
            self.fail(error, rng, worker)

    async def run_async(self, rng: random.Random, worker: ActorRef[Any]) -> None:
        """Await an `async def` function, on the loop, to its end. It does not raise."""
        self.began = self.site.clock.monotonic()
        try:
            load = self.site.scheduler.load
            if load is not None:
                await load.begin_async_task(self)
            self.complete(await run_on_loop(self))
        except BaseException as error:  # noqa: BLE001 - the task's error, whatever it is
            self.fail(error, rng, worker)

    def call(self) -> Any:
        """Call the function in this thread, and return its value."""
        args, kwargs = self.owner.arguments()
        context = copy_context()  # no signal can come between its begin and its end: the thread is in no task after it
        context.run(CURRENT_TASK.set, (self, 0))  # its view is made if it asks
        return context.run(self.task.function, *args, **kwargs)

    def current(self, *, may_write: bool) -> Current:
        """Return the task's view of this attempt."""
        owner = self.owner
        return Current(
            owner.key,
            owner.attempt,
            owner.report,
            self.is_cancelled,
            self.transaction if may_write else None,
            self.wait_for,
            owner.cause,
            self.also if owner.takes_work else None,
            owner.arguments,
        )

    def current_of(self, _i: int, /) -> Current:
        """Return the view of a plain task in this thread."""
        return self.current(may_write=self.owner.may_write)

    def is_cancelled(self) -> bool:
        """Say whether the end of the attempt was asked for."""
        return self.cancelled

    def wait_for(self, job: int | None) -> None:
        """Note the job whose end the task waits for."""
        self.waits_for = job

    def has_begun(self) -> bool:
        """Say whether an attempt that a worker has had for a while runs: one of a cpu task may wait for a process."""
        return not self.task.cpu or (self.in_pool is not None and self.in_pool.running())

    def also(self, work: Work) -> None:
        """Have work of an upper layer written in the commit of the result; without a result it is dropped.

        Raises:
            JobCancelled: the attempt is over, as it took too long, or was cancelled.
        """
        if self.ending is not None:
            msg = f"{self.task.name} was given up: as its result, what it publishes from now on is refused"
            raise JobCancelled(msg)
        self.works = self.works or []
        self.works.append(work)

    # --- its transaction ----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Open the transaction that the result goes into."""
        if self.held is not None:
            msg = f"{self.task.name} opens a second transaction(): a task has one, which its return commits"
            raise DefinitionError(msg)
        self.held = held = self.site.store.hold(self.site.durability)
        watch_held(self, held)
        try:
            yield held.connection
        except GeneratorExit:  # the block was never left: the object of the `with` is gone
            raise
        except BaseException:  # the task may go on, but not with half of its writes
            self.undo()
            raise

    def undo(self) -> None:
        """Undo the writes of the task."""
        held, self.held = self.held, None
        if held is None:
            return
        try:
            held.rollback()
        except Exception as problem:  # noqa: BLE001 - the connection is gone, and its writes with it
            logger.error("%s failed, and its writes could not be undone", self, exc_info=problem)

    def _commit(self, held: OpenTransaction, ending: Ending) -> None:
        """Write the end into the transaction of the task, and commit both; if the owner was lost, undo both."""
        try:
            if self.owner.settle_within(held.transaction, ending):
                held.commit()
                self.settled = True  # before `held` goes: a look at both sees that it is not given up any more
                return
        except BaseException:
            held.rollback()
            raise
        finally:
            self.held = None
        held.rollback()  # the owner finds out that it is lost, and says so

    # --- its end ------------------------------------------------------------------------------------------------------

    def complete(self, value: Any) -> None:
        """End the attempt with the value that the function returned; its writes are committed with it.

        Raises:
            PayloadError: the value cannot be stored.
            StoreError: the writes could not be committed.
        """
        what = f"the result of {self.task.name}"
        result = None if value is None else encode(value, what)
        check_size(result, what, self.site.payload_limit)
        ending = Ending("completed", result)
        held = self.held
        if held is not None:
            self._commit(held, ending)
        self.close(ending)

    def fail(self, error: BaseException, rng: random.Random, worker: ActorRef[Any] | None = None) -> None:
        """End the attempt with the error of the function; it does not raise itself, or worker and owner were lost."""
        self.undo()
        if is_a(error, NotBegun) and not self.cancelled and error.__cause__ is not None:
            self.close(Ending("not begun", cause=error.__cause__))
            return
        ending = self._failed(error, rng, worker)
        ending.is_doubtful = is_a(error, OutcomeUnknown)
        self.close(ending)

    def close(self, ending: Ending) -> bool:
        """End the attempt, and tell its owner; False if another thread has ended it before."""
        if self.__dict__.setdefault("ending", ending) is not ending:  # one call of C code: one thread is the first
            return False
        self.seconds = self.site.clock.monotonic() - self.began
        try:
            self.owner.end(ending)
        except BaseException as problem:  # noqa: BLE001 - a handler of logs, of the user's
            let_ctrl_c_pass(problem)
            self.owner.end(Ending("failed", error=write_error(problem)))
        return True

    def _failed(self, error: BaseException, rng: random.Random, worker: ActorRef[Any] | None = None) -> Ending:
        """Return the end of an attempt that raised: another try, or none. It does not raise, whatever the error."""
        try:
            return self._end_of(error, rng, worker)
        except BaseException as problem:  # noqa: BLE001 - a rule, an error or a handler of logs, of the user's
            let_ctrl_c_pass(problem)
            return Ending("failed", error=write_error(problem))

    def _end_of(self, error: BaseException, rng: random.Random, worker: ActorRef[Any] | None) -> Ending:
        if worker is not None and self._is_cut(error, worker):
            return Ending("cut")  # not the task's fault, whatever it has made of it
        if self.cancelled:
            if not is_a(error, JobCancelled):
                error = JobCancelled("it was cancelled while it ran")
            return Ending("cancelled", error=write_error(error))
        if is_a(error, HostDied):  # it has killed its process, or was in one that somebody else killed
            return Ending("died", error=write_error(error), spent=self.spent(), cause=error)
        stored, pause = write_error(error, has_traceback=True), self.pause_after(error, rng)
        if pause is None:
            logger.error("%s failed for good", self, exc_info=error)
            return Ending("failed", error=stored)
        logger.warning("%s failed, tried again in %.3g s", self, pause, exc_info=error)
        return Ending("again", error=stored, pause=pause, spent=self.spent())

    def pause_after(self, error: BaseException, rng: random.Random) -> float | None:
        """Return the seconds until the next try; None if there is none."""
        if is_a(error, PayloadError):
            return None
        if self.retry.within is None:
            return self.retry.pause(self.owner.tries, error, rng)
        return self.retry.pause(self.owner.tries, error, rng, spent=self.spent())

    def spent(self) -> float:
        """Return the seconds since the begin of the first try."""
        return self.owner.spent + self.site.clock.monotonic() - self.began

    def _is_cut(self, error: BaseException, worker: ActorRef[Any]) -> bool:
        """Say whether the end of the worker, or of the system, made it fail."""
        scheduler = self.site.scheduler
        is_over = scheduler.drain is not None and scheduler.drain.over.done()
        return must_stop(worker) or is_over or (is_a(error, Stopping) and scheduler.draining)

    # --- ended from outside -------------------------------------------------------------------------------------------

    def can_be_given_up(self) -> bool:
        """Say whether the attempt may be ended from outside: until it is through. The task's writes are undone then."""
        held = self.held
        return (held is None or held.abandon()) and not self.settled and self.ending is None

    def time_out(self, rng: random.Random) -> bool:
        """Give up a plain function that takes longer than it may: nothing can end its thread; False if it is over."""
        text = f"{self.task.name} took over {self.timeout:g} s; its thread runs on, and its result is refused"
        return self.give_up(TaskTimeout(text), rng)

    def give_up(self, error: Exception, rng: random.Random) -> bool:
        """End the attempt while its thread, which cannot be ended, runs on; False if it is over."""
        if not (self.can_be_given_up() and self.close(self._failed(error, rng))):
            return False
        self.cancelled = True  # its thread may look
        return True

    def cancel(self) -> None:
        """Have the task see that it is cancelled, and end a coroutine."""
        if self.cancelled:
            return
        self.cancelled = True
        if self.task.is_async and self.abort is not None:
            self.abort()
        if self.task.cpu:
            self.site.task_files.cancel(self.owner.key)

    def end_cancelled(self, rng: random.Random) -> bool:
        """End a task that has not looked whether it is cancelled: by its process, or by leaving its thread alone.

        Returns:
            Whether its thread was left alone; a process or a coroutine ends in a moment.
        """
        if self.abort is None and not self.task.is_async:
            text = "it was cancelled; its thread cannot be ended and runs on, and its result is refused"
            return self.give_up(JobCancelled(text), rng)
        if self.abort is not None and self.can_be_given_up():
            self.abort()
        return False

    def look_at_files(self) -> None:
        """Pass on how far a cpu task is."""
        noted = self.site.task_files.progress(self.owner.key)
        if noted is not None:
            self.owner.report(*noted)


def let_ctrl_c_pass(problem: BaseException) -> None:
    """Raise a Ctrl-C in the main thread again: it came beside a task that runs where it was enqueued."""
    if isinstance(problem, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise problem
