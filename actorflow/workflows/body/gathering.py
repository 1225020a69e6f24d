"""Gathering: several futures of steps as one."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError, PayloadError, RunCancelled

if TYPE_CHECKING:
    from actorflow.workflows.body.run_loop import RunLoop

T = TypeVar("T")


class BodyFuture(Future[Any]):
    """A future that the body of a workflow sets, by itself or as it hears of a record: its code may wait for it.

    As with futures of asyncio, it is cancelled with the code that awaits it, unless `asyncio.shield` is between.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait in a task of the body's asyncio loop."""
        if not self._done:
            execution = CURRENT.get()
            loop: RunLoop | None = getattr(execution, "loop", None)
            if loop is None:
                return (yield from super().__await__())
            waiter = Waiter(loop)
            self._wakes.append(waiter)
            try:
                yield waiter
            except asyncio.CancelledError as error:  # if the code that awaits is cancelled, so is the future
                self._drop(error)
                raise
            finally:
                if not self._done:
                    self._drop_waiter(waiter)
        return self._value if self._error is None else self.get()

    __iter__ = __await__

    def _drop(self, error: BaseException) -> None:
        """End with the error of the code that awaited it."""
        self._settle(None, error)


class Waiter:
    """The wait of one asyncio task for a future of its body, in the form that asyncio knows futures by.

    It is also the handle by which the loop has the task go on. With a future of asyncio's own in its place, an await
    takes two objects and eight calls more.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_loop", "_message", "is_cancelled", "is_woken")

    _callback: Callable[[Any], object]
    _context: contextvars.Context
    _cancelled = False  # as a handle: it always runs

    def __init__(self, loop: RunLoop) -> None:
        self._asyncio_future_blocking = True
        self._loop = loop
        self.is_cancelled = self.is_woken = False

    def add_done_callback(self, callback: Callable[[Any], object], *, context: contextvars.Context) -> None:
        """Have the task called once the wait is over."""
        self._callback = callback
        self._context = context

    def __call__(self) -> None:
        """End the wait: the future is set."""
        if not self.is_woken:
            self.is_woken = True
            self._loop.ready.append(self)

    def cancel(self, msg: object = None) -> bool:
        """End the wait with CancelledError, as the task is cancelled; False if it is over."""
        if self.is_woken:
            return False
        self.is_cancelled = True
        self._message = msg
        self()
        return True

    def result(self) -> None:
        """Raise CancelledError if the wait was cancelled; the task calls it."""
        if self.is_cancelled:
            raise asyncio.CancelledError if self._message is None else asyncio.CancelledError(self._message)

    def _run(self) -> None:
        self._context.run(self._callback, self)


class Gathered(BodyFuture):
    """A future of the results of several steps, in their order; the first error that is heard ends it.

    It is set when the last of them is, so in a body it counts as a step.
    """

    __slots__ = ("_futures", "_left", "_makes")

    def __init__(
        self, futures: Iterable[Future[Any]], makes: Callable[[list[Any]], Any] = list, *, later: int = 0
    ) -> None:
        """Gather futures, and so many that are added later."""
        super().__init__()
        self._futures: list[Future[Any]] = []
        self._makes = makes
        futures = [*futures]
        self._left = len(futures) + later
        for future in futures:
            self.add(future)
        if not self._left and not futures:
            self._end()

    def add(self, future: Future[Any], then: Callable[[], object] = lambda: None) -> None:
        """Wait for one of those that are expected, and call a function when it is there."""
        self._futures.append(future)
        future._heard = True
        future._when_done(partial(self._heard_of, future, then))

    def _drop(self, error: BaseException) -> None:
        """End with the error of the code that awaited it, and have those that are not over end."""
        if self._settle(None, error):
            for future in self._futures:
                if isinstance(future, BodyFuture):
                    future._drop(error)

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self._settle(None, error)

    def _heard_of(self, future: Future[Any], then: Callable[[], object]) -> None:
        self._left -= 1
        if future._error is not None:
            self._settle(None, future._error)
            return
        then()
        if not self._left:
            self._end()

    def _end(self) -> None:
        self._settle(self._makes([future._value for future in self._futures]), None)


def map_limited(
    items: Iterable[Any], limit: int | None, child: Callable[[], T], begin: Callable[[T, Any], Future[Any]]
) -> Future[list[Any]]:
    """Begin a step for each item, so many at once, each in a branch of its own; the future has all results in order."""
    todo = deque(items)
    if limit is None or limit >= len(todo):
        return Gathered([begin(child(), item) for item in todo])
    gathered = Gathered([], later=len(todo))
    waiting = deque((child(), item) for item in todo)

    def begin_next() -> None:
        if waiting and not gathered.done():
            try:
                future = begin(*waiting.popleft())
            except (DefinitionError, PayloadError, RunCancelled) as error:  # of the map: the code may wait for another
                gathered.fail(error)
            else:
                gathered.add(future, begin_next)

    for _ in range(limit):
        begin_next()
    return gathered
