"""Fork server: one running zygote, as the process that started it sees it."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from signal import SIGCONT
from socket import AF_UNIX, SHUT_WR, SO_SNDTIMEO, SOCK_STREAM, SOL_SOCKET, socketpair
from typing import Any

from actorflow.process.launch.child_process import ChildProcess, ProcessExit
from actorflow.process.launch.frames import receive, send

# A script would be compiled at each start, and its folder would be the children's first in sys.path.
PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import lazy_package
lazy_package.start()
"""
FLAGS = {
    "optimize": "-O",
    "dont_write_bytecode": "-B",
    "bytes_warning": "-b",
    "ignore_environment": "-E",
    "no_user_site": "-s",
}
REFUSED = "!"  # see `bootstrap`
# What starting the interpreter raises if there is none, as where Python is embedded in another program.
NO_PROGRAM = (FileNotFoundError, NotADirectoryError, PermissionError, TypeError, ValueError)
END_LIMIT = 3.0  # seconds for a zygote to kill its children and end
HURRY = 0.2  # the same for one that has none: it needs that long for itself, unless it hangs in a preload
SEND_LIMIT = 10  # seconds for a stopped or hanging zygote to take a request
LOOK = 1.0  # seconds between two looks at launches that the zygote has not reported on

# Held while descriptors of a new zygote are open that no fork of this process may inherit.
forking = threading.RLock()


class ForkServer:
    """One zygote with its children. A thread starts it, reads its reports, and buries it."""

    def __init__(self, preload: Sequence[str], env: dict[str, str]) -> None:
        self._preload = list(preload)
        self._env = env
        self._lock = threading.Lock()  # one writer at a time
        self._place: tuple[Any, ...] = ()
        self._numbers = count(1)
        self._handles: dict[int, ChildProcess] = {}
        self._ended = False
        self._has_forked = False
        self.why = "its fork server has died"  # what has ended it, for those who were launched or are to be
        self.refused = False  # another try would fail as well
        self._process: subprocess.Popen[bytes] | None = None
        with forking:
            self._life, self._its_life = os.pipe()  # the zygote dies in an import if nobody holds the first
            try:
                self._sock, self._its_sock = socketpair(AF_UNIX, SOCK_STREAM)
            except OSError:
                os.close(self._life)
                os.close(self._its_life)
                raise
        self._sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", SEND_LIMIT, 0))
        self._reports = select.poll()
        self._reports.register(self._sock.fileno(), select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="actorflow-launcher", daemon=True)
        try:
            self._thread.start()
        except BaseException as error:
            self._close()
            if isinstance(error, RuntimeError):  # as for want of files: who launches tries again
                raise OSError(f"no thread for a fork server: {error}") from error
            raise

    # --- from any thread ---------------------------------------------------------------------------------------------

    def launch(self, entry: str, argument: Any, fds: Sequence[int], options: tuple[Any, ...]) -> ChildProcess:
        """Ask for a child; does not wait for it.

        Raises:
            OSError: the zygote is gone.
        """
        with self._lock:
            self._move()
            number = next(self._numbers)
            handle = self._handles[number] = ChildProcess(self, number)
            try:
                self._send("launch", number, entry, argument, len(fds), *options, fds=fds)
            except BaseException:
                del self._handles[number]
                raise
            return handle

    def prepare(self, warm: str | None) -> None:
        """Do the slow steps that the first launch would wait for.

        Raises:
            OSError: the zygote is gone.
        """
        with self._lock:
            self._move()
            if warm is not None:
                self._send("warm", warm)

    def _move(self) -> None:
        """Have the zygote be where this process is."""
        place = here(self._env)
        if place != self._place:
            self._send("place", *place)
            if not self._place and self._preload:
                self._send("preload", self._preload)
            self._place = place

    def kill(self, number: int, signal: int) -> None:
        """Have a child killed, if it still runs."""
        with self._lock:
            if number in self._handles and not self._ended:
                with suppress(OSError):  # the zygote has died, and its children with it
                    self._send("kill", number, int(signal))

    def end(self) -> None:
        """Kill the children left, and end the zygote. Waits for that, unless called by its own thread."""
        with self._lock:
            if self._ended:
                return
            self._sock.shutdown(SHUT_WR)  # the zygote can still tell how its children ended
            self._continue()
        if threading.current_thread() is self._thread:
            self._sock.settimeout(END_LIMIT)
            return
        self._thread.join(END_LIMIT if self._has_forked else HURRY)
        if self._thread.is_alive() and self._process is not None:  # it hangs in an import
            self._process.kill()
            self._thread.join(END_LIMIT)

    def forget(self) -> None:
        """Let go in a fork of this process, so that the zygote's life line is the parent's alone."""
        self._ended = True
        self._lock = threading.Lock()  # it may have been held by a thread that is not here
        self._close()
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
        for handle in self._handles.values():
            handle._forget()

    def _send(self, *message: Any, fds: Sequence[int] = ()) -> None:
        if self._ended:
            raise BrokenPipeError("the zygote has ended")
        try:
            send(self._sock, message, fds)
        except OSError:
            if self._process is not None:
                self._process.kill()  # it has a part of a frame, or none of them for too long
            raise
        self._continue()

    def _continue(self) -> None:
        """Have the zygote run on if it was stopped: there is a process to kill or to start, and that is to be now."""
        if self._process is not None:
            self._process.send_signal(SIGCONT)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Live as long as the zygote."""
        try:
            self._start()
            while frame := self._next_report():
                self._hear(*frame[0])
        except Exception as error:  # noqa: BLE001 - no memory, no processes, no `sys.executable`
            self.why = f"its fork server failed: {type(error).__name__}: {error}"
            self.refused = self._process is None and isinstance(error, NO_PROGRAM)
            if self.refused:
                self.why += f"; sys.executable is {sys.executable!r}, and is to be the path of Python"
        self._bury()
        with self._lock:
            self._ended = True
            lost = list(self._handles.values())
            self._handles.clear()
            self._close()
        for handle in lost:
            handle._lost(self.why, refused=self.refused)

    def _next_report(self) -> tuple[tuple[Any, ...], list[int]] | None:
        """Read the zygote's next report, and have it run on if it was stopped while one on a launch is due.

        Between a fork and the report on it the zygote has copies of the child's sockets. If it stood still there, the
        death of the child would be noticed by nobody.
        """
        if self._sock.gettimeout() is None:  # else it is to end, within that time
            while not self._reports.poll(LOOK * 1000):
                if any(handle.is_due for handle in list(self._handles.values())):
                    self._continue()
        return receive(self._sock)

    def _start(self) -> None:
        """Start the interpreter. It is in a group of its own: a terminal's Ctrl-C does not reach it."""
        ours = (self._its_sock.fileno(), self._its_life)
        command = [sys.executable, *flags(), "-c", PROGRAM, str(Path(__file__).parent), *map(str, ours)]
        with forking:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=ours,
                    process_group=0,
                    env={**os.environ, **self._env},
                )
            finally:
                self._its_sock.close()
                os.close(self._its_life)
                self._its_life = -1

    def _hear(self, what: str, number: int, *rest: Any) -> None:
        """Take the zygote's report on one child."""
        if what == "started":
            self._has_forked = True
            self._handles[number]._started(*rest)
            return
        handle = self._handles.pop(number)
        if what == "failed":
            error, refused = rest
            handle._exited(ProcessExit(error=error, refused=refused))
        else:
            handle._exited(exit_of(*rest))

    def _bury(self) -> None:
        """Wait for the zygote's end, and see to it."""
        if self._process is None:
            return
        try:
            self._process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        self._sock.close()
        self._its_sock.close()
        for fd in (self._life, self._its_life):
            if fd >= 0:
                os.close(fd)
        self._life = self._its_life = -1


def exit_of(status: int, max_rss: int, error: str) -> ProcessExit:
    """Return the end of a child, read from its `wait4` status and its pipe."""
    code = os.waitstatus_to_exitcode(status)
    exitcode, signal = (code, None) if code >= 0 else (None, -code)
    return ProcessExit(exitcode, signal, max_rss, error.removeprefix(REFUSED), error.startswith(REFUSED))


def here(env: dict[str, str]) -> tuple[Any, ...]:
    """Return where this process is: its environment, folder, import path and prefixes, for children to be there too."""
    try:
        cwd = os.getcwd()  # noqa: PTH109 - called at each launch
    except FileNotFoundError:
        cwd = ""
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return {**os.environ, **env}, cwd, path, (sys.prefix, sys.exec_prefix)


# Finders that come with tools and that no child needs. Others (of editable installs, say) are made by `site`.
KNOWN_FINDERS = ("_frozen_importlib", "_distutils_hack", "_pytest.", "_virtualenv", "six", "pkg_resources")


def flags() -> list[str]:
    """Return this interpreter's own flags for another one. Without `site` it starts 6 ms faster."""
    options = ["-P"]
    if not needs_site():
        options.append("-S")
    for name, flag in FLAGS.items():
        options += [flag] * int(getattr(sys.flags, name))
    options += [f"-W{option}" for option in sys.warnoptions]
    options += [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    return options


def needs_site() -> bool:
    """Say whether `site` sets up more than the import path: finders, or coverage measurement."""
    if any(name.startswith("COVERAGE_PROCESS") for name in os.environ):
        return True
    homes = (getattr(finder, "__module__", "") for finder in sys.meta_path)
    return not all(home.startswith(KNOWN_FINDERS) for home in homes)
