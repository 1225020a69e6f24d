"""Endings: the outcomes of jobs that a node had."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import JobCancelled
from actorflow.queues.ledger.awaited import tell_awaiting
from actorflow.queues.ledger.chains import spread
from actorflow.queues.ledger.limits import BEHIND, DUE, READY, Limits, free_slot, limits_of
from actorflow.queues.ledger.records import DEAD_SECONDS, FINAL, Counts, News, Outcome
from actorflow.store.error_json import write_error

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
    """Write the outcomes of jobs; nothing is written for jobs that the node has lost.

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
    if needed:
        ended = [(one.id, one.status) for one in outcomes if one.id in needed and one.status in FINAL]
        spread(transaction, [one for one in ended if one[0] not in news.lost], now, news, limit)
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
    """Write completed jobs without a limited key together; return the other outcomes, to be written one by one."""
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
    if rows:
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
        row = transaction.one("jobs.cancelled_how", values)
        error = REPLACED if row is not None and row[0] == SUPERSEDED else CANCELLED_MEANWHILE
        outcome.status, outcome.error, outcome.given_back = "cancelled", error, False
    if outcome.status == "completed":
        values |= {"now": now, "result": outcome.result, "keep": now + outcome.keep}
        return bool(transaction.run("jobs.complete", values))
    values |= {"status": outcome.status, "error": outcome.error, "crashes": outcome.crashes}
    # A failed job may still be wanted, however long results are kept.
    keep = outcome.keep if outcome.status == "cancelled" else max(DEAD_SECONDS, outcome.keep)
    values |= {"now": now, "keep": now + keep}
    return bool(transaction.run("jobs.end", values))


def end_alone(transaction: Transaction, owner: str, outcome: Outcome, now: float, news: News) -> None:
    """End a job, and no other that waits for it: the last resort for one whose row is damaged.

    Runs that wait for the job hear of its end all the same.
    """
    values = {"id": outcome.id, "owner": owner, "epoch": outcome.epoch, "status": outcome.status, "now": now}
    values |= {"error": outcome.error, "crashes": outcome.crashes, "keep": now + DEAD_SECONDS}
    news.begin()
    if transaction.run("jobs.end", values):
        tell_awaiting(transaction, outcome.id, now, news)


def _queue_again(
    transaction: Transaction, values: dict[str, Any], outcome: Outcome, limits: Limits, now: float
) -> bool:
    """Queue a job again; False if it is not ours any more, or is cancelled."""
    waits = BEHIND if outcome.key is not None and limits.has_keys else READY  # `free_slot` lets it go on
    if outcome.lacks is not None:
        return bool(transaction.run("jobs.park", {**values, "lacks": outcome.lacks, "error": outcome.error}))
    if outcome.given_back:
        return bool(transaction.run("jobs.give_back", {**values, "stage": waits}))
    stage = DUE if outcome.due is not None and outcome.due > now else waits
    more: dict[str, Any] = {"stage": stage, "due": outcome.due, "error": outcome.error, "crashes": outcome.crashes}
    more["options"] = outcome.options
    return bool(transaction.run("jobs.again", {**values, **more, "undone": int(outcome.interrupted)}))


SUPERSEDED: Final = 2  # `cancelling` of a job that runs and was replaced, plus 1 if it is to end at once
REPLACED: Final = write_error(JobCancelled("it was replaced while it ran, so it is not tried again"))
CANCELLED_MEANWHILE: Final = write_error(JobCancelled("it was cancelled while it ran"))


def _count(counts: Counts, outcome: Outcome) -> None:
    if outcome.status in FINAL:
        setattr(counts, outcome.status, getattr(counts, outcome.status) + 1)
    elif not (outcome.given_back or outcome.interrupted):
        counts.retried += 1
