"""Two nodes on one store, each led by hand: one loses jobs while it works on them, and comes late.

`problems` plays all of it, and says what is wrong.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import actorflow as af
from actorflow.queues.ledger import Claimed, Outcome
from actorflow.queues.node import job_store
from actorflow.store.codec import encode
from actorflow.store.error_json import write_error
from tests.crash import tasks
from tests.crash.books import Books

QUEUE = "two"
OVER = -1.0  # a lease that has run out


def problems(url: str) -> list[str]:
    """Play, and say what is wrong."""
    books = Books.made(url, QUEUE)
    found: list[str] = []
    with af.ActorSystem("slow", store=url) as slow, af.ActorSystem("quick", store=url) as quick:
        nodes = Node(slow), Node(quick)
        for scene in (living, late, late_of_many, late_on_the_same_node):
            found += [f"{scene.__name__}: {problem}" for problem in scene(books, *nodes)]
    return found + books.problems() + books.count_problems(QUEUE)


class Node:
    """A system that takes jobs when it is told to."""

    def __init__(self, system: af.ActorSystem) -> None:
        self.queue = system.queue(QUEUE)
        self.line: Any = system.local_queues[QUEUE]

    def claim(self, count: int, lease: float | None = None) -> list[Claimed]:
        """Take jobs, for the usual time or for another."""
        with pytest.MonkeyPatch.context() as patch:
            if lease is not None:
                patch.setattr(job_store, "LEASE_SECONDS", lease)
            claimed, _ = self.line.jobs.settle_and_claim([], count)
        assert len(claimed) == count
        for job in claimed:
            self.line.store.node.begin(job.id)
        return claimed

    def settle(self, *outcomes: Outcome) -> None:
        """Say what became of them."""
        self.line.jobs.settle_and_claim(list(outcomes), 0)

    def look_around(self) -> None:
        """Take what others have lost."""
        self.line.store.members.bury_dead()
        self.line.upkeep.take_overdue()


def outcome(job: Claimed, status: str, value: object = None, **others: Any) -> Outcome:
    """Return what became of a job."""
    result = encode(value) if status == "completed" else None
    error = write_error(OSError("late")) if status in {"failed", "dead"} else None
    return Outcome(job.id, job.epoch, job.key, status, result, error, task=job.task, **others)


def ends(job: Claimed) -> list[tuple[Outcome, ...]]:
    """Return all that a late node may say of a job."""
    return [
        (outcome(job, "completed", "late"),),
        (outcome(job, "failed"),),
        (outcome(job, "queued", due=0.0),),
        (outcome(job, "queued", given_back=True),),
    ]


def states(books: Books, jobs: list[Claimed]) -> list[tuple[Any, ...]]:
    """Return where jobs are."""
    ids = ", ".join(str(job.id) for job in jobs)
    columns = "id, stage, owner, epoch, attempt, crashes, progress"
    return books.rows(f"select {columns} from {{job}} where id in ({ids}) order by id")


def enqueue(node: Node, count: int) -> list[af.Job[int]]:
    """Add jobs."""
    return node.queue.enqueue_many(tasks.plain, [(number,) for number in range(count)])


def finish(node: Node, claimed: list[Claimed], jobs: list[af.Job[int]]) -> list[str]:
    """Complete jobs in order, and say which have another result."""
    for job in claimed:
        node.settle(outcome(job, "completed", "good"))
    return wrong(jobs)


def wrong(jobs: list[af.Job[int]]) -> list[str]:
    """Say which jobs have not the result of the node that has them."""
    found = []
    for job in jobs:
        with contextlib.suppress(af.JobFailed, af.JobCancelled, af.AskTimeout):
            if job.result(timeout=0) == "good":
                continue
        found.append(f"{job.info()}")
    return found


def living(books: Books, slow: Node, quick: Node) -> list[str]:
    """A node that lives keeps its jobs: as it has them, and after a lease that it has renewed."""
    jobs = enqueue(slow, 4)
    claimed = [*slow.claim(2), *slow.claim(2, OVER)]
    slow.line.upkeep.beat()
    before = states(books, claimed)
    quick.look_around()
    found = [] if states(books, claimed) == before else ["the living lost their jobs"]
    return found + finish(slow, claimed, jobs)


def overdue(books: Books, slow: Node, quick: Node, count: int) -> tuple[list[Any], list[Claimed], list[Claimed]]:
    """Have one node lose jobs to the other; return them, and what each of the nodes has."""
    jobs = enqueue(slow, count)
    lost = slow.claim(count, OVER)
    quick.look_around()
    if len(books.rows("select id from {job} where stage = 0")) != count:
        return jobs, lost, []
    return jobs, lost, quick.claim(count)


def late(books: Books, slow: Node, quick: Node) -> list[str]:
    """Whatever a node says of a job that another has, or has ended, changes nothing."""
    found = []
    jobs, lost, claimed = overdue(books, slow, quick, 4)
    if not claimed:
        return ["what a stopped node has is not taken"]
    before = states(books, claimed)
    for place, job in enumerate(lost):
        slow.settle(*ends(job)[place])
        slow.line.jobs.note_progress(job, 1, 2)
    slow.line.store.write(lambda _: None)
    if states(books, claimed) != before:
        found.append(f"a late word was taken: {before} became {states(books, claimed)}")
    found += finish(quick, claimed, jobs)
    for job in lost:
        slow.settle(*ends(job)[0])
    return found + wrong(jobs)


def late_of_many(books: Books, slow: Node, quick: Node) -> list[str]:
    """The same of results that are written together."""
    jobs, lost, claimed = overdue(books, slow, quick, 6)
    if not claimed:
        return []
    before = states(books, claimed)
    slow.settle(*(outcome(job, "completed", "late") for job in lost))
    found = [] if states(books, claimed) == before else ["late results were taken together"]
    quick.settle(*(outcome(job, "completed", "good") for job in claimed))
    slow.settle(*(outcome(job, "completed", "late") for job in lost))
    return found + wrong(jobs)


def late_on_the_same_node(books: Books, slow: Node, quick: Node) -> list[str]:
    """A node that lost jobs and has them again takes nothing from the attempt that lost them."""
    found = []
    for many in (False, True):
        jobs, lost, claimed = overdue(books, slow, quick, 6)
        if not claimed:
            return found
        quick.settle(*(outcome(job, "queued", given_back=True) for job in claimed))
        again = slow.claim(6)
        before = states(books, again)
        if many:
            slow.settle(*(outcome(job, "completed", "late") for job in lost))
        else:
            for place, job in enumerate(lost[:4]):
                slow.settle(*ends(job)[place])
            slow.line.jobs.note_progress(lost[4], 1, 2)
            slow.line.store.write(lambda _: None)
        if states(books, again) != before:
            found.append("an attempt took what a later one of its node has")
        found += finish(slow, again, jobs)
    return found
