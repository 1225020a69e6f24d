"""A publication is part of the commit of the handler, or of the task's transaction, in which it is made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.durable.actors import Total
from tests.events.log.services import Cashier, Noted, Ordered, Splitter, service

STORES = ("sqlite",)
SYSTEM: list[Any] = []


@pytest.fixture
def system(url):
    with VirtualSystem("test", store=url) as system:
        SYSTEM[:] = [system]
        yield system
    SYSTEM.clear()


def texts(system):
    return [stored.event.text for stored in reversed(system.event_log.list("test.noted"))]


class Announcer(af.Actor, durable=True):
    """An ordinary durable actor that publishes, and fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Total()

    def announce(self, text: str, fails: bool = False) -> int:
        SYSTEM[0].publish(Noted(text))
        if fails:
            raise ValueError("no")
        self.state.n += 1
        return len(texts(SYSTEM[0]))


def test_a_publication_of_a_durable_actor_is_part_of_its_commit(system):
    system.spawn(service(Splitter, "splitter"))
    ref = system.spawn(af.child(Announcer).options(name="announcer"))
    assert ref.call(Announcer.announce, "a").get(timeout=60) == 0  # not there while the handler runs
    assert texts(system) == ["a"]
    with pytest.raises(ValueError, match="no"):
        ref.call(Announcer.announce, "b", fails=True).get(timeout=60)
    system.sleep(1)
    assert texts(system) == ["a"]


@af.task
def noted(text: str, fails: bool) -> None:
    with af.current().transaction():
        SYSTEM[0].publish(Noted(text))
        if fails:
            raise af.Permanent("no")


def test_a_publication_in_the_transaction_of_a_task_is_there_if_that_is_committed(system):
    system.spawn(service(Splitter, "splitter"))
    queue = system.queue("q", workers=1)
    queue.enqueue(noted, "a", fails=False).result(timeout=60)
    with pytest.raises(af.JobFailed):
        queue.enqueue(noted, "b", fails=True).result(timeout=60)
    system.sleep(1)
    assert texts(system) == ["a"]


@dataclasses.dataclass
class Told:
    n: int = 0


class Telling(af.Service):
    """Tells an actor, enqueues a job and sets a timer for each event, and then fails, if it is to."""

    fails = False

    def __init__(self, to: Any) -> None:
        super().__init__()
        self.state = Told()
        self.to = to

    @af.on(Ordered)
    def take(self, event: Ordered) -> Noted:
        self.to.tell(event.n)
        SYSTEM[0].queue("q").enqueue(noted, f"job {event.n}", fails=False)
        self.ctx.after(10, self.remind, event.n)
        self.state.n += 1
        if Telling.fails:
            raise OSError("not yet")
        return Noted(f"event {event.n}")

    def remind(self, n: int) -> None:
        SYSTEM[0].publish(Noted(f"timer {n}"))


class Hearing(af.Actor):
    def __init__(self, heard: list[int]) -> None:
        super().__init__()
        self.heard = heard

    def on_receive(self, message: int) -> None:
        self.heard.append(message)


def test_messages_jobs_timers_and_publications_of_a_handler_are_one_commit_and_none_of_a_failed_one(system):
    heard: list[int] = []
    hearing = system.spawn(Hearing, heard)
    system.queue("q", workers=1)
    retry = af.Retry(3, af.Backoff(100, factor=1, jitter=0))
    system.spawn(af.child(Telling, hearing).options(durable=True, name="telling", retry=retry))
    Telling.fails = True
    system.publish(Ordered("a", 1))
    system.sleep(50)
    assert (heard, texts(system)) == ([], [])
    Telling.fails = False
    system.sleep(200)
    assert (heard, texts(system)) == ([1], ["event 1", "job 1", "timer 1"])
    system.event_log.replay("telling")  # what it sends is dropped; its timers are its own
    system.sleep(50)
    assert heard == [1]
    assert [text for text in texts(system) if not text.startswith("timer")] == ["event 1", "job 1"]


class Deal(af.StateMachine, af.Service):
    """Takes one order, and refuses the next."""

    new, taken = af.State(initial=True), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    @new.to(taken)
    @af.on(Ordered)
    def order(self, event: Ordered) -> Noted:
        self.n += 1
        return Noted(f"open {event.n}")

    def count(self) -> int:
        return self.n


def test_a_machine_that_subscribes_is_a_process_manager_and_what_it_refuses_is_a_dead_letter(system):
    letters: list[Any] = []
    system.subscribe(af.DeadLetter, letters.append)
    manager = system.spawn(service(Deal, "deal"))
    system.publish(Ordered("a", 1))
    system.publish(Ordered("a", 2))
    system.sleep(1)
    assert texts(system) == ["open 1"]
    assert manager.call(Deal.count).get(timeout=60) == 1
    assert [letter.message for letter in letters] == [Ordered("a", 2)]
    assert system.event_log.dead() == []


def test_a_durable_service_and_one_in_memory_work_together(system):
    heard: list[str] = []

    class Memory(af.Service):
        @af.on(Noted)
        def hear(self, event: Noted) -> None:
            heard.append(event.text)

    system.spawn(Memory)
    system.spawn(service(Splitter, "splitter"))
    system.spawn(service(Cashier, "cashier"))
    system.publish(Noted("a,b"))
    system.sleep(1)
    assert heard == ["a,b", "a", "b"]


class Passing(af.Service):
    """Tells durable actors, one of which tells the other."""

    def __init__(self, to: Any) -> None:
        super().__init__()
        self.to = to

    @af.on(Ordered)
    def take(self, event: Ordered) -> None:
        self.to.cast(Relay.relay, event.n)


class Relay(af.Actor, durable=True):
    """Has another one announce."""

    def __init__(self, to: Any) -> None:
        super().__init__()
        self.state = Total()
        self.to = to

    def relay(self, n: int) -> None:
        if n < 0:
            raise af.Permanent("no")
        self.to.cast(Announcer.announce, f"relayed {n}")


def test_an_event_knows_its_causes_through_durable_messages_too(system):
    announcer = system.spawn(af.child(Announcer).options(name="announcer"))
    relay = system.spawn(af.child(Relay, announcer).options(name="relay"))
    system.spawn(af.child(Passing, relay).options(durable=True, name="passing"))
    system.publish(Ordered("a", 1))
    relay.cast(Relay.relay, 2)  # because of no event
    system.sleep(1)
    log = system.event_log
    (ordered,) = log.list("test.ordered")
    second, first = sorted(log.list("test.noted"), key=lambda one: one.event.text, reverse=True)
    assert (first.event.text, first.correlation, first.causation) == ("relayed 1", ordered.id, ordered.id)
    assert (second.event.text, second.correlation, second.causation) == ("relayed 2", second.id, None)
    assert [one.event for one in log.trace(ordered.id)] == [Ordered("a", 1), Noted("relayed 1")]
    system.publish(Ordered("a", -1))
    system.sleep(1)
    (dead,) = system.dead_mail.messages()
    assert dead.message == "relay(-1)"
