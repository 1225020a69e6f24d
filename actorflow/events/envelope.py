"""Envelope: an event on its way, with its id, its source and its causes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.durable.rows.payload import Caused
from actorflow.tasks.cause import Cause, CausedMessage, cause_of_task
from actorflow.text import text_of


class Envelope(msgspec.Struct, CausedMessage, frozen=True, eq=False):
    """An event on its way: the message that a service gets. Told to a service by hand, it is handled like any other.

    Attributes:
        id: of this publication.
        source: path of the actor that published it; the name of the system for a publication from outside.
        time: seconds since the epoch, on the system's clock.
        key: events of one key are handled in order; None: no order.
        correlation: id of the first event of the conversation; if a run began it, "run/" and its id; if a job, its key.
        causation: id of the event whose handler published this one, or sent, started or enqueued what did; None: none.
        event: the event itself.
        late: it was a dead event of a durable service, and is handled out of order: later ones of its key came before.
    """

    id: str
    source: str
    time: float
    key: str | None
    correlation: str
    causation: str | None
    event: Any
    late: bool = False

    def __repr__(self) -> str:
        return f"Envelope(id={self.id!r}, source={self.source!r}, event={text_of(self.event)})"


CURRENT_GET: Final = CURRENT.get


def handled_envelope() -> Envelope | None:
    """Return the envelope of the event that is being handled here; None: there is none.

    The message of the running handler is asked first: to set a variable for each event would add a fifth to it.
    """
    execution = CURRENT_GET()
    message = None if execution is None else execution.item[1]
    return message if type(message) is Envelope else None


def cause_of_publication(execution: Execution) -> Envelope | Caused | Cause | None:
    """Return the cause of a publication here: the event, or the message because of one, that is handled; or a task."""
    message: Any = execution.item[1]
    kind = type(message)
    return message if kind is Envelope or kind is Caused else cause_of_task()
