"""DagBody: a run of a DAG that is in the store: the ends of its nodes are records, and it goes on from these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.actors.child import child
from actorflow.core.futures.future import Future, patient
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Call
from actorflow.errors import DeadlockError, NonDeterministic, StepFailed, Stopping, Unload
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error
from actorflow.store.transaction import NEWEST
from actorflow.workflows.body.body import Body
from actorflow.workflows.body.body_execution import cancelled
from actorflow.workflows.body.queued import EMPTY
from actorflow.workflows.dag.looks import DagLooks
from actorflow.workflows.dag.memory_run import WORKERS
from actorflow.workflows.dag.past import as_node_record, past_of
from actorflow.workflows.dag.progress import DagProgress
from actorflow.workflows.dag.runner import DagRunner
from actorflow.workflows.dag.runtime import DagRuntime
from actorflow.workflows.rows.records import ATTEMPT, CANCEL, COUNT, FINAL, LEFT_OUT, RESULT, RunRecord
from actorflow.workflows.run import RunEvent

if TYPE_CHECKING:
    from actorflow.core.actors.context import Context
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.durable_dag import DurableDag
    from actorflow.workflows.dag.journal import NodeRecord
    from actorflow.workflows.dag.table import Try
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun

AGAIN_SECONDS = 1.0  # until a run is tried again that could not go on here


class DagBody(Body):
    """A run of a DAG that is loaded here. It is the journal of its runtime.

    Attributes:
        progress: of its nodes.
        looks: on them.
        runtime: which its workers share.
        runner: its actor; None until it begins.
    """

    workflow: DurableDag

    def __init__(self, node: RunNode, run: ClaimedRun, workflow: DurableDag, records: list[RunRecord]) -> None:
        super().__init__(node, run, workflow, records)
        self.journal = EMPTY
        self._records = records
        dag, scheduler = workflow.dag, node.scheduler
        self.progress = DagProgress(dag.plan(), scheduler.clock, dag.workers or WORKERS)
        self.progress.left_behind = self.wake
        self.looks = DagLooks(run.name, self.progress, scheduler.clock)
        self.looks.be_heard(self._publish)
        self.runtime = DagRuntime(run.scope, self.progress, node.site, scheduler, self.wake, self, run.event)
        self.runner: ActorRef[Any] | None = None

    def begin_nodes(self, context: Context) -> None:
        """Have the nodes begin that may, after those that have records.

        Raises:
            Unload: a stored value cannot be read here.
        """
        try:
            past = past_of(self.workflow.dag, self._records, self.node.read, self.looks.offset)
        except Exception as error:  # noqa: BLE001 - of a class of the user's
            raise self.unreadable("a result of a node", error) from None
        self._records = []
        self.runner = context.spawn(child(DagRunner, self.runtime))
        self.runner.cast(DagRunner.begin, past)
        if self.is_cancelled:
            self.runner.cast(DagRunner.cancel, cancelled(self))

    def _publish(self, event: RunEvent) -> None:
        """Tell of a step; of the run itself tells its node."""
        events = self.node.scheduler.events
        if event.step is not None and RunEvent in events.listeners:
            events.publish(event)

    def wake(self) -> None:
        """Have the actor of the run see how far it is; any thread may ask."""
        if self.ref is not None:
            self.node.scheduler.post(self.ref, Call("go_on", (), {}), None)

    # --- the journal -------------------------------------------------------------------------------------------------

    def write(self, record: NodeRecord, /) -> NodeRecord | None:
        """Record the end of a node, and return it as it is stored; None: the run was cancelled before.

        Raises:
            PayloadError: the result cannot be stored.
            Unload: the run is not here any more.
        """
        what = f"the result of node {record.name}"
        value = encode(record.value, what) if record.kind == "completed" else None
        check_size(value, what, self.node.site.payload_limit)
        error = None if record.error is None else write_error(record.error, has_traceback=True)
        kind = LEFT_OUT if record.kind == "left out" else RESULT
        stored = self._row(record.name, kind, value, error, record.attempts, record.began, record.ended)
        stored.hash, stored.also = record.hash, record.also
        with self.lock:
            if self.takes_nothing:
                raise Unload
            if self.has_cancel:
                return None
            self.number(stored)
        self.node.commit_here(self, stored)
        with self.lock:
            if stored.n in self.uncommitted:  # another node has the run
                raise Unload
        return as_node_record(self.workflow.dag, stored, self.node.read, self.looks.offset)

    def note_try(self, name: str, attempt: int, failure: Try, /) -> None:
        """Record a failed attempt, for which nobody waits."""
        error = write_error(failure.error, has_traceback=True)
        self._note(self._row(name, ATTEMPT, None, error, attempt, failure.started, failure.ended))

    def note_count(self, name: str, count: int, /) -> None:
        """Record how many items a map has, for which nobody waits."""
        self._note(self._row(name, COUNT, encode(count), None, 1, None, None))

    def _note(self, record: RunRecord) -> None:
        if not (self.has_cancel or self.takes_nothing):
            self.note(record)

    def _row(
        self,
        name: str,
        kind: int,
        value: bytes | None,
        error: bytes | None,
        attempt: int,
        began: float | None,
        ended: float | None,
    ) -> RunRecord:
        offset = self.looks.offset
        at = self.node.now() if ended is None else ended + offset
        return RunRecord(
            0, ("", name, 1), 0, kind, None, value, error, attempt, None if began is None else began + offset, at
        )

    def committed(self, record: RunRecord) -> None:
        """Note that a record is committed; once a cancel is, the nodes hear of it."""
        with self.lock:
            self.uncommitted.pop(record.n, None)
            self.first_uncommitted = next(iter(self.uncommitted), NEWEST)
        if record.kind == CANCEL:
            self.why_cancelled = record.error
            self.is_cancelled = True
            if self.runner is not None:
                self.runner.cast(DagRunner.cancel, cancelled(self))
        if self.is_over or self.progress.status in FINAL:
            self.wake()

    def pause(self, seconds: float) -> None:
        """Let time pass until a commit is tried again.

        Raises:
            Unload: the run is not here any more, or the system ends.
        """
        execution = CURRENT.get()
        if self.is_closed or execution is None:
            raise Unload
        over: Future[None] = patient(None)  # type: ignore[arg-type]
        self.node.scheduler.call_later(seconds, lambda: over._settle(None, None))
        try:
            execution.wait(over, None)
        except Stopping:
            self.unload()
            raise Unload from None

    # --- its end -----------------------------------------------------------------------------------------------------

    def go_on(self) -> bool:
        """Say whether the run is over.

        Raises:
            Unload: it goes on elsewhere, or later, or does not fit its records.
        """
        status, error = self.progress.status, self.progress.error
        is_over = status in FINAL
        if is_over and not self.is_over:
            if isinstance(error, NonDeterministic):
                self.misfits, self.is_over = error, True
            elif not self._is_end(status, error):
                self.again_at, self.is_over = self.node.now() + AGAIN_SECONDS, True
        if self.is_over:
            raise Unload
        return is_over

    def _is_end(self, status: str, error: BaseException | None) -> bool:
        """Say whether the run has ended by its nodes or a cancel, and not by a defect or a lack here."""
        if status == "cancelled":
            return self.has_cancel
        return status == "completed" or isinstance(error, StepFailed | DeadlockError)

    def value(self) -> None:
        """Return nothing, as the results are in the records; or raise the error of the run."""
        self.is_cancelled = self.progress.status == "cancelled"
        if self.is_cancelled:
            raise cancelled(self)
        if self.progress.error is not None:
            raise self.progress.error

    def unload(self) -> None:
        """Have no more nodes begin here: the run goes on where it was, here or elsewhere."""
        with self.lock:
            self.is_over = True
        self.progress.leave()
        self.wake()

    @property
    def is_settled(self) -> bool:
        """Whether no node runs, and all that has ended is committed: then the run may be given back."""
        return self.takes_nothing or not (self.progress.is_busy or not self.is_safe(self.last))

    @property
    def is_unsettled(self) -> bool:
        """Whether the run is to go on at once where it is given back: a DAG is."""
        return True
