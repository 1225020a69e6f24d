"""Mapping: `pool.map`, many calls of one function in chunks."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import AskTimeout, DeadlockError
from actorflow.process.pickling import dumps
from actorflow.process.pool.task import Chunk
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.options import TaskOptions
    from actorflow.process.pool.task import Function

CHUNK_SECONDS: Final = 0.0015  # that a chunk takes about: it may wait behind another, so that the worker has no pause
CHUNK_BYTES: Final = 90 * 1024
FIRST: Final = 16  # items of the first chunks, which tell the cost of an item
AHEAD: Final = 3  # chunks under way for each worker
SHARES: Final = 4  # chunks for each worker that the rest is split into at least
REPORT: Final = 0.1  # seconds between two reports of progress while nothing comes out


class Mapping:
    """Feeds chunks into the pool, as others end, and gives out the results in order."""

    def __init__(
        self,
        dispatch: Dispatch,
        function: Function,
        columns: list[list[Any]],
        options: TaskOptions,
        chunksize: int | None,
        progress: Callable[[int, int], object] | None,
        timeout: float | None,
        deadline: float | None,
    ) -> None:
        self.dispatch = dispatch
        self.function = function
        self.columns = columns
        self.options = options
        self.chunksize = chunksize
        self.progress = progress
        self.timeout = timeout
        self.deadline = deadline
        self.total = len(columns[0])
        self.given = 0  # items
        self.finished = 0  # items of chunks that are done
        self.reported = 0  # items
        self.item_bytes = 0.0
        self.chunks: deque[Chunk] = deque()
        self.under_way = 0
        self.stopped = False
        self._lock = threading.Lock()

    def feed(self) -> None:
        """Submit chunks until enough are under way; the end of each of them feeds again."""
        while not self.stopped and self._lock.acquire(blocking=False):
            try:
                while self.given < self.total and self._has_room():
                    self._submit()
            finally:
                self._lock.release()
            if self.given >= self.total or not self._has_room():
                return

    def _has_room(self) -> bool:
        """Say whether more chunks should be under way: some for each worker, or many if they are short."""
        most = AHEAD * self.dispatch.workers
        if self.under_way < most:
            return True
        cost = self.function.cost
        return cost is not None and (self.given - self.finished) * cost < most * CHUNK_SECONDS

    def _submit(self) -> None:
        count, data, buffers, failure = self._pack(self.given, self.next_size())
        self.given += count
        chunk = Chunk(self.dispatch, self.function, data, buffers, self.options, count)
        self.chunks.append(chunk)
        self.under_way += 1
        try:
            if failure is not None:
                raise failure
            self.item_bytes = len(data) / count
            chunk.add_done_callback(self._ended)
            self.dispatch.submit(chunk)
        except Exception as error:
            if not chunk._settle(None, error):
                raise

    def _pack(self, start: int, count: int) -> tuple[int, bytes, list[memoryview], Exception | None]:
        """Pickle the arguments of the next items; if one of them does not pickle, of those before it.

        Returns:
            the number of items, the pickle and its buffers; the error of an item that does not pickle, which is alone.
        """
        try:
            return count, *self._dumps(start, count), None
        except Exception as error:  # noqa: BLE001 - it is given to the caller of the map
            if count == 1:
                return 1, b"", [], error
        good, bad = 0, count  # numbers of items that pickle together, and that do not
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self._dumps(start, middle)
                good = middle
            except Exception:  # noqa: BLE001 - as above
                bad = middle
        return self._pack(start, max(good, 1))

    def _dumps(self, start: int, count: int) -> tuple[bytes, list[memoryview]]:
        return dumps(tuple(column[start : start + count] for column in self.columns), "the arguments")

    def _ended(self, chunk: Any) -> None:
        self.under_way -= 1
        self.finished += chunk.count
        self.feed()

    def next_size(self) -> int:
        """Return how many items the next chunk has."""
        left = self.total - self.given
        if self.chunksize is not None:
            return min(self.chunksize, left)
        cost = self.function.cost
        if cost is None:
            return min(FIRST, max(1, left // (SHARES * self.dispatch.workers)), left)
        most = min(CHUNK_SECONDS / max(cost, 1e-9), CHUNK_BYTES / max(self.item_bytes, 1.0))
        share = left / (SHARES * self.dispatch.workers)
        least = 0.000_2 / max(cost, 1e-9)  # below, the way of a chunk would cost more than its work
        return min(left, max(1, int(min(most, max(share, least)))))

    def results(self) -> Iterator[Any]:
        """Give out the results in order, each as it is there; a chunk is forgotten as it is passed."""
        try:
            while self.chunks:
                chunk = self.chunks[0]
                given = 0
                while not chunk._done:
                    for item in islice(chunk.items, given, None):
                        given += 1
                        yield item
                    self._wait(chunk, given)
                self._report()
                self.chunks.popleft()
                items = chunk._value if chunk._error is None else chunk.items
                yield from islice(items, given, None) if given else items
                if chunk._error is not None:
                    raise chunk._error
        finally:
            self.stop()

    def _wait(self, chunk: Chunk, given: int) -> None:
        """Wait for the next result of a chunk; report meanwhile."""
        while not chunk._done and len(chunk.items) <= given:
            left = None if self.deadline is None else max(0.0, self.deadline - self.dispatch.clock.monotonic())
            slices = self.progress is not None and (left is None or left > REPORT)
            try:
                chunk.wait_for_more(given, REPORT if slices else left)
            except AskTimeout as error:  # no other TimeoutError: the handler of a signal may raise one
                if isinstance(error, DeadlockError):
                    raise
                if not slices:
                    raise self._late() from None
            self._report()

    def _late(self) -> AskTimeout:
        seconds = plural(self.timeout or 0, "second")
        what = f"the map of {self.function.name} had not all results within its timeout, {seconds}"
        return AskTimeout(f"{what}; items that have not begun are taken back: give it more time")

    def _report(self) -> None:
        if self.progress is not None:
            begun = sum([len(chunk.items) for chunk in list(self.chunks) if not chunk._done])
            self.reported = max(self.reported, self.finished + begun)  # one that ends now may be in neither
            self.progress(self.reported, self.total)

    def stop(self) -> None:
        """Take back the items that have not begun, when the rest is not wanted."""
        self.stopped = True
        for chunk in self.chunks:
            if chunk.channel is None:
                chunk.cancel()
        self.chunks.clear()
