"""RunNode: the runs of one system in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Call
from actorflow.core.outage import Outage
from actorflow.durable.rows import ledger as mailboxes
from actorflow.errors import ActorDeadError, DefinitionError, OutcomeUnknown, StoreError, Unload
from actorflow.store.commit_batch import batch_of
from actorflow.tasks.site import TaskSite
from actorflow.workflows.body.async_body import AsyncBody
from actorflow.workflows.body.sync_body import SyncBody
from actorflow.workflows.node.family import ChildMember, end_run
from actorflow.workflows.node.giving_back import give_back
from actorflow.workflows.node.jobs import CancelJobMember, JobMember
from actorflow.workflows.node.members import (
    STORE_SECONDS,
    DropMailMember,
    EndMember,
    RecordMember,
    RecordsMember,
    RunMember,
    SendMember,
)
from actorflow.workflows.node.runners import LOOK, RunnerPlaces
from actorflow.workflows.node.waiting_code import WaitingCode
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import NO_STEP, RENEWED, RunLost, event_of, step_name
from actorflow.workflows.run import RunEvent
from actorflow.workflows.signals import AT_START
from actorflow.workflows.workflow import WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.rows.records import Letter
    from actorflow.store.transaction import Transaction
    from actorflow.tasks.execution import Attempt
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.child_step import ChildStep
    from actorflow.workflows.body.job_step import JobStep
    from actorflow.workflows.body.lanes import Lane
    from actorflow.workflows.body.steps import BodyStep
    from actorflow.workflows.dag.dag_body import DagBody
    from actorflow.workflows.rows.ledger import NewRun
    from actorflow.workflows.rows.records import ClaimedRun, Identity, RunRecord


class RunNode:
    """The runs that this process has, and the means that they share.

    Attributes:
        id: of the node on the store.
        bodies: the runs that are loaded, by their names.
        site: the means to run steps.
        only: names of the workflows that this system runs; None: all that are imported.
        runs: the actor that claims.
        runners: the actor that has steps run.
        pruner: the actor that removes runs which were kept their time.
        left_behind: names of tasks that were warned of as they left threads behind.
        waiting: plain code that waits, each with a thread.
        keep: seconds that a run is kept after its end.
        keep_ids: seconds that its id is known after that.
        kinds: of bodies: of plain functions, and of `async def` ones.
    """

    runs: ActorRef[Any]
    runners: ActorRef[Any]
    pruner: ActorRef[Any]

    def __init__(self, home: Any, durable: DurableRuntime) -> None:
        self.home = home
        self.scheduler = home.scheduler
        self.clock: Callable[[], float] = home.scheduler.clock.time  # as `now`, without its call
        self.store = home.store
        self.durable = durable
        self.id = self.store.node.id
        self.read = home.waits.read
        self.waits = home.waits
        self.batch = batch_of(self.scheduler, self.store)
        self.bodies: dict[str, Body] = {}
        self.only: frozenset[str] | None = home.workflows
        limit = int(home.settings.payload_limit)
        self.site = TaskSite(self.scheduler, self.store, lambda: home.pool("cpu"), None, limit)
        self.keep: float = home.settings.keep_runs
        self.keep_ids: float = home.settings.keep_run_ids
        self.calendar: Any = None  # of schedules; a RunCalendar once one was declared
        self.left_behind: set[str] = set()
        self.is_closed = False
        self.set_back = 0.0  # seconds by which the clock was ahead, before it was set right
        self.kinds: tuple[Callable[..., Body], Callable[..., Body]] = (SyncBody, AsyncBody)
        self.places = RunnerPlaces()
        self.waiting = WaitingCode()
        self._outage = Outage(self.scheduler.clock)
        self.full = Outage(self.scheduler.clock)  # mailboxes have no room for what runs send

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.scheduler.clock.time()  # type: ignore[no-any-return]

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens for events of runs."""
        return RunEvent in self.scheduler.events.listeners

    def known(self) -> list[str]:
        """Return the names of the workflows that are run here."""
        return [name for name in WORKFLOWS if self.only is None or name in self.only]

    # --- starts and loads --------------------------------------------------------------------------------------------

    def start(self, new: NewRun, signal: Letter | None = None) -> ClaimedRun | None:
        """Start a run, maybe with a signal, here if its workflow is run here; None if there is one of that name."""
        is_held = self.store.is_held_here  # in the transaction of a task: there with its result, or not at all
        owner = self.id if self.runs_here(new.workflow) and not is_held else None

        def work(transaction: Transaction) -> ClaimedRun | None:
            run = ledger.add(transaction, new, self.now(), owner)
            if is_held:
                transaction.after_commit(self.look)
            if run is not None and signal is not None:
                mailboxes.put_once(transaction, self.durable, signal, AT_START)
            return run

        try:
            run: ClaimedRun | None = self.store.write(work)
            if run is not None:
                self.added(run)
        except BaseException:  # also a Ctrl-C: the run may be there, and would be nobody's
            self.doubt()
            raise
        return run

    def runs_here(self, workflow: str) -> bool:
        """Say whether this system runs a workflow now."""
        return workflow in self.known() and not (self.is_closed or self.scheduler.draining)

    def added(self, run: ClaimedRun) -> None:
        """Have a run begin that was added, or looked for if it was not born owned; any thread may say so."""
        if run.epoch:
            self.scheduler.post(self.runs, Call("load", (run, []), {}), None)
        else:
            self.look()

    def doubt(self) -> None:
        """Have the claimer look for runs of this node that are not loaded; any thread may ask."""
        self.scheduler.post(self.runs, Call("doubt", (), {}), None)

    def doubt_mail(self) -> None:
        """Have all runs look for mail: there may be some of a commit whose outcome is unknown."""
        self.durable.doubt([body.run.address for body in list(self.bodies.values())])
        if self.durable.log is not None:  # or events that steps have published
            self.durable.log.look_later()
        self.durable.hear_of_runs()

    def start_child(self, step: ChildStep) -> None:
        """Have a child started in the next commit; or cancelled, if its parent is."""
        self.batch.add(ChildMember(step))

    def body_of(self, run: ClaimedRun, records: list[RunRecord]) -> Body:
        """Return the code of a run, to be begun."""
        workflow: Any = WORKFLOWS[run.workflow]
        kind: Any = self.kinds[workflow.is_async]
        if workflow.is_dag:
            from actorflow.workflows.dag.dag_body import DagBody as kind  # noqa: N813, PLC0415 - many have no DAG
        body: Body = kind(self, run, workflow, records)
        self.bodies[run.name] = body
        return body

    def run_branch(self, body: SyncBody, lane: Lane) -> None:
        """Have a thread for a branch of plain code."""
        assert body.ref is not None
        self.scheduler.post(body.ref, Call("run_branch", (lane,), {}), None)

    def run_step(self, attempt: Attempt[Any]) -> None:
        """Have an attempt of a step run; any thread may ask."""
        if attempt.timeout is None and not attempt.task.is_async:
            self.places.waiting.append(attempt)
            if not self.places.is_called:
                self.call_runner()
        else:
            self.scheduler.post(self.runners, Call("begin", (attempt,), {}), None)

    def call_runner(self) -> None:
        """Have a runner run the attempts that wait; any thread may ask."""
        places = self.places
        places.is_called = not self.scheduler.is_virtual  # there, each attempt has a runner of its own
        try:
            runner = places.take()
            if runner is not None:
                self.scheduler.post(runner, LOOK, None)
            else:
                self.scheduler.post(self.runners, Call("begin_waiting", (), {}), None)
        except BaseException:  # a signal: the next attempt calls one
            places.is_called = False
            raise

    def cancel_step(self, attempt: Attempt[Any]) -> None:
        """Have an attempt see that it is cancelled, and ended if it goes on all the same; any thread may ask."""
        self.scheduler.post(self.runners, Call("cancel", (attempt,), {}), None)

    def look(self) -> None:
        """Have the claimer look for runs that are ready; any thread may ask."""
        self.scheduler.post(self.runs, Call("look", (), {}), None)

    # --- listeners ---------------------------------------------------------------------------------------------------

    def tell(self, kind: str, run: str, step: Identity | None = None, detail: Any = None) -> None:
        """Publish an event of a run, if anybody listens; what it tells of is committed."""
        if RunEvent in self.scheduler.events.listeners:
            name = None if step is None else step_name(step)
            token = CURRENT.set(None)  # code of a run that begins a step may not look at actors; listeners may
            try:
                self.scheduler.events.publish(RunEvent(kind, run, name, self.now(), detail))
            finally:
                CURRENT.reset(token)

    def tell_record(self, run: str, record: RunRecord) -> None:
        """Publish the end of a step, or of an attempt."""
        if RunEvent in self.scheduler.events.listeners and record.kind not in NO_STEP:
            kind, detail = event_of(record)
            self.tell(kind, run, record.identity, detail)

    def tell_wait(self, step: BodyStep) -> None:
        """Publish that the code waits for a timer or a signal."""
        self.tell("waiting", step.body.run.name, None, step_name(step.identity))

    # --- commits -----------------------------------------------------------------------------------------------------

    def commit(self, body: Body, record: RunRecord, mail: int | None) -> None:
        """Have a record committed soon, with those of other runs."""
        self.batch.add(RecordMember(body, record, mail))

    def send(self, body: Body, sends: list[tuple[RunRecord, Letter]]) -> None:
        """Have messages to durable actors leave in the next commit, with their records."""
        self.batch.add(SendMember(body, sends))

    def enqueue(self, step: JobStep, record: RunRecord) -> None:
        """Have a job enqueued in the next commit, with its record."""
        self.batch.add(JobMember(step, record))

    def cancel_job(self, step: JobStep) -> None:
        """Have a job cancelled in the next commit."""
        self.batch.add(CancelJobMember(step))

    def drop_mail(self, body: Body, row: int) -> None:
        """Have a row of a run's mailbox removed that nobody waits for, in the next commit."""
        self.batch.add(DropMailMember(body, row))

    def commit_here(self, body: SyncBody | DagBody, record: RunRecord) -> None:
        """Commit a record in this thread: the code waits for it in any case."""
        member = RecordMember(body, record, None)
        if self.written(body, member.write, member):
            body.committed(record)

    def commit_all_here(self, body: SyncBody, records: list[RunRecord]) -> None:
        """Commit several records in this thread."""
        member = RecordsMember(body, records)
        if self.written(body, member.write, member):
            member.committed()

    def end_here(self, body: SyncBody, status: str, output: bytes | None, error: bytes | None) -> None:
        """Commit the end of a run in this thread."""
        member = EndMember(body, status, output, error, lambda: self.ended(body, status))
        if self.written(body, member.write, member):
            member.committed()
        else:
            self.give_back(body)

    def end_within(
        self, transaction: Transaction, body: Body, status: str, output: bytes | None, error: bytes | None
    ) -> None:
        """Write the end of a run, with all that comes of it for its parent and its children.

        Raises:
            RunLost: another node has the run by now.
        """
        if status == RENEWED:
            body.mail.keep_returned(transaction)
        end_run(transaction, self, body.run, status, output, error, has_children=body.has_children)

    def written(self, body: SyncBody | DagBody, work: Any, member: RunMember) -> bool:
        """Write until it is there; False if the run was lost.

        Raises:
            Unload: the system ends.
        """
        while True:
            try:
                self.store.write(work)
            except RunLost as error:
                self.lost(body, error)
                return False
            except ActorDeadError:  # the system has closed its store
                body.unload()
                raise Unload from None
            except StoreError as error:
                if isinstance(error, OutcomeUnknown):
                    self.doubt_mail()
                    member.is_doubtful = True
                self.report_failure(body, error)
                body.pause(STORE_SECONDS)
            else:
                self.outage_over()
                return True

    # --- threads of plain code ----------------------------------------------------------------------------------------

    def watch_cancel(self, body: Body) -> None:
        """Have plain code end that goes on for long behind its cancel; any thread may ask."""
        if body.ref is not None:
            self.scheduler.post(body.ref, Call("watch_cancel", (), {}), None)

    def leave(self, body: Body) -> None:
        """Give a run back whose thread cannot be ended; any thread may ask."""
        if body.ref is not None:
            self.scheduler.post(body.ref, Call("leave", (), {}), None)

    # --- ends --------------------------------------------------------------------------------------------------------

    def ended(self, body: Body, status: str) -> None:
        """Tell those that wait that a run is over; its end is committed."""
        logger.info("Run %s is %s", body.run.name, status)
        if status == RENEWED:
            self.forget(body)
            self.look()
            return
        untaken = body.mail.untaken()
        if untaken and status != "cancelled":
            logger.warning(
                "Run %s is %s, and its code has not taken signals that were sent to it: %s. A signal is kept until the "
                "code waits for its class",
                *(body.run.name, status, ", ".join(untaken)),
            )
        self.tell(status, body.run.name)
        self.forget(body)

    def lost(self, body: Body, error: RunLost) -> None:
        """Have the code of a run end without a trace: another node has it."""
        if not body.is_closed:
            logger.warning("%s; its work here is dropped", error)
            body.is_lost = True
            body.unload()

    def give_back(self, body: Body) -> None:
        """Let other nodes have a run that is unloaded."""
        if body.is_closed:
            return
        is_known = give_back(self, body)
        self.forget(body)
        if self.is_closed:
            return
        if is_known:
            self.look()
        else:  # it would be nobody's as long as this node lives; at once it would fail again, and again
            self.scheduler.call_later(STORE_SECONDS, self.doubt)

    def forget(self, body: Body) -> None:
        """Have nothing of a run here any more."""
        body.is_closed = body.is_over = True
        for signal in body.mail.drop_told():
            self.drop(body.run.name, signal, "its code was unloaded or is over before it took it")
        body.closed._settle(None, None)
        name = body.run.name
        if self.bodies.get(name) is body:
            del self.bodies[name]
            self.durable.boxes.pop(body.run.address, None)
        self.waits.ended([name])
        if body.ref is not None:
            body.ref.stop(block=False)

    def tell_run(self, run: str, signal: Any, value: bytes) -> bool:
        """Tell a run that is loaded here a signal that is not stored; else it is dropped, and counted."""
        body = self.bodies.get(run)
        if body is None or body.ref is None:
            self.drop(run, signal, "it is not loaded here")
            return False
        self.scheduler.post(body.ref, Call("take_told", (value,), {}), None)
        return True

    def drop(self, run: str, signal: Any, why: str) -> None:
        """Count a transient signal that no wait has taken as a dead letter."""
        reason = DefinitionError(f"a transient signal to run {run}: {why}")
        self.scheduler.events.dead_letter(self.runs, signal, None, reason)

    def unload_all(self) -> list[Future[None]]:
        """Have all runs unloaded where they wait next, as the system ends; other nodes go on with them.

        Returns:
            Futures, each set once a run is given back: the steps that are under way may end before.
        """
        self.is_closed = True
        bodies = list(self.bodies.values())
        for body in bodies:
            body.unload()
        return [body.closed for body in bodies]

    def workers(self) -> list[ActorRef[Any]]:
        """Return the actors of the runs that are loaded, and those that have their threads."""
        refs = [body.ref for body in list(self.bodies.values()) if body.ref is not None]
        below = [child for ref in refs for child in ref._children or ()]
        return [*refs, *below, *(child for ref in below for child in ref._children or ())]

    def freeze(self) -> None:
        """Have no code go on any more, as the process was killed in virtual time; its frames are ended later."""
        self.is_closed = True
        for body in list(self.bodies.values()):
            body.is_over = body.is_closed = True
            if isinstance(body, AsyncBody):  # frames of plain code are those of its threads
                self.scheduler.end_later(body.end_frozen)

    def close(self) -> None:
        """Give back the runs whose actors could not."""
        self.is_closed = True
        for body in list(self.bodies.values()):
            body.is_over = True
            self.give_back(body)
        self.site.task_files.close()

    # --- the store fails ---------------------------------------------------------------------------------------------

    def report_failure(self, body: Body, error: Exception) -> None:
        """Log that a commit failed, and is tried again."""
        text = "Run %s: the store failed, tried again in a second: %s"
        self._outage.note(logger.error, text, body.run.name, error)

    def report_failure_of_claim(self, error: Exception) -> None:
        """Log that no runs can be taken for now."""
        self._outage.note(logger.error, "The store failed, runs are taken later: %s", error)

    def outage_over(self) -> None:
        """Log that the store works again, if it had failed."""
        if self._outage.lasts:
            self._outage.over(logger.warning, "The store works again")
