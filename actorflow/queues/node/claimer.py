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
from actorflow.queues.node.deadlock import DeadlockWatch
from actorflow.queues.node.job_owner import JobAttempt, attempt_of, dead_letter, ended
from actorflow.queues.node.pruner import Pruner
from actorflow.queues.node.worker_slots import WorkerSlots

if TYPE_CHECKING:
    from actorflow.core.messages.reply import Reply
    from actorflow.core.refs.timers import Timer
    from actorflow.queues.ledger import Claimed, Outcome
    from actorflow.queues.node.local_queue import LocalQueue

AHEAD_SECONDS: Final = 0.05  # of work that is taken before a worker is free
AHEAD: Final = 500  # jobs, at most
BATCH: Final = 256  # outcomes that wait for a transaction, at most
BATCH_SECONDS: Final = 0.002  # that the first of them waits, at most
ANSWER_SECONDS: Final = 0.25  # that the taker of an offer has for its transaction, before it is revoked
CLOCK_SECONDS: Final = 60.0  # between two looks for due jobs, as somebody may set the clock
LOOK_SECONDS: Final = 0.25  # between two looks for nodes that have died
STORE_FAILED: Final = "Queue %s: the store failed, tried again in a second: %s"


class Offer:
    """A free worker, offered by the claimer: the next `enqueue` in this process may claim a job for it at once.

    Attributes:
        token: of this incarnation's offers: the job that somebody claims by another is given back.
        is_out: it is offered; or somebody has taken it, and answers in a moment.
        is_missed: somebody has it while the claimer was to take jobs itself: nothing is to overtake that job.
    """

    def __init__(self, claimer: Claimer) -> None:
        self.token = object()
        self.is_out = self.is_missed = False
        self._claimer = claimer
        self._tokens = claimer.local.offers
        self._timer: Timer | None = None  # until it is revoked
        self._tokens.clear()

    def make(self) -> None:
        """Offer a free worker without work, if there is one."""
        claimer = self._claimer
        if claimer.free and not (self.is_out or claimer.draining or claimer.shortage.lasts):
            self.is_out = True
            self._tokens.append(self.token)

    def withdraw(self) -> bool:
        """Have nobody else claim; False if somebody does just now: it is still out, and answered in a moment."""
        if self._tokens:
            with contextlib.suppress(IndexError):  # a caller of enqueue was faster
                self._tokens.pop()
                self.is_out = False
        return not self.is_out

    def withdraw_to_take(self) -> bool:
        """Withdraw the offer, as the claimer is to take jobs itself; False if it is to wait for an answer."""
        self.is_missed = not self.withdraw()
        if self.is_missed and self._timer is None:
            self._timer = self._claimer.ctx.after(ANSWER_SECONDS, self._claimer.revoke)
        return not self.is_missed

    def answered(self, token: object) -> bool:
        """Note the answer to an offer; False if it is none of this incarnation, or was revoked."""
        is_ours = token is self.token
        if is_ours:
            self.is_out = False
        if self._timer is not None and not self.is_out:
            self._timer.cancel()
            self._timer = None
        return is_ours

    def revoke(self) -> bool:
        """Take the offer back if nobody has answered; return whether it was out: a late job is given back."""
        self._timer = None
        if self.withdraw():
            return False
        self.token = object()
        self.is_out = self.is_missed = False
        return True


class Claimer(WorkerSlots, intensity=10, period=10.0):
    """Takes jobs, hands them to workers, and writes their outcomes."""

    _works_in_drains = True  # jobs that run then need their timeouts, beats and outcomes all the same

    def __init__(self, local: LocalQueue, workers: int) -> None:
        super().__init__(local, workers)
        self.flushing = self.looking = False
        self.drained: list[Reply] = []
        self.deadlocks = DeadlockWatch(local)
        self.offer = Offer(self)
        self.carrying = False
        self.wake_timer: Timer | None = None
        self.flush_timer: Timer | None = None

    def on_start(self) -> None:
        """Start the workers, and look for work."""
        self.local.upkeep.disown(frozenset(self.local.inlined))  # an incarnation that has crashed may have left jobs
        self.local.upkeep.pruner = self.ctx.spawn(child(Pruner, self.local).options(restart="permanent"))
        self.hire()
        if not self.local.store.is_alone:  # at once: after the death of a whole tree its jobs wait for this process
            self.looking = True
            self.actor_ref.cast(Claimer.look_around)
        self.flush_soon()

    # --- messages ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to take."""
        if self.free or self.done:
            self.flush_soon()
        if self.local.scheduler.is_virtual:  # others have come
            self.look_soon()

    def on_receive(self, message: Any) -> None:
        """A worker is through with a job."""
        _, attempt = message
        entry = self.running.get(attempt.owner.job.id)
        if entry is None or entry[0] is not attempt:
            return  # it was given up: its time was over, or it was lost
        seconds = attempt.seconds
        self.duration = seconds if self.duration is None else self.duration + (seconds - self.duration) * 0.1
        self.free.append(entry[1])
        self.end(attempt)
        if attempt.owner.lack is not None:
            self.pause(attempt.owner.lack)
        elif self.shortage.lasts:
            self.shortage.over()
        if self.backlog:
            self.hand_out()
        if self.backlog and len(self.done) < BATCH:
            self.flush_later()
        else:
            self.flush_soon()

    def end(self, attempt: JobAttempt) -> None:
        """Note the outcome of an attempt, to be written with the next transaction."""
        owner = attempt.owner
        del self.running[owner.job.id]
        assert owner.outcome is not None
        if not attempt.settled:
            self.done.append(owner.outcome)
        ended(attempt)

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
        wanted = self.wanted() if self.offer.withdraw_to_take() and not self.takes_no_more() else 0
        if done or wanted > 0:
            try:
                claimed, next_wake = self.local.jobs.settle_and_claim(done, wanted)
            except Exception as error:  # noqa: BLE001 - the store is gone for now, or one of them cannot be written
                if isinstance(error, OutcomeUnknown):
                    self.doubt(done)
                self.done = write_apart(self.local, done) + self.done
                self.local.upkeep.report_failure("jobs", error, STORE_FAILED)
                self.ctx.after(1.0, self.flush_soon)
                return
            self.take(claimed, wanted, next_wake)
            self.local.upkeep.look()
        if self.drained and not (self.running or self.done):
            for reply in self.drained:
                reply.set(None)
            self.drained = []

    def take(self, claimed: list[Claimed], wanted: int, next_wake: float | None) -> None:
        """Hand out claimed jobs, and make sure that the next look is not missed."""
        if claimed:
            self.accept(claimed)
        if len(claimed) < wanted:
            self.wait_for(next_wake)
            self.offer.make()
        elif wanted and self.free:
            self.flush_soon()

    def accept(self, claimed: list[Claimed]) -> None:
        """Hand out jobs that this node has now, or have them wait for a worker."""
        ahead = bool(self.backlog)
        for job in claimed:
            attempt = self.attempt_of(job)
            if attempt is not None:
                self.backlog.append(attempt)
        if ahead:  # later jobs may be more urgent
            self.backlog = deque(sorted(self.backlog, key=urgency))
        self.hand_out()

    def attempt_of(self, job: Claimed) -> JobAttempt | None:
        """Make an attempt of a job; one whose row is damaged is a dead letter."""
        try:
            job.check()
            attempt = attempt_of(job, self.local)
            if not attempt.owner.is_late:
                return attempt
            self.done.append(attempt.owner.too_late())
            self.flush_soon()
        except PayloadError as error:
            logger.error("Job %s of queue %s is a dead letter: %s", job.id, self.local.name, error)
            self.done.append(dead_letter(job, error))
            self.flush_soon()
        except Exception as error:  # noqa: BLE001 - no memory: no fault of the job
            self.done.append(given_back(job))
            self.pause(error)
        return None

    def take_offered(self, token: object, claimed: list[Claimed] | None, *, is_all: bool) -> None:
        """Take in a job that another thread has enqueued and claimed for an offered worker; only one does so at a time.

        Args:
            token: of the offer.
            claimed: the claimed job; None if the transaction failed, or was interrupted, and may be there.
            is_all: the claimed job is the enqueued one, so there is nothing else to take.
        """
        is_ours = self.offer.answered(token)
        if claimed is None:
            self.disown_others()
        elif not is_ours or self.takes_no_more() or self.shortage.lasts or not self.free:
            self.done += map(given_back, claimed)
        elif claimed:
            self.accept(claimed)
        if is_all and not (self.done or self.offer.is_missed):
            self.offer.make()
        else:
            self.flush_soon()

    def revoke(self) -> None:
        """Take an offer back that nobody answers, as a signal's handler has raised there."""
        if self.offer.revoke():
            self.disown_others()
            self.flush_soon()

    def withdraw_offer(self) -> None:
        """Have nobody else claim for a worker here."""
        self.offer.withdraw()

    def doubt(self, done: list[Outcome]) -> None:
        """Look for jobs that a transaction of unknown outcome may have claimed, and for outcomes that it wrote."""
        for outcome in done:
            outcome.is_doubtful = True
        self.local.waits.doubted()
        self.actor_ref.cast(Claimer.disown_others)

    def disown_others(self) -> None:
        """Queue again the jobs that this node has in the store, but that nothing here knows of."""
        if not self.offer.withdraw():  # somebody claims just now, and we do not know of that job yet
            self.ctx.after(BATCH_SECONDS, self.disown_others)
            return
        ours = {
            *self.running,
            *(attempt.owner.job.id for attempt in self.backlog),
            *(outcome.id for outcome in self.done),
        } | self.local.inlined
        try:
            is_some = self.local.upkeep.disown(frozenset(ours))
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            self.local.upkeep.report_failure("jobs that nobody runs", error, STORE_FAILED)
            self.ctx.after(1.0, self.disown_others)
        else:
            self.local.upkeep.report_success("jobs that nobody runs")
            if is_some:
                self.flush_soon()  # they may be taken again

    def wanted(self) -> int:
        """Return how many jobs to take: for the free workers, and some ahead."""
        if self.shortage.lasts:
            is_trying = self.shortage.trial is not None and self.runs(self.shortage.trial)
            return int(self.shortage.may_try and bool(self.free) and not (is_trying or self.backlog))
        ahead = 0 if self.duration is None else min(AHEAD, int(self.count * AHEAD_SECONDS / max(self.duration, 1e-6)))
        have = len(self.backlog)
        target = len(self.free) + ahead
        if not self.free and have > ahead / 2:
            return 0  # not a few at a time: each taking is a transaction
        return max(0, target - have)

    def takes_no_more(self) -> bool:
        """Say whether the claimer is to end."""
        return self.draining or self.local.closed or self.local.scheduler.draining

    def wait_for(self, due: float | None) -> None:
        """Look again when something gets ready by itself."""
        if self.wake_timer is not None:
            self.wake_timer.cancel()
            self.wake_timer = None
        if due is not None:
            seconds = max(0.001, due - self.local.store.now())
            if not self.local.scheduler.is_virtual:
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
            is_unfinished = self.local.upkeep.carry_on_once()
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            self.local.upkeep.report_failure("jobs behind others", error, STORE_FAILED)
            return  # the next look around goes on
        self.local.upkeep.report_success("jobs behind others")
        if is_unfinished and not self.takes_no_more():
            self.carry_on_soon()

    def carry_on_soon(self) -> None:
        """Go on behind the messages that are there."""
        if not self.carrying:
            self.carrying = True
            self.actor_ref.cast(Claimer.carry_on)

    # --- others, and the end -----------------------------------------------------------------------------------------

    def look_soon(self) -> None:
        """Look around in a moment; in virtual time only while there are others."""
        if not (self.looking or (self.local.scheduler.is_virtual and self.local.store.is_alone)):
            self.looking = True
            self.ctx.after(LOOK_SECONDS, self.look_around)

    def look_around(self) -> None:
        """Take over from nodes that have died, show that this one lives, and see the requests of others."""
        self.looking = False
        local = self.local
        try:
            if not local.store.is_alone:
                self.look_for_cancelled()
            if not self.free:
                self.deadlocks.look([attempt for attempt, _ in self.running.values()], self.backlog)
            if local.upkeep.look_around(is_busy=not self.free):
                self.carry_on_soon()
        except Exception as error:  # noqa: BLE001 - the store is gone for now
            local.upkeep.report_failure("a look around", error, "Queue %s: the store failed, tried again soon: %s")
        for attempt, _ in self.running.values():
            if attempt.task.cpu:
                attempt.look_at_files()
        if self.running or not local.store.is_alone:
            self.look_soon()

    def drain(self) -> None:
        """Take nothing more, give back jobs that have not begun, and answer once nothing runs."""
        self.draining = True
        self.offer.withdraw()
        self.drained.append(self.ctx.reply_later())
        self.abandon_given_up()
        self.give_back()

    def on_stop(self) -> None:
        """Write the known outcomes, and give back the rest."""
        self.draining = True
        self.offer.withdraw()
        self.done += [attempt.owner.give_back() for attempt in self.backlog]
        self.done += [attempt.owner.outcome or attempt.owner.interrupted() for attempt, _ in self.running.values()]
        self.backlog.clear()
        self.running.clear()
        done, self.done = self.done, []
        if not done:
            return
        try:
            self.local.jobs.settle_and_claim(done, 0)
        except Exception:
            if write_apart(self.local, done):
                raise


def urgency(attempt: JobAttempt) -> tuple[int, int]:
    """Return the place of an attempt among those that wait: by its job's priority, and of equal ones by age."""
    job = attempt.owner.job
    return job.priority, job.id
