"""Records: the rows of runs, as the ledger reads and writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from actorflow.durable.rows.answers import RUN
from actorflow.errors import NonDeterministic
from actorflow.store.commit_batch import MemberRefused
from actorflow.store.error_json import read_error
from actorflow.tasks.cause import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.store.transaction import Work

# Where a step stands in the code of its workflow: its branch, its name, and how often it came there before.
Identity: TypeAlias = "tuple[str, str, int]"

# Kinds of records.
RESULT: Final = 0  # the end of a task, a timer, or a wait: what the body hears
ATTEMPT: Final = 1  # a try that failed, after which there is another
CANCEL: Final = 2  # somebody wants the run to end
CANCELLED: Final = 3  # the end of a child that was cancelled
PATCHED: Final = 5  # the code asked whether it may take a new path, and may
TOLD: Final = 6  # a message to a durable actor has left
ASKED: Final = 7  # an ask has left, or a job was enqueued; its end is a RESULT
GIVEN_UP: Final = 8  # the end of a job that nobody runs again: it is dead
LEFT_OUT: Final = 9  # a node of a DAG, by its condition
COUNT: Final = 10  # how many items a map of a DAG has
INTENT: Final = 11  # of a saga: a step is about to begin
PIVOT: Final = 12  # of a saga: from here on it only goes forward
TURNED: Final = 13  # of a saga: from here on it undoes its steps, or those of a savepoint
DOUBTED: Final = 14  # of a saga: the end of a step that has raised, and may have acted
UNDONE: Final = 15  # of a saga: the end of a compensation
SKIPPED: Final = 16  # of a saga: somebody has left a compensation out
UNDO: Final = "undo"  # the branch of a saga's compensations; those of functions are "undo.1" and so on
OF_FUNCTION: Final = "undo "  # begins the name of the end of a function that undoes: no task has such a name
AGAIN: Final = "undo.again"  # that of steps which are run once more, as it is not known whether they have acted
KIND_NAMES: Final = {
    RESULT: "result",
    ATTEMPT: "failed attempt",
    CANCEL: "cancel",
    CANCELLED: "cancelled child",
    PATCHED: "patched",
    TOLD: "tell",
    ASKED: "asked",
    GIVEN_UP: "given up",
    LEFT_OUT: "left out",
    COUNT: "count",
    INTENT: "intent",
    PIVOT: "pivot",
    TURNED: "turned",
    DOUBTED: "maybe done",
    UNDONE: "undone",
    SKIPPED: "skipped",
}
NO_STEP: Final = frozenset({CANCEL, PATCHED, ASKED, COUNT, INTENT, PIVOT, TURNED})
UNHEARD: Final = frozenset({INTENT, PIVOT})  # the code does not wait for them
BEFORE_RESULT: Final = frozenset({ATTEMPT, ASKED})  # of a step that goes on

# States of runs.
BEHIND: Final = -1  # it waits for a slot of its key
READY: Final = 0
WAITING: Final = 1
OWNED: Final = 2
PARKED: Final = 3
OVER: Final = 4

RENEWED: Final = "renewed"  # in place of a status: the run ends its journal, and begins anew
FINAL: Final = frozenset({"completed", "failed", "cancelled", "compensated"})


class RunLost(MemberRefused):
    """Another node has taken the run over; nothing of this commit is there."""


class RunRow(NamedTuple):
    """A run, as its row has it: the columns of the statement "runs.get", in their order."""

    id: int
    name: str
    workflow: str
    version: str | None
    hash: str | None
    parent: str | None
    parent_step: str | None
    state: int
    status: str
    priority: int
    key: str | None
    deadline: float | None
    owner: str | None
    epoch: int
    input: bytes
    output: bytes | None
    error: bytes | None
    reason: str | None
    created: float
    started: float | None
    ended: float | None
    on_close: str | None
    turn: int
    seed: str | None
    slot: str | None
    cause: str | None

    @property
    def is_of_dag(self) -> bool:
        """Whether the run is of a DAG, which may not be known here."""
        return self.input.startswith(b'{"dag":')

    @property
    def is_of_saga(self) -> bool:
        """Whether the run is of a saga."""
        return self.input.startswith(b'{"saga":')


@dataclass(slots=True)
class ClaimedRun:
    """A run that this node has.

    Attributes:
        id: of its row.
        name: the id by which users know it.
        epoch: every write of its owner names it.
        input: the arguments, as stored.
        started: when it was first claimed, in seconds since the epoch: its clock begins there.
        turn: how often it was continued as new.
        seed: of its random numbers; None: its name and when it was created.
        slot: the key whose slot it holds; None: its workflow has no limit.
        cause: the event because of which it was started, as it is stored; None: there is none.
    """

    id: int
    name: str
    workflow: str
    version: str | None
    hash: str | None
    parent: str | None
    parent_step: str | None
    priority: int
    key: str | None
    deadline: float | None
    epoch: int
    input: bytes
    created: float
    started: float
    turn: int = 0
    seed: str | None = None
    slot: str | None = None
    cause: str | None = None

    @property
    def event(self) -> Cause | None:
        """The event because of which it was started; None: there is none."""
        return None if self.cause is None else Cause(*json.loads(self.cause))

    @property
    def address(self) -> str:
        """The receiver of its mail."""
        return address_of(self.name)

    @property
    def scope(self) -> str:
        """The begin of the keys of its steps and of the ids of its children: of each turn, they are others."""
        return self.name if not self.turn else f"{self.name}#{self.turn}"


@dataclass(slots=True)
class RunRecord:
    """One entry of a run's journal.

    Attributes:
        n: its place.
        identity: of the step that it is about.
        start: how many steps of the branch were started before that one.
        hash: of the step's arguments.
        value: the result, as stored; of a step that has failed, None.
        attempt: counts from 1.
        began: when the attempt began; None of an end without one.
        at: when it ended; both in seconds since the epoch.
        also: work that its commit writes, too, such as events that the step has published.
    """

    n: int
    identity: Identity
    start: int
    kind: int
    hash: bytes | None
    value: bytes | None
    error: bytes | None
    attempt: int
    began: float | None
    at: float
    also: Sequence[Work] = ()


def is_of_function(record: RunRecord) -> bool:
    """Say whether a record is the end of a function of `af.undo`."""
    return record.identity[1].startswith(OF_FUNCTION)


def event_of(record: RunRecord) -> tuple[str, str | None]:
    """Return the kind of event that a record of a step is, and the text of its error."""
    if record.kind in {LEFT_OUT, SKIPPED}:
        return "step skipped", None
    if record.error is None or record.value is not None:
        return "step completed", None
    return ("step retried" if record.kind == ATTEMPT else "step failed"), read_error(record.error)[0]


def step_name(identity: Identity) -> str:
    """Return how users know a step: by its name, with its place if it is not the first in the main branch."""
    branch, name, occurrence = identity
    return name if branch in {"0", ""} and occurrence == 1 else f"{name} ({branch}, {occurrence})"


def misfit_of(expected: Identity | None, begun: Iterable[Identity] | None, *, has_arguments: bool) -> NonDeterministic:
    """Return the error of code that has not come to the step of its next record: it has begun these, or that otherwise.

    Args:
        expected: the step of the record; None: there is no such record.
        begun: the steps that the code has begun; None: it has begun this one, with other arguments or in another order.
        has_arguments: the step has some.
    """
    branch, name, occurrence = expected or ("", "nothing", 0)
    where = f"{name} ({occurrence}. time in branch {branch})" if expected else name
    if begun is None:
        got = f"{name} with other arguments" if has_arguments else f"{name} in another order"
    else:
        got = ", ".join(sorted(step[1] for step in begun)) or "nothing"
    return NonDeterministic(where, got)


def address_of(name: str) -> str:
    """Return the receiver of a run's mail: no actor has such a name, as theirs are paths."""
    return f"{RUN}{name}"
