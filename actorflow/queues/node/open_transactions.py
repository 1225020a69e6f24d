"""Open transactions of tasks: they are reported, or undone, if they keep others from writing for long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.queues.node.attempt import Attempt
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.open_transaction import OpenTransaction

REPORT_SECONDS: Final = 30.0  # between two reports of a transaction that is open for long
HELD_SECONDS: Final = 1.0  # that a task's transaction may be open before it is warned of


def watch_held(local: LocalQueue, attempt: Attempt, held: OpenTransaction) -> None:
    """Report a task that has its transaction open for long, and undo it when the task's time is over.

    The claimer cannot do so: it may itself wait for the transaction.
    """
    if local.scheduler.is_virtual:
        return
    job, timeout, began = attempt.job, attempt.timeout, local.clock.monotonic()

    def look() -> None:
        if not held.is_open:
            return
        if timeout is not None and local.clock.monotonic() - attempt.began >= timeout:
            if held.abandon():
                text = "Job %s (%s) hung in its transaction(), which was undone at its timeout of %s s"
                logger.error(text, job.id, job.task, timeout)
            return
        seconds = local.clock.monotonic() - began
        text = "Job %s (%s) has had its transaction() open for %.1f s; nobody else can write to %s meanwhile"
        logger.warning(text, job.id, job.task, seconds, local.store.url)
        local.scheduler.call_later(next_look(), look)

    def next_look(seconds: float = REPORT_SECONDS) -> float:
        left = math.inf if timeout is None else attempt.began + timeout - local.clock.monotonic()
        return max(0.0, min(seconds, left))

    local.scheduler.call_later(next_look(HELD_SECONDS), look)
