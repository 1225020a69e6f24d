"""Worker slots: the workers of a queue in one process, the jobs that wait for one, and those that run."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import child
from actorflow.core.log import logger
from actorflow.core.running.system_task import start_procedure
from actorflow.errors import JobCancelled
from actorflow.queues.node.job_owner import JobAttempt, begin
from actorflow.queues.node.shortage import Shortage
from actorflow.queues.node.workers import AsyncJobWorker, JobWorker
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.refs.timers import Timer
    from actorflow.queues.ledger import Outcome
    from actorflow.queues.node.local_queue import LocalQueue

STALLED_SECONDS: Final = 0.1  # that jobs wait for a worker before they are given back for others
TRIAL_SECONDS: Final = 0.5  # that a job runs after which it has begun, where others could not
CANCEL_SECONDS: Final = 2.0  # that a running task has to see that it is cancelled, before it is ended


class WorkerSlots(Actor):
    """Hands jobs that this process has to its workers, and ends those that take too long or are cancelled.

    The claimer is one, and adds the store: where jobs come from, and where their outcomes go.
    """

    def __init__(self, local: LocalQueue, workers: int) -> None:
        super().__init__()
        self.local = local
        self.count = workers
        # One recipe for all: that handlers block is learned of it, by overtaking the first two of 1,000 workers.
        self.recipe = child(JobWorker, self.actor_ref).options(restart="permanent")
        self.free: deque[ActorRef[Any]] = deque()
        self.shortage = Shortage(local)
        self.async_workers: dict[ActorRef[Any], ActorRef[Any]] = {}  # the one beside each worker, made at first need
        self.backlog: deque[JobAttempt] = deque()
        self.running: dict[int, tuple[JobAttempt, ActorRef[Any]]] = {}
        self.done: list[Outcome] = []
        self.duration: float | None = None  # of a job, in seconds: a moving average
        self.draining = False
        self.given_up: list[ActorRef[Any]] = []  # workers whose threads run on, though their jobs are over
        self.stall_timer: Timer | None = None

    def end(self, attempt: JobAttempt) -> None:
        """Note the outcome of an attempt, to be written with the next transaction."""
        raise NotImplementedError  # pragma: no cover - the claimer has it

    def flush_soon(self) -> None:
        """Write and take once the messages now in the mailbox are handled."""
        raise NotImplementedError  # pragma: no cover - the claimer has it

    def withdraw_offer(self) -> None:
        """Have nobody else claim for a worker here."""
        raise NotImplementedError  # pragma: no cover - the claimer has it

    def look_soon(self) -> None:
        """Look around in a moment."""
        raise NotImplementedError  # pragma: no cover - the claimer has it

    def takes_no_more(self) -> bool:
        """Say whether the claimer is to end."""
        raise NotImplementedError  # pragma: no cover - the claimer has it

    # --- to work ------------------------------------------------------------------------------------------------------

    def hire(self) -> None:
        """Start the workers that are missing; if that cannot be, with the next try to begin a job."""
        try:
            while len(self.free) + len(self.running) < self.count:
                self.free.append(self.ctx.spawn(self.recipe))
        except Exception as error:  # noqa: BLE001 - no thread, no memory: for now
            self.pause(error)

    def hand_out(self) -> None:
        """Give jobs to the free workers; at the system's end they are left, to be given back."""
        if self.local.scheduler.draining:
            return
        free, backlog = self.free, self.backlog
        while free and backlog:
            attempt = backlog.popleft()
            try:
                began = self.begin(attempt, free[0])
            except Exception as error:  # noqa: BLE001 - no descriptor, no thread, no memory: no fault of the job
                self.running.pop(attempt.owner.job.id, None)
                self.done.append(attempt.owner.give_back())
                self.pause(error)
                return
            if began:
                free.popleft()
            else:
                self.done.append(attempt.owner.give_back())
                self.flush_soon()
        if self.local.offers and not free:
            self.withdraw_offer()
        if backlog and self.stall_timer is None:
            self.stall_timer = self.ctx.after(STALLED_SECONDS, self.look_at_backlog, backlog[0])
        self.look_soon()

    def begin(self, attempt: JobAttempt, slot: ActorRef[Any]) -> bool:
        """Give a worker a job; False if the job was lost, or the store is gone."""
        if not begin(attempt):
            return False
        worker = self.async_worker(slot) if attempt.task.is_async else slot
        self.running[attempt.owner.job.id] = (attempt, slot)
        if self.shortage.lasts:
            self.shortage.trial = attempt
            self.ctx.after(TRIAL_SECONDS, self.see_trial, attempt)
        if attempt.task.is_async:
            worker.cast(AsyncJobWorker.run, attempt)
            return True
        worker.cast(JobWorker.run, attempt)
        if attempt.timeout is not None and not attempt.task.cpu:
            self.ctx.after(attempt.timeout, self.time_out, attempt)
        return True

    def async_worker(self, slot: ActorRef[Any]) -> ActorRef[Any]:
        """Return the worker for `async def` functions that shares a slot."""
        if slot not in self.async_workers:
            recipe = child(AsyncJobWorker, self.actor_ref).options(restart="permanent")
            self.async_workers[slot] = self.ctx.spawn(recipe)
        return self.async_workers[slot]

    def pause(self, error: BaseException) -> None:
        """Take no jobs for a while, as those that were taken could not begin here; others may have them."""
        seconds = self.shortage.note(error, self.ctx.random)
        self.withdraw_offer()
        self.give_back()
        if seconds is not None:
            self.ctx.after(seconds, self.try_again)

    def try_again(self) -> None:
        """See whether jobs can begin here again: by one."""
        self.hire()
        self.flush_soon()

    def see_trial(self, attempt: JobAttempt) -> None:
        """A job that runs for a while has begun, however long it takes."""
        if self.shortage.trial is not attempt or not self.runs(attempt):
            return
        if attempt.has_begun():
            self.shortage.over()
            self.flush_soon()
        else:
            self.ctx.after(TRIAL_SECONDS, self.see_trial, attempt)

    def look_at_backlog(self, first: JobAttempt) -> None:
        """Give back jobs that wait behind others that take longer than was thought."""
        self.stall_timer = None
        if self.backlog and self.backlog[0] is first:
            self.duration = max(self.duration or 0.0, STALLED_SECONDS)
            self.give_back()
        elif self.backlog:
            self.stall_timer = self.ctx.after(STALLED_SECONDS, self.look_at_backlog, self.backlog[0])

    def give_back(self) -> None:
        """Let others have the jobs that wait for a worker here."""
        if self.backlog and self.takes_no_more():
            logger.info("Queue %s: %s not begun, and given back", self.local.name, plural(len(self.backlog), "job"))
        while self.backlog:
            self.done.append(self.backlog.pop().owner.give_back())
        self.flush_soon()

    # --- to an end ----------------------------------------------------------------------------------------------------

    def time_out(self, attempt: JobAttempt) -> None:
        """A plain function takes longer than it may: nothing can end its thread, so its worker is given up."""
        if self.runs(attempt) and attempt.time_out(self.ctx.random):
            self.replace_worker(attempt)

    def runs(self, attempt: JobAttempt) -> bool:
        """Say whether an attempt has not ended."""
        entry = self.running.get(attempt.owner.job.id)
        return entry is not None and entry[0] is attempt

    def replace_worker(self, attempt: JobAttempt) -> None:
        """Have another worker in the place of one whose attempt was given up, and whose thread runs on."""
        _, slot = self.running[attempt.owner.job.id]
        self.end(attempt)
        slot.stop(block=False)
        beside = self.async_workers.pop(slot, None)
        if beside is not None:
            beside.stop(block=False)
        self.given_up = [*(ref for ref in self.given_up if ref.is_alive()), slot]
        if self.draining:
            self.abandon_given_up()
        self.hire()
        self.flush_soon()

    def abandon_given_up(self) -> None:
        """Have the end wait for no thread whose job is over."""
        scheduler, workers = self.actor_ref._scheduler, [ref for ref in self.given_up if ref.is_alive()]
        self.given_up.clear()

        def abandon() -> None:
            for ref in workers:
                start_procedure(scheduler, ref._parent.stop_child(ref, restart=False, seconds=0.0))

        scheduler.post_work(abandon)

    def look_for_cancelled(self) -> None:
        """End the jobs that somebody has cancelled."""
        if not (self.running or self.backlog):
            return
        try:
            cancelled = self.local.jobs.to_cancel()
        except Exception as error:  # noqa: BLE001 - the store is gone for now; the next look around asks again
            text = "Queue %s: the store failed, running jobs are cancelled later: %s"
            self.local.upkeep.report_failure("cancelled jobs", error, text)
            return
        self.local.upkeep.report_success("cancelled jobs")
        for id_ in cancelled:
            self.cancel(id_)

    def cancel(self, id_: int) -> None:
        """Have a job end: its task sees that it is cancelled, and is ended if it goes on all the same."""
        waiting = next((attempt for attempt in self.backlog if attempt.owner.job.id == id_), None)
        if waiting is not None:
            self.backlog.remove(waiting)
            waiting.cancelled = True
            waiting.give_up(JobCancelled("it was cancelled"), self.ctx.random)
            assert waiting.owner.outcome is not None
            self.done.append(waiting.owner.outcome)
            self.flush_soon()
        elif id_ in self.running:
            attempt, _ = self.running[id_]
            if not attempt.cancelled:
                self.ctx.after(CANCEL_SECONDS, self.end_cancelled, attempt)
                attempt.cancel()

    def end_cancelled(self, attempt: JobAttempt) -> None:
        """End a task that has not looked whether it is cancelled."""
        if self.runs(attempt) and attempt.end_cancelled(self.ctx.random):
            self.replace_worker(attempt)
