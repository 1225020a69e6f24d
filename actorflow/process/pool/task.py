"""Task: one call on its way through the pool, and the functions that are called."""

from __future__ import annotations

import itertools
import pickle
from collections import OrderedDict
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import DRIVERS
from actorflow.core.messages.execution import CURRENT
from actorflow.process.pickling import ATOMS, OUT_OF_BAND, PROTOCOL, by_value, dumps, fitting, loads
from actorflow.process.pool.future import PoolFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.options import TaskOptions
    from actorflow.process.pool.workers.channel import WorkerChannel

T = TypeVar("T")

KEPT: Final = 1000  # functions that a pool remembers
NAMED: Final = (FunctionType, BuiltinFunctionType, type)


class Function:
    """A function as the workers know it: by number; and the cost of a call."""

    __slots__ = ("cost", "data", "name", "number")

    def __init__(self, number: int, name: str, data: bytes) -> None:
        self.number = number
        self.name = name
        self.data = data
        self.cost: float | None = None  # seconds a call

    def measured(self, seconds: float) -> None:
        """Take in a measurement: more counts at once, less by and by."""
        cost = self.cost
        self.cost = seconds if cost is None or seconds > cost else (cost + 3 * seconds) / 4


class Functions:
    """The functions of a pool. Those that can be imported are pickled once; others at each submit: they may change."""

    def __init__(self) -> None:
        self._named: dict[Any, Function] = {}
        self._by_data: OrderedDict[bytes, Function] = OrderedDict()
        self._numbers = itertools.count(1)

    def find(self, fn: Callable[..., Any]) -> Function:
        """Return the record of a function.

        Raises:
            PayloadError: it does not pickle.
        """
        if type(fn) in NAMED:
            known = self._named.get(fn)
            if known is not None:
                return known
        name = getattr(fn, "__qualname__", None)
        if not isinstance(name, str):
            name = type(fn).__qualname__
        data = pickle_by_name(fn)
        if data is None:
            return self._record(by_value(fn, name, bool_of), name)
        record = self._record(fitting(data, name), name)
        if type(fn) in NAMED and isinstance(getattr(fn, "__self__", None), ModuleType | None):
            if len(self._named) >= KEPT:
                self._named.clear()
            self._named[fn] = record
        return record

    def _record(self, data: bytes, name: str) -> Function:
        """Return the record of a pickle. Without a lock, which a signal's handler could leave held."""
        by_data = self._by_data
        record = by_data.get(data)
        if record is None:
            record = by_data.setdefault(data, Function(next(self._numbers), name, data))
            if len(by_data) > KEPT:
                by_data.popitem(last=False)
        else:
            with suppress(KeyError):  # another thread has just thrown it away
                by_data.move_to_end(data)
        return record


def bool_of(_buffer: object) -> bool:
    """Keep a buffer in the pickle."""
    return True


def pickle_by_name(fn: Callable[..., Any]) -> bytes | None:
    """Pickle a function by plain pickle; None if another process would not find it so."""
    try:
        data = pickle.dumps(fn, PROTOCOL)
    except Exception:  # noqa: BLE001 - cloudpickle may do better, or say what is wrong
        return None
    return None if b"__main__" in data else data


def pack(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, Sequence[memoryview]]:
    """Pickle the arguments of a call."""
    if not kwargs and ATOMS.issuperset(map(type, args)):  # a third of the time, and no part of these can fail
        data = pickle.dumps(args, PROTOCOL)
        # Of a list in place of the () there would be one more object to collect, of three.
        return data if len(data) < OUT_OF_BAND else fitting(data, "the arguments"), ()
    return dumps([args, kwargs] if kwargs else args, "the arguments")


class PoolTask(PoolFuture[T]):
    """A call on its way, and the future of its result."""

    __slots__ = ("buffers", "channel", "code", "copied", "data", "dispatch", "function", "options", "tries")

    count = 1  # calls
    is_admitted = False  # a pool that ends takes it
    unread = 0  # workers that have died as they read it

    def __init__(
        self, dispatch: Dispatch, function: Function, data: bytes, buffers: Sequence[memoryview], options: TaskOptions
    ) -> None:
        self._open, self._done, self._wakes, self._target = True, False, [], None  # Future.__init__, 200 ns less
        self.dispatch = dispatch
        self.function = function
        self.code = function.number  # as the worker reads it; of a chunk another
        self.data = data
        self.buffers: Sequence[memoryview] = buffers
        self.options = options
        self.copied = False  # whether the buffers are our own
        self.channel: WorkerChannel | None = None
        self.tries = 0

    # Seconds; for a chunk of a map as many times as it has items.
    cost = property(lambda self: self.function.cost)

    def running(self) -> bool:
        """Say whether a worker has begun it and not ended it."""
        channel = self.channel
        return channel is not None and not self._done and channel.runs(self)

    def borrow(self, timeout: float | None) -> None:
        """Read the reply in this thread, for a moment, if that can be."""
        channel = self.channel
        if channel is not None and CURRENT.get() is None and not DRIVERS:
            channel.borrow(self, timeout)

    def _wait(self, timeout: float | None) -> None:
        self.borrow(timeout)
        if self._done:
            return
        self.dispatch.check_may_wait()
        super()._wait(timeout)

    def _withdraw(self) -> None:
        channel = self.channel
        if channel is not None:
            channel.bell.ring()
        self.dispatch.count_cancelled()

    def copy_buffers(self) -> None:
        """Copy the big parts of the arguments: they must go out as they are now, and the caller may change them."""
        self.buffers = [memoryview(bytearray(buffer)) for buffer in self.buffers]
        self.copied = True

    def _disown(self, error: BaseException) -> None:
        """Fail the task, in a fork of this process, for waits there, but call no callbacks."""
        self._wakes.clear()
        self.__dict__.pop("_twin", None)  # whose lock may be held by a thread that is not here
        self.channel = None
        self._settle(None, error)

    def renew(self) -> None:
        """Get ready to be run again, after a death."""

    def run_here(self) -> None:
        """Run the task in this process; its arguments and result are pickled all the same."""
        try:
            self._settle(loads(*dumps(self.compute(), "the result")), None)
        except BaseException as error:  # noqa: BLE001 - it is the task's
            self._settle(None, error)

    def compute(self) -> T:
        """Call the function."""
        function, args = loads(self.function.data), loads(self.data, self.buffers)
        result: T = function(*args) if isinstance(args, tuple) else function(*args[0], **args[1])
        return result


class Chunk(PoolTask[list[Any]]):
    """Some items of a map: one task whose results come in groups."""

    is_admitted = True  # the map was taken, as a whole

    __slots__ = ("count", "items", "news", "offset", "unreadable")

    def __init__(
        self,
        dispatch: Dispatch,
        function: Function,
        data: bytes,
        buffers: Sequence[memoryview],
        options: TaskOptions,
        count: int,
    ) -> None:
        super().__init__(dispatch, function, data, buffers, options)
        self.code = ~function.number
        self.count = count
        self.items: list[Any] = []  # results so far
        self.offset = 0  # how many of them were there before the last try
        self.unreadable = False  # some of them did not unpickle
        self.news: Future[None] | None = None  # set once there are more of them: who iterates waits for that

    cost = property(lambda self: None if self.function.cost is None else self.function.cost * self.count)

    def take(self, start: int, groups: Sequence[bytes], buffers: Sequence[memoryview]) -> None:
        """Take in results from item `start` on; some may be known already.

        Results in the journal may be ahead of others that are in the socket still, and come there behind these.
        """
        known = len(self.items) - self.offset - start
        if known < 0:
            return
        for data in groups:
            results = loads(data, buffers)
            self.items += results[known:] if known > 0 else results
            known -= len(results)
        if self.news is not None:
            self.news._settle(None, None)

    def take_all(self, results: list[Any]) -> list[Any]:
        """Take in the results of the last try at once; return those of all tries."""
        self.items[self.offset :] = results
        return self.items

    def wait_for_more(self, known: int, timeout: float | None) -> None:
        """Wait until there are more than so many results, or the last.

        Raises:
            TimeoutError: that took longer than `timeout` seconds.
        """
        self.borrow(timeout)
        if self._done or len(self.items) > known:
            return
        self.dispatch.check_may_wait()
        news = self.news = Future()
        news._is_real = True
        if len(self.items) > known or not self._add_waiter(lambda: news._settle(None, None)):
            return
        news.get(timeout=timeout)

    def compute(self) -> list[Any]:
        """Call the function for each item."""
        self.items = list(map(loads(self.function.data), *loads(self.data, self.buffers)))
        return self.items

    def renew(self) -> None:
        """Leave out the items that are done.

        The items are unpickled for that, which may do anything; but it went well in the worker if some are done.
        """
        done = len(self.items) - self.offset
        if not done:
            return
        columns = loads(self.data, self.buffers)
        self.offset = len(self.items)
        self.copied = True
        self.data, self.buffers = dumps(tuple(column[done:] for column in columns), "the arguments")
