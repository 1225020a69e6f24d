"""StoredRun: a handle on one run of a workflow; it works in any process on the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorflow.core.messages.execution import CURRENT
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.errors import AskTimeout, DefinitionError, OutcomeUnknown, RunCancelled, RunFailed
from actorflow.queues.job import TimedOut, wait
from actorflow.store.error_json import read_error
from actorflow.tasks.options import check_text
from actorflow.workflows.node.family import end_unbegun
from actorflow.workflows.node.held_runs import handler_of, send_within
from actorflow.workflows.rows import keeping, ledger, trying_again
from actorflow.workflows.rows.records import ATTEMPT, FINAL, NO_STEP, address_of, event_of, step_name
from actorflow.workflows.rows.sending import RunOver, missing, put
from actorflow.workflows.run import RunEvent
from actorflow.workflows.signals import CancelRun

if TYPE_CHECKING:
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.announcer import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction
    from actorflow.workflows.node.run_node import RunNode

STATUS, ERROR, STARTED, ENDED = 8, 16, 19, 20  # columns of "runs.get"

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class StepInfo:
    """A step of a run, as its records have it.

    Attributes:
        name: of the task; "timer" of a timer, and the class of a signal.
        branch: the line of the code that it is in: "0" is the main one.
        occurrence: how often the branch had come to a step of that name, with this time.
        status: "completed" or "failed".
        error: the last one.
        attempts: tries, the last one included.
        began: when the last attempt began; None of a timer or a signal. Seconds since the epoch, as `ended`.
    """

    name: str
    branch: str
    occurrence: int
    status: str
    error: str | None
    attempts: int
    began: float | None
    ended: float


class StoredRun(Generic[R_co]):
    """One run of a workflow: `run.result()` waits for the result of its body, and so does `await run`.

    Attributes:
        id: the id by which `system.get_run(id)` finds it again.
    """

    __slots__ = ("_node", "_store", "_waits", "id")

    def __init__(self, node: RunNode, id: str) -> None:
        self._node = node
        self._store: Store = node.store
        self._waits: Waits = node.waits
        self.id = id

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    # --- looks -------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """The run's status: "queued", "running", "completed", "failed", "cancelled" or "parked".

        Raises:
            DefinitionError: there is no such run.
        """
        return str(self._store.read(self._outcome)[0])

    @property
    def steps(self) -> list[StepInfo]:
        """The steps that are over, in the order in which the body has heard of them."""
        row = self._row()
        records = self._store.read(lambda tx: ledger.records(tx, row[0]))
        return [
            StepInfo(
                name=record.identity[1],
                branch=record.identity[0],
                occurrence=record.identity[2],
                status="completed" if record.error is None else "failed",
                error=None if record.error is None else read_error(record.error)[0],
                attempts=record.attempt,
                began=record.began,
                ended=record.at,
            )
            for record in records
            if record.kind not in {ATTEMPT, *NO_STEP}
        ]

    @property
    def history(self) -> list[RunEvent]:
        """The events of the run so far, as its records have them, oldest first."""
        row = self._row()
        records = self._store.read(lambda tx: ledger.records(tx, row[0]))
        events = [] if row[STARTED] is None else [RunEvent("started", self.id, None, row[STARTED])]
        for record in records:
            if record.kind not in NO_STEP:
                name = step_name(record.identity)
                if record.began is not None:
                    events.append(RunEvent("step started", self.id, name, record.began))
                kind, detail = event_of(record)
                events.append(RunEvent(kind, self.id, name, record.at, detail))
        events.sort(key=lambda event: event.time)
        if row[ENDED] is not None:
            detail = None if row[ERROR] is None else read_error(row[ERROR])[0]
            events.append(RunEvent(row[STATUS], self.id, None, row[ENDED], detail))
        return events

    def timeline(self) -> list[StepInfo]:
        """Return the steps that are over in the order of their begin: what a chart of the run draws, line by line."""
        return sorted(self.steps, key=lambda step: step.ended if step.began is None else step.began)

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any], /) -> Subscription:
        """Get the events of the run from now on, each after its commit, while this process has the run.

        A ref gets them by `tell`. A function is called as a message of an actor, so an error of its is logged, and
        changes nothing. `system.subscribe(af.RunEvent, to)` is for the events of all runs.

        Raises:
            DefinitionError: the receiver is neither a ref nor a plain function.
        """
        subscription: Subscription = self._node.home._subscribers.subscribe(
            RunEvent, to, lambda event: event.run == self.id
        )
        return subscription

    def _row(self) -> Row:
        row = self._store.read(lambda tx: tx.one("runs.get", {"name": self.id}))
        if row is None or row[keeping.STATE] == keeping.REMOVED:
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
        """Return the value of the body; wait for it at most `timeout` seconds. Meanwhile other actors run.

        Raises:
            RunFailed: the body raised an error; that is the cause, if it is builtin or actorflow's.
            RunCancelled: it was cancelled.
            AskTimeout: it is not over yet.
            DefinitionError: there is no such run; or this is code on the asyncio loop: `await run`.
        """
        execution = CURRENT.get()
        if execution is not None and execution.on_loop:
            msg = "run.result() would block the loop of all async tasks and loop=True handlers: `await run`"
            raise DefinitionError(msg)
        waits = self._waits
        began = waits.clock.monotonic()
        while True:
            over = waits.add(self.id)  # before the look: later news wake this wait
            try:
                found = self._store.read(self._outcome)
                if found[0] in FINAL:
                    return self._value(*found)
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

    async def _awaited(self) -> R_co:
        def look() -> Row | None:
            found = self._store.read(self._outcome)
            return found if found[0] in FINAL else None

        return self._value(*await self._waits.awaited(self.id, look))

    def _value(self, status: str, output: bytes | None, error: bytes | None, _workflow: str) -> R_co:
        if status == "completed":
            return self._waits.read(output) if output is not None else None  # type: ignore[return-value]
        text, cause = read_error(error)
        if status == "cancelled":
            raise RunCancelled(str(cause) if isinstance(cause, RunCancelled) else f"run {self.id} was cancelled")
        raise RunFailed(self.id, text) from cause

    # --- messages to it ----------------------------------------------------------------------------------------------

    def signal(self, value: object, /, *, id: str | None = None) -> bool:
        """Send the run a signal; it is committed when this returns, and kept until its body waits for its class.

        Args:
            value: an object of the class that the body waits for; it must be storable.
            id: the sender's own: a second signal of that id within a week is dropped.

        Returns:
            False if a signal of that id was sent before.

        Raises:
            DefinitionError: there is no such run, or it is over.
            PayloadError: a part of the value cannot be stored.
        """
        return self._send(value, id)

    def cancel(self) -> bool:
        """Cancel the run: `RunCancelled` is raised in its body where it waits, and its clean-up code runs.

        Returns:
            False if it was over.
        """
        try:
            self._send(CancelRun(), None)
        except RunOver:
            return False
        return True

    # --- once more ---------------------------------------------------------------------------------------------------

    def retry(self, *, from_: str | None = None) -> None:
        """Have the run, which has failed or was cancelled, go on from a step; the results before that are kept.

        Its deadline counts no more, and signals that it had not taken are gone. Children that failed are tried again.

        Args:
            from_: name of the step; None: the one that failed last, or the place of the cancel.

        Raises:
            DefinitionError: it is not over, has completed and no step is given, or has no such step.
        """
        if not self._store.write(lambda tx: trying_again.retry(tx, self.id, from_)):
            raise self._missing()
        self._node.look()

    def fork(self, *, step: str | None = None, id: str | None = None) -> StoredRun[R_co]:
        """Start a run that has the results of this one before a step, and goes on from there; this one stays.

        Args:
            step: its name; None: no results are kept.
            id: of the new run.

        Raises:
            DefinitionError: there is no such run, or it has no such step, or the new id is taken.
        """
        check_text("id", id)
        row = self._store.read(lambda tx: tx.one("runs.get", {"name": self.id}))
        if row is None:
            raise self._missing()
        node = self._node
        name = id or f"{self.id}-{node.scheduler.random_for('runs').getrandbits(64):016x}"
        trying_again.fork_now(self._store, row, name, step)
        node.look()
        return StoredRun(node, name)

    def _send(self, message: Any, id: str | None) -> bool:
        runtime = self._node.durable
        letter = Letter(address_of(self.id), pack(message, runtime.scheduler.payload_limit))

        end = self._end_unbegun if type(message) is CancelRun else None
        execution = handler_of(self._store)
        if execution is not None:
            send_within(self._node, execution, self.id, letter, id, end)
            return True

        def work(transaction: Transaction) -> None:
            if not put(transaction, runtime, self.id, letter, id, end):
                raise self._missing()

        try:
            self._store.write(work)
        except OutcomeUnknown:
            self._node.doubt_mail()
            raise
        if letter.is_put:
            runtime.announce(letter)
            if self.id not in self._node.bodies:
                self._node.look()
        self._waits.ended([self.id])
        return letter.is_put

    def _end_unbegun(self, transaction: Transaction) -> bool:
        return end_unbegun(transaction, self._node, self.id)
