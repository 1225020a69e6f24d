"""Restart window: may a child restart once more? Is told the time; starts and stops nothing."""

from __future__ import annotations

from collections import deque

from actorflow.core.actors.traits import check_intensity


class RestartWindow:
    """OTP's restart intensity: at most `intensity` restarts in any `period` seconds.

    >>> window = RestartWindow(intensity=1, period=5.0)
    >>> [window.allows(t) for t in (0.0, 1.0, 6.1)]
    [True, False, True]
    """

    def __init__(self, intensity: int, period: float) -> None:
        check_intensity(intensity, period)
        self.intensity = intensity
        self.period = period
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Say whether one more restart fits the intensity, and count it; a refused one is not counted."""
        while self._times and now - self._times[0] > self.period:
            self._times.popleft()
        if len(self._times) >= self.intensity:
            return False
        self._times.append(now)
        return True
