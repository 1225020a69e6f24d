"""Retention: removes rows that were kept long enough, in a store that nothing may be working on.

A queue at work does the same now and then; this is for a file that no process has open.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.durable.rows import ledger as durable_ledger
from actorflow.queues import ledger
from actorflow.queues.aftermath import finish
from actorflow.queues.ledger.schedules import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.members import Heir
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction

    Told: TypeAlias = Callable[[list[tuple[int, str, str]], ledger.News], object]

JOBS: Final = "jobs"  # the kind of work that is taken over
CAUSE: Final = "was killed or has crashed"


def prune(store: Store) -> dict[str, int]:
    """Remove the rows that retention should have removed by now; return how many of each kind.

    These are jobs that are over and were kept their time, dead letters after 30 days, schedules that nobody has
    declared for 30 days, rows of keys that are idle, and processes that have died, whose jobs may be claimed again. Of
    durable actors: dead letters, answers that nobody fetches, and ids of messages from elsewhere.
    """
    now = store.now()
    jobs = _all(store, partial(ledger.prune, now=now))
    messages = _all(store, partial(durable_ledger.prune, now=now))
    keys = _keys(store, now)
    schedules = sum(_schedules(store, queue, now) for queue in [*_queues(store), RUNS])
    store.members.register(JOBS, taking_over(store))
    store.members.bury_dead()
    finish(store, sys.maxsize)
    return {"jobs": jobs, "messages": messages, "keys": keys, "schedules": schedules, "nodes": store.members.buried}


def _all(store: Store, work: Callable[[Transaction], int]) -> int:
    """Repeat work that removes some rows at a time until there are none."""
    total = 0
    while count := store.write(work):
        total += count
    return total


def _keys(store: Store, now: float) -> int:
    """Remove the rows of keys whose limits they do not fill, of all queues."""
    total, begin = 0, ledger.FIRST_KEY
    while keys := store.read(partial(ledger.keys_after, begin=begin)):
        total += store.write(partial(ledger.prune_keys, begin=begin, end=keys[-1], now=now))
        begin = keys[-1]
    return total


def _queues(store: Store) -> list[str]:
    return [row[0] for row in store.read(lambda transaction: transaction.all("jobs.queue_names"))]


def _schedules(store: Store, queue: str, now: float) -> int:
    values = {"queue": queue, "before": now - ledger.DEAD_SECONDS}
    return store.write(lambda transaction: transaction.run("schedules.prune", values))


def taking_over(store: Store, tell: Told | None = None) -> Heir:
    """Return a function that takes the jobs of a dead node, in all queues; `tell` hears which, after the commit."""

    def prepare(node: str) -> Callable[[Transaction], Callable[[], Any] | None]:
        begun = store.node.begun(node)

        def work(transaction: Transaction) -> Callable[[], Any] | None:
            news = ledger.News()
            moved = ledger.take_over(transaction, node, store.now(), CAUSE, news, begun)
            return None if tell is None else partial(tell, moved, news)

        return work

    return prepare
