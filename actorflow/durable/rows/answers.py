"""Answers that are messages: an ask whose answer goes to a mailbox, and not to a node where a caller waits.

The asker of a row is a node's id, or the text of an `AnswerAddress`. An answer to an address is a row like any message:
it comes once, also if the process that asked has died.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.durable.rows.records import TimerRow

MARK: Final = "@"  # in front of an address; ids of nodes begin otherwise
RUN: Final = "run:"  # how the mailbox of a run begins: no actor's does, as those are paths
PACKED: Final = b'["answer"'  # how a `PipedAnswer` begins that is packed
CAUSED: Final = b'["caused"'  # how a message begins that has a cause


class AnswerAddress(NamedTuple):
    """The address of an answer: the mailbox, and what its owner has to know to deal with the answer.

    >>> AnswerAddress("shop/till", ["paid", None, None]).text
    '@["shop/till","paid",null,null]'
    >>> AnswerAddress.of('@["shop/till","paid",null,null]')
    AnswerAddress(receiver='shop/till', rest=['paid', None, None])
    >>> AnswerAddress.of("a node") is None
    True
    """

    receiver: str
    rest: list[Any]

    @property
    def text(self) -> str:
        """The address as an asker of a row."""
        return MARK + json.dumps([self.receiver, *self.rest], separators=(",", ":"))

    @classmethod
    def of(cls, asker: str) -> Self | None:
        """Return the address that an asker is; None if the asker is a node.

        A damaged one is none, too: its answer is kept for a day, as of a node that has ended, and all else goes on.
        """
        if not isinstance(asker, str) or not asker.startswith(MARK):  # SQLite has any type in any column
            return None
        try:
            receiver, *rest = json.loads(asker[len(MARK) :])
        except (ValueError, TypeError):
            return None
        return cls(receiver, rest) if isinstance(receiver, str) else None


@dataclass(slots=True, repr=False)
class PipedAnswer:
    """An answer that comes as a message to the actor that asked, for the method that it was piped to.

    Attributes:
        name: of the method that gets the value.
        failed: name of the method that gets an error; None: the error fails the message.
        token: what the timer of the timeout is known by; None: there is none.
        value: the value; in the message of a timeout, the token of its timer.
        error: the error, as it is stored; None if there is a value.
    """

    name: str
    failed: str | None
    token: str | None
    value: Any = None
    error: bytes | None = None

    @property
    def rest(self) -> list[Any]:
        """The part of an answer's address that stands beside the mailbox."""
        return [self.name, self.failed, self.token]

    def timer_in(self, timers: TimerRows) -> int | None:
        """Return the number of the timer that ends the wait for the answer; None if there is none, or it has fired."""
        return None if self.token is None else timers.waits.get(self.token)

    def __repr__(self) -> str:
        return f"<Piped to {self.name if self.error is None else self.failed or self.name}>"


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The end of work that a step of a run has asked others for: the answer of a durable actor, or the end of a job.

    Attributes:
        step: where the step stands in the code: turn, branch, name, occurrence.
        value: the value, as it is stored.
        error: the error, as it is stored; None if there is a value.
        status: of a job; an answer has none.
        attempt: of a job, how many have begun.
        began: of a job, when the last one did.
    """

    step: list[Any]
    value: bytes | None
    error: bytes | None
    status: str | None = None
    attempt: int = 1
    began: float | None = None


class TimerRows(dict[int, "TimerRow"]):
    """The timers of one durable actor that are rows, by number.

    Attributes:
        waits: numbers of those that end the wait for a piped answer, by the token of the answer.
    """

    def __init__(self, rows: Iterable[TimerRow] = ()) -> None:
        super().__init__()
        self.waits: dict[str, int] = {}
        for row in rows:
            self.add(row)

    def add(self, row: TimerRow) -> None:
        """Have a timer, by its number."""
        self[row.id] = row
        token = token_of(row.body)
        if token is not None:
            self.waits[token] = row.id

    def drop(self, id: int) -> bool:
        """Have a timer no more; False if there is none."""
        row = self.pop(id, None)
        if row is None:
            return False
        token = token_of(row.body)
        if token is not None:
            self.waits.pop(token, None)
        return True


def without_token(body: bytes) -> bytes:
    """Return a message that waits for no timer: a dead letter whose timer has ended with it, for a later retry."""
    if not body.startswith((PACKED, CAUSED)):
        return body
    message = json.loads(body)
    answer = message if body.startswith(PACKED) else message[3]
    if answer[0] != "answer":
        return body
    answer[1][2] = None
    return json.dumps(message, separators=(",", ":")).encode()


def token_of(body: bytes) -> str | None:
    """Return the token of the answer whose wait a timer ends, by the timer's message; None if it ends none."""
    if not body.startswith((PACKED, CAUSED)):
        return None
    try:
        message = json.loads(body)
        answer = message if body.startswith(PACKED) else message[3]
        token = answer[2] if answer[0] == "answer" else None
    except (ValueError, LookupError, TypeError):  # damaged: the answer is taken for one that came too late
        return None
    return token if isinstance(token, str) else None
