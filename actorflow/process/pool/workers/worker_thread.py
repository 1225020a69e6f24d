"""WorkerThread: the thread of one worker process, and its decisions: the tasks to send, and the ends to force."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.errors import how_it_ended
from actorflow.process.launch.child_process import ProcessExit
from actorflow.process.log_handling import levels
from actorflow.process.pool.batching import SMALL, fits_behind, gather, is_light
from actorflow.process.pool.workers import worker_main
from actorflow.process.pool.workers.direct_channel import LOOK
from actorflow.process.pool.workers.shared_page import SEQ, SINCE
from actorflow.process.pool.workers.watched_channel import NEVER, STALL, STUCK, WatchedChannel, of_worker
from actorflow.process.proxies import authkey
from actorflow.process.watch import PERIOD

if TYPE_CHECKING:
    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.task import PoolTask

BATCHES: Final = 2  # under way at once, so that the worker has the next when it ends one
ENDING: Final = 5.0  # seconds for a process to end once its socket is closed
UNREAD: Final = 5  # workers that die as they read a task, after which it has an error


class WorkerThread(WatchedChannel):
    """The thread of one worker process, which sends tasks and ends those that must not run on.

    A `PoolWorker` makes one for each process that it starts, and calls `serve` in its own thread; callers of the pool
    use it as a `DirectChannel`.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__(dispatch)
        self.over: Future[None] = Future()  # the process has ended and all is given back
        self.too_heavy = False  # the next task is, for a worker that is starting; once it has, it gets that

    # --- the thread --------------------------------------------------------------------------------------------------

    def serve(self) -> BaseException | None:
        """Send tasks and read replies until the worker is done, or has died: then its error is returned."""
        error: BaseException | None = None
        try:
            if self.handle is None:  # else its predecessor has launched it
                self.launch()
            self.work()
        except (EOFError, OSError):
            error = EOFError()
        except BaseException as failure:  # noqa: BLE001 - a defect: say so, and have the worker replaced
            logger.critical("The pool failed; please report it", exc_info=failure)
            error = failure
        return self.close(error)

    def launch(self) -> None:
        """Start the worker; it need not be ready to be sent tasks."""
        try:
            self.handle = self.dispatch.launch([self.theirs.fileno(), self.page])
        finally:
            self.close_theirs()
        connection = self.connection  # a program that a task has started may hold the socket beyond the worker's end
        self.handle.add_exit_callback(lambda _: connection.end_reads())
        data, buffers = self.dispatch.setup.initializer or (b"", ())
        self.connection.send((worker_main.INITIALIZE, data, levels(), authkey()), buffers)
        # A stopped worker reads nothing, and it is this thread that replaces it.
        self.connection.interrupt_writes(STUCK)

    def close_theirs(self) -> None:
        """Close the copies of descriptors that the worker has its own of; calling it twice is fine."""
        page, self.page = self.page, -1
        if page >= 0:
            self.theirs.close_here()
            os.close(page)

    def work(self) -> None:
        """Loop until the worker is not needed any more."""
        while True:
            with self.lock:
                self.mend()
                self.write_on()
                self.fill()
                if self.is_over():
                    return
                seconds = self.patience()
                borrows = self.borrows
            readable = self.bell.wait(seconds)
            with self.lock:
                self.mend()
                if self.left_over or (readable and borrows == self.borrows):
                    self.read_left_over()
                if not readable or self.watched:
                    self.look()
                if self.dispatch.setup.max_rss is not None:
                    self.weigh()
                outcomes = self.take_outcomes()
            self.deliver(outcomes)

    def write_on(self) -> None:
        """Write the rest of a frame that the worker has not read in time."""
        if self.connection.frames and not self.doomed:
            with suppress(OSError):
                self.connection.write()
                self._next = 0, 0  # it has read: it may take a while until it begins

    def read_left_over(self) -> None:
        """Read the worker's replies, also those that a caller has left in the connection."""
        left, self.left_over = self.left_over, False
        if left:
            self.bell.arm()
        if not left or self.connection.pending() or self.poll.poll(0):
            self.read()

    def is_over(self) -> bool:
        """Say whether the worker has done its last task and may be replaced."""
        if self.in_flight:
            return False
        return self.retiring or (self.dispatch.closing and not self.dispatch.queue)

    def patience(self) -> float:
        """Return for how many seconds nothing has to be looked after."""
        if self.outcomes:
            return 0.0
        if not self.in_flight or self.doomed:
            return LOOK
        last = self.next_seq - 1
        seconds = STALL if len(self.in_flight) > 1 and self.recalled < last else self.until_look()
        if self.watched:
            self.watched = False
            running, since = self.words[SEQ], self.words[SINCE]
            for seq, task in self.in_flight.items():
                options = task.options
                if options.watched:
                    self.watched = True
                    if options.timeout is not None:
                        spent = (perf_counter_ns() - since) / 1e9 if seq == running else 0.0
                        seconds = min(seconds, max(0.0, options.timeout - spent))
                    if options.memory is not None:
                        seconds = min(seconds, PERIOD)
        return seconds

    def until_look(self) -> float:
        """Return in how many seconds to look at the running task, since a chunk of a map may withhold results.

        The worker sends finished items after the next; if that one is slow, they are taken from the journal. The longer
        the item runs, the rarer the looks.
        """
        seq = self.words[SEQ]
        task = self.in_flight.get(seq) or next(iter(self.in_flight.values()))
        if task.count == 1:
            return LOOK
        spent = (perf_counter_ns() - self.words[SINCE]) / 1e9 if seq in self.in_flight else 0.0
        return min(max(STALL, spent), LOOK)

    # --- sending: with the lock held ---------------------------------------------------------------------------------

    def fill(self) -> None:
        """Give the worker the tasks that it may have, or rest idle."""
        dispatch = self.dispatch
        while not (self.retiring or self.doomed):
            if self.resting:
                self.resting = False
                with suppress(ValueError):  # a caller has taken it and is about to send, or was interrupted just then
                    dispatch.idle.remove(self)
            self.too_heavy = False
            while len(self.batches) < BATCHES and not self.retiring and self.send_batch():
                pass
            if self.in_flight or dispatch.closing or self.too_heavy:
                return
            self.resting = True
            if self.ready:
                dispatch.idle.append(self)
            else:  # callers take the last: a worker that has started, else the one that was launched first
                dispatch.idle.insert(0, self)
            if not dispatch.queue:  # looked at after the append, as a caller looks at `idle` after its own
                dispatch.check_drained()
                return

    def send_batch(self) -> bool:
        """Send the next tasks of the queue: one, or many cheap ones. False if the worker has to end others first."""
        queue = self.dispatch.queue
        first = queue.take()
        if first is None:
            return False
        cost, known = first.cost, self.known
        if not (self.ready or is_light(first, known)):
            queue.put_back(first)
            self.too_heavy = True
            return False
        if self.in_flight and not fits_behind(first, cost, self.batches, known):
            queue.put_back(first)
            return False
        tasks, seconds = [first], math.inf if cost is None else cost
        if seconds < SMALL and not first.buffers:
            tasks, seconds = gather(
                queue, first, seconds, min(len(queue) // self.dispatch.workers, self.left - 1), known
            )
        try:
            self.send(tasks, seconds)
        except Exception as error:
            if self.going is not None:
                raise
            for task in tasks:  # no memory for the frame, say: they are in no hands but these
                task.channel = None
                self.fail(task, error)
        return True

    def retire(self) -> None:
        """Let the process end the tasks it has."""
        self.retiring = True
        self.bell.ring()

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self, error: BaseException | None) -> BaseException | None:
        """Give back the tasks that the worker holds, and settle those that are under way."""
        dispatch = self.dispatch
        with self.lock:
            self.mend()
            self.dead = True
            with suppress(ValueError):
                dispatch.idle.remove(self)
        self.connection.close()
        if error is not None and self.ready and not self.retiring:
            self.launch_successor()
        end = self.wait_for_end()
        lacked = error is not None and self.never_ran(end)
        if lacked:
            self.pause(end)
        with self.lock:
            self.collect()
            ran = self.settle(end)
            outcomes = self.take_outcomes()
        self.deliver(outcomes)
        failure = None
        if error is not None and not self.doomed:
            what = f"a worker of {dispatch.path}"
            if self.ready:
                failure = self.death(f"{what}, running {ran}" if ran else f"{what}, idle", end, maybe_ran=bool(ran))
            else:
                failure = self.start_error or self.death(f"{what}, not ready yet", end)
        self.free()
        dispatch.thread_over(self, failure, lacked=lacked)
        self.over._settle(None, None)
        return failure

    def never_ran(self, end: ProcessExit | None) -> bool:
        """Say whether there was not even a process: no descriptor, no memory or no number was to be had for one."""
        if end is None:
            return self.handle is None
        return end.exitcode is None and end.signal is None and not end.refused

    def pause(self, end: ProcessExit | None) -> None:
        """Wait before the next start is tried, unless the pool ends."""
        seconds = self.dispatch.put_off(end.error if end is not None else "no more files or memory")
        if not self.dispatch.closing:
            NEVER.acquire(timeout=seconds)

    def launch_successor(self) -> None:
        """Have a process started for the worker's next thread: it comes up while this one is buried.

        Death to first result: 3.1 ms instead of 3.6; 6 instead of 8 if the machine is busy.
        """
        if self.dispatch.needs_worker():
            with suppress(Exception):  # the worker tries again, and tells
                worker_thread = WorkerThread(self.dispatch)
                try:
                    worker_thread.launch()
                except BaseException:
                    worker_thread.discard()
                    raise
                self.dispatch.launched.append(worker_thread)

    def discard(self) -> None:
        """End a thread that was launched, and that no worker has taken."""
        self.kill()
        self.close_theirs()
        self.connection.close()
        self.free()

    def free(self) -> None:
        """Release the thread's resources beside the connection."""
        self.words.release()
        self.memory.close()
        self.bell.close()

    def wait_for_end(self) -> ProcessExit | None:
        """Wait for the end of the process, whose socket is closed; kill it if it goes on."""
        if self.handle is None:
            return None
        return self.handle.end(ENDING)

    def settle(self, end: ProcessExit | None) -> str:
        """Decide about each task under way: it may have run, or goes back to the queue. Returns the name of the first.

        A task that has not begun, but whose arguments are still the caller's own memory, cannot be run again as it was.
        """
        running = self.words[SEQ]
        reading = next(iter(self.in_flight), 0) if self.ready else 0
        again: list[PoolTask[Any]] = []
        ran = ""
        for seq, task in self.in_flight.items():
            task.channel = None
            if task._done:
                continue
            began = seq <= running
            failure = self.verdicts.get(seq)
            if failure is None and (task.tries >= task.options.retries if began else task.buffers and not task.copied):
                failure = self.death(task.function.name, end, maybe_ran=began)
                ran = task.function.name if began else ran
            if seq == reading and not (began or self.doomed):
                task.unread += 1
                if task.unread == UNREAD and failure is None:
                    failure = self.unreadable(task, end)
            if failure is None:
                failure = self.renewed(task, end, began=began)
            if failure is not None:
                self.fail(task, failure)
            else:
                task.tries += began
                again.append(task)
        self.in_flight.clear()
        self.dispatch.put_back(again)
        return ran

    def renewed(self, task: PoolTask[Any], end: ProcessExit | None, *, began: bool) -> BaseException | None:
        """Get a task ready to be run again. If that fails, as its arguments do not unpickle here, return its death."""
        try:
            task.renew()
        except BaseException as error:  # noqa: BLE001 - user code, a SystemExit too
            failure = self.death(task.function.name, end, maybe_ran=began)
            failure.__cause__ = error
            return failure
        return None

    def unreadable(self, task: PoolTask[Any], end: ProcessExit | None) -> BaseException:
        """Make the error for a task that must not be read by one worker after the other: it may be too big for them."""
        end = end or ProcessExit()
        how = f"{how_it_ended(end.exitcode, end.signal)} as it read the arguments, as {UNREAD - 1} before it did"
        return self.death(task.function.name, end, how=how)

    def death(self, what: str, end: ProcessExit | None, *, maybe_ran: bool = False, how: str = "") -> BaseException:
        """Make the error for a death that we did not want."""
        end, how = end or ProcessExit(), self.connection.how_ended() or how
        error = end.failure(what, maybe_ran=maybe_ran, host="" if self.pid is None else str(self.pid), how=how)
        return of_worker(error)
