"""A signal's handler that raises at any bytecode of a send to a durable actor: nothing else is lost."""

import itertools

import pytest

import actorflow as af
from tests.durable.actors import Account
from tests.durable.test_state import named
from tests.interrupts import BOUND, at_every_bytecode, ends

COUNT = itertools.count()

SENDS = {
    "tell": lambda _, ref: ref.tell(1),
    "cast": lambda _, ref: ref.cast(Account.add, 1),
    "ask": lambda _, ref: ref.ask(1, timeout=BOUND),
    "call": lambda _, ref: ref.call(Account.add, 1).get(timeout=BOUND),
    "deliver": lambda system, ref: system.deliver(ref, 1, id=str(next(COUNT))),
}


@pytest.fixture
def system():
    with af.ActorSystem("s", settings=af.Settings(grace=5)) as system:
        yield system


def whole(*refs):
    """Return what sees that actors are answered."""

    def mended():
        for ref in refs:
            assert ref.call(Account.add, 0).get(timeout=BOUND) >= 0

    return mended


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize("capacity", [None, 100])
def test_an_interrupted_send_leaves_the_actor_and_the_system_whole(system, send, capacity):
    ref, other = system.spawn(named(Account, "a", capacity=capacity)), system.spawn(named(Account, "other"))
    assert at_every_bytecode(lambda: send(system, ref), whole(ref, other), every=3) > 10
    assert len(system.scheduler.durable.asks) == 0
    ends(system.stop)


@pytest.mark.parametrize("send", [SENDS["tell"], SENDS["cast"], SENDS["deliver"]])
def test_an_interrupted_send_by_name_leaves_the_system_whole(system, send):
    other, ref = system.spawn(named(Account, "other")), system.durable("nobody", Account)

    assert at_every_bytecode(lambda: send(system, ref), whole(other), every=5) > 10
    ends(system.stop)


def test_an_interrupted_spawn_of_a_durable_actor_leaves_the_system_whole(system):
    other = system.spawn(named(Account, "other"))

    def spawn():
        system.spawn(named(Account, f"a{next(COUNT)}")).stop()

    assert at_every_bytecode(spawn, whole(other), every=7) > 10
    ends(system.stop)
