"""Outside: what a simulated world does not have. A thread, a process or a connection of user code is refused."""

from __future__ import annotations

import _posixsubprocess
import _socket
import _thread
import os
import socket
import subprocess
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.sim.failure import NotSimulated
from actorflow.sim.patches.place import simulated, users_frame
from actorflow.sim.patches.redirect import Attribute, Redirect, definition_of, original

if TYPE_CHECKING:
    from actorflow.sim.patches.patched import Patch

# What each is called in the error, by the module that has it and its name there.
REFUSED: Final = (
    (_thread, "start_new_thread", "a thread is started"),
    (_thread, "start_joinable_thread", "a thread is started"),
    (os, "fork", "a process is started"),
    (os, "forkpty", "a process is started"),
    (os, "system", "a process is started"),
    (os, "posix_spawn", "a process is started"),
    (os, "posix_spawnp", "a process is started"),
    (os, "execv", "a process is replaced"),
    (os, "execve", "a process is replaced"),
    (os, "_exit", "the program is ended"),  # with the search and its findings, and maybe with exit code 0
    (os, "abort", "the program is ended"),
    (_posixsubprocess, "fork_exec", "a process is started"),
    (subprocess, "_fork_exec", "a process is started"),
    (socket.socket, "__init__", "a socket is opened"),
    (_socket, "getaddrinfo", "a name is looked up"),
    (_socket, "gethostbyname", "a name is looked up"),
)

real_loop_init: Final[Any] = BaseEventLoop.__init__


def check(what: str) -> None:
    """Refuse something that takes real time or leaves the process, in a simulated world.

    Raises:
        NotSimulated: it happens in one. The run fails by it, whatever the handler makes of the error.
    """
    here = simulated()
    if here is None:
        return
    frame = users_frame()
    assert frame is not None
    error = NotSimulated(what, frame.f_code.co_filename, frame.f_lineno)
    if here.world.failure is None and not (here.execution is not None and here.execution.is_abandoned):
        here.world.failure = error
    raise error


def guarded(real: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Return a function that refuses in a simulated world."""

    def call(*args: Any, **kwargs: Any) -> Any:
        check(what)
        return real(*args, **kwargs)

    return call


def loop_init(self: Any) -> None:
    """Stand in for the constructor of asyncio's loops; that of loop=True handlers is the runtime's own."""
    self._closed = True  # for its finaliser, if it is refused
    check("an asyncio loop is made")
    real_loop_init(self)


def patches() -> list[Patch]:
    """Return the patches of calls that are refused."""
    made: list[Patch] = [Attribute(BaseEventLoop, "__init__", loop_init)]
    for owner, name, what in REFUSED:
        function = vars(owner).get(name)
        if function is None:
            continue
        if definition_of(function) is not None:
            made.append(Redirect(function, guarded(original(function), what)))
        else:
            made.append(Attribute(owner, name, guarded(function, what)))
    return made
