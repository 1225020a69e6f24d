"""The events of the shop. Each has a key: the object whose state its handlers change, so that they come in order."""

from __future__ import annotations

from dataclasses import dataclass

import actorflow as af


@dataclass(frozen=True)
class Line:
    """One item of an order: its product, and the package that it goes into, with its number of items and address."""

    item: str
    product: str
    package: str
    package_size: int
    address: str


# --- orders ----------------------------------------------------------------------------------------------------------


@af.event(name="orders.placed", key="order", external=True, undo=False)
@dataclass(frozen=True)
class OrderPlaced:
    """A customer has ordered some items; the only event that comes from outside."""

    order: str
    account: str
    lines: list[Line]


@af.event(name="orders.confirmed", key="order")
@dataclass(frozen=True)
class OrderConfirmed:
    """The shop has taken the order."""

    order: str


@af.event(name="orders.delivered", key="order")
@dataclass(frozen=True)
class OrderDelivered:
    """The end of an order: the customer has all of it, or has the money back for what could not be delivered."""

    order: str


@af.event(name="orders.cancelled", key="order")
@dataclass(frozen=True)
class OrderCancelled:
    """The other end of an order: nothing of it was delivered, and nothing is to be paid."""

    order: str


# --- stock -----------------------------------------------------------------------------------------------------------


@af.event(name="stock.wanted", key="product", undo=False)
@dataclass(frozen=True)
class ItemWanted:
    """An order needs an item."""

    product: str
    item: str
    order: str


@af.event(name="stock.missing", key="product", external=True)
@dataclass(frozen=True)
class ItemMissing:
    """A product is out of stock."""

    product: str
    item: str


@af.event(name="stock.reordered", key="product", external=True)
@dataclass(frozen=True)
class ItemReordered:
    """The supplier has sent more of a product."""

    product: str
    item: str


@af.event(name="stock.returned", key="product")
@dataclass(frozen=True)
class ItemReturned:
    """An item goes back to its shelf."""

    product: str
    item: str


@af.event(name="stock.picked", key="order", undo=ItemReturned)
@dataclass(frozen=True)
class ItemPicked:
    """An item was taken from the shelf for an order."""

    order: str
    item: str


@af.event(name="stock.sold-out", key="order", failure=True)
@dataclass(frozen=True)
class ItemSoldOut:
    """An item is not there, and the supplier has none either."""

    order: str
    item: str


# --- payments --------------------------------------------------------------------------------------------------------


@af.event(name="payments.due", key="order", undo=False)
@dataclass(frozen=True)
class PaymentDue:
    """An order is to be paid."""

    order: str
    account: str


@af.event(name="payments.reminded", key="order", undo=False)
@dataclass(frozen=True)
class PaymentReminded:
    """The bank has refused so many debits of an order, and the customer was reminded."""

    order: str
    account: str
    times: int


@af.event(name="payments.refused", key="order", failure=True)
@dataclass(frozen=True)
class PaymentRefused:
    """An order is not paid, for all reminders."""

    order: str


@af.event(name="payments.refund", key="order")
@dataclass(frozen=True)
class RefundDue:
    """The customer gets the money back for some items."""

    order: str
    items: list[str]


@af.event(name="payments.paid", key="order", undo=RefundDue)
@dataclass(frozen=True)
class OrderPaid:
    """An order is paid."""

    order: str


# --- shipping --------------------------------------------------------------------------------------------------------


@af.event(name="shipping.released", key="package", undo=False)
@dataclass(frozen=True)
class ItemReleased:
    """An item may be packed."""

    package: str
    line: Line
    order: str


@af.event(name="shipping.created", key="package", external=True)
@dataclass(frozen=True)
class PackageCreated:
    """All items of a package are packed."""

    package: str
    items: list[str]


@af.event(name="shipping.returned", key="package", external=True)
@dataclass(frozen=True)
class PackageReturned:
    """The courier has brought a package back."""

    package: str


@af.event(name="shipping.sent", key="package", undo=PackageReturned)
@dataclass(frozen=True)
class PackageSent:
    """The courier has a package."""

    package: str
    address: str


@af.event(name="shipping.failed", key="package", failure=True, undo=False)
@dataclass(frozen=True)
class DeliveryFailed:
    """A package could not be delivered, so many times by now."""

    package: str
    address: str
    times: int


@af.event(name="shipping.delivered", key="package", external=True)
@dataclass(frozen=True)
class PackageDelivered:
    """A package is with the customer."""

    package: str


@af.event(name="shipping.item-delivered", key="order")
@dataclass(frozen=True)
class ItemDelivered:
    """An item of an order is with the customer."""

    order: str
    line: Line


@af.event(name="shipping.item-undeliverable", key="order")
@dataclass(frozen=True)
class ItemUndeliverable:
    """An item of an order came back with its package."""

    order: str
    line: Line
