"""Held jobs: the way of jobs that a durable handler enqueues into its commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.execution import CURRENT
from actorflow.queues import ledger
from actorflow.queues.job import HeldJob, Job

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Execution
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.queues.packing import Packed
    from actorflow.store.transaction import Transaction


def handler_of(local: LocalQueue) -> Execution | None:
    """Return the execution whose commit takes jobs of a queue; None if there is none, and they are there at once."""
    execution = CURRENT.get()
    if execution is None or not execution.holds or local.inline or not execution.commits_to(local.store):
        return None
    return execution


def check_after(packed: list[Packed], execution: Execution | None) -> None:
    """Refuse jobs that are to come behind a job that is not there: its handler is not committed, or has failed.

    Raises:
        DefinitionError: one of them is; it would be taken for another job, as it has no id.
    """
    for job in (job for one in packed for job in one.options.after):
        if isinstance(job, HeldJob):
            job.check_within(execution)


def hold_all(
    local: LocalQueue,
    execution: Execution,
    packed: list[Packed],
    work: Callable[[Transaction, ledger.News], list[int]],
) -> list[Job[Any]]:
    """Make jobs part of a handler's commit."""
    jobs = [HeldJob[Any](local.store, local.waits, execution) for _ in packed]
    news = ledger.News()

    def write(transaction: Transaction) -> None:
        news.begin()
        for job, number in zip(jobs, work(transaction, news), strict=True):
            job.number = number

    def tell() -> None:
        for job in jobs:
            job.is_there = True
        if news.ended or news.is_unfinished:
            local.announcer.announce([], news)
        try:
            for job, one in zip(jobs, packed, strict=True):
                if job.number not in news.duplicates:
                    local.announcer.tell("queued", job.number, one.task)
        finally:
            local.wake()

    execution.also(write, tell, local.durability)
    return list(jobs)
