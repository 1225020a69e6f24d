"""Watchdog: the thread that looks, in real time, whether the handlers of virtual systems give the turn back.

One that does not keeps all others, and the test, from going on, and the virtual clock cannot tell. After so many real
seconds the log has the stacks of all handlers, the handler is ended, and the wait of the test raises StuckError.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.clock import SystemClock
from actorflow.core.drivers.unwinding import absorb, is_users, strike, withdraw
from actorflow.core.log import logger
from actorflow.core.messages.ref_table import REFS
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.errors import StuckError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual import VirtualScheduler
    from actorflow.core.drivers.virtual_threads import VirtualThread

LOOKS: Final = 8  # within the time of a handler; a process that was stopped for a while is not looked at meanwhile
STRIKE_SECONDS = 5.0  # in which a handler that is not blocked in C code ends
STRIKE_PAUSE: Final = 0.005
DEBUGGERS: Final = frozenset(("bdb", "pydevd", "debugpy", "_pydevd_bundle", "_pydevd_frame_eval"))  # as pytest-timeout
DEEPEST: Final = 12  # lines of a stack, the innermost

_lock = forkable_lock()
_watched: dict[int, Watch] = {}
_bell = _thread.allocate_lock()
_threads: list[threading.Thread] = []


class Watch:
    """The look at one virtual system."""

    def __init__(self, scheduler: VirtualScheduler, seconds: float) -> None:
        self.scheduler = scheduler
        self.seconds = seconds
        self._seen: object = None
        self._since = 0.0
        self._looks = 0

    def look(self, now: float) -> None:
        """See whether a step is over since the last look."""
        scheduler = self.scheduler
        driver = scheduler.driver
        seen = (scheduler.steps, driver) if driver is not None and driver.away else None
        if seen is None or seen != self._seen:
            self._seen, self._since, self._looks = seen, now, 0
            return
        self._looks += 1
        if now - self._since >= self.seconds and self._looks >= LOOKS // 2:
            self._seen = None
            self.end_handler(now - self._since)

    def end_handler(self, seconds: float) -> None:
        """End the handler that has the turn; if it blocks in C code, free the test and leave it behind."""
        scheduler = self.scheduler
        worker = scheduler.running
        if worker is None or not worker.is_busy or is_debugged(worker):
            return
        error = StuckError(
            f"{_who(worker)} has run for {seconds:.0f} s of real time without giving the turn back; in virtual time "
            f"wait by ctx.sleep, get() or await, and have a queue or lock be an actor. It was at:\n{stack_of(worker)}"
        )
        logger.error("In virtual time %s\nAll handlers:\n%s", error, "\n".join(stacks(scheduler)))
        scheduler.failure = error
        limit = sys.getrecursionlimit()
        worker.is_marked = worker.is_struck = True
        end = SystemClock.monotonic() + STRIKE_SECONDS
        while self.is_on(worker) and SystemClock.monotonic() < end:
            threading.Event().wait(STRIKE_PAUSE)  # at first for a handler that enters the runtime, which knows
            with scheduler.strike_lock:
                if self.is_on(worker):
                    worker.strikes += strike(worker.ident)
        with scheduler.strike_lock:
            if self.is_on(worker):
                scheduler.leave_behind()
            is_blocked = worker.is_struck and worker.is_busy  # else it absorbs the error itself
            if is_blocked:
                withdraw(worker.ident)
        if is_blocked:
            absorb()
        if not worker.is_struck:  # else its frames may be deeper than that
            sys.setrecursionlimit(limit)  # `strike` may have raised it

    def is_on(self, worker: VirtualThread) -> bool:
        """Say whether the handler that is to end has not done so yet."""
        return worker.is_struck and worker.is_busy and not self.scheduler.closed


def watch(scheduler: VirtualScheduler, seconds: float) -> None:
    """Look after a virtual system until it ends."""
    _watched[id(scheduler)] = Watch(scheduler, seconds)
    if not _threads:
        exclusively(_lock, _start)
    _ring()


def forget(scheduler: VirtualScheduler) -> None:
    """Look after a system no more."""
    _watched.pop(id(scheduler), None)


def _start() -> None:
    if not _threads:
        thread = threading.Thread(target=_work, name="actorflow-watchdog", daemon=True)
        thread.start()
        _threads.append(thread)


def _ring() -> None:
    try:
        _bell.release()
    except RuntimeError:  # rung already
        return


def _work() -> None:
    while True:
        watches = list(_watched.values())
        pause = min((each.seconds for each in watches), default=-LOOKS) / LOOKS
        _bell.acquire(timeout=max(-1, pause))
        _look_at(watches)
        del watches


def _look_at(watches: list[Watch]) -> None:
    """Look at each; in a function, as this thread would else hold on to the last one after its end."""
    for each in watches:
        if id(each.scheduler) in _watched:
            each.look(SystemClock.monotonic())


def _forget_after_fork() -> None:
    _watched.clear()
    _threads.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


# --- stacks ----------------------------------------------------------------------------------------------------------


def _who(worker: VirtualThread) -> str:
    ref, message = worker.item[0], worker.item[1]
    if ref is None:
        return "a task on the asyncio loop, or an abandoned handler,"
    return f"the handler of {ref.path} for {text_of(message)}"


def is_debugged(worker: VirtualThread) -> bool:
    """Say whether the handler of a thread is at a breakpoint: it takes as long as the one who looks at it."""
    frames = _frames(sys._current_frames().get(worker.ident))
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] in DEBUGGERS for frame in frames)


def stack_of(worker: VirtualThread) -> str:
    """Return where the handler of a thread is: the user's innermost lines."""
    frame = sys._current_frames().get(worker.ident)
    return _lines(frame)


def _lines(frame: FrameType | None) -> str:
    if frame is None:
        return "  (no frame)\n"
    summary = [
        entry
        for each, entry in zip(_frames(frame), reversed(traceback.extract_stack(frame)), strict=False)
        if is_users(each)
    ]
    return "".join(traceback.format_list(summary[DEEPEST::-1] if len(summary) > DEEPEST else summary[::-1]))


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def stacks(scheduler: VirtualScheduler) -> Iterator[str]:
    """Return the stacks of all handlers of a system, those that wait included."""
    for worker in scheduler.threads():
        if worker.item[0] is not None or worker.is_abandoned:
            yield f"{_who(worker)}{' waits' if worker.parked is not None else ''}:\n{stack_of(worker)}"
    for ref in list(REFS.by_uid.values()):
        waiting: Any = getattr(ref, "_waiting", None)
        if isinstance(waiting, AsyncHandler) and waiting.scheduler is scheduler:
            lines: list[tuple[FrameType, int]] = []
            awaited: Any = waiting.coro
            while awaited is not None and getattr(awaited, "cr_frame", None) is not None:
                lines.append((awaited.cr_frame, awaited.cr_frame.f_lineno))
                awaited = awaited.cr_await
            text = "".join(traceback.StackSummary.extract(iter(lines)).format())
            yield f"the handler of {waiting.item[0].path} for {text_of(waiting.item[1])} awaits:\n{text}"
