"""Report: figures of one simulated run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Figures of one run.

    Attributes:
        time: virtual seconds at its end.
        steps: handler runs and resumptions.
        digest: of all steps: two runs that took the same ones have the same.
        faults: what went wrong, in words.
    """

    time: float
    steps: int
    digest: int
    faults: list[str]
