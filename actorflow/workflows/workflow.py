"""Workflow: a function in plain Python whose calls of tasks are steps that are recorded."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Coroutine
from types import CodeType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from actorflow.core.actors.traits import check_type
from actorflow.core.futures.future import Future
from actorflow.core.importable import module_of
from actorflow.errors import DefinitionError
from actorflow.queues.limits import Limit
from actorflow.tasks.options import check_text
from actorflow.tasks.retry import Retry
from actorflow.tasks.task import (
    AsyncTask,
    Raises,
    Task,
    TaskMaker,
    check_named,
    declare_compensation,
    options_among,
    same_place,
)
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.options import PLAIN_RUN

if TYPE_CHECKING:
    from actorflow.tasks.compensation import Compensation
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.saga_course import SagaCourse
    from actorflow.workflows.rows.records import RunRecord

P = ParamSpec("P")
R = TypeVar("R")
P2 = ParamSpec("P2")
R2 = TypeVar("R2")

# Workflows by name: stored runs name them, and they are only ever looked up here.
WORKFLOWS: Final[dict[str, AnyWorkflow]] = {}


class RunKeywords(TypedDict, total=False):
    """Options of one run, for type checkers; `RunOptions` explains them."""

    id: str | None
    deadline: float | None
    version: str | None
    key: str | None
    priority: int
    on_parent_close: Literal["cancel", "abandon", "wait"]
    signal: object


class AnyWorkflow:
    """The attributes and options that workflows of both kinds have.

    Attributes:
        function: the decorated function.
        name: the name by which runs know it: `module.qualname`, unless it was given another.
        version: of the code, if it has one: a run says in reports with which it began.
        hash: of the code of the function, for reports: it differs between versions of Python, and does not see changes
            of functions that are called.
        is_async: it is an `async def` function.
        limit: how many of its runs of one key are under way at once.
    """

    is_dag: ClassVar[bool] = False
    is_saga: ClassVar[bool] = False
    compensation: Compensation | None = None  # undoes a run of it that a saga has had as a child

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        version: str | None = None,
        limit: Limit | None = None,
    ) -> None:
        check_named(function, name, "workflow")
        self.function = function
        self.name = name if name is not None else f"{module_of(function)}.{function.__qualname__}"
        check_text("name", self.name)
        check_type("version", version, str | None)
        check_text("version", version)
        self.version = version
        check_type("limit", limit, Limit | None)
        self.limit = limit
        self.is_async = inspect.iscoroutinefunction(function)
        self.signature = inspect.signature(function)
        self.run_options = PLAIN_RUN
        functools.update_wrapper(self, function)
        other = WORKFLOWS.get(self.name)
        if other is not None and not same_place(other.function, function):
            msg = f"two workflows are named {self.name!r}: give one of them @af.workflow(name=...)"
            raise DefinitionError(msg)
        WORKFLOWS[self.name] = self

    @functools.cached_property
    def hash(self) -> str:
        """The hash of the function's code: the same in each process that has it; each version of Python has another.

        Functions, tasks and workflows that it calls are not in it, but by their names.
        """
        code = getattr(self.function, "__code__", None)
        text = self.name if code is None else f"{self.name} {text_of_constant(code)}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function, its tasks too: a unit test needs no system; in a body, run a child."""
        branch = current_branch()
        return self.function(*args, **kwargs) if branch is None else branch.run_child(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return find_workflow, (self.name,)

    def options(self, **options: Unpack[RunKeywords]) -> Self:
        """Return the workflow with options for one run: `system.start(publish.options(id="paris"), "paris")`.

        Raises:
            DefinitionError: an unknown option (the nearest known one is named), or a value that makes no sense.
        """
        flow = object.__new__(type(self))
        flow.__dict__.update(self.__dict__)
        flow.run_options = self.run_options.replace(**options)
        return flow

    def slot_of(self, key: str | None) -> str | None:
        """Return the key of which a run needs a slot: those without a key share one; None: there is no limit."""
        return None if self.limit is None else key or ""

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise a DefinitionError if the function does not take these arguments."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as mismatch:
            msg = f"{self.name}{self.signature}: {mismatch}{options_among(kwargs, self.signature)}"
            raise DefinitionError(msg) from mismatch

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the arguments of a run, as they are encoded."""
        return [list(args), kwargs]

    def arguments_in(self, given: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a run that were decoded."""
        args, kwargs = given
        return args, kwargs

    def code(self, body: Body) -> Callable[..., Any]:  # noqa: ARG002 - of sagas
        """Return the function that a run calls."""
        return self.function

    def course_of(self, body: Body, records: list[RunRecord]) -> SagaCourse | None:  # noqa: ARG002 - of sagas
        """Return the steps of a run that are to be undone, if it is of a saga."""
        return None


class CallableWorkflow(AnyWorkflow, Generic[P, R]):
    """The calls that workflows of both kinds have in the body of another; R is the type of the result."""

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start a child in the body of a workflow, a run of its own; the future has its result.

        Raises:
            DefinitionError: called outside of a body, or with arguments that do not fit.
            PayloadError: an argument cannot be stored.
        """
        branch = current_branch()
        if branch is None:
            msg = f"{self.name}.submit() is for the body of a workflow: elsewhere, system.start(workflow, ...)"
            raise DefinitionError(msg)
        return branch.start(self, args, kwargs)

    @overload
    def compensate(self, undo: Callable[P2, Coroutine[Any, Any, R2]], /) -> AsyncTask[P2, R2]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def compensate(self, undo: Callable[P2, R2], /) -> Task[P2, R2]: ...
    @overload
    def compensate(
        self,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        raises: Raises = (),
    ) -> TaskMaker: ...
    def compensate(self, undo: Any = None, /, **options: Any) -> Any:
        """Declare the function that undoes a run of this workflow which a saga has had as a child, as of a task.

        Raises:
            DefinitionError: its parameters do not fit, or the workflow has a compensation.
        """
        return declare_compensation(self, undo, options)


class Workflow(CallableWorkflow[P, R]):
    """A workflow of a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, its tasks too; in the body of a workflow, run a child."""
        branch = current_branch()
        return self.function(*args, **kwargs) if branch is None else branch.run_child(self, args, kwargs)  # type: ignore[no-any-return]


class AsyncWorkflow(CallableWorkflow[P, R]):
    """A workflow of an `async def` function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the plain function, its tasks too; in the body of a workflow, return a coroutine that runs a child."""
        branch = current_branch()
        return self.function(*args, **kwargs) if branch is None else branch.run_child(self, args, kwargs)  # type: ignore[no-any-return]


class _WorkflowMaker(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncWorkflow[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncWorkflow[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...
@overload
def workflow(*, name: str | None = None, version: str | None = None, limit: Limit | None = None) -> _WorkflowMaker: ...
def workflow(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a workflow, whose calls of tasks are steps: a run of it goes on after its process has died.

    Args:
        function: plain or `async def`.
        name: the name by which runs know it, if not `module.qualname`: then it may be moved and renamed.
        version: of the code, for reports.
        limit: of its runs by their key, `options(key=)`: `af.Limit(concurrency=2)` has two of each key under way at
            once, over all processes; the others wait, status "queued". A run holds its place from when it may begin
            until it is over, also while it waits, is paused or parked. Runs without a key share one.

    >>> import actorflow as af
    >>> @af.task
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> @af.workflow
    ... def quadruple(n: int) -> int:
    ...     return double(double(n))
    >>> with af.ActorSystem("demo") as system:
    ...     system.start(quadruple, 3).result(timeout=10)
    12

    Raises:
        DefinitionError: options that make no sense, or a name that another workflow has.
    """
    if function is not None:
        return _make(function, {})
    return lambda decorated: _make(decorated, options)


def _make(function: Callable[..., Any], options: dict[str, Any]) -> AnyWorkflow:
    kind: type[AnyWorkflow] = AsyncWorkflow if inspect.iscoroutinefunction(function) else Workflow
    return kind(function, **options)


def text_of_constant(value: object) -> str:
    """Return a text of a constant of the code, or of the code itself, that is the same in each process.

    The `repr` of an inner function has its address, and that of a set the order of its hashes.
    """
    if isinstance(value, CodeType):
        constants = [text_of_constant(one) for one in value.co_consts]
        return repr((value.co_name, value.co_code, value.co_names, constants))
    if isinstance(value, tuple):
        return repr([text_of_constant(one) for one in value])
    if isinstance(value, frozenset):
        return repr(sorted(map(text_of_constant, value)))
    return repr(value)


def find_workflow(name: str) -> AnyWorkflow:
    """Return the workflow of a name.

    Raises:
        DefinitionError: none of that name is known here.
    """
    found = WORKFLOWS.get(name)
    if found is None:
        msg = f"workflow {name!r} is not known here: import its module"
        raise DefinitionError(msg)
    return found
