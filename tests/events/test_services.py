"""Services: handlers get the events that are published, and what they return or yield is published."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import actorflow as af
from actorflow.testing import Probe, VirtualSystem
from tests.events.shop import LIMIT, ExpressPlaced, Hostile, Odd, Paid, Payments, Placed, Refused, Sent, Shipping


def test_what_a_handler_returns_is_published(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Payments)
    any_system.subscribe(Paid, probe.ref)
    any_system.subscribe(Refused, probe.ref)
    any_system.publish(Placed("o1", 5))
    assert probe.expect(within=LIMIT) == Paid("o1")
    any_system.publish(Placed("o2", 500))
    assert probe.expect(within=LIMIT) == Refused("o2")


def test_a_chain_of_services_runs_from_one_event(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Shipping)
    any_system.spawn(Payments)
    any_system.subscribe(Sent, probe.ref)
    any_system.publish(Placed("o1", 5))
    assert [probe.expect(within=LIMIT) for _ in range(2)] == [Sent("o1", 1), Sent("o1", 2)]
    any_system.publish(Placed("o2", 500))
    assert probe.expect(within=LIMIT) == Sent("o2", 0)


def test_each_service_that_handles_an_event_gets_it(any_system: af.ActorSystem, probe: Probe) -> None:
    for _ in range(3):
        any_system.spawn(Payments)
    any_system.subscribe(Paid, probe.ref)
    any_system.publish(Placed("o1", 5))
    assert [probe.expect(within=LIMIT) for _ in range(3)] == [Paid("o1")] * 3


class Note(af.Service):
    """Tells of all that it gets."""

    def __init__(self, to: af.ActorRef[Any]) -> None:
        super().__init__()
        self.to = to

    @af.on("shop.**")
    def note(self, event: object) -> None:
        self.to.tell(event)

    @af.on(Odd)
    def odd(self, event: Odd) -> None:
        self.to.tell(event.n)


def test_a_service_gets_the_events_of_a_publisher_in_order(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Note, probe.ref)
    for n in range(200):
        any_system.publish(Placed(str(n)) if n % 3 else Sent(str(n), n))
    assert [probe.expect(within=LIMIT).order for _ in range(200)] == [str(n) for n in range(200)]


def test_an_event_of_a_subclass_goes_to_handlers_of_its_base(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Payments)
    any_system.subscribe(Paid, probe.ref)
    any_system.publish(ExpressPlaced("o1"))
    assert probe.expect(within=LIMIT) == Paid("o1")


def test_a_service_that_crashes_is_restarted_and_the_event_is_a_dead_letter(
    any_system: af.ActorSystem, probe: Probe
) -> None:
    any_system.subscribe(af.DeadLetter, probe.ref)
    any_system.subscribe(Paid, probe.ref)
    any_system.spawn(af.child(af.Supervisor, af.child(Payments).options(name="pay")))
    any_system.publish(Placed("bad", -1))
    letter = probe.expect(af.DeadLetter, within=LIMIT)
    assert letter.message.event == Placed("bad", -1)
    assert isinstance(letter.reason, ValueError)
    any_system.publish(Placed("good"))
    assert probe.expect(within=LIMIT) == Paid("good")


def test_a_service_that_crashes_stops_no_other(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Payments)  # temporary: it ends
    any_system.spawn(Note, probe.ref)
    any_system.publish(Placed("bad", -1))
    assert probe.expect(within=LIMIT) == Placed("bad", -1)
    any_system.publish(Placed("good"))
    assert probe.expect(within=LIMIT) == Placed("good")


def test_a_service_that_has_ended_gets_nothing(any_system: af.ActorSystem, probe: Probe) -> None:
    first = any_system.spawn(Note, probe.ref)
    any_system.spawn(Note, probe.ref)
    first.stop()
    any_system.publish(Placed("o1"))
    any_system.publish(Placed("o2"))
    assert [probe.expect(within=LIMIT).order for _ in range(2)] == ["o1", "o2"]
    assert any_system.dead_letters == 0


def test_ended_services_are_forgotten(any_system: af.ActorSystem, probe: Probe) -> None:
    for _ in range(1000):
        any_system.spawn(Payments).stop()
    any_system.spawn(Payments)
    routes = any_system.scheduler.bus._routes  # type: ignore[union-attr]
    assert len(routes.services()) == 1
    assert sum(len(group.refs) for group in routes._services.values()) < 200
    any_system.subscribe(Paid, probe.ref)
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == Paid("o1")


def test_services_that_are_spawned_and_end_while_events_come_get_each_event_at_most_once(
    any_system: af.ActorSystem, probe: Probe
) -> None:
    """The lists of services change under the publisher; the one that stays misses nothing."""
    any_system.spawn(Note, probe.ref)
    stop = threading.Event()

    def churn() -> None:
        for _ in range(300):
            any_system.spawn(Payments).stop(block=False)
        stop.set()

    if isinstance(any_system, VirtualSystem):
        churn()
    else:
        thread = threading.Thread(target=churn)
        thread.start()
    for n in range(300):
        any_system.publish(Placed(str(n)))
    if not isinstance(any_system, VirtualSystem):
        thread.join()
    seen = []
    while len(seen) < 300:
        event = probe.expect(within=LIMIT)
        if isinstance(event, Placed):
            seen.append(event.order)
    assert seen == [str(n) for n in range(300)]


class Causes(af.Service):
    def __init__(self, to: af.ActorRef[Any]) -> None:
        super().__init__()
        self.to = to

    @af.on(Placed, Paid, Sent)
    def note(self, event: Placed | Paid | Sent) -> None:
        self.to.tell((self.envelope,))  # an envelope alone is a message of its own: it is handled as its event

    def peek(self) -> Any:
        return self.envelope


def test_an_envelope_tells_the_conversation_and_the_cause(any_system: af.ActorSystem, probe: Probe) -> None:
    causes = any_system.spawn(Causes, probe.ref)  # first: else it may hear of what others make of an event before that
    pay = any_system.spawn(af.child(Payments).options(name="pay"))
    ship = any_system.spawn(af.child(Shipping).options(name="ship"))
    any_system.publish(Placed("o1"))
    placed, paid, one, two = (probe.expect(within=LIMIT)[0] for _ in range(4))
    assert (placed.source, placed.causation, placed.correlation, placed.key) == ("test", None, placed.id, "o1")
    assert (paid.source, paid.causation, paid.correlation, paid.key) == (pay.path, placed.id, placed.id, "o1")
    for sent in (one, two):
        assert (sent.source, sent.causation, sent.correlation, sent.key) == (ship.path, paid.id, placed.id, None)
    assert len({placed.id, paid.id, one.id, two.id}) == 4
    assert placed.time <= paid.time <= one.time <= two.time
    assert causes.call(Causes.peek).get(timeout=LIMIT) is None


def test_an_async_handler_keeps_its_cause_over_its_waits(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Causes, probe.ref)  # first, as above
    any_system.spawn(Payments)
    any_system.spawn(Shipping)
    any_system.publish(Placed("o1", 500))
    placed = probe.expect(within=LIMIT)[0]
    sent = probe.expect(within=LIMIT)[0]
    assert sent.correlation == placed.id
    assert sent.causation not in {None, placed.id}


def test_a_conversation_does_not_leak_into_the_next_message(any_system: af.ActorSystem, probe: Probe) -> None:
    causes = any_system.spawn(Causes, probe.ref)
    for n in range(50):
        any_system.publish(Placed(str(n)))
        any_system.publish(Paid(str(n)))
    envelopes = [probe.expect(within=LIMIT)[0] for _ in range(100)]
    assert all(envelope.correlation == envelope.id for envelope in envelopes)
    assert causes.call(Causes.peek).get(timeout=LIMIT) is None


class Clock(af.Service):
    """Publishes from a timer, and from a call."""

    def on_start(self) -> None:
        self.publish(Paid("start"))
        self.ctx.after(0.01, self.tick)

    def tick(self) -> None:
        self.publish(Paid("tick"))

    def ask(self) -> None:
        self.publish(Paid("call"), key="other")


def test_a_service_publishes_from_its_start_its_timers_and_its_methods(
    any_system: af.ActorSystem, probe: Probe
) -> None:
    any_system.subscribe(Paid, probe.ref)
    clock = any_system.spawn(Clock)
    assert probe.expect(within=LIMIT) == Paid("start")
    assert probe.expect(within=LIMIT) == Paid("tick")
    clock.call(Clock.ask).get(timeout=LIMIT)
    assert probe.expect(within=LIMIT) == Paid("call")


def test_a_delayed_event_comes_on_the_clock_of_the_system(virtual_system: VirtualSystem) -> None:
    probe = Probe(virtual_system)
    virtual_system.publish(Placed("late"), delay=3600)
    virtual_system.publish(Placed("soon"), delay=60)
    virtual_system.spawn(Note, probe.ref)  # who gets it is decided when it comes
    assert probe.expect(within=61) == Placed("soon")
    probe.expect_none(within=3000)
    assert probe.expect(within=600) == Placed("late")
    assert 3600 <= virtual_system.now < 3700


def test_a_delayed_event_that_does_not_come_is_a_dead_letter(virtual_system: VirtualSystem) -> None:
    letters: list[Any] = []
    virtual_system.subscribe(af.DeadLetter, letters.append)
    virtual_system.publish(Placed("late"), delay=3600)
    virtual_system.stop()
    assert [letter.message for letter in letters] == [Placed("late")]


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan"), "1", True])
def test_a_delay_that_is_none_is_refused(virtual_system: VirtualSystem, delay: Any) -> None:
    with pytest.raises(af.DefinitionError, match="delay="):
        virtual_system.publish(Placed("o1"), delay=delay)


@pytest.mark.parametrize("event", ["text", 3, None, Placed, object(), Hostile(), {"order": 1}])
def test_what_is_no_event_is_not_published(virtual_system: VirtualSystem, event: Any) -> None:
    with pytest.raises(af.DefinitionError, match="is no event: an event is a dataclass"):
        virtual_system.publish(event)


def test_a_publication_to_a_system_that_has_ended_is_refused(system_class: type[af.ActorSystem]) -> None:
    with system_class("test") as system:
        system.spawn(Payments)
        system.publish(Placed("o1"))
    with pytest.raises(af.ActorDeadError, match="system 'test' has ended"):
        system.publish(Placed("o2"))


def test_events_whose_methods_raise_are_delivered(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Note, probe.ref)
    any_system.subscribe(Odd, lambda event: probe.ref.tell(-event.n))
    any_system.publish(Odd(1, Hostile()))
    assert sorted(probe.expect(within=LIMIT) for _ in range(2)) == [-1, 1]
    any_system.publish(Odd(2, Hostile()), delay=0.01)
    assert sorted(probe.expect(within=LIMIT) for _ in range(2)) == [-2, 2]


def test_a_dead_letter_is_handled_again_by_telling_its_envelope(any_system: af.ActorSystem, probe: Probe) -> None:
    class Fragile(af.Service):
        whole = False

        @af.on(Placed)
        def handle(self, event: Placed) -> Paid:
            if not Fragile.whole:
                raise ValueError("not yet")
            return Paid(event.order)

    any_system.subscribe(af.DeadLetter, probe.ref)
    any_system.subscribe(Paid, probe.ref)
    any_system.spawn(af.child(af.Supervisor, af.child(Fragile)))
    any_system.publish(Placed("o1"))
    letter = probe.expect(af.DeadLetter, within=LIMIT)
    Fragile.whole = True
    letter.ref.tell(letter.message)
    assert probe.expect(within=LIMIT) == Paid("o1")


class Crashing(af.Service):
    @af.on(Odd)
    def odd(self, event: Odd) -> None:
        raise ValueError("odd")


def test_an_event_whose_text_raises_may_crash_a_service(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.subscribe(af.DeadLetter, probe.ref)
    any_system.spawn(Crashing)
    any_system.publish(Odd(1, Hostile()))
    assert "whose text cannot be made" in repr(probe.expect(af.DeadLetter, within=LIMIT).message)


def test_a_handler_that_gives_another_event_than_it_says_crashes(any_system: af.ActorSystem, probe: Probe) -> None:
    class Liar(af.Service):
        @af.on(Placed)
        def one(self, event: Placed) -> Paid:
            return Refused(event.order)  # type: ignore[return-value]

        @af.on(Paid)
        def text(self, event: Paid) -> None:
            return "done"  # type: ignore[return-value]

    any_system.subscribe(af.DeadLetter, probe.ref)
    any_system.spawn(af.child(af.Supervisor, af.child(Liar), intensity=5))
    for event, text in ((Placed("o1"), "annotated with Paid"), (Paid("o1"), "annotated with None")):
        any_system.publish(event)
        letter = probe.expect(af.DeadLetter, within=LIMIT)
        assert isinstance(letter.reason, af.DefinitionError)
        assert text in str(letter.reason)


def test_an_event_of_a_subclass_of_what_a_handler_says_is_published(any_system: af.ActorSystem, probe: Probe) -> None:
    class Express(af.Service):
        @af.on(Paid)
        def again(self, event: Paid) -> Placed:
            return ExpressPlaced(event.order)

    any_system.spawn(Express)
    any_system.subscribe(ExpressPlaced, probe.ref)
    any_system.publish(Paid("o1"))
    assert probe.expect(within=LIMIT) == ExpressPlaced("o1")


class Guarded(af.Service):
    def __init__(self, to: af.ActorRef[Any], limit: int) -> None:
        super().__init__()
        self.to, self.limit = to, limit

    @af.on(Placed, when=lambda self, event: event.total > self.limit)
    def large(self, event: Placed) -> None:
        self.to.tell(("large", event.order))

    @af.on(Placed, when=lambda self, event: event.total > 0)
    def small(self, event: Placed) -> None:
        self.to.tell(("small", event.order))


def test_a_guard_chooses_the_handler(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Guarded, probe.ref, 10)
    for order, total in (("a", 11), ("b", 0), ("c", 5)):
        any_system.publish(Placed(order, total))
    assert [probe.expect(within=LIMIT) for _ in range(2)] == [("large", "a"), ("small", "c")]


def test_a_handler_that_a_test_replaces_is_used(
    any_system: af.ActorSystem, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_system.subscribe(Paid, probe.ref)
    any_system.subscribe(Refused, probe.ref)
    first = any_system.spawn(Payments)
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == Paid("o1")
    first.stop()
    monkeypatch.setattr(Payments, "charge", lambda self, event: Refused(event.order))
    any_system.spawn(Payments)
    for order in ("o2", "o3"):
        any_system.publish(Placed(order))
        assert probe.expect(within=LIMIT) == Refused(order)
    assert list(Payments._plain_handlers) == [Placed]  # what each event is looked up in is filled again


def test_a_service_is_an_actor_for_all_other_messages(any_system: af.ActorSystem, probe: Probe) -> None:
    class Both(Note):
        def on_receive(self, message: Any) -> Any:
            return ("got", message)

        def add(self, a: int, b: int) -> int:
            return a + b

    both = any_system.spawn(Both, probe.ref)
    assert both.ask("x", timeout=LIMIT) == ("got", "x")
    assert both.call(Both.add, 1, 2).get(timeout=LIMIT) == 3
    assert both.ask(Placed("o1"), timeout=LIMIT) == ("got", Placed("o1"))  # not published: a message like any other


def test_a_machine_may_be_a_service(any_system: af.ActorSystem, probe: Probe) -> None:
    class Order(af.StateMachine, af.Service):
        new, paid, done = af.State(initial=True), af.State(), af.State(final=True)

        @new.to(paid)
        @af.on(Placed)
        def pay(self, event: Placed) -> Paid:
            return Paid(event.order)

        @paid.to(done)
        @af.on(Sent)
        def finish(self, event: Sent) -> None: ...

    order = any_system.spawn(Order)
    any_system.subscribe(Paid, probe.ref)
    any_system.subscribe(af.DeadLetter, probe.ref)
    any_system.publish(Sent("o1", 1))  # not legal yet: a dead letter, and no crash
    assert isinstance(probe.expect(af.DeadLetter, within=LIMIT).reason, af.TransitionRefused)
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == Paid("o1")
    assert order.state == "paid"
    any_system.publish(Sent("o1", 1))
    assert order.state == "done"


def test_annotations_may_name_classes_of_the_function_around() -> None:
    @dataclass
    class Local:
        n: int

    class Inner(af.Service):
        @af.on(Local)
        def handle(self, event: Local) -> Iterator[Local]: ...  # type: ignore[empty-body]

    class InnerOfInner(Inner):
        @af.on(Placed)
        def other(self, event: Placed) -> Local: ...  # type: ignore[empty-body]

    from actorflow.events.handlers import handlers_of

    assert handlers_of(Inner).published == (Local,)
    assert handlers_of(InnerOfInner).events == (Placed, Local)


def test_a_service_with_annotations_that_name_nothing_is_refused_when_it_is_spawned(
    virtual_system: VirtualSystem,
) -> None:
    class Forward(af.Service):
        @af.on(Placed)
        def handle(self, event: Placed) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(af.DefinitionError, match="'Nowhere' is not defined"):
        virtual_system.spawn(Forward)


def test_annotations_may_name_classes_that_are_defined_later(any_system: af.ActorSystem, probe: Probe) -> None:
    any_system.spawn(Early)
    any_system.subscribe(DefinedLater, probe.ref)
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == DefinedLater("o1")


class Early(af.Service):
    @af.on(Placed)
    def handle(self, event: Placed) -> DefinedLater:
        return DefinedLater(event.order)


@dataclass(frozen=True)
class DefinedLater:
    order: str


def test_a_bad_handler_is_refused_when_its_class_is_defined() -> None:
    with pytest.raises(af.DefinitionError, match=r"handler .*Bad\.handle returns str, which is no event"):

        class Bad(af.Service):
            @af.on(Placed)
            def handle(self, event: Placed) -> str: ...  # type: ignore[empty-body]


def test_a_service_takes_the_options_of_any_actor(any_system: af.ActorSystem, probe: Probe) -> None:
    class Bounded(Note, capacity=2, overflow="drop_oldest"):
        pass

    any_system.spawn(af.child(Bounded, probe.ref).options(name="b", capacity=1000))
    for n in range(20):
        any_system.publish(Placed(str(n)))
    assert [probe.expect(within=LIMIT).order for _ in range(20)] == [str(n) for n in range(20)]


def test_an_event_for_a_full_mailbox_is_a_dead_letter_and_others_get_it(
    virtual_system: VirtualSystem,
) -> None:
    probe = Probe(virtual_system)
    letters: list[Any] = []
    virtual_system.subscribe(af.DeadLetter, letters.append)

    class Slow(af.Service, capacity=1, overflow="fail"):
        @af.on(Placed)
        def handle(self, event: Placed) -> None:
            self.ctx.sleep(100)

    virtual_system.spawn(Slow)
    virtual_system.spawn(Note, probe.ref)
    for n in range(10):
        virtual_system.publish(Placed(str(n)))
    assert [probe.expect(within=LIMIT).order for _ in range(10)] == [str(n) for n in range(10)]
    virtual_system.sleep(1)
    assert {type(letter.reason) for letter in letters} == {af.MailboxFull}
    assert [letter.message.order for letter in letters] == [str(n) for n in range(10 - len(letters), 10)]


def test_the_same_seed_gives_the_same_run() -> None:
    def run(seed: int) -> list[tuple[float, str, str]]:
        with VirtualSystem("test", seed=seed) as system:
            trace = system.record()
            for kind in (Payments, Shipping, Payments):
                system.spawn(kind)
            system.subscribe("**", lambda event: None)
            for n in range(20):
                system.publish(Placed(str(n), 30 * n), delay=n / 10)
            system.sleep(10)
            return list(trace)

    assert run(3) == run(3)
    assert run(3) != run(4)


@dataclass
class Total:
    """The state of a durable actor."""

    cents: int = 0


class Till(af.Actor):
    """A durable actor that publishes, and fails at its first try."""

    tries = 0

    def __init__(self, system: af.ActorSystem | None = None) -> None:
        super().__init__()
        self.state = Total()

    def pay(self, order: str, fails: bool) -> None:
        SYSTEMS[0].publish(Paid(order))
        Till.tries += 1
        if fails and Till.tries == 1:
            raise ValueError("the first try")


SYSTEMS: list[af.ActorSystem] = []


def test_an_event_of_a_durable_actors_handler_comes_once_its_effects_are_committed(
    virtual_system: VirtualSystem,
) -> None:
    SYSTEMS[:] = [virtual_system]
    Till.tries = 0
    seen: list[Any] = []
    virtual_system.subscribe(af.Envelope, seen.append)
    till = virtual_system.spawn(af.child(Till).options(name="till", durable=True))
    till.cast(Till.pay, "o1", True)
    virtual_system.sleep(60)
    assert Till.tries == 2
    assert [(envelope.event, envelope.source) for envelope in seen] == [(Paid("o1"), till.path)]


def test_a_service_with_a_full_mailbox_that_blocks_makes_its_publisher_wait(virtual_system: VirtualSystem) -> None:
    probe = Probe(virtual_system)

    class Slow(af.Service, capacity=1):
        @af.on(Placed)
        def handle(self, event: Placed) -> None:
            self.ctx.sleep(10)

    class Source(af.Actor):
        def run(self) -> float:
            for n in range(5):
                virtual_system.publish(Placed(str(n)))
            return self.ctx.now()

    virtual_system.spawn(Slow)
    virtual_system.spawn(Note, probe.ref)
    source = virtual_system.spawn(Source)
    source.call(Source.run).get()
    assert virtual_system.now >= 20
    assert [probe.expect(within=LIMIT).order for _ in range(5)] == list("01234")


def test_an_async_generator_is_closed_when_its_event_is_refused(any_system: af.ActorSystem, probe: Probe) -> None:
    class Yields(af.Service):
        @af.on(Placed)
        async def handle(self, event: Placed) -> AsyncIterator[Paid]:
            try:
                yield Refused(event.order)  # type: ignore[misc]
            finally:
                probe.ref.tell("closed")

    any_system.spawn(Yields)
    any_system.publish(Placed("o1"))
    assert probe.expect(within=LIMIT) == "closed"


def test_an_app_takes_services() -> None:
    app = af.App("shop").add(Payments).add(af.child(Shipping).options(name="ship"))

    @app.main
    def main(system: af.ActorSystem, settings: object) -> int:
        probe = Probe(system)
        system.subscribe(Sent, probe.ref)
        system.publish(Placed("o1"))
        return 7 if [probe.expect(within=LIMIT) for _ in range(2)] == [Sent("o1", 1), Sent("o1", 2)] else 1

    assert app.run() == 7
