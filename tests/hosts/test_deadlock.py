"""Promises: a cycle of waits over several processes ends with DeadlockError at once, and nothing else does."""

import time

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Gate, Here, call, hosted, run_in_threads

pytestmark = pytest.mark.timeout(300)

SOON = 15.0  # seconds, in which a deadlock must be told


class Link(Here):
    """Passes a question on along a chain of actors."""

    def ask_on(self, *chain):
        if not chain:
            return "end"
        return chain[0].ask(chain[1:])

    async def await_on(self, *chain):
        if not chain:
            return "end"
        return await chain[0].call(Link.await_on, *chain[1:])

    def on_receive(self, chain):
        return self.ask_on(*chain)

    def waits(self, gate, *chain):
        gate.ask("in")
        return self.ask_on(*chain)

    def start(self, cls, *args):
        return self.ctx.spawn(cls, *args)

    def start_hosted(self, *args):
        return self.ctx.spawn(hosted(AskingAtStart, *args))


class AskingAtStart(Here):
    """Asks in `on_start`."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def on_start(self):
        self.other.ask((), timeout=None)


@pytest.fixture(params=["here-there", "there-there", "there-here"])
def two(request, system):
    places = request.param.split("-")
    return [
        system.spawn(hosted(Link, name=name) if place == "there" else af.child(Link).options(name=name))
        for name, place in zip("ab", places, strict=True)
    ]


def deadlock(future):
    start = time.monotonic()
    with pytest.raises(af.DeadlockError) as caught:
        future.get(timeout=LIMIT)
    assert time.monotonic() - start < SOON
    return str(caught.value)


def told_of_deadlock(futures):
    """Say how many of them ended so: of waits that begin at the same time, each may be the last."""
    start, errors = time.monotonic(), 0
    for future in futures:
        try:
            future.get(timeout=LIMIT)
        except af.DeadlockError:
            errors += 1
    assert time.monotonic() - start < SOON
    return errors


def test_a_cycle_of_two_is_told_with_its_path(two):
    a, b = two
    text = deadlock(a.call(Link.ask_on, b, a))
    assert "/test/a" in text
    assert "/test/b" in text
    assert " -> " in text
    assert a.call(Link.ask_on, b).get(timeout=LIMIT) == "end"


def test_a_cycle_of_awaits_is_told(two):
    a, b = two
    assert "/test/a" in deadlock(a.call(Link.await_on, b, a))
    assert a.call(Link.await_on, b).get(timeout=LIMIT) == "end"


def test_a_cycle_over_three_hosts_is_told(system):
    a, b, c = (system.spawn(hosted(Link, name=name)) for name in "abc")
    text = deadlock(a.call(Link.ask_on, b, c, a))
    for ref in (a, b, c):
        assert ref.path in text
    deadlock(a.call(Link.await_on, b, c, a))
    assert a.call(Link.ask_on, b, c).get(timeout=LIMIT) == "end"


def test_a_cycle_through_here_and_two_hosts_is_told(system):
    shared = af.Process(name="shared")
    a, b = system.spawn(af.child(Link)), system.spawn(hosted(Link, process=shared))
    c, d = system.spawn(hosted(Link, process=shared)), system.spawn(hosted(Link))
    deadlock(a.call(Link.ask_on, b, c, d, a))
    deadlock(b.call(Link.ask_on, c, a, d, b))
    deadlock(d.call(Link.await_on, a, b, c, d))


def test_a_cycle_within_one_host_is_told(system):
    shared = af.Process(name="shared")
    a, b = (system.spawn(hosted(Link, name=name, process=shared)) for name in "ab")
    text = deadlock(a.call(Link.ask_on, b, a))
    assert "/test/a" in text


def test_an_ask_to_oneself_is_told(system):
    a = system.spawn(hosted(Link, name="a"))
    assert "/test/a" in deadlock(a.call(Link.ask_on, a))


def test_a_cycle_that_two_close_at_the_same_time_is_told(system):
    """Both begin to wait, then each asks the other: the two last waits cross on the wire."""
    gate = system.spawn(Gate)
    a, b = system.spawn(hosted(Link)), system.spawn(hosted(Link))
    futures = [a.call(Link.waits, gate, b), b.call(Link.waits, gate, a)]
    until(lambda: call(gate, Gate.arrived) == 2)
    call(gate, Gate.open)
    assert told_of_deadlock(futures)


def test_a_cycle_through_a_child_in_a_host_is_told(system):
    a = system.spawn(hosted(Link, name="a"))
    kid = call(a, Link.start, Link)
    b = system.spawn(af.child(Link))
    deadlock(b.call(Link.ask_on, kid, b))
    deadlock(kid.call(Link.ask_on, b, kid))
    deadlock(a.call(Link.ask_on, kid, b, a))


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_child_that_asks_its_parent_while_it_starts_is_told(system, place):
    parent = system.spawn(hosted(Link) if place == "there" else af.child(Link))
    deadlock(parent.call(Link.start_hosted, parent))
    assert parent.call(Link.ask_on).get(timeout=LIMIT) == "end"


def test_a_stop_that_waits_for_its_stopper_is_told(system):
    class Stopper(Link):
        def stop_it(self, other):
            return other.stop()

        def ask_and_be_stopped(self, other, me):
            return call(other, Stopper.stop_it, me)

    a, b = system.spawn(hosted(Stopper)), system.spawn(hosted(Stopper))
    deadlock(a.call(Stopper.ask_and_be_stopped, b, a))


def test_a_cycle_through_an_actor_that_moves_to_another_process_is_told(system):
    gate = system.spawn(Gate)
    a, b = system.spawn(hosted(Link)), system.spawn(hosted(Link, process=af.Process(max_messages=5)))
    first = b.call(Link.waits, gate, a)
    until(lambda: call(gate, Gate.arrived) == 1)
    for _ in range(5):
        b.tell(())
    until(lambda: b._link is None)
    second = a.call(Link.ask_on, b)
    until(lambda: b._backlog)
    call(gate, Gate.open)
    assert told_of_deadlock([first, second])


def test_a_cycle_with_a_timeout_is_told_before_it(system):
    class Patient(Link):
        def on_receive(self, chain):
            return chain[0].ask(chain[1:], timeout=LIMIT) if chain else "end"

    a, b = system.spawn(Patient), system.spawn(hosted(Patient))
    deadlock(a.ask((b, a), block=False))


def test_a_deadlock_error_is_an_ask_timeout(two):
    import pykka

    a, b = two
    with pytest.raises(pykka.Timeout):
        a.call(Link.ask_on, b, a).get(timeout=LIMIT)


def test_long_chains_and_crossing_asks_are_no_deadlock():
    with LeakCheck(), af.ActorSystem("test") as system:
        here = [system.spawn(Link) for _ in range(3)]
        there = [system.spawn(hosted(Link)) for _ in range(2)]
        # Chains that run in one direction over a fixed order of actors can never close a cycle.
        order = [here[0], there[0], here[1], there[1], here[2]]

        def work(thread):
            for number in range(40):
                chain = [ref for index, ref in enumerate(order) if (number + thread) >> index & 1 or index == 4]
                method = Link.await_on if number % 2 else Link.ask_on
                assert chain[0].call(method, *chain[1:]).get(timeout=LIMIT) == "end"

        run_in_threads(4, work)
