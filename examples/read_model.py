"""A read model (CQRS): what is read is kept apart from what is written, and is made anew from the log when it changes.

    python -m examples.read_model

Accounts take money in and out, and say so by events. The statements are a service of their own that only listens. A
statement of another form needs no migration: a new service reads the log from its beginning, and so does an old one
whose code has changed, by `event_log.replay`.
"""

# ruff: noqa: D101 - the events and handlers say what they are

from __future__ import annotations

from dataclasses import dataclass, field

import actorflow as af
from actorflow.testing import VirtualSystem


@af.event(name="accounts.booked", key="account")
@dataclass(frozen=True)
class Booked:
    account: str
    cents: int


@dataclass
class Balances:
    cents: dict[str, int] = field(default_factory=dict)


class Accounts(af.Service):
    """The side that writes: it decides, and keeps what it needs for that."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Balances()

    def book(self, account: str, cents: int) -> bool:
        """Take a command: refuse it, or say what has happened."""
        left = self.state.cents.get(account, 0) + cents
        if left < 0:
            return False
        self.state.cents[account] = left
        self.publish(Booked(account, cents))
        return True


@dataclass
class Lines:
    of: dict[str, list[str]] = field(default_factory=dict)


class Statements(af.Service):
    """The side that is read: lines of text, as a page shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Lines()

    @af.on(Booked)
    def note(self, event: Booked) -> None:
        self.state.of.setdefault(event.account, []).append(self.line(event.cents))

    def line(self, cents: int) -> str:
        return f"{cents:+}"

    def read(self, account: str) -> list[str]:
        return self.state.of.get(account, [])


def main() -> None:
    """Book, read, change the form of the lines, and read again."""
    with VirtualSystem("bank", seed=1) as system:
        accounts = system.spawn(af.child(Accounts).options(name="accounts", durable=True))
        statements = system.spawn(af.child(Statements).options(name="statements", durable=True))
        print([accounts.call(Accounts.book, "ann", cents).get() for cents in (500, -200, -900)])
        system.sleep(1)  # it hears a moment later: eventual consistency
        print(statements.call(Statements.read, "ann").get())
        Statements.line = lambda _, cents: f"{cents / 100:+.2f} euros"  # type: ignore[method-assign] - code of today
        system.event_log.replay("statements")
        system.sleep(1)
        print(statements.call(Statements.read, "ann").get())


if __name__ == "__main__":
    main()
