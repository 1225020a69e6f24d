"""Services in child processes: events reach them, and their publications reach everybody."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import pytest

import actorflow as af
from actorflow.events.bus import bus_of
from actorflow.testing import Probe, VirtualSystem
from tests.events.shop import LIMIT, Paid, Payments, Placed, Refused, Sent, Shipping


class Nested(af.Service):
    """Spawns a service in its own process."""

    def on_start(self) -> None:
        self.publish(Refused("start"))
        self.ship = self.ctx.spawn(af.child(Shipping).options(name="ship"))

    @af.on(Placed)
    def where(self, event: Placed) -> Paid:
        return Paid(f"{event.order} {os.getpid() != int(event.order)}")

    def end_child(self) -> None:
        self.ship.stop()


def test_services_in_child_processes_take_part_in_a_conversation(system: af.ActorSystem, probe: Probe) -> None:
    host = af.Process(name="shop")
    envelopes: list[af.Envelope] = []
    system.subscribe(af.Envelope, envelopes.append)
    system.subscribe(Sent, probe.ref)
    ship = system.spawn(af.child(Shipping).options(name="ship", host=host))
    pay = system.spawn(af.child(Payments).options(name="pay", host=host))
    for n in range(20):
        system.publish(Placed(str(n)))
    got = [probe.expect(within=LIMIT) for _ in range(40)]
    assert got == [Sent(str(n), parcel) for n in range(20) for parcel in (1, 2)]
    system.publish(Placed("late", 500))
    assert probe.expect(within=LIMIT) == Sent("late", 0)
    bus_of(system.root).join(timeout=LIMIT)  # until the function has noted them all, too
    by_id = {envelope.id: envelope for envelope in envelopes}
    sent = [envelope for envelope in by_id.values() if isinstance(envelope.event, Sent)]
    assert {envelope.source for envelope in sent} <= {ship.path}
    paid = by_id[sent[0].causation or ""]
    assert paid.source == pay.path
    assert paid.correlation == sent[0].correlation == by_id[paid.causation or ""].id


def wait_for_services(system: af.ActorSystem, number: int) -> None:
    """Wait until the bus has so many services."""
    begin = time.monotonic()
    while len(bus_of(system.root)._routes.services()) != number:
        assert time.monotonic() - begin < LIMIT
        time.sleep(0.005)


@pytest.mark.slow
def test_a_service_that_a_hosted_actor_spawns_gets_events_until_it_ends(system: af.ActorSystem, probe: Probe) -> None:
    system.subscribe(Refused, probe.ref)
    system.subscribe(Sent, probe.ref)
    nested = system.spawn(af.child(Nested).options(name="nested", host=af.Process()))
    assert probe.expect(within=LIMIT) == Refused("start")
    wait_for_services(system, 2)
    system.publish(Placed(str(os.getpid())))
    assert probe.expect(within=LIMIT) == Sent(f"{os.getpid()} True", 1)
    assert probe.expect(within=LIMIT) == Sent(f"{os.getpid()} True", 2)
    nested.call(Nested.end_child).get(timeout=LIMIT)
    wait_for_services(system, 1)


def test_a_service_in_a_virtual_host_gets_copies(virtual_system: VirtualSystem) -> None:
    probe = Probe(virtual_system)
    virtual_system.spawn(af.child(Payments).options(host=af.Process()))
    virtual_system.subscribe(Paid, probe.ref)
    virtual_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == Paid("o1")


class Stays(int):
    """A number that does not pickle."""

    def __reduce__(self) -> Any:
        raise TypeError("it stays")


def test_an_event_that_does_not_pickle_is_a_dead_letter_and_others_get_it(virtual_system: VirtualSystem) -> None:
    probe = Probe(virtual_system)
    letters: list[Any] = []
    virtual_system.subscribe(af.DeadLetter, letters.append)
    virtual_system.spawn(af.child(Payments).options(host=af.Process()))
    virtual_system.spawn(Payments)
    virtual_system.subscribe(Paid, probe.ref)
    virtual_system.publish(Placed("o1", Stays(1)))
    assert isinstance(probe.expect(within=LIMIT), Paid)
    virtual_system.sleep(1)
    assert [type(letter.reason) for letter in letters] == [af.PayloadError]


@dataclass
class Count:
    """The state of a durable service."""

    events: int = 0


class Bookkeeping(af.Service):
    def __init__(self) -> None:
        super().__init__()
        self.state = Count()

    @af.on(Paid)
    def note(self, event: Paid) -> Refused:
        self.state.events += 1
        return Refused(f"{event.order} {self.state.events}")


@pytest.mark.slow
def test_an_event_of_a_hosted_service_reaches_durable_services(system: af.ActorSystem, probe: Probe) -> None:
    system.subscribe(Refused, probe.ref)
    system.spawn(af.child(Bookkeeping).options(name="books", durable=True))
    system.spawn(af.child(Payments).options(name="pay", host=af.Process()))
    for n in range(5):
        system.publish(Placed(str(n)))
    assert sorted(probe.expect(within=LIMIT).order[-1] for _ in range(5)) == list("12345")
