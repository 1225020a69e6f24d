"""Reasons: why a job is not over yet, for waits that run out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actorflow.queues.ledger.limits import BEHIND, DUE, HELD, LACKING, RUNNING
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.transaction import Transaction
    from actorflow.tasks.task import KnownTasks


class DelayReason(NamedTuple):
    """The reason why a job is not over.

    Attributes:
        is_vain: nobody in this process can end it.
    """

    text: str
    is_vain: bool


def reason_for(
    transaction: Transaction, job: int, now: float, workers: Callable[[str], int], known: KnownTasks
) -> DelayReason:
    """Say why a job is not over; `workers` says how many this process has for a queue."""
    row = transaction.one("jobs.why", {"id": job})
    if row is None:
        return DelayReason("it is not there any more", is_vain=True)
    status, stage, queue, task, due, lacks, needs, paused = row
    if stage >= RUNNING:
        return DelayReason(f"it is {status}", is_vain=False)
    if stage == LACKING:
        return DelayReason(f"it waits for a process that knows the class {lacks!r} of its arguments", is_vain=True)
    if stage == DUE:
        return DelayReason(f"it is due in {max(0.0, due - now):.4g} s", is_vain=False)
    if stage == HELD:
        return DelayReason(f"it waits for {plural(needs, 'other job')}", is_vain=False)
    if paused:
        return DelayReason(f"its queue {queue!r} is paused: resume() it", is_vain=True)
    if not workers(queue):
        cure = f"start some, here or in another process, by system.queue({queue!r}, workers=2)"
        return DelayReason(f"this process has no workers for queue {queue!r}: {cure}", is_vain=True)
    if task not in known:
        return DelayReason(f"its task {task!r} {known.why_not(task)}", is_vain=True)
    return DelayReason("its key has no slot" if stage == BEHIND else "no worker is free for it", is_vain=False)
