"""Wait graph: the actors that wait for each other, and the search for a cycle.

Each waiting actor has one edge, from its ref to the future it waits for; a future knows the actor that is to set it.
The edge is set before the walk, so of two waits that close a cycle at once at least one sees it, without a lock.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any

from actorflow.core.clock import SystemClock
from actorflow.errors import ActorDeadError, DeadlockError

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef


def find_cycle(start: ActorRef[Any], future: Future[Any]) -> list[ActorRef[Any]] | None:
    """Return the actors of a cycle through `start`, if waiting for `future` closes one."""
    target = answerer(future)
    path: list[ActorRef[Any]] = [start]
    seen = set()
    while target is not None and target.uid not in seen:
        if target is start:
            return [*path, start]
        seen.add(target.uid)
        path.append(target)
        if target._is_remote:  # its waits are known where it runs; the answer from there settles the future
            target._seek([ref.path for ref in path], start, future)
            return None
        waiting = target._waiting
        if waiting is None or waiting.future._done:  # done: it is about to go on
            return None
        target = answerer(waiting.future)
    return None


def answerer(future: Future[Any]) -> ActorRef[Any] | None:
    """Return the actor that is to set the future, if that is known."""
    return None if future._delegated else future._target


def cycle_error(start: ActorRef[Any], future: Future[Any]) -> DeadlockError | None:
    """Return the error for a wait that closes a cycle, if it does."""
    cycle = find_cycle(start, future)
    return None if cycle is None else deadlock(cycle)


def deadlock(cycle: list[ActorRef[Any]]) -> DeadlockError:
    """Make the error that shows the cycle."""
    return DeadlockError(" -> ".join(ref.path for ref in cycle))


def deadlock_of_all() -> DeadlockError:
    """Make the error for a wait between two messages, which would keep all actors from running."""
    return DeadlockError(
        "a finaliser, or a handler of log records, waits here between two messages, and no actor could run meanwhile, "
        "nor answer: use tell, or stop(block=False)"
    )


def dead_before(ref: ActorRef[Any], cause: BaseException | None) -> ActorDeadError:
    """Make the error for an ask that the actor did not live to handle."""
    error = ActorDeadError(f"{ref} stopped before handling the message")
    error.__cause__ = cause
    return error


class ThreadWait:
    """A thread that waits for a future; also the callable that wakes it."""

    __slots__ = ("deadline", "future", "lock")

    is_all = True

    def __init__(self, future: Future[Any], timeout: float | None = None) -> None:
        self.future = future
        self.deadline = None if timeout is None else SystemClock.monotonic() + timeout
        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def __call__(self) -> None:
        """Wake the thread."""
        try:
            self.lock.release()
        except RuntimeError:  # already awake: interrupted and answered at the same time
            return

    def interrupt(self) -> None:
        """Wake the thread with Stopping."""
        self()
