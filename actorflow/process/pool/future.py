"""Pool futures: one object that is an actorflow future and a `concurrent.futures.Future`.

Half of the time of the standard library's process pool goes into its future: a condition, and so two locks, for each.
Here a future costs no more than others of actorflow. The condition and the list of waiters, which the standard
library's `wait` and `as_completed` touch, exist only once they asked for them.
"""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from concurrent.futures import CancelledError, InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

from actorflow.core.atomic import forkable_lock
from actorflow.core.futures.future import Future

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_logger = logging.getLogger("concurrent.futures")
_creation = forkable_lock()


class PoolFuture(Future[T], concurrent.futures.Future[T]):
    """The result of a task: a future of `concurrent.futures`, and of actorflow as well.

    So `result()`, `as_completed` and `asyncio.wrap_future` work, and `get()`, `map()`, `await` in a handler and
    `ctx.pipe` do too. `cancel()` also ends a task that runs: its process is killed and replaced.

    >>> future = PoolFuture()
    >>> future.set_result(21)
    >>> future.result(timeout=1), future.map(lambda n: n * 2).get()
    (21, 42)
    """

    __slots__ = ()

    _is_real = True

    _revoked: CancelledError | None = None  # the error of a cancelled one
    _twin: _Twin | None = None  # the standard library's view; made at its first look

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled() else "done" if self._done else "pending"
        return f"<actorflow.PoolFuture {state}>"

    # --- for users ---------------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Return the result, or raise the error; wait for it at most `timeout` seconds (None: as long as it takes).

        Raises:
            TimeoutError: it did not come in time; the task goes on.
            CancelledError: the task was cancelled.
            HostDied: its process died, and it may have run.
            TaskTimeout: it took longer than the `timeout` of its pool's options.
        """
        return self.get(timeout=timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error, or None if there was none; wait for it as `result` does.

        Raises:
            TimeoutError: the task is not done in time.
            CancelledError: it was cancelled.
        """
        if not self._done:
            self._wait(timeout)
        if self.cancelled():
            raise CancelledError
        return self._error

    def cancel(self) -> bool:
        """Cancel the task; also one that runs, by killing its process. False if it is done already."""
        error = self.__dict__.setdefault("_revoked", CancelledError())
        if self._settle(None, error):
            self._withdraw()
        elif not self._done:  # another thread is just setting it
            lock = threading.Lock()
            lock.acquire()
            if self._add_waiter(lock.release):
                lock.acquire(timeout=1.0)
        return self.cancelled()

    def cancelled(self) -> bool:
        """Say whether the task was cancelled."""
        return self._done and self._error is not None and self._error is self._revoked

    def running(self) -> bool:
        """Say whether a worker has begun it and not ended it."""
        return False

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], Any]) -> None:
        """Have `fn(future)` called once the future is done, by the thread that sets it; at once if it is done.

        Errors of the function are logged. Waits for the future are woken before.
        """
        callback = _Callback(fn, self)
        if not super()._add_waiter(callback):
            callback()

    def _add_waiter(self, wake: Callable[[], Any]) -> bool:
        """Have `wake` called once the future is done, ahead of the callbacks of users, which may take their time."""
        self._wakes.insert(0, wake)
        if not self._done:
            return True
        return not self._drop_waiter(wake)  # else the setter took it and calls it

    def _withdraw(self) -> None:
        """Undo the bookkeeping for a task that is cancelled now."""

    # --- for executors -----------------------------------------------------------------------------------------------

    def set_running_or_notify_cancel(self) -> bool:
        """Say whether the task may begin."""
        if self._done and not self.cancelled():
            msg = f"{self!r} is done"
            raise InvalidStateError(msg)
        return not self._done

    def set_result(self, result: T) -> None:
        """Set the result.

        Raises:
            InvalidStateError: it is done already.
        """
        if not self._settle(result, None):
            raise InvalidStateError(f"{self!r} is done")

    def set_exception(self, exception: BaseException | None) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Set the error, as `concurrent.futures` does.

        Raises:
            InvalidStateError: it is done already.
        """
        if not self._settle(None, exception):
            raise InvalidStateError(f"{self!r} is done")

    # --- for the standard library's functions ------------------------------------------------------------------------

    def _twin_of(self) -> _Twin:
        if self._twin is None:
            with _creation:
                if self._twin is not None:
                    return self._twin
                self._twin = _Twin(self)
            if not self._add_waiter(self._twin.announce):
                self._twin.announce()
        return self._twin

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._twin_of().condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._twin_of().waiters

    @property
    def _state(self) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        twin = self._twin
        done = self._done if twin is None else twin.announced
        return ("CANCELLED_AND_NOTIFIED" if self.cancelled() else "FINISHED") if done else "PENDING"

    @property
    def _result(self) -> T | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._value if self._done else None

    @property
    def _exception(self) -> BaseException | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._error if self._done else None


class _Twin:
    """The condition and the waiters that `wait` and `as_completed` use.

    They hold the condition while they count the futures that are done, so in their eyes none may become done meanwhile:
    they see it only when `announce` has had the condition. That it comes is the promise of `Future._add_waiter`.
    """

    __slots__ = ("announced", "condition", "future", "waiters")

    def __init__(self, future: PoolFuture[Any]) -> None:
        self.condition = threading.Condition()
        self.waiters: list[Any] = []
        self.announced = False
        self.future = future

    def announce(self) -> None:
        """Tell the waiters that the future is done."""
        future = self.future
        with self.condition:
            self.announced = True
            for waiter in self.waiters:
                if future.cancelled():
                    waiter.add_cancelled(future)
                elif future._error is not None:
                    waiter.add_exception(future)
                else:
                    waiter.add_result(future)
            self.condition.notify_all()


class _Callback:
    __slots__ = ("fn", "future")

    def __init__(self, fn: Callable[[Any], Any], future: PoolFuture[Any]) -> None:
        self.fn = fn
        self.future = future

    def __call__(self) -> None:
        try:
            self.fn(self.future)
        except BaseException as error:  # SystemExit, say: it is the callback's, and the thread has others to call
            _logger.exception("exception calling callback for %r", self.future)
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
