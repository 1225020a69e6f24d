"""In place: a pool inside one of its own tasks, where it runs tasks in the same process."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorflow.process.pool.options import TaskKeywords

T = TypeVar("T")


class InPlace(concurrent.futures.Executor):
    """An executor that runs each call at once, in the process and thread that submits it.

    A pool that is sent to a worker becomes this: a task that waits for tasks of its own pool could otherwise wait for
    ever, when all workers do so.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[T]:
        """Run the call; the future is done."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is the task's
            future.set_exception(error)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        progress: Callable[[int, int], object] | None = None,
        **_: Any,
    ) -> Iterator[T]:
        """Run all calls; results come in order."""
        calls = list(zip(*iterables, strict=False))
        results = []
        for done, args in enumerate(calls, 1):
            results.append(fn(*args))
            if progress is not None:
                progress(done, len(calls))
        return iter(results)

    def options(self, **_options: Unpack[TaskKeywords]) -> Self:
        """Return itself: limits are the outer task's."""
        return self
