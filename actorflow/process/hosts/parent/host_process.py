"""Host process: a child process that runs actors, as the process that started it has it."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import LOOK_UP
from actorflow.core.log import logger
from actorflow.core.running.quiet import OTHERS
from actorflow.errors import ActorflowError, MemoryLimit
from actorflow.process.hosts.link import (
    deadlock_probe,  # noqa: F401 - they add their requests
    log_forwarding,  # noqa: F401 - they add their requests
    lookup,  # noqa: F401 - they add their requests
)
from actorflow.process.hosts.link.link import PAGE, HostLink
from actorflow.process.hosts.link.news import HostLost, MoveOut
from actorflow.process.hosts.link.reader import CAN_BORROW, Ear
from actorflow.process.launch.child_process import ProcessExit
from actorflow.process.launch.launcher import Launch
from actorflow.process.log_handling import levels, records_of
from actorflow.process.proxies import authkey
from actorflow.process.shared_memory import create
from actorflow.process.watch import MemoryWatch, WatchedProcess
from actorflow.process.wire import pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.refs.timers import TimerEntry
    from actorflow.process.hosts.link.remote_ref import HostedBase
    from actorflow.process.hosts.parent.hosts import Hosts
    from actorflow.process.options import Process

ENTRY: Final = "actorflow.process.hosts.child.main:main"
CLOSE_SECONDS: Final = 2.0  # for a host that has no more actors to end; then it is killed
START_SECONDS: Final = 60.0  # from the order to start to the first word; a preload may take that long
EXIT_SECONDS: Final = 2.0  # for the news of how a process ended, once its socket has

_living: weakref.WeakSet[HostProcess] = weakref.WeakSet()
MEMORY: Final = MemoryWatch()


class HostProcess:
    """One child process: its link, its guests, and its end.

    `Hosts.host_for` makes it for the envoy that starts first; the last actor that leaves ends it.
    """

    def __init__(self, hosts: Hosts, options: Process, number: str) -> None:
        self.hosts = hosts
        self.options = options
        self.name = f"{hosts.node.name}.{number}" if hosts.node.name else number
        self.number = number
        self.guests: dict[HostedBase, None] = {}
        self.ready: Future[None] = Future()
        self.lost = False  # true from its end, or from the order to end, on
        # Actors whose end it was asked for, and has not confirmed: it may be stuck.
        self.ending: set[HostedBase] = set()
        self._key = secrets.token_bytes(16)
        self._limit_hit: int | None = None
        self._watched: WatchedProcess | None = None
        self._timer: TimerEntry | None = None
        self._ended = threading.Event()
        _living.add(self)

    @property
    def what(self) -> str:
        """The host's name in errors."""
        label = self.options.name or ", ".join([ref.path for ref in list(self.guests)][:3]) or self.name
        return f"host {label}"

    # --- start -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Launch the process; `ready` is set when it answers."""
        options, hosts = self.options, self.hosts
        scheduler = hosts.scheduler
        argument = (
            self._key,
            hosts.node.key,
            self.name,
            scheduler.name,
            scheduler.random.getrandbits(32) << 32,  # where the host begins to number its actors
            scheduler.ask_timeout,
            scheduler.max_threads,
            scheduler.move_baton,
            (hosts.limit, hosts.scheduler.payload_limit),
            levels(),
            options.max_messages or 0,
            scheduler.first_uid,
            authkey(),
        )
        launch = Launch(preload=options.preload, env=options.variables, start=options.start_method)
        with contextlib.ExitStack() as undo:
            ours, theirs = pair()
            undo.callback(ours.close)
            try:
                page_fd, page = create(PAGE)
                undo.callback(page.close)
                try:
                    self._ear = Ear(ours.fileno())
                    undo.callback(self._ear.close)
                    self.handle = hosts.launcher(launch).launch(
                        ENTRY,
                        argument,
                        [theirs.fileno(), page_fd],
                        cpu=options.affinity,
                        nice=options.nice,
                        warm=hosts.warm if options.start_method == "zygote" else None,
                    )
                finally:
                    os.close(page_fd)
            finally:
                theirs.close_here()  # a shutdown would be one of the connection
            undo.pop_all()
        self.link = HostLink(hosts.node, self.name, ours, limit=hosts.limit, page=page)
        self.link.ear = self._ear
        if CAN_BORROW:
            ours.interrupt_reads(LOOK_UP)
        hosts.node.down[self.number] = self.link
        self.handle.add_exit_callback(self._exited)
        self._at(START_SECONDS, self._check_start)
        name = f"{scheduler.name}-host-{self.number}"
        try:
            self.link.start_writer()
            threading.Thread(target=self._read, name=name, daemon=True).start()
        except BaseException:  # no room for threads
            self.kill()
            self._over()
            raise

    def _check_start(self) -> None:
        if not self.ready._done:
            logger.error("%s did not answer within %.0f seconds of its start, and is killed", self.what, START_SECONDS)
            self.kill()

    def _read(self) -> None:
        """Read the frames of the process, up to its end."""
        try:
            if self._first_frame() == [self._key]:  # else it is not ours
                self._watch_memory()
                self.ready._settle(None, None)
                if self.options.max_age is not None:
                    self._at(self.options.max_age, self.recycle)
                else:
                    self.hosts.scheduler.post_work(self._cancel_timer)
                self._ear.read_on(self.link)
        except (EOFError, OSError):
            pass
        except BaseException:  # noqa: BLE001 - a defect: say so, and leave no wait for an answer hanging
            logger.exception("The link to %s failed; its process is killed", self.what)
        finally:
            self._over()

    def _first_frame(self) -> Any:
        while True:
            with contextlib.suppress(BlockingIOError):
                return self.link.connection.receive()[0]

    def _watch_memory(self) -> None:
        if self.options.memory is not None:
            assert isinstance(self.options.memory, int)
            self._watched = MEMORY.add(self.handle.pid, self.options.memory, self._too_big)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in so many seconds, unless something else is to be waited for then, or this is over."""
        scheduler = self.hosts.scheduler
        due = scheduler.clock.monotonic() + seconds

        def begin() -> None:
            self._cancel_timer()
            if not self._ended.is_set():
                self._timer = scheduler.add_timer(due, act)

        scheduler.post_work(begin)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:  # it would keep all of this in memory until it is due
            self.hosts.scheduler.timers.cancel(timer)

    def recycle(self) -> None:
        """Have all guests move to a new process, each when it has handled its queued messages."""
        with self.hosts.lock:
            if self.lost:
                return
            self.lost = True
            self.hosts.forget(self)
            guests = list(self.guests)
        for ref in guests:
            ref._scheduler.post(ref, MoveOut(self), None)

    def _too_big(self, rss: int) -> None:
        self._limit_hit = rss
        self.kill()

    # --- end ---------------------------------------------------------------------------------------------------------

    def leave(self, ref: HostedBase) -> None:
        """An actor is gone; the last one ends the process. Never waits."""
        with self.hosts.lock:
            self.guests.pop(ref, None)
            if self.link.closed is None and ref._guest:
                self.link.note(self.name, "bury", ref.uid)
            if self.guests or self.link.closed is not None:
                return
            self.close()
        self._at(CLOSE_SECONDS, self.kill)

    def close(self) -> None:
        """Tell the process to end."""
        self.lost = True
        self.hosts.forget(self)
        if self.link.closed is None:
            self.link.note(self.name, "close")

    def kill(self) -> None:
        """End the process at once."""
        if not self._ended.is_set():
            self.handle.kill()

    def abandon(self) -> None:
        """End the process at once, also if it is not even there."""
        self.lost = True
        self.handle.abandon()

    def wait_ended(self, seconds: float) -> None:
        """Wait for the end of the process; kill it if it takes longer."""
        if not self._ended.wait(max(0.0, seconds)):
            self.kill()
            self._ended.wait(EXIT_SECONDS)

    def _exited(self, _exit: ProcessExit) -> None:
        """The process has ended: see to it that the reader notices, should somebody else hold its socket."""
        self.link.connection.end_reads()

    def _over(self) -> None:
        """Tell all waits that the process is gone, now that all its frames are read."""
        self.lost = True
        self.hosts.forget(self)
        self.link.connection.end_reads()  # if another thread reads, it sees the end, and leaves
        self._ear.end()
        self.link.connection.close()
        error = self._error()
        self.hosts.node.down.pop(self.number, None)
        guests = list(self.guests)
        for ref in guests:
            ref._shut()
        self.link.close(error)
        if self.link.page is not None:
            self.link.page.close()  # it holds a descriptor
        self.ready._settle(None, error)
        if guests:  # behind its log records; not by the actors, one of which may be overtaken by the next
            line = "%s; its actors: %s", error, ", ".join([ref.path for ref in guests])
            records_of(self.hosts.scheduler).call(lambda: logger.error(*line))
        for ref in guests:
            ref._scheduler.post(ref, HostLost(self, error), None)
        if self._watched is not None:
            MEMORY.remove(self._watched)
        self.hosts.all.pop(self, None)
        self._ended.set()
        self.hosts.scheduler.post_work(self._cancel_timer)

    def _error(self) -> ActorflowError:
        """Say how the process ended."""
        exit_ = self.handle.end(EXIT_SECONDS)
        what = self.what
        if self._limit_hit is not None:
            return MemoryLimit(what, signal=9, rss=self._limit_hit, host=self.name)
        return (exit_ or ProcessExit()).failure(what, host=self.name, how=self.link.connection.how_ended())


def any_lives() -> bool:
    """Say whether any host of this process lives: its work is not known here."""
    return any(not host._ended.is_set() for host in list(_living))


OTHERS.append(any_lives)


def _close_after_fork() -> None:
    """Close a socket's copy in a fork of this process: it would keep its host alive when this process has died."""
    for host in list(_living):
        if host.link.closed is None:
            host.link.connection.close_here()
            host._ear.close()
    _living.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_after_fork)
