"""Open transactions: they are watched, and reported or undone if they keep others from writing for long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.queues.node.attempt import Attempt
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.open_transaction import OpenTransaction

REPORT_SECONDS: Final = 30.0  # between two reports of a transaction that is open for long
HELD_SECONDS: Final = 1.0  # that a user's transaction may be open before it is warned of


def watch_transaction(line: LocalQueue, conn: Any, job: int) -> None:
    """See that a user's transaction ends soon: on SQLite nobody else can write until then."""
    if line.is_virtual or line.store.dialect != "sqlite":
        return
    began = line.clock.monotonic()

    def look() -> None:
        try:
            warn()
        except Exception as error:  # noqa: BLE001 - the connection was closed, or the store: so it is over
            logger.debug("Queue %s: a transaction is looked at no more: %s", line.name, error)

    def warn() -> None:
        if not conn.in_transaction or line.store.read(lambda transaction: transaction.one("jobs.place", {"id": job})):
            return
        age = line.clock.monotonic() - began
        logger.warning(
            "The transaction in which job %s of queue %s was enqueued is open for %.1f s; on SQLite nobody can "
            "write meanwhile: commit it",
            job,
            line.name,
            age,
        )
        line.after(age, look)

    line.after(HELD_SECONDS, look)


def watch_held(line: LocalQueue, attempt: Attempt, held: OpenTransaction) -> None:
    """Report a task that has its transaction open for long, and undo it when the task's time is over.

    The claimer cannot do so: it may itself wait for the transaction.
    """
    if line.is_virtual:
        return
    job, timeout, began = attempt.job, attempt.timeout, line.clock.monotonic()

    def look() -> None:
        if not held.is_open:
            return
        if timeout is not None and line.clock.monotonic() - attempt.began >= timeout:
            if held.abandon():
                text = "Job %s (%s) hung in its transaction(), which was undone at its timeout of %s s"
                logger.error(text, job.id, job.task, timeout)
            return
        seconds = line.clock.monotonic() - began
        text = "Job %s (%s) has had its transaction() open for %.1f s; nobody else can write to %s meanwhile"
        logger.warning(text, job.id, job.task, seconds, line.store.url)
        line.after(next_look(), look)

    def next_look(seconds: float = REPORT_SECONDS) -> float:
        left = math.inf if timeout is None else attempt.began + timeout - line.clock.monotonic()
        return max(0.0, min(seconds, left))

    line.after(next_look(HELD_SECONDS), look)
