"""The loop of a worker process. Lean: the standard library only, for a start within milliseconds.

Takes frames of tasks from its socket, runs them one after the other, and replies. Cheap tasks come many in a frame, and
their replies leave in groups, at the latest after a millisecond; until then they stand in the journal of the page.
"""

from __future__ import annotations

import _thread
import os
import sys
from _pickle import dumps as c_dumps
from _socket import socket
from itertools import islice
from mmap import mmap
from time import perf_counter_ns

from actorflow.process.log_records import forward_records
from actorflow.process.pickling import ATOMS, PROTOCOL, dump_error, dumps, fitting, loads
from actorflow.process.pool.workers.shared_page import (
    COUNT_BITS,
    COUNT_MASK,
    END,
    ERROR,
    FINAL,
    FIRST,
    ITEM,
    JOURNAL,
    SEQ,
    SINCE,
    SIZE,
    START,
    UPTO,
    WHOLE,
)
from actorflow.process.proxies import take_authkey
from actorflow.process.wire import Connection, NoMemory

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, NoReturn

# Kinds of frames, to the worker ...
INITIALIZE, RUN = range(2)
# ... and from it.
READY, FAILED, RESULTS, RESULT, ITEMS, RECORD = range(6)

FLUSH = 1_000_000  # ns after which finished results leave, though more tasks are at hand
BIG = 4096  # bytes from which a result is sent at once, past the journal
GROUP = 100_000  # ns that a group of items of a map takes about
NAP = 0.000_05  # seconds between two looks at a recall that is being decided


def main(_argument: Any, fds: Sequence[int]) -> None:
    """Run as a worker: `fds` are its socket and its page."""
    TaskRunner(Connection(socket(fileno=fds[0])), mmap(fds[1], SIZE)).serve()


class TaskRunner:
    """Runs tasks in a process of a pool."""

    def __init__(self, connection: Connection, memory: mmap) -> None:
        self.connection = connection
        self.memory = memory
        self.words = memoryview(memory).cast("Q")
        self.functions: dict[int, Any] = {}  # by number: pickled, until the first call
        self.sending = _thread.allocate_lock()  # threads of a task may log
        self.results: list[bytes | tuple[bytes]] = []  # finished, not sent
        self.first = 0  # number of the first of them
        self.chunk = 0  # number of the task if it is a chunk of a map
        self.first_item = 0  # of a chunk: its item that the first result is of
        self.end = JOURNAL
        self.costs: list[tuple[int, int, int]] = []  # function, calls, ns
        self.groups: dict[int, int] = {}  # of functions that were mapped: items that fit into a group
        self.never = _thread.allocate_lock()
        self.never.acquire()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def serve(self) -> None:
        """Run until the pool closes the socket.

        Raises:
            NoMemory: the arguments of a task do not fit into memory.
        """
        try:
            while True:
                items, buffers = self.connection.receive()
                if items[0] == RUN:
                    _, seq, calls, learn, forget = items
                    self.run(seq, calls, learn, forget, buffers)
                elif not self.initialize(items[1:], buffers):
                    return
        except NoMemory:
            raise
        except (EOFError, OSError):
            return

    def send(self, items: Any, buffers: Sequence[memoryview] = ()) -> None:
        """Write a frame."""
        with self.sending:
            self.connection.send(items, buffers)

    def _leave_to_parent(self) -> None:
        """Leave the socket to the worker in a process that a task has forked, else its end would go unnoticed."""
        self.connection.close_here()  # the object, too: else it would write to whatever file gets the number next
        self.sending = _thread.allocate_lock()  # a thread that is not here may have held it
        self.results = []
        self.reply = self.note = self.begin_items = end_fork  # type: ignore[method-assign]

    def initialize(self, setup: tuple[Any, ...], buffers: Sequence[memoryview]) -> bool:
        """Be set up as the pool's process is, and run its initializer; False if that failed."""
        data, levels, key = setup
        take_authkey(key)
        forward_records(lambda record: self.send((RECORD, record)), levels)
        try:
            if data:
                initializer, args = loads(data, buffers)
                initializer(*args)
        except BaseException as error:  # noqa: BLE001 - the pool reports it
            self.send((FAILED, dump_error(error)))
            return False
        self.send((READY,))
        return True

    # --- tasks -------------------------------------------------------------------------------------------------------

    def run(
        self, seq: int, calls: list[Any], learn: list[Any], forget: list[int], buffers: Sequence[memoryview]
    ) -> None:
        """Run the tasks of a frame: `calls` holds function number and arguments in turn, the first is number `seq`."""
        functions, words = self.functions, self.words
        for number in forget:
            functions.pop(number, None)
            self.groups.pop(number, None)
        pairs = iter(learn)
        for number, data in zip(pairs, pairs, strict=True):
            functions[number] = PickledFunction(data)
        now = since = flushed = perf_counter_ns()
        last, count = 0, 0
        pairs = iter(calls)
        for number, data in zip(pairs, pairs, strict=True):
            words[SINCE] = now  # before SEQ, else a task could seem to run for as long as the worker was idle
            words[SEQ] = seq
            if words[UPTO] >= seq and self.is_recalled(seq):
                break
            if number != last or now - flushed > FLUSH:
                if count:
                    self.costs.append((last, count, now - since))
                    if now - flushed > FLUSH:
                        self.flush()
                        flushed = now
                last, count, since = number, 0, now
            if number < 0:
                self.run_chunk(seq, ~number, data, buffers)
                now = since = perf_counter_ns()
            else:
                self.run_one(seq, number, data, buffers)
                count += 1
                now = perf_counter_ns()
            seq += 1
        if count:
            self.costs.append((last, count, now - since))
        self.flush()

    def run_one(self, seq: int, number: int, data: bytes, buffers: Sequence[memoryview]) -> None:
        """Run one task; its reply is sent, or stands in the journal, before another begins."""
        try:
            function = self.functions[number]
            if type(function) is PickledFunction:
                function = self.functions[number] = function.read()
            args = loads(data, buffers)
            value = function(*args) if type(args) is tuple else function(*args[0], **args[1])
            if type(value) in ATOMS:
                data, out = c_dumps(value, PROTOCOL), None
                if len(data) > BIG:
                    data = fitting(data, "the result")
            else:
                data, out = dumps(value, "the result")
        except BaseException as error:  # noqa: BLE001 - it is the task's
            self.note(seq, dump_error(error), is_error=True)
            return
        self.reply(seq, data, out)

    def reply(self, seq: int, data: bytes, out: Sequence[memoryview] | None) -> None:
        """Note a result, or send it if it has big buffers."""
        if out:
            self.flush()
            try:
                self.send((RESULT, seq, data), out)
            except MemoryError as error:
                self.note(seq, dump_error(error), is_error=True)
        else:
            self.note(seq, data)

    def note(self, seq: int, data: bytes, *, is_error: bool = False, start: int = WHOLE) -> None:
        """Note a reply in the journal, or a group of a chunk's items; it leaves with the next flush."""
        end, words = self.end, self.words
        if not self.results:
            end = JOURNAL
            words[END] = end  # before the others, so that old replies are never taken for new ones
            words[START] = start
            words[FIRST] = self.first = seq
        self.results.append((data,) if is_error else data)
        size = len(data)
        if end + size + 4 > SIZE or size > BIG:
            self.flush()
            return
        head = size | ERROR if is_error else size
        self.memory[end : end + size + 4] = head.to_bytes(4, "little") + data
        self.end = words[END] = end + size + 4

    def flush(self) -> None:
        """Send the results that are finished, and the costs of the functions."""
        if self.chunk:
            self.flush_items(0)
        elif self.results:
            try:
                self.send((RESULTS, self.first, self.results, self.costs))
            except MemoryError as error:  # for a frame with the last one, which is big: nothing was sent
                self.results[-1] = (dump_error(error),)
                self.send((RESULTS, self.first, self.results, self.costs))
            self.results = []
            self.costs = []

    def is_recalled(self, seq: int) -> bool:
        """Say whether the pool has taken this task back; wait while it decides, which takes about a millisecond."""
        words = self.words
        while (decision := words[FINAL]) >> COUNT_BITS != (upto := words[UPTO]):
            self.never.acquire(timeout=NAP)
        return seq > upto - (decision & COUNT_MASK)

    # --- chunks of a map ---------------------------------------------------------------------------------------------

    def run_chunk(self, seq: int, number: int, data: bytes, buffers: Sequence[memoryview]) -> None:
        """Run the items of a chunk. Cheap ones run in groups, in C; a group's results are noted as one.

        A chunk that is done with its first group is replied to as any other task, together with its neighbours.
        """
        try:
            function = self.functions[number]
            if type(function) is PickledFunction:
                function = self.functions[number] = function.read()
            columns = loads(data, buffers)
            results = self.run_groups(seq, number, map(function, *columns), len(columns[0]))
            if results is None:
                self.flush_items(1)
            else:
                self.reply_as_one(seq, results)
        except BaseException as error:  # noqa: BLE001 - it is the task's
            self.begin_items(seq)
            self.flush_items(dump_error(error))
        self.chunk = 0

    def run_groups(self, seq: int, number: int, items: Iterator[Any], total: int) -> list[Any] | None:
        """Run all items, and raise the first error of one, after the results of those before it.

        Returns the results if one group was enough; else they are noted and on their way.
        """
        words, done = self.words, 0
        group = self.groups.get(number, 1)
        start = begin = flushed = perf_counter_ns()
        failure: BaseException | None = None
        while done < total and failure is None:
            words[ITEM] = done
            words[SINCE] = begin
            results: list[Any] = []
            try:
                results.extend(islice(items, group))
            except BaseException as error:  # noqa: BLE001 - results before it still count
                failure = error
            else:
                if len(results) < min(group, total - done):
                    failure = RuntimeError("the function of a map raised StopIteration")
            now = perf_counter_ns()
            group = max(1, min(GROUP * len(results) // (now - begin or 1), 8 * group))
            begin = now
            if not done and len(results) == total:
                self.costs.append((number, total, now - start))
                self.groups[number] = group
                return results
            if results:
                self.begin_items(seq)
                self.note_group(done, results)
                done += len(results)
            if now - flushed > FLUSH:
                self.flush_items(0)
                flushed = now
        if failure is not None:
            raise failure
        self.groups[number] = group
        self.costs.append((number, total, begin - start))
        return None

    def reply_as_one(self, seq: int, results: list[Any]) -> None:
        """Reply to a chunk as to any other task."""
        try:
            data, out = dumps(results, "the results")
        except Exception:  # noqa: BLE001 - raised again by the one that does not pickle
            self.begin_items(seq)
            self.note_group(0, results)
        else:
            self.reply(seq, data, out)

    def begin_items(self, seq: int) -> None:
        """Send the results that other tasks have left, before results of this chunk are noted."""
        if not self.chunk:
            self.flush()
            self.chunk = seq

    def note_group(self, done: int, results: list[Any]) -> None:
        """Note the results of a group."""
        try:
            self.note_together(done, results)
        except Exception:
            if len(results) == 1:
                raise
            for index, result in enumerate(results):  # those before the one that fails still count
                self.note_together(done + index, [result])

    def note_together(self, done: int, results: list[Any]) -> None:
        """Note the results of a group as one; if that fails, none of them is noted."""
        data, out = dumps(results, "the results")
        if not self.results:
            self.first_item = done
        if out:
            self.flush_items(0)
            self.send((ITEMS, self.chunk, done, [data], 0, ()), out)
        else:
            self.note(self.chunk, data, start=done)

    def flush_items(self, end: int | bytes) -> None:
        """Send the groups that are finished; `end` is 1 after the last of them, and an error if one failed."""
        while self.results or end:
            try:
                self.send((ITEMS, self.chunk, self.first_item, self.results, end, self.costs))
            except MemoryError:  # for a frame with the last results, which are big: nothing was sent
                if not self.results:
                    raise
                del self.results[-1]
                if not isinstance(end, bytes):
                    raise  # it is the end of the chunk
            else:
                self.results = []
                self.costs = []
                return


def end_fork(*_: Any, **__: Any) -> NoReturn:
    """End a process that a task has forked and that comes back from the task: the rest is the worker's to do."""
    error = sys.exception()
    code: Any = None
    try:
        if isinstance(error, SystemExit) and isinstance(error.code, int | None):
            code = error.code
        elif error is not None:
            code = 1
            sys.excepthook(type(error), error, error.__traceback__)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit((code or 0) & 0xFF)


class PickledFunction:
    """A function that was not called yet. Its first task unpickles it, and so answers for the errors of its imports."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> Any:
        """Unpickle the function."""
        return loads(self.data)
