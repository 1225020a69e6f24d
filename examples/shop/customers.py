"""Customers: the service through which the orders of a day come into the shop, and which hears of their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import actorflow as af

from .events import OrderCancelled, OrderDelivered, OrderPlaced


@dataclass
class Day:
    """How far a day is.

    Attributes:
        placed: so many orders were placed.
        over: so many have come to their end.
        waiting: who gets `over`, and from which number on.
    """

    placed: int = 0
    over: int = 0
    waiting: list[tuple[int, af.Reply]] = field(default_factory=list)


class Customers(af.Service):
    """Order, and wait. The state says which orders were placed, so a program that begins anew places the others."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Day()

    def order(self, first: int, orders: Sequence[OrderPlaced]) -> int:
        """Place some orders, if they are the next ones; return how many there are now."""
        if first == self.state.placed:
            for placed in orders:
                self.publish(placed)
            self.state.placed += len(orders)
        return self.state.placed

    def wait(self, number: int) -> af.Reply:
        """Answer when so many orders are over."""
        reply = self.ctx.reply_later()
        self.state.waiting.append((number, reply))
        self.answer()
        return reply

    @af.on(OrderDelivered, OrderCancelled)
    def hear(self, end: OrderDelivered | OrderCancelled) -> None:
        self.state.over += 1
        self.answer()

    def answer(self) -> None:
        """Answer those who wait for what is there now."""
        waiting, self.state.waiting = self.state.waiting, []
        for number, reply in waiting:
            if number <= self.state.over:
                reply.set(self.state.over)
            else:
                self.state.waiting.append((number, reply))
