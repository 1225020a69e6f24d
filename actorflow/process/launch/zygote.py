"""Zygote: the fork server, a small program that starts child processes by forking itself. Lean.

It has one thread, and never had the sockets and locks of the process that started it: that makes its forks safe. It
imports as little as possible before the first fork, and while it is idle the modules that later children need.

Its control socket is its life line: at the end of it, the zygote kills the process groups of all its children and goes.
A child is in turn killed by the kernel when its zygote dies, by a pipe of which the zygote alone has the read end.
"""
# ruff: noqa: SIM105 - contextlib takes 2 ms to import

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes 3 ms
import gc
import os
import select
import sys
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as Socket  # noqa: N812
from _thread import _count

from actorflow.process.launch.bootstrap import (
    LONGEST_ERROR,
    Newborn,
    born_again,
    die_with_reader,
    live_without_reader,
    report,
)
from actorflow.process.launch.frames import receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The modules that tasks, actors and their errors will need; none of them starts threads.
WANTED = [
    "site",
    "pickle",
    "struct",
    "mmap",
    "threading",
    "traceback",
    "logging",
    "socket",
    "tempfile",
    "ctypes",
    "cloudpickle",
]
QUIET = 50  # milliseconds without a request, after which the zygote has time for imports
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes
LAST_WAIT = 5000  # milliseconds for killed children to end


class LaunchRefused(Exception):
    """The caller's definition is wrong; another try would fail as well."""


class Zygote:
    """Starts, kills and buries children, as its control socket says."""

    def __init__(self, control: Socket, life: int, program: list[str]) -> None:
        self._control = control
        self._life = life
        self._program = program  # to exec, for start="spawn"
        self._children: dict[int, tuple[int, int]] = {}  # process id: number of the launch, read end of its life pipe
        self._pids: dict[int, int] = {}  # number of the launch: process id
        self._refusal = ""  # why nothing can be started: a preload failed
        self._entries: set[str] = set()  # modules of entry functions
        self._wanted: list[str] = []  # modules to import when there is time
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def serve(self) -> Newborn | None:
        """Obey until the launcher has gone, then return None; in a child, return its orders."""
        newborn = None
        while newborn is None:
            ready = self._wait(QUIET if self._wanted else None)
            if not ready:
                self._import_wanted()
            if self._wake in ready:
                self._reap()
            if self._control.fileno() in ready:
                frame = receive(self._control)
                if frame is None:
                    self._end()
                    return None
                newborn = self._obey(*frame)
        return newborn

    def _wait(self, milliseconds: int | None) -> set[int]:
        return {fd for fd, _ in self._poll.poll(milliseconds)}

    def _obey(self, message: tuple[Any, ...], fds: list[int]) -> Newborn | None:
        """Carry out one message."""
        match message:
            case ("launch", *rest):
                return self._launch(fds, *rest)
            case ("kill", number, signal):
                if number in self._pids:
                    kill_group(self._pids[number], signal)
            case ("place", *place):
                take_place(*place)
            case ("preload", modules):
                try:
                    self._import(modules, "preload")
                except LaunchRefused as error:
                    self._refusal = str(error)
            case ("warm", module):
                try:
                    self._import([module], "warm-up")
                except LaunchRefused:  # the launch that wants it tries again, and tells
                    pass
        return None

    def _tell(self, *message: Any) -> None:
        try:
            send(self._control, message)
        except OSError:  # the launcher has gone, and the end of the socket will be read next
            pass

    # --- birth -------------------------------------------------------------------------------------------------------

    def _launch(
        self,
        fds: list[int],
        number: int,
        entry: str,
        argument: Any,
        count: int,
        cpu: list[int] | None,
        nice: int | None,
        warm: str | None,
        spawn: bool,
    ) -> Newborn | None:
        """Fork. The child gets its `Newborn`; the zygote gets None, and tells the launcher."""
        try:
            if self._refusal:
                raise LaunchRefused(self._refusal)
            if len(fds) < count:
                raise OSError(f"the zygote has no room for {count} more open files (ulimit -n)")
            if warm and warm not in sys.modules:
                self._import([warm], "warm-up")
            if threads := threads_left():
                raise LaunchRefused(
                    f"the zygote has {threads} threads and cannot fork safely; one of its imports started them"
                )
            pid, life = self._fork()
        except (OSError, LaunchRefused) as error:
            for fd in fds:
                os.close(fd)
            self._tell("failed", number, str(error), isinstance(error, LaunchRefused))
            return None
        if pid == 0:
            newborn = Newborn(entry, argument, fds, life, cpu, nice)
            if spawn:
                newborn.exec(self._program)
            return newborn
        for fd in fds:
            os.close(fd)
        self._children[pid] = number, life
        self._pids[number] = pid
        self._tell("started", number, pid)
        self._want(entry.partition(":")[0])
        return None

    def _fork(self) -> tuple[int, int]:
        """Fork; return the process id and the zygote's end of the life pipe, in the child 0 and its own end."""
        ours, theirs = os.pipe()
        flush()
        gc.freeze()  # the present objects are never collected, so the children's memory stays shared
        try:
            pid = os.fork()
        except OSError:
            os.close(ours)
            os.close(theirs)
            raise
        if pid:
            os.close(theirs)
            try:
                os.setpgid(pid, pid)
            except OSError:  # the child was faster, and is another program or gone
                pass
            return pid, ours
        try:
            os.close(ours)
            self._leave()
            die_with_reader(theirs)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the child may not go on as a zygote
            report(theirs, error)
            os._exit(1)
        return 0, theirs

    def _leave(self) -> None:
        """Close, in a child, the zygote's descriptors, and restore the handlers of signals."""
        os.setpgid(0, 0)
        _signal.set_wakeup_fd(-1)
        for number in (_signal.SIGCHLD, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_DFL)
        self._control.close()
        for fd in (self._life, self._wake, self._waker, *(life for _, life in self._children.values())):
            os.close(fd)

    # --- death -------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Bury the children that have ended, and tell how."""
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        while pid := self._next_dead():
            kill_group(pid, _signal.SIGKILL)  # the processes it has left behind
            _, status, usage = os.wait4(pid, 0)
            number, life = self._children.pop(pid)
            del self._pids[number]
            self._tell("exited", number, status, usage.ru_maxrss * RSS_UNIT, read_error(life))

    def _next_dead(self) -> int:
        """Return a child that has ended but keeps its process id until it is waited for; 0 if there is none."""
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 0
        return dead.si_pid if dead else 0

    def _end(self) -> None:
        """Kill the children and bury them."""
        for pid in self._children:
            kill_group(pid, _signal.SIGKILL)
        self._reap()
        self._poll.unregister(self._control.fileno())
        while self._children and self._wait(LAST_WAIT):
            self._reap()
        self._control.close()  # development mode warns of sockets that are only dropped

    # --- imports -----------------------------------------------------------------------------------------------------

    def _import(self, modules: list[str], what: str) -> None:
        """Import before a fork. If the launcher dies meanwhile, so does the zygote.

        Raises:
            LaunchRefused: a module cannot be imported, or has started threads.
        """
        die_with_reader(self._life)
        try:
            for name in modules:
                import_before_fork(name, what)
        finally:
            live_without_reader(self._life)

    def _want(self, module: str) -> None:
        """Have the module of an entry function imported when there is time, and those that any child will need."""
        if not self._entries:
            self._wanted += WANTED
        if module not in self._entries:
            self._entries.add(module)
            self._wanted.insert(0, module)

    def _import_wanted(self) -> None:
        """Import the next wanted module."""
        try:
            __import__(self._wanted.pop(0))
        except BaseException:  # noqa: BLE001, S110 - the child that needs it will tell
            pass


def import_before_fork(name: str, what: str) -> None:
    """Import a module that may not start threads.

    Raises:
        LaunchRefused: it cannot be imported, or has started threads.
    """
    try:
        __import__(name)
    except BaseException as error:
        raise LaunchRefused(f"{what} of {name!r} failed: {type(error).__name__}: {words_of(error)}") from error
    if threads := threads_left():
        raise LaunchRefused(
            f"{what} of {name!r} started {threads} threads, and a process with threads cannot be forked safely. "
            'Leave it out, or keep it from starting threads: for numpy, env={"OPENBLAS_NUM_THREADS": "1"}'
        )


def words_of(error: BaseException) -> str:
    """Return the text of a module's error, which is the module's own code; `actorflow.text` imports `threading`."""
    try:
        return str(error)
    except BaseException as failure:  # noqa: BLE001 - user code
        return f"its text cannot be made: {type(failure).__name__}"


def flush() -> None:
    """Write out the output of a preload, or each child would write it again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # there is none, or nobody reads it
            pass


def threads_left() -> int:
    """Return how many threads there are beside this one; one that is about to end gets a moment."""
    for _ in range(10):
        if count_threads() == 1:
            return 0
        select.select([], [], [], 0.01)
    return count_threads() - 1


def count_threads() -> int:
    """Count the threads of this process, and those that libraries have started where the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - pathlib takes 5 ms to import
    except OSError:  # not Linux
        return _count() + 1


def kill_group(pid: int, signal: int) -> None:
    """Send a signal to a child that was not waited for, and to all in its process group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal)
        except OSError:  # it has left its group, or has ended
            continue
        break


def read_error(life: int) -> str:
    """Return the error that a dead child has left in its pipe, and close that."""
    os.set_blocking(life, False)
    try:
        return os.read(life, LONGEST_ERROR + 1).decode(errors="backslashreplace")
    except BlockingIOError:  # a program that the child has started holds the other end
        return ""
    finally:
        os.close(life)


def take_place(environ: dict[str, str], cwd: str, path: list[str], prefixes: tuple[str, str]) -> None:
    """Be where the launcher is, for the children to come."""
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    sys.prefix, sys.exec_prefix = prefixes  # without `site` they are those of the interpreter, not of its venv
    try:
        os.chdir(cwd)
    except OSError:  # it was removed; the launcher is in no better place
        pass


def main(arguments: list[str]) -> None:
    """Be a zygote on two descriptors, or the newborn that an exec made of its child."""
    if len(arguments) == 1:
        born_again(int(arguments[0])).run()
        return
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())  # the launcher's thread may have blocked some
    for number in (_signal.SIGINT, _signal.SIGHUP):  # Ctrl-C, and the end of the terminal, are for the launcher
        _signal.signal(number, _signal.SIG_IGN)
    control, life = map(int, arguments)
    for fd in (control, life):
        os.set_inheritable(fd, False)
    newborn = Zygote(Socket(AF_UNIX, SOCK_STREAM, 0, control), life, sys.orig_argv[: -len(arguments)]).serve()
    if newborn is not None:
        newborn.run()
