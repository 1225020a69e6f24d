"""Calls: the functions for the code of sagas: the pivot, savepoints, and functions that undo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, cast

from actorflow.errors import DefinitionError
from actorflow.sagas.course import Course, Undoable
from actorflow.sagas.savepoint import Savepoint
from actorflow.text import text_of
from actorflow.workflows.calls import branch_of

if TYPE_CHECKING:
    from actorflow.workflows.body.branch import Branch

P = ParamSpec("P")


def here(call: str) -> tuple[Branch, Course]:
    """Return the branch of the saga whose code runs here, and the saga's course.

    Raises:
        DefinitionError: none does.
    """
    branch = branch_of(call)
    course = branch.body.saga
    if course is None:
        msg = f"af.{call} is for the code of a saga, and {branch.body.workflow.name} is a workflow: make it an @af.saga"
        raise DefinitionError(msg)
    return branch, cast("Course", course)


def pivot() -> None:
    """Have the saga only go forward from here on: its steps are undone no more.

    An error that leaves its code then has it stuck, until `run.retry()`; a cancel, or its deadline, is not heard of.

    Raises:
        DefinitionError: called outside of a saga's code.
    """
    here("pivot()")[1].pivot()


def savepoint() -> Savepoint:
    """Return a part of the code of a saga, for `with`: an error in it undoes its steps only, and goes on to the code.

    In an async saga, `async with af.savepoint()`. If `af.pivot()` was called in it, nothing is undone.

    Raises:
        DefinitionError: called outside of a saga's code.
    """
    return Savepoint(*here("savepoint()"))


def undo(function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Have a function called if the saga is undone, at its place between the compensations of the steps.

    It is code of the saga: it may call tasks, and ask durable actors, each of which is a step. So an ask is undone:
    `af.undo(lambda: payments.call(Payments.refund, order).get()); payments.call(Payments.charge, order).get()`. It
    comes before the ask, whose wait a cancel, a timeout or the failure of another step may end, though the actor acts.

    Args:
        function: plain, or in an async saga `async def`; also a task.
        args: of the function.
        kwargs: of the function.

    Raises:
        DefinitionError: called outside of a saga's code, or it is no function.
    """
    if not callable(function):
        msg = f"af.undo({text_of(function)}): give a function, and its arguments"
        raise DefinitionError(msg)
    branch, course = here("undo()")
    course.entries.append(
        Undoable(None, None, None, False, course.innermost(branch.path), partial(function, *args, **kwargs))
    )
