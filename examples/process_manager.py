"""A process manager: a durable service with a state machine for each order, which decides what comes next.

    python -m examples.process_manager

An order that is paid and packed, whichever comes first, is ready; one that is not after a day lapses. The machines are
in the service's state, and the day is a timer of the store: a service that was killed goes on where it was.
"""

# ruff: noqa: D101 - the events and handlers say what they are

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import actorflow as af
from actorflow.testing import VirtualSystem

DAY = 86_400.0
ORDER = af.Chart.from_dict(
    {
        "name": "order",
        "initial": "placed",
        "states": {
            "placed": {"on": {"manager.paid": "paid", "manager.packed": "packed"}},
            "paid": {"on": {"manager.packed": "ready"}},
            "packed": {"on": {"manager.paid": "ready"}},
            "ready": {"type": "final"},
        },
    }
)


@dataclass(frozen=True)
class OfOrder:
    order: str


@af.event(name="manager.placed", key="order", external=True)
class Placed(OfOrder): ...


@af.event(name="manager.paid", key="order", external=True)
class Paid(OfOrder): ...


@af.event(name="manager.packed", key="order", external=True)
class Packed(OfOrder): ...


@af.event(name="manager.ready", key="order", external=True)
class Ready(OfOrder): ...


@af.event(name="manager.lapsed", key="order", external=True)
class Lapsed(OfOrder): ...


@dataclass
class OpenOrders:
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)  # snapshots


class Fulfilment(af.Service):
    def __init__(self) -> None:
        super().__init__()
        self.state = OpenOrders()

    @af.on(Placed)
    def begin(self, event: Placed) -> None:
        self.state.machines[event.order] = af.Interpreter(ORDER, history=0).snapshot()
        self.ctx.after(DAY, self.lapse, event.order)

    @af.on(Paid, Packed, when=lambda self, event: event.order in self.state.machines)
    def go_on(self, event: Paid | Packed) -> Ready | None:
        machine = af.Interpreter.restore(ORDER, self.state.machines[event.order], history=0)
        name = "manager.paid" if isinstance(event, Paid) else "manager.packed"
        if machine.may(name):  # else it has come twice
            machine.send(name)
        self.state.machines[event.order] = machine.snapshot()
        if machine.state != "ready":
            return None
        del self.state.machines[event.order]
        return Ready(event.order)

    def lapse(self, order: str) -> None:
        if self.state.machines.pop(order, None) is not None:
            self.publish(Lapsed(order))


def main() -> None:
    """Have two days pass, in virtual time; the service is ended in their midst."""
    recipe = af.child(Fulfilment).options(name="fulfilment", durable=True)
    with VirtualSystem("shop", seed=1) as system:
        system.subscribe(Ready, lambda event: print(event.order, "is ready"))
        system.subscribe(Lapsed, lambda event: print(event.order, "has lapsed"))
        service = system.spawn(recipe)
        for event in (Placed("a"), Placed("b"), Paid("a"), Paid("b"), Paid("a")):
            system.publish(event)
        system.sleep(60)
        service.stop()
        service = system.spawn(recipe)
        system.publish(Packed("a"))
        system.sleep(2 * DAY)


if __name__ == "__main__":
    main()
