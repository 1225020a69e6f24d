"""Past: the journal of a run of a DAG, as rows, and as a run that goes on from it needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import RunCancelled, StepFailed
from actorflow.store.error_json import read_error
from actorflow.tasks.task import AnyTask
from actorflow.workflows.dag.journal import NodeRecord, PastRun
from actorflow.workflows.dag.table import Try
from actorflow.workflows.rows.records import ATTEMPT, CANCEL, COUNT, LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.rows.records import RunRecord


def past_of(dag: Dag, records: Iterable[RunRecord], read: Callable[[bytes], Any], offset: float) -> PastRun:
    """Return the part of a run that its rows tell of; rows behind its cancel count for nothing.

    Args:
        dag: that it is a run of.
        records: its rows.
        read: returns a stored value.
        offset: seconds since the epoch when the system's clock was at 0.
    """
    ends: list[NodeRecord] = []
    tries: dict[str, list[Try]] = {}
    counts: dict[str, int] = {}
    for record in records:
        name = record.identity[1]
        if record.kind == CANCEL:
            error = None if record.error is None else read_error(record.error)[1]
            return PastRun(ends, tries, counts, error or RunCancelled("the run was cancelled"))
        if record.kind == COUNT:
            counts[name] = read(record.value or b"0")
        elif record.kind == ATTEMPT:
            began = record.at if record.began is None else record.began
            tries.setdefault(name, []).append(Try(began - offset, record.at - offset, error_in(dag, record)))
        else:
            ends.append(as_node_record(dag, record, read, offset))
    return PastRun(ends, tries, counts)


def as_node_record(dag: Dag, record: RunRecord, read: Callable[[bytes], Any], offset: float) -> NodeRecord:
    """Return the end of a node that a row tells of."""
    completed = record.value is not None
    return NodeRecord(
        record.identity[1],
        "left out" if record.kind == LEFT_OUT else "completed" if completed else "failed",
        None if record.value is None else read(record.value),
        None if record.error is None else error_in(dag, record),
        record.attempt,
        None if record.began is None else record.began - offset,
        record.at - offset,
        record.hash,
    )


def error_in(dag: Dag, record: RunRecord) -> BaseException:
    """Return the error of a node: a builtin one, actorflow's or one that its task declares, else a StepFailed."""
    name = record.identity[1]
    task = task_of(dag, name)
    text, error = read_error(record.error, () if task is None else task.raises)
    return StepFailed(name, text) if error is None else error


def task_of(dag: Dag, name: str) -> AnyTask | None:
    """Return the task of a node, or of a part of one."""
    while True:
        index = dag._by_name.get(name)
        if index is None and name.endswith("]"):
            index = dag._by_name.get(name.rpartition("[")[0])
        if index is not None:
            work = dag._specs[index].work
            return work if isinstance(work, AnyTask) else None
        for place, letter in enumerate(name):
            outer = dag._by_name.get(name[:place]) if letter == "/" else None
            if outer is not None and dag._specs[outer].kind == "dag":
                dag, name = dag._specs[outer].work, name[place + 1 :]  # type: ignore[assignment]
                break
        else:
            return None
