"""Progress: how far one run of a DAG is: the status of each node, the results, and the nodes that are ready.

Workers' threads and the runner call it. One lock guards it, which is held for as long as it takes to count down the
nodes that come after one, and never while a function of the user's runs.

While nothing unusual has happened (`is_slow` is False), a worker's thread goes along a chain of nodes by itself: it
notes their times and results, and counts them when it next takes the lock. So the status of a node in such a chain
follows from its times: see `status_of`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush, heappushpop
from typing import TYPE_CHECKING, Any

from actorflow.errors import DeadlockError, StepFailed
from actorflow.text import reason_of
from actorflow.workflows.dag.ends import BROKEN, LEFT_OUT, MET, Ends
from actorflow.workflows.dag.journal import NOTHING_PAST, PastRun, replay
from actorflow.workflows.dag.node import MISSING
from actorflow.workflows.dag.plan import INDEX, Plan, shown
from actorflow.workflows.dag.table import CANCELLED, COMPLETED, PENDING, READY, RUNNING, SKIPPED, Try

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.expansion import Expansion


class DagProgress(Ends):
    """The progress of one run.

    Attributes:
        status: of the run.
        error: that ended it.
        is_cancelled_whole: it was cancelled, not only some nodes of it.
        latest: the time of the latest end that was counted: what comes after several nodes begins no earlier.
        is_leaving: no more nodes begin here, for good.
        over: is called once it has ended.
        left_behind: is called once nothing runs any more of a run that is left.
    """

    def __init__(self, plan: Plan, clock: Clock, workers: int) -> None:
        super().__init__(plan, clock, workers)
        self.status = "pending"
        self.error: BaseException | None = None
        self.is_cancelled_whole = False
        self.is_leaving = False
        self.latest = -math.inf
        self.left_behind: Callable[[], None] = lambda: None
        self.over: Callable[[], None]

    # --- its begin ----------------------------------------------------------------------------------------------------

    def begin(self, past: PastRun = NOTHING_PAST) -> None:
        """Have the nodes that wait for none be ready, and workers at work; after those that have records.

        Raises:
            NonDeterministic: a record does not fit the DAG.
        """
        with self.lock:
            if self.status != "pending":
                return
            self.status = "running"
            if self.tell is not None:
                self.tell("started", None, None)
            now = self.now()
            for i in self.plan.first:
                self.enter(i, now)
        replay(self, past)  # nobody else is at work yet
        if past.cancelled is not None:
            self.halt(past.cancelled)
            return
        with self.lock:
            self.call_workers()
        self._look_over()

    # --- a node's end, as a worker's thread has it --------------------------------------------------------------------

    def completed(self, worker: ActorRef[Any], i: int, value: Any, now: float, linked: int = 0) -> int:
        """Note the result of a node, and return the next one for the worker's thread; -1 if there is none.

        Args:
            worker: is idle if there is none.
            i: the node.
            value: its result.
            now: the time of its end.
            linked: how many nodes before it were completed without the lock.
        """
        if not self.is_slow:
            self.results[i] = value
            self.ended[i] = now
            return self.pass_on(worker, i, now, linked)
        with self.lock:
            self._completed_slowly(i, value, now, linked)
            following = self.next_for(worker)
        self._look_over()
        return following

    def pass_on(self, worker: ActorRef[Any], i: int, now: float, linked: int) -> int:
        """Do the same as `completed` for a plain call whose result and time are noted: fast, if nothing is unusual."""
        with self.lock:
            if now < self.latest:  # read before this thread had the lock, and another one has ended a node meanwhile
                now = self.latest
            else:
                self.latest = now
            if self.is_slow:
                self._completed_slowly(i, self.results[i], now, linked)
                following = self.next_for(worker)
            else:
                state, wait, heap, entries = self.state, self.wait, self.heap, self.entries
                state[i] = COMPLETED
                self.left -= linked + 1
                best: int | None = None
                for j in self.followers[i]:
                    left = wait[j] = wait[j] - 1
                    if not left:
                        state[j] = READY
                        self.readied[j] = now
                        if best is None:
                            best = entries[j]
                        else:
                            heappush(heap, entries[j])
                if heap:
                    best = heappop(heap) if best is None else heappushpop(heap, best)
                    if heap and (self.idle or self.workers < self.limit):
                        self.call_workers()
                if best is not None:
                    following = best & INDEX
                    state[following] = RUNNING
                    return following
                self.idle.append(worker)
                following = -1
        self._look_over()
        return following

    def _completed_slowly(self, i: int, value: Any, now: float, linked: int) -> None:
        self.left -= linked
        if self.state[i] >= COMPLETED:
            return  # it was given up, and this is too late
        if i in self.cancelling:
            self.results[i] = MISSING
            self.end(i, CANCELLED, BROKEN, now)
        else:
            self.results[i] = value
            self.end(i, COMPLETED, MET, now)

    def count(self, linked: int) -> None:
        """Count nodes that were completed without the lock."""
        with self.lock:
            self.left -= linked

    def begun(self, i: int) -> bool:
        """Note that a worker begins a node; False if it was cancelled meanwhile."""
        with self.lock:
            if self.state[i] >= COMPLETED:
                return False
            if i in self.cancelling:  # as it was about to be gone on to
                self.end(i, CANCELLED, BROKEN, self.now())
                return False
            if self.is_paused:
                self.free_place(i)  # else it would wait for the place in its group that it has itself
                self.enter(i, self.now())
                return False
            self.state[i] = RUNNING
            self.started[i] = self.now()
            if self.readied[i] is None:
                self.readied[i] = self.started[i]
            if self.tell is not None:
                self.tell("step started", i, None)
            return True

    def cut(self, error: BaseException, status: str) -> bool:
        """End the run at once, whatever runs; False if it is over."""
        with self.lock:
            if self.status in {"completed", "failed", "cancelled"}:
                return False
            self.cancel_step = lambda _i: None  # the runner is gone
            self.halt_with(error)
            now = self.now()
            for i in range(len(self.state)):
                if self.state[i] < COMPLETED and self.ended[i] is None:
                    self.state[i], self.ended[i] = CANCELLED, now
            self.status, self.error, self.heap = status, error, []
            if self.tell is not None:
                self.tell(status, None, error)
            return True

    def take(self, worker: ActorRef[Any]) -> int:
        """Return a node for an idle worker; -1 if there is none."""
        with self.lock:
            following = self.next_for(worker)
        self._look_over()
        return following

    def left_out(self, worker: ActorRef[Any], i: int) -> int:
        """Note that a node's condition leaves it out; return the next one."""
        with self.lock:
            if self.state[i] < COMPLETED:
                self.end(i, SKIPPED, LEFT_OUT, self.now())
            following = self.next_for(worker)
        self._look_over()
        return following

    def failed(self, worker: ActorRef[Any], i: int, error: BaseException, linked: int = 0) -> int:
        """Note that no try of a node is left; return the next one."""
        with self.lock:
            self.left -= linked
            self.fail(i, error)
            following = self.next_for(worker)
        self._look_over()
        return following

    def again(self, worker: ActorRef[Any], i: int, failure: Try, linked: int = 0) -> int:
        """Note that a node is tried again in a while; return the next one."""
        with self.lock:
            self.left -= linked
            self.note_try(i, failure)
            following = self.next_for(worker)
        self._look_over()
        return following

    def try_again(self, i: int) -> None:
        """Have a node be ready again, as its pause is over."""
        with self.lock:
            if self.state[i] == PENDING:
                self.pauses -= 1
                self.enter(i, self.now())
                self.call_workers()
        self._look_over()

    def expand(self, i: int, expansion: Expansion) -> None:
        """Add the parts of a node; with the lock."""
        self.is_slow = True
        self.expansions[i] = expansion
        expansion.add_to(self, i)
        if not expansion.left:
            self.resume(i)

    def expanded(self, worker: ActorRef[Any], i: int, expansion: Expansion) -> int:
        """Add the parts of a node, which ends when they have; return the next one."""
        with self.lock:
            if i in self.cancelling:
                self.end(i, CANCELLED, BROKEN, self.now())
            elif self.state[i] < COMPLETED:
                self.expand(i, expansion)
            following = self.next_for(worker)
        self._look_over()
        return following

    # --- the run's end ------------------------------------------------------------------------------------------------

    def _look_over(self) -> None:
        """See whether the run has ended, or can never end."""
        if self.is_leaving and not self.is_busy:
            self.left_behind()
        if self.left and (
            self.heap or len(self.idle) < self.workers or self.pauses or self.is_hiring or self.is_paused
        ):
            return
        with self.lock:
            if self.status not in {"running", "paused"}:
                return
            if self.left:
                if self.heap or len(self.idle) < self.workers or self.pauses or self.is_hiring or self.is_paused:
                    return
                self.error = DeadlockError(self._dead_end())
                self.halt_with(self.error)
            self.is_slow = True
            self.status = self._final_status()
            if self.tell is not None:
                self.tell(self.status, None, self.error)
        self.over()

    def _final_status(self) -> str:
        if isinstance(self.error, DeadlockError):
            return "failed"
        if self.is_cancelled_whole and CANCELLED in self.state:
            self.error = self.halted
            return "cancelled"
        failed = [i for i in self.errors if self.counts_as_failed(i) and i not in self.owners]
        if not failed:
            return "completed"
        i = failed[0]
        cause = self.errors[i]
        why = cause.why if isinstance(cause, StepFailed) and cause.step == self.names[i] else reason_of(cause)
        self.error = StepFailed(self.names[i], why)
        self.error.__cause__ = cause
        if len(failed) > 1:
            self.error.add_note(f"also failed: {shown([self.names[k] for k in failed[1:]], ', ')}")
        return "failed"

    def _dead_end(self) -> str:
        lines = []
        for i, state in enumerate(self.state):
            if state < COMPLETED and self.ended[i] is None:
                on = [self.names[k] for k in self.before[i] if self.ended[k] is None]
                lines.append(f"{self.names[i]} waits for {shown(on, ', ') or 'nothing'}")
        return f"{self.plan.dag.name} came to a dead end: {shown(lines, '; ')}"

    def halt(self, error: BaseException, *, those_that_run: bool = True) -> None:
        """Begin no more nodes, and cancel those that run, or let them run to their end; the error says why."""
        with self.lock:
            if self.halted is None and self.status in {"pending", "running", "paused"}:
                if self.status == "pending":
                    self.status = "running"
                self.is_cancelled_whole = True
                self.is_paused = self.is_leaving
                self.halt_with(error, those_that_run=those_that_run)
                self.call_workers()  # a node whose parts are cancelled has to end
        self._look_over()

    def fail_later(self, i: int, failure: Expansion) -> None:
        """Have a worker act on the failure of a node whose thread runs on."""
        with self.lock:
            if self.state[i] == RUNNING:
                self.expand(i, failure)
                self.call_workers()

    def give_up(self, i: int, error: BaseException) -> None:
        """End a node whose thread runs on: its late result is refused."""
        with self.lock:
            self.fail(i, error)
        self._look_over()

    # --- the run goes on elsewhere ------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a node runs."""
        return self.is_hiring or len(self.idle) < self.workers

    def leave(self) -> None:
        """Begin no more nodes here, for good, and say when those that run have ended."""
        with self.lock:
            self.is_slow = self.is_paused = self.is_leaving = True
        self._look_over()

    def pause(self) -> bool:
        """Begin no more nodes for now; False if the run has ended, or pauses already."""
        with self.lock:
            if self.status != "running" or self.halted is not None:
                return False
            self.status = "paused"
            self.is_slow = self.is_paused = True
            if self.tell is not None:
                self.tell("paused", None, None)
            return True

    def go_on(self) -> bool:
        """Go on after a pause; False if there was none."""
        with self.lock:
            if self.status != "paused":
                return False
            self.status = "running"
            self.is_paused = False
            if self.tell is not None:
                self.tell("resumed", None, None)
            self.call_workers()
        self._look_over()
        return True
