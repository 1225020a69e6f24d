"""ReadySet: the nodes of a run that may begin, in the order in which they should, and the workers that wait for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from actorflow.workflows.dag.plan import INDEX, Plan
from actorflow.workflows.dag.table import READY, RUNNING, NodeTable

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.refs.ref import ActorRef


class Slots:
    """The places of a group, of which each node that is ready or runs has one; the others wait for one."""

    __slots__ = ("free", "holders", "waiting")

    def __init__(self, limit: int) -> None:
        self.free = limit
        self.holders: set[int] = set()
        self.waiting: list[int] = []  # entries of nodes that are ready but for a place


class ReadySet(NodeTable):
    """The nodes that are ready. The lock guards it, and all else of a run.

    Attributes:
        heap: entries of nodes that are ready: the smallest goes first.
        limit: how many workers there may be.
        workers: how many there are.
        idle: those that wait for a node.
        gone: those whose threads run on with a node that was given up.
        hire: has more workers started.
        wake: has an idle worker look for a node.
    """

    def __init__(self, plan: Plan, clock: Clock, workers: int) -> None:
        super().__init__(plan, clock)
        self.lock = threading.Lock()
        self.heap: list[int] = []
        self.slots: dict[int, Slots] = {}
        self.limit = workers
        self.workers = 0
        self.idle: list[ActorRef[Any]] = []
        self.gone: set[ActorRef[Any]] = set()
        self.is_paused = self.is_hiring = False
        self.hire: Callable[[], None]
        self.wake: Callable[[ActorRef[Any]], None]
        self.join_groups(plan.grouped)

    def join_groups(self, nodes: Iterable[int]) -> None:
        """Have nodes take places in their groups; those of one run of a DAG have them in common."""
        groups: dict[int, Slots] = {}
        for i in nodes:
            group = self.specs[i].options.group
            assert group is not None
            self.slots[i] = groups.setdefault(id(group), Slots(group.limit))

    def enter(self, i: int, now: float) -> None:
        """Have a node be ready, or wait for a place in its group."""
        self.state[i] = READY
        self.readied[i] = now
        slots = self.slots.get(i)
        if slots is None:
            heappush(self.heap, self.entries[i])
        elif slots.free:
            slots.free -= 1
            slots.holders.add(i)
            heappush(self.heap, self.entries[i])
        else:
            heappush(slots.waiting, self.entries[i])

    def resume(self, i: int) -> None:
        """Have a worker go on with a node whose parts are over."""
        heappush(self.heap, self.entries[i])

    def free_place(self, i: int) -> None:
        """Give the place that a node has in its group to another one."""
        slots = self.slots.get(i)
        if slots is None or i not in slots.holders:
            return
        slots.holders.remove(i)
        while slots.waiting:
            j = heappop(slots.waiting) & INDEX
            if self.state[j] == READY:
                slots.holders.add(j)
                heappush(self.heap, self.entries[j])
                return
        slots.free += 1

    def next_for(self, worker: ActorRef[Any]) -> int:
        """Return the next node for a worker; without one it is idle, and -1."""
        heap = self.heap
        if worker in self.gone:
            return -1
        while heap and not self.is_paused:
            i = heappop(heap) & INDEX
            if self.state[i] == READY:
                self.state[i] = RUNNING
            elif not (self.state[i] == RUNNING and i in self.expansions):
                continue  # it was cancelled
            if heap:
                self.call_workers()
            return i
        self.idle.append(worker)
        return -1

    def call_workers(self) -> None:
        """Wake idle workers for the nodes that are ready, or have more of them hired."""
        if self.is_paused:
            return
        count = len(self.heap)
        while count > 0 and self.idle:
            self.wake(self.idle.pop())
            count -= 1
        if count > 0 and self.workers < self.limit and not self.is_hiring:
            self.is_hiring = True
            self.hire()
