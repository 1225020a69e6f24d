"""Envelope: an event on its way, with its id, its source and its causes."""

from __future__ import annotations

import contextvars
from typing import Any, Final

import msgspec

from actorflow.core.messages.execution import CURRENT
from actorflow.durable.rows.payload import Caused
from actorflow.text import text_of


class Envelope(msgspec.Struct, frozen=True, eq=False):
    """An event on its way: the message that a service gets. Told to a service by hand, it is handled like any other.

    Attributes:
        id: of this publication.
        source: path of the actor that published it; the name of the system for a publication from outside.
        time: seconds since the epoch, on the system's clock.
        key: events of one key are handled in order; None: no order.
        correlation: id of the first event of the conversation.
        causation: id of the event whose handler published this one; None: none did.
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


# The envelope whose event is being handled here, if no message of this actor has it: durable services set it.
HANDLED: Final[contextvars.ContextVar[Envelope | None]] = contextvars.ContextVar("actorflow.event", default=None)
CURRENT_GET: Final = CURRENT.get


def handled_envelope() -> Envelope | None:
    """Return the envelope of the event that is being handled here; None: there is none.

    The message of the running handler is asked first: to set a variable for each event would add a fifth to it.
    """
    execution = CURRENT_GET()
    message = None if execution is None else execution.item[1]
    return message if type(message) is Envelope else HANDLED.get()


def cause_here() -> Envelope | Caused | None:
    """Return the cause of a publication here: the event, or the message because of one, that is handled."""
    execution = CURRENT_GET()
    message = None if execution is None else execution.item[1]
    kind = type(message)
    return message if kind is Envelope or kind is Caused else HANDLED.get()
