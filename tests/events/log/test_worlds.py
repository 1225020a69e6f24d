"""Promises: durable services handle each event once and in the order of its key, whatever process dies, and when."""

from __future__ import annotations

import logging
import os
import random

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.events.log.services import Cashier, Failing, Ledger, Ordered, expected, merged, rows, service
from tests.outcomes.faulty import faults

SEEDS = int(os.environ.get("ACTORFLOW_LOG_SEEDS", "30"))
SHARE = 6  # seeds of one test
EVENTS = 40


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    Failing.reset()


def begin(world, store, name, instances):
    system = VirtualSystem._within(world, name, store=store)
    system.spawn(service(Cashier, "cashier", instances=instances))
    system.spawn(service(Ledger, "ledger"))
    return system


def seen_by(system, name, cls, instances):
    actors = [name] if instances == 1 else [f"{name}/{number}" for number in range(instances)]
    return merged([system.durable(actor, cls).call(cls.seen).get(timeout=300) for actor in actors])


def seen_and_expected(system, store):
    """Return what both services have seen, and what they are to see: all but what is dead for them."""
    return [
        (
            seen_by(system, "cashier", Cashier, system.instances),
            expected(store, {"test.ordered": 1}, dead_ids(system, "cashier")),
        ),
        (
            seen_by(system, "ledger", Ledger, 1),
            expected(store, {"test.ordered": 1, "test.paid": -1}, dead_ids(system, "ledger")),
        ),
    ]


def settled(system, store):
    """Wait until both services have handled all; say whether they have."""
    for _ in range(200):
        system.sleep(5)
        if all(seen == wanted for seen, wanted in seen_and_expected(system, store)):
            return True
    return False


def run_with_kills(seed):
    rng = random.Random(seed)
    instances = rng.choice([1, 1, 3, 8])
    Failing.reset()
    Failing.poison = {rng.randint(0, EVENTS - 1)}
    Failing.flaky = {rng.randint(0, EVENTS - 1): rng.randint(1, 2) for _ in range(4)}
    kills = 0
    with World(seed=seed) as world, af.open_store() as store:
        systems = [begin(world, store, "a", instances), begin(world, store, "b", instances)]
        try:
            for n in range(EVENTS):
                rng.choice(systems).publish(Ordered(rng.choice("abcdef"), n))
                if rng.random() < 0.25:
                    systems[0].sleep(rng.choice([0.001, 0.01, 3]))
                if rng.random() < 0.15:
                    place = rng.randrange(2)
                    scheduler = systems[place].scheduler.world
                    limit, scheduler.step_limit = scheduler.step_limit, rng.randint(1, 60)
                    try:
                        systems[place].sleep(1)
                    except af.StuckError:
                        pass
                    finally:
                        scheduler.step_limit = limit
                    systems[place]._kill()
                    kills += 1
                    systems[place] = begin(world, store, f"{systems[place].name}", instances)
            systems[0].instances = instances
            systems[0].sleep(200)
            dead = dead_of(systems[0])  # poison, or three processes in a row have died on it
            assert dead >= Failing.poison
            assert len(dead) < EVENTS // 4
            assert settled(systems[0], store), (seed, seen_and_expected(systems[0], store))
            assert len(dead_ids(systems[0], "ledger")) < EVENTS // 4
            paid = [row for row in rows(store) if row[3] == "test.paid"]
            assert len(paid) == EVENTS - len(dead), seed
        finally:
            for system in systems:
                system.stop()
    return kills


@pytest.mark.parametrize("some", [range(at, min(at + SHARE, SEEDS)) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_event_is_handled_once_and_in_order_whatever_process_dies(some):
    with LeakCheck():
        assert sum(run_with_kills(seed) for seed in some) > 0


def insist(system, act):
    """Do it until the store takes it, as a user does who has an id; return how often it may be there."""
    count = 0
    while True:
        try:
            act()
            return count + 1
        except af.OutcomeUnknown:
            count += 1
        except af.StoreError:
            pass
        system.sleep(1)


def run_with_faults(seed):
    """Publish while commits fail: before they are made, at them and after them; replay in the midst of it."""
    rng = random.Random(seed)
    Failing.reset()
    Failing.poison = {rng.randint(0, EVENTS - 1)}
    Failing.flaky = {rng.randint(0, EVENTS - 1): rng.randint(1, 2) for _ in range(4)}
    with VirtualSystem(seed=seed) as system:
        system.spawn(service(Cashier, "cashier"))
        system.spawn(service(Ledger, "ledger"))
        with faults(system, seed) as faulty:
            for n in range(EVENTS):
                insist(system, lambda n=n: system.publish(Ordered("abcdef"[n % 6], n)))
                if rng.random() < 0.2:
                    system.sleep(rng.choice([0.001, 0.01, 3]))
                if rng.random() < 0.05:
                    name = rng.choice(["cashier", "ledger"])
                    insist(system, lambda name=name: system.event_log.replay(name))
            system.sleep(30)
        system.instances = 1
        assert settled(system, system.store), (seed, Failing.poison)
        assert not dead_ids(system, "ledger"), seed
        paid = [row for row in rows(system.store) if row[3] == "test.paid"]
        causes = [row[9] for row in paid]
        ordered = {row[6] for row in rows(system.store) if row[3] == "test.ordered"}
        assert len(causes) == len(set(causes)), seed  # none was published twice
        alive = {stored.event.id for stored in system.event_log.dead(limit=1000)}
        assert set(causes) == ordered - alive, seed
        return faulty.drawn


def dead_of(system):
    return {stored.event.event.n for stored in system.event_log.dead("cashier", limit=1000)}


def dead_ids(system, name):
    """Return the ids of events that are dead for a service: poison, or three processes in a row have died on them."""
    return {stored.event.id for stored in system.event_log.dead(name, limit=1000)}


@pytest.mark.parametrize("some", [range(at, min(at + SHARE, SEEDS)) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_event_is_handled_once_whatever_becomes_of_commits_and_however_often_it_is_replayed(some):
    drawn = set()
    for seed in some:
        drawn |= run_with_faults(seed)
    assert drawn == {"before", "at", "after"} or len(some) < SHARE
