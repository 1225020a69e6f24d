"""Trying again: runs that go on from an earlier place of their journals, as themselves or as a copy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError
from actorflow.workflows.rows import ledger, limits, unsticking
from actorflow.workflows.rows.ledger import NewRun
from actorflow.workflows.rows.records import (
    ASKED,
    BEFORE_RESULT,
    BEHIND,
    CANCEL,
    FINAL,
    INTENT,
    LEFT_OUT,
    NO_STEP,
    OVER,
    PARKED,
    READY,
    RESULT,
    step_name,
)

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import Identity, RunRecord, RunRow


def retry(transaction: Transaction, name: str, step: str | None, now: float) -> bool:
    """Have a run that has failed go on from a step, or from the one that failed; False if there is no such run.

    Its children that failed, and whose ends it has not recorded, are tried again, too.

    Raises:
        DefinitionError: it is not over, or has completed and no step was given, or has no such step.
    """
    transaction.one("runs.lock", {"name": name})
    row = ledger.find(transaction, name)
    if row is None or row.state not in {BEHIND, READY, 1, 2, PARKED, OVER}:
        return False
    if row.status == "stuck" and step is None:
        unsticking.retry(transaction, row, now)
        return True
    if row.is_of_saga and (step is not None or row.status == "compensated"):
        msg = f"run {name} is of a saga, and {row.status}: a step that may be undone is not run again: start it anew"
        raise DefinitionError(msg)
    if row.status != "parked" and (row.status not in FINAL or (row.status == "completed" and step is None)):
        cure = (
            "name the step from which it is to go on"
            if row.status == "completed"
            else ("resume it" if row.status == "paused" else "wait for its end, or cancel it")
        )
        msg = f"run {name} is {row.status}: {cure}"
        raise DefinitionError(msg)
    todo = [(row.id, name, step, False)]
    while todo:
        run, this, at, anew = todo.pop()
        records = ledger.records(transaction, run)
        kept = [] if anew else kept_of(this, records, at)
        numbers = {one.n for one in kept}
        transaction.many("runs.drop_record", [{"run": run, "n": one.n} for one in records if one.n not in numbers])
        limits.enter_again(transaction, transaction.one("runs.retry", {"id": run}), now)
        todo += children_of(transaction, this, kept, {one.identity for one in records})
    return True


def children_of(
    transaction: Transaction, name: str, kept: list[RunRecord], before: set[Identity]
) -> list[tuple[int, str, None, bool]]:
    """Return the children to be tried again with their parent; those are begun anew whose results are dropped."""
    ends = {record.identity for record in kept}
    found: list[tuple[int, str, None, bool]] = []
    for child, child_name, status, place in transaction.all("runs.ended_children", {"parent": name}):
        _, *where = json.loads(place)
        identity: Any = tuple(where)
        if identity not in ends and (status != "completed" or identity in before):
            found.append((child, child_name, None, status == "completed"))
    return found


def kept_of(name: str, records: list[RunRecord], step: str | None) -> list[RunRecord]:
    """Return the records before a step; without one, before a cancel, or else before the last step that failed.

    Raises:
        DefinitionError: the run has no such step.
    """
    if step is None and any(one.kind in {RESULT, LEFT_OUT} and not one.identity[0] for one in records):
        return kept_of_dag(records)
    cut = place_of(name, records, step)
    again = {record.identity for record in records if record.n >= cut}
    over = {record.identity for record in records if record.n < cut and record.kind not in {ASKED, INTENT}}
    return [
        record
        for record in records
        if record.n < cut
        and not (record.kind in BEFORE_RESULT and record.identity in again)
        and not (record.kind in {ASKED, INTENT} and record.identity not in over)  # nobody answers it any more
    ]


def kept_of_dag(records: list[RunRecord]) -> list[RunRecord]:
    """Return the records of a run of a DAG but for its cancel and for nodes that failed; what is behind has none."""
    again = {one.identity for one in records if one.kind == RESULT and one.value is None}
    return [one for one in records if one.kind != CANCEL and one.identity not in again]


def place_of(name: str, records: list[RunRecord], step: str | None) -> int:
    """Return the number of the first record that is not kept."""
    end = records[-1].n + 1 if records else 1
    cancel = next((record.n for record in records if record.kind == CANCEL), end)
    if step is None:
        failed = [one.n for one in records if one.error is not None and one.kind not in BEFORE_RESULT | NO_STEP]
        return cancel if cancel < end or not failed else failed[-1]
    for record in records:
        short = record.identity[1]
        if record.kind not in NO_STEP and (step in {short, step_name(record.identity)} or short.endswith(f".{step}")):
            return min(cancel, record.n)
    known = ", ".join(dict.fromkeys(step_name(one.identity) for one in records if one.kind not in NO_STEP)) or "none"
    msg = f"run {name} has no step {step!r} in its records; it has {known}"
    raise DefinitionError(msg)


def fork_now(store: Store, row: RunRow, name: str, step: str | None) -> None:
    """Add a copy of a run that goes on from a step, or from its begin, under another name.

    Raises:
        DefinitionError: the run has no such step, or the name is taken.
    """
    if row.is_of_saga and step is not None:
        msg = f"run {row.name} is of a saga: a copy would undo the steps of the first: fork it without a step"
        raise DefinitionError(msg)
    seed, started = (row.seed or f"{row.name} {row.created}", row.started) if step is not None else (None, None)
    turn = row.turn if step is not None else 0
    new = NewRun(
        name,
        row.workflow,
        row.input,
        row.version,
        row.hash,
        priority=row.priority,
        key=row.key,
        seed=seed,
        turn=turn,
        started=started,
        cause=row.cause,
    )
    now, node = store.now(), store.node.id
    if not store.write(lambda tx: fork(tx, row, new, step, now, node)):
        msg = f"run {name!r} is there already: give the fork another id"
        raise DefinitionError(msg)


def fork(transaction: Transaction, row: RunRow, new: NewRun, step: str | None, now: float, node: str) -> bool:
    """Add a run that has the records of another before a step, and goes on from there; False if its name is taken.

    Raises:
        DefinitionError: the run has no such step.
    """
    records = ledger.records(transaction, row.id)
    kept = kept_of(row.name, records, step) if step is not None else []
    run = ledger.add(transaction, new, now, node)
    if run is None:
        return False
    ledger.append(transaction, run, node, kept)
    ledger.let_go(transaction, run, node, READY, "queued")
    if row.slot is not None:
        transaction.run("runs.set_slot", {"id": run.id, "slot": row.slot})
        limits.enter(transaction, run.workflow, row.slot, now)
    return True
