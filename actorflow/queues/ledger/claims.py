"""Claims: the next jobs that a node takes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from actorflow.queues.ledger.chains import cancel_queued
from actorflow.queues.ledger.limits import BEHIND, READY, Key, Limits, Outlook, enter, limits_of, look, promote
from actorflow.queues.ledger.records import BATCH, Claimed, Counts, News
from actorflow.store.classes import is_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.transaction import Transaction


TASKS_AT_ONCE: Final = 200  # names of ready jobs, known or not, that are looked through


def claim(
    transaction: Transaction,
    queue: str,
    owner: str,
    tasks: str,
    wanted: int,
    now: float,
    lease: float,
    news: News,
) -> tuple[list[Claimed], float | None]:
    """Take the next jobs for a node, the smallest priority first, as far as the limits of the queue allow.

    Args:
        tasks: names of the tasks that the node knows, as a JSON list.
        lease: when others may take them over, if the node does not say that it still works.

    Returns:
        The jobs; and, if there are fewer than were wanted, when some will be ready by themselves.
    """
    outlook = look(transaction, queue)
    time = outlook.next_time
    if time is not None and time <= now:
        wake(transaction, queue, outlook.limits, now, news)
        outlook = look(transaction, queue)
        time = outlook.next_time
    limits = outlook.limits
    room = limits.room(wanted, now)
    claimed: list[Claimed] = []
    if room:
        if outlook.lacking:
            wake_lacking(transaction, queue, limits, now, room)
        claimed = take(transaction, queue, tasks, {"owner": owner, "now": now, "lease": lease, "limit": room})
        with contextlib.suppress(TypeError):  # of a damaged row, which is seen to later
            claimed.sort(key=lambda job: (job.priority, job.id))
    if claimed:
        begin(transaction, queue, claimed, limits, now)
    return claimed, next_wake(transaction, queue, outlook, time) if len(claimed) < wanted else None


def take(transaction: Transaction, queue: str, tasks: str, values: dict[str, Any]) -> list[Claimed]:
    """Take ready jobs, of the tasks that the node knows: the others cost nothing, however many are in front."""
    ready = ready_tasks(transaction, queue, tasks)
    if len(ready) == 1:  # the common case, and half the time of the other
        rows = transaction.all("jobs.claim", {**values, "queue": queue, "task": ready[0]})
    elif ready:
        rows = transaction.all("jobs.claim_of", {**values, "queue": queue, "tasks": json.dumps(ready)})
    else:
        rows = []
    return [Claimed(*row) for row in rows]


def ready_tasks(transaction: Transaction, queue: str, tasks: str) -> list[str]:
    """Return the tasks of a JSON list that have jobs which are ready: by a step of the index for each task."""
    where = {"queue": queue, "tasks": tasks}
    found = transaction.all("jobs.ready_tasks", {**where, "limit": TASKS_AT_ONCE})
    if len(found) == TASKS_AT_ONCE:  # names by the thousand: rather a step for each that is known
        return [name for (name,) in transaction.all("jobs.known_ready", where)]
    return [name for name, is_known in found if is_known]


def first_ready(transaction: Transaction, queue: str) -> int | None:
    """Return the job of any task that would begin next; None if none is ready."""
    names = [name for name, _ in transaction.all("jobs.ready_tasks", {"queue": queue, "tasks": "[]", "limit": 10_000})]
    row = transaction.one("jobs.peek", {"queue": queue, "tasks": json.dumps(names)})
    return None if row is None else int(row[0])


def unknown(transaction: Transaction, queue: str, counts: Callable[[str], bool]) -> list[tuple[str, int]]:
    """Return the tasks of ready jobs that a function names, each with the number of its jobs."""
    rows = transaction.all("jobs.ready_tasks", {"queue": queue, "tasks": "[]", "limit": TASKS_AT_ONCE})
    found = []
    for name, _ in rows:
        if counts(name):
            row = transaction.one("jobs.count_ready", {"queue": queue, "task": name})
            found.append((name, 0 if row is None else int(row[0])))
    return found


def put_running(
    transaction: Transaction,
    queue: str,
    owner: str,
    task: str,
    args: bytes,
    options: bytes | None,
    now: float,
    lease: float,
) -> Claimed | None:
    """Add a job that this node has at once; None if others go first, or limits hold: then nothing is added.

    One statement in place of three, for a job that finds a free worker and nothing that waits.
    """
    values = {
        "queue": queue,
        "owner": owner,
        "task": task,
        "args": args,
        "options": options,
        "now": now,
        "lease": lease,
    }
    id_ = transaction.insert("jobs.put_running", values)
    if not id_:
        return None
    return Claimed(id_, task, args, options, 1, 0, 1, 0, None, at_most_once=False, created=now, due=None)


def claim_one(transaction: Transaction, id_: int, owner: str, now: float, lease: float) -> Claimed | None:
    """Take a job that has not begun, past all limits; they count it all the same."""
    place = transaction.one("jobs.place", {"id": id_})
    rows = transaction.all("jobs.claim_one", {"id": id_, "owner": owner, "now": now, "lease": lease})
    if place is None or not rows:
        return None
    queue, key, stage, *_ = place
    job = Claimed(*rows[0])
    limits = limits_of(transaction, queue)
    if key is not None and limits.has_keys and stage != READY:
        row = Key(transaction, queue, key, limits, now)
        row.slots += 1
        row.ready += 1
        row.write()
    begin(transaction, queue, [job], limits, now)
    return job


def begin(transaction: Transaction, queue: str, claimed: list[Claimed], limits: Limits, now: float) -> None:
    """Count jobs that begin, in all limits."""
    if limits.rate is not None:
        limits.tokens -= len(claimed)
        transaction.run("jobs.set_tokens", {"name": queue, "tokens": limits.tokens, "now": now})
    if limits.concurrency is not None:
        Counts(running=len(claimed)).write(transaction, queue)
    if limits.has_keys:
        for job in claimed:
            if job.key is not None:
                row = Key(transaction, queue, job.key, limits, now)
                row.begin()
                row.write()


def wake(transaction: Transaction, queue: str, limits: Limits, now: float, news: News) -> None:
    """Make ready the jobs that have waited for their time, or for their key's; cancel those that have expired."""
    where = {"queue": queue, "now": now, "limit": BATCH}
    expire(transaction, queue, now, news)
    keys = set()
    for id_, key in transaction.all("jobs.wake_due", where):
        if key is not None and limits.has_keys:
            transaction.run("jobs.set_stage", {"id": id_, "stage": BEHIND})
            keys.add(key)
    if limits.key_rate is not None:
        keys.update(key for (key,) in transaction.all("jobs.free_keys", where))
    for key in sorted(keys, key=str):  # one of a damaged row may be no text
        promote(transaction, queue, key, limits, now)


def wake_lacking(transaction: Transaction, queue: str, limits: Limits, now: float, room: int) -> None:
    """Make jobs ready that other processes could not run, as they did not know a class that is known here."""
    for (name,) in transaction.all("jobs.lacking", {"queue": queue, "limit": TASKS_AT_ONCE}):
        if is_known(name):
            for id_, key in transaction.all("jobs.that_lack", {"queue": queue, "lacks": name, "limit": room}):
                enter(transaction, id_, queue, key, None, limits, now)


def expire(transaction: Transaction, queue: str, now: float, news: News) -> int:
    """Cancel jobs that were to begin by now, some of them if there are many; return how many."""
    expired = transaction.all("jobs.expired", {"queue": queue, "now": now, "limit": BATCH})
    for (id_,) in expired:
        cancel_queued(transaction, id_, "it expired before it began", now, news)
    return len(expired)


def next_wake(transaction: Transaction, queue: str, outlook: Outlook, time: float | None) -> float | None:
    """Return when something will be ready by itself; of a queue that is paused, when a job expires."""
    limits = outlook.limits
    if limits.paused:
        return outlook.expires
    if limits.rate is not None and limits.tokens < 1 and transaction.one("jobs.is_ready", {"queue": queue}) is not None:
        token: float = limits.filled + (1 - limits.tokens) / limits.rate
        return token if time is None else min(time, token)
    return time
