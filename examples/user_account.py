"""A user account: registered, verified, locked for a while after three bad passwords, deleted.

    python -m examples.user_account

The clock of this program is virtual, so the quarter of an hour that the account is locked takes no time.
"""

from __future__ import annotations

import actorflow as af
from actorflow.machine import Record
from actorflow.testing import VirtualSystem

ATTEMPTS = 3
LOCKED_FOR = 900.0


class Account(af.StateMachine):
    """One account. Its events are methods, and which of them are legal depends on the state."""

    registered = af.State(initial=True)
    verified = af.State()
    locked = af.State()
    deleted = af.State(final=True)  # nothing leads out of it

    def __init__(self, password: str, code: str) -> None:
        super().__init__()
        # Attributes that begin with "_" stay out of snapshots: a password should.
        self._password, self._code = password, code
        self.bad = 0

    # Guards look, and change nothing. They get what their event gets.

    def is_right_code(self, code: str) -> bool:
        return code == self._code

    def is_right(self, password: str) -> bool:
        return password == self._password

    def is_last_attempt(self, password: str) -> bool:
        return self.bad + 1 >= ATTEMPTS

    # Events. A wrong code is no event of any rule, so it is refused, and the caller gets TransitionRefused.

    @registered.to(verified, when=is_right_code)
    def verify(self, code: str) -> None: ...

    # A wrong password is expected, so it has rules of its own. The first one that fits is taken.

    @verified.stay(when=is_right)
    @verified.to(locked, when=is_last_attempt)
    @verified.stay
    def log_in(self, password: str) -> bool:
        good = self.is_right(password)
        self.bad = 0 if good else self.bad + 1
        return good

    @(registered | verified | locked).to(deleted)
    def delete(self) -> None: ...

    # The timeout belongs to the state: leaving it, by `delete` say, cancels it.

    @locked.after(LOCKED_FOR, verified)
    def unlock(self) -> None: ...

    # A hook runs whichever way the state is left.

    @locked.exit
    def forgive(self) -> None:
        self.bad = 0


def show(record: Record) -> None:
    """Print a transition."""
    print(f"{record.event:>10}: {record.source} -> {record.target}")


def main() -> None:
    """Take one account through its life."""
    with VirtualSystem("accounts") as system:
        account = system.spawn(Account, "tr0ub4dor", "1234")
        account.subscribe(show)
        try:
            account.call(Account.verify, "4321").get()
        except af.TransitionRefused as refusal:
            print(f"   refused: {refusal}")
        account.call(Account.verify, "1234").get()

        for _ in range(ATTEMPTS):
            account.call(Account.log_in, "guess").get()
        try:
            account.call(Account.log_in, "tr0ub4dor").get()
        except af.TransitionRefused as refusal:
            print(f"   refused: {refusal}")

        system.sleep(LOCKED_FOR)
        print(f"logged in?  {account.call(Account.log_in, 'tr0ub4dor').get()}")
        account.call(Account.delete).get()
        print(f"at the end: {account.state}, after {len(account.history)} transitions")


if __name__ == "__main__":
    main()
