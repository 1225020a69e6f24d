"""Queue: the object that users enqueue jobs into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, Unpack, overload

from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError
from actorflow.queues import ledger
from actorflow.queues.cron import ScheduleKeywords, schedule_of
from actorflow.queues.group import Group, add_group
from actorflow.queues.job import Job, JobInfo
from actorflow.queues.ledger import limits
from actorflow.queues.node.adding import put_all, put_and_claim, tell_added
from actorflow.queues.node.claimer import Claimer
from actorflow.queues.node.held_jobs import handler_of
from actorflow.queues.packing import check_each, pack, put, put_many, put_plain
from actorflow.queues.schedules import Schedules
from actorflow.queues.selection import Selection, purge
from actorflow.queues.stats import QueueStats, stats_of
from actorflow.store.transaction import NEWEST
from actorflow.tasks.options import PLAIN
from actorflow.tasks.task import AnyTask, AsyncTask, Task

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.events import Listener
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.tasks.signatures import TakesFour, TakesNone, TakesOne, TakesThree, TakesTwo

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")

MoreThanFour: TypeAlias = tuple[Any, Any, Any, Any, Any, *tuple[Any, ...]]


class Queue:
    """A queue of jobs on the system's store: `system.queue("images", workers=4)`.

    A job that `enqueue` has returned is run, whatever is killed meanwhile: at least once, or with `at_most_once=True`
    at most once. The smallest priority goes first, and of equal ones the oldest.

    Attributes:
        name: the queue's name; all processes that use it on the store share the queue.

    >>> import actorflow as af
    >>> @af.task
    ... def square(n: int) -> int:
    ...     return n * n
    >>> with af.ActorSystem("demo") as system:
    ...     jobs = system.queue("squares", workers=2)
    ...     [job.result(timeout=10) for job in jobs.enqueue_many(square, [(2,), (3,)])]
    ...     jobs.count("completed")
    [4, 9]
    2
    """

    def __init__(self, local: LocalQueue, workers: int, spawn: Callable[..., ActorRef[Any]]) -> None:
        self.name = local.name
        self.workers = workers
        self._local = local
        self._store = local.store
        self._spawn = spawn

    def __repr__(self) -> str:
        return f"<Queue {self.name} on {self._store.url}>"

    # --- into it -----------------------------------------------------------------------------------------------------

    @overload
    def enqueue(self, task: AsyncTask[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    def enqueue(self, task: AnyTask, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a job, and return when it is in the store.

        In a handler of a durable actor of the same system the job is part of the handler's commit.

        Options of the job go to the task: `jobs.enqueue(shrink.options(priority=1, delay=60), "a.jpg")`. With
        `options(conn=)` the job is part of your own transaction: it is there once you commit, and never if you do not.

        Raises:
            DefinitionError: it is no task, or does not take the arguments; a duplicate, if it is to be rejected.
            PayloadError: an argument cannot be stored; the text names it.
            StoreError: the store failed, and the job is not in it.
        """
        began = self._local.clock.monotonic()
        packed = pack(self._local, task, args, kwargs)
        local, name, now = self._local, self.name, self._store.now()
        handler = None if CURRENT.get() is None else handler_of(local)  # most who enqueue are no handlers
        if handler is not None or packed.options is not PLAIN:
            job = put_all(local, [packed], lambda transaction, news: [put(transaction, name, packed, now, news)])[0]
            local.latencies.enqueue.append(local.clock.monotonic() - began)
            return job
        if local.offers and not (local.inline or self._store.is_held_here):
            id_ = put_and_claim(local, packed, now)
            if id_ is not None:
                local.latencies.enqueue.append(local.clock.monotonic() - began)
                return Job(self._store, local.waits, str(id_))
        id_ = self._store.write(lambda transaction: put_plain(transaction, name, packed, now), local.durability)
        local.latencies.enqueue.append(local.clock.monotonic() - began)
        if local.inline:
            return tell_added(local, [id_], [packed])[0]
        try:
            local.announcer.tell("queued", id_, packed.task)
        finally:  # a Ctrl-C in a listener: the job is there
            local.wake()
        return Job(self._store, local.waits, str(id_))

    @overload
    async def enqueue_async(self, task: AsyncTask[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def enqueue_async(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    async def enqueue_async(self, task: AnyTask, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a job as `enqueue` does, without blocking the event loop meanwhile.

        Calls that come together share a commit. One whose caller is cancelled is made all the same.

        >>> job = await jobs.enqueue_async(shrink, "a.jpg")  # doctest: +SKIP
        >>> small = await job  # doctest: +SKIP

        Raises:
            DefinitionError, PayloadError, StoreError: as of `enqueue`.
        """
        enqueue: Any = self.enqueue  # its overloads are of tasks whose arguments are known
        return await self._offload(lambda: enqueue(task, *args, **kwargs), task)

    async def enqueue_many_async(self, task: Any, arguments: Iterable[tuple[Any, ...]], /) -> list[Job[Any]]:
        """Add jobs as `enqueue_many` does, without blocking the event loop meanwhile."""
        given = list(arguments)  # here: the arguments may belong to the loop's thread
        return await self._offload(lambda: self.enqueue_many(task, given), task)

    async def _offload(self, act: Callable[[], T], task: Any) -> T:
        """Make a call that may block in another thread, unless it must be made in this one."""
        is_bound = self._local.scheduler.is_virtual or self._store.is_held_here or handler_of(self._local) is not None
        if is_bound or (isinstance(task, AnyTask) and task.job_options.conn is not None):
            return act()  # part of its transaction, or of its handler's; or time stands still until this is through
        return await self._local.waits.offload.run(act)

    def enqueue_many(self, task: Any, arguments: Iterable[tuple[Any, ...]], /) -> list[Job[Any]]:
        """Add a job for each tuple of arguments, all in one transaction: all are there, or none.

        >>> jobs.enqueue_many(shrink, [("b.jpg",), ("c.jpg",)])  # doctest: +SKIP
        """
        given = list(arguments)
        check_each("enqueue_many()", given, "tuple of arguments")
        packed = [pack(self._local, task, tuple(args), {}) for args in given]
        if not packed:
            return []
        name, now = self.name, self._local.now()
        return put_all(self._local, packed, lambda transaction, news: put_many(transaction, name, packed, now, news))

    def group(self, calls: Iterable[tuple[Any, ...]], /, *, then: Task[[list[Any]], R]) -> Group[R]:
        """Add jobs, and one that gets the list of their results once all are completed; all in one transaction.

        The count of open jobs is kept in the transactions that end them, so `then` runs exactly when the last one is
        completed, whatever is killed. If one of them fails, `then` is cancelled; once that one was queued again, by
        `retry`, so can be `then`. Until then retention leaves the results of the others. If these are over
        `Settings(payload_limit=)` together, `then` is a dead letter with a `PayloadError`.

        >>> jobs.group([(shrink, "a.jpg"), (shrink, "b.jpg")], then=publish)  # doctest: +SKIP

        Args:
            calls: tuples of a task and its arguments.
            then: a task of one argument.
        """
        return add_group(self._local, list(calls), then)

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Run jobs at once, in the thread that enqueues them: for tests of their effects.

        Delays, limits and pauses between attempts are left out. An error of a task is in its job, as ever. Left in the
        queue are jobs that wait for others, and those that are part of a transaction of yours, by `options(conn=)`.

        >>> with jobs.inline():  # doctest: +SKIP
        ...     assert jobs.enqueue(double, 4).result() == 8
        """
        self._local.inline += 1
        try:
            yield
        finally:
            self._local.inline -= 1

    # --- schedules ---------------------------------------------------------------------------------------------------

    @overload
    def cron(
        self, cron: str, task: TakesNone, /, *, args: tuple[()] = (), **when: Unpack[ScheduleKeywords]
    ) -> None: ...
    @overload
    def cron(self, cron: str, task: TakesOne[A], /, *, args: tuple[A], **when: Unpack[ScheduleKeywords]) -> None: ...
    @overload
    def cron(
        self, cron: str, task: TakesTwo[A, B], /, *, args: tuple[A, B], **when: Unpack[ScheduleKeywords]
    ) -> None: ...
    @overload
    def cron(
        self, cron: str, task: TakesThree[A, B, C], /, *, args: tuple[A, B, C], **when: Unpack[ScheduleKeywords]
    ) -> None: ...
    @overload
    def cron(
        self, cron: str, task: TakesFour[A, B, C, D], /, *, args: tuple[A, B, C, D], **when: Unpack[ScheduleKeywords]
    ) -> None: ...
    @overload
    def cron(self, cron: str, task: AnyTask, /, *, args: MoreThanFour, **when: Unpack[ScheduleKeywords]) -> None: ...
    def cron(
        self,
        cron: str,
        task: Any,
        /,
        *,
        args: Sequence[Any] = (),
        tz: str = "UTC",
        catch_up: Literal["skip", "latest", "all"] = "skip",
        name: str | None = None,
    ) -> None:
        """Enqueue a task at the times of a cron expression, once, however many processes declare it.

        The schedule goes on as long as a living process declares it. Where clocks are set forward, times in the hour
        that is missing run right after it; where they are set back, a fixed time runs once.

        Args:
            cron: five fields, or six with seconds in front, as in Debian's cron: ``"*/5 * * * *"``.
            task: options of its jobs go to it, such as `.options(unique="sweep")`.
            args: its arguments.
            tz: name of the time zone.
            catch_up: the fate of times that passed while no process ran it: "skip" leaves them out, "latest" runs
                the last of them, "all" runs each.
            name: the store's name for it, in place of task and expression: then these may be changed.

        Raises:
            DefinitionError: the expression, the zone or the arguments make no sense.
        """
        check_each("cron(args=)", [args], "tuple of arguments")
        packed = dataclasses.replace(pack(self._local, task, tuple(args), {}), cause=None)
        schedule = schedule_of(cron, packed, tz=tz, catch_up=catch_up, name=name)
        other = self._local.declared.get(schedule.name)
        if name is None and other is not None and other.packed != packed:
            msg = f"cron(): {schedule.name!r} is declared already, with other arguments or options: give each a name="
            raise DefinitionError(msg)
        actor = self._local.schedules
        if actor is None or not actor.is_alive():
            actor = self._local.schedules = self._spawn(Schedules, self._local)
        actor.call(Schedules.declare, schedule).get()

    # --- the whole of it ---------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Let no more jobs begin, in any process; those that run go on."""
        self._set_paused(True)

    def resume(self) -> None:
        """Let jobs begin again."""
        self._set_paused(False)
        self._local.wake()

    def _set_paused(self, paused: bool) -> None:
        self._store.write(lambda transaction: limits.pause(transaction, self.name, paused=paused))

    def purge(self) -> int:
        """Remove all jobs that have not begun, but such as come meanwhile, 500 in a transaction; return how many."""
        try:
            return purge(self._store, self.name, lambda news: self._local.announcer.announce([], news))
        finally:
            self._local.waits.look()

    def peek(self) -> Job[Any] | None:
        """Return the job that would begin next; None if none is ready."""
        found = self._store.read(lambda transaction: ledger.first_ready(transaction, self.name))
        return None if found is None else self._job(found)

    def jobs(
        self,
        status: str | None = None,
        *,
        tag: str | None = None,
        task: AnyTask | str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[JobInfo]:
        """Return jobs, the newest first.

        By a tag, and by the statuses "running", "failed" and "dead", they are found at once. Others are looked for from
        the newest on, while others write: through a million jobs in 80 ms.

        Args:
            status: "queued", "running", "completed", "failed", "dead" or "cancelled".
            tag: one of those that `task.options(tags=)` gave it.
            task: a task, or its name.
            limit: so many.
            before: an id; only older ones, such as those behind the last one of the page before.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        selection = Selection.of(self.name, status, tag, task)
        return [
            JobInfo.of(row) for row in selection.rows(self._store, limit, NEWEST if before is None else int(before))
        ]

    def count(self, status: str | None = None, *, tag: str | None = None, task: AnyTask | str | None = None) -> int:
        """Return how many jobs there are; through a million of them it takes 60 to 90 ms, while others write.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        return Selection.of(self.name, status, tag, task).count(self._store)

    def cancel_all(
        self, status: str | None = None, *, tag: str | None = None, task: AnyTask | str | None = None
    ) -> int:
        """Cancel jobs as `Job.cancel` does, 100 in a transaction; return how many.

        >>> jobs.cancel_all(tag="user-7")  # doctest: +SKIP
        3

        Raises:
            DefinitionError: an argument makes no sense, or all of them are None: `purge` empties the queue.
        """
        selection = Selection.of(self.name, status, tag, task)
        selection.check_narrow("cancel_all()", "; purge() takes all jobs that have not begun")
        return selection.cancel(self._store, self._cancelled)

    def _cancelled(self, news: ledger.News, runs: bool) -> None:
        self._local.announcer.announce([], news)
        if runs:
            self._local.waits.cancelled()

    def retry_all(self, status: str | None = None, *, tag: str | None = None, task: AnyTask | str | None = None) -> int:
        """Queue jobs again that are dead, failed or cancelled, as `retry` does, 100 in a transaction; return how many.

        One whose unique key another live job has stays as it is.

        >>> jobs.retry_all("dead")  # doctest: +SKIP
        2

        Raises:
            DefinitionError: an argument makes no sense, or all of them are None.
        """
        selection = Selection.of(self.name, status, tag, task)
        selection.check_narrow("retry_all()")
        revived = selection.retry(self._store, self._local.payload_limit)
        self._local.wake()
        return revived

    def dead(self, *, limit: int = 100) -> list[Job[Any]]:
        """Return the newest dead letters: jobs that killed their processes, or were lost with them.

        `retry_all("dead")` queues all of them again.
        """
        return [self._job(int(info.id)) for info in self.jobs("dead", limit=limit)]

    def failed(self, *, limit: int = 100) -> list[Job[Any]]:
        """Return the newest jobs that have failed for good; they are kept for 30 days, whatever `keep` says.

        `retry(job)` queues one of them again, `retry_all("failed")` all.
        """
        return [self._job(int(info.id)) for info in self.jobs("failed", limit=limit)]

    def retry(self, job: Job[Any]) -> bool:
        """Queue a job again that is dead, failed or cancelled, with all its attempts; False if it is not.

        The jobs it waited for (`after`) are forgotten; the last of a group still gets the results of all.

        Raises:
            DefinitionError: another live job has its unique key; or a member of its group is not completed.
        """
        now, limit = self._local.now(), self._local.payload_limit
        revived = self._store.write(lambda transaction: ledger.revive(transaction, int(job.id), now, limit))
        self._local.wake()
        return revived

    def stats(self) -> QueueStats:
        """Return counts over all processes, and the latencies that this one has seen.

        The open jobs are counted, by indexes and on a connection that only reads: a million of them takes 50 ms on
        SQLite, and up to six times that on PostgreSQL.
        """
        latencies = self._local.latencies
        return self._store.read(lambda transaction: stats_of(transaction, self.name, self.workers, latencies))

    def subscribe(self, listener: Listener, /) -> Callable[[], None]:
        """Call a function with each `JobEvent` of this process; return a function that ends that.

        An error of the function is logged.

        Raises:
            DefinitionError: it is no function.
        """
        if not callable(listener):
            msg = f"subscribe({listener!r}): give a function that takes a JobEvent"
            raise DefinitionError(msg)
        return self._local.announcer.listen(listener)

    def drain(self, *, timeout: float | None = None) -> None:
        """Take no more jobs in this process, and wait for those that run.

        Raises:
            AskTimeout: some run on after `timeout` seconds.
        """
        claimer = self._local.claimer
        if claimer is not None:
            claimer.call(Claimer.drain).get(timeout=timeout)

    def _job(self, id_: int) -> Job[Any]:
        return Job(self._store, self._local.waits, str(id_))
