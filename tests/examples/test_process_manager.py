"""The example of a process manager: each order is ready once, or lapses once, whenever the service's process dies."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from examples.process_manager import DAY, Fulfilment, Packed, Paid, Placed, main

ORDERS = 12


def begin(world: World, store: af.Store) -> VirtualSystem:
    system = VirtualSystem._within(world, "shop", store=store)
    system.spawn(af.child(Fulfilment).options(name="fulfilment", durable=True))
    return system


def test_the_program_has_one_order_ready_and_one_lapsed(capsys):
    main()
    assert capsys.readouterr().out.splitlines() == ["a is ready", "b has lapsed"]


@pytest.mark.parametrize("seed", range(6))
def test_a_process_manager_ends_each_order_once_whenever_it_is_killed(seed):
    chance = random.Random(seed)
    events = []
    for number in range(ORDERS):
        order = f"o{number}"
        more = [Paid(order), Packed(order), Paid(order)] if number % 3 else [Paid(order)] * 2
        events.append([Placed(order), *chance.sample(more, len(more))])
    with LeakCheck(), World(seed=seed) as world, af.open_store() as store:
        system = begin(world, store)
        try:
            while events:
                some = chance.choice(events)
                system.publish(some.pop(0))
                if not some:
                    events.remove(some)
                if chance.random() < 0.2:
                    system.sleep(chance.choice([0.0, 0.001, 1.0]))
                    system._kill()
                    system = begin(world, store)
            system.sleep(DAY + 100)
            ends = sorted((stored.key, stored.type) for stored in system.event_log.list(limit=1000))
            ends = [(key, type_) for key, type_ in ends if type_ in {"manager.ready", "manager.lapsed"}]
            wanted = [(f"o{n}", "manager.ready" if n % 3 else "manager.lapsed") for n in range(ORDERS)]
            assert ends == sorted(wanted)
        finally:
            system.stop()
