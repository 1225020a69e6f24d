"""RunEvent: an event of a run, which subscribers get once it is committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of a run, which subscribers get, and `run.history` lists.

    Attributes:
        kind: of the run: "started", "waiting", "parked", "completed", "failed", "cancelled"; of a step: "step started",
            "step completed", "step failed", "step retried", "step skipped", "step cancelled".
        run: id of the run.
        step: name of the step; None if the event is the run's.
        time: seconds since the epoch.
        detail: the error, or of "waiting" the name of the timer or the signal.
    """

    kind: str
    run: str
    step: str | None
    time: float
    detail: Any = None
