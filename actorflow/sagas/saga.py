"""Saga: a workflow whose completed steps are undone, newest first, if its code raises."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar, overload

from actorflow.sagas.course import Course
from actorflow.sagas.forcing import force_async, force_plain
from actorflow.sagas.savepoint import Savepoint
from actorflow.sagas.undoing import drive, drive_async, undo_all
from actorflow.store.codec import check_size, encode
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.text import reason_of
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.saga_course import Turned
from actorflow.workflows.options import PLAIN_RUN
from actorflow.workflows.workflow import AnyWorkflow, AsyncWorkflow, Workflow

if TYPE_CHECKING:
    from actorflow.queues.limits import Limit
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import RunRecord

P = ParamSpec("P")
R = TypeVar("R")


class AnySaga(AnyWorkflow):
    """The class of all sagas: their runs can be undone."""

    is_saga: ClassVar[bool] = True

    def __init__(self, function: Callable[..., Any], *, deadline: float | None = None, **options: Any) -> None:
        super().__init__(function, **options)
        self.run_options = PLAIN_RUN.replace(deadline=deadline)

    def __repr__(self) -> str:
        return f"<saga {self.name}>"

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the arguments of a run, as they are encoded: they say of what kind it is."""
        return {"saga": [list(args), kwargs]}

    def arguments_in(self, given: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a run that were decoded."""
        args, kwargs = given["saga"]
        return args, kwargs

    def course_of(self, body: Body, records: list[RunRecord]) -> Course:
        """Return the steps of a run that are to be undone, of which there are none yet."""
        return Course(body, records)

    def course_here(self) -> Savepoint | None:
        """Return a part of the saga whose code calls this one, if it does: its steps are that saga's."""
        branch = current_branch()
        course: Any = None if branch is None else branch.body.saga
        is_plain = self.run_options.id is None
        return Savepoint(branch, course) if branch is not None and course is not None and is_plain else None


class PlainSaga(AnySaga, Workflow[P, R]):
    """A saga of a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, its tasks too; in the code of another saga as a part of that, else run a child."""
        part = self.course_here()
        if part is None:
            return super().__call__(*args, **kwargs)
        with part:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]

    def code(self, body: Any) -> Callable[..., Any]:
        """Return the function of a run: that of the saga, with the undoing of its steps."""

        def run(*args: Any, **kwargs: Any) -> Any:
            course: Course = body.saga
            course.force = partial(force_plain, body, course)
            try:
                value = self.function(*args, **kwargs)
                if body.lanes is not None:
                    body.lanes.finish(failed=False)
                check_result(self, body, value)
                while body.is_replaying or course.has_turned:  # its code has caught what it was ended by
                    body.hear_next()
            except BaseException as raised:
                error = error_to_undo(body, course, raised)
                drive(body, undo_all(course, None, error))
                if error is not raised:
                    raise error from None
                raise
            return value

        return run


class AsyncSaga(AnySaga, AsyncWorkflow[P, R]):
    """A saga of an `async def` function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the plain function, its tasks too; in the code of another saga as a part of that, else run a child."""
        part = self.course_here()
        return super().__call__(*args, **kwargs) if part is None else self._as_part(part, args, kwargs)

    async def _as_part(self, part: Savepoint, args: Any, kwargs: Any) -> R:
        async with part:
            return await self.function(*args, **kwargs)  # type: ignore[no-any-return]

    def code(self, body: Any) -> Callable[..., Any]:
        """Return the coroutine function of a run: that of the saga, with the undoing of its steps."""

        async def run(*args: Any, **kwargs: Any) -> Any:
            course: Course = body.saga
            course.force = partial(force_async, body, course)
            try:
                value = await self.function(*args, **kwargs)
                check_result(self, body, value)
                if body.is_replaying:
                    course.replayed = BodyFuture()
                    await course.replayed
            except GeneratorExit:  # the coroutine was dropped: nothing may be awaited any more
                raise
            except BaseException as raised:
                error = error_to_undo(body, course, raised)
                await drive_async(body, undo_all(course, None, error))
                if error is not raised:
                    raise error from None
                raise
            return value

        return run


def check_result(saga: AnySaga, body: Body, value: Any) -> None:
    """Raise a PayloadError if the result cannot be stored: while the steps can be undone."""
    what = f"the result of {saga.name}"
    check_size(encode(value, what), what, body.node.site.payload_limit)


def error_to_undo(body: Body, course: Course, raised: BaseException) -> BaseException:
    """Return the error for which a saga is undone.

    Raises:
        Unload: it is not: its code was unloaded; or it only goes forward, and is stuck.
    """
    if body.is_over:
        raise raised
    let_ctrl_c_pass(raised)
    if course.has_pivoted:
        raise course.end_stuck(f"it failed behind its pivot: {reason_of(raised)}") from None
    error = course.error
    if error is None or not (isinstance(raised, Turned) or body.is_async):
        return raised
    return error


class SagaMaker(Protocol):
    """The decorator that `af.saga(...)` returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncSaga[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, function: Callable[P, R], /) -> PlainSaga[P, R]: ...


@overload
def saga(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncSaga[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
@overload
def saga(function: Callable[P, R], /) -> PlainSaga[P, R]: ...
@overload
def saga(
    *, name: str | None = None, version: str | None = None, limit: Limit | None = None, deadline: float | None = None
) -> SagaMaker: ...
def saga(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a saga: a workflow whose completed steps are undone, newest first, if it raises.

    A step is undone by the function that `@step.compensate` declares. A saga that was undone is "compensated", one
    that could not be is "stuck", until `run.retry()` or `run.skip(reason)`.

    Args:
        function: plain or `async def`.
        name: the name by which runs know it, if not `module.qualname`: then it may be moved and renamed.
        version: of the code, for reports.
        limit: of its runs by their key, as of a workflow.
        deadline: seconds from the start of a run, after which it is undone, if it has not passed its pivot.

    >>> import actorflow as af
    >>> seats = set()
    >>> @af.task
    ... def book_seat(name: str) -> str:
    ...     seats.add(name)
    ...     return name
    >>> @book_seat.compensate
    ... def free_seat(seat: str) -> None:
    ...     seats.discard(seat)
    >>> @af.task
    ... def pay(price: int) -> None:
    ...     raise ValueError("the card is refused")
    >>> @af.saga
    ... def trip(name: str) -> None:
    ...     book_seat(name)
    ...     pay(90)
    >>> with af.ActorSystem("demo") as system:
    ...     run = system.start(trip, "ann")
    ...     try:
    ...         run.result(timeout=30)
    ...     except af.RunFailed as error:
    ...         print(run.status, error.__cause__)
    compensated the card is refused
    >>> seats
    set()

    Raises:
        DefinitionError: options that make no sense, or a name that another workflow has.
    """
    if function is not None:
        return _make(function, {})
    return lambda decorated: _make(decorated, options)


def _make(function: Callable[..., Any], options: dict[str, Any]) -> AnySaga:
    kind: type[AnySaga] = AsyncSaga if inspect.iscoroutinefunction(function) else PlainSaga
    return kind(function, **options)
