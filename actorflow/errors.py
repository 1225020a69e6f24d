"""The error tree: every error that actorflow raises on purpose. Layer 0.

Each error is also a subclass of pykka's or the standard library's twin, so that `except` clauses written for those keep
working, and each survives pickling with its attributes.
"""

from __future__ import annotations

import queue
from typing import Any

import pykka

__all__ = [
    "ActorDeadError",
    "ActorflowError",
    "AskTimeout",
    "Crash",
    "DeadlockError",
    "DefinitionError",
    "MailboxFull",
    "RestartLimitReached",
    "Stopping",
    "ThreadLimit",
]


class ActorflowError(Exception):
    """Base class of all errors of actorflow."""


class DefinitionError(ActorflowError, ValueError, TypeError):
    """A definition cannot work: a duplicate name, an unknown option, arguments that do not fit.

    It is raised where the definition stands, and is a `ValueError` and a `TypeError`, as Python's own errors for the
    same mistakes are.
    """


class ActorDeadError(ActorflowError, pykka.ActorDeadError):
    """The actor is dead: it was stopped, or it crashed and was not restarted. `__cause__` holds the crash, if any."""


class AskTimeout(ActorflowError, pykka.Timeout, TimeoutError):
    """No answer came in time. The message may still be handled; ask again, or give a longer `timeout`."""


class MailboxFull(ActorflowError, queue.Full):
    """The mailbox holds its capacity. Wait and send again, or spawn with overflow="drop_oldest"."""


class DeadlockError(AskTimeout):
    """The wait would never end: it closes a cycle of actors that wait for each other.

    It is raised at once in the wait that closes the cycle. Break the cycle with `cast` or `tell`, with
    `ctx.pipe(future, self.method)`, or with `ctx.reply_later()` in the actor that is asked.
    """


class ThreadLimit(ActorflowError, RuntimeError):
    """All threads of the system wait. Raise `Settings.threads`, or wait with `await` instead of `get()`."""


class Stopping(ActorflowError):
    """Raised inside a handler that waits, when its actor is being shut down. Clean up and let it pass."""


class Crash(ActorflowError):
    """Raise it from a handler to crash the actor even though the message was an ask.

    ``raise af.Crash from error`` answers the caller with `error` and tells the supervisor. A caller whose actor crashed
    with a `BaseException` such as `SystemExit` gets a `Crash` with that exception as `__cause__`.
    """


class RestartLimitReached(ActorflowError):
    """A supervisor restarted its children more often than its intensity allows, and gave up.

    Attributes:
        path: the supervisor's path.
        history: the crashes within the last period, oldest first: (seconds on the system's clock, path, error).
    """

    def __init__(self, path: str, history: tuple[tuple[float, str, BaseException | None], ...] = ()) -> None:
        self.path = path
        self.history = history
        lines = "".join(f"\n  {at:.3f}s {who}: {why!r}" for at, who, why in history)
        super().__init__(f"{path} restarted its children too often; the last crashes:{lines}")

    def __reduce__(self) -> tuple[type[RestartLimitReached], tuple[Any, ...]]:
        """Pickle by the two arguments, since `args` holds the text."""
        return type(self), (self.path, self.history)
