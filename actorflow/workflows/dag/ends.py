"""Ends: the consequences of a node's end: others are ready, or skipped, or cancelled. All of it with the lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.workflows.dag.plan import Plan
from actorflow.workflows.dag.ready_set import ReadySet
from actorflow.workflows.dag.table import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, SKIPPED, STATUSES, Try

if TYPE_CHECKING:
    from actorflow.core.clock import Clock

MET: Final = 0  # the end of a node, as those that come after it have it
LEFT_OUT: Final = 1
BROKEN: Final = 2


class Ends(ReadySet):
    """The ends of nodes.

    Attributes:
        is_slow: each end of a node has to be looked at: the run is cancelled or paused, or somebody listens, or a node
            has failed or was left out, or there are groups or parts.
        broken: how many of the nodes before one cannot be met any more.
        pauses: how many nodes wait for another try.
        halted: why no more nodes begin.
        kept: nodes whose ends are in a journal, or about to be: they are cancelled no more.
        tell: gives an event to those who listen.
        cancel_step: has a running node see that it is cancelled.
    """

    def __init__(self, plan: Plan, clock: Clock, workers: int) -> None:
        super().__init__(plan, clock, workers)
        self.is_slow = bool(self.slots) or plan.cancels
        self.broken: dict[int, int] = {}
        self.pauses = 0
        self.halted: BaseException | None = None
        self.kept: set[int] = set()
        self.tell: Callable[[str, int | None, Any], None] | None = None
        self.cancel_step: Callable[[int], None]

    def end(self, first: int, state: int, outcome: int, now: float) -> None:
        """End a node, and all that its end decides: nodes are ready, or skipped. A list of work, as chains are long."""
        if outcome != MET:
            self.is_slow = True
        work = [(first, state, outcome)]
        joined: list[int] = []  # with enough, and cancel the rest: once all that follows from this end is known
        while work or joined:
            if not work:
                self.cancel_rest(joined.pop(), now)
                continue
            i, state, outcome = work.pop()
            if self.state[i] >= COMPLETED:
                continue
            self.state[i] = state
            self.ended[i] = now
            self.left -= 1
            self.free_place(i)
            if self.tell is not None:
                self.tell(f"step {STATUSES[state]}", i, self.errors.get(i))
            for j in self.followers[i]:
                self._edge(i, j, outcome, now, work, joined)
            owner = self.owners.get(i)
            if owner is not None:
                expansion = self.expansions[owner]
                expansion.left -= 1
                if not expansion.left and self.state[owner] == RUNNING:
                    self.resume(owner)

    def _edge(
        self, i: int, j: int, outcome: int, now: float, work: list[tuple[int, int, int]], joined: list[int]
    ) -> None:
        """Note the end of one node at another that comes after it."""
        if self.state[j] != PENDING or self.wait[j] <= 0 or self.halted is not None:
            return
        if outcome == LEFT_OUT and not self.needs(j, i):
            outcome = MET
        if outcome == MET:
            self.wait[j] -= 1
            if not self.wait[j]:
                self.enter(j, now)
                if self.specs[j].options.rest == "cancel":
                    joined.append(j)
                return
            if j not in self.broken:
                return
        else:
            self.broken[j] = self.broken.get(j, 0) + 1
            if outcome == BROKEN:
                self.causes.setdefault(j, i)
        if len(self.before[j]) - self.broken[j] >= self.need[j]:
            return
        if j in self.causes:
            work.append((j, SKIPPED, BROKEN))
        elif self.need[j] - self.wait[j] + self.broken[j] == len(self.before[j]):
            work.append((j, SKIPPED, LEFT_OUT))  # not before all are over: a failure would count for more

    def fail(self, i: int, error: BaseException, at: float | None = None) -> None:
        """Note that no try of a node is left."""
        if self.state[i] >= COMPLETED:
            return
        now = self.now() if at is None else at
        self.errors[i] = error
        if i in self.cancelling:
            self.end(i, CANCELLED, BROKEN, now)
            return
        policy = self.specs[i].options.on_failure
        self.end(i, FAILED, LEFT_OUT if policy == "ignore" else BROKEN, now)
        if policy == "stop" and self.halted is None:
            self.halt_with(error)

    def note_try(self, i: int, failure: Try) -> None:
        """Note a failed try of a node, which waits for the next one; with the lock."""
        self.tries.setdefault(i, []).append(failure)
        if self.state[i] >= COMPLETED:
            return
        if i in self.cancelling or self.halted is not None:
            self.end(i, CANCELLED, BROKEN, failure.ended)
            return
        self.state[i] = PENDING
        self.pauses += 1
        self.started[i] = None
        self.free_place(i)
        if self.tell is not None:
            self.tell("step retried", i, failure.error)

    def cancel_node(self, first: int, now: float) -> None:
        """Cancel a node, and its parts."""
        work = [first]
        while work:
            i = work.pop()
            if i in self.kept:
                continue
            if self.state[i] == RUNNING and i not in self.cancelling:
                self.cancelling.add(i)
                work += self.parts.get(i, ())
                if i not in self.expansions:
                    self.cancel_step(i)
            elif self.state[i] < RUNNING:
                if self.state[i] == PENDING and i in self.tries:
                    self.pauses -= 1
                self.end(i, CANCELLED, BROKEN, now)

    def cancel_rest(self, j: int, now: float) -> None:
        """Cancel the nodes that only this one has waited for, as it waits for no more of them."""
        left = list(self.before[j])
        while left:
            i = left.pop()
            if self.state[i] >= COMPLETED or i in self.cancelling:
                continue
            if all(k == j or self.state[k] >= COMPLETED or k in self.cancelling for k in self.followers[i]):
                self.cancel_node(i, now)
                left += self.before[i]

    def halt_with(self, error: BaseException, *, those_that_run: bool = True) -> None:
        """Begin no more nodes, and cancel those that run, or let them run to their end; the error says why."""
        self.halted = error
        self.is_slow = True
        now = self.now()
        for i in range(len(self.state)):
            if self.state[i] < COMPLETED and self.ended[i] is None:
                if self.begun_at(i) is not None:
                    self.state[i] = RUNNING  # it may be in a chain
                if those_that_run or self.state[i] != RUNNING:
                    self.cancel_node(i, now)
