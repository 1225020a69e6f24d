"""Takeovers: jobs of nodes that have died, hang or end. Layer 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import HostDied, Stopping
from actorflow.queue.ledger.endings import settle
from actorflow.queue.ledger.records import BATCH, CRASHES, News, Outcome
from actorflow.store.faults import write_error

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction


def take_over(
    transaction: Transaction, owner: str, now: float, cause: str, news: News, begun: frozenset[int] | None = None
) -> list[tuple[int, str, str]]:
    """End the leases of a node that has died; return (id, queue, status) of its jobs.

    Each that was begun has one more crash: it is tried again, unless it may run once only, or has killed too many. The
    others were only taken ahead, and are given back; if `begun` is None, nobody knows which these are.
    """
    news.begin()
    moved = []
    for row in transaction.all("jobs.owned", {"owner": owner}):
        if begun is None or row[0] in begun:
            moved.append(_take_over_one(transaction, owner, row, now, cause, news))
        else:
            moved.append(_give_back_one(transaction, owner, row, now, news))
    transaction.run("nodes.remove", {"id": owner})
    return moved


def take_overdue(
    transaction: Transaction, queue: str, owner: str, lease_now: float, now: float, news: News
) -> list[tuple[int, str, str]]:
    """End the leases that have run out: their nodes were stopped, or are cut off."""
    news.begin()
    moved = []
    values = {"now": lease_now, "owner": owner, "queue": queue, "limit": BATCH}
    for id_, other in transaction.all("jobs.overdue", values):
        row = transaction.one("jobs.owned_one", {"id": id_, "owner": other})
        if row is not None:
            cause = "has not said for too long that it works on it"
            moved.append(_take_over_one(transaction, other, row, now, cause, news))
    return moved


def _take_over_one(
    transaction: Transaction, owner: str, row: Row, now: float, cause: str, news: News
) -> tuple[int, str, str]:
    id_, queue, key, epoch, _, crashes, at_most_once, _ = row
    status = "dead" if at_most_once or crashes + 1 >= CRASHES else "queued"
    outcome = Outcome(
        id_, epoch, key, status, error=write_error(HostDied(f"its process (node {owner})", how=cause)), crashes=1
    )
    settle(transaction, queue, owner, [outcome], now, news)
    return id_, queue, outcome.status


def _give_back_one(transaction: Transaction, owner: str, row: Row, now: float, news: News) -> tuple[int, str, str]:
    id_, queue, key, epoch, *_ = row
    outcome = Outcome(id_, epoch, key, "queued", given_back=True)
    settle(transaction, queue, owner, [outcome], now, news)
    return id_, queue, outcome.status


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
        id_, of_queue, key, epoch, _, _, at_most_once, task = row
        if of_queue != queue or id_ in held:
            continue
        if begun is not None and id_ not in begun:
            _give_back_one(transaction, owner, row, now, news)
            continue
        outcome = interrupted(id_, epoch, key, task, once=bool(at_most_once))
        settle(transaction, queue, owner, [outcome], now, news)


def interrupted(id_: int, epoch: int, key: str | None, task: str, *, once: bool) -> Outcome:
    """Return the outcome of an attempt whose process ends: it does not count; what may run once only is dead."""
    error = write_error(Stopping("its process ended while it ran")) if once else None
    return Outcome(id_, epoch, key, "dead" if once else "queued", error=error, interrupted=True, task=task)
