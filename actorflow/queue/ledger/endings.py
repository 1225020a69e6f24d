"""Endings: what became of jobs, and of those that wait for them. Layer 4."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from actorflow.errors import JobCancelled
from actorflow.queue.ledger.records import DAY, DEAD_SECONDS, FINAL, Counts, News, Outcome
from actorflow.queue.slots import BEHIND, DUE, HELD, READY, RUNNING, Limits, enter, free_slot, limits_of
from actorflow.store.codec import too_big
from actorflow.store.faults import write_error

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction

SAME: Final = 4  # results from which on one statement for all is faster than one for each


def settle(
    transaction: Transaction,
    queue: str,
    owner: str,
    outcomes: list[Outcome],
    now: float,
    news: News,
    limit: int = sys.maxsize,
) -> None:
    """Write what became of jobs; nothing is written for those that the node has lost.

    `limit`: bytes that the results of a group may have together.
    """
    limits = limits_of(transaction, queue)
    counts = Counts()
    returned = 0
    for outcome in settle_completed(transaction, owner, outcomes, limits, counts, now, news):
        if not _settle_one(transaction, owner, outcome, limits, now):
            news.lost.append(outcome.id)
            continue
        counts.running -= 1
        returned += outcome.given_back
        _count(counts, outcome)
        if outcome.key is not None and limits.has_keys:
            free_slot(transaction, queue, outcome.key, limits, now, begun=True, token=outcome.given_back)
    needed = needed_of(transaction, outcomes)  # now that they are over: nobody begins to wait for them any more
    for outcome in outcomes:
        if outcome.id in needed and outcome.status in FINAL and outcome.id not in news.lost:
            after_end(transaction, outcome.id, outcome.status, now, news, limit)
    if returned and limits.rate is not None:
        limits.fill(now)
        tokens = min(limits.burst, limits.tokens + returned)
        transaction.run("jobs.set_tokens", {"name": queue, "tokens": tokens, "now": now})
    if limits.concurrency is None:
        counts.running = 0
    counts.write(transaction, queue)


def needed_of(transaction: Transaction, outcomes: list[Outcome]) -> set[int]:
    """Return the jobs that others wait for."""
    ids = json.dumps([outcome.id for outcome in outcomes if outcome.status in FINAL])
    return {row[0] for row in transaction.all("jobs.needed", {"ids": ids})}


def settle_completed(
    transaction: Transaction,
    owner: str,
    outcomes: list[Outcome],
    limits: Limits,
    counts: Counts,
    now: float,
    news: News,
) -> list[Outcome]:
    """Write together what was completed without a limited key; return the outcomes that are left, for one by one."""
    plain = [one for one in outcomes if one.status == "completed" and (one.key is None or not limits.has_keys)]
    if len(plain) < 4:
        return outcomes
    ids = json.dumps([outcome.id for outcome in plain])
    mine = set(transaction.all("jobs.mine", {"ids": ids, "owner": owner}))
    alike: dict[tuple[bytes | None, float], list[int]] = {}  # many results are None, or True
    for outcome in plain:
        if (outcome.id, outcome.epoch) in mine:
            alike.setdefault((outcome.result, now + outcome.keep), []).append(outcome.id)
        else:
            news.lost.append(outcome.id)
    rows = []
    for (result, keep), same in alike.items():
        row = {"now": now, "result": result, "keep": keep}
        if len(same) < SAME:
            rows += [{**row, "id": id_} for id_ in same]
        else:
            transaction.run("jobs.complete_alike", {**row, "ids": json.dumps(same)})
    transaction.many("jobs.complete_mine", rows)
    completed = sum(map(len, alike.values()))
    counts.running -= completed
    counts.completed += completed
    if len(plain) == len(outcomes):
        return []
    together = {outcome.id for outcome in plain}
    return [outcome for outcome in outcomes if outcome.id not in together]


def _settle_one(transaction: Transaction, owner: str, outcome: Outcome, limits: Limits, now: float) -> bool:
    values = {"id": outcome.id, "owner": owner, "epoch": outcome.epoch}
    if outcome.status == "queued":
        if _queue_again(transaction, values, outcome, limits, now):
            return True
        # not ours any more, or somebody has cancelled it meanwhile
        outcome.status, outcome.error, outcome.given_back = "cancelled", CANCELLED_MEANWHILE, False
    if outcome.status == "completed":
        values |= {"now": now, "result": outcome.result, "keep": now + outcome.keep}
        return bool(transaction.run("jobs.complete", values))
    values |= {"status": outcome.status, "error": outcome.error, "crashes": outcome.crashes}
    values |= {"now": now, "keep": now + (DEAD_SECONDS if outcome.status == "dead" else outcome.keep)}
    return bool(transaction.run("jobs.end", values))


def end_alone(transaction: Transaction, owner: str, outcome: Outcome, now: float) -> bool:
    """End a job, and nothing that follows from it: the last resort for one whose row is damaged."""
    values = {"id": outcome.id, "owner": owner, "epoch": outcome.epoch, "status": outcome.status, "now": now}
    values |= {"error": outcome.error, "crashes": outcome.crashes, "keep": now + DEAD_SECONDS}
    return bool(transaction.run("jobs.end", values))


def _queue_again(
    transaction: Transaction, values: dict[str, Any], outcome: Outcome, limits: Limits, now: float
) -> bool:
    """Queue a job again; False if it is not ours any more, or is cancelled."""
    waits = BEHIND if outcome.key is not None and limits.has_keys else READY  # `free_slot` lets it go on
    if outcome.given_back:
        return bool(transaction.run("jobs.give_back", {**values, "stage": waits}))
    stage = DUE if outcome.due is not None and outcome.due > now else waits
    more = {"stage": stage, "due": outcome.due, "error": outcome.error, "crashes": outcome.crashes}
    return bool(transaction.run("jobs.again", {**values, **more, "undone": int(outcome.interrupted)}))


CANCELLED_MEANWHILE: Final = write_error(JobCancelled("it was cancelled while it ran"))


def _count(counts: Counts, outcome: Outcome) -> None:
    if outcome.status in FINAL:
        setattr(counts, outcome.status, getattr(counts, outcome.status) + 1)
    elif not (outcome.given_back or outcome.interrupted):
        counts.retried += 1


def after_end(
    transaction: Transaction, id_: int, status: str, now: float, news: News, limit: int = sys.maxsize
) -> None:
    """Let the jobs go on that waited for one that is over; if it was not completed, they are cancelled.

    A completed member of a group stays needed until the results of all are gathered, so that retention leaves it.
    """
    for (job,) in transaction.all("jobs.dependants", {"needs": id_}):
        if status != "completed":
            cancel_queued(transaction, job, f"job {id_}, which it waited for, is {status}", now, news)
            continue
        row = transaction.one("jobs.need_met", {"id": job})
        if row is not None and row[0] == 0:
            _, due, key, queue, gather = row
            if gather is not None and not collect(transaction, job, json.loads(gather), now, news, limit):
                continue
            enter(transaction, job, queue, key, due, limits_of(transaction, queue), now)
            news.queues.add(queue)
    transaction.run("jobs.drop_needs", {"needs": id_})


def collect(transaction: Transaction, id_: int, members: Sequence[int], now: float, news: News, limit: int) -> bool:
    """Make the results of a group's jobs the argument of the one that waited for them.

    Returns:
        False if they are too big together: then it is dead, and none of them was read.
    """
    ids = json.dumps(members)
    size = (transaction.one("jobs.size_of_results", {"ids": ids}) or (0,))[0]
    if size > limit:
        error = too_big(f"the results of the group's {len(members)} jobs", size, limit)
        return not end_queued(transaction, id_, "dead", error, now, news)
    results: dict[int, bytes | None] = dict(transaction.all("jobs.results", {"ids": ids}))
    transaction.run("jobs.drop_gathered", {"id": id_})
    listed = b",".join(results.get(member) or b"null" for member in members)
    transaction.run("jobs.set_args", {"id": id_, "args": b"[[[" + listed + b"]],{}]"})
    return True


def cancel_queued(transaction: Transaction, id_: int, why: str, now: float, news: News) -> bool:
    """Cancel a job that has not begun; False if it has."""
    return end_queued(transaction, id_, "cancelled", JobCancelled(why), now, news)


def end_queued(
    transaction: Transaction, id_: int, status: Literal["cancelled", "dead"], error: Exception, now: float, news: News
) -> bool:
    """End a job that has not begun; False if it has."""
    row = transaction.one("jobs.place", {"id": id_})
    if row is None or row[2] >= RUNNING:
        return False
    queue, key, stage, task = row
    keep = now + (DEAD_SECONDS if status == "dead" else DAY)
    values = {"id": id_, "status": status, "now": now, "error": write_error(error), "keep": keep}
    if not transaction.run("jobs.end_queued", values):
        return False  # another process has just claimed it
    news.ended.append((id_, task, status))
    news.queues.add(queue)
    Counts(**{status: 1}).write(transaction, queue)
    if stage == HELD:
        transaction.run("jobs.drop_gathered", {"id": id_})
    elif key is not None and stage == READY:
        limits = limits_of(transaction, queue)
        if limits.has_keys:
            free_slot(transaction, queue, key, limits, now, begun=False)
    after_end(transaction, id_, status, now, news)
    return True
