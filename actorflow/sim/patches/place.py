"""Place: whose code makes a call, and in which simulated world.

Only the user's code is patched: the runtime's locks, threads and clocks are real ones, and so are those of other
threads of the process. A call that the standard library makes belongs to the one who called the library.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from actorflow.core.drivers.unwinding import PACKAGE
from actorflow.core.futures.thread_wait import DRIVERS
from actorflow.core.messages.execution import CURRENT
from actorflow.sim.world.scheduler import SimScheduler, SimWorld, is_callers
from actorflow.tasks import current

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Execution

OWN, LIBRARY_CODE, USERS, IMPORTS = range(4)
PATCHES: Final = str(Path(__file__).parent)
THREAD_STARTS: Final = current.__file__  # stands in for `Thread.start`, once a program has tasks
_kinds: Final[dict[str, int]] = {}  # by file

_current = CURRENT.get
_ident = threading.get_ident
_frame = sys._getframe


def kind_of(file: str) -> int:
    """Say whose code a file has."""
    if file.startswith("<frozen importlib"):
        return IMPORTS
    if file.startswith(PATCHES) or file == THREAD_STARTS:
        return LIBRARY_CODE  # it acts for its caller
    if is_callers(file):
        return USERS
    return OWN if file.startswith(PACKAGE) else LIBRARY_CODE


def users_frame() -> FrameType | None:
    """Return the frame of the user's that makes a call; None: the runtime does, or a module that is imported."""
    frame: FrameType | None = _frame(2)
    while frame is not None:
        file = frame.f_code.co_filename
        kind = _kinds.get(file)
        if kind is None:
            kind = _kinds[file] = kind_of(file)
        if kind == USERS:
            return frame
        if kind != LIBRARY_CODE:
            return None
        frame = frame.f_back
    return None


class Here:
    """A call of the user's code in a simulated world.

    Attributes:
        world: the one.
        execution: runs the handler; None: a client's function or a check.
    """

    __slots__ = ("execution", "world")

    def __init__(self, world: SimWorld, execution: Execution | None) -> None:
        self.world = world
        self.execution = execution


def world_here() -> Here | None:
    """Return the world that this thread runs in, whoever calls; None: this is no thread of one, or its driver's."""
    execution = _current()
    if execution is not None:
        scheduler = execution.scheduler
        return Here(scheduler.world, execution) if isinstance(scheduler, SimScheduler) else None
    world = world_of_thread()
    return None if world is None or world.driver_thread == _ident() else Here(world, None)


def world_of_thread() -> SimWorld | None:
    """Return the world that this thread belongs to, also if it is the one that drives it."""
    scheduler = getattr(DRIVERS.get(_ident()), "__self__", None)
    world = scheduler.world if isinstance(scheduler, SimScheduler) else scheduler
    return world if isinstance(world, SimWorld) else None


def simulated() -> Here | None:
    """Return where a call is made; None: it is to do what it does outside of a simulation."""
    here = world_here()
    return None if here is None or users_frame() is None else here


def driven() -> Here | None:
    """Return the same, also in the thread that drives the world: the test's body draws random numbers of the seed."""
    here = world_here()
    if here is None and _current() is None:
        world = world_of_thread()
        here = None if world is None else Here(world, None)
    return None if here is None or users_frame() is None else here
