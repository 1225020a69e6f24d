"""Packing: a call of a task as the store takes it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError, PayloadError
from actorflow.queues import ledger
from actorflow.queues.job import number_of
from actorflow.queues.ledger import limits
from actorflow.store.codec import encode, too_big
from actorflow.tasks.cause import Cause, cause_here
from actorflow.tasks.options import PLAIN, JobOptions
from actorflow.tasks.task import TASKS, AnyTask

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction


@dataclass(slots=True)
class Packed:
    """A call that was checked and encoded."""

    task: str
    options: JobOptions
    payload: bytes
    cause: Cause | None = None

    @property
    def header(self) -> bytes | None:
        """The stored options of a job that was given none: its cause, if it has one."""
        return None if self.cause is None else json.dumps({"cause": self.cause}).encode()


def pack(local: LocalQueue, task: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Packed:
    """Check and encode a call.

    Raises:
        DefinitionError: it is no task, or does not take the arguments.
        PayloadError: an argument cannot be stored, or is too big.
    """
    if not isinstance(task, AnyTask):
        msg = f"enqueue({task!r}): give a task, a function under @af.task"
        raise DefinitionError(msg)
    if task.job_options.queue not in {None, local.name}:
        msg = (
            f"{task.name}.options(queue={task.job_options.queue!r}) is enqueued into {local.name!r}: the option is for "
            "steps of workflows, and a job has the queue that enqueues it"
        )
        raise DefinitionError(msg)
    TASKS.setdefault(task.name, task)
    payload = encode_call(task, args, kwargs)
    if len(payload) > local.payload_limit:
        raise too_big(f"the arguments of {task.name}", len(payload), local.payload_limit)
    return Packed(task.name, task.job_options, payload, cause_here())


def encode_call(task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Encode the arguments of a task.

    Raises:
        DefinitionError: it does not take them.
        PayloadError: one of them cannot be stored; the text names it.
    """
    task.check(args, kwargs)
    try:
        return encode([list(args), kwargs])
    except PayloadError:
        for name, value in task.signature.bind(*args, **kwargs).arguments.items():
            encode(value, f"an argument of {task.name}: {name}")  # it raises, and names the argument
        raise


def put(
    transaction: Transaction,
    queue: str,
    packed: Packed,
    now: float,
    news: ledger.News,
    gather: list[int] | None = None,
    limit: int = sys.maxsize,
) -> int:
    """Add a job, and return its id; of a duplicate, the id of the one that is there.

    Args:
        news: jobs that are cancelled for it are noted here.
        gather: jobs whose results are to be its argument; together they may have `limit` bytes.

    Raises:
        DefinitionError: a duplicate that is to be rejected; a job in `after` that is not there. Nothing was written.
    """
    options = packed.options
    if options is PLAIN and gather is None:
        return put_plain(transaction, queue, packed, now)
    after = [number_of(job) for job in options.after]
    ledger.check_needs(transaction, after)
    replaced = None
    if options.unique is not None:
        if options.on_duplicate == "replace":  # one at a time, before a job is locked that others want to replace too
            limits.limits_of(transaction, queue)
        found, replaced = existing(transaction, queue, options, now, news)
        if found is not None:
            return found
    values = {**columns(queue, packed, now), "gather": None if gather is None else json.dumps(gather)}
    needs = [*after, *(gather or ()), *(() if replaced is None else (replaced,))]
    return ledger.put(transaction, values, needs, now, news, limit, replaced)


def columns(queue: str, packed: Packed, now: float) -> dict[str, Any]:
    """Return the columns of a job's row that follow from its options."""
    options = packed.options
    stored: dict[str, Any] = {"keep": options.keep}
    if options.timeout is not None:
        stored["timeout"] = options.timeout
    if options.retry is not None:
        stored["retry"] = options.retry.to_list()
        stored["within"] = options.retry.within
    if packed.cause is not None:
        stored["cause"] = packed.cause
    return {
        "queue": queue,
        "task": packed.task,
        "priority": options.priority,
        "due": options.due.timestamp() if options.due else now + options.delay if options.delay else None,
        "expires": None if options.expires is None else now + options.expires,
        "key": options.key,
        "unique": options.unique,
        "at_most_once": int(options.at_most_once),
        "gather": None,
        "tags": "\n".join(dict.fromkeys(options.tags)) or None,
        "args": packed.payload,
        "options": json.dumps(stored).encode(),
        "created": now,
    }


def existing(
    transaction: Transaction, queue: str, options: JobOptions, now: float, news: ledger.News
) -> tuple[int | None, int | None]:
    """Return the live job with the same unique key, unless it is replaced; and one that is replaced while it runs.

    Raises:
        DefinitionError: there is one, and `on_duplicate` is "reject".
    """
    found = transaction.one("jobs.unique", {"queue": queue, "unique": options.unique})
    if found is None:
        return None, None
    id_, stage, expires = found
    if expires is not None and expires <= now and stage < limits.RUNNING:  # no worker has come by to cancel it
        ledger.cancel_queued(transaction, id_, "it expired before it began", now, news)
        return existing(transaction, queue, options, now, news) if stage == limits.HELD else (None, None)
    if options.on_duplicate == "reject":
        msg = f"queue {queue!r} has a live job with unique={options.unique!r}: job {id_}"
        raise DefinitionError(msg)
    if options.on_duplicate == "existing":
        news.duplicates.add(id_)
        return int(id_), None
    if stage == limits.RUNNING and transaction.run("jobs.supersede", {"id": id_}):
        return None, int(id_)
    ledger.cancel_queued(transaction, id_, "it was replaced", now, news, ledger.DAY)
    # The one that it was to follow has the key again, if it still runs.
    return existing(transaction, queue, options, now, news) if stage == limits.HELD else (None, None)


def check_each(what: str, entries: list[Any], each: str) -> None:
    """Refuse a value that is no tuple with an entry for each job."""
    for entry in entries:
        if not isinstance(entry, tuple | list) or (each == CALL and not entry):
            msg = f"{what}: {entry!r} is not a {each}"
            raise DefinitionError(msg)


CALL: Final = "tuple of a task and its arguments"


def put_plain(transaction: Transaction, queue: str, packed: Packed, now: float) -> int:
    """Add a job without options, which is ready at once."""
    row = {
        "queue": queue,
        "task": packed.task,
        "priority": 0,
        "args": packed.payload,
        "options": packed.header,
        "created": now,
    }
    return transaction.insert("jobs.put_plain", row)


def put_many(transaction: Transaction, queue: str, packed: list[Packed], now: float, news: ledger.News) -> list[int]:
    """Add jobs of one task with the same options; return their ids."""
    first, payloads = packed[0], [one.payload for one in packed]
    if first.options is PLAIN:
        row = {"queue": queue, "task": first.task, "priority": 0, "options": first.header, "created": now}
        return ledger.number(transaction, "jobs.put_numbered", row, payloads)
    if first.options.unique is not None or first.options.after:
        return [put(transaction, queue, one, now, news) for one in packed]
    return ledger.put_many(transaction, columns(queue, first, now), payloads, now)
