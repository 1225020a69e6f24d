"""The mistakes in a choreography: lost events, idle handlers, circles without an end, work that nobody undoes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import actorflow as af
from actorflow.events.topology.call_sites import CallSites
from actorflow.events.topology.findings import findings_in
from actorflow.events.topology.topology import Topology


@dataclass(frozen=True)
class Fact:
    order: str = "o"


@af.event(name="found.placed", external=True)
class Placed(Fact): ...


@af.event(name="found.released")
class Released(Fact): ...


@af.event(name="found.reserved", undo=Released)
class Reserved(Fact): ...


@af.event(name="found.out_of_stock", failure=True)
class OutOfStock(Fact): ...


@af.event(name="found.refunded")
class Refunded(Fact): ...


@af.event(name="found.paid", undo=Refunded)
class Paid(Fact): ...


@af.event(name="found.refused", failure=True)
class Refused(Fact): ...


@af.event(name="found.shipped", external=True)
class Shipped(Fact): ...


@af.event(name="found.lost", failure=True)
class Lost(Fact): ...


@af.event(name="found.labelled")
class Labelled(Fact): ...


@dataclass(frozen=True)
class Tick:
    n: int


@dataclass(frozen=True)
class Tock:
    n: int


@dataclass(frozen=True)
class Packed:
    order: str


@af.event(undo=False)
class Noted(Fact): ...


class Stock:
    @af.on(Placed)
    def reserve(self, event: Placed) -> Reserved | OutOfStock: ...  # type: ignore[empty-body]

    @af.on(Refused, Refunded)
    def release(self, event: Refused | Refunded) -> Released: ...  # type: ignore[empty-body]


class Payments:
    @af.on(Reserved)
    def charge(self, event: Reserved) -> Paid | Refused: ...  # type: ignore[empty-body]

    @af.on(Lost)
    def refund(self, event: Lost) -> Refunded: ...  # type: ignore[empty-body]


class Shipping:
    @af.on(Paid)
    def ship(self, event: Paid) -> Shipped | Lost: ...  # type: ignore[empty-body]


class Orders:
    @af.on(OutOfStock, Released)
    def close(self, event: OutOfStock | Released) -> None: ...


SHOP = (Stock, Payments, Shipping, Orders)


def found(*services: type[Any], sites: CallSites | None = None) -> list[tuple[str, str, str]]:
    return [(one.kind, one.subject, one.place) for one in findings_in(Topology(services, sites))]


def texts(*services: type[Any]) -> str:
    return "\n".join(map(str, findings_in(Topology(services))))


def test_a_shop_in_which_each_failure_undoes_all_that_was_done_has_no_mistakes():
    assert findings_in(Topology(SHOP)) == []


# --- lost events, idle handlers --------------------------------------------------------------------------------------


def test_an_event_that_nobody_handles_is_found_with_its_publisher():
    assert ("unhandled", "found.out_of_stock", "") in found(Stock, Payments, Shipping)
    assert "nobody handles event found.paid, which Payments.charge publishes: handle it, @af.on(Paid), or" in texts(
        Stock, Payments, Orders
    )


def test_an_event_that_code_publishes_or_hears_is_known():
    class Clock:
        @af.on(Tick)
        def tick(self, event: Tick) -> Tock: ...  # type: ignore[empty-body]

    kinds = [kind for kind, _, _ in found(Clock)]
    assert kinds == ["unhandled", "unfed"]
    assert found(Clock, sites=CallSites(published={Tick: ["main"]}, heard={Tock: ["main"]})) == []
    assert found(Clock, sites=CallSites(published={Tick: ["main"]}, heard={"**": ["main"]})) == []


def test_a_handler_of_an_event_that_nobody_publishes_is_found():
    assert ("unfed", "found.lost", "Payments.refund") in found(Stock, Payments, Orders)


def test_an_event_is_handled_by_a_handler_of_its_base_or_a_pattern_and_a_base_by_those_of_its_classes():
    class Base:
        @af.on(Placed)
        def begin(self, event: Placed) -> Fact: ...  # type: ignore[empty-body]

    class All:
        @af.on(Fact)
        def note(self, event: Fact) -> None: ...

    class ByName:
        @af.on("found.*")
        def note(self, event: Fact) -> None: ...

    class Below:
        @af.on(Shipped)
        def note(self, event: Shipped) -> None: ...

    assert found(Base, All) == []
    assert found(Base, Below) == []
    assert found(Stock, All) == [
        ("unfed", "found.refused", "Stock.release"),
        ("unfed", "found.refunded", "Stock.release"),
    ]
    assert ("unhandled", "found.reserved", "") not in found(Stock, ByName)


def test_a_pattern_that_no_event_fits_is_found():
    class Lone:
        @af.on("nothing.**")
        def note(self, event: object) -> None: ...

    assert found(*SHOP, Lone) == [("unfed", "nothing.**", "Lone.note")]


# --- circles ---------------------------------------------------------------------------------------------------------


@af.event(name="found.ping", external=True)
class Ping(Fact): ...


@af.event(name="found.pong")
class Pong(Fact): ...


def circle(hint: Any, when: Any = None) -> list[tuple[str, str, str]]:
    class Server:
        @af.on(Ping)
        def ping(self, event: Ping) -> Pong: ...  # type: ignore[empty-body]

    class Client:
        @af.on(Pong, when=when)
        def pong(self, event: Pong): ...

    Client.pong.__annotations__["return"] = hint
    return found(Server, Client)


def test_a_circle_in_which_each_handler_publishes_the_next_event_is_found():
    assert circle(Ping) == [("endless", "found.pong", "Client.pong")]
    assert circle(Ping | Pong) == [("endless", "found.pong", "Client.pong")]


@pytest.mark.parametrize("hint", [Ping | None, Ping | Shipped, Iterator[Ping], None])
def test_a_circle_with_another_way_ends(hint):
    assert circle(hint) == []


def test_a_circle_with_a_guard_ends():
    assert circle(Ping, lambda self, event: event.order != "") == []


def test_a_circle_has_one_finding_that_names_its_way():
    class Server:
        @af.on(Ping)
        def ping(self, event: Ping) -> Pong: ...  # type: ignore[empty-body]

        @af.on(Pong)
        def pong(self, event: Pong) -> Pong: ...  # type: ignore[empty-body]

    found = findings_in(Topology([Server]))
    assert [one.kind for one in found] == ["endless"]
    assert "found.pong -> Server.pong -> found.pong:" in found[0].text


def test_a_guard_behind_which_a_handler_takes_the_rest_ends_nothing():
    class Server:
        @af.on(Ping, when=lambda self, event: event.order == "")
        def first(self, event: Ping) -> Pong: ...  # type: ignore[empty-body]

        @af.on(Ping)
        def rest(self, event: Ping) -> Ping: ...  # type: ignore[empty-body]

        @af.on(Pong)
        def pong(self, event: Pong) -> Ping: ...  # type: ignore[empty-body]

    assert [one.kind for one in findings_in(Topology([Server]))] == ["endless"]


# --- undo ------------------------------------------------------------------------------------------------------------


def test_an_undo_event_that_nobody_publishes_is_found():
    class NoRelease:
        @af.on(Placed)
        def reserve(self, event: Placed) -> Reserved: ...  # type: ignore[empty-body]

        @af.on(Reserved)
        def end(self, event: Reserved) -> None: ...

    assert found(NoRelease) == [("uncompensated", "found.reserved", "")]
    assert "nobody publishes found.released, the undo event of found.reserved" in texts(NoRelease)


def test_work_before_a_failure_needs_an_undo_event():
    class Printer:
        @af.on(Reserved)
        def label(self, event: Reserved) -> Labelled: ...  # type: ignore[empty-body]

    class LabelledPayments(Payments):
        @af.on(Labelled)
        def charge(self, event: Labelled) -> Paid | Refused: ...  # type: ignore[empty-body]

    assert found(Stock, Printer, LabelledPayments, Shipping, Orders) == [("uncompensated", "found.labelled", "")]


def test_work_in_a_branch_beside_a_failure_needs_an_undo_event():
    class Printer:
        @af.on(Reserved)
        def label(self, event: Reserved) -> Labelled: ...  # type: ignore[empty-body]

        @af.on(Labelled)
        def done(self, event: Labelled) -> None: ...

    assert found(*SHOP, Printer) == [("uncompensated", "found.labelled", "")]


def test_work_that_waits_for_the_branch_that_failed_needs_none():
    class Packing:
        @af.on(Reserved, Paid)
        def pack(self, event: Reserved | Paid) -> Packed | None: ...

        @af.on(Packed)
        def done(self, event: Packed) -> None: ...

    assert not any("Packed" in event for _, event, _ in found(Stock, Payments, Packing, Orders))
    assert any("Packed" in event for _, event, _ in found(*SHOP, Packing))  # shipping, beside it, fails by itself


def test_a_failure_that_does_not_lead_to_the_undo_of_what_came_before_is_found():
    class Forgetful(Stock):
        @af.on(Refused)
        def release(self, event: Refused) -> Released: ...  # type: ignore[empty-body]

        @af.on(Refunded)
        def ignore(self, event: Refunded) -> None: ...

    services = (Forgetful, Payments, Shipping, Orders)
    assert found(*services) == [("uncompensated", "found.reserved", "")]
    assert "failure found.lost does not lead to found.released, the undo event of found.reserved" in texts(*services)


def test_an_event_that_says_that_there_is_nothing_to_undo_needs_none():
    class Notes:
        @af.on(Reserved)
        def note(self, event: Reserved) -> Noted: ...  # type: ignore[empty-body]

        @af.on(Noted)
        def end(self, event: Noted) -> None: ...

    assert found(*SHOP, Notes) == []


def test_many_events_and_services_are_checked_though_each_failure_has_all_before_it():
    count = 150  # took minutes, when the ways ahead were searched anew for each failure
    classes: list[Any] = []
    for n in range(count):
        cls = type(f"Many{n}", (Fact,), {"__annotations__": {}})
        classes.append(af.event(name=f"found.many.{n}", failure=n % 10 == 9)(dataclass(frozen=True)(cls)))
    services = []
    for n, cls in enumerate(classes[:-1]):

        def handle(self: object, event: object) -> object: ...

        following = classes[n + 1] | classes[min(n + 2, count - 1)] if n % 10 == 8 else classes[n + 1]
        handle.__annotations__ = {"event": cls, "return": following if n % 10 != 9 else None}
        services.append(type(f"Service{n}", (), {"handle": af.on(cls)(handle)}))
    kinds = [kind for kind, _, _ in found(*services)]
    assert kinds.count("uncompensated") == count - count // 10 - 1  # the first comes from nobody, 10 are failures
    assert kinds.count("unfed") == 1
