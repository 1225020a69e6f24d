"""Inline: a job that runs in the thread that enqueues it, for tests. Layer 4."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from actorflow.queue import ledger
from actorflow.queue.attempt import Attempt
from actorflow.queue.worker import run_here

if TYPE_CHECKING:
    from actorflow.queue.line import Line
    from actorflow.store.transaction import Transaction

LEASE_SECONDS: Final = 86400.0


def run_inline(line: Line, id_: int) -> None:
    """Run a job, and try it again as its retry says, without the pauses; what became of it is in the store."""
    rng = random.Random(id_)
    owner = line.store.node.id
    while True:
        now, until = line.now(), line.lease_now() + LEASE_SECONDS

        def take(transaction: Transaction, now: float = now, until: float = until) -> ledger.Claimed | None:
            return ledger.claim_one(transaction, id_, owner, now, until)

        job = line.store.write(take, line.durability)
        if job is None:
            return  # what it waits for is not over, or has failed
        attempt = Attempt(job, line)
        if not line.attempt_begins(attempt):
            return  # another process has it
        outcome = attempt.outcome = run(attempt, rng)
        line.attempt_ended(attempt)
        if not attempt.settled:
            news, now = ledger.News(), line.now()

            def settle(
                transaction: Transaction,
                outcome: ledger.Outcome = outcome,
                now: float = now,
                news: ledger.News = news,
            ) -> None:
                ledger.settle(transaction, line.name, owner, [outcome], now, news, line.payload_limit)

            line.store.write(settle, line.durability)
            line.told([outcome], news)
        if outcome.status in ledger.FINAL:
            return


def run(attempt: Attempt, rng: random.Random) -> ledger.Outcome:
    """Run an attempt, and return what became of it."""
    clock = attempt.line.clock
    attempt.began = clock.monotonic()
    try:
        value = run_here(attempt)
        if attempt.task.is_async:
            value = awaited(value)
        outcome = attempt.completed(value)
        outcome = attempt.commit(outcome) if attempt.held is not None else outcome
    except Exception as error:  # noqa: BLE001 - the job's error, whatever it is
        attempt.undo()
        outcome = attempt.failed(error, attempt.line.now(), rng)
    attempt.seconds = clock.monotonic() - attempt.began
    return outcome


def awaited(coroutine: Any) -> Any:
    """Run a coroutine on a loop of its own, in a thread of its own, as this one may have a loop that runs."""
    import asyncio  # noqa: PLC0415 - it takes 30 ms
    import contextvars  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()
