"""Expansions: what a node turns into when it runs: the items of a map, the nodes of a nested DAG, the rounds of a loop.

The parts are nodes like any other. The node itself runs until they are over, and then a worker ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from actorflow.errors import DefinitionError, StepFailed
from actorflow.text import reason_of, text_of
from actorflow.workflows.dag.node import NodeOptions, Results
from actorflow.workflows.dag.plan import INDEX_BITS
from actorflow.workflows.dag.ready_set import Slots
from actorflow.workflows.dag.specs import NodeSpec

if TYPE_CHECKING:
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.progress import DagProgress

PART = NodeOptions()


class Expansion(Protocol):
    """The parts of one node.

    Attributes:
        left: how many of them have not ended.
    """

    left: int

    def add_to(self, progress: DagProgress, owner: int, /) -> None:
        """Add the parts; called with the lock."""
        ...

    def result(self, progress: DagProgress, owner: int, /) -> Any:
        """Return the result of the node, once the parts are over; AGAIN if there are more now.

        Raises:
            StepFailed: one of the parts has failed.
        """
        ...


AGAIN: Any = object()


class MapItems:
    """The calls of a task for each item of a list."""

    def __init__(self, spec: NodeSpec, items: list[Any]) -> None:
        self.spec = spec
        self.items = items
        self.left = len(items)
        self.first = 0

    def add_to(self, progress: DagProgress, owner: int, /) -> None:
        """Add a node for each item."""
        slots = None if self.spec.limit is None else Slots(self.spec.limit)
        self.first, name = len(progress.names), progress.names[owner]
        now = progress.now()
        for number, item in enumerate(self.items):
            part = NodeSpec("task", self.spec.work, (item,), PART)
            i = progress.add_part(owner, f"{name}[{number}]", part)
            if slots is not None:
                progress.slots[i] = slots
            progress.enter(i, now)

    def result(self, progress: DagProgress, owner: int, /) -> list[Any]:  # noqa: ARG002 - as Expansion has it
        """Return the list of the results."""
        raise_failure(progress, range(self.first, self.first + len(self.items)))
        return progress.results[self.first : self.first + len(self.items)]


class NestedNodes:
    """The nodes of a DAG within another one."""

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self.plan = dag.plan()
        self.left = len(self.plan.names)
        self.first = 0

    def add_to(self, progress: DagProgress, owner: int, /) -> None:
        """Add the nodes of the DAG, with their edges."""
        plan = self.plan
        base = self.first = len(progress.names)
        name, rank = progress.names[owner], progress.entries[owner] >> INDEX_BITS
        for i, spec in enumerate(plan.specs):
            j = progress.add_part(owner, f"{name}/{plan.names[i]}", spec)
            progress.bases[j] = base
            progress.entries[j] = (rank + (plan.entries[i] >> INDEX_BITS)) << INDEX_BITS | j
            progress.followers[j] = tuple(base + k for k in plan.followers[i])
            progress.before[j] = tuple(base + k for k in plan.before[i])
            progress.sources[j] = tuple(base + k for k in plan.sources[i])
            progress.need[j] = progress.wait[j] = plan.need[i]
        progress.join_groups(base + i for i in plan.grouped)
        now = progress.now()
        for i in plan.first:
            progress.enter(base + i, now)

    def result(self, progress: DagProgress, owner: int, /) -> Results:  # noqa: ARG002 - as above
        """Return the results of its nodes."""
        raise_failure(progress, range(self.first, self.first + len(self.plan.names)))
        return Results(self.dag, progress.results, self.first)


class LoopRounds:
    """The rounds of a loop, one after the other."""

    def __init__(self, spec: NodeSpec, start: Any) -> None:
        self.spec = spec
        self.value = start
        self.rounds = 0
        self.left = 1
        self.at = 0

    def add_to(self, progress: DagProgress, owner: int, /) -> None:
        """Add the next round."""
        self.left = 1
        self.rounds += 1
        part = NodeSpec("task", self.spec.work, (self.value,), PART)
        self.at = progress.add_part(owner, f"{progress.names[owner]}[{self.rounds - 1}]", part)
        progress.enter(self.at, progress.now())

    def result(self, progress: DagProgress, owner: int, /) -> Any:
        """Return the result of the last round; AGAIN if there is another one."""
        raise_failure(progress, range(self.at, self.at + 1))
        self.value = progress.results[self.at]
        assert self.spec.until is not None
        if self.spec.until(self.value):
            return self.value
        if self.rounds == self.spec.limit:
            raise StepFailed(
                progress.names[owner], f"none of its {self.rounds} rounds was the last, and that is its limit"
            )
        return AGAIN


class LateFailure:
    """The failure of a node whose thread runs on: a worker acts on it in place of that thread."""

    left = 0

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def add_to(self, progress: DagProgress, owner: int, /) -> None:
        """Add nothing."""

    def result(self, progress: DagProgress, owner: int, /) -> Any:  # noqa: ARG002 - as Expansion has it
        """Raise the error."""
        raise self.error


def expansion_of(progress: DagProgress, i: int) -> Expansion:
    """Return the parts of a node that is a map, a loop or a nested DAG.

    Raises:
        DefinitionError: a map is over a result that is no list.
    """
    spec: Any = progress.specs[i]
    if spec.kind == "dag":
        return NestedNodes(spec.work)
    items = progress.arguments(i)[0]
    if spec.kind == "loop":
        return LoopRounds(spec, items)
    if isinstance(items, str | bytes) or not isinstance(items, Sequence):
        msg = f"{progress.names[i]} maps over {text_of(items)}: the result of that node is to be a list"
        raise DefinitionError(msg)
    return MapItems(spec, list(items))


def raise_failure(progress: DagProgress, parts: range) -> None:
    """Raise the first failure among the parts of a node."""
    failed = [i for i in parts if progress.counts_as_failed(i)]
    if failed:
        error = progress.errors[failed[0]]
        raise StepFailed(progress.names[failed[0]], reason_of(error)) from error
