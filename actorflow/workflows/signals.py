"""Signals: the messages to runs that are the engine's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AT_START: Final = "start"  # marks the signal that a run is started with


@dataclass(frozen=True)
class CancelRun:
    """Asks a run to end."""


@dataclass(frozen=True)
class PauseRun:
    """Asks the owner of a run to begin nothing more of it."""


@dataclass(frozen=True)
class QueryRun:
    """Asks the owner of a run for the value of a function that its code has exposed.

    Attributes:
        name: of the function.
        until: when nobody waits for the answer any more; seconds since the epoch.
    """

    name: str
    until: float


@dataclass(frozen=True)
class ChildEnded:
    """Tells a run that one of its children is over.

    Attributes:
        step: where it stands in the code of the parent: turn, branch, name, occurrence.
        run: the name of the child.
        status: "completed", "failed" or "cancelled".
        output: the result, as it is stored.
        error: as it is stored.
    """

    step: list[object]
    run: str
    status: str
    output: bytes | None
    error: bytes | None
