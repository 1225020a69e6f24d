"""Bootstrap: a child process from its fork to its entry function. Lean."""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_ERROR = 60_000  # bytes; a pipe holds 64 KiB, and nobody reads before the end
SIGKILL = 9  # `signal` takes 3 ms to import
REFUSED = b"!"  # before the text of an error: the caller's definition is wrong, another try would fail as well


class Newborn:
    """A child's orders.

    Attributes:
        life: the write end of a pipe. The zygote holds the other end, and reads errors there.
    """

    def __init__(
        self, entry: str, argument: Any, fds: list[int], life: int, cpu: list[int] | None, nice: int | None
    ) -> None:
        self.entry = entry
        self.argument = argument
        self.fds = fds
        self.life = life
        self.cpu = cpu
        self.nice = nice

    def run(self) -> None:
        """Call the entry function. An error in it goes to the launcher, and the process exits with 1."""
        refused = REFUSED
        try:
            self._settle()
            main = find(self.entry)
            refused = b""
            main(self.argument, self.fds)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the launcher hands it on
            report(self.life, error, refused)
            sys.exit(1)

    def _settle(self) -> None:
        """Take the place and the priority that the launcher asked for."""
        if self.cpu is not None:
            os.sched_setaffinity(0, self.cpu)
        if self.nice is not None:
            os.nice(self.nice)
        if sys.flags.no_site:
            import site  # noqa: PLC0415 - `exit` and `help` come from there

            site.setquit()
            site.sethelper()
        if random := sys.modules.get("numpy.random"):  # preloaded: all children would draw the same numbers
            random.seed()

    def exec(self, program: list[str]) -> None:
        """Become the same newborn in a fresh interpreter, see `born_again`. Does not return."""
        try:
            request, filled = os.pipe()
            os.set_blocking(filled, False)
            newborn = self.entry, self.argument, self.fds, self.life, self.cpu, self.nice
            body = marshal.dumps((sys.path, sys.prefix, sys.exec_prefix, *newborn))
            if os.write(filled, body) < len(body):
                raise OSError(f"the argument of {self.entry} is too long to start by spawn: {len(body)} bytes")
            os.close(filled)
            for fd in (*self.fds, self.life, request):
                os.set_inheritable(fd, True)
            os.execv(program[0], [*program, str(request)])  # noqa: S606 - our own program
        except BaseException as error:  # noqa: BLE001 - the launcher hands it on
            report(self.life, error)
            os._exit(1)


def born_again(request: int) -> Newborn:
    """Return the newborn that a forked child became by exec."""
    with open(request, "rb") as file:
        sys.path, sys.prefix, sys.exec_prefix, *rest = marshal.load(file)  # noqa: S302 - our own process wrote it
    newborn = Newborn(*rest)
    for fd in (*newborn.fds, newborn.life):
        os.set_inheritable(fd, False)
    return newborn


def die_with_reader(pipe: int) -> None:
    """Have the kernel kill this process when nobody holds the read end of the pipe any more.

    This works whatever the process does, in C code too. PR_SET_PDEATHSIG would do the same, but needs ctypes, which
    takes longer to import. Elsewhere than on Linux the launcher kills the children that a dead zygote leaves.
    """
    if sys.platform == "linux":
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        watch = select.poll()
        watch.register(pipe, 0)
        if watch.poll(0):  # it was closed before
            os._exit(1)


def live_without_reader(pipe: int) -> None:
    """Undo `die_with_reader`."""
    if sys.platform == "linux":
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) & ~os.O_ASYNC)


def find(entry: str) -> Any:
    """Import "module:function"."""
    module, _, name = entry.partition(":")
    __import__(module)
    return getattr(sys.modules[module], name)


def report(life: int, error: BaseException, refused: bytes = b"") -> None:
    """Leave the error's text in the pipe."""
    import traceback  # noqa: PLC0415 - 3 ms, and most children end well

    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    os.write(life, refused + text[-LONGEST_ERROR:])
