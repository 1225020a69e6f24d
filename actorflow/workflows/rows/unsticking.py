"""Unsticking: stuck sagas go on: what has failed is tried again, or left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError
from actorflow.store.codec import encode
from actorflow.store.error_json import write_error
from actorflow.store.transaction import NEWEST
from actorflow.workflows.rows import ledger, limits
from actorflow.workflows.rows.records import (
    AGAIN,
    ATTEMPT,
    INTENT,
    NO_STEP,
    OF_FUNCTION,
    PIVOT,
    SKIPPED,
    UNDO,
    RunRecord,
    is_of_function,
    step_name,
)

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import Identity, RunRow


def failed_in(records: list[RunRecord]) -> list[RunRecord]:
    """Return the ends of compensations, and of functions that undo, that have failed."""
    last: dict[Identity, RunRecord] = {}
    for record in records:
        branch = record.identity[0]
        is_whole = branch in {UNDO, AGAIN} or is_of_function(record)
        if is_whole and branch.startswith(UNDO) and record.kind not in NO_STEP | {ATTEMPT}:
            last[record.identity] = record
    return [one for one in last.values() if one.error is not None and one.kind != SKIPPED]


def failed_steps_of(function: RunRecord, records: list[RunRecord]) -> set[Identity]:
    """Return the last step of a function that undoes, if that has failed: the function is called again."""
    branch = function.identity[0]
    steps = [one for one in records if is_in_branch(one, branch) and one.kind not in NO_STEP | {ATTEMPT}]
    last = next((one for one in reversed(steps) if not is_of_function(one)), None)
    return set() if last is None or last.error is None else {last.identity}


def is_in_branch(record: RunRecord, branch: str) -> bool:
    """Say whether a record is of a branch, or of one that came of it."""
    path = record.identity[0]
    return path == branch or path.startswith(f"{branch}.")


def failed_behind_pivot(records: list[RunRecord]) -> set[Identity]:
    """Return the last steps behind the pivot that have failed, though others may have ended later that ran beside them.

    Those before a step that began later are none of them: the code has gone on behind their errors.
    """
    began = {one.identity: one.n for one in records if one.kind == INTENT}
    pivot = next((one.n for one in records if one.kind == PIVOT), NEWEST)
    found: set[Identity] = set()
    latest = 0  # that a step began which has not failed
    for one in reversed(records):
        if one.n < max(pivot, latest):
            break
        if one.kind in NO_STEP | {ATTEMPT}:
            continue
        if one.error is None:
            latest = max(latest, began.get(one.identity, one.n))  # of others than tasks it is not known
        else:
            found.add(one.identity)
    return found


def retry(transaction: Transaction, row: RunRow, now: float) -> None:
    """Have a stuck saga try its failed compensations again, or go forward from the step that failed."""
    records = ledger.records(transaction, row.id)
    failed = failed_in(records)
    again = {one.identity for one in failed}
    for one in failed:
        if is_of_function(one):
            again |= failed_steps_of(one, records)
    if not again:
        again = failed_behind_pivot(records)
    go_on(transaction, row, [one for one in records if one.identity in again and one.kind != INTENT], now)


def skip(transaction: Transaction, name: str, step: str | None, reason: str, now: float) -> bool:
    """Have a stuck saga go on without compensations that have failed; False if there is no such run.

    Raises:
        DefinitionError: it is not stuck, or no such compensation has failed.
    """
    transaction.one("runs.lock", {"name": name})
    row = ledger.find(transaction, name)
    if row is None:
        return False
    if row.status != "stuck":
        msg = f"run {name} is {row.status}: only compensations of a stuck saga are skipped"
        raise DefinitionError(msg)
    records = ledger.records(transaction, row.id)
    failed = [one for one in failed_in(records) if one.identity[0] != AGAIN]
    found = [one for one in failed if step is None or is_named(one, step)]
    if not found:
        known = ", ".join(step_name(one.identity) for one in failed)
        where = "is stuck behind its pivot: retry it"
        cure = f"has no failed compensation {step!r}, but {known}" if failed else where
        msg = f"saga {name} {cure}"
        raise DefinitionError(msg)
    error = write_error(RuntimeError(f"skipped: {reason}"))
    skipped = [replace(one, kind=SKIPPED, value=encode(None), error=error) for one in found]
    places = {one.identity for one in found}
    others = {one.identity for one in failed} - places
    for one in failed:
        if one.identity in others and is_of_function(one):
            others |= failed_steps_of(one, records)
    left_out = [one.identity[0] for one in found if is_of_function(one)]
    drop = [
        one
        for one in records
        if one.identity in others | places or any(is_in_branch(one, branch) for branch in left_out)
    ]
    go_on(transaction, row, drop, now, skipped)
    return True


def is_named(record: RunRecord, step: str) -> bool:
    """Say whether users mean a record by a name."""
    short = record.identity[1]
    return step in {short, short.removeprefix(OF_FUNCTION), step_name(record.identity)} or short.endswith(f".{step}")


def go_on(
    transaction: Transaction, row: RunRow, drop: list[RunRecord], now: float, put: list[RunRecord] | None = None
) -> None:
    """Have a run go on without some of its records, and with others in their places."""
    transaction.many("runs.drop_record", [{"run": row.id, "n": one.n} for one in drop])
    if put:
        transaction.many("runs.put_record", [ledger.columns_of(row.id, one) for one in put])
    limits.enter_again(transaction, transaction.one("runs.retry", {"id": row.id}), now)
