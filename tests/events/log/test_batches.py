"""Handlers of several events: `@af.on(Event, batch=100)` in durable services."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.events.log.services import Failing, Noted, Ordered, Paid, expected, service
from tests.outcomes.faulty import faults

STORES = ("sqlite",)
SEEDS = 24
SHARE = 6


@dataclasses.dataclass
class Lists:
    """The lists that a service has handled."""

    lists: list[list[int]] = dataclasses.field(default_factory=list)
    keys: dict[str, list[int]] = dataclasses.field(default_factory=dict)


class Clerk(af.Service):
    """Takes orders in batches of ten, notes one by one, and publishes how many orders there were."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Lists()

    @af.on(Ordered, batch=10)
    def take(self, events: list[Ordered]) -> Iterator[Paid]:
        self.state.lists.append([event.n for event in events])
        for event in events:
            Failing.check("clerk", event.n)
            self.state.keys.setdefault(event.key, []).append(event.n)
        yield Paid("sum", len(events))

    @af.on(Noted)
    def note(self, _event: Noted) -> None:
        self.state.lists.append([])

    def lists(self) -> list[list[int]]:
        return self.state.lists

    def seen(self) -> dict[str, list[int]]:
        return self.state.keys


class Patient(Clerk):
    """Waits for more orders."""

    @af.on(Ordered, batch=10, within=5)
    def take(self, events: list[Ordered]) -> Iterator[Paid]:
        return super().take(events)


class AsyncClerk(Clerk):
    @af.on(Ordered, batch=1000)
    async def take(self, events: Sequence[Ordered]) -> None:
        list(super().take(list(events)))


@pytest.fixture
def system(url):
    with VirtualSystem("test", store=url) as system:
        yield system


def lists(ref):
    return ref.call(Clerk.lists).get(timeout=60)


def publish(system, *numbers, key="a"):
    """Publish all of them while the service is paused, so that they are there together."""
    system.event_log.pause("clerk")
    for n in numbers:
        system.publish(Ordered(key if isinstance(key, str) else key(n), n) if n is not None else Noted("x"))
    system.event_log.resume("clerk")
    system.sleep(0.1)


def paid(system):
    return [stored.event.n for stored in reversed(system.event_log.list("test.paid", limit=1000))]


def test_a_handler_of_several_gets_those_that_are_there_in_lists_of_so_many(system):
    clerk = system.spawn(service(Clerk, "clerk"))
    publish(system, *range(25))
    assert lists(clerk) == [[*range(10)], [*range(10, 20)], [*range(20, 25)]]
    assert paid(system) == [10, 10, 5]
    publish(system, 25)
    assert lists(clerk)[-1] == [25]


def test_an_event_of_another_handler_ends_a_batch_and_those_of_no_concern_do_not(system):
    clerk = system.spawn(service(Clerk, "clerk"))
    publish(system, 0, 1, None, 2, 3)
    assert lists(clerk) == [[0, 1], [], [2, 3]]
    system.event_log.pause("clerk")
    for n in range(4):
        system.publish(Ordered("a", n))
        system.publish(Paid("a", n))
    system.event_log.resume("clerk")
    system.sleep(0.1)
    assert lists(clerk)[3:] == [[0, 1, 2, 3]]


def test_a_large_batch_of_an_async_handler_is_one_commit(system):
    clerk = system.spawn(service(AsyncClerk, "clerk"))
    publish(system, *range(900))
    assert lists(clerk) == [[*range(900)]]


def test_a_batch_waits_for_more_events_as_long_as_it_says(system):
    clerk = system.spawn(service(Patient, "clerk"))
    publish(system, 0, 1)
    system.sleep(3)
    system.publish(Ordered("a", 2))
    assert lists(clerk) == []
    system.sleep(1.5)
    assert lists(clerk) == []
    system.sleep(0.5)
    assert lists(clerk) == [[0, 1, 2]]
    for n in range(10):
        system.publish(Ordered("a", n))
    system.sleep(0.1)
    assert lists(clerk)[1:] == [[*range(10)]]
    system.publish(Ordered("a", 10))
    system.sleep(0.1)
    system.publish(Noted("another handler"))
    system.sleep(0.1)
    assert lists(clerk)[2:] == [[10], []]


@pytest.mark.parametrize("cls", [Clerk, Patient])
def test_a_bad_event_of_a_batch_stops_none_but_later_ones_of_its_key(system, cls):
    clerk = system.spawn(service(cls, "clerk"))
    Failing.poison = {4}
    publish(system, *range(9), key=lambda n: "ab"[n % 2])
    system.sleep(20)
    assert lists(clerk)[:5] == [[0], [1], [2], [3], [5]]
    assert clerk.call(Clerk.seen).get(timeout=60) == {"a": [0, 2, 6, 8], "b": [1, 3, 5, 7]}
    (dead,) = system.event_log.dead("clerk")
    assert (dead.event.event.n, dead.attempt) == (4, 3)
    publish(system, *range(10, 15))
    system.sleep(6)
    assert lists(clerk)[-1] == [*range(10, 15)]  # together again
    Failing.poison = set()
    assert system.event_log.retry_all("clerk") == 1
    system.sleep(1)
    assert lists(clerk)[-1] == [4]


def test_a_batch_knows_the_conversation_of_its_last_event(system):
    system.spawn(service(Clerk, "clerk"))
    publish(system, 0, 1, 2)
    last, (paid,) = system.event_log.list("test.ordered")[0], system.event_log.list("test.paid")
    assert (paid.correlation, paid.causation) == (last.id, last.id)


def test_an_event_in_a_batch_that_cannot_be_read_is_set_aside_by_itself(system, monkeypatch):
    clerk = system.spawn(service(Clerk, "clerk"))
    real = type(system.scheduler.durable.log).row_of

    def damaged(self, envelope):
        row = real(self, envelope)
        return row._replace(body=b"[]") if getattr(envelope.event, "n", 0) == 3 else row

    monkeypatch.setattr(type(system.scheduler.durable.log), "row_of", damaged)
    publish(system, *range(6), key=str)
    system.sleep(10)
    assert lists(clerk) == [[0, 1, 2], [4, 5]]
    (dead,) = system.event_log.dead("clerk")
    assert dead.event.key == "3"


def test_a_replay_gives_no_event_quietly_in_one_list_with_one_aloud(system):
    clerk = system.spawn(service(Clerk, "clerk"))
    Failing.poison = {2}
    publish(system, *range(5), key=str)
    system.sleep(10)
    before = paid(system)
    Failing.poison = set()
    system.event_log.replay("clerk")
    system.sleep(10)
    assert lists(clerk) == [[0, 1], [2], [3, 4]]
    assert paid(system) == [*before, 1]


def test_a_service_that_is_not_durable_gets_each_event_in_a_list(system):
    for cls in (Clerk, AsyncClerk):
        clerk = system.spawn(af.child(cls).options(name="clerk"))
        heard: list[int] = []
        subscription = system.subscribe(Paid, lambda event, heard=heard: heard.append(event.n))
        for n in range(3):
            system.publish(Ordered("a", n))
        system.sleep(0.1)
        assert lists(clerk) == [[0], [1], [2]]
        assert heard == ([1, 1, 1] if cls is Clerk else [])
        subscription.cancel()
        clerk.stop()


# --- whatever dies or fails ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


def begin(world: Any, store: Any, cls: type[Clerk]) -> VirtualSystem:
    system = VirtualSystem._within(world, "a", store=store)
    system.spawn(service(cls, "clerk"))
    return system


def check(system, store, count, seed):
    """Each event was handled once in the order of its key, and counted once in what was published."""
    ref = system.durable("clerk", Clerk)
    dead = {one.event.id for one in system.event_log.dead("clerk")}
    seen = ref.call(Clerk.seen).get(timeout=300)
    assert seen == expected(store, {"test.ordered": 1}, dead), seed
    assert sum(paid(system)) == count - len(dead), seed
    assert len(dead) < count // 4, seed


def run_with_kills(seed):
    rng, count, kills = random.Random(seed), 60, 0
    Failing.reset()
    Failing.poison = {rng.randrange(count)}
    Failing.flaky = {rng.randrange(count): 1 for _ in range(3)}
    cls = rng.choice([Clerk, Patient])
    with World(seed=seed) as world, af.open_store() as store:
        system = begin(world, store, cls)
        try:
            for n in range(count):
                system.publish(Ordered(rng.choice("abcdef"), n))
                if rng.random() < 0.2:
                    scheduler = system.scheduler.world
                    limit, scheduler.step_limit = scheduler.step_limit, rng.randint(1, 60)
                    try:
                        system.sleep(rng.choice([0.01, 6]))
                    except af.StuckError:
                        pass
                    finally:
                        scheduler.step_limit = limit
                    system._kill()
                    kills += 1
                    system = begin(world, store, cls)
            system.sleep(600)
            check(system, store, count, seed)
        finally:
            system.stop()
    return kills


@pytest.mark.parametrize("some", [range(at, at + SHARE) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_event_of_batches_is_handled_once_whatever_process_dies(some):
    with LeakCheck():
        assert sum(run_with_kills(seed) for seed in some) > 0


def run_with_faults(seed):
    rng, count = random.Random(seed), 60
    Failing.reset()
    Failing.poison = {rng.randrange(count)}
    Failing.flaky = {rng.randrange(count): 1 for _ in range(3)}
    with VirtualSystem(seed=seed) as system:
        system.spawn(service(rng.choice([Clerk, Patient]), "clerk"))
        for n in range(count):
            system.publish(Ordered(rng.choice("abcdef"), n))
        with faults(system, seed) as faulty:
            system.sleep(200)
        system.sleep(400)
        check(system, system.store, count, seed)
    return faulty.drawn


@pytest.mark.parametrize("some", [range(at, at + SHARE) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_event_of_batches_is_handled_once_whatever_commits_fail(some):
    with LeakCheck():
        assert set().union(*(run_with_faults(seed) for seed in some))
