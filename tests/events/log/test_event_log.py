"""EventLog: what users see of the log, and do to its consumers: dead events, replays, pauses, delays, what is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

import actorflow as af
from actorflow.events.event import DECLARED_EVENTS, UPCASTERS
from actorflow.testing import VirtualSystem
from tests.events.log.services import Cashier, Failing, Ledger, Noted, Ordered, Paid, Splitter, service

STORES = ("sqlite",)
ONCE = af.Retry(1)
TWICE = af.Retry(2, af.Backoff(10, factor=1, jitter=0))


@pytest.fixture
def system(url):
    with VirtualSystem("test", store=url) as system:
        yield system


def seen(ref, cls):
    return ref.call(cls.seen).get(timeout=60)


def publish_all(system, *events):
    for event in events:
        system.publish(event)
    system.sleep(0.1)


def numbers(system, kind):
    return [stored.event.n for stored in reversed(system.event_log.list(kind))]


# --- events ----------------------------------------------------------------------------------------------------------


def test_the_log_is_listed_by_type_and_key_newest_first(system):
    system.spawn(service(Cashier, "cashier"))
    publish_all(system, Ordered("a", 1), Ordered("b", 2))
    log = system.event_log
    assert [(one.type, one.key, one.event) for one in log.list("test.ordered")] == [
        ("test.ordered", "b", Ordered("b", 2)),
        ("test.ordered", "a", Ordered("a", 1)),
    ]
    assert [one.type for one in log.list(key="a")] == ["test.paid", "test.ordered"]
    first, second = log.list(limit=1), log.list(limit=10, before=log.list(limit=1)[0].number)
    assert len(first) == 1
    assert len(second) == 3
    assert log.get(first[0].number) == first[0]
    assert log.get(99) is None
    assert [one.number for one in log.after(2)] == [3, 4]


def test_a_conversation_is_traced_by_the_id_of_its_first_event(system):
    system.spawn(service(Cashier, "cashier"))
    publish_all(system, Ordered("a", 1), Ordered("a", 2))
    first = system.event_log.list("test.ordered")[-1]
    trace = system.event_log.trace(first.correlation)
    assert [(one.type, one.event.n, one.causation) for one in trace] == [
        ("test.ordered", 1, None),
        ("test.paid", 1, first.id),
    ]


def test_services_that_are_not_durable_and_subscribers_get_events_once_they_are_in_the_log(system):
    system.spawn(service(Cashier, "cashier"))
    heard = []
    system.subscribe(Paid, lambda event: heard.append((event.n, len(system.event_log.list("test.paid")))))
    publish_all(system, Ordered("a", 1))
    assert heard == [(1, 1)]


def test_events_of_a_system_without_durable_services_are_not_stored(system):
    heard = []
    system.subscribe(Ordered, heard.append)
    publish_all(system, Ordered("a", 1))
    assert heard == [Ordered("a", 1)]
    assert system.event_log.list() == []


# --- events that could not be handled --------------------------------------------------------------------------------


def test_a_dead_event_has_its_cause_and_is_handled_again_by_one_call_and_knows_that_it_is_late(system):
    late = []

    class Looking(Cashier):
        @af.on(Ordered)
        def charge(self, event: Ordered) -> Paid:
            late.append((event.n, self.envelope.late))
            return super().charge(event)

    cashier = system.spawn(service(Looking, "cashier", retry=TWICE))
    Failing.poison = {1}
    publish_all(system, Ordered("a", 1), Ordered("a", 2), Ordered("b", 3))
    assert seen(cashier, Cashier) == {"b": [3]}  # the key waits
    assert [one.event.event.n for one in system.event_log.parked("cashier")] == [2, 1]
    system.sleep(10)
    assert seen(cashier, Cashier) == {"b": [3], "a": [2]}
    (dead,) = system.event_log.dead("cashier")
    assert (dead.consumer, dead.event.event, dead.attempt, dead.due) == ("cashier", Ordered("a", 1), 2, None)
    assert "1 is poison" in dead.cause
    assert system.event_log.dead_count() == system.event_log.dead_count("cashier") == 1
    Failing.poison = set()
    late.clear()
    assert system.event_log.retry(dead.id) == 1
    system.sleep(1)
    assert seen(cashier, Cashier) == {"b": [3], "a": [2, 1]}
    assert late == [(1, True)]
    assert system.event_log.dead() == []
    assert numbers(system, "test.paid") == [3, 2, 1]


def test_all_dead_events_are_retried_or_dropped_by_one_call(system):
    cashier = system.spawn(service(Cashier, "cashier", retry=ONCE))
    Failing.poison = {1, 2, 3}
    publish_all(system, Ordered("a", 1), Ordered("b", 2), Ordered("c", 3))
    log = system.event_log
    assert log.dead_count("cashier") == 3
    assert log.drop(log.dead("cashier")[0].id) == 1
    Failing.poison = {2}
    assert log.retry_all("cashier") == 2
    system.sleep(1)
    assert seen(cashier, Cashier) == {"a": [1]}
    assert log.drop_all() == 1
    assert log.dead() == []


def test_a_handler_is_tried_as_often_as_retry_says_also_in_the_midst_of_a_chain(system):
    system.spawn(service(Cashier, "cashier", retry=TWICE))
    Failing.poison = {2}
    publish_all(system, *(Ordered("abc"[n], n) for n in range(3)))
    system.sleep(100)
    assert [n for _, n in Failing.tried].count(2) == 2


def test_an_event_of_an_unknown_type_is_set_aside_and_the_consumer_goes_on(system, caplog):
    cashier = system.spawn(service(Cashier, "cashier", retry=TWICE))
    publish_all(system, Ordered("a", 1))
    kept = DECLARED_EVENTS.pop("test.ordered")
    rows = system.event_log.list("test.ordered")
    assert len(rows) == 1
    try:
        system.store.write(lambda tx: tx.run("events.put", copy_of(rows[0], key="z")))
        cashier._box.look()
        system.sleep(60)
        (dead,) = system.event_log.dead("cashier")
        assert "is not known here" in dead.cause
        assert "test.ordered" in caplog.text
    finally:
        DECLARED_EVENTS["test.ordered"] = kept
    publish_all(system, Ordered("b", 2))
    assert seen(cashier, Cashier) == {"a": [1], "b": [2]}
    system.event_log.retry_all()
    system.sleep(1)
    assert seen(cashier, Cashier) == {"a": [1, 1], "b": [2]}


def copy_of(stored, **changed):
    columns = {
        "part": 0,
        "key": stored.key,
        "type": stored.type,
        "version": stored.version,
        "body": stored.data.encode(),
        "id": "copy",
        "source": stored.source,
        "correlation": stored.correlation,
        "causation": stored.causation,
        "at": stored.time,
    }
    return columns | changed


def test_an_event_whose_upcaster_fails_is_set_aside_until_that_is_mended(system):
    @af.event(name="test.sized", version=2, key="key")
    @dataclasses.dataclass
    class Sized:
        key: str
        size: int

    class Sizer(af.Service):
        @af.on(Sized)
        def take(self, event: Sized) -> Noted:
            return Noted(f"{event.key} {event.size}")

    @af.upcast(Sized, version=1)
    def broken(fields: dict[str, object]) -> dict[str, object]:
        raise RuntimeError("not yet")

    try:
        system.spawn(service(Sizer, "sizer", retry=ONCE))
        publish_all(system, Sized("a", 1))
        (stored,) = system.event_log.list("test.sized")
        old = copy_of(stored, version=1, body=b'{"key":"b","length":5}')
        system.store.write(lambda tx: tx.run("events.put", old))
        system.find("/test/sizer")._box.look()
        system.sleep(1)
        (dead,) = system.event_log.dead("sizer")
        assert "RuntimeError" in dead.cause or "not yet" in dead.cause
        UPCASTERS["test.sized", 1] = lambda fields: {"key": fields["key"], "size": fields["length"]}
        assert system.event_log.retry(dead.id) == 1
        system.sleep(1)
        assert [one.event.text for one in system.event_log.list("test.noted")] == ["b 5", "a 1"]
    finally:
        DECLARED_EVENTS.pop("test.sized")
        UPCASTERS.pop(("test.sized", 1))


# --- consumers -------------------------------------------------------------------------------------------------------


def test_a_consumer_is_listed_with_its_lag(system):
    system.spawn(service(Cashier, "cashier", instances=2))
    publish_all(system, Ordered("a", 1), Ordered("b", 2))
    system.sleep(2)
    (status,) = system.event_log.consumers()
    assert (status.name, status.actors, status.behind) == ("cashier", ("cashier/0", "cashier/1"), 0)
    assert status.service.endswith("Cashier")
    assert not status.paused
    system.event_log.pause("cashier")
    system.sleep(1)
    publish_all(system, Ordered("a", 3), Ordered("b", 4))
    system.sleep(2)
    assert system.event_log.lag("cashier") >= 2
    assert system.event_log.consumers()[0].paused


def test_a_paused_consumer_goes_on_where_it_was_and_answers_meanwhile(system):
    cashier = system.spawn(service(Cashier, "cashier"))
    publish_all(system, Ordered("a", 1))
    system.event_log.pause("cashier")
    system.sleep(1)
    publish_all(system, Ordered("a", 2))
    assert seen(cashier, Cashier) == {"a": [1]}
    system.event_log.resume("cashier")
    system.sleep(1)
    assert seen(cashier, Cashier) == {"a": [1, 2]}


def test_a_replay_makes_the_state_anew_and_publishes_nothing_a_second_time(system):
    cashier = system.spawn(service(Cashier, "cashier"))
    ledger = system.spawn(service(Ledger, "ledger"))
    publish_all(system, *(Ordered("ab"[n % 2], n) for n in range(1, 11)))
    before = seen(ledger, Ledger)
    paid = numbers(system, "test.paid")
    system.event_log.replay("cashier")
    system.event_log.replay("ledger")
    system.sleep(5)
    assert seen(cashier, Cashier) == {"a": [2, 4, 6, 8, 10], "b": [1, 3, 5, 7, 9]}
    assert seen(ledger, Ledger) == before
    assert numbers(system, "test.paid") == paid
    publish_all(system, Ordered("a", 12))
    assert numbers(system, "test.paid") == [*paid, 12]


def test_in_a_replay_an_event_that_was_dead_is_handled_aloud(system):
    cashier = system.spawn(service(Cashier, "cashier", retry=ONCE))
    Failing.poison = {2}
    publish_all(system, Ordered("a", 1), Ordered("a", 2), Ordered("a", 3))
    assert numbers(system, "test.paid") == [1, 3]
    Failing.poison = set()
    system.event_log.replay("cashier")
    system.sleep(5)
    assert seen(cashier, Cashier) == {"a": [1, 2, 3]}
    assert numbers(system, "test.paid") == [1, 3, 2]
    assert system.event_log.dead() == []
    system.event_log.replay("cashier")  # by now it was published
    system.sleep(5)
    assert numbers(system, "test.paid") == [1, 3, 2]


def test_a_replay_begins_at_a_number_or_a_time(system):
    cashier = system.spawn(service(Cashier, "cashier"))
    publish_all(system, Ordered("a", 1))
    system.sleep(100)
    publish_all(system, Ordered("a", 2), Ordered("a", 3))
    second, third = system.event_log.list("test.ordered")[1::-1]
    system.event_log.replay("cashier", third.number)
    system.sleep(1)
    assert seen(cashier, Cashier) == {"a": [3]}
    system.event_log.replay("cashier", dt.datetime.fromtimestamp(second.time - 1, dt.UTC))
    system.sleep(1)
    assert seen(cashier, Cashier) == {"a": [2, 3]}
    system.event_log.replay("cashier", "now")
    system.sleep(1)
    assert seen(cashier, Cashier) == {}


def test_a_consumer_that_comes_later_replays_the_log_to_the_same_state(system):
    ledger = system.spawn(service(Ledger, "ledger"))
    publish_all(system, *(Ordered("abc"[n % 3], n) for n in range(700)))
    system.sleep(2)
    later = system.spawn(service(Ledger, "later"))
    system.sleep(5)
    assert seen(later, Ledger) == seen(ledger, Ledger)
    assert sum(map(len, seen(later, Ledger).values())) == 700


def test_a_consumer_that_is_forgotten_begins_anew_with_other_instances(system):
    cashier = system.spawn(service(Cashier, "cashier"))
    publish_all(system, Ordered("a", 1))
    with pytest.raises(af.DefinitionError, match="is in a living process"):
        system.event_log.forget("cashier")
    cashier.stop()
    system.sleep(1)
    system.event_log.forget("cashier")
    system.spawn(service(Cashier, "cashier", instances=2))
    system.sleep(1)
    found = [seen(system.durable(f"cashier/{n}", Cashier), Cashier) for n in range(2)]
    assert {"a": [1]} in found


@pytest.mark.parametrize("call", ["lag", "pause", "resume", "replay", "forget", "dead", "retry_all"])
def test_an_unknown_consumer_is_refused_and_the_known_ones_are_named(system, call):
    system.spawn(service(Cashier, "cashier"))
    with pytest.raises(af.DefinitionError, match="no consumer is named 'casher'; there are: 'cashier'"):
        getattr(system.event_log, call)("casher")


@pytest.mark.parametrize("start", ["later", -1, True, dt.datetime(2026, 1, 1), 1.5])  # noqa: DTZ001
def test_a_replay_from_nowhere_is_refused(system, start):
    system.spawn(service(Cashier, "cashier"))
    with pytest.raises(af.DefinitionError, match="give 'beginning', 'now'"):
        system.event_log.replay("cashier", start)


@pytest.mark.parametrize("id", ["x", "-1", "", "9" * 30])
def test_an_id_of_no_event_is_refused(system, id):
    with pytest.raises(af.DefinitionError, match="is no id"):
        system.event_log.retry(id)


# --- delays, and what is kept ----------------------------------------------------------------------------------------


def test_a_delayed_event_is_in_the_log_when_its_time_has_come_also_in_another_process(url):
    with VirtualSystem("test", store=url) as system:
        system.spawn(service(Cashier, "cashier"))
        system.publish(Ordered("a", 1), delay=100)
        system.publish(Ordered("a", 2), delay=50)
        system.publish(Ordered("a", 3))
        system.sleep(60)
        assert numbers(system, "test.paid") == [3, 2]
    with VirtualSystem("test", store=url) as system:
        system.spawn(service(Cashier, "cashier"))
        system.sleep(200)
        assert numbers(system, "test.paid") == [3, 2, 1]


def test_old_events_are_removed_once_they_are_handled_however_many_there_are(url):
    with VirtualSystem("test", store=url, settings=af.Settings(keep_events=1000)) as system:
        cashier = system.spawn(service(Cashier, "cashier"))
        publish_all(system, *(Ordered("a", n) for n in range(1500)))
        system.event_log.pause("cashier")
        system.sleep(1)
        publish_all(system, Ordered("b", 5000))
        system.sleep(2000)
        system.scheduler.durable.housekeeping.prune()
        left = system.event_log.list("test.ordered", limit=5000)
        assert [one.event.n for one in left] == [5000]  # it is not handled
        system.event_log.resume("cashier")
        system.sleep(5)
        system.scheduler.durable.housekeeping.prune()
        assert len(system.event_log.list()) == 1  # the newest stays
        publish_all(system, Ordered("b", 5001))
        assert seen(cashier, Cashier)["b"] == [5000, 5001]


def test_settings_of_the_log_are_checked():
    with pytest.raises(af.DefinitionError, match="keep_events"):
        af.Settings(keep_events=-1)
    with pytest.raises(af.DefinitionError, match="partitions=0"):
        af.Settings(partitions=0)


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_a_service_that_holds_its_most_events_aside_stops_and_says_so_and_goes_on(system, caplog, monkeypatch):
    monkeypatch.setattr("actorflow.events.log.member.MOST_PARKED", 5)
    monkeypatch.setattr("actorflow.events.log.chain.MOST_PARKED", 5)
    cashier = system.spawn(service(Cashier, "cashier", retry=TWICE))
    Failing.poison = {0}
    publish_all(system, *(Ordered("a", n) for n in range(10)), Ordered("b", 10))
    assert "that is the most" in caplog.text
    assert seen(cashier, Cashier) == {}
    system.sleep(100)
    assert seen(cashier, Cashier) == {"a": list(range(1, 10)), "b": [10]}


def test_an_event_that_cannot_be_stored_is_refused_by_who_publishes_it(system):
    system.spawn(service(Cashier, "cashier"))
    with pytest.raises(af.PayloadError):
        system.publish(Ordered("a", object()))  # type: ignore[arg-type]


def test_a_durable_service_in_a_host_is_refused(system):
    with pytest.raises(af.DefinitionError, match="leave out host="):
        system.spawn(service(Splitter, "splitter", host=af.Process()))
