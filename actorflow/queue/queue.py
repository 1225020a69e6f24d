"""Queue: what users enqueue jobs into. Layer 4."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from actorflow.errors import DefinitionError
from actorflow.queue import ledger
from actorflow.queue.claimer import Claimer
from actorflow.queue.job import Job, JobInfo
from actorflow.queue.limits import Limit, check_count, parse_rate
from actorflow.queue.stats import QueueStats, stats_of
from actorflow.store.codec import encode
from actorflow.workflow.options import PLAIN, JobOptions
from actorflow.workflow.task import TASKS, AnyTask, AsyncTask, Task

if TYPE_CHECKING:
    from actorflow.queue.line import Line, Listener
    from actorflow.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class Queue:
    """A queue of jobs on the system's store: `system.queue("images", workers=4)`.

    A job that `enqueue` has returned is done, whatever is killed meanwhile: at least once, or with
    `at_most_once=True` at most once. The smallest priority goes first, and of equal ones the oldest.

    Attributes:
        name: all processes that use this name on the store share the queue.
    """

    def __init__(self, line: Line, workers: int) -> None:
        self.name = line.name
        self.workers = workers
        self._line = line
        self._store = line.store

    def __repr__(self) -> str:
        return f"<Queue {self.name} on {self._store.url}>"

    # --- into it -----------------------------------------------------------------------------------------------------

    @overload
    def enqueue(self, task: AsyncTask[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    def enqueue(self, task: AnyTask, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a job, and return when it is in the store.

        Options of the job go to the task: `jobs.enqueue(shrink.options(priority=1, delay=60), "a.jpg")`.

        Raises:
            DefinitionError: it is no task, or does not take the arguments; a duplicate, if it is to be rejected.
            PayloadError: an argument cannot be stored; the text names it.
            StoreError: the store failed, and the job is not in it.
        """
        check_task(task)
        task.check(args, kwargs)
        payload = encode([args, kwargs], f"an argument of {task.name}")
        now = self._store.now()
        options = task.job_options
        if options is PLAIN:
            values = {"queue": self.name, "task": task.name, "priority": 0, "args": payload, "created": now}
            work = partial(put_plain, values=values)
        else:
            work = partial(self._put, task=task, options=options, payload=payload, now=now)
        id_ = self._store.write(work, durability=self._line.durability)
        self._line.tell("queued", id_, task.name)
        self._line.wake()
        return Job(self._store, self._line.waits, str(id_))

    def enqueue_many(self, task: Any, arguments: Iterable[tuple[Any, ...]], /) -> list[Job[Any]]:
        """Add a job for each tuple of arguments, all in one transaction: all are there, or none.

        >>> jobs.enqueue_many(shrink, [("b.jpg",), ("c.jpg",)])  # doctest: +SKIP
        """
        check_task(task)
        now = self._store.now()
        payloads = []
        for args in arguments:
            task.check(tuple(args), {})
            payloads.append(encode([tuple(args), {}], f"an argument of {task.name}"))
        options = task.job_options

        def work(transaction: Transaction) -> list[int]:
            if options is not PLAIN:
                return [self._put(transaction, task, options, payload, now) for payload in payloads]
            base = {"queue": self.name, "task": task.name, "priority": 0, "created": now}
            return put_many(transaction, base, payloads)

        ids = self._store.write(work, durability=self._line.durability)
        for id_ in ids:
            self._line.tell("queued", id_, task.name)
        self._line.wake()
        return [Job(self._store, self._line.waits, str(id_)) for id_ in ids]

    def _put(self, transaction: Transaction, task: AnyTask, options: JobOptions, payload: bytes, now: float) -> int:
        if options.unique is not None:
            found = transaction.one("jobs.unique", {"queue": self.name, "unique": options.unique})
            if found is not None:
                id_, stage = found
                if options.on_duplicate == "existing" or (
                    options.on_duplicate == "replace" and stage == ledger.RUNNING
                ):
                    return int(id_)
                if options.on_duplicate == "reject":
                    msg = f"queue {self.name!r} has a live job with unique={options.unique!r}: job {id_}"
                    raise DefinitionError(msg)
                ledger.cancel_queued(transaction, id_, "it was replaced", now)
        stored: dict[str, Any] = {"keep": options.keep}
        if options.timeout is not None:
            stored["timeout"] = options.timeout
        if options.retry is not None:
            stored["retry"] = options.retry.to_list()
        values = {
            "queue": self.name,
            "task": task.name,
            "priority": options.priority,
            "due": now + options.delay if options.delay else None,
            "expires": None if options.expires is None else now + options.expires,
            "key": options.key,
            "unique": options.unique,
            "at_most_once": int(options.at_most_once),
            "tags": "\n".join(options.tags) or None,
            "args": payload,
            "options": json.dumps(stored).encode(),
            "created": now,
        }
        return ledger.put(transaction, values, [int(job.id) for job in options.after], now)

    # --- the whole of it ---------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Let no more jobs begin, in any process; those that run go on."""
        self._set_paused(True)

    def resume(self) -> None:
        """Let jobs begin again."""
        self._set_paused(False)
        self._line.wake()

    def _set_paused(self, paused: bool) -> None:
        def work(transaction: Transaction) -> None:
            transaction.run("jobs.add_queue", {"name": self.name})
            transaction.run("jobs.pause", {"name": self.name, "paused": int(paused)})

        self._store.write(work)

    def purge(self) -> int:
        """Remove all jobs that have not begun; return how many."""
        return self._store.write(lambda transaction: transaction.run("jobs.purge", {"queue": self.name}))

    def peek(self) -> Job[Any] | None:
        """Return the job that would begin next; None if none is ready."""
        row = self._store.read(lambda transaction: transaction.one("jobs.peek", {"queue": self.name}))
        return None if row is None else self._job(row[0])

    def jobs(self, status: str | None = None, *, limit: int = 100) -> list[JobInfo]:
        """Return the newest jobs, of one status or of all."""
        values = {"queue": self.name, "status": status, "limit": limit}
        return [JobInfo.of(row) for row in self._store.read(lambda transaction: transaction.all("jobs.list", values))]

    def dead(self) -> list[Job[Any]]:
        """Return the dead letters: jobs that killed their processes, or were lost with them, newest first."""
        return [self._job(int(info.id)) for info in self.jobs("dead")]

    def retry(self, job: Job[Any]) -> bool:
        """Queue a job again that is dead, failed or cancelled; False if it is not."""
        now = self._store.now()

        def work(transaction: Transaction) -> bool:
            row = transaction.one("jobs.revive", {"id": int(job.id)})
            if row is None:
                return False
            queue, key = row
            limits = ledger.limits_of(transaction, queue)
            stage = ledger.stage_of(transaction, queue, key, None, limits, now)
            transaction.run("jobs.set_stage", {"id": int(job.id), "stage": stage})
            return True

        revived = self._store.write(work)
        self._line.wake()
        return revived

    def stats(self) -> QueueStats:
        """Return counts over all processes, and the latencies that this one has seen."""
        return self._store.read(lambda transaction: stats_of(transaction, self.name, self.workers))

    def subscribe(self, listener: Listener, /) -> Callable[[], None]:
        """Call a function with each `JobEvent` of this process; return what ends that. An error of it is logged."""
        return self._line.listen(listener)

    def drain(self, *, timeout: float | None = None) -> None:
        """Take no more jobs in this process, and wait for those that run."""
        claimer = self._line.claimer
        if claimer is not None:
            claimer.call(Claimer.drain).get(timeout=timeout)

    def _job(self, id_: int) -> Job[Any]:
        return Job(self._store, self._line.waits, str(id_))


def check_task(task: object) -> None:
    """Refuse what is no task."""
    if not isinstance(task, AnyTask):
        msg = f"enqueue({task!r}): give a task, a function under @af.task"
        raise DefinitionError(msg)
    if task.name not in TASKS:
        TASKS[task.name] = task


def put_plain(transaction: Transaction, values: dict[str, Any]) -> int:
    """Add a job without options, which is ready at once."""
    transaction.run("jobs.put_plain", values)
    row = transaction.one("jobs.last_id")
    assert row is not None
    ledger.Counts(enqueued=1).write(transaction, values["queue"])
    return int(row[0])


def put_many(transaction: Transaction, base: dict[str, Any], payloads: list[bytes]) -> list[int]:
    """Add jobs without options; their ids follow each other, as the transaction has the lock for writing."""
    if not payloads:
        return []
    transaction.many("jobs.put_plain", ({**base, "args": payload} for payload in payloads))
    row = transaction.one("jobs.last_id")
    assert row is not None
    ledger.Counts(enqueued=len(payloads)).write(transaction, base["queue"])
    return list(range(int(row[0]) - len(payloads) + 1, int(row[0]) + 1))


def declare(line: Line, *, concurrency: int | None, rate: str | None, per_key: Limit | None) -> None:
    """Write a queue's limits: of processes that disagree, the last one to start wins."""
    check_count("concurrency", concurrency)
    bucket = parse_rate(rate)
    key_bucket = None if per_key is None else per_key.bucket
    values = {
        "name": line.name,
        "concurrency": concurrency,
        "rate": None if bucket is None else bucket.per_second,
        "burst": None if bucket is None else bucket.burst,
        "key_concurrency": None if per_key is None else per_key.concurrency,
        "key_rate": None if key_bucket is None else key_bucket.per_second,
        "key_burst": None if key_bucket is None else key_bucket.burst,
        "now": line.store.now(),
    }
    line.store.write(lambda transaction: transaction.run("jobs.declare_queue", values))
