"""DirectChannel: callers that send and read by themselves, instead of the thread of the worker.

A caller that submits to an idle worker sends by itself, and a caller that waits for the only task under way reads its
reply by itself: that saves the two thread switches, which cost as much as the way to the other process.
"""

from __future__ import annotations

import _thread
import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import PayloadError
from actorflow.process.pickling import loads
from actorflow.process.pool.batching import is_light
from actorflow.process.pool.task import Chunk
from actorflow.process.pool.workers import worker_main
from actorflow.process.pool.workers.channel import WorkerChannel

if TYPE_CHECKING:
    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.task import PoolTask

BORROW: Final = 0.002  # seconds that a caller reads by itself; after that a thread switch does not matter
LOOK: Final = 1.0  # seconds between two looks of a thread that nobody rings


class Unclear(BaseException):
    """An error was raised while a value was unpickled: by the value itself, or by a signal's handler."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class DirectChannel(WorkerChannel):
    """Sends a task from the thread of its caller. The work of the worker's own thread is in `WorkerThread`."""

    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__(dispatch)
        self.resting = False  # in the list of idle workers
        self.dead = False
        self.doomed = False  # killed by us, for a task
        self.borrows = 0
        self.left_over = False  # a caller has left something to the thread: in the connection, say

    # --- a caller that sends ------------------------------------------------------------------------------------------

    def hand(self, task: PoolTask[Any]) -> bool:
        """Send a task from its caller's thread, which has taken the worker from the idle ones; False if that fails."""
        lock = self.lock
        if lock._is_owned():  # a finaliser, or a signal's handler, submits in the midst of this
            return False
        handed = False
        try:
            with lock:
                if self.going is not None:
                    self.mend()
                takes = self.ready or is_light(task, self.known)
                if takes and not (self.dead or self.retiring or self.doomed or self.in_flight):
                    self.resting = False
                    cost = task.cost
                    self.send([task], math.inf if cost is None else cost)
                    handed = True
        except BaseException:
            self.leave_to_thread()
            raise
        if handed and (self.watched or task.count > 1 or self.left_over):  # it is to be looked at while it runs
            self.bell.ring()
        return handed

    def leave_to_thread(self) -> None:
        """Leave the rest of a caller's turn to the worker's thread after a signal.

        Another signal may come here, too. Then the thread finds the rest at its next look, within a second.
        """
        lock = self.lock
        if lock._is_owned():  # it came between the body of a `with` block and the end of the block
            lock.release()
        self.bell.ring()

    # --- a caller that reads ------------------------------------------------------------------------------------------

    def borrow(self, task: PoolTask[Any], timeout: float | None) -> None:
        """Read a reply in the thread that waits for it, if that is the only one to come.

        In the main thread a signal's handler may raise at any line. So a reply is dealt with here only as far as that
        can be done twice: a value for which nobody else waits. The rest is left to the worker's thread.
        """
        lock = self.lock
        if len(self.in_flight) != 1 or lock._is_owned():
            return
        rings = False
        try:
            try:
                if not lock.acquire(blocking=False):
                    return
                rings = self.read_for(task, timeout)
            except BaseException:
                try:  # noqa: SIM105 - see `core.atomic`
                    lock.release()
                except RuntimeError:
                    pass
                raise
            lock.release()
        except Unclear as unclear:
            self.leave_to_thread()
            if not self.is_of_result(task, unclear.error):
                raise unclear.error from None
            return
        except BaseException:
            self.leave_to_thread()
            raise
        if rings:
            self.bell.ring()
        if self.dispatch.drains and not self.in_flight:
            self.dispatch.check_drained()

    def read_for(self, task: PoolTask[Any], timeout: float | None) -> bool:
        """Read a reply for a caller; True if the worker's thread has something to do then."""
        if self.going is not None:
            self.mend()
        if self.left_over:
            return True
        if self.dead or len(self.in_flight) != 1 or task._done or self.watched:
            return False
        self.borrows += 1
        self.left_over = True  # a signal may end this turn anywhere
        self.bell.disarm()
        rings = self.read_reply(task, BORROW if timeout is None else min(timeout, BORROW))
        self.bell.arm()
        self.left_over = rings is None
        return rings is not False

    def read_reply(self, task: PoolTask[Any], seconds: float) -> bool | None:
        """Read the reply to a task, the only one to come.

        Returns:
            True if the worker's thread has something to do then; None if it has to read the reply.

        Raises:
            Unclear: something was raised as the value was unpickled.
        """
        connection = self.connection
        try:
            if not (connection.pending() or self.poll.poll(seconds * 1000)):
                return False
            items, buffers, after = connection.peek()
        except (EOFError, OSError) as error:  # the thread sees it too
            if not (connection.ended() or connection.fileno() < 0 or isinstance(error, ConnectionError)):
                raise
            return False
        seq = next(iter(self.in_flight))
        reply = self.value_in(items, seq)
        if reply is None or task._wakes or self.in_flight[seq] is not task:
            return None
        try:
            value = loads(reply, buffers)
        except BaseException as error:  # noqa: BLE001 - whose it is is found out later
            raise Unclear(error) from None
        task._settle(task.take_all(value) if isinstance(task, Chunk) else value, None)
        if self.in_flight.pop(seq, None) is not None:
            self.done += task.count
        connection.take(after)
        self.batches.clear()
        if items[0] == worker_main.RESULTS:
            self.measure(items[3])
        task.data, task.buffers, task.channel = b"", (), None
        if self.retiring or self.doomed or self.dispatch.closing:
            return True
        self.resting = True
        self.dispatch.idle.append(self)
        return bool(self.dispatch.queue) or connection.pending()

    def value_in(self, items: tuple[Any, ...], seq: int) -> Any:
        """Return the pickled value of a task if a frame holds that and nothing else."""
        if items[0] == worker_main.RESULT and items[1] == seq:
            return items[2]
        if (
            items[0] == worker_main.RESULTS
            and items[1] == seq
            and len(items[2]) == 1
            and items[2][0].__class__ is bytes
        ):
            return items[2][0]
        return None

    def is_of_result(self, task: PoolTask[Any], error: BaseException) -> bool:
        """Say whether the result itself raised an error as it was unpickled, and no signal's handler.

        The worker's thread unpickles it again, and no handler runs there: then the task has an error, too.
        """
        done = _thread.allocate_lock()
        done.acquire()
        if task._add_waiter(done.release):
            done.acquire(timeout=LOOK)
        failure = task._error if task._done else None
        return isinstance(failure, PayloadError) and type(failure.__cause__) is type(error)
