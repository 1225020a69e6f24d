"""WatchedChannel: a worker's messages, and its running tasks: those over their limits end, those behind go back."""

from __future__ import annotations

import _thread
import math
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger
from actorflow.errors import MemoryLimit, TaskTimeout
from actorflow.process.pool.workers.direct_channel import DirectChannel
from actorflow.process.pool.workers.shared_page import COUNT_BITS, FINAL, SEQ, SINCE, UPTO
from actorflow.process.watch import PERIOD, rss_of

if TYPE_CHECKING:
    from actorflow.process.pool.dispatcher import Dispatch

STALL: Final = 0.005  # seconds after which tasks behind a slow one are taken back
DECIDE: Final = 0.001  # seconds until each core sees another's writes to the page, with much to spare
STUCK: Final = 10.0  # seconds after which a worker that begins nothing of what it has is replaced
NEVER: Final = _thread.allocate_lock()
NEVER.acquire()


class WatchedChannel(DirectChannel):
    """A channel whose owner, the worker's thread, looks after the tasks under way; with the lock held, all of it."""

    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__(dispatch)
        self.recalled = 0  # up to which number tasks were taken back
        self.verdicts: dict[int, BaseException] = {}  # of tasks whose worker was killed for them
        self._next = 0, 0  # number of the task that is to begin next, and since when
        self._pid: int | None = None
        self._rss = self._weighed = 0

    def look(self) -> None:
        """End tasks that must not run on, and take back those that wait behind a task that got stuck."""
        in_flight = self.in_flight
        if not in_flight:
            return
        seq = self.words[SEQ]
        task = in_flight.get(seq)
        if task is not None:
            seconds = (perf_counter_ns() - self.words[SINCE]) / 1e9
            options = task.options
            if task._done:  # cancelled
                self.kill_for(seq, None)
                return
            if options.timeout is not None and seconds >= options.timeout:
                self.kill_for(
                    seq, TaskTimeout(f"{task.function.name} ran longer than its timeout, {options.timeout} s")
                )
                return
            if options.memory is not None and (rss := self.rss()) > options.memory:
                what = f"{task.function.name}, limited to {options.memory / 2**20:.0f} MB,"
                self.kill_for(seq, of_worker(MemoryLimit(what, rss=rss, maybe_ran=True, host=str(self.pid))))
                return
            if seconds > STALL and task.count > 1:
                self.collect()
            if len(in_flight) > 1 and seconds > STALL and self.recalled < self.next_seq - 1:
                self.collect()
                self.recall()
        else:
            self.check_begins()
        if any(task._done for task in in_flight.values()):
            self.recall()

    def check_begins(self) -> None:
        """Replace a worker that begins none of its tasks: the process is stopped, or stuck between two tasks."""
        number, since = self._next
        first, now = next(iter(self.in_flight)), perf_counter_ns()
        if number != first or not self.ready:
            self._next = first, now
        elif now - since > STUCK * 1e9:
            logger.warning(
                "%s: worker %s has begun no task for %.0f s and is replaced", self.dispatch.path, self.pid, STUCK
            )
            self.doomed = True
            self.kill()

    def recall(self) -> None:
        """Take back the tasks that have not begun.

        The worker looks at UPTO after it has written which task it begins, and waits there for FINAL. So of two writes
        and two reads on two cores, after DECIDE at least one side sees the other's, and both know which task runs.
        """
        words, upto = self.words, self.next_seq - 1
        self.recalled = upto
        words[UPTO] = upto
        NEVER.acquire(timeout=DECIDE)
        final = words[SEQ]
        words[FINAL] = (upto << COUNT_BITS) + (upto - final)
        back = [seq for seq in self.in_flight if seq > final]
        self.dispatch.put_back([self.in_flight.pop(seq) for seq in back])
        self.batches.clear()
        if self.in_flight:
            self.batches.append((final, math.inf))

    def kill_for(self, seq: int, error: BaseException | None) -> None:
        """Kill the worker because of the task that it runs; none that waits behind it is hurt."""
        if self.next_seq - 1 > seq:
            self.recall()
        if self.words[SEQ] == seq and seq in self.in_flight:
            if error is not None:
                self.verdicts[seq] = error
            self.doomed = True
            self.kill()

    def rss(self) -> int:
        """Return the bytes of memory that the process and its children use; measured ten times a second."""
        now = perf_counter_ns()
        if now - self._weighed >= PERIOD * 0.9e9 and self.pid is not None:
            self._weighed, self._rss = now, rss_of(self.pid)
        return self._rss

    def weigh(self) -> None:
        """Have the process replaced after its task if it has grown too much."""
        if self.rss() > (self.dispatch.setup.max_rss or math.inf):
            self.retiring = True

    @property
    def pid(self) -> int | None:
        """The process id; None until the process is forked."""
        if self._pid is None and self.ready and self.handle is not None:
            self._pid = self.handle.pid
        return self._pid


def of_worker(error: BaseException) -> BaseException:
    """Return the death of a process as that of a pool's worker."""
    try:
        from actorflow.process.pool import death  # noqa: PLC0415 - 20 ms, and most pools see no death
    except (ImportError, RuntimeError):  # the program ends: `concurrent.futures.process` cannot be loaded any more
        return error
    return death.of_worker(error)
