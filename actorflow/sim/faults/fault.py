"""Fault: one thing that goes wrong in a simulated run, from its begin to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Fault:
    """One fault.

    Attributes:
        kind: crash, pause, partition, slow, drop, clock skew or deploy.
        text: what it is, in words.
        begin: virtual seconds.
        end: virtual seconds, when it has healed.
        act: begins it.
        heal: ends it.
        amount: a factor, or a part of the messages.
        touched: it has acted on something: a message, or an actor that ran or was to run.
        name: among the faults of a run, for the tape.
        is_expected: the run is too short if it does not come; else the run itself, or chaos, made it.
        case: one that is to touch something in some run of a search; "": it is one of its own.
    """

    kind: str
    text: str
    begin: float
    end: float
    act: Callable[[Fault], object]
    heal: Callable[[Fault], object] = lambda _: None
    amount: float = 0.0
    touched: bool = False
    name: str = field(default="")
    is_expected: bool = False
    case: str = ""

    def __str__(self) -> str:
        return f"{self.text} at {self.begin:g} s"
