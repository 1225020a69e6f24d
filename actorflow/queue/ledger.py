"""Ledger: what happens to jobs in the store. Layer 4.

Each function is a piece of work for one transaction. A running job belongs to a node and an epoch, and whatever is
written about it says both: what comes late, after another node has taken over, changes nothing and is told so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

READY, DUE, HELD, BEHIND, RUNNING, OVER = range(6)  # `stage` of a job

CRASHES: Final = 3  # processes that one job may kill before it is dead
BATCH: Final = 500  # jobs that one transaction moves on besides its own


@dataclass(slots=True)
class Claimed:
    """A job that this node has, to run."""

    id: int
    task: str
    args: bytes
    options: bytes | None
    attempt: int
    crashes: int
    epoch: int
    priority: int
    key: str | None
    at_most_once: bool
    created: float
    due: float | None


@dataclass(slots=True)
class Outcome:
    """What became of a job that this node had.

    Attributes:
        status: "completed", "failed", "dead", "cancelled"; "queued" to try it again at `due`, or to give it back.
        result: of a completed one.
        error: of another.
        crashes: 1 if it has killed its process.
        given_back: it was not begun.
    """

    id: int
    epoch: int
    key: str | None
    status: str
    result: bytes | None = None
    error: bytes | None = None
    due: float | None = None
    crashes: int = 0
    given_back: bool = False
    keep: float = 86400.0


@dataclass(slots=True)
class Counts:
    """Changes of a queue's counters, written once a transaction."""

    running: int = 0
    enqueued: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    dead: int = 0

    def write(self, transaction: Transaction, queue: str) -> None:
        """Add them to the queue's."""
        changes = {name: getattr(self, name) for name in COUNTED}
        if any(changes.values()):
            transaction.run("jobs.count", {"name": queue, **changes})


COUNTED: Final = ("running", "enqueued", "completed", "failed", "cancelled", "retried", "dead")


# --- limits of the queue ---------------------------------------------------------------------------------------------


class Limits:
    """A queue's row, as a transaction found it."""

    def __init__(self, row: Row) -> None:
        self.paused, self.concurrency, self.rate, self.burst, self.tokens, self.filled, *rest = row
        self.key_concurrency, self.key_rate, self.key_burst, self.running = rest

    @property
    def has_keys(self) -> bool:
        """Say whether each key has limits of its own."""
        return self.key_concurrency is not None or self.key_rate is not None

    def room(self, wanted: int, now: float) -> int:
        """Return how many jobs may begin now."""
        if self.paused:
            return 0
        if self.concurrency is not None:
            wanted = min(wanted, self.concurrency - self.running)
        if self.rate is not None:
            self.tokens = min(self.burst, self.tokens + max(0.0, now - self.filled) * self.rate)
            self.filled = now
            wanted = min(wanted, int(self.tokens))
        return max(0, wanted)


def limits_of(transaction: Transaction, queue: str) -> Limits:
    """Return a queue's limits; its row is made if there is none."""
    row = transaction.one("jobs.queue", {"name": queue})
    if row is None:
        transaction.run("jobs.add_queue", {"name": queue})
        row = transaction.one("jobs.queue", {"name": queue})
        assert row is not None
    return Limits(row)


# --- limits of a key -------------------------------------------------------------------------------------------------


def take_slot(transaction: Transaction, queue: str, key: str, limits: Limits, now: float) -> bool:
    """Take one of a key's slots for a job that could run; without one it waits behind the key."""
    row = transaction.one("jobs.key", {"queue": queue, "key": key})
    slots, tokens, filled, free_at = row or (0, limits.key_burst or 0.0, now, None)
    if limits.key_concurrency is not None and slots >= limits.key_concurrency:
        return False
    if limits.key_rate is not None:
        tokens = min(limits.key_burst, tokens + max(0.0, now - filled) * limits.key_rate)
        if tokens < 1:
            free_at = now + (1 - tokens) / limits.key_rate
            _set_key(transaction, queue, key, slots, tokens, now, free_at)
            return False
        tokens -= 1
    _set_key(transaction, queue, key, slots + 1, tokens, now, free_at)
    return True


def free_slot(
    transaction: Transaction, queue: str, key: str, limits: Limits, now: float, *, token: bool = False
) -> None:
    """Give a key's slot back, and let the next of its jobs have it."""
    row = transaction.one("jobs.key", {"queue": queue, "key": key})
    if row is not None:
        slots, tokens, filled, free_at = row
        _set_key(transaction, queue, key, max(0, slots - 1), tokens + token, filled, free_at)
    promote(transaction, queue, key, limits, now)


def promote(transaction: Transaction, queue: str, key: str, limits: Limits, now: float) -> None:
    """Make jobs that wait behind their key ready, as long as it has slots."""
    for (id_,) in transaction.all("jobs.next_behind", {"queue": queue, "key": key, "limit": BATCH}):
        if not take_slot(transaction, queue, key, limits, now):
            return
        transaction.run("jobs.set_stage", {"id": id_, "stage": READY})
    row = transaction.one("jobs.key", {"queue": queue, "key": key})
    if row is not None:  # nobody waits
        slots, tokens, filled, _ = row
        full = limits.key_rate is None or tokens + (now - filled) * limits.key_rate >= limits.key_burst
        if slots == 0 and full:
            transaction.run("jobs.drop_key", {"queue": queue, "key": key})
        else:
            _set_key(transaction, queue, key, slots, tokens, filled, None)


def _set_key(
    transaction: Transaction, queue: str, key: str, slots: int, tokens: float, filled: float, free_at: float | None
) -> None:
    values = {"slots": slots, "tokens": tokens, "filled": filled, "free_at": free_at}
    transaction.run("jobs.set_key", {"queue": queue, "key": key, **values})


# --- into the queue --------------------------------------------------------------------------------------------------


def stage_of(
    transaction: Transaction, queue: str, key: str | None, due: float | None, limits: Limits, now: float
) -> int:
    """Return what a job that waits for no other waits for; a ready one of a limited key has its slot then."""
    if due is not None and due > now:
        return DUE
    if key is not None and limits.has_keys and not take_slot(transaction, queue, key, limits, now):
        return BEHIND
    return READY


def put(transaction: Transaction, job: dict[str, Any], needs: Iterable[int], now: float) -> int:
    """Add a job; return its id."""
    queue = job["queue"]
    limits = limits_of(transaction, queue)
    needs = list(needs)
    stage = HELD if needs else stage_of(transaction, queue, job["key"], job["due"], limits, now)
    row = transaction.one("jobs.put", {**job, "stage": stage, "needs": 0})
    assert row is not None
    id_: int = row[0]
    if needs:
        hold(transaction, id_, queue, needs, job, limits, now)
    Counts(enqueued=1).write(transaction, queue)
    return id_


def hold(
    transaction: Transaction, id_: int, queue: str, needs: list[int], job: dict[str, Any], limits: Limits, now: float
) -> None:
    """Have a job wait for others that are not over; if there is none, it waits no more."""
    open_needs = sum(transaction.run("jobs.add_need", {"needs": other, "job": id_}) for other in needs)
    if open_needs:
        transaction.run("jobs.set_needs", {"id": id_, "needs": open_needs})
    else:
        stage = stage_of(transaction, queue, job["key"], job["due"], limits, now)
        transaction.run("jobs.set_stage", {"id": id_, "stage": stage})


# --- out of the queue ------------------------------------------------------------------------------------------------


def claim(
    transaction: Transaction, queue: str, owner: str, tasks: str, wanted: int, now: float, lease: float
) -> list[Claimed]:
    """Take the next jobs for a node, the smallest priority first, as far as the limits of the queue allow.

    Args:
        tasks: names of the tasks that the node knows, as a JSON list.
        lease: when others may take them over, if the node does not say that it still works.
    """
    limits = limits_of(transaction, queue)
    wake(transaction, queue, limits, now)
    room = limits.room(wanted, now)
    if room < 1:
        return []
    values = {"queue": queue, "owner": owner, "tasks": tasks, "now": now, "lease": lease, "limit": room}
    rows = transaction.all("jobs.claim", values)
    if limits.rate is not None:
        transaction.run("jobs.set_tokens", {"name": queue, "tokens": limits.tokens - len(rows), "now": now})
    Counts(running=len(rows)).write(transaction, queue)
    claimed = [Claimed(*row[:9], bool(row[9]), *row[10:]) for row in rows]
    claimed.sort(key=lambda job: (job.priority, job.id))
    return claimed


def wake(transaction: Transaction, queue: str, limits: Limits, now: float) -> None:
    """Make ready what has waited for its time, or for its key's; cancel what has expired."""
    for id_, key in transaction.all("jobs.wake_due", {"queue": queue, "now": now, "limit": BATCH}):
        if key is not None and limits.has_keys and not take_slot(transaction, queue, key, limits, now):
            transaction.run("jobs.set_stage", {"id": id_, "stage": BEHIND})
    if limits.key_rate is not None:
        for (key,) in transaction.all("jobs.free_keys", {"queue": queue, "now": now, "limit": BATCH}):
            promote(transaction, queue, key, limits, now)
    for id_, key, stage in transaction.all("jobs.expired", {"queue": queue, "now": now, "limit": BATCH}):
        cancel_queued(transaction, id_, "it expired before it began", now)
        if key is not None and stage == READY and limits.has_keys:
            free_slot(transaction, queue, key, limits, now, token=True)


def next_wake(transaction: Transaction, queue: str) -> float | None:
    """Return when something will be ready by itself."""
    times = [transaction.one(name, {"queue": queue}) for name in ("jobs.next_due", "jobs.next_key_free")]
    return min((row[0] for row in times if row is not None and row[0] is not None), default=None)


# --- what became of jobs ---------------------------------------------------------------------------------------------


def settle(transaction: Transaction, queue: str, owner: str, outcomes: list[Outcome], now: float) -> list[int]:
    """Write what became of jobs; return the ids of those that the node has lost: nothing is written for these."""
    limits = limits_of(transaction, queue)
    counts = Counts()
    lost = []
    for outcome in outcomes:
        if not _settle_one(transaction, owner, outcome, limits, now):
            lost.append(outcome.id)
            continue
        counts.running -= 1
        _count(counts, outcome)
        if outcome.key is not None and limits.has_keys:
            free_slot(transaction, queue, outcome.key, limits, now, token=outcome.given_back)
        if outcome.status in FINAL:
            after_end(transaction, outcome.id, outcome.status, now)
    counts.write(transaction, queue)
    return lost


FINAL: Final = frozenset({"completed", "failed", "dead", "cancelled"})


def _settle_one(transaction: Transaction, owner: str, outcome: Outcome, limits: Limits, now: float) -> bool:
    values = {"id": outcome.id, "owner": owner, "epoch": outcome.epoch}
    waits = BEHIND if outcome.key is not None and limits.has_keys else READY  # `free_slot` lets it go on
    if outcome.given_back:
        return bool(transaction.run("jobs.give_back", {**values, "stage": waits}))
    if outcome.status == "completed":
        values |= {"now": now, "result": outcome.result, "keep": now + outcome.keep}
        return bool(transaction.run("jobs.complete", values))
    if outcome.status == "queued":
        stage = DUE if outcome.due is not None and outcome.due > now else waits
        values |= {"stage": stage, "due": outcome.due, "error": outcome.error, "crashes": outcome.crashes}
        return bool(transaction.run("jobs.again", values))
    values |= {"status": outcome.status, "error": outcome.error, "crashes": outcome.crashes}
    values |= {"now": now, "keep": None if outcome.status == "dead" else now + outcome.keep}
    return bool(transaction.run("jobs.end", values))


def _count(counts: Counts, outcome: Outcome) -> None:
    if outcome.status in FINAL:
        setattr(counts, outcome.status, getattr(counts, outcome.status) + 1)
    elif not outcome.given_back:
        counts.retried += 1


def after_end(transaction: Transaction, id_: int, status: str, now: float) -> None:
    """Let the jobs go on that waited for one that is over; if it was not completed, they are cancelled."""
    for (job,) in transaction.all("jobs.dependants", {"needs": id_}):
        if status != "completed":
            cancel_queued(transaction, job, f"job {id_}, which it waited for, is {status}", now)
            continue
        row = transaction.one("jobs.need_met", {"id": job})
        if row is not None and row[0] == 0:
            _, due, key, queue = row
            stage = stage_of(transaction, queue, key, due, limits_of(transaction, queue), now)
            transaction.run("jobs.set_stage", {"id": job, "stage": stage})
    transaction.run("jobs.drop_needs", {"needs": id_})


def cancel_queued(transaction: Transaction, id_: int, why: str, now: float) -> bool:
    """Cancel a job that has not begun; False if it has."""
    error = json.dumps({"name": "JobCancelled", "text": why}).encode()
    values = {"id": id_, "status": "cancelled", "now": now, "error": error, "keep": now + 86400.0}
    row = transaction.one("jobs.end_queued", values)
    if row is None:
        return False
    Counts(cancelled=1).write(transaction, row[0])
    after_end(transaction, id_, "cancelled", now)
    return True


# --- dead nodes ------------------------------------------------------------------------------------------------------


def take_over(transaction: Transaction, owner: str, now: float, cause: str) -> list[tuple[int, str, str]]:
    """End the leases of a node that has died; return (id, queue, status) of its jobs.

    Each has one more crash: it is tried again, unless it may run once only, or has killed too many.
    """
    moved = []
    for id_, queue, key, epoch, _, crashes, at_most_once, _ in transaction.all("jobs.owned", {"owner": owner}):
        dead = at_most_once or crashes + 1 >= CRASHES
        error = json.dumps({"name": "HostDied", "text": cause}).encode()
        status = "dead" if dead else "queued"
        outcome = Outcome(id_, epoch, key, status, error=error, crashes=1)
        settle(transaction, queue, owner, [outcome], now)
        moved.append((id_, queue, status))
    transaction.run("nodes.remove", {"id": owner})
    return moved
