"""The steps of a saga: declared ones, and those that its code names, with their compensations and the pivot."""

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
def asks(ref: af.ActorRef[Any], trip: str) -> None:
    charge(trip)
    af.undo(ref.call(str, trip), ref.call, str, trip).get()
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


def test_the_undo_of_an_ask_is_not_that_of_the_step_before_it():
    assert [one.subject for one in findings_in_saga(asks)] == [charge.name]


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
    for box in ('n0["price"]', 'n1["hotel"]', 'n2["seat"]', 'n3["charge"]', 'n6(["free_hotel"])'):
        assert box in text
    assert 'n3 -->|"pivot"| n4' in text
    assert 'n1 -.->|"undone by"| n6' in text
    assert text.count("undone by") == 2


# --- declared sagas --------------------------------------------------------------------------------------------------


def give(name: str) -> str:
    return name


def take(result: str) -> None: ...


def test_a_declared_saga_has_its_steps_in_a_row():
    saga = af.Saga("outline.row").step(give, take).step(seat, name="second").step(give, name="third")
    assert [(step.name, step.before, step.is_last) for step in outline_of(saga)] == [
        ("give", (), False),
        ("second", (0,), False),
        ("third", (1,), True),
    ]
    assert [*findings_in_saga(saga)] == []
    chart = Flowchart("row")
    draw_saga(saga, chart)
    for text in ('"saga outline.row"', '(["take"])', "n0 --> n1", "n1 --> n2", '(["free_seat"])'):
        assert text in chart.mermaid()


def test_a_declared_step_without_an_undo_is_found():
    saga = af.Saga("outline.bare").step(give).step(price, name="second").step(give, name="third")
    found = [*findings_in_saga(saga)]
    assert [(one.subject, one.place) for one in found] == [("outline.bare.give", "outline.bare")]
    assert "declare one, step(action, undo)" in found[0].text


def test_in_a_saga_of_a_dag_only_a_node_behind_all_others_needs_no_undo():
    dag = af.Dag("outline.dag")
    first, second = dag.add(charge, "a", name="first"), dag.add(hotel, "b", name="second")
    both = dag.add(mail, first, name="both", after=[second])
    saga = af.Saga.of(dag)
    assert [(step.name, step.before, step.is_last) for step in outline_of(saga)] == [
        ("first", (), False),
        ("second", (), False),
        ("both", (0, 1), True),
    ]
    assert [one.subject for one in findings_in_saga(saga)] == [charge.name]
    dag.add(mail, both, name="end")
    dag.add(mail, both, name="other end")
    assert not any(step.is_last for step in outline_of(af.Saga.of(dag)))


# --- asks, functions, children ---------------------------------------------------------------------------------------


class Stock(af.Actor):
    def pick(self, item: str) -> None: ...

    def put_back(self, item: str) -> None: ...


class Cash(af.Actor):
    def debit(self) -> None: ...

    def refund(self) -> None: ...

    def count(self) -> None: ...


def restore() -> None: ...


def collect(cash: af.ActorRef[Cash]) -> None:
    cash.call(Cash.debit).get()
    mail("please pay")


def again(stock: af.ActorRef[Stock]) -> None:
    stock.call(Stock.pick, "lamp").get()
    again(stock)  # it is followed once


@af.saga
def asking(stock: af.ActorRef[Stock], cash: af.ActorRef[Cash]) -> None:
    asked = stock.call(Stock.pick, "chair")
    af.undo(asked, stock.call, Stock.put_back, "chair").get()
    af.undo(cash.call(Cash.count), restore).get()
    collect(cash)
    af.undo(cash.call, Cash.refund)
    again(stock)
    sound("trip")
    sorted([3])


def test_asks_children_and_the_steps_of_functions_that_a_saga_calls_are_seen():
    names = ["Stock.pick", "Cash.count", "Cash.debit", "mail", "Stock.pick", "sound"]
    steps = outline_of(asking)
    assert [step.name for step in steps] == names
    assert [step.undone_by for step in steps] == [["Stock.put_back"], ["restore"], ["Cash.refund"], [], [], []]
    assert [one.subject for one in findings_in_saga(asking)] == [mail.name]


def many() -> None:
    more(), more(), more()


def more() -> None:
    most(), most(), most()


def most() -> None:
    charge("a"), charge("b"), charge("c")


@af.saga
def wide() -> None:
    many(), many(), many()


def test_functions_that_call_each_other_many_times_are_followed_a_bounded_number_of_times(monkeypatch):
    assert len(outline_of(wide)) == 81
    monkeypatch.setattr("actorflow.sagas.outline.MOST_FUNCTIONS", 10)
    assert len(outline_of(wide)) < 30
