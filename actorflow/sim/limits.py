"""Limits: of the steps of a simulated run, and of the real time of a handler in it."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from actorflow.errors import DefinitionError
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

STEP_LIMIT: Final = 1_000_000  # of one run: half a minute
TURN_SECONDS: Final = 30.0  # of real time, that a handler may keep its turn


class RunLimits(NamedTuple):
    """Limits of one run.

    Attributes:
        step_limit: steps that it may take.
        turn_seconds: real seconds that a handler may keep its turn; None: any.
    """

    step_limit: int = STEP_LIMIT
    turn_seconds: float | None = TURN_SECONDS


USUAL: Final = RunLimits()


def check_limits(step_limit: Any, turn_seconds: Any) -> None:
    """Refuse limits of a run that are none.

    Raises:
        DefinitionError: one of them is none.
    """
    if isinstance(step_limit, bool) or not isinstance(step_limit, int) or step_limit < 1:
        raise DefinitionError(f"step_limit={stable_text(step_limit)}: give a whole number of steps, 1 or more")
    if turn_seconds is not None and not (is_number(turn_seconds) and 0 < turn_seconds < math.inf):
        raise DefinitionError(f"turn_seconds={stable_text(turn_seconds)}: give real seconds, more than 0, or None")
