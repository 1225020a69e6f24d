"""Claims: the next jobs that a node takes. Layer 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.queue.ledger.endings import cancel_queued
from actorflow.queue.ledger.records import BATCH, Claimed, Counts, News
from actorflow.queue.slots import BEHIND, READY, Key, Limits, limits_of, promote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.store.transaction import Transaction


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
    limits, version, times = look(transaction, queue)
    if version > known:
        news.newer = version
        return [], None
    if times and times[0] <= now:
        wake(transaction, queue, limits, now, news)
        times = next_times(transaction, queue)
    room = limits.room(wanted, now)
    claimed: list[Claimed] = []
    if room:
        values = {"queue": queue, "owner": owner, "tasks": tasks, "now": now, "lease": lease, "limit": room}
        claimed = [Claimed(*row) for row in transaction.all("jobs.claim", values)]
        if len(claimed) > 1:
            claimed.sort(key=lambda job: (job.priority, job.id))
    if claimed:
        begin(transaction, queue, claimed, limits, now)
    return claimed, next_wake(transaction, queue, limits, times) if len(claimed) < wanted else None


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


def look(transaction: Transaction, queue: str) -> tuple[Limits, int, list[float]]:
    """Return a queue's limits, the version of the tables, and what `next_times` does: one statement, not three."""
    row = transaction.one("jobs.look", {"name": queue})
    if row is None:
        transaction.run("jobs.add_queue", {"name": queue})
        row = transaction.one("jobs.look", {"name": queue})
        assert row is not None
    version, *times = row[10:]
    return Limits(row[:10]), version, in_order(times)


def next_times(transaction: Transaction, queue: str) -> list[float]:
    """Return when jobs are due, keys are free again, and jobs expire: the next of each, the first in front."""
    return in_order(transaction.one("jobs.next_times", {"queue": queue}) or ())


def in_order(times: Sequence[float | None]) -> list[float]:
    """Return the times that there are, the first in front."""
    return sorted(time for time in times if time is not None)


def next_wake(transaction: Transaction, queue: str, limits: Limits, times: list[float]) -> float | None:
    """Return when something will be ready by itself; of a queue that is paused, when a job expires."""
    if limits.paused:
        row = transaction.one("jobs.next_times", {"queue": queue})
        return None if row is None else row[-1]
    if limits.rate is not None and limits.tokens < 1 and transaction.one("jobs.is_ready", {"queue": queue}) is not None:
        times = [*times, limits.filled + (1 - limits.tokens) / limits.rate]
    return min(times, default=None)
