"""Adding: writes new jobs into the store, also for a waiting worker, and tells the waits for jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from actorflow.queues import ledger
from actorflow.queues.job import Job
from actorflow.queues.node.claimer import Claimer
from actorflow.queues.node.inline import run_inline
from actorflow.queues.node.open_transactions import watch_transaction

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.queues.packing import Packed
    from actorflow.store.transaction import Transaction


def put_and_claim(local: LocalQueue, packed: Packed, now: float) -> int | None:
    """Add a job for a worker that the claimer here has offered; None if there is no such offer any more."""
    claimer = local.claimer
    try:
        offer = local.offers.pop()
    except IndexError:  # another thread was faster
        return None
    assert claimer is not None
    try:
        id_, claimed = local.put_and_claim(packed, now)
    except BaseException:
        claimer.cast(Claimer.take_offered, offer, None, is_all=False)
        raise
    local.listeners.tell("queued", id_, packed.task)
    claimer.cast(Claimer.take_offered, offer, claimed, is_all=[job.id for job in claimed] == [id_])
    return id_


def put_all(
    local: LocalQueue, packed: list[Packed], work: Callable[[Transaction, ledger.News], list[int]]
) -> list[Job[Any]]:
    """Add jobs together: in a transaction of ours, or in the user's own."""
    news, conn = ledger.News(), packed[0].options.conn
    if conn is not None:
        ids = work(local.store.join(conn), news)
        watch_transaction(local, conn, ids[-1])
        return [Job(local.store, local.waits, str(id_)) for id_ in ids]

    def begin(transaction: Transaction) -> list[int]:
        news.begin()
        return work(transaction, news)

    ids = local.store.write(begin, local.durability, local.order)
    if news.ended or news.is_unfinished:
        local.told([], news)
    return tell_added(local, ids, packed, news.duplicates)


def tell_added(
    local: LocalQueue, ids: list[int], packed: list[Packed], duplicates: Collection[int] = ()
) -> list[Job[Any]]:
    """Tell others of new jobs."""
    for id_, one in zip(ids, packed, strict=True):
        if id_ not in duplicates:
            local.listeners.tell("queued", id_, one.task)
    if local.inline:
        for id_ in ids:
            run_inline(local, id_)
    else:
        local.wake()
    return [Job(local.store, local.waits, str(id_)) for id_ in ids]
