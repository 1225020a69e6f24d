"""Forcing: the end of code that catches each exception by which it is to end: it is left where it waits, and undone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import Unload
from actorflow.sagas.saga_step import SagaStep
from actorflow.sagas.undoing import drive, drive_async, undo_all
from actorflow.tasks.current import CURRENT_BODY
from actorflow.workflows.body.branch import Branch
from actorflow.workflows.rows.records import UNDO

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

    from actorflow.sagas.course import Course
    from actorflow.workflows.body.async_body import AsyncBody
    from actorflow.workflows.body.sync_body import SyncBody

PACKAGE: Final = str(Path(__file__).parents[1])


def force_plain(body: SyncBody, course: Course) -> NoReturn:
    """Undo the saga in the thread of its code, which waits for something, and end the run.

    Raises:
        Unload: then: the code hears of nothing else any more.
    """
    leave(course, user_frame(sys._getframe(1)))
    assert course.error is not None
    for step in list(body.open.values()):
        if isinstance(step, SagaStep) and not step.is_launched and step not in body._unlaunched:
            step.is_cancelled = True  # the code was about to run it
            body.begin_send(step)
    try:
        drive(body, undo_all(course, None, course.error))
        end: tuple[Any, ...] = course.outcome(course.error)
        while body.holds_end:
            body.hear_next()
        body.flush()
        token = CURRENT.set(body.outer)  # the code itself may not write
        try:
            body.node.end_here(body, *end)
        finally:
            CURRENT.reset(token)
    except Unload:  # it is stuck, or the system ends
        token = CURRENT.set(body.outer)
        try:
            body.settle()
            body.node.give_back(body)
        finally:
            CURRENT.reset(token)
    raise Unload


def force_async(body: AsyncBody, course: Course) -> None:
    """Have a task of asyncio of its own undo the saga; the code is never to go on."""
    assert body.main is not None
    leave(course, waiting_frame(body.main))
    error = course.error
    assert error is not None

    async def undo() -> None:
        await drive_async(body, undo_all(course, None, error))
        raise error

    body.loop.freeze(None)
    mark = CURRENT_BODY.set(Branch(body, f"{UNDO}.code"))
    try:
        body.main = body.loop.create_task(undo())
    finally:
        CURRENT_BODY.reset(mark)


def leave(course: Course, frame: FrameType | None) -> None:
    """Note, and log, where code waits that is left."""
    place = "a place that is not known" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
    course.left_at = place
    logger.warning(
        "Saga %s: its code catches each exception by which it is to end, and waits at %s: it is left there, and the "
        "saga is undone. Have it let RunCancelled, CancelledError and any BaseException pass",
        course.body.run.name,
        place,
    )


def user_frame(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the user's code that waits here."""
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame


def waiting_frame(task: asyncio.Task[Any]) -> FrameType | None:
    """Return the innermost frame of the user's code in a task that waits."""
    found: FrameType | None = None
    coro: Any = task.get_coro()
    while coro is not None:
        frame = getattr(coro, "cr_frame", None)
        if frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            found = frame
        coro = getattr(coro, "cr_await", None)
    return found
