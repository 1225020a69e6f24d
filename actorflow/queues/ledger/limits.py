"""Limits of a queue and of its keys, as a transaction finds and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

READY, DUE, HELD, BEHIND, RUNNING, OVER = range(6)  # `stage` of a job: the reason why it waits
LACKING: Final = -1  # a process that knows a class of its arguments

ROUNDING: Final = 1e-9  # of tokens: a clock's seconds are no exact fractions

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

    def fill(self, now: float) -> None:
        """Put the tokens into the bucket that have come since it was last looked at."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.filled) * self.rate)
        self.filled = now

    def room(self, wanted: int, now: float) -> int:
        """Return how many jobs may begin now."""
        if self.paused:
            return 0
        if self.concurrency is not None:
            wanted = min(wanted, self.concurrency - self.running)
        if self.rate is not None:
            self.fill(now)
            wanted = min(wanted, int(self.tokens + ROUNDING))
        return max(0, wanted)


def limits_of(transaction: Transaction, queue: str) -> Limits:
    """Return a queue's limits; its row is made if there is none."""
    return Limits(row_of(transaction, "jobs.queue", queue))


def row_of(transaction: Transaction, statement: str, queue: str) -> Row:
    """Return the columns of a queue's row that a statement reads; the row is made if there is none."""
    row = transaction.one(statement, {"name": queue})
    if row is None:
        transaction.run("jobs.add_queue", {"name": queue})
        row = transaction.one(statement, {"name": queue})
        assert row is not None
    return row


class Outlook(NamedTuple):
    """The state of a queue as a transaction finds it before it takes jobs.

    Attributes:
        due, free_at, expires: when the next job is due, a key is free again, a job expires; None if that will not be.
        lacking: some jobs wait for a process that knows a class of their arguments.
    """

    limits: Limits
    due: float | None
    free_at: float | None
    expires: float | None
    lacking: bool

    @property
    def next_time(self) -> float | None:
        """When something will be ready, or over, by itself."""
        return min((time for time in self[1:4] if time is not None), default=None)

    @classmethod
    def of(cls, row: Row) -> Outlook:
        """Make one of a row; a time that is none, in a damaged row, never comes."""
        *limits, due, free_at, expires, lacks = row
        due, free_at, expires = (one if isinstance(one, float | int) else None for one in (due, free_at, expires))
        return cls(Limits(tuple(limits)), due, free_at, expires, lacks is not None)


def look(transaction: Transaction, queue: str) -> Outlook:
    """Return the state of a queue that a claimer needs, in one statement."""
    return Outlook.of(row_of(transaction, "jobs.look", queue))


def declare(transaction: Transaction, queue: str, values: dict[str, Any], now: float) -> Row | None:
    """Write the limits of a queue; return the earlier ones, if they were others.

    Jobs of limited keys hold slots from when they are ready, so a change of these limits counts all slots anew.
    """
    before = transaction.one("jobs.limits", {"name": queue})
    transaction.run("jobs.declare_queue", {"name": queue, "now": now, **values})
    after = transaction.one("jobs.limits", {"name": queue})
    assert after is not None
    if (after[0] is None) != (before is None or before[0] is None):
        transaction.run("jobs.count_running", {"name": queue})
    if before is None or before == after:
        if before is None and (after[3] is not None or after[4] is not None):
            count_keys(transaction, queue, now)
        return None
    if before[3:] != after[3:]:
        count_keys(transaction, queue, now)
    return before


def pause(transaction: Transaction, queue: str, *, paused: bool) -> None:
    """Let no more jobs of a queue begin, or let them begin again."""
    transaction.run("jobs.add_queue", {"name": queue})
    transaction.run("jobs.pause", {"name": queue, "paused": int(paused)})


def count_keys(transaction: Transaction, queue: str, now: float) -> None:
    """Give out the slots of all keys anew."""
    limits = limits_of(transaction, queue)
    transaction.run("jobs.drop_keys", {"queue": queue})
    if not limits.has_keys:
        transaction.run("jobs.all_ahead", {"queue": queue})
        return
    transaction.run("jobs.count_keys", {"queue": queue, "tokens": limits.key_burst or 0.0, "now": now})
    transaction.run("jobs.all_behind", {"queue": queue})
    for (key,) in transaction.all("jobs.keys_behind", {"queue": queue}):
        promote(transaction, queue, key, limits, now)


# --- limits of a key -------------------------------------------------------------------------------------------------


class Key:
    """A key's row: its slots are held by jobs that are ready or running, its tokens are taken by those that begin.

    Attributes:
        statements: which rows wait for slots.
        ahead, behind: the stages of those that have one, and of those that wait for one.
    """

    __slots__ = ("filled", "free_at", "key", "limits", "queue", "ready", "slots", "tokens", "transaction")

    statements: ClassVar[str] = "jobs"
    ahead: ClassVar[int] = READY
    behind: ClassVar[int] = BEHIND

    def __init__(self, transaction: Transaction, queue: str, key: str, limits: Limits, now: float) -> None:
        self.transaction = transaction
        self.queue = queue
        self.key = key
        self.limits = limits
        row = transaction.one("jobs.key", {"queue": queue, "key": key})
        self.slots, self.ready, self.tokens, self.filled, self.free_at = row or (
            0,
            0,
            limits.key_burst or 0.0,
            now,
            None,
        )
        if limits.key_rate is not None:
            self.tokens = min(limits.key_burst, self.tokens + max(0.0, now - self.filled) * limits.key_rate)
            self.filled = now

    @property
    def waiting(self) -> str:
        """The name by which the rows that wait for slots know the place of their limits."""
        return self.queue

    def take_slot(self) -> bool:
        """Take a slot for a job that could run; without one it waits behind the key."""
        limits = self.limits
        if limits.key_concurrency is not None and self.slots >= limits.key_concurrency:
            return False
        if limits.key_rate is not None and self.tokens - self.ready < 1 - ROUNDING:
            self.free_at = self.filled + (1 + self.ready - self.tokens) / limits.key_rate
            return False
        self.slots += 1
        self.ready += 1
        return True

    def begin(self) -> None:
        """One of the ready jobs begins: it takes its token."""
        self.ready = max(0, self.ready - 1)
        if self.limits.key_rate is not None:
            self.tokens -= 1

    def free_slot(self, *, begun: bool, token: bool = False) -> None:
        """One of the jobs needs its slot no more."""
        self.slots = max(0, self.slots - 1)
        if not begun:
            self.ready = max(0, self.ready - 1)
        if token and self.limits.key_rate is not None:
            self.tokens += 1

    def promote(self) -> None:
        """Make jobs that wait behind the key ready, as long as it has slots; the smallest priority goes first."""
        where = {"queue": self.waiting, "key": self.key}
        self.free_at = None
        while (row := self.transaction.one(f"{self.statements}.next_behind", where)) is not None:
            if not (self.take_slot() or self._displace(row)):
                return
            self.transaction.run(f"{self.statements}.set_stage", {"id": row[0], "stage": self.ahead})

    def _displace(self, behind: Row) -> bool:
        """Take the slot of the last that is ready for the first that waits, if that goes first."""
        last = self.transaction.one(f"{self.statements}.last_ahead", {"queue": self.waiting, "key": self.key})
        if last is None or (behind[1], behind[0]) > (last[1], last[0]):
            return False
        self.transaction.run(f"{self.statements}.set_stage", {"id": last[0], "stage": self.behind})
        return True

    def write(self) -> None:
        """Write the row; one that says nothing goes."""
        limits, where = self.limits, {"queue": self.queue, "key": self.key}
        if self.slots == 0 and self.free_at is None and (limits.key_rate is None or self.tokens >= limits.key_burst):
            self.transaction.run("jobs.drop_key", where)
            return
        values = {"slots": self.slots, "ready": self.ready, "tokens": self.tokens, "filled": self.filled}
        self.transaction.run("jobs.set_key", {**where, **values, "free_at": self.free_at})


def promote(transaction: Transaction, queue: str, key: str, limits: Limits, now: float) -> None:
    """Let the jobs that wait behind a key go on, as far as its limits allow."""
    row = Key(transaction, queue, key, limits, now)
    row.promote()
    row.write()


def free_slot(
    transaction: Transaction, queue: str, key: str, limits: Limits, now: float, *, begun: bool, token: bool = False
) -> None:
    """Give a key's slot back, and let the next of its jobs have it."""
    row = Key(transaction, queue, key, limits, now)
    row.free_slot(begun=begun, token=token)
    row.promote()
    row.write()


# --- stages of a job --------------------------------------------------------------------------------------------------


def first_stage(key: str | None, due: float | None, limits: Limits, now: float) -> int:
    """Return the first stage of a job that waits for no other; with a limited key, `promote` lets it go on."""
    if due is not None and due > now:
        return DUE
    return BEHIND if key is not None and limits.has_keys else READY


def enter(
    transaction: Transaction, id_: int, queue: str, key: str | None, due: float | None, limits: Limits, now: float
) -> None:
    """Have a job wait for its time, for its key, or for nothing any more."""
    stage = first_stage(key, due, limits, now)
    transaction.run("jobs.set_stage", {"id": id_, "stage": stage})
    if stage == BEHIND:
        assert key is not None
        promote(transaction, queue, key, limits, now)
