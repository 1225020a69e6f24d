"""Chains: the effect of a job's end on the jobs that wait for it, and on those that wait for these.

The chain is a list of work, not a recursion: users chain as many jobs as they like. One transaction tells some thousand
jobs; the rest is written down, and `carry_on` goes on with it, in this process or in any other.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from actorflow.errors import JobCancelled, PayloadError
from actorflow.queues.ledger.awaited import NOBODY, tell_awaiting
from actorflow.queues.ledger.limits import HELD, READY, RUNNING, enter, free_slot, limits_of
from actorflow.queues.ledger.records import DEAD_SECONDS, FINAL, Counts, News
from actorflow.store.codec import too_big
from actorflow.store.error_json import write_error
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction

TAKEN = 50  # jobs of the list that one transaction goes on with
End = tuple[int, str]  # a job that is over, and its status


def spread(transaction: Transaction, ended: Iterable[End], now: float, news: News, limit: int) -> None:
    """Let the jobs go on that waited for some that are over; those that cannot are over too, and so on.

    A completed member of a group stays needed until the results of all are gathered, so that retention leaves it.
    """
    work = deque(ended)
    counts: dict[str, Counts] = {}
    while work:
        id_, status = work.popleft()
        if news.room <= 0:
            transaction.run("jobs.add_ended", {"id": id_})
            news.is_unfinished = True
            continue
        waiting = transaction.all("jobs.dependants", {"needs": id_, "limit": news.room})
        if not waiting:
            continue
        is_all = len(waiting) < news.room
        news.room -= len(waiting)
        for job, anyway in waiting:
            if job == NOBODY:
                tell_awaiting(transaction, id_, now, news)
                continue
            end = tell(transaction, job, id_, "completed" if anyway else status, now, news, limit, counts)
            if end is not None:
                work.append(end)
        told = {"needs": id_, "last": waiting[-1][0]}
        if transaction.run("jobs.drop_needs", told) < len(waiting):
            transaction.run("jobs.keep_needs", told)
        if not is_all:
            work.append((id_, status))
    for queue in sorted(counts):
        counts[queue].write(transaction, queue)


def tell(
    transaction: Transaction,
    job: int,
    needed: int,
    status: str,
    now: float,
    news: News,
    limit: int,
    counts: dict[str, Counts],
) -> End | None:
    """Tell a job that one which it waits for is over; return its own end, if that is its end too."""
    if status != "completed":
        why = JobCancelled(f"job {needed}, which it waited for, is {status}")
        return end_one(transaction, job, "cancelled", why, now, news, counts)
    row = transaction.one("jobs.need_met", {"id": job})
    if row is None or row[0] > 0:
        return None
    _, due, key, queue, gather = row
    if gather is not None:
        end = collect(transaction, job, gather, now, news, limit, counts)
        if end is not None:
            return end
    enter(transaction, job, queue, key, due, limits_of(transaction, queue), now)
    news.queues.add(queue)
    return None


def carry_on(transaction: Transaction, now: float, news: News, limit: int) -> None:
    """Go on with work that other transactions have left, in part; `news.is_unfinished` says if more may be left."""
    news.begin()
    ended = []
    taken = transaction.all("jobs.take_ended", {"limit": TAKEN})
    for (id_,) in taken:
        row = transaction.one("jobs.status", {"id": id_})
        if row is not None and row[0] in FINAL:  # else it was queued again, and tells them at its next end
            ended.append((id_, row[0]))
    news.is_unfinished = len(taken) == TAKEN
    spread(transaction, ended, now, news, limit)


def members_of(gather: str) -> list[int]:
    """Return the jobs whose results another one gathers.

    Raises:
        PayloadError: its row is damaged.
    """
    try:
        return [int(member) for member in json.loads(gather)]
    except (ValueError, TypeError) as error:
        msg = f"the list of a group's jobs is damaged: {error}"
        raise PayloadError(msg) from error


def collect(
    transaction: Transaction, id_: int, gather: str, now: float, news: News, limit: int, counts: dict[str, Counts]
) -> End | None:
    """Make the results of a group's jobs the argument of the one that waited for them.

    Returns:
        Its end, if they are too big together, or nobody can tell which they are: then none of them was read.
    """
    try:
        members = members_of(gather)
    except PayloadError as error:
        return end_one(transaction, id_, "dead", error, now, news, counts)
    ids = json.dumps(members)
    size = (transaction.one("jobs.size_of_results", {"ids": ids}) or (0,))[0]
    if size > limit:
        why = too_big(f"the results of the group's {plural(len(members), 'job')}", size, limit)
        return end_one(transaction, id_, "dead", why, now, news, counts)
    results: dict[int, bytes | None] = dict(transaction.all("jobs.results", {"ids": ids}))
    transaction.run("jobs.drop_gathered", {"id": id_, "ids": ids})
    listed = b",".join(results.get(member) or b"null" for member in members)
    transaction.run("jobs.set_args", {"id": id_, "args": b"[[[" + listed + b"]],{}]"})
    return None


def end_one(
    transaction: Transaction,
    id_: int,
    status: Literal["cancelled", "dead"],
    error: Exception,
    now: float,
    news: News,
    counts: dict[str, Counts],
    keep: float = DEAD_SECONDS,
) -> End | None:
    """End a job that has not begun, and nothing that follows from it; None if it has begun, or is over."""
    row = transaction.one("jobs.place", {"id": id_})
    if row is None or row[2] >= RUNNING:
        return None
    queue, key, stage, task, gather, unique = row
    follows = stage == HELD and unique is not None  # maybe one that it has replaced, and that still runs
    if follows:
        limits_of(transaction, queue)  # first, as in all code that replaces or ends jobs
    values = {"id": id_, "status": status, "now": now, "error": write_error(error), "keep": now + keep}
    if not transaction.run("jobs.end_queued", values):
        return None  # another process has just claimed it
    news.ended.append((id_, task, status))
    news.queues.add(queue)
    count = counts.setdefault(queue, Counts())
    setattr(count, status, getattr(count, status) + 1)
    if stage == HELD:
        gather_no_more(transaction, id_, gather)
        if follows:  # that one has its key again, so that the next one runs after it
            transaction.run("jobs.reinstate", {"queue": queue, "unique": unique})
    elif key is not None and stage == READY:
        limits = limits_of(transaction, queue)
        if limits.has_keys:
            free_slot(transaction, queue, key, limits, now, begun=False)
    return id_, status


def gather_no_more(transaction: Transaction, id_: int, gather: str | None) -> None:
    """Let retention have the members of a group, as the one that was to get their results is over."""
    if gather is None:
        return
    try:
        members: Sequence[int] = members_of(gather)
    except PayloadError:
        return  # a few rows stay that nobody can find
    transaction.run("jobs.drop_gathered", {"id": id_, "ids": json.dumps(members)})


def end_queued(
    transaction: Transaction,
    id_: int,
    status: Literal["cancelled", "dead"],
    error: Exception,
    now: float,
    news: News,
    keep: float = DEAD_SECONDS,
) -> bool:
    """End a job that has not begun, with all that follows from it; False if it has."""
    counts: dict[str, Counts] = {}
    end = end_one(transaction, id_, status, error, now, news, counts, keep)
    for queue, count in counts.items():
        count.write(transaction, queue)
    if end is not None:
        spread(transaction, [end], now, news, sys.maxsize)
    return end is not None


def cancel_queued(
    transaction: Transaction, id_: int, why: str, now: float, news: News, keep: float = DEAD_SECONDS
) -> bool:
    """Cancel a job that has not begun; False if it has."""
    return end_queued(transaction, id_, "cancelled", JobCancelled(why), now, news, keep)
