"""Records: a claimed job, its outcome, and the news of a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.errors import PayloadError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.durable.rows.records import Letter
    from actorflow.store.transaction import Transaction


CRASHES: Final = 3  # processes that one job may kill before it is dead
PART: Final = 1000  # jobs that one transaction tells of the end of others: 60 ms
BATCH: Final = 500  # jobs that one transaction moves on besides its own
DAY: Final = 86400.0
DEAD_SECONDS: Final = 30 * DAY  # that a dead letter is kept
FINAL: Final = frozenset({"completed", "failed", "dead", "cancelled"})


@dataclass(slots=True)
class Claimed:
    """A job that this node has claimed, to run."""

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

    def check(self) -> None:
        """Refuse a row that nobody here has written so.

        Raises:
            PayloadError: a column holds something else than its kind of value.
        """
        values = (self.args, self.options, self.attempt, self.crashes, self.epoch, self.priority, self.key, self.due)
        if (*map(type, values),) in SOUND and type(self.created) is float:
            return
        for name, kind in COLUMNS.items():
            if not isinstance(getattr(self, name), kind):
                msg = f"the row of job {self.id} is damaged: {name} is {text_of(getattr(self, name), 60)}"
                raise PayloadError(msg)


COLUMNS: Final[dict[str, Any]] = {
    "args": bytes | str,
    "options": bytes | str | None,
    "attempt": int,
    "crashes": int,
    "epoch": int,
    "priority": int,
    "key": str | None,
    "due": float | int | None,
    "created": float | int,
}
ABSENT: Final = type(None)
SOUND: Final = frozenset(
    (bytes, options, int, int, int, int, key, due)
    for options in (bytes, ABSENT)
    for key in (str, ABSENT)
    for due in (float, ABSENT)
)  # of nearly all jobs


class OwnedJob(NamedTuple):
    """A job that some node has.

    Attributes:
        begun: 1 if it was noted that it has begun.
    """

    id: int
    queue: str
    key: str | None
    epoch: int
    crashes: int
    at_most_once: int
    task: str
    begun: int

    def was_begun(self, notes: frozenset[int] | None) -> bool:
        """Say whether the job may have begun, by the notes that its node left of begun jobs; None if they are unknown.

        Then the crash counts once even if the job had not begun: after that, and for a job that may run once only,
        there is a note in its row.
        """
        if notes is not None:
            return self.id in notes
        return bool(self.begun or not (self.crashes or self.at_most_once))


@dataclass(slots=True)
class Outcome:
    """The outcome of a job that this node had.

    Attributes:
        status: "completed", "failed", "dead", "cancelled"; "queued" to try it again at `due`, or to give it back.
        result: of a completed one.
        error: of another.
        crashes: 1 if it has killed its process.
        given_back: it was not begun.
        lacks: class in its arguments that is not known here: it is left for a process that knows it.
        interrupted: it was begun, and the process ends: the attempt does not count.
        options: of the job, if they are others now.
        is_doubtful: it may be written already, by a commit whose outcome is unknown; then it is not lost.
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
    interrupted: bool = False
    keep: float = DAY
    task: str = ""
    lacks: str | None = None
    options: bytes | None = None
    is_doubtful: bool = False


@dataclass(slots=True)
class News:
    """The further effects of a transaction, beside those that were asked for; they are told once it is committed.

    Attributes:
        lost: jobs whose outcome came too late: another node has them.
        queues: in which jobs may be ready that were not.
        ended: jobs that will not begin, with their tasks and statuses: they expired, waited for one that failed, or are
            the last of a group whose results are too big.
        duplicates: jobs that were there already, and were to be added.
        letters: to runs: the ends of jobs that their steps wait for.
        room: how many jobs more the transaction may tell that others are over.
        is_unfinished: some are yet to be told; see `ledger.carry_on`.
    """

    lost: list[int] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)
    ended: list[tuple[int, str, str]] = field(default_factory=list)
    duplicates: set[int] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list)
    room: int = PART
    is_unfinished: bool = False

    def begin(self) -> None:
        """Forget all news: a database may have a transaction undone and done again."""
        self.lost.clear()
        self.queues.clear()
        self.ended.clear()
        self.duplicates.clear()
        self.letters.clear()
        self.room, self.is_unfinished = PART, False


@dataclass(slots=True)
class Counts:
    """Changes of a queue's counters, written once a transaction."""

    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    dead: int = 0

    def write(self, transaction: Transaction, queue: str) -> None:
        """Add the counts to the queue's."""
        changes = {name: getattr(self, name) for name in COUNTED}
        if any(changes.values()):
            transaction.run("jobs.count", {"name": queue, **changes})


COUNTED: Final = ("running", "completed", "failed", "cancelled", "retried", "dead")
