"""Replay: the records of a run against the code of today, in virtual time, without running a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.app.virtual import VirtualSystem
from actorflow.core.clock import VirtualClock
from actorflow.errors import ActorflowError, AskTimeout, DefinitionError, NonDeterministic, PayloadError
from actorflow.store.codec import decode
from actorflow.store.error_json import read_error
from actorflow.text import text_of
from actorflow.workflows.body.doubts import Doubt, Doubts
from actorflow.workflows.body.replayed_body import AsyncReplayedBody, ReplayedBody, SyncReplayedBody
from actorflow.workflows.dag.definition import Dag
from actorflow.workflows.dag.durable_dag import DurableDag
from actorflow.workflows.opening import node_of
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import FINAL, KIND_NAMES, READY, RunRecord, step_name
from actorflow.workflows.stored_runs import plain
from actorflow.workflows.workflow import AnyWorkflow

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import RunRow

PATIENCE: Final = 60.0  # virtual seconds for code that hears of no record any more
DEAD: Final = "replay"  # the node that had the run
KINDS_BY_NAME: Final = {name: kind for kind, name in KIND_NAMES.items()}
STATUS, OUTPUT, ERROR, TURN = 8, 15, 16, 22  # columns of `runs.get`


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A replay of a run.

    Attributes:
        run: its id.
        workflow: the name of its workflow.
        records: how many it has.
        difference: the first place where the code differs from the records, or cannot read them; None: they fit.
        doubts: calls of clocks, chance and threads in its body, which may make it differ another time.
    """

    run: str
    workflow: str
    records: int
    difference: ActorflowError | None
    doubts: tuple[Doubt, ...]


def check_replay(workflow: AnyWorkflow | Dag, export: Mapping[str, Any], /) -> ReplayReport:
    """Replay a run with the code of today, and raise the first difference; no task is run.

    So a test can keep runs of a workflow that is in use, and see whether a change of its code fits them.

    Args:
        workflow: the code; or a DAG.
        export: the run: `json.load` of a file of `actorflow runs export`, or `system.runs().export(id)`.

    >>> import actorflow as af
    >>> @af.task
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> @af.workflow
    ... def quadruple(n: int) -> int:
    ...     return double(double(n))
    >>> with af.ActorSystem("demo") as system:
    ...     run = system.start(quadruple.options(id="first"), 3)
    ...     result = run.result(timeout=10)
    ...     export = system.runs().export("first")
    >>> check_replay(quadruple, export).records
    2

    Raises:
        NonDeterministic: the code takes another step than the one that is recorded.
        PayloadError: a stored value cannot be read here.
        DefinitionError: no workflow, or the export is none.
    """
    report = replay(workflow, export)
    if report.difference is not None:
        raise report.difference
    return report


def replay(workflow: AnyWorkflow | Dag, export: Mapping[str, Any]) -> ReplayReport:
    """Replay a run with the code of today, and report the first difference.

    Raises:
        DefinitionError: no workflow, or the export is none.
    """
    if isinstance(workflow, Dag):
        workflow = workflow.as_workflow()
    if not isinstance(workflow, AnyWorkflow):
        raise DefinitionError(f"check_replay({text_of(workflow)}): give a workflow, a function under @af.workflow")
    recorded = ExportedRun(export)
    doubts = Doubts(workflow.function.__module__)
    difference = difference_of(workflow, recorded, doubts) if recorded.started is not None else None
    return ReplayReport(recorded.id, workflow.name, len(recorded.records), difference, tuple(doubts.found))


class ExportedRun:
    """A run as it was exported, its values in the form in which they are stored."""

    def __init__(self, export: Mapping[str, Any]) -> None:
        try:
            self.id = str(export["id"])
            self.status = str(export["status"])
            self.input = stored(export["input"]) or b"[[],{}]"
            self.output = export["output"]
            self.error = export["error"]
            self.created = float(export["created"])
            self.started = None if export["started"] is None else float(export["started"])
            self.turn = int(export.get("turn") or 0)
            self.seed = export.get("seed")
            self.records = [record_of(one) for one in export["records"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"no export of a run, which `actorflow runs export` writes: {type(error).__name__}: {error}"
            raise DefinitionError(msg) from None

    @property
    def is_whole(self) -> bool:
        """Whether the run is over."""
        return self.status in FINAL

    def put(self, transaction: Transaction, workflow: AnyWorkflow) -> None:
        """Put the run into a store, as one whose process has died."""
        new = ledger.NewRun(self.id, workflow.name, self.input, seed=self.seed, turn=self.turn, started=self.started)
        run = ledger.add(transaction, new, self.created, DEAD)
        assert run is not None
        ledger.append(transaction, run, DEAD, self.records)
        ledger.let_go(transaction, run, DEAD, READY, "running")


def stored(value: Any) -> bytes | None:
    """Return a value of an export as it is stored."""
    return None if value is None else json.dumps(value).encode()


def record_of(one: Mapping[str, Any]) -> RunRecord:
    """Return a record of an export."""
    branch, name, occurrence = one["identity"]
    return RunRecord(
        int(one["n"]),
        (branch, name, occurrence),
        int(one["start"]),
        KINDS_BY_NAME[one["kind"]],
        None if one["hash"] is None else bytes.fromhex(one["hash"]),
        value_of(one),
        stored(one.get("failure")),
        int(one["attempt"]),
        one["began"],
        float(one["at"]),
    )


def value_of(one: Mapping[str, Any]) -> bytes | None:
    """Return the stored value of a record: that of a task that has returned None is JSON's null."""
    value = one["value"]
    return b"null" if value is None and one.get("has_value") else stored(value)


def difference_of(workflow: AnyWorkflow, recorded: ExportedRun, doubts: Doubts) -> ActorflowError | None:
    """Run the code against the records; return the first difference."""
    if isinstance(workflow, DurableDag):
        return difference_of_dag(workflow, recorded)
    bodies: list[ReplayedBody] = []

    def body(kind: type[ReplayedBody], node: Any, run: Any, *more: Any) -> ReplayedBody:
        node.is_closed = True  # it takes this run, and none after it
        one = kind(node, run, *more)
        one.doubts, one.is_whole = doubts, recorded.is_whole
        bodies.append(one)
        return one

    with VirtualSystem("replay") as system:
        node = node_of(system)
        node.kinds = partial(body, SyncReplayedBody), partial(body, AsyncReplayedBody)
        system.store.write(lambda tx: recorded.put(tx, workflow))
        node.look()
        system.sleep(1)
        (one,) = bodies
        try:
            one.closed.get(timeout=PATIENCE)
        except AskTimeout:
            return difference_of_wait(one)
        row = system.store.read(lambda tx: ledger.find(tx, recorded.id))
        return one.misfits or difference_of_end(recorded, row)


def difference_of_dag(dag: DurableDag, recorded: ExportedRun) -> ActorflowError | None:
    """Return the first difference of a DAG from the ends of nodes that are recorded, or from the end of the run."""
    is_cancelled = recorded.status == "cancelled"
    try:
        looks = dag.replayed(recorded.id, recorded.records, decode, VirtualClock(), is_cancelled=is_cancelled)
    except (NonDeterministic, PayloadError) as error:
        return error
    status = looks.progress.status
    if recorded.is_whole and status != recorded.status:
        return NonDeterministic(
            f"the end of the run, which is {recorded.status}", f"a run that is {status}", is_dag=True
        )
    return None


def difference_of_wait(body: ReplayedBody) -> ActorflowError | None:
    """Return the difference of code that waits, all records heard."""
    if not body.is_whole:
        return None
    waits = ", ".join(sorted(step_name(step.identity) for step in body.open.values())) or "nothing that a step ends"
    return NonDeterministic("the end of the run", f"a wait for {waits}")


def difference_of_end(recorded: ExportedRun, row: RunRow | None) -> ActorflowError | None:
    """Return the difference between the end of a run and that of its replay."""
    if row is None or not recorded.is_whole:
        return None
    if row.turn != recorded.turn:
        return NonDeterministic(f"the end of the run, which is {recorded.status}", "a new turn, by af.continue_as_new")
    if row.status != recorded.status:
        why = "" if row.error is None else f": {read_error(row.error)[0]}"
        return NonDeterministic(f"the end of the run, which is {recorded.status}", f"another: {row.status}{why}")
    output, error = plain(row.output), None if row.error is None else read_error(row.error)[0]
    if output != recorded.output:
        return NonDeterministic(f"the result {text_of(recorded.output)}", f"another one: {text_of(output)}")
    if error != recorded.error:
        return NonDeterministic(f"the error {recorded.error}", f"another one: {error}")
    return None
