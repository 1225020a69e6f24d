"""Calls: the functions for bodies beside tasks: waits, signals, gatherings, their own time and chance."""

from __future__ import annotations

import datetime as dt
import inspect
import random as _random
import uuid as _uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, overload

from actorflow.core.actors.traits import check_type
from actorflow.core.futures.future import Future
from actorflow.errors import DefinitionError
from actorflow.store.codec import check_size
from actorflow.store.error_json import name_of_class
from actorflow.tasks.options import check_seconds, check_text
from actorflow.text import text_of
from actorflow.workflows.body.body_execution import ContinuedAsNew
from actorflow.workflows.body.branch import Branch, current_branch
from actorflow.workflows.body.child_step import arguments_of_run
from actorflow.workflows.body.gathering import BodyFuture, Gathered
from actorflow.workflows.body.timed_steps import SignalStep

if TYPE_CHECKING:
    from actorflow.workflows.body.body import Body

P = ParamSpec("P")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


def branch_of(call: str) -> Branch:
    """Return the branch of the body that runs here.

    Raises:
        DefinitionError: none does.
    """
    branch = current_branch()
    if branch is None:
        msg = f"af.{call} is for the body of a workflow, and none runs here"
        raise DefinitionError(msg)
    branch.body.check()
    return branch


def blocking(call: str, cure: str) -> Branch:
    """Return the branch of the plain body that runs here.

    Raises:
        DefinitionError: none does, or it is async.
    """
    branch = branch_of(call)
    if branch.body.is_async:
        msg = f"af.{call} would block the other branches of an async workflow: {cure}"
        raise DefinitionError(msg)
    return branch


# --- futures ----------------------------------------------------------------------------------------------------------


@overload
def gather(f1: Future[T1], /) -> Future[tuple[T1]]: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def gather(f1: Future[T1], f2: Future[T2], /) -> Future[tuple[T1, T2]]: ...
@overload
def gather(f1: Future[T1], f2: Future[T2], f3: Future[T3], /) -> Future[tuple[T1, T2, T3]]: ...
@overload
def gather(f1: Future[T1], f2: Future[T2], f3: Future[T3], f4: Future[T4], /) -> Future[tuple[T1, T2, T3, T4]]: ...
@overload
def gather(
    f1: Future[T1], f2: Future[T2], f3: Future[T3], f4: Future[T4], f5: Future[T5], /
) -> Future[tuple[T1, T2, T3, T4, T5]]: ...
@overload
def gather(futures: Iterable[Future[T]], /) -> Future[list[T]]: ...
@overload
def gather(*futures: Future[T]) -> Future[list[T]]: ...
def gather(*futures: Any) -> Future[Any]:
    """Return one future of the results of several, in their order; the first error that is heard of ends it.

    `af.gather(a, b)` gives a tuple, and `af.gather(futures)` a list. The others go on after an error.

    Raises:
        DefinitionError: something given is no future.
    """
    is_list = len(futures) == 1 and not isinstance(futures[0], Future) and isinstance(futures[0], Iterable)
    given = check_futures("gather", futures[0] if is_list else futures)
    return Gathered(given, list if is_list or len(given) > 5 else tuple)


def check_futures(call: str, given: Iterable[Any]) -> list[Any]:
    """Return the futures that were given as a list.

    Raises:
        DefinitionError: something given is no future.
    """
    futures = [*given] if isinstance(given, Iterable) else [given]
    for future in futures:
        if not isinstance(future, Future):
            msg = f"af.{call}({text_of(future)}): give futures, such as task.submit(...)"
            raise DefinitionError(msg)
    return futures


@overload
def signal(kind: type[T], /, *, timeout: float) -> Future[T | None]: ...
@overload
def signal(kind: type[T], /) -> Future[T]: ...
def signal(kind: type[Any], /, *, timeout: float | None = None) -> Future[Any]:
    """Return a future of the next signal of a class; with a timeout, None if none has come by then."""
    return begin_wait(branch_of("signal()").child(), kind, timeout)


def begin_wait(branch: Branch, kind: type[Any], timeout: float | None) -> Future[Any]:
    """Begin a wait for a signal as the next step of a branch."""
    try:
        is_class = isinstance(kind, type)
        isinstance(None, kind)  # a protocol may refuse that
    except TypeError:
        is_class = False
    if not is_class:
        msg = f"a wait for {text_of(kind)}: give the class of the signal, one that isinstance() takes"
        raise DefinitionError(msg)
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    identity, start = branch.next(f"signal {name_of_class(kind)}")
    return branch.body.begin(SignalStep(branch.body, identity, start, kind, timeout))


# --- blocking forms ---------------------------------------------------------------------------------------------------


def sleep(seconds: float, /) -> None:
    """Let so many seconds pass in the body of a plain workflow, also if its process dies meanwhile.

    Raises:
        DefinitionError: the workflow is async: `await af.timer(seconds)`.
    """
    check_seconds("sleep", seconds, zero=True)
    branch = blocking("sleep()", "await af.timer(seconds)")
    branch.body.begin_timer(branch, seconds).get()


@overload
def wait(kind: type[T], /, *, timeout: float) -> T | None: ...
@overload
def wait(kind: type[T], /) -> T: ...
def wait(kind: type[Any], /, *, timeout: float | None = None) -> Any:
    """Wait for the next signal of a class in the body of a plain workflow; with a timeout, None if none has come.

    Raises:
        DefinitionError: the workflow is async: `await af.signal(Class)`.
    """
    return begin_wait(blocking("wait()", "await af.signal(Class)"), kind, timeout).get()


def as_completed(futures: Iterable[Future[T]], /) -> Iterator[Future[T]]:
    """Go through futures in the order in which the body of a plain workflow hears of their ends, the first n, or all.

    `itertools.islice(af.as_completed(futures), 2)` are the first two; the others go on.

    Raises:
        DefinitionError: the workflow is async (`asyncio.wait` is the way there), or something given is no future.
    """
    branch = blocking("as_completed()", "await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)")
    return _in_order(branch.body, check_futures("as_completed", futures))


def _in_order(body: Body, futures: list[Future[T]]) -> Iterator[Future[T]]:
    over: deque[Future[T]] = deque()
    news: list[BodyFuture] = []

    def heard(future: Future[T]) -> None:
        over.append(future)
        if news:
            news.pop()._settle(None, None)

    for future in futures:
        if not future._add_waiter(partial(heard, future)):
            over.append(future)
    for _ in futures:
        while not over:
            body.check()
            news[:] = [BodyFuture()]
            news[0].get()
        yield over.popleft()


# --- versions and turns -----------------------------------------------------------------------------------------------


def patched(name: str, /) -> bool:
    """Say whether the body may take the new path of a change to its code: not if its records were made without it.

    `if af.patched("two-couriers"):` is true in runs that come there for the first time, and in each replay of these; a
    run that has records of the old path takes that.

    Raises:
        DefinitionError: called outside of a body, or a name that is no text.
    """
    if not isinstance(name, str) or not name:
        msg = f"af.patched({text_of(name)}): give the change a name"
        raise DefinitionError(msg)
    check_text("name", name)
    return branch_of("patched()").patched(name)


def continue_as_new(*args: Any, **kwargs: Any) -> NoReturn:
    """End the journal of the run here, and begin the run anew under the same id with other arguments, in one commit.

    So a workflow that goes on for ever has a journal that does not. Signals that it has not taken are kept; its
    children and branches are ended, as at the end of a run.

    Raises:
        DefinitionError: called outside of a body, or in a branch, or the workflow does not take these arguments.
        PayloadError: an argument cannot be stored.
    """
    here = branch_of("continue_as_new()")
    body = here.body
    if here is not body.trunk:
        msg = (
            "af.continue_as_new() in a branch or a task of asyncio would end the others: call it in the function itself"
        )
        raise DefinitionError(msg)
    if body.saga is not None:
        msg = "af.continue_as_new() would forget the steps of a saga that are to be undone: start another run of it"
        raise DefinitionError(msg)
    given = arguments_of_run(body.workflow, args, kwargs)
    check_size(given, f"the arguments of {body.workflow.name}", body.node.site.payload_limit)
    raise ContinuedAsNew(given)


# --- branches ---------------------------------------------------------------------------------------------------------


@overload
def branch(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def branch(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
def branch(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Have a function of several steps run as a branch, beside the code that begins it; the future has its result.

    One of the branches goes on at a time, until it waits, so they may share objects. The run ends when all have ended;
    if its function fails, or it is cancelled, they are cancelled.

    Raises:
        DefinitionError: called outside of a body, or an async function in a plain body, or a plain one in an async one.
    """
    if not callable(function):
        msg = f"af.branch({text_of(function)}): give a function, and its arguments"
        raise DefinitionError(msg)
    parent = branch_of("branch()")
    return parent.body.begin_branch(parent, function, args, kwargs)


# --- time and chance --------------------------------------------------------------------------------------------------


def now() -> dt.datetime:
    """Return the time of the last record that the body has heard of, in UTC: the same in each replay."""
    return dt.datetime.fromtimestamp(branch_of("now()").body.now, dt.UTC)


def random() -> _random.Random:
    """Return random numbers that are the same in each replay: a new stream at each call."""
    branch = branch_of("random()")
    return _random.Random(seed_of(branch.body, branch, "random"))


def uuid() -> _uuid.UUID:
    """Return a new UUID that is the same in each replay."""
    branch = branch_of("uuid()")
    return _uuid.UUID(int=_random.Random(seed_of(branch.body, branch, "uuid")).getrandbits(128), version=4)


# --- looks from outside -----------------------------------------------------------------------------------------------


def expose(name: str, look: Callable[[], Any], /) -> None:
    """Have `run.query(name)` call a function that reads variables of the body, such as how far it is.

    It is called while the body waits, by another thread than the body's. It may neither begin steps nor send nor wait,
    and its value is stored as a result of a step is. A second one of that name takes its place.

    Raises:
        DefinitionError: called outside of a body; or it is no plain function.
    """
    branch = branch_of("expose()")
    check_type("name", name, str)
    check_text("name", name)
    if not callable(look) or inspect.iscoroutinefunction(look):
        msg = f"af.expose({name!r}, {text_of(look)}): give a plain function without arguments, such as lambda: done"
        raise DefinitionError(msg)
    branch.body.exposed[name] = look


def seed_of(body: Body, branch: Branch, what: str) -> str:
    """Return the seed of a draw: the run, the branch, and how many draws of its kind were made there."""
    run = body.run
    seed = run.seed or f"{run.name} {run.created}"
    if run.turn:
        seed = f"{seed} {run.turn}"
    return f"{seed} {branch.path} {what} {branch.count(what)}"
