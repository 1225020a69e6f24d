"""Settings: the command line's words on searches, before those of their tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actorflow.errors import DefinitionError
from actorflow.text import stable_text

UNITS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class SearchSettings:
    """Settings of all searches of a process.

    Attributes:
        seed: run this one only.
        runs: how many seeds, instead of as many as the test says.
        verify: run each seed twice, and compare the steps.
        tape: run this one only.
        budget: seconds of real time, after which a search ends.
        workers: processes that share out the seeds.
        until_step: open the debugger after so many steps.
        command: that runs the search, with the options of the run that failed behind it; "": pytest does.
    """

    seed: int | None = None
    runs: int | None = None
    verify: bool = False
    tape: Path | None = None
    budget: float | None = None
    workers: int = 1
    until_step: int | None = None
    command: str = ""

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("runs", 1), ("workers", 1), ("until_step", 1)):
            value: Any = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise DefinitionError(f"{name}={stable_text(value)}: give a whole number, {least} or more")
        if self.seed is not None and self.tape is not None:
            raise DefinitionError(f"seed={self.seed} and tape={str(self.tape)!r}: give one; a tape has its seed")

    @property
    def is_single(self) -> bool:
        """Whether one run is asked for, that of a seed or of a tape."""
        return self.seed is not None or self.tape is not None


_IN_FORCE: list[SearchSettings] = [SearchSettings()]


def in_force() -> SearchSettings:
    """Return the settings that hold now."""
    return _IN_FORCE[-1]


@contextlib.contextmanager
def use(settings: SearchSettings) -> Iterator[None]:
    """Have settings hold for the searches of a block."""
    _IN_FORCE.append(settings)
    try:
        yield
    finally:
        _IN_FORCE.remove(settings)


def seconds_of(text: str) -> float:
    """Return the seconds of a text like "60s", "2m", "1h" or "90".

    >>> seconds_of("2m")
    120.0

    Raises:
        DefinitionError: it is none.
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip()[len(number) :] or "s"
    try:
        seconds = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise DefinitionError(f"{stable_text(text)} is no time: give seconds, or 60s, 2m, 1h")
    return seconds
