"""Stats: the counts of a chart's machines, and the parts of a transition's time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.machine.running.program import Program


@dataclass(frozen=True, slots=True)
class MachineStats:
    """The counts of one class's machines in this process. Times are of one event in 64, and 0.0 before the first such.

    Attributes:
        events: that came from outside, refused ones included.
        refused: events that were not legal.
        failed: events in which a guard, an action or a hook raised.
        validation_time: seconds that it takes on average to select a transition, guards included.
        action_time: seconds that it takes on average to take it: actions, exit, record, listeners, enter.
    """

    events: int
    refused: int
    failed: int
    validation_time: float
    action_time: float

    @property
    def transition_time(self) -> float:
        """StateTransitionTime = ValidationTime + ActionTime, in seconds."""
        return self.validation_time + self.action_time


def stats_of(program: Program) -> MachineStats:
    """Return the figures of a program; times are those of one event in 64."""
    sampled = program.sampled or 1
    return MachineStats(
        events=program.seen,
        refused=program.refused,
        failed=program.failed,
        validation_time=program.validation_time / sampled,
        action_time=program.action_time / sampled,
    )


def machine_capacity(states: int, event_rate: float, processing_capacity: float) -> float:
    """Return C = StateCount x EventRate / ProcessingCapacity: the load of a machine, 1 being all there is.

    Args:
        states: how many states the chart has.
        event_rate: events a second.
        processing_capacity: state visits a second that the machine's process manages: states / transition time.

    >>> machine_capacity(states=4, event_rate=1_000, processing_capacity=400_000)
    0.01

    Raises:
        DefinitionError: a count or rate is negative or no number, or the capacity is not above 0.
    """
    given = (states, event_rate, processing_capacity)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in given)
    if not numbers or states < 0 or event_rate < 0 or processing_capacity <= 0:
        msg = f"machine_capacity{given}: give numbers, none negative, and a capacity above 0"
        raise DefinitionError(msg)
    return states * event_rate / processing_capacity
