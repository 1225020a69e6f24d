"""What the children of the launch tests do. Lean, as entry modules are."""
# ruff: noqa: PTH109, PTH110, PTH115, PTH208 - without pathlib

import os
import sys

IMPORTED_BY = os.getpid()


def say(fd, *words):
    os.write(fd, (" ".join(map(str, words)) + "\n").encode())


def echo(argument, fds):
    """Answer once, then wait for the end of the socket."""
    say(fds[0], argument)
    os.read(fds[0], 1)


def leave(code, _fds):
    sys.exit(code)


def fail(text, _fds):
    raise ValueError(text)


def crash_with_child(_argument, fds):
    """Start a program, tell its process id, and die."""
    say(fds[0], sleeper())
    os.abort()


def parent_of_program(_argument, fds):
    say(fds[0], sleeper())
    os.read(fds[0], 1)


def sleeper():
    return os.spawnv(os.P_NOWAIT, "/bin/sleep", ["sleep", "60"])


def busy(_argument, fds):
    """Hold the interpreter lock in C code for minutes."""
    say(fds[0], os.getpid())
    _ = 7 ** (10**9)


def sleeps_in_c(_argument, fds):
    import ctypes

    say(fds[0], os.getpid())
    ctypes.PyDLL(None).usleep(60_000_000)


def place(_argument, fds):
    say(fds[0], os.environ.get("AF_TEST_PLACE"), os.getcwd(), sys.path[-1], sys.prefix)


def files(_argument, fds):
    """Tell which descriptors are open, without the one that lists them."""
    listing = os.open("/proc/self/fd", os.O_RDONLY)
    names = set(os.listdir(listing)) - {str(listing)}
    say(fds[0], *sorted(int(name) for name in names if os.path.exists(f"/proc/self/fd/{name}")))
    os.read(fds[0], 1)


def identity(_argument, fds):
    say(fds[0], os.getpid(), os.getpgid(0), os.getppid(), IMPORTED_BY, os.readlink("/proc/self/fd/0"))


def priority(_argument, fds):
    from tests.hosts.asked_niceness import ASKED

    say(fds[0], *ASKED, *sorted(os.sched_getaffinity(0)))


def collects(_argument, fds):
    import gc

    say(fds[0], gc.isenabled())


def knows(name, fds):
    say(fds[0], name in sys.modules)


def who_imported(name, fds):
    say(fds[0], sys.modules[name].IMPORTED_BY, os.getppid())


def lean_at_first(_argument, fds):
    import actorflow.process.wire as before

    early = "pykka" in sys.modules or "actorflow.core" in sys.modules
    import actorflow as af
    from actorflow import child
    from actorflow.process import wire

    same = wire is before and sys.modules["actorflow"] is af and af.process.wire is wire
    late = (
        af.Actor is sys.modules["actorflow.core.actors.actor"].Actor
        and child is sys.modules["actorflow.core.actors.child"].child
    )
    say(fds[0], early, same, late, hasattr(af, "nonsense"), type(af).__name__, af.__spec__.name)


def everything_by_threads(_argument, fds):
    """Ask the package for its names from several threads at once."""
    import threading

    import actorflow as af

    found = []
    start = threading.Barrier(4)

    def ask():
        start.wait()
        found.append(af.Supervisor)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(fds[0], len(found), len(set(found)))


def takes_memory(_argument, fds):
    """Have 60 MB in a child of this process."""
    if os.fork() == 0:
        block = bytearray(60_000_000)
        block[::4096] = b"x" * len(block[::4096])
        say(fds[0], os.getpid())
        os.read(fds[0], 1)
        os._exit(0)
    os.wait()
