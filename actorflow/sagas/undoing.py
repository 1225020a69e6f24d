"""Undoing: the order in which a saga, or a savepoint, undoes its steps: the same for plain and async code.

It is a generator of waits: of futures, and of calls of the user's. `drive` and `drive_async` make them.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.errors import MaybeDone, RunCancelled
from actorflow.sagas.course import TURN, Course, Undoable
from actorflow.sagas.saga_step import SagaStep
from actorflow.sagas.undo_step import AgainStep, TurnStep, UndoStep, is_in
from actorflow.tasks.current import CURRENT_BODY
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.text import reason_of
from actorflow.workflows.body.branch import Branch
from actorflow.workflows.body.child_step import ChildStep
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.job_step import JobStep
from actorflow.workflows.body.sends import AskStep
from actorflow.workflows.body.steps import BodyStep
from actorflow.workflows.body.timed_steps import TimerStep
from actorflow.workflows.rows.records import UNDO

if TYPE_CHECKING:
    from actorflow.sagas.savepoint import Savepoint
    from actorflow.sagas.undo_function import UndoFunction
    from actorflow.workflows.body.async_body import AsyncBody
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.sync_body import SyncBody

PATIENCE_SECONDS: Final = 60.0  # that a turn waits for steps which are under way


class NotUndone(Exception):
    """Says why a step could not be undone."""


@dataclass(frozen=True, slots=True)
class Calling:
    """A function that is to be called, or awaited, in a branch."""

    function: Callable[[], Any]
    branch: Branch | None = None


Undoing: TypeAlias = "Generator[Future[Any] | Calling, None, None]"


def undo_all(course: Course, scope: Savepoint | None, error: BaseException) -> Undoing:
    """Undo the steps of a saga, or of a savepoint: first the turn is on disk, and all that is under way has ended."""
    body = course.body
    course.undoing += 1
    if scope is None:
        course.is_turning = True
    try:
        if not (any(todo_of(course, scope)) or open_of(course, scope)):
            return
        identity = TURN if scope is None else (scope.branch.path, "savepoint turned", scope.number)
        yield body.begin(TurnStep(course, identity, scope, error))
        if scope is None:
            yield from end_branches(course)
        yield from settle(course, scope)
        while wave := next_of(course, scope):
            yield from undo(course, wave[0]) if len(wave) == 1 else together([undo(course, one) for one in wave])
            for entry in wave:
                course.entries.remove(entry)
    except NotUndone as failure:
        raise course.end_stuck(str(failure)) from None
    finally:
        course.undoing -= 1
    if not course.undoing and body.is_cancelled:
        body.cancel_steps()  # it was not heard of before


def next_of(course: Course, scope: Savepoint | None) -> list[Undoable]:
    """Return the newest step that is to be undone; of a DAG, all that no other one has come of; if there are any."""
    if course.after is None:
        return list(itertools.islice(todo_of(course, scope), 1))
    todo = list(todo_of(course, scope))
    left = {course.nodes.get(one.step.identity) for one in todo}
    return [one for one in todo if not left & course.after[course.nodes[one.step.identity]]]


def together(several: Sequence[Undoing]) -> Undoing:
    """Undo several steps beside each other: all come to their ends, also if one cannot be undone."""
    waits: dict[int, Future[Any]] = {}
    failures: list[str] = []

    def go_on(n: int) -> None:
        try:
            found = next(several[n])
        except StopIteration:
            waits.pop(n, None)
        except NotUndone as error:
            waits.pop(n, None)
            failures.append(str(error))
        else:
            assert isinstance(found, Future)  # no function of af.undo: there is none beside a DAG
            waits[n] = found

    for n in range(len(several)):
        go_on(n)
    while waits:
        gate = BodyFuture()
        for future in list(waits.values()):
            future._when_done(partial(gate._settle, None, None))
        yield gate
        for n in [n for n, future in waits.items() if future._done]:
            go_on(n)
    if failures:
        raise NotUndone("; ".join(failures))


def todo_of(course: Course, scope: Savepoint | None) -> Iterator[Undoable]:
    """Yield the steps that are to be undone, newest first."""
    for one in reversed(course.entries):
        if scope is None or (one.savepoint is not None and one.savepoint.is_within(scope)):
            yield one


def open_of(course: Course, scope: Savepoint | None) -> list[BodyStep]:
    """Return the steps that are under way, and may have to be undone."""
    return [
        step
        for step in course.body.open.values()
        if is_in(course, step, scope)
        and (
            isinstance(step, (SagaStep, JobStep))
            or step.identity in course.asks
            or (isinstance(step, ChildStep) and step.options.on_parent_close != "abandon")
        )
    ]


def settle(course: Course, scope: Savepoint | None) -> Undoing:
    """Wait for the steps that are under way: a bounded time, after which those of this process are cut short."""
    body, steps = course.body, open_of(course, scope)
    if not steps:
        return
    ends = [course.end_of(step) for step in steps]
    for step in steps:
        if isinstance(step, SagaStep):
            step.stop()
        elif step.cancel() and step.is_launched:
            with body.lock:
                body.launch_again(step)
    body.launch()
    identity, start = course.branch.next("patience")
    timer = TimerStep(body, identity, start, PATIENCE_SECONDS)
    timer.future._when_done(partial(cut_short, steps))
    body.begin(timer)
    yield from ends
    timer.drop()


def end_branches(course: Course) -> Undoing:
    """End the branches of the code; they are waited for a minute at most."""
    body: Any = course.body
    if not body.is_async:
        yield from end_lanes(body)
    elif not body.loop.frozen:
        yield Calling(end_tasks_of(body))


def report_left(body: Body) -> None:
    """Log that a part of the code goes on though it is cancelled, and has no turn any more."""
    logger.warning(
        "Saga %s: a branch of its code has caught its cancel, and goes on for %g s: it is left where it waits, and the "
        "saga is undone",
        body.run.name,
        PATIENCE_SECONDS,
    )


def cut_short(steps: list[BodyStep]) -> None:
    """Have steps end that are under way for long."""
    for step in steps:
        if isinstance(step, (SagaStep, AskStep)):
            step.cut_short()


def undo(course: Course, entry: Undoable) -> Undoing:
    """Undo one step.

    Raises:
        NotUndone: it could not be undone.
    """
    if entry.function is not None:
        yield from undo_by(course, entry, entry.function)
        return
    assert entry.compensation is not None
    body, task, refusal = course.body, entry.compensation.task, None
    if entry.is_maybe and entry.compensation.step is None:
        refusal = yield from learn(course, entry)
    step = UndoStep(course, entry, *course.branch.next(task.name), refusal)
    yield body.begin(step)
    failure = step.future._error
    if failure is not None:
        raise NotUndone(f"{task.name}, which undoes {entry.step.identity[1]}, failed: {reason_of(failure)}")


def undo_by(course: Course, entry: Undoable, function: UndoFunction) -> Undoing:
    """Have a function of `af.undo` undo something, unless somebody has left it out.

    Raises:
        NotUndone: it has raised.
    """
    branch, body = course.branch.child(), course.body
    skipped = course.skipped.get(branch.path)
    if skipped is not None:
        yield body.begin(BodyStep(body, skipped.identity, 0, None))
        return
    try:
        yield Calling(partial(call_bound, course, entry, function), branch)
    except BaseException as error:  # the user's, also a SystemExit: others are still to be undone
        if body.is_over:
            raise
        let_ctrl_c_pass(error)
        course.failures.append(function.failed(course, branch.path, error))
        raise NotUndone(f"a function of af.undo failed: {function.name}: {reason_of(error)}") from None


def call_bound(course: Course, entry: Undoable, function: UndoFunction) -> Any:
    """Call a function of `af.undo`."""
    return function.bound(course, entry)()


def learn(course: Course, entry: Undoable) -> Generator[Future[Any], None, BaseException | None]:
    """Run a step that may have acted once more, if its task is idempotent; return why its result is not known."""
    done, compensation = entry.step, entry.compensation
    assert compensation is not None
    name = done.identity[1]
    if not (isinstance(done, SagaStep) and done.task.idempotent):
        return MaybeDone(
            f"{name} may have acted, or not, and {compensation.task.name} takes its result: declare `step: af.Step` "
            f"there, or {name} as @af.task(idempotent=True)"
        )
    again = AgainStep(course, entry, *course.again_branch.next(done.task.name))
    yield course.body.begin(again)
    if again.future._error is not None:
        return MaybeDone(f"{name} may have acted, and failed when it was run again: {reason_of(again.future._error)}")
    entry.value = again.value
    return None


# --- the waits of plain code ------------------------------------------------------------------------------------------


def drive(body: SyncBody, steps: Undoing) -> None:
    """Make the waits in the thread of the code."""
    error: BaseException | None = None
    while True:
        try:
            wait = next(steps) if error is None else steps.throw(error)
        except StopIteration:
            return
        error = None
        try:
            if isinstance(wait, Calling):
                call(wait)
            else:
                wait_through(body, wait)
        except BaseException as raised:  # noqa: BLE001 - it is raised where the wait was asked for
            error = raised


def wait_through(body: SyncBody, future: Future[Any]) -> None:
    """Wait for a future, though the branch is told that it is cancelled."""
    while not future._done:
        try:
            body.wait_for(future)
        except RunCancelled:
            continue  # once: of a branch, as the function has failed


def call(calling: Calling) -> None:
    """Call a function in its branch."""
    if calling.branch is None:
        calling.function()
        return
    mark = CURRENT_BODY.set(calling.branch)
    try:
        found = calling.function()
        if isinstance(found, Future):  # of `ref.call`, or of a task that it has submitted
            found.get()
    finally:
        CURRENT_BODY.reset(mark)


def end_lanes(body: SyncBody) -> Undoing:
    """End the branches of plain code: those that go on for long though they are cancelled have no turn any more."""
    lanes = body.lanes
    if lanes is None or not lanes.open:
        return
    lanes.fail()
    gate = BodyFuture()
    branch = Branch(body, f"{UNDO}.branches")
    timer = TimerStep(body, *branch.next("patience"), PATIENCE_SECONDS)
    timer.future._when_done(partial(gate._settle, None, None))
    for lane in list(lanes.open):
        lane.future._when_done(lambda: None if lanes.open else gate._settle(None, None))
    body.begin(timer)
    yield gate
    timer.drop()
    if lanes.open:
        lanes.freeze()
        report_left(body)
    lanes.report()


# --- the waits of async code ------------------------------------------------------------------------------------------


async def drive_async(body: AsyncBody, steps: Undoing) -> None:
    """Make the waits in the asyncio task of the code, whose cancel is raised at the end."""
    error: BaseException | None = None
    was_cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            wait = next(steps) if error is None else steps.throw(error)
        except StopIteration:
            break
        error = None
        try:
            future = wait if isinstance(wait, Future) else begin_call(body, wait)
            while not future._done:
                gate = BodyFuture()
                future._when_done(lambda gate=gate: gate._settle(None, None))  # type: ignore[misc]
                try:
                    await gate
                except asyncio.CancelledError as cancel:
                    if body.is_over:
                        raise
                    was_cancelled = cancel
            if not isinstance(wait, Future):
                future.get()
        except BaseException as raised:  # noqa: BLE001 - it is raised where the wait was asked for
            error = raised
    if was_cancelled is not None:
        raise was_cancelled


def begin_call(body: AsyncBody, calling: Calling) -> Future[Any]:
    """Have a function awaited in an asyncio task of its own."""
    over: Future[Any] = BodyFuture()

    async def run() -> None:
        found = calling.function()
        if inspect.isawaitable(found):
            await found

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            over._settle(None, asyncio.CancelledError())
        else:
            over._settle(None, task.exception())

    mark = CURRENT_BODY.set(calling.branch) if calling.branch is not None else None
    try:
        body.loop.create_task(run()).add_done_callback(ended)
    finally:
        if mark is not None:
            CURRENT_BODY.reset(mark)
    return over


def end_tasks_of(body: AsyncBody) -> Callable[[], Any]:
    """Return a function that ends the other asyncio tasks of async code."""
    code = asyncio.current_task(body.loop)

    async def end() -> None:
        others = [one for one in body.loop.tasks() if one not in {code, asyncio.current_task()} and not one.done()]
        for task in others:
            task.cancel()
        if others:
            _, left = await asyncio.wait(others, timeout=PATIENCE_SECONDS)
            if left:
                body.loop.freeze(code)
                report_left(body)

    return end
