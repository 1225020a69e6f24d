"""A signal's handler that raises at any bytecode of a send to another process: no other answer, and no end, is lost."""

import pytest

import actorflow as af
from tests.interrupts import BOUND, at_every_bytecode, ends, twice_at


class Server(af.Actor):
    def on_receive(self, message):
        return message

    def take(self, item):
        return item


SENDS = {
    "tell": lambda ref: ref.tell(1),
    "cast": lambda ref: ref.cast(Server.take, 1),
    "ask": lambda ref: ref.ask(1, timeout=BOUND),
    "call": lambda ref: ref.call(Server.take, 1),
    "call and wait": lambda ref: ref.call(Server.take, 1).get(timeout=BOUND),
    "call and wait without a timeout": lambda ref: ref.call(Server.take, 1).get(),
    "proxy": lambda ref: ref.proxy().take(1).get(timeout=BOUND),
    "big": lambda ref: ref.tell(bytearray(100_000)),
}


@pytest.fixture(scope="module")
def system():
    """One for all tests here, each of which leaves it whole."""
    with af.ActorSystem("test") as system:
        yield system
        ends(system.stop)


@pytest.fixture(scope="module")
def other(system):
    return system.spawn(af.child(Server).options(name="other", host=af.Process(name="shared")))


@pytest.fixture(scope="module", params=[{}, {"capacity": 2}], ids=["unbounded", "bounded"])
def server(system, request):
    return system.spawn(af.child(Server).options(host=af.Process(), **request.param))


@pytest.mark.slow(quick=["unbounded-tell", "unbounded-call and wait", "unbounded-big", "bounded-ask", "bounded-cast"])
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_an_interrupted_send_or_wait_leaves_the_way_to_the_process_whole(server, other, send):
    def mended():
        assert server.call(Server.take, "mine").get(timeout=BOUND) == "mine"
        assert server.ask("mine, too", timeout=BOUND) == "mine, too"
        assert other.ask("another's", timeout=BOUND) == "another's"

    assert at_every_bytecode(lambda: send(server), mended) > 10


@pytest.mark.slow
@pytest.mark.parametrize(("send", "every"), [(SENDS["call and wait"], 11), (SENDS["big"], 1)], ids=["call", "big"])
def test_a_second_signal_while_the_first_is_dealt_with_leaves_the_way_whole(server, send, every):
    def mended():
        assert server.call(Server.take, "mine").get(timeout=BOUND) == "mine"

    # Where the first comes while nothing is to be cleaned up there is no second: how many there are depends on whether
    # the writing thread is asleep. So what has few bytecodes is interrupted at each of them.
    pairs = 0
    for _ in range(10):
        pairs += twice_at(lambda: send(server), mended, every=every)
        if pairs:
            break
    assert pairs


def test_an_interrupted_spawn_or_stop_of_a_hosted_actor_leaves_the_system_whole(system, other):
    def spawn_and_stop():
        system.spawn(af.child(Server).options(host=af.Process(name="shared"))).stop(timeout=BOUND)

    def mended():
        assert other.ask(1, timeout=BOUND) == 1

    assert at_every_bytecode(spawn_and_stop, mended, every=5) > 10
