"""A signal's handler that raises at any bytecode of a send, a wait, a start or an end: nothing else is lost."""

import pytest

import actorflow as af
from tests.core.actors import Echo
from tests.interrupts import BOUND, at_every_bytecode, ends


@pytest.fixture
def system():
    with af.ActorSystem("s", settings=af.Settings(grace=5)) as system:
        yield system


class Server(af.Actor):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def on_receive(self, message):
        self.seen += 1
        return message

    def take(self, n):
        self.seen += 1
        return n


SENDS = {
    "tell": lambda ref: ref.tell(1),
    "cast": lambda ref: ref.cast(Server.take, 1),
    "ask": lambda ref: ref.ask(1, timeout=BOUND),
    "ask without a timeout": lambda ref: ref.ask(1),
    "ask and get": lambda ref: ref.ask(1, block=False).get(timeout=BOUND),
    "call": lambda ref: ref.call(Server.take, 1).get(timeout=BOUND),
    "proxy": lambda ref: ref.proxy().take(1).get(timeout=BOUND),
    "attribute of a proxy": lambda ref: ref.proxy().seen.get(timeout=BOUND),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_an_interrupted_send_or_wait_leaves_the_system_whole(system, send):
    server, other = system.spawn(Server), system.spawn(Echo)

    def mended():
        assert other.ask("others are answered", timeout=BOUND)
        assert server.ask("and so am I", timeout=BOUND)

    assert at_every_bytecode(lambda: send(server), mended) > 10
    ends(system.stop)
