"""Patterns on events: request and reply, scatter and gather, dead letters that are handled after all, sagas by events.

The process manager and the read model are examples of their own: `tests/examples/test_process_manager.py` and
`test_read_model.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

import actorflow as af
from actorflow.events.topology.findings import findings_in
from actorflow.events.topology.topology import Topology
from actorflow.testing import LeakCheck, VirtualSystem


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


@pytest.fixture(params=range(4))
def system(request) -> Iterator[VirtualSystem]:
    with LeakCheck(), VirtualSystem("shop", seed=request.param) as system:
        yield system


# --- request and reply, scatter and gather ---------------------------------------------------------------------------


@af.event(name="patterns.price-asked", key="article")
@dataclass(frozen=True)
class PriceAsked:
    article: str


@af.event(name="patterns.price-told", key="article")
@dataclass(frozen=True)
class PriceTold:
    article: str
    shop: str
    cents: int


class Shop(af.Service):
    def __init__(self, name: str, cents: int) -> None:
        super().__init__()
        self.name, self.cents = name, cents

    @af.on(PriceAsked, when=lambda self, event: self.cents > 0)
    def tell_price(self, event: PriceAsked) -> PriceTold:
        return PriceTold(event.article, self.name, self.cents)


@dataclass
class Asked:
    told: dict[str, list[PriceTold]] = field(default_factory=dict)
    replies: dict[str, af.Reply] = field(default_factory=dict)


class Buyer(af.Service):
    """Asks all shops by an event, and answers its caller by the best of so many answers, or of those in a minute."""

    def __init__(self, shops: int) -> None:
        super().__init__()
        self.shops = shops
        self.state = Asked()

    def best(self, article: str) -> af.Reply:
        self.state.told[article], self.state.replies[article] = [], self.ctx.reply_later()
        self.publish(PriceAsked(article))
        self.ctx.after(60.0, self.decide, article)
        return self.state.replies[article]

    @af.on(PriceTold, when=lambda self, event: event.article in self.state.told)
    def collect(self, event: PriceTold) -> None:
        self.state.told[event.article].append(event)
        if len(self.state.told[event.article]) == self.shops:
            self.decide(event.article)

    def decide(self, article: str) -> None:
        told = self.state.told.pop(article, None)
        if told is not None:
            best = min(told, key=lambda one: one.cents, default=None)
            self.state.replies.pop(article).set(best and best.shop)


def shopping(system: VirtualSystem, prices: dict[str, int], *, durable: bool) -> af.ActorRef[Buyer]:
    for name, cents in prices.items():
        system.spawn(af.child(Shop, name, cents))
    recipe = af.child(Buyer, len(prices))
    return system.spawn(recipe.options(name="buyer", durable=True) if durable else recipe)


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
def test_request_and_reply_over_events(system, durable):
    buyer = shopping(system, {"only": 5}, durable=durable)
    assert [buyer.call(Buyer.best, article).get() for article in ("lamp", "chair")] == ["only", "only"]
    assert system.scheduler.clock.monotonic() < 60


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
def test_scatter_and_gather_takes_the_best_answer_of_all(system, durable):
    buyer = shopping(system, {"dear": 9, "cheap": 1, "middle": 5}, durable=durable)
    futures = [buyer.call(Buyer.best, article) for article in ("lamp", "chair", "desk")]
    assert [future.get() for future in futures] == ["cheap"] * 3
    assert system.scheduler.clock.monotonic() < 60


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
def test_scatter_and_gather_does_with_what_is_there_when_the_time_is_over(system, durable):
    buyer = shopping(system, {"dear": 9, "silent": 0}, durable=durable)
    begun = system.scheduler.clock.monotonic()
    assert buyer.call(Buyer.best, "lamp").get(timeout=300) == "dear"
    assert 60 <= system.scheduler.clock.monotonic() - begun < 70


# --- dead letters ----------------------------------------------------------------------------------------------------


class Mail(af.Service):
    is_up: ClassVar[bool] = False
    sent: ClassVar[set[str]] = set()  # a handler whose commit is rolled back with another one's acts again

    @af.on(PriceAsked)
    def send(self, event: PriceAsked) -> None:
        if not Mail.is_up and event.article != "lamp":
            raise ConnectionError("no mail server")
        Mail.sent.add(event.article)


@pytest.fixture
def mail(monkeypatch) -> type[Mail]:
    monkeypatch.setattr(Mail, "is_up", False)
    monkeypatch.setattr(Mail, "sent", set())
    return Mail


def test_dead_letters_of_a_service_in_memory_are_handled_after_all(system, mail):
    letters: list[af.DeadLetter] = []
    system.subscribe(af.DeadLetter, letters.append)
    system.spawn(af.child(af.Supervisor, af.child(mail), intensity=5))
    for article in ("chair", "lamp", "desk"):
        system.publish(PriceAsked(article))
    system.sleep(10)
    assert (mail.sent, len(letters)) == ({"lamp"}, 2)
    mail.is_up = True
    for letter in letters:
        letter.ref.tell(letter.message)
    system.sleep(10)
    assert mail.sent == {"lamp", "chair", "desk"}


def test_dead_events_of_a_durable_service_are_handled_after_all_in_one_call(system, mail):
    system.spawn(af.child(mail).options(name="mail", durable=True, retry=af.Retry(3, af.Backoff(1))))
    for article in ("chair", "lamp", "desk"):
        system.publish(PriceAsked(article))
    system.sleep(100)
    assert {one.cause for one in system.event_log.dead("mail")} == {"ConnectionError: no mail server"}
    assert (mail.sent, system.event_log.dead_count("mail")) == ({"lamp"}, 2)
    mail.is_up = True
    assert system.event_log.retry_all("mail") == 2
    system.sleep(10)
    assert mail.sent == {"lamp", "chair", "desk"}
    assert system.event_log.dead_count() == 0


# --- a saga by choreography ------------------------------------------------------------------------------------------


@af.event(name="patterns.seat-wanted", key="trip", external=True, undo=False)
@dataclass(frozen=True)
class SeatWanted:
    trip: str
    has_money: bool


@af.event(name="patterns.seat-freed", key="trip")
@dataclass(frozen=True)
class SeatFreed:
    trip: str


@af.event(name="patterns.seat-taken", key="trip", undo=SeatFreed)
@dataclass(frozen=True)
class SeatTaken:
    trip: str
    has_money: bool


@af.event(name="patterns.trip-booked", key="trip", external=True)
@dataclass(frozen=True)
class TripBooked:
    trip: str


@af.event(name="patterns.card-refused", key="trip", failure=True)
@dataclass(frozen=True)
class CardRefused:
    trip: str


@dataclass
class Seats:
    taken: list[str] = field(default_factory=list)


class Train(af.Service):
    def __init__(self) -> None:
        super().__init__()
        self.state = Seats()

    @af.on(SeatWanted)
    def take(self, event: SeatWanted) -> SeatTaken:
        self.state.taken.append(event.trip)
        return SeatTaken(event.trip, event.has_money)

    @af.on(CardRefused)
    def free(self, event: CardRefused) -> SeatFreed:
        self.state.taken.remove(event.trip)
        return SeatFreed(event.trip)

    def taken(self) -> list[str]:
        return sorted(self.state.taken)


class Card(af.Service):
    @af.on(SeatTaken)
    def charge(self, event: SeatTaken) -> TripBooked | CardRefused:
        return TripBooked(event.trip) if event.has_money else CardRefused(event.trip)


class Traveller(af.Service):
    @af.on(SeatFreed)
    def hear(self, event: SeatFreed) -> None: ...


class Careless(Train):
    @af.on(CardRefused)
    def free(self, event: CardRefused) -> None:
        """Free no seat."""


def test_a_saga_by_choreography_undoes_what_came_before_a_failure(system):
    train = system.spawn(af.child(Train).options(name="train", durable=True))
    for service in (Card, Traveller):
        system.spawn(af.child(service).options(name=service.__name__.lower(), durable=True))
    for number in range(10):
        system.publish(SeatWanted(f"t{number}", has_money=number % 3 != 0))
    system.sleep(10)
    assert train.call(Train.taken).get() == [f"t{number}" for number in range(10) if number % 3]
    freed = {stored.key for stored in system.event_log.list("patterns.seat-freed")}
    assert freed == {f"t{number}" for number in range(0, 10, 3)}


def test_each_forward_event_of_a_saga_by_choreography_has_its_undo_event_or_that_is_found():
    assert findings_in(Topology([Train, Card, Traveller])) == []
    found = {(one.kind, one.subject) for one in findings_in(Topology([Careless, Card, Traveller]))}
    assert ("uncompensated", "patterns.seat-taken") in found
