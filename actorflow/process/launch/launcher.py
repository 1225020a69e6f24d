"""Launcher: starts child processes; those alike are started by one fork server."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from actorflow.errors import ActorflowError
from actorflow.process.launch.child_process import ChildProcess
from actorflow.process.launch.fork_server import ForkServer, forking


@dataclass(frozen=True)
class Launch:
    """The settings that a fork server is started with.

    Attributes:
        preload: modules that it imports before the first fork; children have them at once. They may not start threads.
        env: variables that are set before the preload, and in the children: `{"OMP_NUM_THREADS": "1"}`.
        start: "zygote" forks children; "spawn" gives each a fresh interpreter, for libraries that bear no fork.
    """

    preload: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    start: Literal["zygote", "spawn"] = "zygote"

    def key(self) -> tuple[Any, ...]:
        """Return the same for equal ones."""
        return tuple(self.preload), tuple(sorted(self.env.items())), self.start


class Launcher:
    """Starts children. Get one by `acquire`, and `release` it; the last release kills those that still run."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._lock = threading.Lock()
        self._server: ForkServer | None = None
        self._users = 0

    def launch(
        self,
        entry: str,
        argument: Any,
        fds: Sequence[int] = (),
        *,
        cpu: Sequence[int] | None = None,
        nice: int | None = None,
        warm: str | None = None,
    ) -> ChildProcess:
        """Start a child that calls the entry function with the argument and its own copies of the descriptors.

        The call returns before the child is there. The child has this process's current import path, environment and
        folder, a process group of its own, and no standard input; it ignores SIGINT. Errors show in the handle.

        Args:
            entry: "module:function".
            argument: anything that `marshal` takes.
            fds: open files that the child gets; close your own after the call.
            cpu: the processors that it may run on.
            nice: added to its niceness.
            warm: a module that the fork server imports before, so that this child and later ones have it at once.

        Raises:
            ActorflowError: the launcher was released, or this is a fork of the process that acquired it.
        """
        options = (None if cpu is None else list(cpu), nice, warm, self._launch.start == "spawn")
        with self._lock:
            if not self._users:
                raise ActorflowError(
                    "this launcher was released, or belongs to the process that this one was forked from"
                )
            with suppress(OSError):  # it has died since the last launch
                if self._server is not None:
                    return self._server.launch(entry, argument, fds, options)
            server = self._server = self._serve()
            with suppress(OSError):
                return server.launch(entry, argument, fds, options)
            self._server = None
            handle = ChildProcess(server, 0)
            why = f"two fork servers in a row died as they took a request: {server.why}"
            handle._lost(why, refused=server.refused)
            return handle

    def prepare(self, warm: str | None) -> None:
        """Start the fork server, so that it comes up while the caller prepares the launch."""
        with self._lock, suppress(OSError, RuntimeError):  # the launch tries again, and tells
            if self._server is None and self._users:
                self._server = self._serve()
                self._server.prepare(warm if self._launch.start == "zygote" else None)

    def _serve(self) -> ForkServer:
        return ForkServer(self._launch.preload, dict(self._launch.env))

    def release(self) -> None:
        """Give the launcher back. The last release kills the children that still run, and waits for the end of all."""
        with forking:
            self._users = max(self._users - 1, 0)
            if self._users:
                return
            _launchers.pop(self._launch.key(), None)
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._users = 0
            server, self._server = self._server, None
        if server is not None:
            server.end()

    def _forget(self) -> None:
        """Give up the server in a fork of this process: it is the parent's."""
        self._lock = threading.Lock()
        self._users = 0
        if self._server is not None:
            self._server.forget()
            self._server = None


def acquire(launch: Launch, warm: str | None = None) -> Launcher:
    """Return the launcher for this: there is one in a process for equal ones, and it counts its users.

    Its fork server starts now, and imports `warm`, which takes 10 ms: acquire early, and make the rest meanwhile.

    >>> launcher = acquire(Launch())
    >>> acquire(Launch()) is launcher
    True
    >>> launcher.release(), launcher.release()
    (None, None)
    """
    with forking:
        launcher = _launchers.setdefault(launch.key(), Launcher(launch))
        launcher._users += 1
    launcher.prepare(warm)
    return launcher


_launchers: dict[tuple[Any, ...], Launcher] = {}


@atexit.register
def _end_all() -> None:
    """End the launchers that were never released, so that no process is left when the interpreter goes."""
    while _launchers:
        _launchers.popitem()[1]._end()


def _forget_all() -> None:
    """Close the copies of the life lines in a fork of this process, or the children would outlive their parent."""
    while _launchers:
        _launchers.popitem()[1]._forget()
    forking.release()


os.register_at_fork(before=forking.acquire, after_in_parent=forking.release, after_in_child=_forget_all)
