"""Promises: an ask that is under way as a saga turns is undone by the function that `af.undo` was given before it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
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
