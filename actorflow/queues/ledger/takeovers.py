"""Takeovers: jobs of nodes that have died, hang or end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import HostDied, Stopping
from actorflow.queues.ledger.endings import settle
from actorflow.queues.ledger.records import BATCH, CRASHES, Claimed, News, Outcome, OwnedJob
from actorflow.store.error_json import write_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.transaction import Transaction


def take_over(
    transaction: Transaction, owner: str, now: float, cause: str, news: News, begun: frozenset[int] | None = None
) -> list[tuple[int, str, str]]:
    """End the leases of a node that has died, before its row goes; return (id, queue, status) of its jobs.

    Each that was begun has one more crash: it is tried again, unless it may run once only, or has killed too many. The
    others were only taken ahead, and are given back; for `begun` see `Owned.was_begun`.
    """
    news.begin()
    owned = (OwnedJob(*row) for row in transaction.all("jobs.owned", {"owner": owner}))
    rows = sorted(owned, key=lambda job: job.queue)  # their limits are locked: in the order of all processes
    return [_take_over_one(transaction, owner, job, begun, now, cause, news) for job in rows]


def take_overdue(
    transaction: Transaction,
    queue: str,
    owner: str,
    begun: Callable[[str], frozenset[int] | None],
    lease_now: float,
    now: float,
    news: News,
) -> list[tuple[int, str, str]]:
    """End the leases that have run out: their nodes were stopped, or are cut off."""
    news.begin()
    moved = []
    cause = "has not said for too long that it works on it"
    values = {"now": lease_now, "owner": owner, "queue": queue, "limit": BATCH}
    for id_, other in transaction.all("jobs.overdue", values):
        row = transaction.one("jobs.owned_one", {"id": id_, "owner": other})
        if row is not None:
            moved.append(_take_over_one(transaction, other, OwnedJob(*row), begun(other), now, cause, news))
    return moved


def _take_over_one(
    transaction: Transaction,
    owner: str,
    job: OwnedJob,
    begun: frozenset[int] | None,
    now: float,
    cause: str,
    news: News,
) -> tuple[int, str, str]:
    if job.was_begun(begun):
        status = "dead" if job.at_most_once or job.crashes + 1 >= CRASHES else "queued"
        error = write_error(HostDied(f"node {owner}", how=f"its process {cause}"))
        outcome = Outcome(job.id, job.epoch, job.key, status, error=error, crashes=1)
    else:
        outcome = given_back(job)
    settle(transaction, job.queue, owner, [outcome], now, news)
    return job.id, job.queue, outcome.status


def disown(
    transaction: Transaction,
    queue: str,
    owner: str,
    now: float,
    news: News,
    begun: frozenset[int] | None = None,
    held: frozenset[int] = frozenset(),
) -> None:
    """Queue the jobs again that this node has and works on no more: its claimer has crashed, or the system ends."""
    news.begin()
    for row in transaction.all("jobs.owned", {"owner": owner}):
        job = OwnedJob(*row)
        if job.queue != queue or job.id in held:
            continue
        if job.was_begun(begun):
            outcome = interrupted(job.id, job.epoch, job.key, job.task, once=bool(job.at_most_once))
        else:
            outcome = given_back(job)
        settle(transaction, queue, owner, [outcome], now, news)


def given_back(job: OwnedJob | Claimed) -> Outcome:
    """Return the outcome of a job that was only taken ahead."""
    return Outcome(job.id, job.epoch, job.key, "queued", given_back=True)


def interrupted(id_: int, epoch: int, key: str | None, task: str, *, once: bool) -> Outcome:
    """Return the outcome of an attempt whose process ends: it does not count; a job that may run once only is dead."""
    error = write_error(Stopping("its process ended while it ran")) if once else None
    return Outcome(id_, epoch, key, "dead" if once else "queued", error=error, interrupted=True, task=task)
