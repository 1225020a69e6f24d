"""WorkerChannel: the messages to one worker process and back.

A socket and a page for each worker: no queue and no lock is shared with another process, so no death of a process can
hold one. The thread that holds `lock` may send and read.
"""

from __future__ import annotations

import _thread
import math
import os
import select
from collections import deque
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.errors import PayloadError
from actorflow.process.pickling import load_error, loads
from actorflow.process.pool.task import Chunk
from actorflow.process.pool.workers import worker_main
from actorflow.process.pool.workers.doorbell import Doorbell
from actorflow.process.pool.workers.shared_page import SEQ, SIZE, WHOLE, read_journal
from actorflow.process.shared_memory import create
from actorflow.process.wire import Frame, pair
from actorflow.text import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.process.launch.child_process import ChildProcess
    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.task import Function, PoolTask

Outcome: TypeAlias = "tuple[PoolTask[Any], Any, BaseException | None]"
KNOWN: Final = 500  # functions that a worker keeps


# What is sent, and what is so then: the tasks by number, the last number, the seconds they take, how many more tasks
# the worker may get, the functions that it has learnt and forgotten, and the frame. A tuple, since names take time.
Batch: TypeAlias = "tuple[dict[int, PoolTask[Any]], int, float, float, dict[int, Function], list[int], Frame]"


class WorkerChannel:
    """Sends tasks to one worker process and reads its replies. The decisions about tasks are in `WorkerThread`."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.lock: Any = _thread.RLock()  # it knows whether this thread has it, wherever a signal came
        with ExitStack() as undo:  # if there is no room for all of it, none is kept
            self.connection, self.theirs = pair()
            undo.callback(self.connection.close)
            undo.callback(self.theirs.close)
            self.page, self.memory = create(SIZE)
            undo.callback(os.close, self.page)
            undo.callback(self.memory.close)
            self.bell = Doorbell(self.connection.fileno())
            undo.pop_all()
        self.words = memoryview(self.memory).cast("Q")
        self.poll = select.poll()
        self.poll.register(self.connection.fileno(), select.POLLIN)
        self.handle: ChildProcess | None = None
        self.in_flight: dict[int, PoolTask[Any]] = {}  # by number, in the order they were sent
        self.batches: deque[tuple[int, float]] = deque()  # last number, seconds that it will take
        self.next_seq = 1
        self.outcomes: list[Outcome] = []  # replies that were read, for tasks that are not settled yet
        self.records: list[bytes] = []  # log records that were read
        self.delivering = False  # outcomes were taken and are not all delivered yet
        self.going: Batch | None = None  # the send under way, or one that was interrupted
        self.known: dict[int, Function] = {}  # functions that the worker has
        self.left: float = dispatch.setup.max_tasks or math.inf  # tasks until the worker is recycled
        self.done = self.failed = 0
        self.retiring = False  # ends once it has replied
        self.ready = False  # the worker has started well
        self.watched = False  # tasks with limits are under way
        self.start_error: BaseException | None = None

    def send(self, tasks: list[PoolTask[Any]], seconds: float) -> None:
        """Send tasks; if the worker has died, its thread finds that out.

        A signal's handler may raise at any line. Before `going` is set nothing has happened that counts; afterwards
        `mend` does the rest, twice if need be.
        """
        seq = first = self.next_seq
        known = self.known
        flight: dict[int, PoolTask[Any]] = {}
        calls: list[Any] = []
        learn: dict[int, Function] = {}
        for task in tasks:
            function = task.function
            if function.number not in known:
                learn[function.number] = function
            calls += (task.code, task.data)
            flight[seq] = task
            task.channel = self
            if task.options.watched:
                self.watched = True
            seq += 1
        left = self.left
        if left < math.inf:
            left -= sum([task.count for task in tasks])
        data = [part for function in learn.values() for part in (function.number, function.data)] if learn else []
        forget = self.superfluous(tasks, len(learn)) if learn else []
        frame = Frame((worker_main.RUN, first, calls, data, forget), tasks[0].buffers)
        self.going = (flight, seq - 1, seconds, left, learn, forget, frame)
        self.mend()

    def superfluous(self, tasks: list[PoolTask[Any]], more: int) -> list[int]:
        """Return which functions a worker is to forget as it learns more: the oldest, but none that the tasks call."""
        surplus = len(self.known) + more - KNOWN
        if surplus <= 0:
            return []
        called = {task.function.number for task in tasks}
        return list(islice((number for number in self.known if number not in called), surplus))

    def mend(self) -> None:
        """Do the bookkeeping that `send` owes for its batch, or the rest of it."""
        if self.going is None:
            return
        flight, last, seconds, left, learn, forget, frame = self.going
        if learn:
            for number in forget:
                self.known.pop(number, None)
            self.known.update(learn)
        self.in_flight.update(flight)
        self.next_seq = last + 1
        batches, connection = self.batches, self.connection
        if not batches or batches[-1][0] != last:
            batches.append((last, seconds))
        self.left = left
        if left <= 0:
            self.retiring = True
        if frame.at is not None and frame not in connection.frames:
            connection.frames.append(frame)
        try:
            connection.write()
        except OSError as error:
            if error.errno is None:  # a signal's handler raised it: a TimeoutError, say
                raise
        self.going = None

    def read(self) -> None:
        """Take in the worker's replies."""
        connection = self.connection
        pending = connection.pending
        while True:
            items, buffers, after = connection.peek()
            connection.take(after)
            kind = items[0]
            if kind == worker_main.RESULTS:
                self.take_results(*items[1:])
            elif kind == worker_main.RESULT:
                self.take_results(items[1], [items[2]], (), buffers)
            elif kind == worker_main.ITEMS:
                _, seq, start, groups, end, costs = items
                self.take_items(seq, start, groups, end, costs, buffers)
            else:
                self.take_other(kind, items)
            if not pending():
                break
        batches = self.batches
        oldest = next(iter(self.in_flight), self.next_seq)
        while batches and batches[0][0] < oldest:
            batches.popleft()

    def take_results(
        self,
        seq: int,
        replies: list[bytes | tuple[bytes]],
        costs: Sequence[tuple[int, int, int]],
        buffers: Sequence[memoryview] = (),
    ) -> None:
        """Take in the replies to some tasks, which begin with that to task `seq`."""
        self.measure(costs)
        in_flight, append = self.in_flight, self.outcomes.append
        for seq, reply in enumerate(replies, seq):  # noqa: B020, PLR1704 - each has its own number
            task = in_flight.get(seq)
            if task is None:  # its reply was in the journal, and is known
                continue
            if reply.__class__ is bytes:
                try:
                    value = loads(reply, buffers)  # pyright: ignore[reportArgumentType]
                    append((task, task.take_all(value) if isinstance(task, Chunk) else value, None))
                    self.done += task.count
                except BaseException as error:  # noqa: BLE001 - the task's own failure, a SystemExit too
                    self.fail(task, undecoded(task, error))
            else:
                self.fail(task, load_error(reply[0]))  # type: ignore[arg-type]
            del in_flight[seq]

    def measure(self, costs: Sequence[tuple[int, int, int]]) -> None:
        """Note the costs of calls of functions: number of the function, calls, nanoseconds."""
        for number, count, nanoseconds in costs:
            function = self.known.get(number)
            if function is not None:
                function.measured(nanoseconds / count / 1e9)

    def fail(self, task: PoolTask[Any], error: BaseException) -> None:
        """Note that a task has failed."""
        self.outcomes.append((task, None, error))
        self.failed += not task._done

    def take_items(
        self,
        seq: int,
        start: int,
        groups: list[bytes],
        end: int | bytes,
        costs: Sequence[tuple[int, int, int]],
        buffers: Sequence[memoryview] = (),
    ) -> None:
        """Take in results of a chunk."""
        self.measure(costs)
        task = self.in_flight.get(seq)
        if not isinstance(task, Chunk):
            return
        if end:
            del self.in_flight[seq]
        if task.unreadable:
            return
        try:
            task.take(start, groups, buffers)
        except BaseException as failure:  # noqa: BLE001 - the task's own failure, a SystemExit too
            # It stays in flight, since the worker is busy with it, and is killed as if cancelled.
            task.unreadable = True
            self.fail(task, undecoded(task, failure))
            return
        if isinstance(end, bytes):
            self.fail(task, load_error(end))
        elif end:
            self.done += task.count
            self.outcomes.append((task, task.items, None))

    def take_other(self, kind: int, items: tuple[Any, ...]) -> None:
        """Take in news that are no results."""
        if kind == worker_main.READY:
            self.ready = True
            self.dispatch.started()
        elif kind == worker_main.FAILED:
            self.start_error = load_error(items[1])
        else:
            self.records.append(items[1])

    def collect(self) -> None:
        """Take in finished results that stand in the journal, as the worker died or is stuck before they were sent."""
        first, start, replies = read_journal(self.memory, self.words)
        if start == WHOLE:
            self.take_results(first, replies, ())
        elif isinstance(self.in_flight.get(first), Chunk):  # else all of it was sent before
            self.take_items(first, start, replies, 0, ())  # type: ignore[arg-type]

    def take_outcomes(self) -> list[Outcome]:
        """Return the outcomes to be delivered once the lock is released."""
        if not self.outcomes:
            return []
        self.delivering = True
        outcomes, self.outcomes = self.outcomes, []
        return outcomes

    def holds_tasks(self) -> bool:
        """Say whether some of its tasks are not settled."""
        return bool(self.in_flight or self.outcomes) or self.delivering

    def deliver(self, outcomes: list[Outcome]) -> None:
        """Settle tasks. Without the lock, since it runs users' callbacks, which may call the pool."""
        while self.records:
            self.dispatch.log_record(self.records.pop(0))
        for task, value, error in outcomes:
            task._settle(value, error)
            task.data, task.buffers, task.channel = b"", (), None
        self.delivering = False

    def borrow(self, task: PoolTask[Any], timeout: float | None) -> None:
        """Read a reply in the thread that waits for it, if that can be."""
        raise NotImplementedError  # pragma: no cover - see DirectChannel

    def runs(self, task: PoolTask[Any]) -> bool:
        """Say whether the worker has begun a task."""
        try:
            return self.in_flight.get(self.words[SEQ]) is task
        except ValueError:  # the channel has just been closed
            return False

    def kill(self) -> None:
        """Kill the process, and those that it has started."""
        if self.handle is not None:
            self.handle.kill()


def undecoded(task: PoolTask[Any], error: BaseException) -> PayloadError:
    """Make the error for a result that cannot be unpickled here."""
    failure = PayloadError(f"the result of {task.function.name} does not unpickle: {reason_of(error)}")
    failure.__cause__ = error
    return failure
