"""Nodes: the members of a consumer are shared out among the processes that have it, and taken over at a death."""

from __future__ import annotations

import logging

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.durable.test_messages import wait_for
from tests.events.log.services import Cashier, Ordered, merged, service


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


def owned_by(system):
    log = system.scheduler.durable.log
    return len(log.shares.owned(log.consumers["cashier"]))


def spawn(system):
    system.spawn(service(Cashier, "cashier", instances=8))
    return system


def seen_by(system):
    refs = [system.durable(f"cashier/{number}", Cashier) for number in range(8)]
    return merged([ref.call(Cashier.seen).get(timeout=300) for ref in refs])


@pytest.mark.parametrize("seed", range(3))
def test_nodes_have_about_as_many_members_each_and_the_rest_takes_those_of_a_dead_one(seed):
    with LeakCheck(), World(seed=seed) as world, af.open_store() as store:
        systems = [spawn(VirtualSystem._within(world, "a", store=store))]
        try:
            assert owned_by(systems[0]) == 8
            systems.append(spawn(VirtualSystem._within(world, "b", store=store)))
            for n in range(40):
                systems[n % 2].publish(Ordered(f"k{n % 10}", n))
                systems[0].sleep(0.2)
            systems[0].sleep(60)
            assert [owned_by(system) for system in systems] == [4, 4]
            systems.append(spawn(VirtualSystem._within(world, "c", store=store)))
            systems[0].sleep(60)
            assert sorted(owned_by(system) for system in systems) in ([2, 3, 3], [3, 3, 2])
            systems.pop(1)._kill()
            for n in range(40, 60):
                systems[n % 2].publish(Ordered(f"k{n % 10}", n))
            systems[0].sleep(120)
            assert [owned_by(system) for system in systems] == [4, 4]
            expected = {f"k{k}": list(range(k, 60, 10)) for k in range(10)}
            assert seen_by(systems[0]) == expected
            systems.pop(0).stop()
            systems[0].sleep(120)
            assert owned_by(systems[0]) == 8
        finally:
            for system in systems:
                system.stop()


def test_two_processes_share_a_service_on_both_databases(start):
    one, two = spawn(start()), spawn(start())
    for n in range(40):
        (one, two)[n % 2].publish(Ordered(f"k{n % 10}", n))
    wait_for(lambda: (owned_by(one), owned_by(two)) == (4, 4), seconds=200)
    wait_for(lambda: sum(map(len, seen_by(one).values())) == 40, seconds=200)
    assert all(found == sorted(found) for found in seen_by(two).values())
