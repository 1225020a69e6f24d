"""DagRunner: the actor of one run of a DAG. It has the workers as children, and times and cancels what they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import child
from actorflow.core.log import logger
from actorflow.core.messages.messages import Call
from actorflow.core.running.system_task import start_procedure
from actorflow.errors import NonDeterministic, RunCancelled
from actorflow.workflows.dag.expansion import LateFailure
from actorflow.workflows.dag.journal import NOTHING_PAST, PastRun
from actorflow.workflows.dag.table import Try
from actorflow.workflows.dag.workers import StepWorker

if TYPE_CHECKING:
    from actorflow.core.messages.reply import Reply
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.attempts import StepAttempt
    from actorflow.workflows.dag.runtime import DagRuntime

CANCEL_SECONDS: Final = 2.0  # that a running task has to see that it is cancelled, before it is ended
WORK: Final = Call("work", (), {})


class DagRunner(Actor):
    """Hires workers, ends attempts that take too long or are cancelled, and has nodes be tried again."""

    _works_in_drains = True  # what runs then needs its timeout and its cancel all the same

    def __init__(self, runtime: DagRuntime) -> None:
        super().__init__()
        self.runtime = runtime
        self.recipe = child(StepWorker, runtime)
        self.drained: list[Reply] = []
        self.is_over = False
        runtime.runner = self.actor_ref
        progress = runtime.progress
        progress.hire = self.ask_to_hire
        progress.wake = wake
        progress.cancel_step = self.ask_to_cancel
        progress.over = self.tell_over

    # --- called by workers' threads -----------------------------------------------------------------------------------

    def ask_to_hire(self) -> None:
        """Have more workers started."""
        self.actor_ref.cast(DagRunner.hire)

    def ask_to_cancel(self, i: int) -> None:
        """Have a running node cancelled."""
        self.actor_ref.cast(DagRunner.cancel_step, i)

    def tell_over(self) -> None:
        """Give the result to the threads that wait, and have the actors end."""
        self.runtime.settle()
        self.actor_ref.cast(DagRunner.finish)

    # --- messages -----------------------------------------------------------------------------------------------------

    def begin(self, past: PastRun = NOTHING_PAST) -> None:
        """Start the nodes that wait for none, after those that have records."""
        try:
            self.runtime.progress.begin(past)
        except NonDeterministic as error:
            self.runtime.fail(error)
            self.finish()

    def hire(self) -> None:
        """Start workers for the nodes that are ready."""
        progress = self.runtime.progress
        with progress.lock:
            wanted = min(len(progress.heap), progress.limit - progress.workers)
        hired: list[ActorRef[Any]] = []
        lack: Exception | None = None
        try:
            while len(hired) < wanted:
                hired.append(self.ctx.spawn(self.recipe))
        except Exception as error:  # noqa: BLE001 - no memory, or the system ends: those that there are do
            lack = error
        with progress.lock:
            progress.workers += len(hired)
            progress.is_hiring = False
        for worker in hired:
            wake(worker)
        if lack is not None:
            logger.warning("Run %s has %d workers, and no more for now: %s", self.runtime.id, progress.workers, lack)
            if not progress.workers:
                self.runtime.fail(lack)
                self.finish()

    def on_receive(self, message: Any) -> None:
        """Act on news of a worker's thread."""
        kind, *given = message
        if kind == "again":
            i, pause = given
            self.ctx.after(pause, self.try_again, i)
        elif kind == "async":
            (attempt,) = given
            attempt.worker.cast(StepWorker.begin_async, attempt)
        elif kind == "timed":
            (attempt,) = given
            if attempt.ending is None:
                attempt.timer = self.ctx.after(attempt.timeout, self.time_out, attempt)

    def try_again(self, i: int) -> None:
        """Have a node be ready again."""
        self.runtime.progress.try_again(i)

    def time_out(self, attempt: StepAttempt) -> None:
        """End a plain function that takes longer than it may; its thread runs on, and its worker is given up."""
        if attempt.time_out(self.ctx.random):
            self.replace(attempt)

    def replace(self, attempt: StepAttempt) -> None:
        """Act on the end of an attempt whose thread runs on; another worker takes its place."""
        owner, progress, runtime = attempt.owner, self.runtime.progress, self.runtime
        ending, i, worker = owner.ending, owner.i, attempt.worker
        assert ending is not None
        assert worker is not None
        runtime.forget(attempt)
        error = attempt.error or TimeoutError()
        self.dismiss(worker)
        if ending.kind == "again":
            failure = Try(attempt.began, progress.now(), error)
            runtime.note_try(i, failure)
            with progress.lock:
                progress.note_try(i, failure)
            self.ctx.after(ending.pause, self.try_again, i)
        elif progress.is_cancelled(i):
            progress.give_up(i, error)
        else:
            progress.fail_later(i, LateFailure(error))  # a worker acts on it: the node may have a handler
        self.fill_up()

    def dismiss(self, worker: ActorRef[Any]) -> None:
        """Take out a worker whose thread runs on."""
        progress = self.runtime.progress
        with progress.lock:
            progress.workers -= 1
            progress.gone.add(worker)
        worker.stop(block=False)

    def fill_up(self) -> None:
        """Have nodes that are ready run, though a worker has gone."""
        progress = self.runtime.progress
        with progress.lock:
            progress.call_workers()
        progress._look_over()

    # --- cancel, pause, and the end -----------------------------------------------------------------------------------

    def cancel(self, error: BaseException) -> None:
        """Begin no more nodes, and end those that run."""
        self.runtime.progress.halt(error)

    def cancel_step(self, i: int) -> None:
        """Have a running node see that it is cancelled, and end it if it does not."""
        attempt = self.runtime.attempts.get(i)
        if attempt is not None:
            attempt.cancel()
        self.ctx.after(CANCEL_SECONDS, self.end_cancelled, i)

    def end_cancelled(self, i: int) -> None:
        """End a node that has not looked whether it is cancelled."""
        progress = self.runtime.progress
        attempt = self.runtime.attempts.get(i)
        if attempt is not None:
            if attempt.end_cancelled(self.ctx.random):
                self.replace(attempt)
        elif progress.status_of(i) == "running" and i not in progress.expansions:
            text = f"step {self.runtime.key_of(i)} was cancelled; its thread cannot be ended and runs on"
            logger.warning("%s, and its result is refused", text)
            worker = self.runtime.at.get(i)
            if worker is not None:
                self.dismiss(worker)
            progress.give_up(i, RunCancelled(text))
            self.fill_up()

    def pause(self) -> None:
        """Begin no more nodes for now."""
        self.runtime.progress.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self.runtime.progress.go_on()

    def drain(self) -> None:
        """Cancel the nodes that have not begun, and answer once nothing runs."""
        self.drained.append(self.ctx.reply_later())
        self.runtime.progress.halt(RunCancelled(f"run {self.runtime.id}: its system ended"), those_that_run=False)
        self.look_drained()

    def look_drained(self) -> None:
        """Answer, if the run is over."""
        if self.is_over:
            for reply in self.drained:
                reply.set(None)
            self.drained = []

    def finish(self) -> None:
        """End the actors of a run that is over."""
        self.is_over = True
        self.look_drained()
        self.abandon_stuck()
        self.stop()

    def abandon_stuck(self) -> None:
        """Have the end wait for no thread that runs on with a node that was given up."""
        scheduler, idle = self.actor_ref._scheduler, set(self.runtime.progress.idle)
        stuck = [ref for ref in self.actor_ref._children or () if ref not in idle]

        def abandon() -> None:
            for ref in stuck:
                start_procedure(scheduler, ref._parent.stop_child(ref, restart=False, seconds=0.0))

        if stuck:
            scheduler.post_work(abandon)

    def on_stop(self) -> None:
        """Leave nobody waiting, whatever has ended this actor."""
        self.runtime.cut(RunCancelled(f"run {self.runtime.id}: its system ended"))

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:  # noqa: ARG002 - pykka's
        """Leave nobody waiting after a defect."""
        self.runtime.broken(exception_value)


def wake(worker: ActorRef[Any]) -> None:
    """Have an idle worker look for a node."""
    worker._scheduler.post(worker, WORK, None)
