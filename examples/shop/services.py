"""The services of the shop. Their plain methods are what a saga asks for; those under `@af.on` answer to events.

`examples.shop.orchestrated` uses the first, `examples.shop.choreographed` the second; the rules are the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import actorflow as af

from . import outside
from .events import (
    DeliveryFailed,
    ItemDelivered,
    ItemMissing,
    ItemPicked,
    ItemReleased,
    ItemReordered,
    ItemReturned,
    ItemSoldOut,
    ItemUndeliverable,
    ItemWanted,
    Line,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    PackageCreated,
    PackageDelivered,
    PackageReturned,
    PackageSent,
    PaymentDue,
    PaymentRefused,
    PaymentReminded,
    RefundDue,
)
from .rules import DELIVERIES, REMINDERS, Basket, Book, Box, OrderBook, ShippingBook, SoldOut, StockBook


class Restartable(af.Service):
    """A service that chaos may end at any time."""

    def begin_anew(self) -> None:
        """End; the supervisor starts the next one, which has the stored books."""
        self.stop()


class Orders(Restartable):
    """Takes orders, and follows each of them to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.state = OrderBook()

    def place(self, order: str, account: str, lines: list[Line]) -> None:
        self.state.place(order, account, lines)

    def complete(self, order: str) -> None:
        self.state.end(order, cancelled=False)

    def cancel(self, order: str) -> None:
        self.state.end(order, cancelled=True)

    @af.on(OrderPlaced)
    def take(self, placed: OrderPlaced) -> Iterator[OrderConfirmed | ItemWanted]:
        self.place(placed.order, placed.account, placed.lines)
        yield OrderConfirmed(placed.order)
        for line in placed.lines:
            yield ItemWanted(line.product, line.item, placed.order)

    @af.on(ItemPicked, ItemSoldOut)
    def gather(self, answer: ItemPicked | ItemSoldOut) -> Iterator[PaymentDue | ItemReturned | OrderCancelled]:
        """Go on when the stock has answered for all items of an order."""
        basket = self.state.baskets[answer.order]
        if not basket.heard(answer.item, failed=isinstance(answer, ItemSoldOut)):
            return
        if basket.failed:
            yield from self.undo(answer.order, basket)
        else:
            yield PaymentDue(answer.order, basket.account)

    @af.on(PaymentRefused)
    def give_up(self, refused: PaymentRefused) -> Iterator[ItemReturned | OrderCancelled]:
        yield from self.undo(refused.order, self.state.baskets[refused.order])

    def undo(self, order: str, basket: Basket) -> Iterator[ItemReturned | OrderCancelled]:
        """Cancel an order that is not paid: its items go back."""
        for line in basket.lines:
            if line.item not in basket.failed:
                yield ItemReturned(line.product, line.item)
        self.cancel(order)
        yield OrderCancelled(order)

    @af.on(OrderPaid)
    def release(self, paid: OrderPaid) -> Iterator[ItemReleased]:
        basket = self.state.baskets[paid.order]
        basket.awaited = len(basket.lines)
        for line in basket.lines:
            yield ItemReleased(line.package, line, paid.order)

    @af.on(ItemDelivered, ItemUndeliverable)
    def finish(self, last: ItemDelivered | ItemUndeliverable) -> Iterator[RefundDue | OrderDelivered | OrderCancelled]:
        """End an order when all of its items have come to their end."""
        basket = self.state.baskets[last.order]
        if not basket.heard(last.line.item, failed=isinstance(last, ItemUndeliverable)):
            return
        if basket.failed:
            yield RefundDue(last.order, basket.failed)
        if len(basket.failed) < len(basket.lines):
            self.complete(last.order)
            yield OrderDelivered(last.order)
        else:
            self.cancel(last.order)
            yield OrderCancelled(last.order)


class Stock(Restartable):
    """Has the shelves, and reorders."""

    def __init__(self) -> None:
        super().__init__()
        self.state = StockBook()

    def pick(self, product: str) -> bool:
        """Take a piece of a product; say whether it was there without a reorder."""
        return self.state.pick(product, *outside.supply(product))

    def put_back(self, product: str) -> None:
        self.state.put_back(product)

    @af.on(ItemWanted)
    def fetch(self, wanted: ItemWanted) -> Iterator[ItemMissing | ItemReordered | ItemPicked | ItemSoldOut]:
        try:
            was_there = self.pick(wanted.product)
        except SoldOut:
            yield ItemSoldOut(wanted.order, wanted.item)
            return
        if not was_there:
            yield ItemMissing(wanted.product, wanted.item)
            yield ItemReordered(wanted.product, wanted.item)
        yield ItemPicked(wanted.order, wanted.item)

    @af.on(ItemReturned)
    def take_back(self, returned: ItemReturned) -> None:
        self.put_back(returned.product)


class Payments(Restartable):
    """Has the bank debit the customers."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Book()

    def debit(self, account: str, attempt: int) -> bool:
        """Debit a customer; say whether that was possible."""
        is_paid = outside.debit(account, attempt)
        if is_paid:
            self.state.count("pay order")
        elif attempt <= REMINDERS:
            self.state.count("payment reminder")
        return is_paid

    def refund(self, items: list[str]) -> None:
        for _ in items:
            self.state.count("refund item")

    @af.on(PaymentDue, PaymentReminded)
    def collect(self, due: PaymentDue | PaymentReminded) -> OrderPaid | PaymentReminded | PaymentRefused:
        attempt = due.times + 1 if isinstance(due, PaymentReminded) else 1
        if self.debit(due.account, attempt):
            return OrderPaid(due.order)
        if attempt > REMINDERS:
            return PaymentRefused(due.order)
        return PaymentReminded(due.order, due.account, attempt)

    @af.on(RefundDue)
    def pay_back(self, due: RefundDue) -> None:
        self.refund(due.items)


class Shipping(Restartable):
    """Packs what belongs together, and has the courier deliver it. Some packages have items of several orders."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ShippingBook()

    def send(self, order: str, lines: list[Line]) -> None:
        """Pack the items of an order and send them off."""
        for line in lines:
            self.state.pack(line, order)
        self.state.send()

    def deliver(self, package: str, address: str, attempt: int) -> bool:
        """Try to deliver a package; say whether that was possible."""
        is_delivered = outside.deliver(address, attempt)
        if is_delivered:
            self.state.end(package, returned=False)
        else:
            self.state.count("failed delivery")
        return is_delivered

    def give_up(self, package: str) -> Box:
        """Have the courier bring a package back."""
        return self.state.end(package, returned=True)

    @af.on(ItemReleased)
    def pack(self, released: ItemReleased) -> Iterator[PackageCreated | PackageSent]:
        if self.state.pack(released.line, released.order):
            self.state.send()
            yield PackageCreated(released.package, [line.item for line in self.state.boxes[released.package].lines])
            yield PackageSent(released.package, released.line.address)

    @af.on(DeliveryFailed, when=lambda _, failed: failed.times >= DELIVERIES)
    def bring_back(self, failed: DeliveryFailed) -> Iterator[PackageReturned | ItemReturned | ItemUndeliverable]:
        """Undo what was done for a package that cannot be delivered: the stock and the orders do their part."""
        box = self.give_up(failed.package)
        yield PackageReturned(failed.package)
        for order, line in zip(box.orders, box.lines, strict=True):
            yield ItemReturned(line.product, line.item)
            yield ItemUndeliverable(order, line)

    @af.on(PackageSent, DeliveryFailed)
    def ring(self, now: PackageSent | DeliveryFailed) -> Iterator[PackageDelivered | ItemDelivered | DeliveryFailed]:
        attempt = now.times + 1 if isinstance(now, DeliveryFailed) else 1
        box = self.state.boxes[now.package]
        if not self.deliver(now.package, now.address, attempt):
            yield DeliveryFailed(now.package, now.address, attempt)
            return
        yield PackageDelivered(now.package)
        for order, line in zip(box.orders, box.lines, strict=True):
            yield ItemDelivered(order, line)


class Mail(Restartable):
    """Writes to the customers."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Book()

    def send(self, order: str, subject: str) -> None:
        """Send a mail; here, count it."""
        self.state.count(f"mail: {subject}")

    @af.on(OrderConfirmed, PaymentReminded, OrderDelivered, OrderCancelled)
    def write(self, news: OrderConfirmed | PaymentReminded | OrderDelivered | OrderCancelled) -> None:
        self.send(news.order, SUBJECTS[type(news)])


SUBJECTS: dict[type, str] = {
    OrderConfirmed: "your order",
    PaymentReminded: "please pay",
    OrderDelivered: "thank you",
    OrderCancelled: "we are sorry",
}
SERVICES: dict[str, type[Orders | Stock | Payments | Shipping | Mail]] = {
    "orders": Orders,
    "stock": Stock,
    "payments": Payments,
    "shipping": Shipping,
    "mail": Mail,
}
