"""Claimer: the one actor of a queue and a process that takes jobs from the store.

The claimer takes for the free workers, and about 50 ms of work more, by the durations that it has seen. The outcomes of
jobs ride in the transaction that takes the next ones, so a job costs half a commit at most, and far less under load.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.child import child
from actorflow.core.log import logger
from actorflow.errors import OutcomeUnknown, PayloadError
from actorflow.queues.ledger import given_back
from actorflow.queues.node.apart import write_apart
from actorflow.queues.node.attempt import Attempt, dead_letter
from actorflow.queues.node.deadlock import DeadlockWatch
from actorflow.queues.node.local_queue import LEASE_SECONDS
from actorflow.queues.node.pruner import Pruner
from actorflow.queues.node.worker_slots import WorkerSlots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.core.messages.reply import Reply
    from actorflow.core.refs.timers import Timer
    from actorflow.queues.ledger import Outcome
    from actorflow.queues.node.local_queue import LocalQueue

AHEAD_SECONDS: Final = 0.05  # of work that is taken before a worker is free
AHEAD: Final = 500  # jobs, at most
BATCH: Final = 256  # outcomes that wait for a transaction, at most
BATCH_SECONDS: Final = 0.002  # that the first of them waits, at most
ANSWER_SECONDS: Final = 0.25  # that the taker of an offer has for its transaction, before it is revoked
BEAT_SECONDS: Final = 10.0
CLOCK_SECONDS: Final = 60.0  # between two looks for due jobs, as somebody may set the clock
LOOK_SECONDS: Final = 0.25  # between two looks for nodes that have died
STORE_FAILED: Final = "Queue %s: the store failed, tried again in a second: %s"


class Claimer(WorkerSlots, intensity=10, period=10.0):
    """Takes jobs, hands them to workers, and writes their outcomes."""

    _works_in_drains = True  # jobs that run then need their timeouts, beats and outcomes all the same

    def __init__(self, local: LocalQueue, workers: int) -> None:
        super().__init__(local, workers)
        self.flushing = self.looking = False
        self.drained: list[Reply] = []
        self.beaten_at = local.clock.monotonic()
        self.deadlocks = DeadlockWatch(local)
        self.offer = object()  # this incarnation's: an answer to another's is given back
        self.offering = self.missed = self.carrying = False
        self.wake_timer: Timer | None = None
        self.answer_timer: Timer | None = None
        self.flush_timer: Timer | None = None

    def on_start(self) -> None:
        """Start the workers, and look for work."""
        self.local.offers.clear()
        self.local.disown()  # an incarnation that has crashed may have left jobs
        self.local.upkeep.pruner = self.ctx.spawn(child(Pruner, self.local).options(restart="permanent"))
        self.hire()
        if not self.local.store_is_private:  # at once: after the death of a whole tree its jobs wait for this process
            self.looking = True
            self.actor_ref.cast(Claimer.look_around)
        self.flush_soon()

    # --- messages ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to take."""
        if self.free or self.done:
            self.flush_soon()

    def on_receive(self, message: Any) -> None:
        """A worker is through with a job."""
        _, attempt = message
        entry = self.running.get(attempt.job.id)
        if entry is None or entry[0] is not attempt:
            return  # it was given up: its time was over, or it was lost
        seconds = attempt.seconds
        self.duration = seconds if self.duration is None else self.duration + (seconds - self.duration) * 0.1
        self.free.append(entry[1])
        self.end(attempt)
        if attempt.not_begun is not None:
            self.pause(attempt.not_begun)
        else:
            self.shortage.over()
        if self.backlog:
            self.hand_out()
        if self.backlog and len(self.done) < BATCH:
            self.flush_later()
        else:
            self.flush_soon()

    def end(self, attempt: Attempt) -> None:
        """Note the outcome of an attempt, to be written with the next transaction."""
        del self.running[attempt.job.id]
        assert attempt.outcome is not None
        if not attempt.settled:
            self.done.append(attempt.outcome)
        self.local.attempt_ended(attempt)

    def flush_soon(self) -> None:
        """Write and take once the messages now in the mailbox are handled."""
        if not self.flushing:
            self.flushing = True
            self.actor_ref.cast(Claimer.flush)

    def flush_later(self) -> None:
        """Write in 2 ms: while there is more to run, outcomes share a transaction."""
        if self.flush_timer is None:
            self.flush_timer = self.ctx.after(BATCH_SECONDS, self.flush_by_time)

    def flush_by_time(self) -> None:
        """The outcomes have waited long enough for others."""
        self.flush_timer = None
        self.flush_soon()

    def flush(self) -> None:
        """Write the outcomes of jobs, and take the next ones, in one transaction."""
        self.flushing = False
        if self.flush_timer is not None:
            self.flush_timer.cancel()
            self.flush_timer = None
        done, self.done = self.done, []
        self.withdraw_offer()
        self.missed = self.offering  # the taker of the offer answers in a moment: nothing is to overtake that job
        if self.missed and self.answer_timer is None:
            self.answer_timer = self.ctx.after(ANSWER_SECONDS, self.revoke)
        wanted = 0 if self.missed or self.takes_no_more() else self.wanted()
        if done or wanted > 0:
            try:
                claimed, next_wake = self.local.settle_and_claim(done, wanted)
            except Exception as error:  # noqa: BLE001 - the store is gone for now, or one of them cannot be written
                if isinstance(error, OutcomeUnknown):
                    self.doubt(done)
                self.done = write_apart(self.local, done) + self.done
                self.local.report_failure("jobs", error, STORE_FAILED)
                self.ctx.after(1.0, self.flush_soon)
                return
            self.take(claimed, wanted, next_wake)
            self.local.upkeep.look()
        if self.drained and not (self.running or self.done):
            for reply in self.drained:
                reply.set(None)
            self.drained = []

    def take(self, claimed: list[Any], wanted: int, next_wake: float | None) -> None:
        """Hand out claimed jobs, and make sure that the next look is not missed."""
        if claimed:
            self.accept(claimed)
        if len(claimed) < wanted:
            self.wait_for(next_wake)
            self.offer_worker()
        elif wanted and self.free:
            self.flush_soon()

    def accept(self, claimed: list[Any]) -> None:
        """Hand out jobs that this node has now, or have them wait for a worker."""
        ahead = bool(self.backlog)
        self.backlog.extend(self.attempts(claimed))
        if ahead:  # later jobs may be more urgent
            self.backlog = deque(sorted(self.backlog, key=lambda attempt: (attempt.job.priority, attempt.job.id)))
        self.hand_out()

    def attempts(self, claimed: list[Any]) -> Iterator[Attempt]:
        """Make attempts of jobs; one whose row is damaged is a dead letter."""
        for job in claimed:
            try:
                yield Attempt(job, self.local)
            except PayloadError as error:
                logger.error("Job %s of queue %s is a dead letter: %s", job.id, self.local.name, error)
                self.done.append(dead_letter(job, error))
                self.flush_soon()
            except Exception as error:  # noqa: BLE001 - no memory: no fault of the job
                self.done.append(given_back(job))
                self.pause(error)

    def offer_worker(self) -> None:
        """Offer a free worker without work: the next one to enqueue in this process may claim for it at once."""
        if self.free and not (self.offering or self.draining or self.shortage):
            self.offering = True
            self.local.offers.append(self.offer)

    def withdraw_offer(self) -> None:
        """Have nobody else claim; if somebody does just now, it is still out, and answered in a moment."""
        if self.local.offers:
            with contextlib.suppress(IndexError):  # a caller of enqueue was faster
                self.local.offers.pop()
                self.offering = False

    def revoke(self) -> None:
        """Take an offer back that nobody answers, as a signal's handler has raised there; a late job is given back."""
        self.answer_timer = None
        self.withdraw_offer()
        if self.offering:
            self.offer = object()
            self.offering = self.missed = False
            self.disown_others()
            self.flush_soon()

    def take_offered(self, offer: object, claimed: list[Any] | None, *, is_all: bool) -> None:
        """Take in a job that another thread has enqueued and claimed for an offered worker; only one does so at a time.

        Args:
            claimed: the claimed job; None if the transaction failed, or was interrupted, and may be there.
            is_all: the claimed job is the enqueued one, so there is nothing else to take.
        """
        self.offering = self.offering and offer is not self.offer
        if self.answer_timer is not None and not self.offering:
            self.answer_timer.cancel()
            self.answer_timer = None
        if claimed is None:
            self.disown_others()
        elif offer is not self.offer or self.takes_no_more() or self.shortage or not self.free:
            self.done += [attempt.give_back() for attempt in self.attempts(claimed)]
        elif claimed:
            self.accept(claimed)
        if is_all and not (self.done or self.missed):
            self.offer_worker()
        else:
            self.flush_soon()

    def doubt(self, done: list[Outcome]) -> None:
        """Look for jobs that a transaction of unknown outcome may have claimed, and for outcomes that it wrote."""
        for outcome in done:
            outcome.is_doubtful = True
        self.actor_ref.cast(Claimer.disown_others)

    def disown_others(self) -> None:
        """Queue again the jobs that this node has in the store, but that nothing here knows of."""
        self.withdraw_offer()
        if self.offering:  # somebody claims just now, and we do not know of that job yet
            self.ctx.after(BATCH_SECONDS, self.disown_others)
            return
        ours = {
            *self.running,
            *(attempt.job.id for attempt in self.backlog),
            *(outcome.id for outcome in self.done),
        } | self.local.inlined
        try:
            self.local.disown(frozenset(ours))
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            self.local.report_failure("jobs that nobody runs", error, STORE_FAILED)
            self.ctx.after(1.0, self.disown_others)
        else:
            self.local.report_success("jobs that nobody runs")
            self.flush_soon()  # they may be taken again

    def wanted(self) -> int:
        """Return how many jobs to take: for the free workers, and some ahead."""
        if self.shortage:
            is_trying = self.shortage.trial is not None and self.runs(self.shortage.trial)
            return int(self.shortage.may_try and bool(self.free) and not (is_trying or self.backlog))
        ahead = 0 if self.duration is None else min(AHEAD, int(self.count * AHEAD_SECONDS / max(self.duration, 1e-6)))
        have = len(self.backlog)
        target = len(self.free) + ahead
        if not self.free and have > ahead / 2:
            return 0  # not a few at a time: each taking is a transaction
        return max(0, target - have)

    def takes_no_more(self) -> bool:
        """Say whether it is to end."""
        return self.draining or self.local.closed or self.local.is_ending()

    def wait_for(self, due: float | None) -> None:
        """Look again when something gets ready by itself."""
        if self.wake_timer is not None:
            self.wake_timer.cancel()
            self.wake_timer = None
        if due is not None:
            seconds = max(0.001, due - self.local.now())
            if not self.local.is_virtual:
                seconds = min(seconds, CLOCK_SECONDS)
            self.wake_timer = self.ctx.after(seconds, self.wake_by_time)

    def wake_by_time(self) -> None:
        """The time of a job has come."""
        self.wake_timer = None
        self.flush_soon()

    def carry_on(self) -> None:
        """Tell a part of the jobs that wait for some which are over; a chain of them may be of any length."""
        self.carrying = False
        try:
            is_unfinished = self.local.carry_on_once()
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            self.local.report_failure("jobs behind others", error, STORE_FAILED)
            return  # the next look around goes on
        self.local.report_success("jobs behind others")
        if is_unfinished and not self.takes_no_more():
            self.carry_on_soon()

    def carry_on_soon(self) -> None:
        """Go on behind the messages that are there."""
        if not self.carrying:
            self.carrying = True
            self.actor_ref.cast(Claimer.carry_on)

    # --- others, and the end -----------------------------------------------------------------------------------------

    def look_soon(self) -> None:
        """Look around in a moment. On virtual time nobody else is there."""
        if not (self.looking or self.local.is_virtual):
            self.looking = True
            self.ctx.after(LOOK_SECONDS, self.look_around)

    def look_around(self) -> None:
        """Take over from nodes that have died, show that this one lives, and see the requests of others."""
        self.looking = False
        local, now = self.local, self.local.clock.monotonic()
        try:
            if not local.store_is_private:
                local.store.members.look()
                local.upkeep.take_overdue()
                if now - self.beaten_at > min(BEAT_SECONDS, LEASE_SECONDS / 3):
                    self.beaten_at = now
                    local.beat()
                self.look_for_cancelled()
            if not self.free:
                if local.upkeep.pruner is not None:
                    local.upkeep.pruner.cast(Pruner.expire)
                self.deadlocks.look([attempt for attempt, _ in self.running.values()], self.backlog)
            if local.is_anything_left():
                self.carry_on_soon()
            local.upkeep.look()
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            local.report_failure("a look around", error, "Queue %s: the store failed, tried again soon: %s")
        else:
            has_written = local.store_is_private or self.beaten_at == now
            if has_written:  # other looks say nothing of the disk
                local.report_success("a look around")
        for attempt, _ in self.running.values():
            if attempt.task.cpu:
                local.look_at_task_files(attempt)
        if self.running or not local.store_is_private:
            self.look_soon()

    def drain(self) -> None:
        """Take nothing more, give back jobs that have not begun, and answer once nothing runs."""
        self.draining = True
        self.withdraw_offer()
        self.drained.append(self.ctx.reply_later())
        self.abandon_given_up()
        self.give_back()

    def on_stop(self) -> None:
        """Write the known outcomes, and give back the rest."""
        self.draining = True
        self.withdraw_offer()
        self.done += [attempt.give_back() for attempt in self.backlog]
        self.done += [attempt.outcome or attempt.interrupted() for attempt, _ in self.running.values()]
        self.backlog.clear()
        self.running.clear()
        done, self.done = self.done, []
        if not done:
            return
        try:
            self.local.settle_and_claim(done, 0)
        except Exception:
            if write_apart(self.local, done):
                raise
