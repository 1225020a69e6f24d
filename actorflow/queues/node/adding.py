"""Adding: writes new jobs into the store, also for a waiting worker, and tells the waits for jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.queues import ledger
from actorflow.queues.job import Job
from actorflow.queues.node.held_jobs import check_after, handler_of, hold_all
from actorflow.queues.node.inline import run_inline

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.queues.packing import Packed
    from actorflow.store.transaction import Transaction

HELD_SECONDS: Final = 1.0  # that a user's transaction may be open before it is warned of


def put_and_claim(local: LocalQueue, packed: Packed, now: float) -> int | None:
    """Add a job for a worker that the claimer here has offered; None if there is no such offer any more."""
    try:
        offer = local.offers.pop()
    except IndexError:  # another thread was faster
        return None
    try:
        id_, claimed = local.jobs.put_and_claim(packed, now)
        if local.announcer.listeners:
            local.announcer.tell("queued", id_, packed.task)
    except BaseException:  # of the store, or a Ctrl-C, in a listener too
        local.tell_claimer("take_offered", offer, None, is_all=False)
        raise
    local.tell_claimer("take_offered", offer, claimed, is_all=len(claimed) == 1 and claimed[0].id == id_)
    return id_


def put_all(
    local: LocalQueue, packed: list[Packed], work: Callable[[Transaction, ledger.News], list[int]]
) -> list[Job[Any]]:
    """Add jobs together: in a transaction of ours, in the user's own, or in the commit of a durable handler."""
    news, conn = ledger.News(), packed[0].options.conn
    handler = handler_of(local) if conn is None else None
    check_after(packed, handler)
    if conn is not None:
        ids = work(local.store.join(conn), news)
        watch_transaction(local, conn, ids[-1])
        return [Job(local.store, local.waits, str(id_)) for id_ in ids]

    if handler is not None:
        return hold_all(local, handler, packed, work)

    def begin(transaction: Transaction) -> list[int]:
        news.begin()
        return work(transaction, news)

    ids = local.store.write(begin, local.durability, local.order)
    if news.ended or news.is_unfinished:
        local.announcer.announce([], news)
    return tell_added(local, ids, packed, news.duplicates)


def tell_added(
    local: LocalQueue, ids: list[int], packed: list[Packed], duplicates: Collection[int] = ()
) -> list[Job[Any]]:
    """Tell others of new jobs."""
    try:
        for id_, one in zip(ids, packed, strict=True):
            if id_ not in duplicates:
                local.announcer.tell("queued", id_, one.task)
    finally:  # a Ctrl-C in a listener: the jobs are there
        if not local.inline:
            local.wake()
    if local.inline:
        for id_ in ids:
            run_inline(local, id_)
    return [Job(local.store, local.waits, str(id_)) for id_ in ids]


def watch_transaction(local: LocalQueue, conn: Any, job: int) -> None:
    """See that a user's transaction ends soon: on SQLite nobody else can write until then."""
    if local.scheduler.is_virtual or local.store.dialect != "sqlite":
        return
    began = local.clock.monotonic()

    def look() -> None:
        try:
            warn()
        except Exception as error:  # noqa: BLE001 - the connection was closed, or the store: so it is over
            logger.debug("Queue %s: a transaction is looked at no more: %s", local.name, error)

    def warn() -> None:
        if not conn.in_transaction or local.store.read(lambda transaction: transaction.one("jobs.place", {"id": job})):
            return
        age = local.clock.monotonic() - began
        logger.warning(
            "The transaction in which job %s of queue %s was enqueued is open for %.1f s; on SQLite nobody can "
            "write meanwhile: commit it",
            job,
            local.name,
            age,
        )
        local.scheduler.call_later(age, look)

    local.scheduler.call_later(HELD_SECONDS, look)
