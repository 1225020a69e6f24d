"""News of a host, as its actors' stand-ins in the parent get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorflow.process.hosts.parent.host_process import HostProcess


class GuestEnded:
    """News from a host: an incarnation is over."""

    __slots__ = ("epoch", "error", "final")

    def __init__(self, epoch: int, error: BaseException | None, *, final: bool) -> None:
        self.epoch = epoch
        self.error = error
        self.final = final

    def __repr__(self) -> str:
        return f"GuestEnded({self.error!r})"


class HostLost:
    """News: a host is gone, and its actors with it."""

    __slots__ = ("error", "host")

    def __init__(self, host: HostProcess, error: BaseException) -> None:
        self.host = host
        self.error = error

    def __repr__(self) -> str:
        return f"HostLost({self.error!r})"


class MoveOut:
    """News: a host has served its time."""

    __slots__ = ("host",)

    def __init__(self, host: HostProcess) -> None:
        self.host = host

    def __repr__(self) -> str:
        return "MoveOut()"
