"""System: the bare actor system, and the default one behind `Actor.start()`.

`actorflow.app.system.ActorSystem` is the public one; it adds settings, signals and subscriptions.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.actors import transitions  # noqa: F401 - it has what `ActorRef.subscribe` does
from actorflow.core.actors.actor import Actor
from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.drivers.live import LiveScheduler
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, check_effect
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.children import Children
from actorflow.core.running.drain import Drain
from actorflow.core.running.system_task import start_procedure
from actorflow.errors import AskTimeout, DefinitionError

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

LEAST: Final = 0.2  # seconds for processes, and for handlers of log records, also if the grace time is over
CUT_SECONDS: Final = 1.0  # for the actors to end once an interruption has ended the grace time


class System:
    """A scheduler, the root of a tree of actors, and their common end."""

    children_class: ClassVar[type[Children]] = Children  # actorflow.supervision puts its own here

    def __init__(self, name: str, scheduler: Scheduler) -> None:
        self.name = name
        self.scheduler = scheduler
        scheduler.name = name
        scheduler.make_children = self.children_class
        self.root = scheduler.root = self.children_class(scheduler, None, f"/{name}")
        self.error: BaseException | None = None
        self.ended: Future[None] = Future()
        self.ended._is_real = not scheduler.is_virtual
        self.ended._home = scheduler if scheduler.is_virtual else None
        self._stopping = self._closed = False
        self._closing = threading.RLock()
        self.grace = 5.0
        scheduler.events.interrupted = self.interrupt
        SYSTEMS.add(self)
        watch_exit()

    def start_actor(self, cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorRef[Any]:
        """Start an actor as pykka does: return before its `on_start` has run."""
        return self.root.begin(cls._traits, args, kwargs)[0]

    def fail(self, error: BaseException) -> None:
        """End the system because a supervisor directly under it gave up."""
        if self.error is None:
            self.error = error
        self.begin_stop(self.grace)

    def interrupt(self) -> None:
        """End the system because a handler raised KeyboardInterrupt."""
        self.begin_stop(self.grace)

    def begin_stop(self, grace: float) -> None:
        """Start to drain; `ended` is set at the end.

        Raises:
            DefinitionError: the grace time is negative, or no number.
        """
        if not grace >= 0:
            msg = f"grace={grace}: seconds, not negative"
            raise DefinitionError(msg)
        self.scheduler.post_work(lambda: self._drain_once(grace))

    def _drain_once(self, grace: float) -> None:
        if not self._stopping:
            self._stopping = True
            if not self.scheduler.is_virtual:  # its threads end with it, whether or not somebody waits for that
                self.ended._when_done(self._close)
            self.scheduler.drain = Drain(self.scheduler, self.root, grace, self.error)
            start_procedure(self.scheduler, self._drain(self.scheduler.drain), self.ended)

    async def _drain(self, drain: Drain) -> None:
        """End the work that is not the actors' own, then the actors, newest first, see `core.running.drain`."""
        scheduler = self.scheduler
        scheduler.draining = self.root.closed = True
        if scheduler.hosts is not None:
            scheduler.hosts.begin_close(drain.left())
        await self.finish_work(drain)
        await drain.end_all()
        await self.flush()
        drain.close()

    async def finish_work(self, drain: Drain) -> None:
        """Finish the work of queues and pools while all the actors are still there."""

    async def flush(self) -> None:
        """Tell the subscribers of the system's end."""

    def stop(self, *, grace: float = 5.0) -> None:
        """End all actors, newest first, within `grace` seconds; handlers left then are abandoned.

        Called in a handler it returns at once, since the handler must end first.
        """
        check_effect("system.stop()")
        self.begin_stop(grace)
        execution = CURRENT.get()
        if execution is not None and execution.scheduler is self.scheduler:
            return
        self.wait_ended()

    def wait_ended(self) -> None:
        """Wait for the end of all actors, and end the threads. An interruption (Ctrl-C) ends the grace time."""
        try:
            self.ended.get()
        except BaseException:
            try:
                self.cut()
                with contextlib.suppress(AskTimeout):
                    self.ended.get(timeout=CUT_SECONDS)
            finally:
                self._close()
            raise
        self._close()

    def cut(self) -> None:
        """End the grace time now: running work is cut, and given back."""
        self.begin_stop(0.0)  # if it has not begun
        self.scheduler.post_work(self._cut_drain)

    def _cut_drain(self) -> None:
        if self.scheduler.drain is not None:
            self.scheduler.drain.cut()

    def _close(self) -> None:
        SYSTEMS.discard(self)
        exclusively(self._closing, self._close_once)  # a second caller waits: when `stop` returns, nothing is left

    def _close_once(self) -> None:
        if self._closed:
            return
        self._end_threads()
        self._closed = True
        self.ended._settle(None, None)  # it is not, if the wait for it was given up

    def _end_threads(self) -> None:
        """End all threads; if that is interrupted, the next caller does all of it again."""
        scheduler = self.scheduler
        scheduler.close()
        if scheduler.hosts is not None:
            scheduler.hosts.close(self._left())
        if scheduler.records is not None:
            scheduler.records.close(self._left())
        scheduler.close_inbox()
        if scheduler.loop_thread is not None:
            scheduler.loop_thread.close()

    def _left(self) -> float:
        """Return the seconds of the grace time that are left, or a little if it is over."""
        drain = self.scheduler.drain
        return LEAST if drain is None else max(LEAST, drain.left())


# --- the process -----------------------------------------------------------------------------------------------------

SYSTEMS: weakref.WeakSet[System] = weakref.WeakSet()
_lock = forkable_lock()
_default: list[System] = []
_exit_watch: list[threading.Thread] = []


def default_system() -> System:
    """Return the system of `Actor.start()`, made at first use and stopped at the end of the program."""
    return exclusively(_lock, _current_default)


Actor._default_system = staticmethod(default_system)


def _current_default() -> System:
    if not _default or _default[0]._stopping:
        _default[:] = [System("default", LiveScheduler(name="default"))]
    return _default[0]


def watch_exit() -> None:
    """Have the systems that live at the end of the program stopped, `on_stop` included.

    A thread that is no daemon waits for the main thread: the interpreter waits for it in turn, and it may still start
    threads, which an atexit function may not (Python 3.12).
    """
    exclusively(_lock, _start_exit_watch)


def _start_exit_watch() -> None:
    if not _exit_watch:
        thread = threading.Thread(target=_stop_at_exit, name="actorflow-exit", daemon=False)
        thread.start()
        _exit_watch.append(thread)


def _stop_at_exit() -> None:
    threading.main_thread().join()
    for system in sorted(SYSTEMS, key=lambda system: system.scheduler.first_uid, reverse=True):
        if isinstance(system.scheduler, LiveScheduler) and not system.scheduler.closed:
            try:
                system.stop()
            except BaseException:  # noqa: BLE001 - the others are stopped all the same
                logger.exception("%s could not be stopped at the end of the program", system.name)


class ForkedInbox:
    """The inbox of a system in a forked child: it has no threads there, so each send raises."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def append(self, _item: Any) -> None:
        """Refuse."""
        self._scheduler.check_usable()

    def __len__(self) -> int:
        return 0


def _forget_after_fork() -> None:
    for system in list(SYSTEMS):
        scheduler = system.scheduler
        scheduler.forked = scheduler.closed = system._closed = True
        scheduler.first_use = threading.RLock()
        system._closing = threading.RLock()  # a thread of the parent may have held it
        scheduler.inbox = ForkedInbox(scheduler)  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    for uid, ref in list(REFS.by_uid.items()):
        if isinstance(ref, ActorRef):
            del REFS.by_uid[uid]
    SYSTEMS.clear()
    _default.clear()
    _exit_watch.clear()
    CURRENT.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
