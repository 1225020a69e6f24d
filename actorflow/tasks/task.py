"""Task: a function that a queue or a workflow runs, known by name."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, Self, TypeAlias, TypeVar, Unpack, overload

from actorflow.core.actors.traits import check_type
from actorflow.core.importable import module_of
from actorflow.errors import DefinitionError
from actorflow.tasks.compensation import UNDO_RETRY, Compensation, compensation_of
from actorflow.tasks.current import CURRENT_BODY, STRAY, StepStarter, warn_stray
from actorflow.tasks.options import NAMES, PLAIN, JobKeywords, check_seconds, check_text
from actorflow.tasks.retry import ONCE, Retry
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future

P = ParamSpec("P")
R = TypeVar("R")
P2 = ParamSpec("P2")
R2 = TypeVar("R2")
T1 = TypeVar("T1")
T2 = TypeVar("T2")

Raises: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]

# Tasks by name: stored jobs name their tasks, which are only ever looked up here.
TASKS: dict[str, AnyTask] = {}


class KnownTasks:
    """The tasks that one system runs: all that are imported, or those alone that an App was given.

    Attributes:
        only: names of the tasks; None: all that are imported.
    """

    def __init__(self, only: frozenset[str] | None = None) -> None:
        self.only = only
        self._names = ("", 0) if only is None else (json.dumps(sorted(only)), len(only))

    def __contains__(self, name: str) -> bool:
        return name in (TASKS if self.only is None else self.only)

    @property
    def names(self) -> str:
        """Their names, as JSON."""
        names, count = self._names
        if self.only is None and count != len(TASKS):
            count = len(TASKS)
            names = json.dumps(sorted(TASKS))
            self._names = (names, count)
        return names

    def why_not(self, name: str) -> str:
        """Say why a task is not run here, with the cure."""
        if self.only is None or name not in TASKS:
            return "is not known here: import its module, or start a process that does"
        return "was not added to the app here: app.add(it), or start a process that has it"


class AnyTask:
    """The attributes and options that tasks of both kinds have.

    Attributes:
        function: the decorated function.
        name: the name by which it is stored: `module.qualname`, unless it was given another.
        retry: the errors after which it is tried again, and how often.
        timeout: seconds for one attempt.
        cpu: it runs in the system's process pool.
        raises: classes of errors that come back as themselves, as the cause of a JobFailed.
        idempotent: to run it again under its key does nothing more, and returns the same.
        compensation: undoes it in a saga.
        undo: False: there is nothing to undo, so that it needs no compensation.
        is_async: it is an `async def` function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        cpu: bool = False,
        raises: Raises = (),
        idempotent: bool = False,
        undo: Literal[False] | None = None,
    ) -> None:
        check_named(function, name)
        check_type("retry", retry, Retry | None)
        if timeout is not None:
            check_seconds("timeout", timeout, zero=False)
        check_type("cpu", cpu, bool)
        check_type("idempotent", idempotent, bool)
        if undo is not None and undo is not False:
            msg = f"{function.__qualname__}: undo={text_of(undo)}: declare its undo by @task.compensate, or say False"
            raise DefinitionError(msg)
        self.function = function
        self.name = name if name is not None else f"{module_of(function)}.{function.__qualname__}"
        check_text("name", self.name)
        self.retry = retry or ONCE
        self.timeout = timeout
        self.cpu = cpu
        self.idempotent = idempotent
        self.undo = undo
        self.compensation: Compensation | None = None
        self.raises = check_raises(raises)
        self.is_async = inspect.iscoroutinefunction(function)
        if cpu and self.is_async:
            msg = f"{self.name} is async and cpu=True: make CPU-bound work a plain function, and work that waits async"
            raise DefinitionError(msg)
        self.signature = inspect.signature(function)
        self._counts = counts_of(self.signature)
        self.job_options = PLAIN
        functools.update_wrapper(self, function)
        other = TASKS.get(self.name)
        if other is not None and not same_place(other.function, function):
            msg = f"two tasks are named {self.name!r}: give one of them @af.task(name=...)"
            raise DefinitionError(msg)
        TASKS[self.name] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function; in the body of a workflow, run it as the next step."""
        body = CURRENT_BODY.get()
        if STRAY and body is None:
            warn_stray(self.name)
        return self.function(*args, **kwargs) if body is None else body.call(self, args, kwargs)

    def _body(self, call: str) -> StepStarter:
        """Return the body that runs here.

        Raises:
            DefinitionError: none does.
        """
        body = CURRENT_BODY.get()
        if body is None:
            msg = (
                f"{self.name}.{call} is for the body of a workflow, where it begins a step: elsewhere call the task, "
                "or give it to a queue, system.queue(...).enqueue(task, ...)"
            )
            raise DefinitionError(msg)
        return body

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return find_task, (self.name, self.function)

    def options(self, **options: Unpack[JobKeywords]) -> Self:
        """Return the task with options for one job: `jobs.enqueue(shrink.options(priority=1), "a.jpg")`.

        `JobOptions` lists them all.

        Raises:
            DefinitionError: an unknown option (the nearest known one is named), or a value that makes no sense.
        """
        task = object.__new__(type(self))  # not copy.copy: a task pickles as its name, so that gives the task itself
        task.__dict__.update(self.__dict__)
        task.job_options = self.job_options.replace(**options)
        retry = task.job_options.retry
        if retry is not None and retry.on not in {Exception, self.retry.on}:
            msg = (
                f"{self.name}.options(retry=Retry(on={retry.on!r})): after which errors a task is tried again is not "
                "stored with a job: give it to the task, @af.task(retry=af.Retry(on=...))"
            )
            raise DefinitionError(msg)
        return task

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise a DefinitionError if the function does not take these arguments."""
        if not kwargs and len(args) in self._counts:
            return  # a tenth of the time of `bind`
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as mismatch:
            msg = f"{self.name}{self.signature}: {mismatch}{options_among(kwargs, self.signature)}"
            raise DefinitionError(msg) from mismatch


class CallableTask(AnyTask, Generic[P, R]):
    """The calls that tasks of both kinds have in the body of a workflow; R is the type of a step's result."""

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Begin a step in the body of a workflow, beside those that run; the future has its result.

        Raises:
            DefinitionError: called outside of a body, or with arguments that do not fit.
            PayloadError: an argument cannot be stored.
        """
        return self._body("submit()").submit(self, args, kwargs)

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
        """Declare the function that undoes a step of this task in a saga, and make it a task.

        Its first parameter gets the result of the step. One declared as `step: af.Step` gets the step, and then the
        function is called also for a step that may have acted, or not. Other parameters get the arguments of the step
        that have their names.

        Args:
            undo: a function, plain or async, or a task.
            options: of the task that is made of it; without a retry, it is tried 10 times, over about two minutes.

        Raises:
            DefinitionError: its parameters do not fit the step, or the task has a compensation.
        """
        return declare_compensation(self, undo, options)


class Task(CallableTask[P, R]):
    """A task of a plain function; calling it calls the function, and in the body of a workflow runs a step."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function; in the body of a workflow, run it as the next step."""
        body = CURRENT_BODY.get()
        if STRAY and body is None:
            warn_stray(self.name)
        return self.function(*args, **kwargs) if body is None else body.call(self, args, kwargs)  # type: ignore[no-any-return]

    # Not `self: Task[[T1], T2]`: mypy compares ParamSpecs invariantly, and a named parameter is no `[T1]`.
    def map(
        self: Callable[[T1], T2],  # pyright: ignore[reportGeneralTypeIssues]
        items: Iterable[T1],
        /,
        *,
        limit: int | None = None,
    ) -> Future[list[T2]]:
        """Begin a step for each item in the body of a workflow, at most `limit` at once.

        The future has the results in the order of the items; the first error ends it.

        Raises:
            DefinitionError: called outside of a body, or with a limit below 1.
            PayloadError: an item cannot be stored.
        """
        return map_steps(self, items, limit)


class AsyncTask(CallableTask[P, R]):
    """A task of an `async def` function; calling it calls the function, and in the body of a workflow makes a step."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the plain function; in the body of a workflow, return a coroutine that runs the next step."""
        body = CURRENT_BODY.get()
        if STRAY and body is None:
            warn_stray(self.name)
        return self.function(*args, **kwargs) if body is None else body.call(self, args, kwargs)  # type: ignore[no-any-return]

    def map(
        self: Callable[[T1], Coroutine[Any, Any, T2]],  # pyright: ignore[reportGeneralTypeIssues]
        items: Iterable[T1],
        /,
        *,
        limit: int | None = None,
    ) -> Future[list[T2]]:
        """Begin a step for each item, as of a plain task."""
        return map_steps(self, items, limit)


def declare_compensation(step: Any, undo: Any, options: dict[str, Any]) -> Any:
    """Have a function undo a step of a saga, and return it as a task; without one, a decorator that does so.

    Raises:
        DefinitionError: it does not fit, or the step has a compensation.
    """
    if getattr(step, "undo", None) is False:
        msg = f"{step.name} says undo=False, that there is nothing to undo: leave that out, or the compensation"
        raise DefinitionError(msg)
    if undo is None:
        return lambda function: declare_compensation(step, function, options)
    given = {key: one for key, one in options.items() if one is not None and one != ()}
    if isinstance(undo, AnyTask) and given:
        msg = f"{step.name}.compensate({undo.name}): a task has options of its own: give it {', '.join(given)}"
        raise DefinitionError(msg)
    task = undo if isinstance(undo, AnyTask) else _make(undo, {"retry": UNDO_RETRY, **given})
    found, other = compensation_of(step, task), step.compensation
    if other is not None and not same_place(other.task.function, task.function):
        msg = f"{step.name} is undone by {other.task.name} already, and {task.name} would undo it, too"
        raise DefinitionError(msg)
    step.compensation = found
    return task


def map_steps(task: Any, items: Iterable[Any], limit: int | None) -> Future[list[Any]]:
    """Begin a step for each item in the body that runs here.

    Raises:
        DefinitionError: none runs, or a limit that makes no sense.
    """
    check_type("limit", limit, int | None)
    if limit is not None and limit < 1:
        msg = f"limit={limit}: at least 1 step at once"
        raise DefinitionError(msg)
    body: StepStarter = task._body("map()")
    if not isinstance(items, Iterable):
        msg = f"{task.name}.map({text_of(items)}): give the items, such as a list"
        raise DefinitionError(msg)
    return body.map(task, items, limit)


class TaskMaker(Protocol):
    """The decorator that `af.task(...)` returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    cpu: bool = False,
    raises: Raises = (),
    idempotent: bool = False,
    undo: Literal[False] | None = None,
) -> TaskMaker: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task, which queues and workflows run. Called directly, it is still the plain function.

    Args:
        function: plain or `async def`.
        name: the name by which it is stored, if not `module.qualname`: then it may be moved and renamed.
        retry: how often it is tried again after an error; without it, never.
        timeout: seconds for one attempt, from its start.
        cpu: run it in the system's process pool: it computes, and a timeout or a cancel can kill it.
        raises: classes of errors, or one: an error that ends a job is stored as name, text and arguments, and only
            builtin ones and those named here come back as themselves, as the cause of a JobFailed.
        idempotent: to run it again under its key, `af.current().key`, does nothing more, and returns the same: a saga
            may do so to learn the result of a step that may have acted.
        undo: False says that there is nothing to undo in a saga, since it only reads: `actorflow check` misses no
            compensation.

    >>> @task(retry=Retry(3), timeout=20)
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> double(4), double.retry.attempts
    (8, 3)

    Raises:
        DefinitionError: options that make no sense, or a name that another task has.
    """
    if function is not None:
        return _make(function, {})
    return lambda decorated: _make(decorated, options)


def _make(function: Callable[..., Any], options: dict[str, Any]) -> AnyTask:
    kind: type[AnyTask] = AsyncTask if inspect.iscoroutinefunction(function) else Task
    return kind(function, **options)


def counts_of(signature: inspect.Signature) -> range:
    """Return how many positional arguments a function takes; none if it must have others."""
    least = most = 0
    for parameter in signature.parameters.values():
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            most += 1
            least += parameter.default is parameter.empty
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            return range(0)
    return range(least, most + 1)


def options_among(kwargs: dict[str, Any], signature: inspect.Signature) -> str:
    """Return the cure, if options of a job were given as arguments of its task."""
    options = [
        f"{name}={text_of(kwargs[name], 40)}" for name in kwargs if name in NAMES and name not in signature.parameters
    ]
    return f"; options of a job go to its task: enqueue(task.options({', '.join(options)}), ...)" if options else ""


def find_task(name: str, function: Callable[..., Any]) -> AnyTask:
    """Return a pickled task: the one of that name, if this process has it."""
    return TASKS.get(name) or _make(function, {"name": name})


def check_named(function: Any, name: str | None, kind: str = "task") -> None:
    """Refuse a function that cannot be found by name again, as a task or a workflow."""
    if not callable(function) or isinstance(function, type) or not hasattr(function, "__qualname__"):
        msg = f"@{kind} on {text_of(function)}: decorate a function"
        raise DefinitionError(msg)
    if name is None and ("<lambda>" in function.__qualname__):
        msg = f"@{kind} on a lambda: name the {kind}, @af.{kind}(name=...)"
        raise DefinitionError(msg)


def check_raises(raises: Any) -> tuple[type[BaseException], ...]:
    """Return the declared classes of errors as a tuple."""
    kinds = raises if isinstance(raises, tuple) else (raises,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            msg = f"raises={text_of(raises)}: a class of errors, or a tuple of them"
            raise DefinitionError(msg)
    return kinds


def declared_errors() -> tuple[type[BaseException], ...]:
    """Return the classes of errors that the tasks known here declare."""
    return tuple(kind for task in list(TASKS.values()) for kind in task.raises)


def same_place(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Say whether two functions come from the same lines: a module that is loaded again, or a notebook cell."""
    return module_of(one) == module_of(other) and one.__qualname__ == other.__qualname__
