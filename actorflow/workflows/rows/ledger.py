"""Ledger: the statements that start runs, take and give them back, and write their journals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.workflows.rows import limits
from actorflow.workflows.rows.keeping import KEEP_ENDED
from actorflow.workflows.rows.records import (
    BEHIND,
    OWNED,
    READY,
    WAITING,
    ClaimedRun,
    RunLost,
    RunRecord,
    RunRow,
    address_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.queues.limits import Limit
    from actorflow.store.transaction import Row, Transaction

PART: Final = 64  # runs that one statement claims or wakes


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is to be started.

    Attributes:
        slot: the key of which it needs a slot; None: its workflow has no limit.
        limit: of its workflow.
        cause: the event because of which it is started, as it is stored; None: there is none.
    """

    name: str
    workflow: str
    input: bytes
    version: str | None = None
    hash: str | None = None
    parent: str | None = None
    parent_step: str | None = None
    on_close: str | None = None
    priority: int = 0
    key: str | None = None
    deadline: float | None = None
    slot: str | None = None
    limit: Limit | None = None
    seed: str | None = None
    turn: int = 0
    started: float | None = None
    cause: str | None = None


def add(transaction: Transaction, new: NewRun, now: float, owner: str | None) -> ClaimedRun | None:
    """Add a run, owned from birth if `owner` is a node and it needs no slot; None if there is one of that name."""
    is_owned = owner is not None and new.slot is None
    row = transaction.one(
        "runs.add",
        {
            "name": new.name,
            "workflow": new.workflow,
            "version": new.version,
            "hash": new.hash,
            "parent": new.parent,
            "parent_step": new.parent_step,
            "on_close": new.on_close,
            "state": OWNED if is_owned else READY if new.slot is None else BEHIND,
            "status": "running" if is_owned else "queued",
            "priority": new.priority,
            "key": new.key,
            "deadline": new.deadline,
            "owner": owner if is_owned else None,
            "epoch": int(is_owned),
            "input": new.input,
            "created": now,
            "started": new.started or (now if is_owned else None),
            "turn": new.turn,
            "seed": new.seed,
            "cause": new.cause,
            "slot": new.slot,
            "wake": new.deadline if new.slot is not None else None,
        },
    )
    if row is None:
        return None
    if new.slot is not None:
        limits.enter(transaction, new.workflow, new.slot, now, new.limit)
    return ClaimedRun(
        row[0],
        new.name,
        new.workflow,
        new.version,
        new.hash,
        new.parent,
        new.parent_step,
        new.priority,
        new.key,
        new.deadline,
        int(is_owned),
        new.input,
        now,
        new.started or now,
        new.turn,
        new.seed,
        None,
        new.cause,
    )


def claim(transaction: Transaction, workflows: Sequence[str], owner: str, now: float, limit: int) -> list[ClaimedRun]:
    """Take ready runs of these workflows, those whose time has come among them."""
    while transaction.run("runs.wake_due", {"now": now, "limit": PART}) == PART:
        pass
    claimed: list[ClaimedRun] = []
    for (workflow,) in transaction.all("runs.ready", {"workflows": json.dumps(list(workflows))}):
        left = limit - len(claimed)
        if left <= 0:
            break
        rows = transaction.all("runs.claim", {"owner": owner, "now": now, "workflow": workflow, "limit": left})
        claimed += [ClaimedRun(*row) for row in rows]
    claimed.sort(key=lambda run: (run.priority, run.id))
    return claimed


def find(transaction: Transaction, name: str) -> RunRow | None:
    """Return the row of a run; None: there is none, or it was dropped after its time."""
    row = transaction.one("runs.get", {"name": name})
    return None if row is None else RunRow(*row)


def owned(transaction: Transaction, owner: str) -> list[ClaimedRun]:
    """Return the runs that a node has."""
    return [ClaimedRun(*row) for row in transaction.all("runs.of_owner", {"owner": owner})]


def has_ready(transaction: Transaction, workflows: Sequence[str], now: float) -> bool:
    """Say whether a run of these workflows is ready, or one of any workflow whose time has come."""
    wake = transaction.one("runs.next_wake")
    if wake is not None and wake[0] is not None and wake[0] <= now:
        return True
    return transaction.one("runs.ready", {"workflows": json.dumps(list(workflows))}) is not None


def records(transaction: Transaction, run: int) -> list[RunRecord]:
    """Return the journal of a run."""
    return [
        RunRecord(n, (branch, name, occurrence), *more)
        for n, branch, name, occurrence, *more in transaction.all("runs.records", {"run": run})
    ]


def append(transaction: Transaction, run: ClaimedRun, owner: str, new: Iterable[RunRecord]) -> None:
    """Write records to a run's journal.

    Raises:
        RunLost: another node has the run by now.
    """
    new = [*new]
    if transaction.many("runs.add_record", [row_of(run, owner, record) for record in new]) != len(new):
        raise lost(run)
    for record in new:
        for work in record.also:
            work(transaction)


def append_all(transaction: Transaction, each: Sequence[tuple[ClaimedRun, str, RunRecord]]) -> bool:
    """Write records of many runs; say whether all are there."""
    if transaction.many("runs.add_record", [row_of(*one) for one in each]) != len(each):
        return False
    for _, _, record in each:
        for work in record.also:
            work(transaction)
    return True


def row_of(run: ClaimedRun, owner: str, record: RunRecord) -> dict[str, Any]:
    """Return the columns of a record."""
    return {"owner": owner, "epoch": run.epoch, **columns_of(run.id, record)}


def columns_of(run: int, record: RunRecord) -> dict[str, Any]:
    """Return the columns of a record, but for the owner's."""
    branch, name, occurrence = record.identity
    return {
        "run": run,
        "n": record.n,
        "branch": branch,
        "name": name,
        "occurrence": occurrence,
        "start": record.start,
        "kind": record.kind,
        "hash": record.hash,
        "value": record.value,
        "error": record.error,
        "attempt": record.attempt,
        "began": record.began,
        "at": record.at,
    }


def turn(transaction: Transaction, run: ClaimedRun, owner: str) -> None:
    """Have a saga be compensating, if its run is this node's."""
    transaction.run("runs.turn", {"id": run.id, "owner": owner, "epoch": run.epoch})


def renew(transaction: Transaction, run: ClaimedRun, owner: str, input: bytes | None) -> None:
    """End the journal of a run, and have the run begun anew with other arguments; its mail stays.

    Raises:
        RunLost: another node has the run by now.
    """
    values = {"id": run.id, "owner": owner, "epoch": run.epoch, "input": input}
    if transaction.run("runs.renew", values) != 1:
        raise lost(run)
    transaction.run("runs.drop_journal", {"run": run.id})


def end(
    transaction: Transaction,
    run: ClaimedRun,
    owner: str,
    status: str,
    output: bytes | None,
    error: bytes | None,
    now: float,
    keep: float = KEEP_ENDED,
) -> None:
    """Write the end of a run, which is kept for so many seconds.

    Raises:
        RunLost: another node has the run by now.
    """
    values = {
        "id": run.id,
        "owner": owner,
        "epoch": run.epoch,
        "status": status,
        "output": output,
        "error": error,
        "now": now,
        "keep": now + keep,
    }
    if transaction.run("runs.end", values) != 1:
        raise lost(run)
    transaction.run("runs.drop_mail", {"receiver": address_of(run.name)})
    if run.slot is not None:
        limits.free(transaction, run.workflow, run.slot, now)


def let_go(
    transaction: Transaction,
    run: ClaimedRun,
    owner: str,
    state: int,
    status: str,
    *,
    wake: float | None = None,
    upto: int = 0,
    reason: str | None = None,
    misfit: str | None = None,
) -> bool:
    """Give a run back; False if another node has it by now.

    Args:
        state: READY, WAITING or PARKED. One that waits is ready if mail has come behind `upto`: who sends some locks
            the run, so either it is seen here, or the sender sees that the run waits.
        misfit: hash of the definition that cannot go on with it.
    """
    transaction.one("runs.lock", {"name": run.name})
    if state == WAITING and transaction.one("runs.has_mail", {"receiver": run.address, "upto": upto}) is not None:
        state = READY
    values = {
        "id": run.id,
        "owner": owner,
        "epoch": run.epoch,
        "state": state,
        "status": status,
        "wake": wake,
        "reason": reason,
        "misfit": None if misfit is None else f",{misfit},",
    }
    return transaction.run("runs.let_go", values) == 1


def unpark(transaction: Transaction, workflow: str, hash: str) -> int:
    """Have some parked runs of a workflow tried again that this definition of it has not tried; return how many.

    There are few kinds of them by the definitions that have, so those in front cost nothing.
    """
    count = 0
    for (misfits,) in transaction.all("runs.misfits", {"workflow": workflow, "misfit": f",{hash},"}):
        values = {"workflow": workflow, "misfits": misfits, "limit": PART - count}
        count += transaction.run("runs.unpark_fitting", values)
        if count >= PART:
            break
    return count


def take_over(transaction: Transaction, owner: str) -> list[Row]:
    """Have the runs of a dead node claimed by others; return the name and the workflow of each."""
    return transaction.all("runs.take_over", {"owner": owner})


def lost(run: ClaimedRun) -> RunLost:
    """Return the error of a write to a run that another node has."""
    return RunLost(f"run {run.name} was taken over by another node")
