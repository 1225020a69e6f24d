"""Inline: a job that runs in the thread that enqueues it, for tests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.errors import PayloadError
from actorflow.queues import ledger
from actorflow.queues.node.job_owner import JobAttempt, attempt_of, begin, dead_letter, ended
from actorflow.tasks.running import run_on_loop

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue

LEASE_SECONDS: Final = 86400.0


def run_inline(local: LocalQueue, id_: int) -> None:
    """Run a job, and try it again as its retry says, without the pauses; the outcome is in the store."""
    rng = random.Random(id_)
    try:
        local.inlined.add(id_)
        run_until_over(local, id_, rng)
    except BaseException:  # Ctrl-C, or the store: it may be this process's now, and nobody would run it
        disown(local, id_)
        raise
    finally:
        local.inlined.discard(id_)


def disown(local: LocalQueue, id_: int) -> None:
    """Queue a job again, if this process has it; those that its workers run stay theirs."""
    claimer = local.claimer
    if claimer is not None and claimer.is_alive():
        local.tell_claimer("disown_others")
        return
    try:
        local.upkeep.disown(frozenset(local.inlined - {id_}))
    except Exception as error:  # noqa: BLE001 - the store is gone
        logger.error("Job %s of queue %s may stay as it is, until this process ends: %s", id_, local.name, error)


def run_until_over(local: LocalQueue, id_: int, rng: random.Random) -> None:
    """Take a job and run it, until it is over or somebody else's."""
    while (attempt := take(local, id_)) is not None:
        try:
            outcome = run(attempt, rng)
        except BaseException:  # Ctrl-C: the attempt does not count
            local.jobs.settle(attempt.owner.interrupted())
            raise
        ended(attempt)
        if not attempt.settled:
            local.jobs.settle(outcome)
        if attempt.owner.lack is not None:
            raise attempt.owner.lack
        if outcome.status in ledger.FINAL or outcome.given_back:
            return


def take(local: LocalQueue, id_: int) -> JobAttempt | None:
    """Take a job; None if a job that it waits for is not over or has failed, or another process has it."""
    owner, now, until = local.node.id, local.now(), local.store.members.lease_time() + LEASE_SECONDS
    job = local.store.write(lambda transaction: ledger.claim_one(transaction, id_, owner, now, until), local.durability)
    if job is None:
        return None
    try:
        job.check()
        attempt = attempt_of(job, local)
    except PayloadError as error:
        local.jobs.settle(dead_letter(job, error))
        return None
    return attempt if begin(attempt) else None


def run(attempt: JobAttempt, rng: random.Random) -> ledger.Outcome:
    """Run an attempt, and return its outcome."""
    attempt.began = attempt.site.clock.monotonic()
    try:
        attempt.complete(awaited(attempt) if attempt.task.is_async else attempt.call())
    except KeyboardInterrupt:
        attempt.undo()
        raise
    except BaseException as error:  # noqa: BLE001 - the job's error, whatever it is
        attempt.fail(error, rng)
    assert attempt.owner.outcome is not None
    return attempt.owner.outcome


def awaited(attempt: JobAttempt) -> Any:
    """Await an async task on a loop of its own, in a thread of its own, as this one may have a loop that runs."""
    import asyncio  # noqa: PLC0415 - it takes 30 ms
    import contextvars  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, run_on_loop(attempt)).result()
