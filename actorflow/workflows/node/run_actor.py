"""RunActor: the actor of a loaded run: its mail, its async code, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.core.messages.messages import Call
from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.payload import unpack, unpack_end
from actorflow.errors import AskTimeout, PayloadError, RunCancelled, StoreError, Unload
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.text import reason_of
from actorflow.workflows.body.async_body import AsyncBody
from actorflow.workflows.body.body_execution import ContinuedAsNew, cancelled
from actorflow.workflows.body.exposed import Answer, answer
from actorflow.workflows.body.sync_body import SyncBody
from actorflow.workflows.body.timed_steps import LONGEST_NAP, TimerStep
from actorflow.workflows.node.members import STORE_SECONDS, EndMember
from actorflow.workflows.node.runners import CANCEL_SECONDS
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import RENEWED
from actorflow.workflows.signals import CancelRun, ChildEnded, PauseRun, QueryRun

if TYPE_CHECKING:
    from actorflow.durable.handling.runtime_messages import RowsArrived
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.lanes import Lane
    from actorflow.workflows.node.run_node import RunNode

GRACE_SECONDS = 60.0  # that code of a cancelled run may wait for time
LOOK_SECONDS = 0.3  # between two looks whether code waits that is to end
LEAVE_SECONDS = 0.1  # until it is looked again whether all of a run is committed
GO_ON: Final = "go on"
WINDOW = 64  # signals that are read at once
QUIET_SECONDS = 0.01  # until it is looked again whether code waits
PATIENCE_SECONDS = 1.0  # for which a query waits for that


# To those who have gone, or to one whose clock was set: to nobody is it a value.
LATE: Final[Answer] = (None, write_error(AskTimeout("the query came to its run when its time was over")))


class Question(NamedTuple):
    """A query that is not answered.

    Attributes:
        name: of the function.
        until: when nobody waits for the answer any more.
        give: gets the answer.
    """

    name: str
    until: float
    give: Callable[[Answer], object]


class RunBox:
    """The mailbox of a loaded run, as the durable runtime knows mailboxes."""

    __slots__ = ("_scheduler", "chain", "durability", "handed", "is_doubtful", "ref")

    capacity = None
    aside = None

    def __init__(self, node: RunNode, actor: Any) -> None:
        self.ref = actor
        self.durability = None
        self.chain = (-1, 0)
        self.handed = 0
        self.is_doubtful = False
        self._scheduler = node.scheduler

    def hear(self, _mail: RowsArrived) -> None:
        """Have the run look for mail."""
        self.handed = 0
        self._scheduler.post(self.ref, Call("fetch_mail", (), {}), None)


class RunActor(Actor):
    """Has the code of one run go on, from the time that it is loaded until it ends or is unloaded."""

    _works_in_drains = True

    def __init__(self, node: RunNode, body: Body) -> None:
        super().__init__()
        self.node = node
        self.body = body
        self.questions: list[Question] = []
        self.is_ending = self.is_unloaded = False
        self.grace: float | None = None  # when the code has to end that waits for time, as the run is cancelled
        self.deadline: float | None = None

    def on_start(self) -> None:
        """Load the mail, and begin the code."""
        body = self.body
        body.ref = self.actor_ref
        if body.saga is not None and body.saga.has_turned:  # a pause may have taken its status
            node = self.node
            node.store.submit(lambda tx: ledger.turn(tx, body.run, node.id), durability="process")
        self.node.durable.boxes[body.run.address] = RunBox(self.node, self.actor_ref)  # type: ignore[assignment]
        if isinstance(body, AsyncBody):
            body.tell = self.go_on_soon
        self.fetch_mail()
        if body.is_over:  # it is to pause
            self.unload()
            return
        if isinstance(body, AsyncBody):
            body.wake()
        elif body.workflow.is_dag:
            self.begin_nodes()
        elif isinstance(body, SyncBody):
            self.ctx.spawn(BodyThread, self.node, body).cast(BodyThread.execute)
        self.watch_deadline()

    def begin_nodes(self) -> None:
        """Have the nodes of a DAG begin."""
        body: Any = self.body
        try:
            body.begin_nodes(self.ctx)
        except Unload:
            self.unload()

    def run_branch(self, lane: Lane) -> None:
        """Have a thread for a branch of plain code."""
        assert isinstance(self.body, SyncBody)
        self.ctx.spawn(BranchThread, self.body, lane).cast(BranchThread.execute)

    # --- mail --------------------------------------------------------------------------------------------------------

    def fetch_mail(self) -> None:
        """Take in the signals, and the wish that the run ends."""
        body, node = self.body, self.node
        while True:
            try:
                rows = node.store.read(lambda tx: mailboxes.fetch(tx, body.run.address, body.mail.upto, WINDOW))
            except StoreError as error:
                node.report_failure(body, error)
                self.ctx.after(STORE_SECONDS, self.fetch_mail)
                return
            for row in rows:
                body.mail.upto = row.id
                self.take_in(row.id, row.body, row.asker)
            if len(rows) < WINDOW:
                return

    def take_in(self, row: int, stored: bytes, asker: str | None) -> None:
        """Take in one row."""
        body = self.body
        try:
            ended = unpack_end(stored)
            if ended is not None:
                body.mail.put_end(row, ended)
                return
            signal = unpack(self.node.durable, stored)
            if type(signal) is ChildEnded:
                body.mail.put_end(row, signal)
                return
            if type(signal) is QueryRun:
                body.mail.questions[row] = None
                self.hear_question(Question(signal.name, signal.until, partial(self.answer_by_mail, row, asker)))
                return
            if type(signal) is PauseRun:
                body.pauses.append(row)
                body.unload()
                return
            if type(signal) is not CancelRun:
                body.mail.put(row, signal, encode(signal))
                return
        except PayloadError as error:
            logger.warning("Run %s: a signal cannot be read here, and stays: %s", body.run.name, error)
            return
        body.cancel(row)

    def take_told(self, value: bytes) -> None:
        """Take in a signal that is not stored."""
        node, body = self.node, self.body
        try:
            signal = node.read(value)
        except PayloadError as error:
            node.drop(body.run.name, None, f"it cannot be read here: {reason_of(error)}")
            return
        if not body.mail.tell(signal, value):
            node.drop(body.run.name, signal, "its code is over, or takes too few of them")

    def watch_deadline(self) -> None:
        """Cancel the run once its time is over; the clock may be set on the way."""
        body = self.body
        if body.run.deadline is None or body.has_cancel:
            return
        left, clock = body.run.deadline - self.node.now(), self.node.scheduler.clock
        if self.deadline is None:  # by the clock that nobody sets, should the other one have been ahead
            self.deadline = clock.monotonic() + min(left, body.run.deadline - body.run.created)
        left = min(left, self.deadline - clock.monotonic())
        if left > 0:
            self.ctx.after(min(left, LONGEST_NAP), self.watch_deadline)
        else:
            body.cancel(None, f"run {body.run.name} was cancelled, as its deadline has passed")

    # --- queries -----------------------------------------------------------------------------------------------------

    def query(self, name: str, until: float) -> Any:
        """Answer a query, once the code waits."""
        self.hear_question(Question(name, until, self.ctx.reply_later().set))

    def hear_question(self, question: Question) -> None:
        """Answer a query now, or as soon as the code waits."""
        self.questions.append(question)
        if len(self.questions) == 1:
            self.answer_questions(self.node.scheduler.clock.monotonic() + PATIENCE_SECONDS)

    def answer_questions(self, patience: float) -> None:
        """Answer the queries, if the code waits or computes for long; else look again soon."""
        body, node = self.body, self.node
        if body.is_replaying or not (body.is_quiet or node.scheduler.clock.monotonic() > patience):
            self.ctx.after(QUIET_SECONDS, self.answer_questions, patience)
            return
        questions, self.questions = self.questions, []
        for question in questions:
            question.give(answer(body, question.name) if question.until > node.now() else LATE)

    def answer_by_mail(self, row: int, asker: str | None, answer: Answer) -> None:
        """Put an answer into the store, in place of the question."""
        durable = self.node.durable

        def work(transaction: Transaction) -> None:
            if transaction.run("actors.done", {"id": row}) == 1:
                mailboxes.put_answer(transaction, durable, durable.node, row, asker, *answer)

        try:
            self.node.store.write(work, durability="process")
        except StoreError as error:
            self.node.report_failure(self.body, error)
            self.ctx.after(STORE_SECONDS, self.answer_by_mail, row, asker, answer)
            return
        self.body.mail.questions.pop(row, None)
        durable.asks.answer(row, *answer, None)

    # --- async code --------------------------------------------------------------------------------------------------

    def go_on_soon(self) -> None:
        """Have the code go on; any thread may ask."""
        self.node.scheduler.post(self.actor_ref, GO_ON, None)

    def on_receive(self, message: Any) -> None:  # noqa: ARG002 - there is one kind
        """Have async code go on; without a call by name, as it is once a step."""
        self.go_on()

    def go_on(self) -> None:
        """Have async code hear of the records that have come, or see how far a DAG is; at the end, commit that."""
        body: Any = self.body  # of a kind that has no thread
        body.is_told = False  # before the look at what has come
        if self.is_ending:
            self.give_back()
            return
        try:
            if not body.go_on() or body.holds_end or not body.is_safe(body.last):
                self.watch_cancel()
                return
        except Unload:
            self.unload()
            return
        self.is_ending = True
        status, output, error = outcome_of(self.node, body, body.value)
        if isinstance(body, AsyncBody) and body.loop.frozen:
            body.is_over = True
            body.close()
        self.node.batch.add(EndMember(body, status, output, error, lambda: self.node.ended(body, status)))

    def watch_cancel(self) -> None:
        """Give the code some time to end, once it was told that the run is cancelled."""
        body = self.body
        if body.is_cancelled and self.grace is None and not body.is_shielded:
            self.grace = self.node.scheduler.clock.monotonic() + GRACE_SECONDS
            self.ctx.after(CANCEL_SECONDS, self.end_by_force)

    def end_by_force(self) -> None:
        """End code that goes on after its cancel, and waits for a signal, or for long for time: it has caught that."""
        body = self.body
        if self.is_ending or body.is_over or self.grace is None:
            return
        if body.is_shielded:  # a saga, that undoes meanwhile
            self.grace = None
            return
        has_time = body.is_at_work(TimerStep) and self.node.scheduler.clock.monotonic() < self.grace
        is_busy = body.is_at_work() or not body.rests or body.is_replaying
        if has_time or is_busy or not body.is_safe(body.last):  # clean-up code may run steps, however long
            self.ctx.after(CANCEL_SECONDS if has_time else LOOK_SECONDS, self.end_by_force)
            return
        logger.warning(
            "Run %s: its code goes on after its cancel, and waits for no step: it has caught %s, which is to pass, "
            "and is ended",
            body.run.name,
            "CancelledError" if isinstance(body, AsyncBody) else "RunCancelled",
        )
        if body.saga is not None and not (isinstance(body, AsyncBody) and body.is_main_over):
            body.saga.turn(cancelled(body))
            return
        if isinstance(body, SyncBody):
            body.force()
            return
        assert isinstance(body, AsyncBody)
        end: tuple[str, bytes | None, bytes | None] = "cancelled", None, write_error(cancelled(body))
        if body.saga is not None:
            end = outcome_of(self.node, body, body.value)
        self.is_ending = body.is_over = True
        body.close()
        self.node.batch.add(EndMember(body, *end, lambda: self.node.ended(body, end[0])))

    def unload(self) -> None:
        """End the frames of async code, and give the run back."""
        body = self.body
        self.is_ending = True
        if isinstance(body, AsyncBody):
            body.close()
        self.is_unloaded = True
        self.give_back()

    def leave(self) -> None:
        """Give the run back though its thread is busy, once all is committed."""
        self.is_unloaded = True
        self.give_back()
        if not self.body.is_closed:
            self.ctx.after(LEAVE_SECONDS, self.leave)

    def give_back(self) -> None:
        """Give an unloaded run back, once its steps that are under way have ended."""
        if self.is_unloaded and self.body.is_settled:
            self.node.give_back(self.body)

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:  # noqa: ARG002 - pykka gives them
        """Give the run back, for another try in a second: a defect of the runtime's own is not to keep it."""
        self.body.again_at = self.node.now() + STORE_SECONDS
        self.on_stop()

    def on_stop(self) -> None:
        """Give the run back, if it is not over: the system ends."""
        body = self.body
        if body.is_closed:
            return
        body.unload()
        if isinstance(body, AsyncBody):
            body.close()
        self.node.give_back(body)


class BodyThread(Actor):
    """Runs the code of a plain function: it has the thread that the code blocks."""

    _works_in_drains = True

    def __init__(self, node: RunNode, body: SyncBody) -> None:
        super().__init__()
        self.node = node
        self.body = body

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:  # noqa: ARG002 - pykka gives them
        """Give the run back, as its actor does."""
        self.body.again_at = self.node.now() + STORE_SECONDS
        self.node.give_back(self.body)

    def execute(self) -> None:
        """Run the code to its end, and commit that."""
        body, node = self.body, self.node
        try:
            status, output, error = outcome_of(node, body, body.execute)
            while body.holds_end or body.is_replaying:
                body.hear_next()
            body.flush()
            node.end_here(body, status, output, error)
        except Unload:
            body.settle()
            node.give_back(body)


class BranchThread(Actor):
    """Runs a branch of plain code, and ends with it."""

    _works_in_drains = True

    def __init__(self, body: SyncBody, lane: Lane) -> None:
        super().__init__()
        self.body = body
        self.lane = lane

    def execute(self) -> None:
        """Run the code of the branch to its end."""
        self.body.run_lane(self.lane)
        self.actor_ref.stop(block=False)


def outcome_of(node: RunNode, body: Body, run: Any) -> tuple[str, bytes | None, bytes | None]:
    """Run code to its end; return the status of the run, its result, and its error.

    Raises:
        Unload: the code was unloaded.
    """
    what = f"the result of {body.workflow.name}"
    try:
        value = run()
        output = encode(value, what)
        check_size(output, what, node.site.payload_limit)
    except ContinuedAsNew as renewal:
        if body.is_over:
            raise Unload from None
        if body.is_cancelled:
            return "cancelled", None, write_error(cancelled(body))
        return RENEWED, renewal.input, None
    except BaseException as error:  # noqa: BLE001 - the user's, whatever it is
        if body.is_over:
            raise Unload from None
        let_ctrl_c_pass(error)
        if body.saga is not None:
            return body.saga.outcome(error)
        stored = write_error(error, has_traceback=True)
        if body.is_cancelled:
            if isinstance(error, (RunCancelled, asyncio.CancelledError)):
                told = cancelled(body).with_traceback(error.__traceback__)
                stored = write_error(told, has_traceback=True)
            logger.info("Run %s was cancelled", body.run.name)
            return "cancelled", None, stored
        logger.error("Run %s failed: %s", body.run.name, reason_of(error), exc_info=error)
        return "failed", None, stored
    return "completed", output, None
