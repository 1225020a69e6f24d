"""Body: the code of a run that is loaded here, from its begin to its end or until it is unloaded.

The journal's order is the order of delivery: the body hears of one record at a time, and then goes on until it waits
again, when it runs for the first time and when it replays. Until all records that were loaded are heard nothing new is
begun, since the journal may tell how it has ended. A step is begun, and so seen outside, only once all is committed
that the body had heard of by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.futures.future import Future
from actorflow.errors import PayloadError, RunCancelled, Unload
from actorflow.store.codec import check_size
from actorflow.store.error_json import write_error
from actorflow.text import reason_of
from actorflow.workflows.body.body_journal import BodyJournal
from actorflow.workflows.body.branch import Branch
from actorflow.workflows.body.child_step import ChildStep, arguments_of_run
from actorflow.workflows.body.job_step import JobStep
from actorflow.workflows.body.loading import load
from actorflow.workflows.body.mail import Mail
from actorflow.workflows.body.queued import EMPTY, queued
from actorflow.workflows.body.sends import Sends, TellStep
from actorflow.workflows.body.steps import BodyStep, StepFuture, TaskStep, arguments_of
from actorflow.workflows.body.timed_steps import SignalStep, TimerStep
from actorflow.workflows.rows.records import CANCEL, TURNED, RunRecord, misfit_of

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.saga_course import SagaCourse
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun, Identity
    from actorflow.workflows.workflow import AnyWorkflow


class Body(BodyJournal):
    """The code of a run, its journal and the steps that it waits for.

    Attributes:
        now: the time of the last record that the body has heard of: the clock of its code.
        open: the steps that were begun and whose end was not heard of, by where they stand.
        attempts: the attempts that had failed when the run was loaded.
        launching: how many steps are about to begin.
        ref: the actor of the run.
        again_at: when the run is to be tried again, as its actor has failed; None: it has not.
        under_way: how many attempts of steps runners have.
        closed: set once `is_closed` is.
        saga: what is to be undone, if it is the code of a saga.
    """

    __slots__ = (
        "_unlaunched", "again_at", "attempts", "closed", "exposed", "has_cancel", "has_children", "is_cancelled",
        "launching", "mail", "now", "open", "patches", "pauses", "ref", "saga", "sends", "trunk", "under_way",
        "why_cancelled", "workflow",
    )  # fmt: skip
    is_async: ClassVar[bool] = False

    def __init__(self, node: RunNode, run: ClaimedRun, workflow: AnyWorkflow, records: list[RunRecord]) -> None:
        super().__init__(node, run)
        self.workflow = workflow
        self.now = run.started
        self.last = records[-1].n if records else 0
        self.open: dict[Identity, BodyStep] = {}
        self.exposed: dict[str, Callable[[], Any]] = {}  # functions for queries, by their names
        self.pauses: list[int] = []  # messages that ask for a pause
        self.patches: dict[str, bool] = {}  # what was answered to `af.patched`
        self.attempts: dict[Identity, list[RunRecord]] = {}
        self.sends = Sends(self)
        load(self, records)
        self.ref: ActorRef[Any] | None = None
        self.again_at: float | None = None
        self.under_way = self.launching = 0
        self.closed: Future[None] = Future()
        self.mail = Mail(self)
        self.trunk = Branch(self, "0")
        self.is_cancelled = self.has_children = False
        self.why_cancelled: bytes | None = None
        self.has_cancel = any(record.kind == CANCEL for record in self.journal)
        self.to_replay = len(self.journal)
        self._unlaunched: deque[BodyStep] = EMPTY  # by their `after`, which only grows
        self.saga: SagaCourse | None = workflow.course_of(self, records)

    # --- what the code calls -----------------------------------------------------------------------------------------

    def call(self, branch: Branch, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task as the next step of a branch."""
        raise NotImplementedError  # pragma: no cover - sync and async bodies have their own way

    def submit(self, branch: Branch, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Begin a task as the only step of a new branch of this one."""
        self.check()
        given = arguments_of(task, args, kwargs, self.node.site.payload_limit)
        return self.begin(self.kind_of(task)(self, branch.beside(task.name), 0, task, *given))

    def step_of(self, branch: Branch, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BodyStep:
        """Return a task as the next step of a branch: run here, or a job of a queue."""
        given = arguments_of(task, args, kwargs, self.node.site.payload_limit)
        return self.kind_of(task)(self, *branch.next(task.name), task, *given)

    def kind_of(self, task: AnyTask) -> Callable[..., BodyStep]:
        """Return the class of the steps of a task."""
        if task.job_options.queue is not None:
            return JobStep
        return TaskStep if self.saga is None else self.saga.step_kind

    def run_child(self, branch: Branch, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a child as the next step of a branch."""
        raise NotImplementedError  # pragma: no cover - sync and async bodies have their own way

    def child_step(
        self, branch: Branch, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ChildStep:
        """Return a child as the next step of a branch."""
        self.check()
        given = arguments_of_run(workflow, args, kwargs)
        check_size(given, f"the arguments of {workflow.name}", self.node.site.payload_limit)
        identity, start = branch.next(workflow.name)
        self.has_children = True
        return ChildStep(self, identity, start, workflow, given)

    def begin_branch(
        self, parent: Branch, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        """Have a function of several steps run as a branch of its own."""
        raise NotImplementedError  # pragma: no cover - sync and async bodies have their own way

    def begin_timer(self, branch: Branch, seconds: float) -> Future[Any]:
        """Begin a timer as the next step of a branch."""
        self.check()
        identity, start = branch.next("timer")
        return self.begin(TimerStep(self, identity, start, seconds))

    def begin(self, step: BodyStep) -> Future[Any]:
        """Have a step begin, as soon as it may: the journal may have its end."""
        self.open[step.identity] = step
        if self.saga is not None:
            self.saga.begun(step)
            self.saga.release()
        self.begin_send(step)
        return step.future

    def begin_send(self, step: BodyStep) -> None:
        """Have a step begin of whose end the code does not hear, or one that is open."""
        with self.lock:
            self._unlaunched = queued(self._unlaunched, step)
        self.launch()

    def check(self) -> None:
        """Raise the error that ends the code: it is unloaded, or somebody has cancelled the run."""
        if self.is_over:
            raise Unload

    # --- the journal -------------------------------------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        """Whether the code has heard of all records that are there, and waits: then its variables may be looked at."""
        return self.rests and not self.journal

    @property
    def is_shielded(self) -> bool:
        """Whether a cancel is not heard of for now: it is a saga that undoes, or only goes forward."""
        return self.saga is not None and self.saga.is_shielded

    def is_at_work(self, kind: type[BodyStep] | None = None) -> bool:
        """Say whether a step of a kind is under way; without a kind, one that waits not just for time or a signal."""
        steps = list(self.open.values())  # the code may be in another thread
        if kind is not None:
            return any(isinstance(step, kind) for step in steps)
        return self.has_news or any(not isinstance(step, (TimerStep, SignalStep)) for step in steps)

    def deliver(self) -> bool:
        """Have the body hear of the next record; False if there is none.

        Raises:
            Unload: the record is of a step that the code has not begun, or has begun otherwise.
        """
        with self.lock:
            if not self.has_news:
                return False
            record = self.journal.popleft()
            self.journal = self.journal or EMPTY
        self.now = record.at
        if record.kind == CANCEL:
            self.why_cancelled = record.error
            self.cancel_steps()
        else:
            try:
                self._hear(record)
            except Exception as error:  # noqa: BLE001 - of a class of the user's, which is read here
                raise self.unreadable(f"record {record.n}, of {record.identity[1]}", error) from None
        if self.to_replay:
            self.to_replay -= 1
            if not self.to_replay:
                if self.saga is not None:
                    self.saga.heard_all()
                self.launch()
        return True

    def cancel_steps(self) -> None:
        """Note that the run is cancelled, and have the steps told that are under way."""
        self.is_cancelled = True
        if self.saga is not None and self.saga.is_shielded:
            return
        with self.lock:
            for step in [one for one in self.open.values() if one.cancel() and one.is_launched]:
                self.launch_again(step)
        self.launch()

    def launch_again(self, step: BodyStep) -> None:
        """Have a step launched once more, which the code has cancelled; the lock is held."""
        step.after = self.last
        self._unlaunched = queued(self._unlaunched, step)

    def interrupt_steps(self) -> None:
        """Have the steps end that are under way when the run is cancelled; the code may be busy with one of them."""
        for step in list(self.open.values()):
            if isinstance(step, TaskStep) and step.is_launched:
                step.interrupt()

    def skip_pause(self, step: TaskStep) -> None:
        """End the pause before the next attempt of a step, which is cancelled."""
        step.launch()

    def leave(self, step: TaskStep) -> bool:  # noqa: ARG002 - of sync bodies
        """Say whether the thread of the code runs a step, and have its end recorded by others."""
        return False

    def _hear(self, record: RunRecord) -> None:
        step = self.open.pop(record.identity, None)
        if step is None:
            if self.saga is not None and record.kind == TURNED and self.saga.turn_again(record):
                return
            raise self.misfit(record.identity, None)
        if step.start != record.start or step.hash != record.hash:
            raise self.misfit(record.identity, step)
        step.hear(record)
        if type(step.future) is StepFuture:
            step.future.step = None
        if self.saga is not None:
            self.saga.heard(step, record)

    def misfit(self, expected: Identity | None, step: BodyStep | None) -> Unload:
        """Note that the code does not fit its records, and return the exception that ends it."""
        begun = None if step is not None else [one.identity for one in self.open.values()]
        self.misfits = misfit_of(expected, begun, has_arguments=step is not None and step.hash is not None)
        self.is_over = True
        return Unload()

    def unreadable(self, what: str, error: Exception) -> Unload:
        """Note that stored values of the run cannot be read here, and return the exception that ends its code."""
        self.misfits = PayloadError(f"{what} cannot be read here: {reason_of(error)}")
        self.is_over = True
        return Unload()

    def arrive(self, record: RunRecord, mail: int | None = None) -> None:
        """Put the end of a step into the journal, and have it committed; may be called by any thread."""
        with self.lock:
            if self.takes_nothing or (self.is_over and mail is not None):
                self.rests = False  # the signal stays in its row, for the next one who has the run
                return
            self.number(record)
            self.journal = queued(self.journal, record)
        self.node.commit(self, record, mail)
        if record.kind == CANCEL:
            self.interrupt_steps()
        self.wake()

    def cancel(self, mail: int | None, why: str | None = None) -> None:
        """Have the code told that the run is cancelled, once; may be called by any thread."""
        with self.lock:
            if self.has_cancel:
                return
            self.has_cancel = True
        error = None if why is None else write_error(RunCancelled(why))
        at = self.node.now()
        self.arrive(RunRecord(0, ("", "cancel", 1), 0, CANCEL, None, None, error, 1, None, at), mail)

    @property
    def is_settled(self) -> bool:
        """Whether no step is under way, and all that has ended is committed: then the run may be given back."""
        return self.takes_nothing or not (self.under_way or not self.is_safe(self.last))

    def begins(self, step: TaskStep) -> None:
        """Have a runner make an attempt of a step."""
        with self.lock:
            self.under_way += 1
        step.in_runner = True
        self.node.run_step(step.begin())

    def ends(self, step: TaskStep) -> None:
        """Note that an attempt has ended, and that its end is recorded."""
        if step.in_runner:
            with self.lock:
                self.under_way -= 1
            if self.is_over:
                self.wake()

    def note(self, record: RunRecord) -> None:
        """Have a record committed that the code does not hear of."""
        with self.lock:
            self.number(record)
        self.node.commit(self, record, None)

    def launch(self) -> None:
        """Begin the steps that may begin by now."""
        if self.to_replay or self.is_over:
            return
        while self._unlaunched:
            with self.lock:
                if not self._unlaunched:
                    return
                step, first = self._unlaunched[0], self.first_uncommitted
                if first <= step.after or (first <= self.sends.barrier and not step.is_send):
                    return
                self._unlaunched.popleft()
                self._unlaunched = self._unlaunched or EMPTY
                self.launching += 1
                if step.is_send:
                    self.sends.leave(step)  # before others do that come later
            if step.identity in self.open:
                step.is_launched = True
                step.launch()
            with self.lock:
                self.launching -= 1
                self.rests = self.rests and not self.is_over  # it may have been over before the step could begin

    def is_clear(self, step: BodyStep) -> bool:
        """Say whether a step may begin that the code makes last: all that came before it is seen outside."""
        return not self.sends.unlaunched and self.is_safe(max(step.after, self.sends.barrier))

    def wake(self) -> None:
        """Have the code go on: something may have happened that it waits for."""
        raise NotImplementedError  # pragma: no cover - sync and async bodies have their own way

    def runs_inline(self, step: TaskStep) -> bool:  # noqa: ARG002 - of sync bodies
        """Say whether a step is run by the thread of the code itself."""
        return False

    def cut(self, step: TaskStep) -> None:
        """Note that an attempt was cut, as the system ends."""

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def holds_end(self) -> bool:
        """Whether the run cannot end yet, as a step is under way that it does not wait for."""
        return self.sends.unlaunched > 0 or any(step.holds_end for step in self.open.values())

    @property
    def is_unsettled(self) -> bool:
        """Whether something is yet to be begun, so that an unloaded run is to be loaded again at once."""
        if not self.rests or self.launching or self.journal:
            return True
        is_left = any(step.identity in self.open or type(step) is TellStep for step in self._unlaunched)
        return is_left or any(step.is_work or step.is_starting for step in self.open.values())

    def unload(self) -> None:
        """Have the code end without a trace: the run goes on where it was, here or elsewhere."""
        with self.lock:
            self.is_over = True
        self.wake()
