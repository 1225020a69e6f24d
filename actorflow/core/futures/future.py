"""Future: the answer that is still to come.

A pykka future without a lock: deleting a slot is the atomic claim to set the future, and waiters are callables in a
list. Combinators (`map` and the like) are lazy as in pykka: their function runs once, where the value is first asked
for.
"""

from __future__ import annotations

import functools
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import pykka

from actorflow.core.futures.thread_wait import DRIVERS, now, wait_outside
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.errors import ActorflowError, is_a

if TYPE_CHECKING:
    from pykka._types import OptExcInfo

    from actorflow.core.refs.home import Home
    from actorflow.core.refs.ref import ActorRef

T = TypeVar("T")
J = TypeVar("J")
M = TypeVar("M")
R = TypeVar("R")

CURRENT_GET = CURRENT.get


class Future(pykka.Future[T]):
    """The answer to a request; a `pykka.Future` that can also be awaited without blocking an event loop.

    A future is set once: a second `set` raises `queue.Full`, also when two threads race. `get` may be called by any
    number of threads, any number of times.

    >>> future = Future()
    >>> doubled = future.map(lambda n: n * 2)
    >>> future.set(21)
    >>> doubled.get()
    42
    """

    __slots__ = ("_done", "_error", "_open", "_target", "_value", "_wakes")

    _error: BaseException | None
    _value: Any

    def __init__(self, target: ActorRef[Any] | None = None) -> None:
        self._open = True  # deleted by the one who sets the future: `del` of a slot is atomic and cheap
        self._done = False  # value and error are there from then on
        self._wakes: list[Callable[[], Any]] = []
        self._target = target  # the actor that is to answer, for the search of cycles

    def __repr__(self) -> str:
        return f"<actorflow.Future {'done' if self._done else 'pending'}>"

    def done(self) -> bool:
        """Say whether the value or the error is there, so that `get` would not wait."""
        return self._done

    # --- setting -----------------------------------------------------------------------------------------------------

    def set(self, value: T | None = None) -> None:
        """Set the value and wake the waiters.

        Raises:
            queue.Full: the future was set before, or has a get hook.
        """
        if not self._settle(value, None):
            raise queue.Full

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Set an exception, as a `sys.exc_info()` triple; without one the exception being handled is taken.

        Raises:
            queue.Full: it was set before, or has a get hook.
        """
        kind, error, traceback = exc_info or sys.exc_info()
        if error is None:
            error = kind() if kind is not None else ActorflowError("set_exception() outside of an except block")
        if not self._settle(None, error.with_traceback(traceback)):
            raise queue.Full

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Compute the value by `func(timeout)` at the first `get` (pykka's API; `map` and `join` are the better way).

        Raises:
            queue.Full: it was set before.
        """
        try:
            del self._open
        except AttributeError:
            raise queue.Full from None
        self._get_hook = func

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        """Set value or error and wake the waiters; False if it was set before. Safe from any thread and finaliser."""
        try:
            del self._open
            self._value = value
            self._error = error
            self._done = True
            wakes = self._wakes
            while wakes:
                try:
                    wake = wakes.pop(0)
                except IndexError:  # a waiter that timed out took itself away meanwhile
                    break
                try:
                    wake()
                except BaseException as raised:  # noqa: BLE001 - the others are woken in any case
                    wake_failed(raised)
        except AttributeError:
            return False
        except BaseException:  # a signal: the call is finished, and the waiters that are left are woken
            if not hasattr(self, "_open"):
                self._finish(value, error)
            raise
        return True

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if not self._done:
            self._value, self._error, self._done = value, error, True
        while self._wakes:
            self._wakes.pop(0)()

    # --- waiting -----------------------------------------------------------------------------------------------------

    _get_hook: Callable[[float | None], T] | None = None
    _sources: tuple[pykka.Future[Any], ...] | None = None
    _becomes_unread = False  # True of a subclass without slots of its own: see `unobserved`
    _patient = False  # True: a wait for room, a start or a stop, which `Settings.ask_timeout` does not bound
    _origin: TracebackType | Literal[False] | None = False  # of the error, as it was when it was first got
    _heard = False  # True: somebody has asked for the error, or a future was made of this one: see `unobserved`
    _is_real = False  # True: threads or processes outside of all systems set it, in real time
    _home: Home | None = None  # the virtual system that sets it, where no one actor is to
    _delegated = False  # True: the target promised a Reply, and it is not known which actor answers

    def get(self, *, timeout: float | None = None) -> T:
        """Return the value, or raise the error; wait for it at most `timeout` seconds (None: as long as it takes).

        Inside a handler the wait lets other actors run.

        Raises:
            AskTimeout: no answer came in time.
            DeadlockError: the wait would close a cycle of actors that wait for each other.
            Stopping: the waiting actor is being shut down.
        """
        if not self._done:
            if self._get_hook is not None:
                self._run_hook(timeout)
            else:
                self._wait(timeout)
        error = self._error
        if error is not None:
            self._heard = True
            if self._origin is False:
                self._origin = error.__traceback__
            raise BaseException.with_traceback(error, self._origin)  # each raise adds frames to it, get after get
        return self._value  # type: ignore[no-any-return]

    def _run_hook(self, timeout: float | None) -> None:
        assert self._get_hook is not None
        value = self._get_hook(timeout)
        if not self._done:
            self._value, self._error, self._done = value, None, True

    def _wait(self, timeout: float | None) -> None:
        execution = CURRENT.get()
        if timeout is None:
            timeout = self._ask_timeout
        driver = DRIVERS.get(threading.get_ident()) if DRIVERS else None
        if execution is not None and (driver is None or execution.scheduler.is_virtual or not self._is_virtual):
            execution.wait(self, timeout)
            return  # else a handler of a live system has made a virtual one, and drives it
        if driver is not None:
            driver(self, timeout)
        else:
            wait_outside(self, timeout)

    @property
    def _is_virtual(self) -> bool:
        """Whether an actor of a virtual system is to answer."""
        target = self._target
        return target is not None and target._home.is_virtual

    @property
    def _ask_timeout(self) -> float | None:
        """The seconds that a wait without a timeout of its own may take."""
        target = self._target
        return None if target is None or self._patient else target._home.ask_timeout

    def _add_waiter(self, wake: Callable[[], Any]) -> bool:
        """Have `wake` called once the future is done; False if it is done already and `wake` will not be called."""
        self._wakes.append(wake)
        if not self._done and self._get_hook is None:  # with a hook nobody sets it: who gets it computes it
            return True
        try:
            self._wakes.remove(wake)
        except ValueError:
            return True  # the setter took it and calls it
        return False

    def _when_done(self, act: Callable[[], Any]) -> None:
        """Have `act` called once the future is done; at once if it is done already."""
        if not self._add_waiter(act):
            act()

    def _drop_waiter(self, wake: Callable[[], Any]) -> bool:
        """Take a waiter out; False if the setter has it and calls it."""
        try:
            self._wakes.remove(wake)
        except ValueError:
            return False
        return True

    def _awaited(self) -> Iterable[Future[Any]]:
        """Return the plain futures that this one waits for."""
        return (self,)

    def __reduce__(self) -> tuple[Any, ...]:
        msg = "a future cannot leave its process: send its value, or the ref that gave it"
        raise TypeError(msg)

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait without blocking: in an `async def` handler, and in any asyncio code.

        Raises:
            AskTimeout: no answer came within `Settings.ask_timeout`.
            DeadlockError: the wait would close a cycle of actors that wait for each other.
            Stopping: the waiting actor is being shut down.
        """
        if not self._done:
            execution = CURRENT_GET()
            if execution is not None and execution.suspends and self._sources is None:
                yield self
                if self._done and self._error is None:  # the common case, without a call
                    return self._value
            else:
                yield from self._await_slowly(execution)
        return self.get()

    def _await_slowly(self, execution: Execution | None) -> Generator[Any, Any, None]:
        """Await several futures, or in asyncio code."""
        for future in self._awaited():
            if future._done or future._get_hook is not None:
                continue
            if execution is not None and execution.suspends:
                yield future
            elif execution is None and threading.get_ident() in DRIVERS and future._is_virtual:
                future._wait(None)  # time passes for it while this thread waits, and only then
            else:
                from actorflow.core.futures.asyncio_bridge import bridge  # noqa: PLC0415 - asyncio takes 30 ms to import

                yield from bridge(future, execution)

    __iter__ = __await__

    # --- combinators -------------------------------------------------------------------------------------------------

    def map(self, func: Callable[[T], M]) -> Future[M]:
        """Return a future of `func(value)`; `func` runs once, where the result is first asked for."""
        return Derived((self,), lambda: func(self.get()))

    def filter(self: Future[Iterable[J]], func: Callable[[J], bool]) -> Future[Iterable[J]]:
        """Return a future of the list of items for which `func(item)` is true."""
        return Derived((self,), lambda: list(filter(func, self.get())))

    def join(self: Future[Any], *futures: pykka.Future[Any]) -> Future[Iterable[Any]]:
        """Return a future of the list of all values, this one first."""
        sources = (self, *futures)
        return Derived(sources, lambda: [source.get() for source in sources])

    def reduce(self: Future[Iterable[J]], func: Callable[[R, J], R], *args: R) -> Future[R]:
        """Return a future of `functools.reduce(func, value, *args)`."""
        return Derived((self,), lambda: cast("R", functools.reduce(func, cast("Any", self.get()), *cast("Any", args))))


def wake_failed(raised: BaseException) -> None:
    """Log the error of a waiter that was woken; an interruption of the main thread is raised on."""
    if is_a(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise raised
    logger.critical("A waiter of a future failed when it was woken", exc_info=raised)


def patient(target: ActorRef[Any]) -> Future[Any]:
    """Return a future for something else than an answer: `Settings.ask_timeout` does not bound its wait."""
    future: Future[Any] = Future(target)
    future._patient = True
    return future


class Derived(Future[T]):
    """A future computed from others, once, by the first thread that asks for it."""

    __slots__ = ("_compute", "_turn")

    def __init__(self, sources: tuple[pykka.Future[Any], ...] = (), compute: Callable[[], T] | None = None) -> None:
        super().__init__()
        for source in sources:
            if isinstance(source, Future):
                source._heard = True
        self._sources = sources
        self._compute = compute
        self._turn = True  # deleted by the one who computes

    def _leaves(self) -> Iterable[pykka.Future[Any]]:
        """Return the futures at the ends of a chain of derived ones; without recursion, as users chain thousands."""
        stack: list[pykka.Future[Any]] = [self]
        while stack:
            future = stack.pop()
            if isinstance(future, Derived):
                stack.extend(reversed(future._sources or ()))
            else:
                yield future

    def _awaited(self) -> Iterable[Future[Any]]:
        return (future for future in self._leaves() if isinstance(future, Future))

    def done(self) -> bool:
        """Say whether all futures that this one is computed from are done."""
        return self._done or all(isinstance(future, Future) and future.done() for future in self._leaves())

    def _wait(self, timeout: float | None) -> None:
        deadline = None if timeout is None else now() + timeout
        for future in self._leaves():
            remaining = None if deadline is None else max(0.0, deadline - now())
            if not isinstance(future, Future):
                future.get(timeout=remaining)
            elif not future._done and future._get_hook is not None:
                future._run_hook(remaining)
            elif not future._done:
                future._wait(remaining)
        chain: list[Derived[Any]] = []
        link: Any = self
        while isinstance(link, Derived) and not link._done:  # each asks the first of its sources first
            chain.append(link)
            link = link._sources[0] if link._sources else None
        for link in reversed(chain):
            link._run(None if deadline is None else max(0.0, deadline - now()))

    def _run(self, timeout: float | None) -> None:
        """Compute the result, unless another thread does, or has."""
        if self._done:
            return
        try:
            del self._turn
        except AttributeError:  # another thread computes it
            super()._wait(timeout)
            return
        compute, self._compute = self._compute, None
        assert compute is not None
        try:
            self._settle(compute(), None)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller of `get`
            self._settle(None, error)
        self._sources = ()

    def _add_waiter(self, wake: Callable[[], Any]) -> bool:
        """Wake once all sources are there; a woken waiter then computes the value by `get`."""
        pending = [future for future in self._awaited() if not future._done and future._get_hook is None]
        if pending:
            return _Chain(pending, wake).advance(called=False)
        return not hasattr(self, "_turn") and super()._add_waiter(wake)  # another thread computes it right now

    def _when_done(self, act: Callable[[], Any]) -> None:
        """Have `act` called once the future is done; at once if it is done already."""
        if not self._add_waiter(act):
            act()

    def _drop_waiter(self, wake: Callable[[], Any]) -> bool:
        for source in self._awaited():
            for chain in tuple(source._wakes):
                if isinstance(chain, _Chain) and chain.wake is wake and source._drop_waiter(chain):
                    return True
        return super()._drop_waiter(wake)


class _Chain:
    """Waits for several futures, one after the other, then wakes."""

    __slots__ = ("pending", "wake")

    def __init__(self, pending: list[Future[Any]], wake: Callable[[], Any]) -> None:
        self.pending = pending
        self.wake = wake

    def __call__(self) -> None:
        self.advance(called=True)

    def advance(self, *, called: bool) -> bool:
        while self.pending:
            if self.pending.pop(0)._add_waiter(self):
                return True
        if called:
            self.wake()
        return False
