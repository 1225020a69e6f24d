"""StoredRun: a handle on one run of a workflow; it works in any process on the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from actorflow.core.actors.traits import check_type
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT, check_effect
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.errors import (
    AskTimeout,
    CompensationFailed,
    DeadlockError,
    DefinitionError,
    OutcomeUnknown,
    RunCancelled,
    RunFailed,
    StoreError,
)
from actorflow.queues.job import TimedOut, wait
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import read_error
from actorflow.tasks.options import check_seconds, check_text, check_timeout
from actorflow.tasks.task import declared_errors
from actorflow.text import text_of
from actorflow.workflows.body.steps import is_in_step_of
from actorflow.workflows.node.asking import ask
from actorflow.workflows.node.claiming import Runs
from actorflow.workflows.node.family import end_unbegun
from actorflow.workflows.node.held_runs import handler_of, send_within
from actorflow.workflows.recorded_steps import charted, steps_of
from actorflow.workflows.rows import keeping, ledger, pausing, trying_again, unsticking
from actorflow.workflows.rows.records import FINAL, NO_STEP, address_of, event_of, step_name
from actorflow.workflows.rows.sending import RunOver, missing, put
from actorflow.workflows.run import Run, RunEvent, StepInfo, history_of
from actorflow.workflows.signals import CancelRun
from actorflow.workflows.workflow import WORKFLOWS, AnyWorkflow

if TYPE_CHECKING:
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.announcer import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction
    from actorflow.workflows.dag.looks import DagLooks
    from actorflow.workflows.figures.timeline import Timeline
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import RunRecord, RunRow
    from actorflow.workflows.run import RunStatus


R_co = TypeVar("R_co", covariant=True)


class StoredRun(Run[R_co]):
    """A run that is in the store."""

    __slots__ = ("_node", "_store", "_waits")

    def __init__(self, node: RunNode, id: str) -> None:
        super().__init__(id)
        self._node = node
        self._store: Store = node.store
        self._waits: Waits = node.waits

    # --- looks -------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> RunStatus:
        """How far it is, as its row has it."""
        return self._store.read(self._outcome)[0]  # type: ignore[no-any-return]

    @property
    def steps(self) -> list[StepInfo]:
        """The steps that are over, in the order in which the body has heard of them."""
        row = self._row()
        records = self._store.read(lambda tx: ledger.records(tx, row.id))
        looks = self._looks(row, records)
        return list(steps_of(records)) if looks is None else looks.steps()

    def _looks(self, row: RunRow, records: list[RunRecord]) -> DagLooks | None:
        """Return the nodes of a run of a DAG; None: of a workflow, or of a DAG that is not known here as it was."""
        body: Any = self._node.bodies.get(self.id)
        if body is not None and body.workflow.is_dag and not body.is_over:
            return body.looks  # type: ignore[no-any-return]
        flow: Any = WORKFLOWS.get(row.workflow)
        if flow is None or not flow.is_dag:
            return None
        is_cancelled = row.status == "cancelled"
        read, clock = self._waits.read, self._node.scheduler.clock
        return flow.looks(self.id, records, read, clock, is_cancelled=is_cancelled)  # type: ignore[no-any-return]

    @property
    def history(self) -> list[RunEvent]:
        """The events of the run so far, as its records have them, oldest first."""
        row = self._row()
        records = self._store.read(lambda tx: ledger.records(tx, row.id))
        looks = self._looks(row, records)
        events = [] if row.started is None else [RunEvent("started", self.id, None, row.started)]
        events += () if looks is None else history_of(self.id, looks.steps())
        for record in records:
            if looks is None and record.kind not in NO_STEP:
                name = step_name(record.identity)
                if record.began is not None:
                    events.append(RunEvent("step started", self.id, name, record.began))
                kind, detail = event_of(record)
                events.append(RunEvent(kind, self.id, name, record.at, detail))
        events.sort(key=lambda event: event.time)
        if row.ended is not None:
            detail = None if row.error is None else read_error(row.error)[0]
            events.append(RunEvent(row.status, self.id, None, row.ended, detail))
        return events

    def timeline(self) -> Timeline:
        """Return the times of the steps that are over."""
        from actorflow.workflows.figures.timeline import Timeline  # noqa: PLC0415 - drawn by few programs

        steps = self.steps
        is_of_dag = any(step.branch == "" for step in steps)
        return Timeline(self.id, steps if is_of_dag else charted(steps), self._node.now())

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any], /) -> Subscription:
        """Have a ref or a function get the events to come, while this process has the run."""
        check_effect("run.subscribe()")
        subscription: Subscription = self._node.home._subscribers.subscribe(
            RunEvent, to, lambda event: event.run == self.id
        )
        return subscription

    def _row(self) -> RunRow:
        row = self._store.read(lambda tx: ledger.find(tx, self.id))
        if row is None or row.state == keeping.REMOVED:
            raise self._missing()
        return row

    def _outcome(self, transaction: Transaction) -> Row:
        row = transaction.one("runs.outcome", {"name": self.id})
        if row is None:
            raise self._missing()
        return row

    def _missing(self) -> DefinitionError:
        return missing(self.id, self._store)

    # --- its end -----------------------------------------------------------------------------------------------------

    def result(self, *, timeout: float | None = None) -> R_co:
        """Wait for the end of the run, and return its result."""
        execution = CURRENT.get()
        if execution is not None and execution.on_loop:
            msg = "run.result() would block the loop of all async tasks and loop=True handlers: `await run`"
            raise DefinitionError(msg)
        check_timeout(timeout)
        self._refuse_own()
        waits = self._waits
        began = waits.clock.monotonic()
        while True:
            over = waits.add(self.id)  # before the look: later news wake this wait
            try:
                found = self._store.read(self._outcome)
                if found[0] in FINAL or found[0] == "stuck":
                    return self._value(*found)
                if self._store.is_held_here:
                    msg = (
                        f"run {self.id} cannot end while this task has a transaction() open, as nothing is written "
                        "meanwhile: wait for it before, or in another task"
                    )
                    raise DeadlockError(msg)
                left = None if timeout is None else began + timeout - waits.clock.monotonic()
                if left is not None and left <= 0:
                    msg = f"run {self.id} is not over after {timeout} s: it is {found[0]}"
                    raise AskTimeout(msg)
                pause = min((time for time in (left, waits.looks) if time is not None), default=None)
                with contextlib.suppress(TimedOut):
                    wait(over, pause)
            finally:
                waits.drop(self.id, over)

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Return the result as `result` does, without blocking: in asyncio code and `async def` handlers."""
        return self._awaited().__await__()

    def _refuse_own(self) -> None:
        body = self._node.bodies.get(self.id)
        if body is not None and is_in_step_of(body):
            raise DeadlockError(f"a task of run {self.id} waits for the end of its own run, which waits for that task")

    async def _awaited(self) -> R_co:
        self._refuse_own()
        return self._value(*await self._waits.awaited(self.id, self._end))

    def _end(self) -> Row | None:
        """Return the columns that tell of its end; None: it is not over."""
        found = self._store.read(self._outcome)
        return found if found[0] in FINAL or found[0] == "stuck" else None

    def _end_future(self) -> Future[R_co]:
        """Return a future of the end, which the actor of the runs sets; a durable handler's is looked for after it."""
        future: Future[R_co] = Future()
        self._node.runs.cast(Runs.look_for_end, self, future)
        return future

    def _settle(self, future: Future[Any]) -> bool:
        """Set a future if the run is over, or is not there; False: it is not over."""
        try:
            end = self._end()
            if end is None:
                return False
            value = self._value(*end)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever has the future gets it
            future._settle(None, error)
        else:
            future._settle(value, None)
        return True

    def _value(self, status: str, output: bytes | None, error: bytes | None, workflow: str) -> R_co:
        flow = WORKFLOWS.get(workflow)
        if status != "cancelled" and (flow is None or flow.is_dag):
            row = self._row()
            looks = self._looks(row, self._store.read(lambda tx: ledger.records(tx, row.id)))
            if looks is not None:
                return looks.outcome()  # type: ignore[no-any-return]
            if status == "completed" and row.is_of_dag:
                raise DefinitionError(
                    f"run {self.id} is of the DAG {workflow}, which is not known here as it was: import its module"
                )
        if status == "completed":
            return self._waits.read(output) if output is not None else None  # type: ignore[return-value]
        if status == "stuck":
            raise CompensationFailed(self.id, self._row().reason or "")
        text, cause = read_error(error, declared_errors())
        if status == "cancelled" or (status == "compensated" and isinstance(cause, RunCancelled)):
            raise RunCancelled(str(cause) if isinstance(cause, RunCancelled) else f"run {self.id} was cancelled")
        raise RunFailed(self.id, text) from cause

    # --- messages to it ----------------------------------------------------------------------------------------------

    def signal(self, value: object, /, *, id: str | None = None, transient: bool = False) -> bool:
        """Send the run a signal."""
        check_type("transient", transient, bool)
        self._refuse_dag("waits for no signals: a workflow does")
        if transient:
            return self._tell(value, id)
        return self._send(value, id)

    def _refuse_dag(self, why: str) -> None:
        body = self._node.bodies.get(self.id)
        if body is not None:
            flow: AnyWorkflow | None = body.workflow
        else:
            row = self._store.read(lambda tx: tx.one("runs.outcome", {"name": self.id}))
            if row is None:
                return  # its start is a part of this commit, or there is none: that is told there
            flow = WORKFLOWS.get(row[3])
        if self._row().is_of_dag if flow is None else flow.is_dag:
            raise DefinitionError(f"run {self.id} is of a DAG, which {why}")

    def _tell(self, value: object, id: str | None) -> bool:
        check_effect("run.signal()")
        if id is not None:
            call = f"signal({text_of(value)}, id={text_of(id)}, transient=True)"
            msg = f"{call}: nothing of it is stored, so no id drops repeats"
            raise DefinitionError(msg)
        node, what = self._node, f"a signal to run {self.id}"
        stored = encode(value, what)
        check_size(stored, what, node.site.payload_limit)
        execution = handler_of(self._store)
        if execution is None:
            return node.tell_run(self.id, value, stored)
        execution.also(lambda _: None, lambda: node.tell_run(self.id, value, stored))  # as any send of a handler
        return True

    def query(self, name: str, /, *, timeout: float = 30.0) -> Any:
        """Ask the run."""
        check_effect("run.query()")
        check_type("name", name, str)
        check_text("name", name)
        check_seconds("timeout", timeout, zero=False)
        execution = CURRENT.get()
        if execution is not None and execution.on_loop:
            msg = (
                "run.query() would block the loop of async tasks and loop=True handlers: have a plain task or actor ask"
            )
            raise DefinitionError(msg)
        self._refuse_dag("exposes nothing: the code of a workflow does; run.steps has its results so far")
        return ask(self._node, self.id, name, timeout)

    def cancel(self) -> bool:
        """Cancel the run."""
        try:
            self._send(CancelRun(), None)
        except RunOver:
            return False
        return True

    def pause(self) -> bool:
        """Have the run begin nothing more until `resume`: steps that are under way end, and are recorded.

        Its signals are kept, and the ends of its timers wait. It stays paused if its process dies. A cancel ends the
        pause, as clean-up code is to run. Children are runs of their own, and go on.

        Returns:
            False if the run is over.

        Raises:
            DefinitionError: there is no such run.
        """
        letter, runtime = pausing.letter_to(self.id), self._node.durable

        def after() -> None:
            if letter.is_put:
                runtime.announce(letter)

        return self._change(lambda tx: pausing.pause(tx, runtime, self.id, letter), after)

    def resume(self) -> bool:
        """Have the run go on after a pause; or have it tried again, if it is parked.

        Returns:
            False if it is neither paused nor parked.

        Raises:
            DefinitionError: there is no such run.
        """
        node = self._node

        def after() -> None:
            node.look()
            node.tell("resumed", self.id)

        return self._change(lambda tx: pausing.resume(tx, self.id, node.now()), after)

    def _change(self, work: Callable[[Transaction], bool | None], after: Callable[[], object]) -> bool:
        """Commit a change of the run, or make it a part of the commit of a handler; `after` hears of it if it is one.

        Raises:
            DefinitionError: there is no such run.
        """
        execution = handler_of(self._store)
        if execution is not None:
            execution.also(work, after)
            return True
        try:
            done: bool | None = self._store.write(work)
        except OutcomeUnknown:
            self._node.doubt_mail()
            raise
        if done is None:
            raise self._missing()
        if done:
            after()
        return done

    # --- once more ---------------------------------------------------------------------------------------------------

    def retry(self, *, from_: str | None = None) -> None:
        """Have the run go on from a step."""
        check_type("from_", from_, str | None)
        check_text("from_", from_)
        if not self._store.write(lambda tx: trying_again.retry(tx, self.id, from_, self._node.now())):
            raise self._missing()
        self._node.look()

    def skip(self, reason: str, *, step: str | None = None) -> None:
        """Have a stuck saga go on without the compensations that have failed."""
        check_type("reason", reason, str)
        check_type("step", step, str | None)
        if not self._store.write(lambda tx: unsticking.skip(tx, self.id, step, reason, self._node.now())):
            raise self._missing()
        self._node.look()

    def fork(self, *, step: str | None = None, id: str | None = None) -> StoredRun[R_co]:
        """Start a run that goes on from a step of this one."""
        check_type("id", id, str | None)
        check_text("id", id)
        check_type("step", step, str | None)
        check_text("step", step)
        row = self._store.read(lambda tx: ledger.find(tx, self.id))
        if row is None:
            raise self._missing()
        node = self._node
        name = id or f"{self.id}-{node.scheduler.random_for('runs').getrandbits(64):016x}"
        trying_again.fork_now(self._store, row, name, step)
        node.look()
        return StoredRun(node, name)

    def _send(self, message: Any, id: str | None) -> bool:
        check_type("id", id, str | None)
        check_text("id", id)
        runtime = self._node.durable
        letter = Letter(address_of(self.id), pack(message, runtime.scheduler.payload_limit))

        end = self._end_unbegun if type(message) is CancelRun else None
        execution = handler_of(self._store)
        if execution is not None:
            send_within(self._node, execution, self.id, letter, id, end)
            return True

        is_held = self._store.is_held_here  # in the transaction of a task: nobody hears before that is committed

        def work(transaction: Transaction) -> None:
            if not put(transaction, runtime, self.id, letter, id, end):
                raise self._missing()
            if is_held:
                transaction.after_commit(lambda: self._sent(letter))

        try:
            self._store.write(work)
        except OutcomeUnknown:
            self._node.doubt_mail()
            raise
        if not is_held:
            self._sent(letter)
        return letter.is_put

    def _sent(self, letter: Letter) -> None:
        if letter.is_put:
            self._node.durable.announce(letter)
            if self.id not in self._node.bodies:
                self._node.look()
        self._waits.ended([self.id])

    def _end_unbegun(self, transaction: Transaction) -> bool:
        return end_unbegun(transaction, self._node, self.id)
