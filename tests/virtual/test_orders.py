"""Orders: under any seed messages of a pair keep theirs, and a seed finds a race that first in, first out does not."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem

SEEDS = 20


class Sink(af.Actor):
    """Keeps what it gets, by sender."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[int]] = {}
        self.switches = 0
        self.last = ""

    def on_receive(self, number: int) -> None:
        name = self.ctx.sender.name
        self.switches += name != self.last
        self.last = name
        self.seen.setdefault(name, []).append(number)


class Source(af.Actor):
    """Sends numbers to all sinks: at once, from a chain of its own messages, and from handlers that wait."""

    def __init__(self, sinks: list[af.ActorRef]) -> None:
        super().__init__()
        self.sinks = sinks
        self.number = 0

    def send(self, count: int) -> None:
        for _ in range(count):
            for sink in self.sinks:
                sink.tell(self.number)
            self.number += 1

    def send_slowly(self, count: int) -> None:
        for _ in range(count):
            self.ctx.sleep(0.01)
            self.send(1)

    async def send_async(self, count: int) -> None:
        for _ in range(count):
            await af.timer(0.01)
            self.send(1)


@pytest.mark.parametrize("seed", [None, *range(SEEDS)])
def test_order_of_each_pair_is_kept_over_several_thousand_messages(seed):
    with VirtualSystem(seed=seed) as system:
        sinks = [system.spawn(Sink) for _ in range(4)]
        sources = [system.spawn(af.child(Source, sinks).options(name=f"s{n}")) for n in range(5)]
        for source in sources:
            for method, count in [(Source.send, 60), (Source.send_slowly, 20), (Source.send_async, 20)] * 2:
                source.cast(method, count)
        system.sleep(60)
        for sink in sinks:
            assert sink.proxy().seen.get() == {f"s{n}": list(range(200)) for n in range(5)}
            assert sink.proxy().switches.get() > 5  # they did mix
    # 5 sources x 200 numbers x 4 sinks


class Falls(af.Actor):
    """Crashes if it is told to; else notes what it gets."""

    def __init__(self, got: list[int]) -> None:
        super().__init__()
        self.got = got

    def crash(self) -> None:
        raise ValueError

    def on_receive(self, number: int) -> None:
        self.got.append(number)

    def chatter(self, rounds: int) -> None:
        if rounds:
            self.actor_ref.cast(Falls.chatter, rounds - 1)


def test_order_of_a_pair_is_kept_over_restarts_under_seeds():
    for seed in range(150):
        got: list[int] = []
        recipes = [af.child(Falls, got).options(name=name) for name in "ab"]
        with VirtualSystem(seed=seed) as system:
            system.spawn(af.child(af.Supervisor, *recipes, strategy="one_for_all").options(name="sup"))
            a, b = (system.find(f"/test/sup/{name}") for name in "ab")
            for _ in range(20):  # so that the seed has much to choose from
                system.spawn(Falls, got).cast(Falls.chatter, 5)
            a.cast(Falls.crash)
            for number in range(4):
                b.tell(number)
            system.sleep(0)
        assert got == [0, 1, 2, 3], seed


class Account(af.Actor):
    """Has a balance that others read, and write back."""

    def __init__(self) -> None:
        super().__init__()
        self.balance = 100

    def read(self) -> int:
        return self.balance

    def write(self, balance: int) -> None:
        self.balance = balance


class Teller(af.Actor):
    """Adds to a balance by a read and a write: the planted bug, since another may write in between."""

    def deposit(self, account, amount: int) -> None:
        self.account, self.amount = account, amount
        self.ctx.pipe(account.call(Account.read), self.got)

    def got(self, balance: int) -> None:
        self.account.cast(Account.write, balance + self.amount)


class Branch(af.Actor):
    """Sends the second teller once the first one's read is on its way: in the live order that is always late enough."""

    def __init__(self, tellers, account) -> None:
        super().__init__()
        self.tellers, self.account = tellers, account

    def run(self, hops: int) -> None:
        if hops == 6:
            self.tellers[0].cast(Teller.deposit, self.account, 10)
        if hops:
            self.actor_ref.cast(Branch.run, hops - 1)
        else:
            self.tellers[1].cast(Teller.deposit, self.account, 20)


def balance_after_two_deposits(seed: int | None) -> int:
    with VirtualSystem(seed=seed) as system:
        account = system.spawn(Account)
        branch = system.spawn(Branch, [system.spawn(Teller) for _ in range(2)], account)
        branch.cast(Branch.run, 6)
        system.sleep(1)
        return account.call(Account.read).get()


def test_a_planted_race_is_not_found_by_first_in_first_out_but_by_some_seed():
    assert balance_after_two_deposits(None) == 130
    found = {seed: balance_after_two_deposits(seed) for seed in range(100)}
    lost = [seed for seed, balance in found.items() if balance != 130]
    assert lost
    assert len(lost) < 100  # a race, not a bug in each order
    assert balance_after_two_deposits(lost[0]) == found[lost[0]]  # and it can be replayed
