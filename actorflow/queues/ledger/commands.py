"""Commands: jobs that are cancelled, queued again or removed."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from actorflow.errors import DefinitionError, PayloadError
from actorflow.queues.ledger.arrivals import hold, tag_rows
from actorflow.queues.ledger.awaited import tell_removed
from actorflow.queues.ledger.chains import cancel_queued, members_of
from actorflow.queues.ledger.limits import HELD, OVER, READY, Limits, enter, free_slot, limits_of
from actorflow.queues.ledger.records import BATCH, DAY, FINAL, News

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

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


def not_begun(transaction: Transaction, queue: str, before: int) -> list[int]:
    """Return the newest jobs of a queue that have not begun, some of those with ids below `before`."""
    return [row[0] for row in transaction.all("jobs.not_begun", {"queue": queue, "before": before, "limit": BATCH})]


def purge(transaction: Transaction, ids: list[int], queue: str, now: float, news: News) -> tuple[int, bool]:
    """Remove some jobs of a queue, as far as they have not begun; those that wait for one of them are cancelled.

    Returns:
        how many were removed, and whether that is all: so many may wait for them that it takes more transactions.
    """
    news.begin()
    limits = limits_of(transaction, queue)  # first, as for all who end jobs
    ids = [row[0] for row in transaction.all("jobs.still_not_begun", {"queue": queue, "ids": json.dumps(ids)})]
    waiting = transaction.all("jobs.purge_dependants", {"ids": json.dumps(ids), "limit": BATCH})
    for (job,) in waiting:
        cancel_queued(transaction, job, f"queue {queue}, in which a job was that it waited for, was purged", now, news)
    if len(waiting) == BATCH:
        return 0, False
    removed = 0
    newest = transaction.one("jobs.newest")  # its row stays, or its number would be used again
    if newest is not None and newest[0] in ids:
        removed = int(cancel_queued(transaction, newest[0], "its queue was purged", now, news))
    tell_removed(transaction, ids, now, news)
    rows = transaction.all("jobs.purge", {"ids": json.dumps(ids)})
    clear_up(transaction, queue, rows, limits, now)
    return removed + len(rows), True


def clear_up(transaction: Transaction, queue: str, rows: list[Row], limits: Limits, now: float) -> None:
    """Remove the rows of jobs that are gone, and give back the slots they held."""
    gone = {"ids": json.dumps([row[0] for row in rows])}
    transaction.run("jobs.purge_needed", gone)
    transaction.run("jobs.purge_needs", gone)
    tagged = [tag for id_, _, _, _, tags in rows if tags for tag in tag_rows(id_, queue, tags)]
    if tagged:
        transaction.many("jobs.drop_tag", tagged)
    for _, key, stage, unique, _ in rows:
        if stage == HELD and unique is not None:  # maybe it was to replace one that runs, which has its key again
            transaction.run("jobs.reinstate", {"queue": queue, "unique": unique})
        elif stage == READY and key is not None and limits.has_keys:
            free_slot(transaction, queue, key, limits, now, begun=False)


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
