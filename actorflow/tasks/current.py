"""Current: the running task's view of its own attempt."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakKeyDictionary

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.core.futures.future import Future
    from actorflow.store.transaction import Work
    from actorflow.tasks.cause import Cause
    from actorflow.tasks.task import AnyTask


class TaskSource(Protocol):
    """The run whose nodes are called one after the other: a task that asks gets its view made, the others pay less."""

    def current_of(self, i: int, /) -> Current:
        """Return the view of a node's task."""
        ...


CURRENT_TASK: ContextVar[Current | tuple[TaskSource, int] | None] = ContextVar("actorflow.task", default=None)


class StepStarter:
    """Code whose calls of tasks are steps: the body of a workflow, which `CURRENT_BODY` has where it runs."""

    __slots__ = ()

    def call(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task as the next step, and return its value."""
        raise NotImplementedError

    def submit(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Begin a task as a step beside others."""
        raise NotImplementedError

    def map(self, task: AnyTask, items: Iterable[Any], limit: int | None) -> Future[list[Any]]:
        """Begin a task for each item, so many at once."""
        raise NotImplementedError


CURRENT_BODY: ContextVar[StepStarter | None] = ContextVar("actorflow.body", default=None)

# Threads that code of a body has started, and the run: tasks that are called there are no steps of it.
STRAY: Final[WeakKeyDictionary[threading.Thread, str]] = WeakKeyDictionary()


def watch_threads() -> None:
    """Have threads noted that code of bodies and of their steps starts from now on: context variables do not tell."""
    plain = threading.Thread.start
    if getattr(plain, "notes_bodies", False):
        return

    @functools.wraps(plain)
    def start(self: threading.Thread) -> None:
        body = CURRENT_BODY.get()
        if body is not None:
            STRAY[self] = str(body)
        task = CURRENT_TASK.get()
        if isinstance(task, tuple):  # a plain one; executors of async ones keep their threads
            note = getattr(getattr(task[0], "owner", None), "note_thread", None)  # a step has it
            if note is not None:
                note(self)
        plain(self)

    start.notes_bodies = True  # type: ignore[attr-defined]
    threading.Thread.start = start  # type: ignore[method-assign]


def warn_stray(task: str) -> None:
    """Log that a task is called in a thread that code of a body has started, once a thread."""
    if CURRENT.get() is not None:  # a thread of the runtime, which a body was the first to need
        return
    run = STRAY.pop(threading.current_thread(), None)
    if run is not None:
        logger.error(
            "%s is called in a thread that the body of %s has started: it is no step there, is not recorded, and runs "
            "again in each replay. Begin steps beside each other by task.submit(...) or af.branch(...) in the body",
            task,
            run,
        )


class Current:
    """The attempt that runs: `af.current()` inside of a task.

    Attributes:
        key: the same for each attempt of one job, and no other's of its store: hand it to services that know
            idempotency keys. Another store has the same keys, such as "job-1": a service that hears of several stores
            needs a word for the store in front of it.
        attempt: counts from 1.
    """

    __slots__ = ("_also", "_arguments", "_cause", "_is_cancelled", "_open", "_report", "_wait_for", "attempt", "key")

    def __init__(
        self,
        key: str,
        attempt: int,
        report: Callable[[Any, Any], None],
        is_cancelled: Callable[[], bool],
        open_transaction: Callable[[], AbstractContextManager[Any]] | None = None,
        wait_for: Callable[[int | None], None] | None = None,
        cause: Cause | None = None,
        also: Callable[[Work], None] | None = None,
        arguments: Callable[[], tuple[Sequence[Any], dict[str, Any]]] | None = None,
    ) -> None:
        self.key = key
        self.attempt = attempt
        self._report = report
        self._is_cancelled = is_cancelled
        self._open = open_transaction
        self._wait_for = wait_for
        self._cause = cause
        self._also = also
        self._arguments = arguments

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants it to end; look at it in long loops."""
        return self._is_cancelled()

    def progress(self, done: float, total: float | None = None) -> None:
        """Say how far it is; listeners and `job.info().progress` show it."""
        self._report(done, total)

    def transaction(self) -> AbstractContextManager[Any]:
        """Write to the store's database, and have that committed together with the result: exactly once.

        `with af.current().transaction() as conn:` gives the database connection. Nothing is committed at the end of the
        block, but when the task returns; if the block or the task raises, all is undone. Until then nobody else can
        write to a SQLite store: make it the last thing that the task does. Jobs that are enqueued in the block are part
        of it.

        Raises:
            DefinitionError: a cpu or async task, which has no connection, or a second one in the same task.
        """
        if self._open is None:
            msg = (
                "af.current().transaction() is for plain tasks of a queue: a cpu=True task runs in a process without a "
                "connection, an async one shares its thread; return the data, and have a plain task write it"
            )
            raise DefinitionError(msg)
        return self._open()


def current() -> Current:
    """Return the running task's view of its own attempt.

    >>> import actorflow as af
    >>> @af.task
    ... def number() -> int:
    ...     return af.current().attempt
    >>> with af.ActorSystem("demo") as system:
    ...     system.queue("numbers", workers=1).enqueue(number).result(timeout=10)
    1

    Raises:
        DefinitionError: called outside of a task.
    """
    found = find_current()
    if found is None:
        msg = (
            "af.current() is for tasks that a queue or a workflow runs: an actor that is to write to the database has "
            "a plain task of a queue do it, or keeps the data in the state of a durable actor"
        )
        raise DefinitionError(msg)
    return found


def find_current() -> Current | None:
    """Return the running task's view of its own attempt; None outside of a task."""
    found = CURRENT_TASK.get()
    return found[0].current_of(found[1]) if isinstance(found, tuple) else found
