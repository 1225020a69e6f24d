"""Handlers that do not come to an end, for tests of what ends them; as a program, one run of one of them."""

import _thread
import queue
import sys
import threading

import actorflow as af
from actorflow.core.drivers import lost_baton
from actorflow.sim import Simulation, simulate

REAL_LOCK = _thread.allocate_lock()  # made at import: no patch reaches it
REAL_QUEUE = queue.SimpleQueue()


class Never(af.Actor):
    """Never answers."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_receive(self, message):
        self.kept.append(self.ctx.reply_later())


class Stuck(af.Actor):
    """Keeps the turn."""

    def spins(self, _):
        say_ready()
        while True:
            pass

    def swallows(self, _):
        say_ready()
        while True:
            try:
                sum(range(100))
            except BaseException:
                continue

    def locked(self, to):
        with REAL_LOCK:
            to.ask("x")

    def locked_again(self, to):
        say_ready()
        self.locked(to)

    def is_in_c(self, _):
        say_ready()
        REAL_QUEUE.get()

    def tells_itself(self, to):
        if to is not None:
            say_ready()
        self.actor_ref.cast(Stuck.tells_itself, None)

    async def never_awaits(self, to):
        self.spins(to)


class StuckOnLoop(Stuck, loop=True):
    """The same on the asyncio loop."""


def say_ready():
    print("ready", flush=True)


app = af.App("demo").add(
    af.child(Never).options(name="never"),
    af.child(Stuck).options(name="a"),
    af.child(Stuck).options(name="b"),
    af.child(StuckOnLoop).options(name="loop"),
)


def begin(sim, name):
    """Have a handler not come to an end in the next run."""
    system = sim.start(app)
    never, a = system.find("/demo/never"), system.find("/demo/a", Stuck)
    if name == "locked_again":
        a.cast(Stuck.locked, never)
        sim.run(until=1)
        a = system.find("/demo/b", Stuck)
    elif name == "never_awaits":
        a = system.find("/demo/loop", StuckOnLoop)
    a.cast(getattr(Stuck, name), never)


@simulate(runs=2, tapes=None)
def stuck_test(sim):
    begin(sim, "spins")
    sim.run(until=10)


if __name__ == "__main__":
    if sys.argv[1] != "is_in_c":  # the machine may be busy
        lost_baton.PATIENCE = lost_baton.STRIKE_SECONDS = 100.0
    if sys.argv[1] == "locked_again":
        lost_baton.STUCK_PATIENCE = 100.0
    try:
        with Simulation(int(sys.argv[2]), step_limit=10**9) as sim:
            begin(sim, sys.argv[1])
            sim.run(until=10)
    except KeyboardInterrupt as error:
        print(*getattr(error, "__notes__", ()))
    if sys.argv[1] != "is_in_c":
        for thread in threading.enumerate():
            if "carrier" in thread.name:
                thread.join(100)
                assert not thread.is_alive()
        assert not REAL_LOCK.locked()
    print("over")
