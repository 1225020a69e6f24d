"""A signal's handler that raises at any bytecode of a wait in virtual time: the system goes on, and ends."""

import signal
import threading

import pytest

import actorflow as af
from actorflow.core.drivers import virtual_baton
from actorflow.testing import VirtualSystem
from tests.core.actors import Echo
from tests.interrupts import BOUND, Interrupted, at_every_bytecode


class Server(Echo):
    def nap(self):
        self.ctx.sleep(5)
        return "rested"

    def hold(self, began, let):
        began.set()
        let.wait(BOUND)


ACTIONS = {
    "ask": lambda system, ref: ref.ask(1),
    "call": lambda system, ref: ref.call(Server.nap).get(),
    "call with a timeout": lambda system, ref: ref.call(Server.nap).get(timeout=9),
    "sleep": lambda system, ref: system.sleep(3),
    "spawn": lambda system, ref: system.spawn(Server),
    "stop": lambda system, ref: system.stop(),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_interrupted_wait_leaves_the_system_whole(action):
    systems, refs = [], []

    def anew():
        for system in systems:
            system.stop()
        systems[:] = [VirtualSystem(seed=1)]
        refs[:] = [systems[0].spawn(Server)]

    def mended():
        if action is not ACTIONS["stop"]:
            assert refs[0].ask("still here") == "still here"
            systems[0].sleep(6)
        anew()

    anew()
    assert at_every_bytecode(lambda: action(systems[0], refs[0]), mended) > 10
    systems[0].stop()


@pytest.mark.parametrize("whose", ["the main thread's", "another's"])
def test_an_interruption_while_a_handler_does_not_return_is_an_error_of_later_waits_and_no_hang(whose, monkeypatch):
    """A signal to another thread wakes the main thread no more than one that comes just before it waits."""
    monkeypatch.setattr(virtual_baton, "RECALL_SECONDS", 0.05)
    began, let = threading.Event(), threading.Event()

    def interrupt(*_args):
        raise Interrupted

    def strike():
        began.wait(BOUND)
        struck = threading.main_thread() if whose == "the main thread's" else threading.current_thread()
        signal.pthread_kill(struck.ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    system = VirtualSystem()
    try:
        server = system.spawn(Server)
        striker = threading.Thread(target=strike)
        striker.start()
        with pytest.raises(Interrupted):
            server.call(Server.hold, began, let).get()
        striker.join(BOUND)
        with pytest.raises(af.ActorflowError, match="make a new system"):
            server.ask(1)
        with pytest.raises(af.ActorflowError, match="make a new system"):
            system.stop()
    finally:
        signal.signal(signal.SIGUSR1, before)
        let.set()
