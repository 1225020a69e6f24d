"""Course: the steps of one run of a saga that are to be undone, and how far the run is."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import RunCancelled, Unload
from actorflow.sagas.saga_step import SagaStep, effect_of, may_have_acted
from actorflow.sagas.undo_step import TurnStep
from actorflow.store.codec import encode
from actorflow.store.error_json import read_error, write_error
from actorflow.text import reason_of
from actorflow.workflows.body.body_execution import cancelled
from actorflow.workflows.body.branch import Branch
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.saga_course import Turned
from actorflow.workflows.body.sends import AskStep
from actorflow.workflows.rows.records import AGAIN, INTENT, PIVOT, SKIPPED, TURNED, UNDO, RunRecord, is_of_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.sagas.savepoint import Savepoint
    from actorflow.sagas.undo_function import UndoFunction
    from actorflow.tasks.compensation import Compensation
    from actorflow.tasks.execution import Attempt
    from actorflow.workflows.body.async_body import AsyncBody
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.steps import BodyStep
    from actorflow.workflows.body.sync_body import SyncBody
    from actorflow.workflows.rows.records import Identity

HOLD_SECONDS: Final = 0.002  # that a record waits for the intent of the next step, to go with it
TURN: Final = ("", "turned", 1)
MOST_TURNS: Final = 3  # times that code may catch the exception that has it end


@dataclass(slots=True, eq=False)
class Undoable:
    """A step that is to be undone, or a function that was given to `af.undo`.

    Attributes:
        step: it has ended; None of a function that belongs to none.
        compensation: of its task.
        value: its result, as stored; None if that is not known.
        is_maybe: it may have acted, or not.
        savepoint: the innermost that it was begun in.
        function: of `af.undo`: undoes it.
    """

    step: Any
    compensation: Compensation | None
    value: bytes | None
    is_maybe: bool
    savepoint: Savepoint | None
    function: UndoFunction | None = None


class Course:
    """The steps of one run of a saga that are to be undone, newest last.

    Attributes:
        entries: what would be undone now, in the order in which the code has heard of the ends.
        nodes: numbers of the steps of a DAG.
        after: of each of these, those that have come of it; None: it is undone in a row.
        savepoints: those that the code is in.
        undone: those that were undone, or are.
        results: of the steps so far, as stored, by the names of their functions.
        undoing: how many undo at this time: the saga, or savepoints.
        has_pivoted: it only goes forward.
        has_turned: the saga undoes all of its steps, or has done so in an earlier life.
        asks: functions that undo asks whose ends the code has not heard of.
        skipped: the records of functions of `af.undo` that somebody has left out, by their branches.
        failures: the ends of functions of `af.undo` that have raised, for the commit by which the saga is stuck.
        abandoned: attempts whose thread may go on, though their step has ended.
        stuck: why it cannot go on until somebody helps.
        error: of the end of its code in an earlier life, after which it has turned.
        force: undoes it though its code goes on.
        left_at: where code waits that was left there; None: it was not.
    """

    step_kind = SagaStep
    force: Callable[[], None]
    left_at: str | None = None

    def __init__(self, body: Body, records: list[RunRecord]) -> None:
        self.body = body
        self.intents = {one.identity for one in records if one.kind == INTENT}
        self.old_intents = frozenset(self.intents)  # of earlier lives: an attempt may have been cut
        self.had_pivoted = any(one.kind == PIVOT for one in records)
        self.has_turned = any(one.kind == TURNED and one.identity == TURN for one in records)
        self.has_pivoted = self.is_ending = self.is_turning = False
        self.undoing = 0
        self.entries: list[Undoable] = []
        self.nodes: dict[Identity, int] = {}
        self.after: list[set[int]] | None = None
        self.results: dict[str, bytes] = {}
        self.savepoints: list[Savepoint] = []
        self.undone: list[Savepoint] = []
        self.scopes: dict[Identity, Savepoint] = {}
        self.ends: dict[Identity, Future[Any]] = {}
        self.asks: dict[Identity, list[UndoFunction]] = {}
        self.skipped = {one.identity[0]: one for one in records if one.kind == SKIPPED and is_of_function(one)}
        self.failures: list[RunRecord] = []
        self.abandoned: dict[Identity, Attempt[Any]] = {}
        self.branch = Branch(body, UNDO)
        self.again_branch = Branch(body, AGAIN)
        self.held: list[RunRecord] = []
        self.stuck: str | None = None
        self.error: BaseException | None = None
        self.replayed: Future[None] | None = None  # set once the code has heard of all that was recorded before
        self._turns = 0
        self._is_timed = False
        self._since = 0.0

    @property
    def is_shielded(self) -> bool:
        """Whether a cancel, or the deadline, is not heard of for now."""
        return self.has_pivoted or self.undoing > 0

    # --- steps -------------------------------------------------------------------------------------------------------

    def begun(self, step: BodyStep, *, is_inline: bool = False) -> None:
        """Note that the code begins a step, and record that: a kill leaves a trace of it."""
        identity, body = step.identity, self.body
        if self.savepoints:
            inner = self.innermost(identity[0])
            if inner is not None:
                self.scopes[identity] = inner
        if type(step) is not SagaStep or identity in self.intents or body.takes_nothing:
            return
        self.intents.add(identity)
        self.note(RunRecord(0, identity, step.start, INTENT, None, None, None, 1, None, body.node.now()), is_inline)
        step.after = body.last

    def check_open(self, path: str) -> None:
        """Refuse a further step of a map that the code waits for no more.

        Raises:
            RunCancelled: what it belongs to is undone.
        """
        is_over = self.is_turning and not path.startswith(UNDO)
        if is_over or any(one.is_closed_to(path) for one in self.undone):
            raise RunCancelled("the steps of the map that had not begun are left out, as the others are undone")

    def note(self, record: RunRecord, is_held: bool) -> None:
        """Have a record committed that the code does not hear of, with the next intent if it is held."""
        body = self.body
        with body.lock:
            body.number(record)
            if is_held:
                self.held.append(record)
        if not is_held:
            body.node.commit(body, record, None)

    def pivot(self) -> None:
        """Have the saga only go forward from here on."""
        if not self.has_pivoted:
            self.has_pivoted = True
            if not self.had_pivoted:
                at = self.body.node.now()
                record = RunRecord(0, ("", "pivot", 1), 0, PIVOT, None, None, None, 1, None, at)
                self.note(record, is_held=not self.body.is_async)

    def innermost(self, path: str) -> Savepoint | None:
        """Return the innermost savepoint that a branch is in."""
        return next((one for one in reversed(self.savepoints) if one.has(path)), None)

    def undo_by(self, function: UndoFunction, path: str, ask: AskStep | None) -> None:
        """Have a function called as the saga is undone; if it belongs to an ask, only if that has acted, or may have.

        Args:
            function: it is called at its place, or at that of the end of the ask.
            path: the branch that gives it.
            ask: the code may have heard of its end.
        """
        if ask is not None and self.body.open.get(ask.identity) is ask:
            self.asks.setdefault(ask.identity, []).append(function)
            return
        value, error = (None, None) if ask is None else (encode(ask.future._value), ask.future._error)
        if error is None or may_have_acted(error):
            self.entries.append(Undoable(ask, None, value, error is not None, self.innermost(path), function))

    def heard(self, step: BodyStep, record: RunRecord) -> None:
        """Note that the code hears of the end of a step."""
        scope = self.scopes.pop(step.identity, None)
        found = None if step.identity[0].startswith(UNDO) else effect_of(step, record)
        if found is not None:
            task, is_maybe = found
            if record.value is not None:
                self.results[task.function.__name__] = record.value
            if task.compensation is not None:
                self.entries.append(Undoable(step, task.compensation, record.value, is_maybe, scope))
        for function in self.asks.pop(step.identity, ()):
            if record.value is not None or may_have_acted(read_error(record.error)[1]):
                self.entries.append(Undoable(step, None, record.value, record.value is None, scope, function))
        end = self.ends.pop(step.identity, None)
        if end is not None:
            end._settle(None, None)

    def end_of(self, step: BodyStep) -> Future[Any]:
        """Return a future that is set once the end of a step is heard of."""
        return self.ends.setdefault(step.identity, BodyFuture())

    # --- records that wait for the next intent -----------------------------------------------------------------------

    def hold(self, record: RunRecord) -> None:
        """Keep a record for the commit of the next intent; a short while at most."""
        scheduler = self.body.node.scheduler
        with self.body.lock:  # its timer takes them from another thread
            self.held.append(record)
        self._since = scheduler.clock.monotonic()
        if not self._is_timed:
            self._is_timed = True
            scheduler.call_later(HOLD_SECONDS, self._look)

    def _look(self) -> None:
        self._is_timed = False
        if not self.held or self.body.is_closed:
            return
        scheduler = self.body.node.scheduler
        left = self._since + HOLD_SECONDS - scheduler.clock.monotonic()
        if left > 0:
            self._is_timed = True
            scheduler.call_later(left, self._look)
        else:
            self.release()

    def release(self) -> None:
        """Have all that is held committed, unless that is to go with the end of the run."""
        body = self.body
        if self.held and not self.is_ending:
            for record in self.take_held():
                body.node.commit(body, record, None)

    def write_held(self) -> None:
        """Commit all that is held, in this thread."""
        held = self.take_held()
        if held:
            plain: Any = self.body  # no other kind of body holds records
            token = CURRENT.set(plain.outer)  # the code itself may not write
            try:
                plain.node.commit_all_here(plain, held)
            finally:
                CURRENT.reset(token)

    def take_held(self) -> list[RunRecord]:
        """Return all that is held, to be committed by the caller."""
        with self.body.lock:
            held, self.held = self.held, []
        return held

    # --- its end -----------------------------------------------------------------------------------------------------

    def turn_again(self, record: RunRecord) -> bool:
        """Have the code end, which has turned in an earlier life, and comes there not by itself; False if it is undone.

        Raises:
            Turned: to end plain code.
            Unload: plain code has caught that, and was left.
        """
        body: Any = self.body
        if record.identity != TURN or self.is_turning:
            return False
        text, error = read_error(record.error)
        self.error = error or RuntimeError(text)
        with body.lock:
            body.journal = deque([record, *body.journal])
        plain: SyncBody | None = None if body.is_async else body
        if plain is not None and plain.lanes is not None and plain.lanes.call_main():
            body.to_replay += 1  # it is heard of once more
            return True
        self._turns += 1
        if plain is None:
            asyncs: AsyncBody = body
            assert asyncs.main is not None
            body.to_replay += 1
            if self._turns <= MOST_TURNS:
                asyncs.main.cancel()
            else:
                self.force()
            return True
        body.to_replay = max(body.to_replay, 1)  # no step begins before it is heard of
        if self._turns > MOST_TURNS:
            self.force()
        raise Turned

    def turn(self, error: BaseException) -> None:
        """Have the code end, though it has caught that its run is cancelled, as if it had turned in an earlier life."""
        TurnStep(self, TURN, None, error).launch()

    def heard_all(self) -> None:
        """Note that the code has heard of all that was recorded before."""
        if self.replayed is not None:
            self.replayed._settle(None, None)

    def end_stuck(self, why: str) -> Unload:
        """Note that the saga cannot go on until somebody helps, and return the exception that ends its code."""
        self.stuck = why
        self.body.unload()
        return Unload()

    def outcome(self, error: BaseException) -> tuple[str, None, bytes]:
        """Return the status of the run whose code has raised, and that error as it is stored."""
        name = self.body.run.name
        if self.body.is_cancelled and is_cancel(error):
            error = cancelled(self.body).with_traceback(error.__traceback__)
            if self.left_at is not None:
                error = RunCancelled(f"{error}; its code has caught that, waits at {self.left_at}, and was left there")
            logger.info("Saga %s was cancelled, and is undone", name)
        else:
            logger.error("Saga %s failed, and is undone: %s", name, reason_of(error), exc_info=error)
        return "compensated", None, write_error(error, has_traceback=True)


def is_cancel(error: BaseException) -> bool:
    """Say whether an error is the one by which code hears that its run is cancelled."""
    return isinstance(error, (RunCancelled, asyncio.CancelledError))
