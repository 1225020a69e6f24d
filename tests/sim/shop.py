"""A shop of three services, whose payments charge twice if an answer is late; and one that does not."""

from collections import Counter

import actorflow as af
from actorflow.sim import Link


class Bank(af.Actor):
    """Counts charges."""

    def __init__(self):
        super().__init__()
        self.charges = Counter()

    def charge(self, order):
        self.charges[order] += 1


class Payments(af.Actor):
    """Charges; `careful` ones know each order by its number."""

    def __init__(self, bank="/shop/bank", *, careful=False):
        super().__init__()
        self.bank, self.careful, self.paid = bank, careful, set()

    def pay(self, order, bank):
        if self.careful and order in self.paid:
            return
        self.paid.add(order)
        bank.call(Bank.charge, order).get(timeout=30)


class Shop(af.Actor):
    """Asks again after a second."""

    def order(self, order, payments, bank):
        for _ in range(3):
            try:
                payments.call(Payments.pay, order, bank).get(timeout=1)
            except (af.AskTimeout, af.HostDied):
                continue
            return


def app_of(*, careful=False):
    return af.App("shop").add(
        af.child(Bank).options(name="bank"),
        af.child(Payments, careful=careful).options(name="payments"),
        af.child(Shop).options(name="shop"),
    )


def trade(sim, *, careful=False, orders=20, latency=(0.001, 0.8)):
    """Have a shop take orders, and never charge one twice."""
    system = sim.start(app_of(careful=careful))
    bank, payments, shop = (system.find(f"/shop/{name}") for name in ("bank", "payments", "shop"))
    sim.network(Link(latency=latency))
    sim.always(lambda: all(count < 2 for count in sim.peek(bank).charges.values()), "no double charge")
    for order in range(orders):
        sim.at(order * 0.1).call(lambda order=order: shop.cast(Shop.order, order, payments, bank))
    return bank, payments, shop
