"""Requests: jobs that are cancelled, queued again or removed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from actorflow.errors import DefinitionError, PayloadError
from actorflow.queue.ledger.arrivals import hold, tag_rows
from actorflow.queue.ledger.chains import cancel_queued, members_of
from actorflow.queue.ledger.records import BATCH, DAY, FINAL, News
from actorflow.queue.slots import HELD, OVER, count_keys, enter, limits_of

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction

FIRST_KEY: Final = ("", "")  # before the first key of the first queue


def cancel(transaction: Transaction, id_: int, now: float, news: News) -> bool | None:
    """Cancel a job: True if it had not begun, False if it runs and is to end, None if it is over."""
    news.begin()
    return _cancel(transaction, id_, now, news)


def cancel_each(transaction: Transaction, ids: list[int], now: float, news: News) -> tuple[int, bool]:
    """Cancel jobs; return how many of them, and whether some run and are to end."""
    news.begin()
    running = sum(_cancel(transaction, id_, now, news) is False for id_ in ids)
    cancelled = {id_ for id_, _, _ in news.ended}  # one may have been cancelled because of another
    return running + len(cancelled.intersection(ids)), running > 0


def _cancel(transaction: Transaction, id_: int, now: float, news: News) -> bool | None:
    if cancel_queued(transaction, id_, "it was cancelled", now, news, DAY):
        return True
    return False if transaction.one("jobs.cancelling", {"id": id_}) is not None else None


def revive(transaction: Transaction, id_: int, now: float, limit: int) -> bool:
    """Queue a job again that is dead, failed or cancelled, with all its attempts; False if it is not.

    Jobs that it waited for are forgotten, but not the members of a group whose results it is to get: these may have
    `limit` bytes together.

    Raises:
        DefinitionError: another live job has its unique key, or a member of its group is over and was not completed.
            Nothing was written.
    """
    place = transaction.one("jobs.place", {"id": id_})
    if place is None or place[2] != OVER:
        return False
    found = transaction.one("jobs.unique_of", {"id": id_})
    if found is not None:
        msg = f"job {id_} cannot be queued again: job {found[0]} is live and has the same unique key"
        raise DefinitionError(msg)
    (gather,) = transaction.one("jobs.gather", {"id": id_}) or (None,)
    members = None if gather is None else members_of(gather)
    if members is not None:
        check_members(transaction, id_, members)
    row = transaction.one("jobs.revive", {"id": id_})
    if row is None:
        return False
    queue, key, needs = row
    if needs:
        transaction.run("jobs.forget_needs", {"job": id_})
        transaction.run("jobs.set_needs", {"id": id_, "needs": 0})
    limits = limits_of(transaction, queue)
    if members is None:
        enter(transaction, id_, queue, key, None, limits, now)
        return True
    transaction.run("jobs.set_stage", {"id": id_, "stage": HELD})
    job = {"queue": queue, "key": key, "due": None, "gather": gather}
    hold(transaction, id_, members, job, limits, now, News(), limit)
    return True


def check_members(transaction: Transaction, id_: int, members: list[int]) -> None:
    """Refuse to gather the results of jobs that have none, and will have none."""
    for member in members:
        row = transaction.one("jobs.status", {"id": member})
        status = "gone" if row is None else row[0]
        if status != "completed" and (row is None or status in FINAL):
            msg = f"job {id_} cannot be queued again: it needs the result of job {member}, which is {status}"
            raise DefinitionError(msg if row is None else f"{msg}: queue that job again first")


def revive_each(transaction: Transaction, ids: list[int], now: float, limit: int) -> int:
    """Queue jobs again, and return how many; those that cannot be stay as they are."""
    revived = 0
    for id_ in ids:
        with contextlib.suppress(DefinitionError, PayloadError):
            revived += revive(transaction, id_, now, limit)
    return revived


def purge(transaction: Transaction, queue: str, now: float, news: News) -> int:
    """Remove all jobs of a queue that have not begun; those of other queues that wait for one are cancelled."""
    news.begin()
    where = {"queue": queue}
    for (job,) in transaction.all("jobs.purge_dependants", where):
        place = transaction.one("jobs.place", {"id": job})
        if place is not None and place[0] != queue:
            cancel_queued(
                transaction, job, f"queue {queue}, in which a job was that it waited for, was purged", now, news
            )
    newest = transaction.one("jobs.newest")  # its row stays, or its number would be used again
    removed = 0
    if newest is not None and newest[1] == queue:
        removed = int(cancel_queued(transaction, newest[0], "its queue was purged", now, news))
    transaction.run("jobs.purge_needs", where)
    transaction.run("jobs.purge_tags", where)
    removed += transaction.run("jobs.purge", where)
    limits = limits_of(transaction, queue)
    if limits.has_keys:
        count_keys(transaction, queue, now)
    return removed


def prune(transaction: Transaction, now: float) -> int:
    """Remove some jobs that were kept long enough; return how many."""
    removed = transaction.all("jobs.prune", {"now": now, "limit": BATCH})
    rows = [row for id_, queue, tags in removed if tags for row in tag_rows(id_, queue, tags)]
    if rows:
        transaction.many("jobs.drop_tag", rows)
    return len(removed)


def keys_after(transaction: Transaction, begin: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the next keys of all queues behind one, each with its queue."""
    rows = transaction.all("jobs.keys_after", {"queue": begin[0], "key": begin[1], "limit": BATCH})
    return [(row[0], row[1]) for row in rows]


def prune_keys(transaction: Transaction, begin: tuple[str, str], end: tuple[str, str], now: float) -> int:
    """Remove the rows of idle keys in a range whose buckets are full by now: a new row would say the same."""
    values = {"queue": begin[0], "key": begin[1], "last_queue": end[0], "last_key": end[1], "now": now}
    return transaction.run("jobs.prune_keys", values)
