"""Events of no concern to a durable service: it gets past them however short its lives are."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.events.log import member
from actorflow.testing import VirtualSystem
from tests.events.log.services import Cashier, Failing, Ledger, Noted, Ordered, Paid, Splitter, service

MANY = 60


@pytest.fixture
def system(monkeypatch):
    monkeypatch.setattr(member, "WINDOW", 4)
    monkeypatch.setattr(member, "CHAIN", 4)
    monkeypatch.setattr(member, "UNSAVED", 8)
    with VirtualSystem("test", store="memory:") as system:
        system.spawn(service(Ledger, "ledger"))  # from now on events are in the log
        yield system


@pytest.mark.parametrize("cls", [Cashier, Splitter], ids=["another type", "its guard refuses them"])
def test_a_service_that_is_stopped_before_it_would_save_passes_events_of_no_concern_all_the_same(system, cls):
    for number in range(MANY):
        system.publish(Noted(f"{number}"))
    ref = system.spawn(service(cls, "passing"))
    system.sleep(member.SAVE_SECONDS / 2)
    ref.stop()
    system.sleep(1)
    assert system.event_log.lag("passing") < 8  # but for the rest that is not worth a commit


def test_a_service_that_has_passed_events_handles_those_that_concern_it(system):
    for number in range(MANY):
        system.publish(Noted(f"{number}"))
        if number % 20 == 19:
            system.publish(Ordered("a", number))
    ref = system.spawn(service(Cashier, "passing"))
    system.sleep(10)
    assert ref.call(Cashier.seen).get(timeout=60) == {"a": [19, 39, 59]}
    assert system.event_log.lag("passing") == 0


def test_only_events_of_concern_are_set_aside_behind_one_of_their_key_that_failed(system):
    Failing.poison = {1}
    for event in (Ordered("a", 1), Paid("a", 2), Ordered("b", 3), Paid("a", 4), Ordered("a", 5), Ordered("b", 6)):
        system.publish(event)
    hour = af.Retry(3, af.Backoff(3600, factor=1, limit=3600, jitter=0))
    ref = system.spawn(service(Cashier, "passing", retry=hour))
    system.sleep(10)
    assert ref.call(Cashier.seen).get(timeout=60) == {"b": [3, 6]}
    aside = [stored.event.event for stored in system.event_log.parked("passing")]
    assert aside == [Ordered("a", 5), Ordered("a", 1)]
