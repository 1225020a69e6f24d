"""Cause: the event because of which code runs here: in its handler, or in a job, a run or a message that came of that.

It is stored with each job, run and durable message that comes of an event, and with no other, so that the events which
they publish belong to the conversation of that one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actorflow.core.messages.execution import CURRENT
from actorflow.tasks.current import CURRENT_TASK, find_current


class Cause(NamedTuple):
    """The event because of which something is done.

    Attributes:
        correlation: id of the event that the conversation began with; or the key of the job or run, if no event did.
        id: of the event; None: there is none.
    """

    correlation: str
    id: str | None


class CausedMessage:
    """A message that has a cause, as a Cause has it."""

    __slots__ = ()

    correlation: str
    id: str


def cause_here() -> Cause | None:
    """Return the event because of which code runs here; None: there is none."""
    execution = CURRENT.get()
    if execution is not None:
        message: Any = execution.item[1]
        if issubclass(type(message), CausedMessage):
            return Cause(message.correlation, message.id)
    cause = cause_of_task()
    return cause if cause is not None and cause.id is not None else None


def cause_of_task() -> Cause | None:
    """Return the cause of the publications of the task that runs here; None: no task does."""
    if CURRENT_TASK.get() is None:
        return None
    task = find_current()
    return None if task is None else task._cause
