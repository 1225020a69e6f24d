"""Quiet: whether anything is left that could answer a wait.

Nothing is left if no handler runs or has a message to handle, none of them is about to go on by itself, no child
process or other program works for this one, and no other thread of the program runs, which might set a future. A thread
that waits for an answer itself, such as the one that ends the system, gives none. In doubt something is left.
"""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.refs.timers import Sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler

# Functions that say whether something else works for this process. Filled by the layers above.
OTHERS: Final[list[Callable[[], bool]]] = []

RUN_HANDLERS: Final = (
    "actorflow.core.drivers.baton",
    "actorflow.core.drivers.own_thread",
    "actorflow.core.drivers.virtual_baton",
    "actorflow.core.drivers.virtual_threads",
)
REST: Final = "actorflow.core."  # where threads wait, or rest, that run handlers
IDLE_EXECUTOR: Final = ("concurrent.futures.thread", "_worker")


def is_quiet(scheduler: Scheduler, actors: Iterable[ActorRef[Any]], end: float) -> bool:
    """Say whether nothing is left that could answer by `end`."""
    if scheduler.inbox or scheduler.ready or scheduler.node or scheduler.durable is not None:
        return False
    if scheduler.timers.has_due(end) or any(goes_on(ref, end) for ref in actors) or any(works() for works in OTHERS):
        return False
    me, names = threading.get_ident(), sys._current_frames()
    return all(thread == me or rests(frame) for thread, frame in names.items())


def goes_on(ref: ActorRef[Any], end: float) -> bool:
    """Say whether a handler that waits goes on by itself before `end`, or may do so."""
    waiting = ref._waiting
    if waiting is None:
        return False
    if not waiting.is_all or waiting.future._done or (waiting.deadline is not None and waiting.deadline <= end):
        return True
    return isinstance(waiting.future, Sleep) and waiting.future.due <= end


def rests(frame: FrameType) -> bool:
    """Say whether a thread waits for an answer, or for work, or serves the runtime."""
    if module_of(frame).startswith(REST) or (module_of(frame), frame.f_code.co_name) == IDLE_EXECUTOR:
        return True
    module = module_of_target(frame)
    return module.startswith("actorflow.") and module not in RUN_HANDLERS


def module_of_target(frame: FrameType) -> str:
    """Return the module of the function that a thread was made for; "" for the main thread, and foreign ones."""
    target = ""
    outer = frame.f_back
    while outer is not None:
        if module_of(outer) == "threading" and outer.f_code.co_name == "run":
            target = module_of(frame)
        frame, outer = outer, outer.f_back
    return target


def module_of(frame: FrameType) -> str:
    """Return the name of the module whose code runs in a frame."""
    return str(frame.f_globals.get("__name__", ""))
