"""Programs that `test_life` starts, kills and interrupts: each prints what it knows, and waits."""

import os
import signal
import sys
import threading
import time

import actorflow as af
from tests.hosts.actors import Fragile, Here, call, hosted, pid_of, touch


class Nesting(Here):
    def start(self):
        child = self.ctx.spawn(hosted(Here))
        return os.getpid(), pid_of(child), *zygotes()


class Slow(Here):
    """Works off numbers, and writes them down."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_receive(self, number):
        self.ctx.sleep(0.001)
        with open(self.path, "a") as file:  # noqa: PTH123
            print(number, file=file)

    def on_stop(self):
        with open(self.path, "a") as file:  # noqa: PTH123
            print("end", file=file)


def say(*words):
    print(*words, flush=True)


def wait():
    """Wait for the end of standard input, which the test holds open."""
    sys.stdin.read()


def zygotes():
    from actorflow.process.launch import launcher

    return [one._server._process.pid for one in launcher._launchers.values()]


def orphans(kind, path):
    """Start hosts, print all process ids, and wait to be killed."""
    with af.ActorSystem("demo") as system:
        refs = [system.spawn(hosted(Fragile)) for _ in range(2)]
        pids = [pid_of(ref) for ref in refs]
        if kind == "busy":
            refs[0].cast(Fragile.hold, path)
        elif kind == "in C":
            refs[0].cast(Fragile.burn, path)
        elif kind == "nested":
            pids += call(system.spawn(hosted(Nesting)), Nesting.start)
        elif kind == "spawned":
            pids.append(pid_of(system.spawn(hosted(Here, process=af.Process(start="spawn")))))
        if kind not in {"busy", "in C"}:
            touch(path)
        if kind == "forked" and os.fork() == 0:
            os.close(1)
            wait()
            os._exit(0)
        say(*pids, *zygotes())
        wait()


def ends_though_forked(path):
    """Fork, and end the system: the copies of its sockets in the fork do not keep its hosts."""
    with af.ActorSystem("demo") as system:
        ref = system.spawn(hosted(Fragile))
        pid = pid_of(ref)
        if os.fork() == 0:
            os.close(1)
            wait()
            os._exit(0)
        system.stop()
        say(pid)
    touch(path)
    wait()


def interrupted(path):
    """Run until the terminal interrupts the group."""
    system = af.ActorSystem("demo", settings=af.Settings(grace=60.0))  # a busy machine takes longer than five seconds
    ref = system.spawn(hosted(Slow, path))
    pid = pid_of(ref)
    for number in range(300):
        ref.tell(number)
    threading.Thread(target=say_when_signals_are_taken, args=(pid, *zygotes())).start()
    system.run()
    say("drained")


def say_when_signals_are_taken(*words):
    """Before that, an interrupt would end the script, not drain the system."""
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.001)
    say(*words)


def prints(_path):
    with af.ActorSystem("demo") as system:
        call(system.spawn(hosted(Printing)), Printing.say)


class Printing(Here):
    def say(self):
        print("said there", end="")
        print("complained there", end="", file=sys.stderr)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
