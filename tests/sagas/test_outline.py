"""The steps that the code of a saga names: in the order of its source, with their compensations and the pivot."""

from __future__ import annotations

from typing import Any

import pytest

import actorflow as af
from actorflow.events.topology.flowchart import Flowchart
from actorflow.sagas.outline import draw_saga, findings_in_saga, outline_of


@af.task
def seat(trip: str) -> str:
    return trip


@seat.compensate
def free_seat(result: str) -> None: ...


@af.task
def charge(seat: str) -> str:
    return seat


@af.task
def hotel(trip: str) -> str:
    return trip


@hotel.compensate
def free_hotel(result: str) -> None: ...


@af.task(undo=False)
def price(trip: str) -> int:
    return 3


@af.task
def mail(trip: str) -> None: ...


@af.saga
def sound(trip: str) -> None:
    price(trip)
    taken = seat.submit(hotel(trip))
    charge(taken.get())
    af.pivot()
    mail(trip)
    mail.options(delay=1)(trip)


@af.saga
def careless(trip: str) -> None:
    charge(seat(trip))
    if trip:
        charge(trip)
    hotel(trip)


@af.saga
def by_hand(trip: str) -> None:
    charge(trip)
    af.undo(lambda: mail(trip))
    hotel(trip)


@af.saga
async def waits(trip: str) -> None:
    await af.gather(charge.submit(trip), *[hotel.submit(trip) for _ in range(3)])


def names(saga: Any) -> list[str]:
    return [step.task.function.__name__ for step in outline_of(saga)]


def test_the_steps_stand_in_the_order_in_which_their_calls_end():
    assert names(sound) == ["price", "hotel", "seat", "charge", "mail", "mail"]
    assert names(careless) == ["seat", "charge", "charge", "hotel"]
    assert names(by_hand) == ["charge", "hotel"]
    assert names(waits) == ["charge", "hotel"]


def test_the_pivot_divides_them():
    assert [step.is_after_pivot for step in outline_of(sound)] == [False] * 4 + [True] * 2


def test_tasks_of_the_function_around_it_are_seen():
    @af.task(name="outline.local")
    def local() -> None: ...

    @af.saga(name="outline.inner")
    def inner() -> None:
        local()
        later()  # noqa: F821 - nowhere

    assert names(inner) == ["local"]


def test_the_code_of_a_function_without_source_has_no_steps():
    scope: dict[str, Any] = {"__name__": __name__}
    exec("def made(): ...", scope)
    saga = af.saga(name="outline.made")(scope["made"])
    assert outline_of(saga) == []


@pytest.mark.parametrize("saga", [sound, by_hand])
def test_a_saga_in_which_each_step_before_the_last_can_be_undone_has_no_mistakes(saga):
    assert [*findings_in_saga(saga)] == []


def test_a_step_without_a_compensation_is_found_once_with_its_line():
    found = [*findings_in_saga(careless)]
    assert [(one.kind, one.subject, one.place) for one in found] == [("uncompensated", charge.name, careless.name)]
    line = careless.function.__code__.co_firstlineno + 2
    assert f"test_outline.py:{line}: step {charge.name} of saga" in found[0].text
    assert "@charge.compensate" in found[0].text


def test_a_task_that_says_that_there_is_nothing_to_undo_takes_no_compensation():
    with pytest.raises(af.DefinitionError, match="says undo=False"):
        price.compensate(lambda result: None)
    with pytest.raises(af.DefinitionError, match="undo=True: declare its undo by @task.compensate, or say False"):
        af.task(undo=True)(free_seat.function)


def test_a_saga_is_drawn_with_its_compensations_and_the_pivot():
    chart = Flowchart("sound")
    draw_saga(sound, chart)
    text = chart.mermaid()
    assert 'subgraph f0["saga sound"]' in text
    for box in ('n0["price"]', 'n1["hotel"]', 'n2(["free_hotel"])', 'n3["seat"]', 'n4(["free_seat"])', 'n5["charge"]'):
        assert box in text
    assert 'n5 -->|"pivot"| n6' in text
    assert 'n1 -.->|"undone by"| n2' in text
    assert text.count("undone by") == 2
