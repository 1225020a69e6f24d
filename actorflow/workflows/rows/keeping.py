"""Keeping: the end of a run's rows: its records after their time, and its id, which is known for longer."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction

KEEP_ENDED: Final = 30 * 86_400.0  # seconds that a run is kept after its end
KEEP_IDS: Final = 90 * 86_400.0  # seconds that its id is known after that
PART: Final = 1000  # records that one transaction removes
RUNS: Final = 100  # runs that one transaction removes
REMOVED: Final = 5  # state of a run of which the id is left


def remove(transaction: Transaction, now: float, keep_ids: float) -> int:
    """Remove some rows of runs that were kept their time; return how many, 0 once there are none.

    Of a run whose time has come the records go, and its row stays with its id and what a second start of it is compared
    with, until that time has come too.
    """
    count = 0
    for run, state in transaction.all("runs.expired", {"now": now, "limit": RUNS}):
        count += transaction.run("runs.drop_records", {"run": run, "limit": PART - count})
        if count >= PART:
            return count
        if state == REMOVED:
            transaction.run("runs.drop", {"id": run})
        else:
            row = transaction.one("runs.input", {"id": run})
            values = {"id": run, "input": digest_of(row[0] if row else b""), "keep": now + keep_ids}
            transaction.run("runs.remove", values)
        count += 1
    return count


def remove_all(store: Store, keep_ids: float = KEEP_IDS) -> int:
    """Remove all runs that were kept their time, in parts; return how many rows went."""
    total = 0
    while count := store.write(partial(remove, now=store.now(), keep_ids=keep_ids)):
        total += count
    return total


def digest_of(given: bytes) -> bytes:
    """Return the digest that is kept of the arguments of a removed run."""
    return hashlib.blake2b(given, digest_size=16).digest()
