"""Calls: the functions for the code of sagas: the pivot, savepoints, and functions that undo."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from actorflow.core.futures.future import Future
from actorflow.errors import DefinitionError
from actorflow.sagas.course import Course
from actorflow.sagas.savepoint import Savepoint
from actorflow.sagas.undo_function import refused, undo_function
from actorflow.tasks.compensation import Step
from actorflow.workflows.body.sends import AskFuture
from actorflow.workflows.calls import branch_of

if TYPE_CHECKING:
    from actorflow.workflows.body.branch import Branch

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


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


class AsksActor(Protocol[A_co]):
    """The `call` of a ref, by which a function that undoes may ask an actor."""

    def __call__(
        self, method: Callable[Concatenate[A_co, P2], Any], /, *args: P2.args, **kwargs: P2.kwargs
    ) -> Future[Any]:
        """Ask the actor."""
        ...


@overload
def undo(
    ask: Future[R], call: AsksActor[A], method: Callable[Concatenate[A, P], Any], /, *args: P.args, **kwargs: P.kwargs
) -> Future[R]: ...
@overload
def undo(
    ask: Future[R], function: Callable[Concatenate[Step, P], Any], /, *args: P.args, **kwargs: P.kwargs
) -> Future[R]: ...
@overload
def undo(ask: Future[R], function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
@overload
def undo(function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
def undo(what: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Have a function called if the saga is undone, at its place between the compensations of the steps.

    It is code of the saga: it may call tasks, and ask durable actors, each of which is a step. If it returns a future
    of such a step, that is waited for.

    The function of an *ask* is declared with it, and undoes what the actor has done: at the place of its answer, and
    also if a cancel, the deadline, a timeout, a kill or the failure of another step has cut the wait for that. It is
    not called if the actor has refused the ask by an error. Without an ask, the function is called whatever comes.

        af.undo(payments.call(Payments.charge, order), payments.call, Payments.refund, order).get()

    Args:
        what: the future of an ask of a durable actor, which is returned; and behind it a function.
        args: of the function. If its first parameter is declared as `step: af.Step`, that gets the ask: its `result`,
            and in `maybe` whether it is not known that the actor has acted.
        kwargs: of the function.

    Raises:
        DefinitionError: called outside of a saga's code; or it is no function, or does not take these arguments, or is
            async in a plain saga; or the future is not that of an ask. The saga is stuck if the actor has done what
            was asked, as nothing undoes that: `run.skip(reason)` goes on once it is done by hand.
    """
    branch, course = here("undo()")
    is_of_ask = isinstance(what, Future)
    function, given = (args[0] if args else None, args[1:]) if is_of_ask else (what, args)
    if is_of_ask and not isinstance(what, AskFuture):
        msg = (
            "af.undo(future, function) is for the future of an ask of a durable actor, as ref.call(...) returns it: a "
            "task is undone by its own @task.compensate"
        )
        raise DefinitionError(msg)
    ask = what.step if isinstance(what, AskFuture) else None
    try:
        found = undo_function(function, given, kwargs, of_ask=is_of_ask)
        if inspect.iscoroutinefunction(function) and not course.body.is_async:
            msg = f"af.undo({found.name}): it is async, and saga {course.body.workflow.name} is not"
            raise DefinitionError(msg)
    except DefinitionError as error:
        if ask is not None:  # it is under way, and nothing undoes it
            course.undo_by(refused(error), branch.path, ask)
        raise
    course.undo_by(found, branch.path, ask)
    return what if is_of_ask else None
