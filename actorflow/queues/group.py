"""Group: jobs that are enqueued together, with one behind them that gets their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorflow.errors import DefinitionError
from actorflow.queues.node.adding import put_all
from actorflow.queues.packing import CALL, check_each, pack, put
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.queues import ledger
    from actorflow.queues.job import Job
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction
    from actorflow.tasks.task import Task

R = TypeVar("R")


class Group(Generic[R]):
    """Jobs that were enqueued together, and the one that gets their results.

    Attributes:
        jobs: the members, in the order in which they were given.
        then: the job whose argument is the list of their results.
    """

    def __init__(self, jobs: list[Job[Any]], then: Job[R]) -> None:
        self.jobs = jobs
        self.then = then

    def __repr__(self) -> str:
        return f"<Group of {plural(len(self.jobs), 'job')}, then {self.then.id}>"


def add_group(local: LocalQueue, calls: list[tuple[Any, ...]], then: Task[[list[Any]], R]) -> Group[R]:
    """Add jobs, and the one that gets their results, in one transaction."""
    check_each("group()", calls, CALL)
    packed = [pack(local, call[0], tuple(call[1:]), {}) for call in calls]
    last = pack(local, then, ([],), {})
    name, now, limit = local.name, local.now(), local.payload_limit

    def work(transaction: Transaction, news: ledger.News) -> list[int]:
        ids = [put(transaction, name, one, now, news) for one in packed]
        return [*ids, put(transaction, name, last, now, news, gather=ids, limit=limit)]

    if any(one.options.conn is not last.options.conn for one in packed):
        msg = "group(): a group is enqueued whole: give options(conn=) to all its tasks and to then=, or to none"
        raise DefinitionError(msg)
    *jobs, job = put_all(local, [*packed, last], work)
    return Group(jobs, job)
