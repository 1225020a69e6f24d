"""Limits: the slots of keys that runs hold from when they may begin until they are over, in rows as jobs have them.

A run of a workflow with a limit waits behind its key (state BEHIND) until it has a slot, and holds that whatever
becomes of its process: its next owner goes on with it, and its end, which is written once, gives the slot back.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.queues.ledger.limits import Key, limits_of
from actorflow.queues.ledger.schedules import RESERVED
from actorflow.workflows.rows.records import BEHIND, READY

if TYPE_CHECKING:
    from actorflow.queues.limits import Limit
    from actorflow.store.transaction import Row, Transaction

PLACE: Final = f"{RESERVED}workflow "  # in front of the name of a workflow


class RunKey(Key):
    """The key of some runs of a workflow; a run takes its token with its slot."""

    __slots__ = ()

    statements: ClassVar[str] = "runs"
    ahead: ClassVar[int] = READY
    behind: ClassVar[int] = BEHIND

    @property
    def waiting(self) -> str:
        """The name of the workflow."""
        return self.queue.removeprefix(PLACE)[:-1]

    def take_slot(self) -> bool:
        """Take a slot, and a token, for a run that could begin."""
        if not super().take_slot():
            return False
        self.begin()
        return True


def place_of(workflow: str) -> str:
    """Return the name that stands in place of a queue for the limits of a workflow."""
    return f"{PLACE}{workflow})"


def declare(transaction: Transaction, workflow: str, limit: Limit | None, now: float) -> bool:
    """Write the limit of a workflow, if it is another; return whether it was, and runs may be ready now."""
    place = place_of(workflow)
    before = transaction.one("jobs.limits", {"name": place})
    bucket = None if limit is None else limit.bucket
    each = (
        None if limit is None else limit.concurrency,
        None if bucket is None else bucket.per_second,
        None if bucket is None else bucket.burst,
    )
    if (before is None and limit is None) or (before is not None and tuple(before[3:]) == each):
        return False
    values: dict[str, Any] = {"name": place, "now": now, "concurrency": None, "rate": None, "burst": None}
    transaction.run(
        "jobs.declare_queue", {**values, "key_concurrency": each[0], "key_rate": each[1], "key_burst": each[2]}
    )
    promote_all(transaction, workflow, now)
    return True


def promote_all(transaction: Transaction, workflow: str, now: float) -> None:
    """Let the runs of a workflow go on that wait behind their keys, as far as the limits allow."""
    for (key,) in transaction.all("runs.keys_behind", {"workflow": workflow}):
        promote(transaction, workflow, key, now)


def promote(transaction: Transaction, workflow: str, key: str, now: float, *, has_freed: bool = False) -> None:
    """Let runs of one key go on, one of whose runs may have freed its slot."""
    place = place_of(workflow)
    row = RunKey(transaction, place, key, limits_of(transaction, place), now)
    if has_freed:
        row.free_slot(begun=True)
    row.promote()
    row.write()


def enter(transaction: Transaction, workflow: str, key: str, now: float, limit: Limit | None = None) -> None:
    """Have a run that waits behind its key go on, at the end of the commit, if the key has a slot.

    Args:
        transaction: the transaction to write in.
        workflow: its name.
        key: of the slot.
        now: the time.
        limit: written, if there is none in the store.
    """

    def act() -> None:
        if limit is not None and transaction.one("jobs.limits", {"name": place_of(workflow)}) is None:
            declare(transaction, workflow, limit, now)
        promote(transaction, workflow, key, now)

    transaction.last((place_of(workflow),), act)


def free(transaction: Transaction, workflow: str, key: str, now: float) -> None:
    """Give the slot of a run that is over to the next, at the end of the commit."""
    transaction.last((place_of(workflow),), partial(promote, transaction, workflow, key, now, has_freed=True))


def enter_again(transaction: Transaction, row: Row | None, now: float) -> bool:
    """Have a run that was put back into the rows of those to begin wait for a slot, if it needs one and has none.

    Args:
        transaction: the transaction to write in.
        row: id, workflow, key, and whether it holds its slot; None: no run was put back.
        now: the time.
    """
    if row is None:
        return False
    id_, workflow, key, is_held = row
    if key is not None and not is_held:
        transaction.run("runs.set_stage", {"id": id_, "stage": BEHIND})
        enter(transaction, workflow, key, now)
    return True


def next_free(transaction: Transaction, workflows: list[str], now: float) -> float | None:
    """Return when a key of these workflows has a token again for which runs wait; now, if the clock was ahead."""
    places = json.dumps([place_of(workflow) for workflow in workflows])
    row = transaction.one("runs.next_free", {"places": places, "now": now})
    return None if row is None else row[0]


def free_due(transaction: Transaction, workflows: list[str], now: float) -> None:
    """Let runs go on whose keys have a token again."""
    for workflow in workflows:
        place = place_of(workflow)
        transaction.run("jobs.set_back", {"queue": place, "now": now})
        for (key,) in transaction.all("jobs.free_keys", {"queue": place, "now": now, "limit": 100}):
            transaction.last((place,), partial(promote, transaction, workflow, key, now))
