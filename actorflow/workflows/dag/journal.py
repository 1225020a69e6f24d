"""Journal: the seam for runs of DAGs that outlive their process: the records of a run, and how one goes on from them.

A run in memory has no journal. A run with one writes a record at the end of each task, and goes on from such records
where it was: `start_dag(system, dag, journal, records)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from actorflow.errors import NonDeterministic
from actorflow.workflows.dag.ends import LEFT_OUT, MET
from actorflow.workflows.dag.expansion import AGAIN, expansion_of
from actorflow.workflows.dag.node import MISSING
from actorflow.workflows.dag.plan import INDEX
from actorflow.workflows.dag.table import COMPLETED, READY, RUNNING, SKIPPED

if TYPE_CHECKING:
    from actorflow.workflows.dag.progress import DagProgress


class NodeRecord(NamedTuple):
    """The end of a node, as a journal keeps it.

    Attributes:
        name: of the node; a part of another one has that one's name before it, such as "resize[3]".
        kind: "completed", "failed", or "left out" by its condition.
        value: the result; a journal gives it back as it was stored.
        error: of a failure, or of one that a handler gave a result for.
        attempts: how many there were.
    """

    name: str
    kind: Literal["completed", "failed", "left out"]
    value: Any = None
    error: BaseException | None = None
    attempts: int = 1


class Journal(Protocol):
    """The keeper of a run's records.

    Its duty: `write` is called once for each node that a function of the user's has ended: its task, its
    condition, or its handler. The thread that ran the node calls it, with no lock held, so several may at once. It
    returns when the record is committed, and only then anything follows from it: a node after it begins, or a listener
    hears. The order of records is the order in which they are given to the run that goes on. An error that it raises
    ends the run in this process: another one may have it, or the store is gone.

    Skips, joins, maps, gathers and nested DAGs have no records: they follow from those of the tasks, again each time. A
    loop asks its `until` again, and a join that cancels the rest cancels again what has no record.
    """

    def write(self, record: NodeRecord, /) -> None:
        """Keep a record; return when it is committed."""
        ...


def replay(progress: DagProgress, records: Iterable[NodeRecord]) -> None:
    """Bring a run to where its records end, before a worker begins: no node that has a record runs again.

    Raises:
        NonDeterministic: a record does not fit the DAG: its nodes, or their order, are others by now.
    """
    recorded = list(records)
    if not recorded:
        return
    names = {record.name for record in recorded}
    places = {name: i for i, name in enumerate(progress.names)}
    for record in recorded:
        while not is_at(progress, places.get(record.name)):
            if not derive(progress, names):
                raise NonDeterministic(f"the end of node {record.name}", "a DAG in which it cannot have ended by then")
            for i in range(len(places), len(progress.names)):
                places[progress.names[i]] = i
        apply(progress, places[record.name], record)


def is_at(progress: DagProgress, i: int | None) -> bool:
    """Say whether a node may end now: it is ready, or all its parts have ended."""
    if i is None:
        return False
    return progress.state[i] == READY or (progress.state[i] == RUNNING and not progress.expansions[i].left)


def apply(progress: DagProgress, i: int, record: NodeRecord) -> None:
    """End a node as it is recorded."""
    now = progress.now()
    progress.recorded[i] = record.attempts
    if record.error is not None:
        progress.errors[i] = record.error
    if record.kind == "completed":
        complete(progress, i, record.value)
    elif record.kind == "failed":
        progress.fail(i, record.error or RuntimeError("a failure"))
    else:
        progress.end(i, SKIPPED, LEFT_OUT, now)


def derive(progress: DagProgress, recorded: set[str]) -> bool:
    """Do one thing that follows without a record: expand a node, gather results, end a node whose parts have ended."""
    for entry in sorted(progress.heap):
        i = entry & INDEX
        if progress.specs[i].kind == "task" or progress.names[i] in recorded:
            continue
        if progress.state[i] not in {READY, RUNNING}:
            continue
        try:
            if not go_on(progress, i):
                continue
        except Exception as error:  # noqa: BLE001 - a part has failed, or a function of the user's
            progress.fail(i, error)
        return True
    return False


def go_on(progress: DagProgress, i: int) -> bool:
    """Expand a node that is ready, or end one whose parts have ended; False if its condition says no."""
    if progress.state[i] == RUNNING:
        progress.heap.remove(progress.entries[i])
        expansion = progress.expansions[i]
        value = expansion.result(progress, i)
        if value is AGAIN:
            progress.expand(i, expansion)
        else:
            complete(progress, i, value)
        return True
    when = progress.specs[i].options.when
    if when is not None and not when(progress.results_of(i)):
        return False  # nobody had asked yet, or that had a record
    progress.heap.remove(progress.entries[i])  # another one is put there when its parts have ended
    progress.state[i] = RUNNING
    progress.started[i] = progress.now()
    if progress.specs[i].kind == "gather":
        complete(progress, i, [value for value in progress.arguments(i) if value is not MISSING])
    else:
        progress.expand(i, expansion_of(progress, i))
    return True


def complete(progress: DagProgress, i: int, value: Any) -> None:
    """Give a node its result."""
    progress.results[i] = value
    progress.end(i, COMPLETED, MET, progress.now())
