"""Unsticking: stuck sagas go on: what has failed is tried again, or left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError
from actorflow.store.codec import encode
from actorflow.store.error_json import write_error
from actorflow.workflows.rows import ledger, limits
from actorflow.workflows.rows.records import (
    AGAIN,
    ATTEMPT,
    INTENT,
    NO_STEP,
    SKIPPED,
    UNDO,
    RunRecord,
    step_name,
)

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import Identity, RunRow


def failed_in(records: list[RunRecord]) -> list[RunRecord]:
    """Return the ends of compensations that have failed; of a function that undoes, that of its last step."""
    last: dict[Identity | str, RunRecord] = {}
    for record in records:
        branch = record.identity[0]
        if branch.startswith(UNDO) and record.kind not in NO_STEP | {ATTEMPT}:
            last[record.identity if branch in {UNDO, AGAIN} else branch] = record
    return [one for one in last.values() if one.error is not None and one.kind != SKIPPED]


def retry(transaction: Transaction, row: RunRow, now: float) -> None:
    """Have a stuck saga try its failed compensations again, or go forward from the step that failed."""
    records = ledger.records(transaction, row.id)
    again = {one.identity for one in failed_in(records)}
    if not again:
        steps = [one for one in records if one.kind not in NO_STEP | {ATTEMPT}]
        again = {one.identity for one in takewhile(lambda one: one.error is not None, reversed(steps))}
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
    failed = [one for one in failed_in(ledger.records(transaction, row.id)) if one.identity[0] != AGAIN]
    found = [one for one in failed if step is None or is_named(one, step)]
    if not found:
        known = ", ".join(step_name(one.identity) for one in failed)
        cure = f"has no failed compensation {step!r}, but {known}" if failed else "is stuck behind its pivot: retry it"
        msg = f"saga {name} {cure}"
        raise DefinitionError(msg)
    error = write_error(RuntimeError(f"skipped: {reason}"))
    skipped = [replace(one, kind=SKIPPED, value=encode(None), error=error) for one in found]
    others = {one.identity for one in failed} - {one.identity for one in found}
    records = ledger.records(transaction, row.id)
    go_on(transaction, row, [*found, *(one for one in records if one.identity in others)], now, skipped)
    return True


def is_named(record: RunRecord, step: str) -> bool:
    """Say whether users mean a record by a name."""
    short = record.identity[1]
    return step in {short, step_name(record.identity)} or short.endswith(f".{step}")


def go_on(
    transaction: Transaction, row: RunRow, drop: list[RunRecord], now: float, put: list[RunRecord] | None = None
) -> None:
    """Have a run go on without some of its records, and with others in their places."""
    transaction.many("runs.drop_record", [{"run": row.id, "n": one.n} for one in drop])
    if put:
        transaction.many("runs.put_record", [ledger.columns_of(row.id, one) for one in put])
    limits.enter_again(transaction, transaction.one("runs.retry", {"id": row.id}), now)
