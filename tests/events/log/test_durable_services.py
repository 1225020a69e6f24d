"""Durable services: what is published is handled, over restarts, by both databases."""

from __future__ import annotations

import datetime as dt

import pytest

import actorflow as af
from tests.durable.test_messages import wait_for
from tests.events.log.services import Cashier, Failing, Ledger, Noted, Ordered, Paid, Splitter, rows, service


def seen(ref, cls):
    return ref.call(cls.seen).get(timeout=60)


def test_a_service_handles_what_is_published_and_publishes_what_it_returns(start):
    with start() as system:
        cashier = system.spawn(service(Cashier, "cashier"))
        ledger = system.spawn(service(Ledger, "ledger"))
        for n in range(20):
            system.publish(Ordered("ab"[n % 2], n))
        wait_for(lambda: sum(map(len, seen(ledger, Ledger).values())) == 40)
        assert seen(cashier, Cashier) == {"a": list(range(0, 20, 2)), "b": list(range(1, 20, 2))}


def test_state_and_offset_outlive_the_system(start):
    with start() as system:
        cashier = system.spawn(service(Cashier, "cashier"))
        system.publish(Ordered("a", 1))
        wait_for(lambda: seen(cashier, Cashier) == {"a": [1]})
    with start() as system:
        system.spawn(service(Splitter, "other"))  # the log is in use, the cashier is not there
        system.publish(Ordered("a", 2))
    with start() as system:
        cashier = system.spawn(service(Cashier, "cashier"))
        wait_for(lambda: seen(cashier, Cashier) == {"a": [1, 2]})
        paid = [row for row in rows(system.store) if row[3] == "test.paid"]
        assert len(paid) == 2


def test_an_event_carries_its_causes(start):
    with start() as system:
        system.spawn(service(Cashier, "cashier"))
        system.publish(Ordered("a", 1))
        wait_for(lambda: len(rows(system.store)) == 2)
        ordered, paid = rows(system.store)
        assert (ordered[8], ordered[9], ordered[7]) == (ordered[6], None, "test")
        assert (paid[8], paid[9], paid[7]) == (ordered[6], ordered[6], "/test/cashier")


def test_a_generator_publishes_several_events_and_a_service_need_have_no_state(start):
    with start() as system:
        system.spawn(service(Splitter, "splitter"))
        system.publish(Noted("a,b,c"))
        wait_for(lambda: len(rows(system.store)) == 4)


def test_instances_share_the_log_by_keys(start):
    with start() as system:
        system.spawn(service(Cashier, "cashier", instances=4))
        members = [system.durable(f"cashier/{n}", Cashier) for n in range(4)]
        for n in range(40):
            system.publish(Ordered(f"k{n % 10}", n))
        wait_for(lambda: sum(len(found) for ref in members for found in seen(ref, Cashier).values()) == 40)
        assert sum(bool(seen(ref, Cashier)) for ref in members) > 1
        for ref in members:
            assert all(len(found) == 4 and found == sorted(found) for found in seen(ref, Cashier).values())


def test_a_message_to_a_group_says_that_each_instance_has_its_own_state(start):
    with start() as system:
        group = system.spawn(service(Cashier, "cashier", instances=4))
        with pytest.raises(af.DefinitionError, match="system.durable\\('cashier/0', Cashier\\)"):
            group.ask("x", timeout=30)


@pytest.mark.parametrize("where", ["now", "time"])
def test_a_new_consumer_begins_where_it_says(start, where):
    with start() as system:
        system.spawn(service(Splitter, "other"))
        system.publish(Ordered("a", 1))
        wait_for(lambda: rows(system.store)[0][10] < system.store.now())
        at = "now" if where == "now" else dt.datetime.fromtimestamp(system.store.now(), dt.UTC)
        cashier = system.spawn(service(Cashier, "cashier", start=at))
        system.publish(Ordered("a", 2))
        wait_for(lambda: seen(cashier, Cashier) == {"a": [2]})


def test_an_event_of_no_concern_is_not_set_aside_behind_others_of_its_key(start):
    with start() as system:
        Failing.poison = {1}
        hour = af.Retry(3, af.Backoff(3600, factor=1, limit=3600))
        cashier = system.spawn(service(Cashier, "cashier", retry=hour))
        system.event_log.pause("cashier")
        for event in (Ordered("a", 1), Ordered("b", 2), Paid("a", 7), Ordered("b", 3)):
            system.publish(event)
        system.event_log.resume("cashier")
        wait_for(lambda: seen(cashier, Cashier) == {"b": [2, 3]})
        assert [one.event.event for one in system.event_log.parked("cashier")] == [Ordered("a", 1)]


def test_a_failing_event_waits_with_its_key_and_the_others_go_on(start):
    with start() as system:
        Failing.poison = {1}
        hour = af.Retry(3, af.Backoff(3600, factor=1, limit=3600))
        cashier = system.spawn(service(Cashier, "cashier", retry=hour))
        for n, key in enumerate("aabb"):
            system.publish(Ordered(key, n))
        system.publish(Ordered("a", 4))
        wait_for(lambda: len(system.event_log.parked("cashier")) == 2)
        wait_for(lambda: seen(cashier, Cashier) == {"a": [0], "b": [2, 3]})
        assert [one.event.event.n for one in system.event_log.parked("cashier")] == [4, 1]
        assert [n for _, n in Failing.tried].count(1) == 1


def test_another_consumer_of_the_same_name_is_refused(start):
    with start() as system:
        system.spawn(service(Cashier, "cashier"))
        with pytest.raises(af.DefinitionError, match="consumer 'cashier' is there already, at 'cashier'"):
            system.spawn(service(Ledger, "ledger", group="cashier"))
        system.spawn(service(Ledger, "cashier-2"))


def test_another_number_of_instances_is_refused(start):
    with start() as system:
        ref = system.spawn(service(Cashier, "cashier"))
        ref.stop()
        with pytest.raises(af.DefinitionError, match="has 1 instance in the store, and is declared with instances=2"):
            system.spawn(service(Cashier, "cashier", instances=2))


def test_another_number_of_partitions_is_refused(start):
    with start() as system:
        system.spawn(service(Cashier, "cashier"))
    with start(settings=af.Settings(partitions=4)) as system:
        with pytest.raises(af.DefinitionError, match="partitions=4.*has 8"):
            system.spawn(service(Cashier, "cashier"))


@pytest.mark.parametrize(
    "options",
    [{"instances": 0}, {"start": "later"}, {"group": ""}, {"start": dt.datetime(2026, 1, 1)}, {"instances": 9}],  # noqa: DTZ001
)
def test_options_that_make_no_sense_are_refused(start, options):
    with start() as system:
        with pytest.raises(af.DefinitionError):
            system.spawn(service(Cashier, "cashier", **options))


def test_options_of_consumers_are_for_durable_services():
    with pytest.raises(af.DefinitionError, match="durable=True"):
        af.child(Cashier).options(group="x")
