"""Claimer: the one actor of a queue and a process that takes jobs from the store. Layer 4.

It takes for the workers that are free, and about 50 ms of work more, by the durations that it has seen. What became of
jobs rides in the transaction that takes the next ones, so a job costs half a commit at most, and far less under load.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actor import Actor
from actorflow.core.child import child
from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.errors import TaskTimeout
from actorflow.queue import ledger
from actorflow.queue.worker import AsyncWorker, Attempt, Worker, failed

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.core.timers import Timer
    from actorflow.queue.line import Line

AHEAD_SECONDS: Final = 0.05  # of work that is taken before a worker is free
AHEAD: Final = 500  # jobs, at most
STALLED_SECONDS: Final = 0.1  # that a job waits for a worker before it is given back for others
LEASE_SECONDS: Final = 30.0
BEAT_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.25  # between two looks for nodes that have died


class Claimer(Actor, intensity=10, period=10.0):
    """Takes jobs, hands them to workers, and writes what became of them."""

    def __init__(self, line: Line, workers: int) -> None:
        super().__init__()
        self.line = line
        self.count = workers
        self.free: deque[ActorRef[Any]] = deque()
        self.async_workers: dict[ActorRef[Any], ActorRef[Any]] = {}  # the one beside each worker, made at first need
        self.backlog: deque[Attempt] = deque()
        self.running: dict[int, tuple[Attempt, ActorRef[Any]]] = {}
        self.done: list[ledger.Outcome] = []
        self.duration = AHEAD_SECONDS  # of a job, in seconds: a moving average
        self.flushing = False
        self.draining = False
        self.taken_at = 0.0
        self.beaten_at = SystemClock.monotonic()
        self.timer: Timer | None = None

    def on_start(self) -> None:
        """Start the workers, and look for work."""
        recipe = child(Worker, self.actor_ref, self.line.pool).options(restart="permanent")
        self.free.extend(self.ctx.spawn(recipe) for _ in range(self.count))
        if not self.line.store_is_private:
            self.ctx.every(LOOK_SECONDS, self.look_around)
        self.flush_soon()

    # --- messages ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to take."""
        if self.free or self.done:
            self.flush_soon()

    def on_receive(self, message: Any) -> None:
        """A worker is through with a job."""
        _, attempt = message
        _, slot = self.running.pop(attempt.job.id, (None, None))
        if slot is None:
            return  # it was given up: its time was over, or it was lost
        self.duration += (attempt.seconds - self.duration) * 0.1
        self.done.append(attempt.outcome)
        self.line.attempt_ended(attempt)
        self.free.append(slot)
        if self.backlog:
            self.hand_out()
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write and take once what is in the mailbox now is handled."""
        if not self.flushing:
            self.flushing = True
            self.actor_ref.cast(Claimer.flush)

    def flush(self) -> None:
        """Write what became of jobs, and take the next ones, in one transaction."""
        self.flushing = False
        done, self.done = self.done, []
        wanted = 0 if self.draining or self.line.closed else self.wanted()
        if not done and wanted < 1:
            return
        try:
            claimed, lost, next_wake = self.line.settle_and_claim(done, wanted, LEASE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the store is gone for now; nothing is forgotten
            logger.error("Queue %s: the store failed, tried again in a second: %s", self.line.name, error)
            self.done = done + self.done
            self.ctx.after(1.0, self.flush_soon)
            return
        for job in lost:
            logger.warning("Job %s was taken over by another process; its late result is refused", job)
        now = SystemClock.monotonic()
        self.taken_at = now
        self.backlog.extend(Attempt(job, self.line.report) for job in claimed)
        self.hand_out()
        if len(claimed) < wanted:
            self.wait_for(next_wake)
        elif self.free:
            self.flush_soon()

    def wanted(self) -> int:
        """Return how many jobs to take: for the free workers, and some ahead."""
        ahead = min(AHEAD, int(self.count * AHEAD_SECONDS / max(self.duration, 1e-6)))
        have = len(self.backlog)
        target = len(self.free) + ahead
        if not self.free and have > ahead / 2:
            return 0  # not a few at a time: each taking is a transaction
        return max(0, target - have)

    def wait_for(self, due: float | None) -> None:
        """Look again when something gets ready by itself."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if due is not None:
            self.timer = self.ctx.after(max(0.001, due - self.line.store.now()), self.wake_by_time)

    def wake_by_time(self) -> None:
        """The time of a job has come."""
        self.timer = None
        self.flush_soon()

    # --- workers -----------------------------------------------------------------------------------------------------

    def hand_out(self) -> None:
        """Give jobs to the free workers."""
        free, backlog = self.free, self.backlog
        while free and backlog:
            attempt = backlog.popleft()
            slot = free.popleft()
            self.running[attempt.job.id] = (attempt, slot)
            self.line.attempt_began(attempt)
            if attempt.task.is_async:
                self.async_worker(slot).cast(AsyncWorker.run, attempt)
            else:
                slot.cast(Worker.run, attempt)
                if attempt.timeout is not None and not attempt.task.cpu:
                    self.ctx.after(attempt.timeout, self.time_out, attempt)

    def async_worker(self, slot: ActorRef[Any]) -> ActorRef[Any]:
        """Return the worker for `async def` functions that shares a slot."""
        if slot not in self.async_workers:
            recipe = child(AsyncWorker, self.actor_ref).options(restart="permanent")
            self.async_workers[slot] = self.ctx.spawn(recipe)
        return self.async_workers[slot]

    def time_out(self, attempt: Attempt) -> None:
        """A plain function takes longer than it may: nothing can end its thread, so its worker is given up."""
        entry = self.running.get(attempt.job.id)
        if entry is None or entry[0] is not attempt:
            return
        error = TaskTimeout(
            f"{attempt.job.task} took over {attempt.timeout} s; its thread runs on, and what it returns is refused"
        )
        attempt.outcome = failed(attempt, error, self.ctx.now(), self.ctx.random)
        self.give_up(attempt)

    def give_up(self, attempt: Attempt) -> None:
        """Write the outcome of a job whose thread cannot be ended, and have another worker in its place."""
        _, slot = self.running.pop(attempt.job.id)
        assert attempt.outcome is not None
        self.done.append(attempt.outcome)
        self.line.attempt_ended(attempt)
        attempt.current.cancelled = True
        slot.stop(block=False)
        recipe = child(Worker, self.actor_ref, self.line.pool).options(restart="permanent")
        self.free.append(self.ctx.spawn(recipe))
        self.flush_soon()

    # --- others, and the end -----------------------------------------------------------------------------------------

    def look_around(self) -> None:
        """Take over from nodes that have died, say that this one lives, and give back what waits too long."""
        now = SystemClock.monotonic()
        self.line.bury_dead_nodes()
        if now - self.beaten_at > BEAT_SECONDS:
            self.beaten_at = now
            self.line.beat(LEASE_SECONDS)
        for id_ in self.line.to_cancel() if self.running else ():
            if id_ in self.running:
                self.running[id_][0].current.cancelled = True
        if self.backlog and not self.free and now - self.taken_at > STALLED_SECONDS:
            self.give_back()

    def give_back(self) -> None:
        """Let others have what waits for a worker here."""
        while self.backlog:
            job = self.backlog.pop().job
            self.done.append(ledger.Outcome(job.id, job.epoch, job.key, "queued", given_back=True))
        self.flush_soon()

    def drain(self) -> None:
        """Take nothing more; what was taken and has not begun is given back."""
        self.draining = True
        self.give_back()

    def on_stop(self) -> None:
        """Write what is known, and give back the rest."""
        self.draining = True
        while self.backlog:
            job = self.backlog.pop().job
            self.done.append(ledger.Outcome(job.id, job.epoch, job.key, "queued", given_back=True))
        for attempt, _ in self.running.values():
            job = attempt.job
            status = "dead" if job.at_most_once else "queued"
            self.done.append(ledger.Outcome(job.id, job.epoch, job.key, status))
        self.running.clear()
        if self.done:
            self.line.settle_and_claim(self.done, 0, LEASE_SECONDS)
            self.done = []


def clock() -> float:
    """Return seconds for durations."""
    return time.perf_counter()


Report = Callable[[int, Any, Any], None]
