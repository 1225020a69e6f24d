"""EventBus and subscriptions: by class, by pattern and by predicate; refs, functions and async functions."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

import actorflow as af
from actorflow.core import atomic
from actorflow.testing import Probe, VirtualSystem
from tests.events.shop import LIMIT, ExpressPlaced, Hostile, Odd, Paid, Placed, Refused, Sent


@pytest.fixture
def heard() -> list[Any]:
    """Keep what subscribers were called with."""
    return []


def test_a_bus_is_usable_without_a_system(heard: list[Any]) -> None:
    with af.EventBus() as bus:
        bus.subscribe(Placed, heard.append)
        bus.publish(Placed("o1"))
        bus.publish(Paid("o1"))
        bus.join(timeout=LIMIT)
        assert heard == [Placed("o1")]
        bus.close(timeout=LIMIT)


def test_a_subscription_by_class_gets_subclasses_too(virtual_system: VirtualSystem, heard: list[Any]) -> None:
    virtual_system.subscribe(Placed, heard.append)
    for event in (Placed("a"), ExpressPlaced("b"), Paid("c")):
        virtual_system.publish(event)
    virtual_system.sleep(1)
    assert heard == [Placed("a"), ExpressPlaced("b")]


def test_a_subscription_by_pattern_gets_the_names_that_fit(virtual_system: VirtualSystem, heard: list[Any]) -> None:
    virtual_system.subscribe("shop.orders.*", heard.append)
    for event in (Placed("a"), ExpressPlaced("b"), Paid("c"), Sent("d", 1), Refused("e")):
        virtual_system.publish(event)
    virtual_system.sleep(1)
    assert heard == [Placed("a"), Paid("c"), Refused("e")]  # ExpressPlaced has a name of its own


def test_a_subscription_by_predicate_gets_the_events_that_it_chooses(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.subscribe(lambda event: getattr(event, "total", 0) > 3, probe.ref)
    for event in (Placed("a", 5), Placed("b", 1), Paid("c"), Placed("d", 4)):
        any_system.publish(event)
    assert [probe.expect(within=LIMIT).order for _ in range(2)] == ["a", "d"]


def test_an_async_function_gets_events_one_after_the_other(any_system: af.ActorSystem, probe: Probe) -> None:
    at_work: list[str] = []

    async def note(event: Placed) -> None:
        assert not at_work
        at_work.append(event.order)
        await asyncio.sleep(0.001)
        at_work.remove(event.order)
        probe.ref.tell(event.order)

    any_system.subscribe(Placed, note)
    for n in range(20):
        any_system.publish(Placed(str(n)))
    assert [probe.expect(within=LIMIT) for _ in range(20)] == [str(n) for n in range(20)]


def test_a_subscriber_that_fails_stops_no_other_and_gets_the_next_event(
    any_system: af.ActorSystem, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: Any) -> None:
        if event.order == "bad":
            raise ValueError("broken")
        probe.ref.tell(("sync", event.order))

    async def fails_too(event: Any) -> None:
        if event.order == "bad":
            raise SystemExit(3)
        probe.ref.tell(("async", event.order))

    def choosy(event: Any) -> bool:
        return 1 / (event.order != "bad")  # type: ignore[return-value]

    any_system.subscribe(af.DeadLetter, lambda letter: probe.ref.tell(("dead", type(letter.reason).__name__)))
    any_system.subscribe(Placed, fails)
    any_system.subscribe(Placed, fails_too)
    any_system.subscribe(choosy, lambda event: probe.ref.tell(("chosen", event.order)))
    any_system.publish(Placed("bad"))
    any_system.publish(Placed("good"))
    got = {probe.expect(within=LIMIT) for _ in range(6)}
    assert got == {
        ("dead", "ValueError"),
        ("dead", "SystemExit"),
        ("dead", "ZeroDivisionError"),
        ("sync", "good"),
        ("async", "good"),
        ("chosen", "good"),
    }
    failed = [record for record in caplog.records if record.message.startswith("A subscriber failed")]
    assert len(failed) == 3
    assert all(record.exc_info for record in failed)


def test_a_subscriber_that_raises_what_the_runtime_raises_gets_the_next_event(
    any_system: af.ActorSystem, probe: Probe
) -> None:
    def stops(event: Any) -> None:
        if event.order == "bad":
            raise af.Stopping("by itself")
        probe.ref.tell(("sync", event.order))

    async def cancels(event: Any) -> None:
        if event.order == "bad":
            raise asyncio.CancelledError
        probe.ref.tell(("async", event.order))

    any_system.subscribe(Placed, stops)
    any_system.subscribe(Placed, cancels)
    any_system.publish(Placed("bad"))
    any_system.publish(Placed("good"))
    assert {probe.expect(within=LIMIT) for _ in range(2)} == {("sync", "good"), ("async", "good")}


def test_a_dead_subscriber_stops_no_other(any_system: af.ActorSystem, probe: Probe) -> None:
    gone = Probe(any_system).ref
    any_system.subscribe(Placed, gone)
    any_system.subscribe(lambda event: True, gone)
    any_system.subscribe(Placed, probe.ref)
    gone.stop()
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == Placed("o1")


def test_a_cancelled_subscription_gets_no_more(virtual_system: VirtualSystem, heard: list[Any]) -> None:
    kept: list[Any] = []
    subscription = virtual_system.subscribe(Placed, heard.append)
    virtual_system.subscribe(Placed, kept.append)
    virtual_system.publish(Placed("a"))
    subscription.cancel()
    subscription.cancel()
    virtual_system.publish(Placed("b"))
    virtual_system.sleep(1)
    assert heard == [Placed("a")]
    assert kept == [Placed("a"), Placed("b")]


def test_a_function_that_blocks_keeps_no_other_waiting() -> None:
    gate, begun = threading.Event(), threading.Event()
    others: list[Any] = []
    with af.EventBus() as bus:

        def blocks(event: Any) -> None:
            begun.set()
            gate.wait()

        bus.subscribe(Placed, blocks)
        bus.subscribe(Placed, others.append)
        bus.publish(Placed("a"))
        bus.publish(Placed("b"))
        assert begun.wait(LIMIT)
        done = threading.Event()
        bus.subscribe(Paid, lambda event: done.set())
        bus.publish(Paid("x"))
        assert done.wait(LIMIT)
        with pytest.raises(af.AskTimeout, match="has not handled its events within"):
            bus.join(timeout=0.01)
        gate.set()
        bus.join(timeout=LIMIT)
        assert others == [Placed("a"), Placed("b")]
        bus.close(timeout=LIMIT)


def test_a_function_that_blocks_is_reported_with_its_event(
    virtual_system: VirtualSystem, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "actorflow")

    def blocks(event: Any) -> None:
        af.timer(100).get()

    virtual_system.subscribe(Placed, blocks)
    for n in range(3):
        virtual_system.publish(Placed(str(n)))
    virtual_system.sleep(95)
    reports = [record.message for record in caplog.records if "subscriber" in record.message]
    assert len(reports) == 1
    assert "blocks" in reports[0]
    assert "Placed(order='0', total=0)" in reports[0]
    assert "keeps 2 events of its own waiting" in reports[0]
    virtual_system.sleep(10)
    assert [record.message for record in caplog.records if "goes on" in record.message]


def test_an_async_function_that_blocks_is_cancelled_and_gets_the_next_event(
    virtual_system: VirtualSystem, heard: list[Any]
) -> None:
    letters: list[Any] = []

    async def blocks(event: Placed) -> None:
        if event.order == "slow":
            await asyncio.Event().wait()
        heard.append(event.order)

    virtual_system.subscribe(af.DeadLetter, letters.append)
    virtual_system.subscribe(Placed, blocks)
    for order in ("slow", "quick"):
        virtual_system.publish(Placed(order))
    virtual_system.sleep(100)
    assert heard == ["quick"]
    assert [str(letter.reason) for letter in letters] == ["it took more than 30 seconds, and was cancelled"]


def test_a_time_out_of_an_async_functions_own_is_its_error(virtual_system: VirtualSystem) -> None:
    letters: list[Any] = []

    async def fails(event: Placed) -> None:
        raise TimeoutError("mine")

    virtual_system.subscribe(af.DeadLetter, letters.append)
    virtual_system.subscribe(Placed, fails)
    virtual_system.publish(Placed("a"))
    virtual_system.sleep(1)
    assert [str(letter.reason) for letter in letters] == ["mine"]


def test_events_beyond_the_capacity_of_a_function_are_dead_letters(virtual_system: VirtualSystem) -> None:
    heard: list[str] = []
    letters: list[Any] = []
    bus = af.EventBus(system=virtual_system, capacity=5)

    def slow(event: Placed) -> None:
        heard.append(event.order)
        af.timer(1).get()

    virtual_system.subscribe(af.DeadLetter, letters.append)
    bus.subscribe(Placed, slow)
    for n in range(20):
        bus.publish(Placed(str(n)))
        virtual_system.sleep(0.01)
    virtual_system.sleep(60)
    assert heard == [str(n) for n in range(6)]  # one was being handled
    assert [letter.message.order for letter in letters] == [str(n) for n in range(6, 20)]
    assert {type(letter.reason) for letter in letters} == {af.MailboxFull}


def test_functions_hear_the_last_events_of_a_system(system_class: type[af.ActorSystem], heard: list[Any]) -> None:
    with system_class("test", settings=af.Settings(grace=100)) as system:
        system.subscribe(Placed, heard.append)
        for n in range(100):
            system.publish(Placed(str(n)))
    assert [event.order for event in heard] == [str(n) for n in range(100)]


def test_a_system_ends_though_a_function_does_not(heard: list[Any]) -> None:
    with VirtualSystem("test") as system:
        system.subscribe(Placed, lambda event: af.timer(1e6).get())
        system.subscribe(Placed, heard.append)
        system.publish(Placed("a"))
    assert heard == [Placed("a")]


def test_a_function_hears_the_last_events_of_services(heard: list[Any]) -> None:
    class Last(af.Service):
        def on_stop(self) -> None:
            self.publish(Paid("last"))

    with VirtualSystem("test") as system:
        system.subscribe(Paid, heard.append)
        system.spawn(Last)
    assert heard == [Paid("last")]


def test_a_closed_bus_refuses_events() -> None:
    with af.EventBus("news") as bus:
        pass
    with pytest.raises(af.ActorDeadError, match="bus 'news' is closed"):
        bus.publish(Placed("a"))


def test_a_function_that_publishes_keeps_the_conversation(any_system: af.ActorSystem, probe: Probe) -> None:
    class Follow(af.Service):
        @af.on(Paid)
        def note(self, event: Paid) -> None:
            probe.ref.tell((self.envelope,))

    any_system.spawn(Follow)
    any_system.subscribe(Placed, lambda event: any_system.publish(Paid(event.order)))

    async def later(event: Refused) -> None:
        await asyncio.sleep(0.001)
        any_system.publish(Paid(event.order))

    any_system.subscribe(Refused, later)
    for event in (Placed("a"), Refused("b")):
        any_system.publish(event)
        envelope = probe.expect(within=LIMIT)[0]
        assert envelope.causation == envelope.correlation != envelope.id


def test_an_actor_that_publishes_keeps_the_conversation(any_system: af.ActorSystem, probe: Probe) -> None:
    class Follow(af.Service):
        @af.on(Paid)
        def note(self, event: Paid) -> None:
            probe.ref.tell((self.envelope,))

    class Plain(af.Actor):
        def on_receive(self, message: Any) -> None:
            any_system.publish(Paid(message.order))

    class Async(af.Actor):
        async def on_receive(self, message: Any) -> None:
            await af.timer(0.001)
            any_system.publish(Paid(message.order))

    any_system.spawn(Follow)
    plain, waiting = any_system.spawn(Plain), any_system.spawn(Async)
    any_system.subscribe(Placed, plain)
    any_system.subscribe(Refused, waiting)
    for event, actor in ((Placed("a"), plain), (Refused("b"), waiting)):
        any_system.publish(event)
        envelope = probe.expect(within=LIMIT)[0]
        assert envelope.source == actor.path
        assert envelope.causation == envelope.correlation != envelope.id


def test_events_whose_methods_raise_are_reported_like_any_other(
    any_system: af.ActorSystem, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: Odd) -> None:
        raise ValueError(event)

    any_system.subscribe(af.DeadLetter, lambda letter: probe.ref.tell(type(letter.message).__name__))
    any_system.subscribe(Odd, fails)
    any_system.publish(Odd(1, Hostile()))
    assert probe.expect(within=LIMIT) == "Odd"


@pytest.mark.parametrize("wanted", [int, af.Terminated, object, "a..b", "", 3, None, lambda: True])
def test_a_subscription_to_what_nobody_publishes_is_refused(virtual_system: VirtualSystem, wanted: Any) -> None:
    with pytest.raises(af.DefinitionError):
        virtual_system.subscribe(wanted, lambda event: None)


def test_an_unknown_class_is_refused_with_the_cure(virtual_system: VirtualSystem) -> None:
    with pytest.raises(af.DefinitionError, match="one of Started, Crashed, Restarted, Stopped, DeadLetter, RunEvent"):
        virtual_system.subscribe(int, lambda event: None)


def test_a_subscription_to_envelopes_gets_every_event_with_its_causes(virtual_system: VirtualSystem) -> None:
    envelopes: list[af.Envelope] = []
    virtual_system.subscribe(af.Envelope, envelopes.append)
    virtual_system.subscribe(Placed, lambda event: virtual_system.publish(Paid(event.order)))
    virtual_system.publish(Placed("a"))
    virtual_system.sleep(1)
    placed, paid = envelopes
    assert (placed.event, paid.event) == (Placed("a"), Paid("a"))
    assert paid.causation == placed.id
    with pytest.raises(af.DefinitionError, match="envelopes go to functions"):
        virtual_system.subscribe(af.Envelope, Probe(virtual_system).ref)


@pytest.mark.parametrize("to", [3, None, "name", lambda: None, lambda event, more: None])
def test_a_subscriber_that_cannot_be_called_is_refused(virtual_system: VirtualSystem, to: Any) -> None:
    with pytest.raises(af.DefinitionError, match="give a ref or a function|takes one event"):
        virtual_system.subscribe(Placed, to)


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"capacity": "9"}, {"timeout": 0}, {"timeout": -1}, {"timeout": "1"}]
)
def test_options_of_a_bus_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(af.DefinitionError):
        af.EventBus(**options)


def test_two_buses_of_one_system_do_not_mix(virtual_system: VirtualSystem) -> None:
    one, two = af.EventBus(system=virtual_system), af.EventBus(system=virtual_system)
    heard: list[tuple[int, str]] = []
    one.subscribe(Placed, lambda event: heard.append((1, event.order)))
    two.subscribe(Placed, lambda event: heard.append((2, event.order)))
    one.publish(Placed("a"))
    two.publish(Placed("b"))
    virtual_system.sleep(1)
    assert sorted(heard) == [(1, "a"), (2, "b")]


@dataclass(frozen=True)
class Mine(Placed):
    pass


def test_a_class_that_is_first_published_after_a_subscription_is_delivered(
    virtual_system: VirtualSystem, heard: list[Any]
) -> None:
    virtual_system.publish(Mine("early"))
    virtual_system.subscribe(Placed, heard.append)
    virtual_system.publish(Mine("late"))
    virtual_system.sleep(1)
    assert [event.order for event in heard] == ["late"]


ALONE = """
import dataclasses
from actorflow.events.bus import EventBus

@dataclasses.dataclass(frozen=True)
class Paid:
    order: str

with EventBus() as bus:
    bus.subscribe(Paid, lambda event: print(event.order))
    bus.publish(Paid("o1"))
    bus.join()
"""


def test_a_bus_delivers_in_a_program_without_services() -> None:
    run = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=100, check=False)
    assert (run.stdout, run.stderr) == ("o1\n", "")


def test_a_bus_that_nobody_has_leaves_no_lock_behind() -> None:
    gc.collect()
    locks = len(atomic._forkable)
    for _ in range(20):
        af.EventBus()
    gc.collect()
    assert len(atomic._forkable) <= locks
