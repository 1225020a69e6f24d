"""Claims: the next jobs that a node takes. Layer 4."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from actorflow.queue.ledger.endings import cancel_queued
from actorflow.queue.ledger.records import BATCH, Claimed, Counts, News
from actorflow.queue.slots import BEHIND, READY, Key, Limits, limits_of, promote, row_of

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction


def claim(
    transaction: Transaction,
    queue: str,
    owner: str,
    tasks: str,
    wanted: int,
    now: float,
    lease: float,
    known: int,
    news: News,
) -> tuple[list[Claimed], float | None]:
    """Take the next jobs for a node, the smallest priority first, as far as the limits of the queue allow.

    Args:
        tasks: names of the tasks that the node knows, as a JSON list.
        lease: when others may take them over, if the node does not say that it still works.
        known: version of the tables that the node knows; if they are newer, it takes nothing.

    Returns:
        The jobs; and, if there are fewer than were wanted, when some will be ready by themselves.
    """
    outlook = look(transaction, queue)
    if outlook.version > known:
        news.newer = outlook.version
        return [], None
    if outlook.next_time is not None and outlook.next_time <= now:
        wake(transaction, queue, outlook.limits, now, news)
        outlook = look(transaction, queue)
    limits = outlook.limits
    room = limits.room(wanted, now)
    claimed: list[Claimed] = []
    if room:
        values = {"queue": queue, "owner": owner, "tasks": tasks, "now": now, "lease": lease, "limit": room}
        claimed = [Claimed(*row) for row in transaction.all("jobs.claim", values)]
        with contextlib.suppress(TypeError):  # of a damaged row, which is seen to later
            claimed.sort(key=lambda job: (job.priority, job.id))
    if claimed:
        begin(transaction, queue, claimed, limits, now)
    return claimed, next_wake(transaction, queue, outlook) if len(claimed) < wanted else None


def put_running(
    transaction: Transaction, queue: str, owner: str, task: str, args: bytes, now: float, lease: float, known: int
) -> Claimed | None:
    """Add a job that this node has at once; None if others go first, or limits hold: then nothing is added.

    One statement in place of three, for a job that finds a free worker and nothing that waits.
    """
    values = {"queue": queue, "owner": owner, "task": task, "args": args, "now": now, "lease": lease, "known": known}
    id_ = transaction.insert("jobs.put_running", values)
    if not id_:
        return None
    return Claimed(id_, task, args, None, 1, 0, 1, 0, None, at_most_once=False, created=now, due=None)


def claim_one(transaction: Transaction, id_: int, owner: str, now: float, lease: float) -> Claimed | None:
    """Take a job that has not begun, past all limits; they count it all the same."""
    place = transaction.one("jobs.place", {"id": id_})
    rows = transaction.all("jobs.claim_one", {"id": id_, "owner": owner, "now": now, "lease": lease})
    if place is None or not rows:
        return None
    queue, key, stage, _ = place
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
    """Make ready what has waited for its time, or for its key's; cancel what has expired."""
    where = {"queue": queue, "now": now, "limit": BATCH}
    expire(transaction, queue, now, news)
    keys = set()
    for id_, key in transaction.all("jobs.wake_due", where):
        if key is not None and limits.has_keys:
            transaction.run("jobs.set_stage", {"id": id_, "stage": BEHIND})
            keys.add(key)
    if limits.key_rate is not None:
        keys.update(key for (key,) in transaction.all("jobs.free_keys", where))
    for key in sorted(keys):
        promote(transaction, queue, key, limits, now)


def expire(transaction: Transaction, queue: str, now: float, news: News) -> None:
    """Cancel jobs that were to begin by now."""
    for (id_,) in transaction.all("jobs.expired", {"queue": queue, "now": now, "limit": BATCH}):
        cancel_queued(transaction, id_, "it expired before it began", now, news)


class Outlook(NamedTuple):
    """What a transaction finds of a queue before it takes jobs.

    Attributes:
        version: of the tables.
        due, free_at, expires: when the next job is due, a key is free again, a job expires; None if that will not be.
    """

    limits: Limits
    version: int
    due: float | None
    free_at: float | None
    expires: float | None

    @property
    def next_time(self) -> float | None:
        """When something will be ready, or over, by itself."""
        return min((time for time in self[2:] if time is not None), default=None)

    @classmethod
    def of(cls, row: Row) -> Outlook:
        """Make one of a row; a time that is none, in a damaged row, never comes."""
        *limits, version, due, free_at, expires = row
        times = (time if isinstance(time, float | int) else None for time in (due, free_at, expires))
        return cls(Limits(tuple(limits)), version, *times)


def look(transaction: Transaction, queue: str) -> Outlook:
    """Return what there is to know of a queue, in one statement."""
    return Outlook.of(row_of(transaction, "jobs.look", queue))


def next_wake(transaction: Transaction, queue: str, outlook: Outlook) -> float | None:
    """Return when something will be ready by itself; of a queue that is paused, when a job expires."""
    limits, time = outlook.limits, outlook.next_time
    if limits.paused:
        return outlook.expires
    if limits.rate is not None and limits.tokens < 1 and transaction.one("jobs.is_ready", {"queue": queue}) is not None:
        token: float = limits.filled + (1 - limits.tokens) / limits.rate
        return token if time is None else min(time, token)
    return time
