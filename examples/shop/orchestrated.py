"""The shop as an orchestration: one saga for each order asks the services in turn, and has them undo it if one refuses.

Each ask that changes something is made with the function that undoes it, so that none is lost if nobody hears of its
answer.

    actorflow run examples.shop.orchestrated:app               500 orders, with misfortunes of all kinds
    actorflow run examples.shop.orchestrated:app --chaos 10    kill the whole process so often, and restart services
    ... --chaos 10 --nodes 2                                   the same with two processes on one store
    actorflow sim examples.shop.orchestrated:app --scenario examples/shop/orchestrated.toml

The services are those of `examples.shop.choreographed`, and so is the outcome. The sagas are kept in the store, step by
step: with `actorflow run --store sqlite:///shop.db` each goes on where it was after a kill -9. Here each order has its
own packages: those of a log, which have items of several orders, are for the other form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import actorflow as af

from .day import Settings, milestones, play
from .events import Line, OrderPlaced
from .rules import DELIVERIES, REMINDERS, OrderFailed
from .services import SERVICES, Mail, Orders, Payments, Shipping, Stock

app = af.App("shop", settings=Settings, system=af.Settings(intensity=1000))  # chaos ends them often
for name, service in SERVICES.items():
    app.add(af.child(service).options(name=name, durable=True))


@dataclass(frozen=True)
class Shop:
    """The services that a saga asks."""

    orders: af.ActorRef[Orders]
    stock: af.ActorRef[Stock]
    payments: af.ActorRef[Payments]
    shipping: af.ActorRef[Shipping]
    mail: af.ActorRef[Mail]


@af.saga
async def fulfil(shop: Shop, placed: OrderPlaced) -> None:
    """Take an order, pick its items, have it paid and delivered."""
    order = placed.order
    await af.undo(shop.orders.call(Orders.place, order, placed.account, placed.lines), cancel, shop, order)
    await shop.mail.call(Mail.send, order, "your order")
    await asyncio.gather(*(pick(shop, line) for line in placed.lines))
    await collect(shop, placed)
    await deliver(shop, order, placed.lines)
    await shop.orders.call(Orders.complete, order)
    await shop.mail.call(Mail.send, order, "thank you")


async def cancel(shop: Shop, order: str) -> None:
    """Undo the taking of an order."""
    await shop.orders.call(Orders.cancel, order)
    await shop.mail.call(Mail.send, order, "we are sorry")


async def pick(shop: Shop, line: Line) -> None:
    """Have an item picked; if another one is sold out, it goes back, though it was not answered for by then."""
    await af.undo(shop.stock.call(Stock.pick, line.product), shop.stock.call, Stock.put_back, line.product)


async def collect(shop: Shop, placed: OrderPlaced) -> None:
    """Have an order paid, and remind of it."""
    for attempt in range(1, REMINDERS + 2):
        debit = shop.payments.call(Payments.debit, placed.account, attempt)
        if await af.undo(debit, refund, shop, placed.lines):
            return
        if attempt <= REMINDERS:
            await shop.mail.call(Mail.send, placed.order, "please pay")
    raise OrderFailed("it was not paid")


async def refund(debit: af.Step, shop: Shop, lines: list[Line]) -> None:
    """Undo a debit, unless it was refused."""
    if debit.result or debit.maybe:
        await shop.payments.call(Payments.refund, [line.item for line in lines])


async def deliver(shop: Shop, order: str, lines: list[Line]) -> None:
    """Send the items of an order, and try to deliver them."""
    package, address = lines[0].package, lines[0].address
    await af.undo(shop.shipping.call(Shipping.send, order, lines), shop.shipping.call, Shipping.give_up, package)
    for attempt in range(1, DELIVERIES + 1):
        if await shop.shipping.call(Shipping.deliver, package, address, attempt):
            return
    raise OrderFailed("nobody was there")


app.add(fulfil)


@app.main
def main(system: af.ActorSystem, settings: Settings) -> int:
    """Have a day pass; the exit code says whether all is well at its end."""
    if settings.log:
        raise af.DefinitionError("--log is for examples.shop.choreographed: its packages have items of several orders")
    return play(system, settings, f"{__name__}:app", lead)


def lead(system: af.ActorSystem, orders: Sequence[OrderPlaced]) -> Iterator[int]:
    """Start a saga for each order, unless it was started before, and say now and then how many of them are over."""
    shop = Shop(**{name: system.durable(name, cls) for name, cls in SERVICES.items()})
    runs = [system.start(fulfil.options(id=placed.order), shop, placed) for placed in orders]
    over = 0
    for number in milestones(len(orders)):
        for run in runs[over:number]:
            with suppress(af.RunFailed):  # it was undone
                run.result()
        over = number
        yield over
