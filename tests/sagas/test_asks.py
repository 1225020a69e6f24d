"""Promises: an ask is undone by the function that `af.undo` was given with it, whatever has cut the wait for it."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.sagas.crashes import Life, lived
from tests.sagas.world import Boom


@dataclass
class Till:
    """A state."""

    paid: dict[str, int] = field(default_factory=dict)


class Cashier(af.Actor, durable=True):
    """Takes its time to take money."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Till()

    def charge(self, order: str, amount: int) -> int:
        self.ctx.sleep(3)
        self.state.paid[order] = amount
        return amount

    def refund(self, order: str) -> int:
        return self.state.paid.pop(order, 0)

    def look(self) -> dict[str, int]:
        return self.state.paid


SYSTEMS: list[VirtualSystem] = []
REFUNDS: list[int] = []


@af.task
async def fails_soon() -> None:
    await asyncio.sleep(1)
    raise Boom("soon")


def charged(timeout: float | None = None) -> None:
    cashier = SYSTEMS[0].durable("cashier", Cashier)
    af.undo(lambda: REFUNDS.append(cashier.call(Cashier.refund, "o1").get()))
    cashier.call(Cashier.charge, "o1", 90).get(timeout=timeout)


async def charged_async(seconds: float | None = None) -> None:
    cashier = SYSTEMS[0].durable("cashier", Cashier)

    async def refund() -> None:
        REFUNDS.append(await cashier.call(Cashier.refund, "o1"))

    af.undo(refund)
    await asyncio.wait_for(cashier.call(Cashier.charge, "o1", 90), seconds)


@af.saga
def fails_beside() -> None:
    af.gather(af.branch(charged), fails_soon.submit()).get()


@af.saga
async def fails_beside_async() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(charged_async())
        group.create_task(failing())


async def failing() -> None:
    await fails_soon()


@af.saga
def times_out() -> None:
    charged(1)


@af.saga
async def times_out_async() -> None:
    await charged_async(1)


@af.saga(deadline=1)
def is_too_late() -> None:
    charged()


@af.saga(deadline=1)
async def is_too_late_async() -> None:
    await charged_async()


@pytest.mark.parametrize(
    "saga", [fails_beside, fails_beside_async, times_out, times_out_async, is_too_late, is_too_late_async], ids=str
)
def test_an_ask_whose_wait_was_cut_is_undone_by_the_function_that_was_given_before_it(saga):
    REFUNDS.clear()
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Cashier).options(name="cashier"))
        run = system.start(saga)
        with pytest.raises((af.RunFailed, af.RunCancelled)):
            run.result()
        assert run.status == "compensated"
        system.sleep(10)
        assert system.durable("cashier", Cashier).call(Cashier.look).get() == {}
    assert REFUNDS == [90], "it came behind the charge"


# --- functions that are given with an ask -----------------------------------------------------------------------------


def log_refund(order: str) -> None:
    REFUNDS.append(cashier().call(Cashier.refund, order).get())


async def log_refund_async(order: str) -> None:
    REFUNDS.append(await cashier().call(Cashier.refund, order))


def cashier() -> af.ActorRef[Cashier]:
    return SYSTEMS[0].durable("cashier", Cashier)


def paid(timeout: float | None = None) -> None:
    af.undo(cashier().call(Cashier.charge, "o1", 90), log_refund, "o1").get(timeout=timeout)


async def paid_async(seconds: float | None = None) -> None:
    await asyncio.wait_for(af.undo(cashier().call(Cashier.charge, "o1", 90), log_refund_async, order="o1"), seconds)


@af.saga
def paid_beside() -> None:
    af.gather(af.branch(paid), fails_soon.submit()).get()


@af.saga
async def paid_beside_async() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(paid_async())
        group.create_task(failing())


@af.saga
def paid_in_time() -> None:
    paid(1)


@af.saga
async def paid_in_time_async() -> None:
    await paid_async(1)


@af.saga(deadline=1)
def paid_too_late() -> None:
    paid()


@af.saga(deadline=1)
async def paid_too_late_async() -> None:
    await paid_async()


@af.saga
def paid_and_failed() -> None:
    paid()
    raise Boom("behind")


@af.saga
async def paid_and_failed_async() -> None:
    await paid_async()
    raise Boom("behind")


@af.saga
def paid_in_a_part() -> None:
    try:
        with af.savepoint():
            paid(1)
    except af.AskTimeout:
        REFUNDS.append(-1)  # behind the undoing of the part
    raise Boom("behind")


@af.saga
async def paid_in_a_part_async() -> None:
    try:
        async with af.savepoint():
            await paid_async(1)
    except TimeoutError:
        REFUNDS.append(-1)
    raise Boom("behind")


CUTS = [
    *(paid_beside, paid_beside_async, paid_in_time, paid_in_time_async, paid_too_late, paid_too_late_async),
    *(paid_and_failed, paid_and_failed_async),
]
PARTS = [paid_in_a_part, paid_in_a_part_async]


@pytest.mark.parametrize("saga", [*CUTS, *PARTS], ids=str)
def test_an_ask_is_undone_by_the_function_that_was_given_with_it_whatever_has_cut_its_wait(saga):
    REFUNDS.clear()
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Cashier).options(name="cashier"))
        run = system.start(saga)
        with pytest.raises((af.RunFailed, af.RunCancelled)):
            run.result()
        assert run.status == "compensated"
        system.sleep(10)
        assert cashier().call(Cashier.look).get() == {}
    expected = [90, -1] if saga in PARTS else [90]
    assert expected == REFUNDS, "once, behind the charge, and before the code around"


@pytest.mark.parametrize("saga", [paid_too_late, paid_too_late_async], ids=str)
def test_an_ask_that_is_cancelled_is_undone_once_it_is_answered(saga):
    REFUNDS.clear()
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        run = system.start(saga.options(deadline=1000))
        system.sleep(2)
        run.cancel()
        system.sleep(30)
        assert run.status == "compensating"
        system.spawn(af.child(Cashier).options(name="cashier"))  # nobody has answered before
        with pytest.raises(af.RunCancelled):
            run.result()
        assert run.status == "compensated"
    assert REFUNDS == [90]


# --- what the actor has done ------------------------------------------------------------------------------------------


class Refuser(af.Actor, durable=True):
    """Refuses the first of three orders, and answers the last one late."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Till()

    def take(self, order: str) -> str:
        if order == "o1":
            raise Boom(order)
        if order == "o3":
            self.ctx.sleep(2)
        return f"ticket {order}"


STEPS: list[af.Step] = []


def note(step: af.Step, word: str) -> None:
    assert word == "word"
    STEPS.append(step)


async def note_async(step: af.Step, word: str) -> None:
    note(step, word)


@af.saga
def three_orders() -> None:
    refuser = SYSTEMS[0].durable("refuser", Refuser)
    for order in ("o1", "o2", "o3"):
        try:
            af.undo(refuser.call(Refuser.take, order), note, "word").get(timeout=1)
        except (Boom, af.StepFailed):
            assert order == "o1"
        except af.AskTimeout as error:
            raise Boom("late") from error


@af.saga
async def three_orders_async() -> None:
    refuser = SYSTEMS[0].durable("refuser", Refuser)
    for order in ("o1", "o2", "o3"):
        try:
            await asyncio.wait_for(af.undo(refuser.call(Refuser.take, order), note_async, word="word"), 1)
        except (Boom, af.StepFailed):
            assert order == "o1"


@pytest.mark.parametrize("saga", [three_orders, three_orders_async], ids=str)
def test_the_function_of_an_ask_gets_what_the_actor_has_done_and_is_not_called_if_it_has_refused(saga):
    STEPS.clear()
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Refuser).options(name="refuser"))
        with pytest.raises(af.RunFailed):
            system.start(saga).result()
    last, first = STEPS
    assert (first.result, first.maybe) == ("ticket o2", False)
    is_plain = saga is three_orders  # its timeout is the end of the ask; async code has only left it
    assert (last.result, last.maybe) == ((None, True) if is_plain else ("ticket o3", False))
    assert first.name == "refuser.take"
    assert first.key != last.key


@pytest.mark.parametrize("saga", [paid_too_late, paid_too_late_async], ids=str)
def test_an_ask_that_nobody_answers_for_a_minute_is_undone_all_the_same(saga):
    REFUNDS.clear()
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        run = system.start(saga)
        system.sleep(70)
        assert run.status == "compensating"
        asks = [step for step in run.steps if step.name == "ask cashier.charge"]
        assert ["no answer to ask cashier.charge came for long" in str(step.error) for step in asks] == [True]
        system.spawn(af.child(Cashier).options(name="cashier"))
        with pytest.raises(af.RunCancelled):
            run.result()
    assert REFUNDS == [90], "the charge was before it in the mailbox"


# --- kills ------------------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """A state: what was done, in its order."""

    lines: list[str] = field(default_factory=list)


class Bookkeeper(af.Actor, durable=True):
    """Keeps a book of what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Book()

    def take(self, order: str, seconds: float) -> None:
        self.ctx.sleep(seconds)
        self.state.lines.append(f"+{order}")

    def give_back(self, order: str) -> None:
        self.state.lines.append(f"-{order}")

    def look(self) -> list[str]:
        return self.state.lines


def book() -> af.ActorRef[Bookkeeper]:
    return SYSTEMS[0].durable("book", Bookkeeper)


@af.saga
def booked(keeps: bool) -> None:
    af.undo(book().call(Bookkeeper.take, "o1", 0), book().call, Bookkeeper.give_back, "o1").get()
    ask = af.undo(book().call(Bookkeeper.take, "o2", 0.3), book().call, Bookkeeper.give_back, "o2")
    try:
        ask.get(timeout=0.2)
    except af.AskTimeout as error:
        assert "came in 0.2 s" in str(error)  # noqa: PT017 - it may be in time
    if not keeps:
        raise Boom("behind")


@af.saga
async def booked_async(keeps: bool) -> None:
    await af.undo(book().call(Bookkeeper.take, "o1", 0), book().call, Bookkeeper.give_back, "o1")
    try:
        ask = af.undo(book().call(Bookkeeper.take, "o2", 0.3), book().call, Bookkeeper.give_back, "o2")
        await asyncio.wait_for(ask, 0.2)
    except TimeoutError:
        pass
    if not keeps:
        raise Boom("behind")


@pytest.mark.parametrize("saga", [booked, booked_async], ids=str)
@pytest.mark.parametrize("keeps", [False, True], ids=["fails", "completes"])
def test_asks_are_undone_exactly_once_wherever_the_saga_is_killed(saga, keeps, caplog):
    caplog.set_level(logging.WARNING, "actorflow")

    def prepare(system: VirtualSystem) -> None:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Bookkeeper).options(name="book"))

    def look(system: VirtualSystem) -> None:
        system.sleep(1)
        expected = ["+o1", "+o2"] if keeps else ["+o1", "+o2", "-o2", "-o1"]
        assert book().call(Bookkeeper.look).get() == expected

    n = 0
    while True:
        n += 1
        found = lived(saga, [Life(commit=n)], seed=n, keeps=keeps, prepare=prepare, look=look)
        assert found.status == ("completed" if keeps else "compensated")
        if not found.deaths:
            break
    assert n > 5


# --- misuse -----------------------------------------------------------------------------------------------------------


async def is_async() -> None: ...


@pytest.mark.parametrize(
    ("undo", "text"),
    [
        (lambda ask: af.undo(ask), "None.: give a function"),
        (lambda ask: af.undo(ask, 3), "3.: give a function"),
        (
            lambda ask: af.undo(ask, log_refund),
            r"log_refund\(order: 'str'\) -> 'None' is not called like that: missing",
        ),
        (lambda ask: af.undo(ask, log_refund, "o1", "o2"), "too many positional arguments; a first .* `step: af.Step`"),
        (lambda ask: af.undo(note, "word"), "missing a required argument: 'word'$"),
        (lambda ask: af.undo(ask, is_async), "is_async.: it is async, and saga .* is not"),
        (lambda ask: af.undo(fails_soon.submit(), log_refund, "o1"), r"a task is undone by its own @task\.compensate"),
    ],
)
def test_a_function_that_cannot_undo_an_ask_is_refused_where_it_is_given(undo, text):
    MISUSE[:] = [undo]
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Cashier).options(name="cashier"))
        run = system.start(misused)
        with pytest.raises((af.RunFailed, af.CompensationFailed)) as caught:
            run.result()
        said = str(caught.value.__cause__ or caught.value)
        assert "DefinitionError" in said or type(caught.value.__cause__) is af.DefinitionError
        assert re.search(text, said)
        if "word" in text or "task" in text:
            assert run.status == "compensated"
            return
        assert run.status == "stuck", "the cashier has done what was asked, and nothing undoes it"
        run.skip("by hand")
        with pytest.raises(af.RunFailed):
            run.result()
        assert run.status == "compensated"


MISUSE: list[object] = []


@af.saga
def misused() -> None:
    MISUSE[0](cashier().call(Cashier.look))
