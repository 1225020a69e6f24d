"""ChildProcess: one child, as the process that started it sees it."""

from __future__ import annotations

import os
import signal as signals
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from actorflow.core.log import logger
from actorflow.errors import ActorflowError, DefinitionError, HostDied

if TYPE_CHECKING:
    from actorflow.process.launch.fork_server import ForkServer

START_LIMIT = 60.0  # seconds for a child to be forked: a preload may take that long


class ProcessExit(NamedTuple):
    """The end of a child.

    Attributes:
        exitcode: its exit code; None if a signal ended it, or if it never ran.
        signal: the signal that ended it, or None.
        max_rss: the most memory that it had in use at once, in bytes.
        error: why it could not start, or the traceback of the error that ended it; "" if there is none.
        refused: whether `error` is one of the definition: a preload or an entry that cannot be imported. Another try
            would fail as well.
    """

    exitcode: int | None = None
    signal: int | None = None
    max_rss: int = 0
    error: str = ""
    refused: bool = False

    def failure(
        self, what: str = "a process", *, maybe_ran: bool | None = None, host: str = "", how: str = ""
    ) -> ActorflowError:
        """Return the error for callers that wait for the child: `DefinitionError` if it was refused, else `HostDied`.

        `maybe_ran`, `host` and `how` are those of HostDied.

        >>> error = ProcessExit(signal=9, max_rss=2**20).failure("worker 1")
        >>> type(error).__name__, error.signal, error.rss
        ('HostDied', 9, 1048576)
        >>> str(error).startswith("worker 1: its process was killed by SIGKILL")
        True
        """
        if self.refused:
            return DefinitionError(f"{what} cannot start: {self.error}")
        error = HostDied(
            what,
            exitcode=self.exitcode,
            signal=self.signal,
            rss=self.max_rss or None,
            maybe_ran=maybe_ran,
            host=host,
            how=how,
        )
        if self.error:
            error.add_note(self.error)
        return error


class ChildProcess:
    """One child: its process id, its end, and the means to end it. All methods may be called from any thread."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server = server
        self._number = number
        self._changed = threading.Condition()
        self._pid: int | None = None
        self._exit: ProcessExit | None = None
        self._callbacks: list[Callable[[ProcessExit], object]] = []

    @property
    def pid(self) -> int:
        """The process id; waits until the child is forked.

        Raises:
            DefinitionError: a preload or a warm-up failed, or started threads.
            HostDied: it could not be forked.
            TimeoutError: it took longer than a minute.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._pid or self._exit, START_LIMIT):
                raise TimeoutError(
                    f"no process was forked within {START_LIMIT:.0f} s: the preload hangs, or the machine"
                )
            if self._pid is None:
                assert self._exit is not None
                raise self._exit.failure()
            return self._pid

    @property
    def is_due(self) -> bool:
        """Whether the fork server has still to say that the child is forked, or why it is not."""
        return self._pid is None and self._exit is None

    def kill(self, signal: int = signals.SIGKILL) -> None:
        """Send a signal to the child and all in its process group; nothing happens if it has ended."""
        self._server.kill(self._number, signal)

    def wait(self, timeout: float) -> ProcessExit | None:
        """Wait so many seconds for the end; None if it has not come by then."""
        with self._changed:
            self._changed.wait_for(lambda: self._exit, timeout)
            return self._exit

    def end(self, timeout: float) -> ProcessExit | None:
        """Wait so many seconds for the end, and as long again after a kill."""
        exit = self.wait(timeout)
        if exit is None:
            self.kill()
            exit = self.wait(timeout)
        return exit

    def abandon(self) -> None:
        """Count the process as ended if it was not forked yet, which may take for ever; a later fork is killed."""
        self.kill()
        with self._changed:
            if self._pid is not None:
                return
        self._exited(ProcessExit(error="it was not wanted any more before it was forked"))

    def add_exit_callback(self, callback: Callable[[ProcessExit], object]) -> None:
        """Have a function called with the exit: in the launcher's thread, or here and now if it has ended."""
        with self._changed:
            if self._exit is None:
                self._callbacks.append(callback)
                return
        callback(self._exit)

    # --- for the fork server -----------------------------------------------------------------------------------------

    def _started(self, pid: int) -> None:
        with self._changed:
            self._pid = pid
            self._changed.notify_all()

    def _exited(self, exit: ProcessExit) -> None:
        with self._changed:
            if self._exit is not None:
                return
            self._exit = exit
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        for callback in callbacks:
            try:
                callback(exit)
            except Exception:  # noqa: BLE001 - it is logged
                logger.exception("The exit callback of process %s failed", self._pid)

    def _forget(self) -> None:
        """Give up the wait, in a fork of the process that started the child."""
        self._changed = threading.Condition()  # it may have been held by a thread that is not here
        self._callbacks.clear()
        self._exit = self._exit or ProcessExit(error="it belongs to the process that this one was forked from")

    def _lost(self, why: str, *, refused: bool = False) -> None:
        """Kill the child of a zygote that has died, as the kernel does on Linux, and report its end."""
        if self._pid is not None:
            for kill in (os.killpg, os.kill):  # the group holds its children, too
                try:
                    kill(self._pid, signals.SIGKILL)
                except OSError:
                    continue
                break
        self._exited(ProcessExit(signal=None if self._pid is None else signals.SIGKILL, error=why, refused=refused))
