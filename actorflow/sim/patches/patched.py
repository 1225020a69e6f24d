"""Patched: puts the patches on while a simulation is open, and takes them off after the last one."""

from __future__ import annotations

from functools import cache
from typing import Protocol

from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.sim.patches import chance, clocks, locks, log_records, outside

_lock = forkable_lock()
_open = [0]


class Patch(Protocol):
    """One function of the library that does something else in a simulated world."""

    def on(self) -> None:
        """Put the patch on."""
        ...

    def off(self) -> None:
        """Take the patch off."""
        ...


@cache
def all_patches() -> tuple[Patch, ...]:
    """Return all patches, made at first use."""
    return (*clocks.patches(), *chance.patches(), *locks.patches(), *outside.patches(), *log_records.patches())


def enter() -> None:
    """Begin a simulation: several may be open, also in several threads, as each call looks where it is made."""
    exclusively(_lock, _enter)


def leave() -> None:
    """End a simulation."""
    exclusively(_lock, _leave)


def _enter() -> None:
    _open[0] += 1
    if _open[0] == 1:
        try:
            for patch in all_patches():
                patch.on()
        except BaseException:
            _leave()
            raise


def _leave() -> None:
    _open[0] -= 1
    if not _open[0]:
        for patch in reversed(all_patches()):
            patch.off()
