"""Retention: take away what was kept long enough, in a store that nobody may be working on. Layer 4.

A queue that works does the same now and then; this is for a file that no process has open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actorflow.durable import ledger as durable_ledger
from actorflow.queue import ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction


def prune(store: Store) -> dict[str, int]:
    """Remove what retention should have taken by now; return how many of each kind.

    Jobs that are over go when their time to be kept is, dead letters after 30 days, schedules that nobody has declared
    for 30 days, and processes that have died, whose jobs may be claimed again. Of durable actors: dead letters, answers
    that nobody fetches, and ids of messages from elsewhere.
    """
    now = store.now()
    jobs = _all(store, partial(ledger.prune, now=now))
    messages = _all(store, partial(durable_ledger.prune, now=now))
    schedules = sum(_schedules(store, queue, now) for queue in _queues(store))
    dead = store.node.dead()
    for node in dead:
        bury(store, node, now, ledger.News())
    return {"jobs": jobs, "messages": messages, "schedules": schedules, "nodes": len(dead)}


def _all(store: Store, work: Callable[[Transaction], int]) -> int:
    """Do what removes some at a time until there are none."""
    total = 0
    while count := store.write(work):
        total += count
    return total


def _queues(store: Store) -> list[str]:
    return [row[0] for row in store.read(lambda transaction: transaction.all("jobs.queue_names"))]


def _schedules(store: Store, queue: str, now: float) -> int:
    values = {"queue": queue, "before": now - ledger.DEAD_SECONDS}
    return store.write(lambda transaction: transaction.run("schedules.prune", values))


def bury(store: Store, node: str, now: float, news: ledger.News) -> list[tuple[int, str, str]]:
    """Take the jobs of a node that has died, and forget it; return (id, queue, status) of the jobs."""
    cause = "was killed or has crashed"
    begun = store.node.begun(node)
    moved = store.write(partial(ledger.take_over, owner=node, now=now, cause=cause, news=news, begun=begun))
    store.node.forget(node)
    return moved
