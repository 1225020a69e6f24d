"""Load: waves of jobs of all kinds, and what must have become of them."""

from __future__ import annotations

import contextlib

import actorflow as af
from tests.crash import tasks
from tests.crash.books import Books

QUEUE = "crash"
GROUPS = 5  # of four jobs, in a wave
BURST = 20  # jobs that come at once, at its end: somebody is to work when it is over
BRIEF = tasks.plain.options(keep=0.05)


class Load:
    """What a producer has enqueued, and the store has acknowledged."""

    def __init__(self, system: af.ActorSystem, rng) -> None:
        self.queue = system.queue(QUEUE)
        self.rng = rng
        self.number = 0
        self.accepted: list[tuple[af.Job, str, int]] = []
        self.brief: list[af.Job] = []
        self.refused = 0  # whether they are there, nobody knows

    def wave(self) -> None:
        """Enqueue a wave, some alone and some together."""
        for _ in range(GROUPS):
            kind = self.rng.choice(list(tasks.EXPECTED))
            with self.a_server_may_be_lost():
                job = self.queue.enqueue(getattr(tasks, kind), self.number)
                self.accepted.append((job, kind, self.number))
            self.number += 1
            self.many(kind, 3)
        with self.a_server_may_be_lost():
            self.brief += self.queue.enqueue_many(BRIEF, [(number,) for number in range(4)])
        self.many(self.rng.choice(["writing", "heavy"]), BURST)

    def many(self, kind: str, count: int) -> None:
        """Enqueue jobs together."""
        numbers = range(self.number, self.number + count)
        self.number += count
        with self.a_server_may_be_lost():
            jobs = self.queue.enqueue_many(getattr(tasks, kind), [(number,) for number in numbers])
            self.accepted += [(job, kind, number) for job, number in zip(jobs, numbers, strict=True)]

    @contextlib.contextmanager
    def a_server_may_be_lost(self):
        """Count what was not acknowledged; only a server that was killed does that."""
        try:
            yield
        except af.StoreError:
            self.refused += 1

    def wait(self) -> None:
        """Wait until each job is over."""
        for job, _, _ in self.accepted:
            with contextlib.suppress(af.JobFailed):
                job.result(timeout=120)

    def problems(self, books: Books) -> list[str]:
        """Say which jobs are lost or have a wrong result; those that chance has killed thrice say so themselves."""
        status = dict(books.rows("select id, status from {job}"))
        poisoned = {row[0] for row in books.rows("select id from {job} where status = 'dead' and crashes >= 3")}
        done = {row[0] for row in books.rows("select job from done")}
        found = []
        for job, kind, number in self.accepted:
            id_ = int(job.id)
            if id_ in poisoned:
                continue
            if status.get(id_) != "completed" or job.result(timeout=0) != tasks.EXPECTED[kind](number):
                found.append(f"{kind}: job {id_} is {status.get(id_, 'lost')}")
        gone = [int(job.id) for job in self.brief if int(job.id) not in done | poisoned]
        return found + [f"job {id_}, which was to be kept briefly, is {status.get(id_, 'lost')}" for id_ in gone]
