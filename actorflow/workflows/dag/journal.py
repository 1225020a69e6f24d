"""Journal: the seam for runs of DAGs that outlive their process: the records of a run, and how one goes on from them.

A run in memory has no journal. A run with one writes a record at the end of each task, and goes on from such records
where it was: `start_dag(system, dag, journal, past)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from actorflow.errors import NonDeterministic
from actorflow.workflows.dag.ends import LEFT_OUT, MET
from actorflow.workflows.dag.expansion import AGAIN, expansion_of
from actorflow.workflows.dag.node import MISSING
from actorflow.workflows.dag.plan import INDEX
from actorflow.workflows.dag.table import COMPLETED, READY, RUNNING, SKIPPED, Try

if TYPE_CHECKING:
    from actorflow.store.transaction import Work
    from actorflow.workflows.dag.progress import DagProgress


class NodeRecord(NamedTuple):
    """The end of a node, as a journal keeps it. Times are seconds of the system's clock.

    Attributes:
        name: of the node; a part of another one has that one's name before it, such as "resize[3]".
        kind: "completed", "failed", or "left out" by its condition.
        value: the result; a journal gives it back as it was stored.
        error: of a failure, or of one that a handler gave a result for.
        attempts: how many there were.
        began: when the last attempt began; None: it did not, or that is not known.
        ended: None: that is not known.
        hash: the digest of the node, as it was; None: that is not known.
        also: work that is written with it, such as events that the task has published.
    """

    name: str
    kind: Literal["completed", "failed", "left out"]
    value: Any = None
    error: BaseException | None = None
    attempts: int = 1
    began: float | None = None
    ended: float | None = None
    hash: bytes | None = None
    also: Sequence[Work] = ()


class PastRun(NamedTuple):
    """The part of a run that is over, as it goes on.

    Attributes:
        records: in the order of the journal.
        tries: the failed attempts after which there was another, or was to be, by the names of nodes.
        counts: how many items a map has, by its name.
        cancelled: why the run is cancelled; None: it is not.
    """

    records: Sequence[NodeRecord] = ()
    tries: Mapping[str, Sequence[Try]] = MappingProxyType({})
    counts: Mapping[str, int] = MappingProxyType({})
    cancelled: BaseException | None = None


NOTHING_PAST: Final = PastRun()


class Journal(Protocol):
    """The keeper of a run's records.

    Its duty: `write` is called once for each node that a function of the user's has ended: its task, its
    condition, or its handler. The thread that ran the node calls it, with no lock held, so several may at once. It
    returns when the record is committed, and only then anything follows from it: a node after it begins, or a listener
    hears. The order of records is the order in which they are given to the run that goes on. A PayloadError is the
    node's: its result cannot be stored. Any other error ends the run in this process: another one may have it, or the
    store is gone.

    Skips, joins, gathers and nested DAGs have no records: they follow from those of the tasks, again each time. A loop
    asks its `until` again, and a join that cancels the rest cancels again what has no record. Of a map it is noted how
    many items it has, so that another list is seen.
    """

    def write(self, record: NodeRecord, /) -> NodeRecord | None:
        """Keep a record; return it as it was stored, once it is committed; None: the run was cancelled before it."""
        ...

    def note_try(self, name: str, attempt: int, failure: Try, /) -> None:
        """Keep a failed attempt of a node, after which there is another."""
        ...

    def note_count(self, name: str, count: int, /) -> None:
        """Keep how many items a map has."""
        ...


def replay(progress: DagProgress, past: PastRun) -> None:
    """Bring a run to where its records end, before a worker begins: no node that has a record runs again.

    Raises:
        NonDeterministic: a record does not fit the DAG: its nodes, or their order, are others by now.
    """
    names = {record.name for record in past.records}
    places: dict[str, int] = {}

    def note_places() -> None:
        for i in range(len(places), len(progress.names)):
            places[progress.names[i]] = i
            if progress.names[i] in names:
                progress.kept.add(i)

    note_places()
    for record in past.records:
        while not is_at(progress, places.get(record.name)):
            if not derive(progress, names, past.counts):
                raise misfit(f"the end of node {record.name}", "nodes of which it cannot have ended by then")
            note_places()
        apply(progress, places[record.name], record)
    if past.records:
        while derive(progress, names, past.counts):
            note_places()
    for name, tries in past.tries.items():
        at = places.get(name)
        if at is not None:  # last, since a node that pends and has tries is one that waits for its pause
            progress.tries[at] = list(tries)


def is_at(progress: DagProgress, i: int | None) -> bool:
    """Say whether a node may end now: it is ready, or all its parts have ended."""
    if i is None:
        return False
    return progress.state[i] == READY or (progress.state[i] == RUNNING and not progress.expansions[i].left)


def apply(progress: DagProgress, i: int, record: NodeRecord) -> None:
    """End a node as it is recorded.

    Raises:
        NonDeterministic: it has another task by now, or other arguments.
    """
    if record.hash is not None and record.hash != progress.digest_of(i):
        raise NonDeterministic(
            f"node {record.name} as it was", "one with another task, or other arguments", is_dag=True
        )
    now = progress.now() if record.ended is None else record.ended
    progress.recorded[i] = record.attempts
    ready, progress.started[i] = progress.readied[i], record.began
    if record.began is not None and (ready is None or ready > record.began):
        progress.readied[i] = record.began  # it was ready in another process
    if record.error is not None:
        progress.errors[i] = record.error
    if record.kind == "completed":
        complete(progress, i, record.value, now)
    elif record.kind == "failed":
        progress.fail(i, record.error or RuntimeError("a failure"), now)
    else:
        progress.end(i, SKIPPED, LEFT_OUT, now)


def derive(progress: DagProgress, recorded: set[str], counts: Mapping[str, int]) -> bool:
    """Do one thing that follows without a record: expand a node, gather results, end a node whose parts have ended."""
    for entry in sorted(progress.heap):
        i = entry & INDEX
        if progress.specs[i].kind == "task" or progress.names[i] in recorded:
            continue
        if progress.state[i] not in {READY, RUNNING}:
            continue
        try:
            if not go_on(progress, i, counts):
                continue
        except NonDeterministic:
            raise
        except Exception as error:  # noqa: BLE001 - a part has failed, or a function of the user's
            if callable(progress.specs[i].options.on_failure):
                continue  # a worker asks that, and has a record of the answer
            progress.fail(i, error)
        return True
    return False


def go_on(progress: DagProgress, i: int, counts: Mapping[str, int]) -> bool:
    """Expand a node that is ready, or end one whose parts have ended; False if its condition says no."""
    if progress.state[i] == RUNNING:
        expansion = progress.expansions[i]
        value = expansion.result(progress, i)
        progress.heap.remove(progress.entries[i])
        if value is AGAIN:
            progress.expand(i, expansion)
        else:
            complete(progress, i, value, progress.latest_part(i) or progress.started[i])
        return True
    when = progress.specs[i].options.when
    if when is not None and not when(progress.results_of(i)):
        return False  # nobody had asked yet, or that had a record
    progress.heap.remove(progress.entries[i])  # another one is put there when its parts have ended
    progress.state[i] = RUNNING
    progress.started[i] = progress.readied[i]
    if progress.specs[i].kind == "gather":
        complete(progress, i, [value for value in progress.arguments(i) if value is not MISSING], progress.started[i])
        return True
    expansion = expansion_of(progress, i)
    count = counts.get(progress.names[i], expansion.left)
    if count != expansion.left:
        raise misfit(f"node {progress.names[i]}, a map of {count} items", f"a map of {expansion.left} items")
    progress.expand(i, expansion)
    return True


def complete(progress: DagProgress, i: int, value: Any, at: float | None) -> None:
    """Give a node its result."""
    progress.results[i] = value
    progress.end(i, COMPLETED, MET, progress.now() if at is None else at)


def misfit(recorded: str, declared: str) -> NonDeterministic:
    """Return the error of a DAG with other nodes than when a run of it was recorded."""
    return NonDeterministic(recorded, declared, is_dag=True)
