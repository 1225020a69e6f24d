"""State machines as actors, each taken through 4 events by messages that nobody waits for. History off.

Both have a guard, an action and two attributes in each machine. pykka's have a `transitions` machine each.
"""

import gc
import threading
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import psutil

from . import probe
from .harness import OURS, TRANSITIONS, WAIT, Experiment, Figures, Goal, Row, check
from .machine_peers import FLAT
from .runtimes import pykka_actors

MANY = 100_000
PEERS = 1000  # a thread each
AMOUNT = 5


def experiments(*, quick: bool) -> list[Experiment]:
    """Give machine_actors, each sample in a fresh process. Memory is what is on top of the users' two attributes."""
    many = MANY // 10 if quick else MANY
    return [
        Experiment(
            "machine_actors",
            {
                OURS: partial(probe.sample, ours, many),
                TRANSITIONS: partial(probe.sample, with_transitions, PEERS),
            },
            [
                Row("rate", f"{many:,} machine actors (pykka {PEERS:,}): events", "/s", [Goal(">=", 3, TRANSITIONS)]),
                Row("call", "same, each event a call whose answer is read", "/s"),
                Row("total", f"{many:,} machine actors after 4 events", "MB", [Goal("<=", 100)]),
                Row("each", "one of them", "B"),
            ],
        )
    ]


class Attributes:
    """What a user's machine has of its own."""

    def __init__(self) -> None:
        self.allowed = self.acted = 0


class Gate:
    """Opens when the last event of the last machine has come."""

    def __init__(self, machines: int) -> None:
        self.left = machines
        self.opened = threading.Event()
        self.lock = threading.Lock()

    def arrive(self) -> None:
        with self.lock:
            self.left -= 1
            if not self.left:
                self.opened.set()


GATE: Gate | None = None


def ours(n: int) -> Figures:
    """Spawn n of our machines; take each through 4 events, twice."""
    import actorflow as af

    class Order(af.StateMachine, history=0):
        new, paid, shipped, done = af.State(initial=True), af.State(), af.State(), af.State()

        def __init__(self) -> None:
            super().__init__()
            self.allowed = self.acted = 0

        def allow(self, amount: int) -> bool:
            self.allowed += 1
            return amount > 0

        @new.to(paid, when=allow)
        def pay(self, amount: int) -> None:
            self.acted += 1

        @paid.to(shipped, when=allow)
        def ship(self, amount: int) -> None:
            self.acted += 1

        @shipped.to(done, when=allow)
        def deliver(self, amount: int) -> None:
            self.acted += 1

        @done.to(new, when=allow)
        def reset(self, amount: int) -> None:
            self.acted += 1
            assert GATE is not None
            GATE.arrive()

        def counts(self) -> tuple[int, int]:
            return self.allowed, self.acted

    kept = [Attributes()] * n  # to the end, or machines would go where they were
    before = _resident()
    for i in range(n):
        kept[i] = Attributes()
    attributes = _resident() - before
    with af.ActorSystem("bench") as system:
        events = (Order.pay, Order.ship, Order.deliver, Order.reset)
        refs: list[Any] = [None] * n
        _run_through([system.spawn(Order)], events, lambda ref, event: ref.cast(event, AMOUNT))
        before = _resident()
        for i in range(n):
            refs[i] = system.spawn(Order)
        begin = perf_counter()
        _new_gate(n)
        for event in events:
            for first in range(0, n, 1000):
                for future in [ref.call(event, AMOUNT) for ref in refs[first : first + 1000]]:
                    future.get(timeout=WAIT)
        asked = perf_counter() - begin
        grown = _resident() - before - attributes  # now, as a backlog of casts would stay in the resident set
        seconds = _run_through(refs, events, lambda ref, event: ref.cast(event, AMOUNT))
        for ref in refs:
            check(ref.call(Order.counts).get(timeout=WAIT) == (8, 8), "an event was not handled")
    return {"rate": 4 * n / seconds, "call": 4 * n / asked, "total": grown / 1e6, "each": grown / n}


def with_transitions(n: int) -> Figures:
    """Spawn n of pykka's actors with a machine each; take each through 4 events, twice."""
    from transitions import Machine

    rules = [[event, source, target, "allow", None, "act"] for source, event, target in FLAT]
    states = [source for source, _, _ in FLAT]

    class Order:
        def __init__(self) -> None:
            super().__init__()
            self.allowed = self.acted = 0

        def on_start(self) -> None:
            Machine(self, states, transitions=rules, initial="new", auto_transitions=False)

        def allow(self, amount: int) -> bool:
            self.allowed += 1
            return amount > 0

        def act(self, amount: int) -> None:
            self.acted += 1

        def on_receive(self, message: Any) -> Any:
            if message == "counts":
                return self.allowed, self.acted
            event, amount = message
            result = getattr(self, event)(amount)
            if event == "reset":
                assert GATE is not None
                GATE.arrive()
            return result

    with pykka_actors() as spawn:
        events = tuple(event for _, event, _ in FLAT)
        refs: list[Any] = [None] * n
        _run_through([spawn(Order)], events, lambda ref, event: ref.tell((event, AMOUNT)))
        before = _resident()
        for i in range(n):
            refs[i] = spawn(Order)
        begin = perf_counter()
        _new_gate(n)
        for event in events:
            for future in [ref.ask((event, AMOUNT), block=False) for ref in refs]:
                future.get(timeout=WAIT)
        asked = perf_counter() - begin
        grown = _resident() - before
        seconds = _run_through(refs, events, lambda ref, event: ref.tell((event, AMOUNT)))
        for ref in refs:
            check(ref.ask("counts", timeout=WAIT) == (8, 8), "an event was not handled")
    return {"rate": 4 * n / seconds, "call": 4 * n / asked, "each": grown / n}


def _run_through(refs: list[Any], events: tuple[Any, ...], tell: Callable[[Any, Any], object]) -> float:
    """Tell each machine each event, all the first one first; give the seconds until the last has been handled."""
    gate = _new_gate(len(refs))
    begin = perf_counter()
    for event in events:
        for ref in refs:
            tell(ref, event)
    check(gate.opened.wait(WAIT), "an event was not handled")
    return perf_counter() - begin


def _new_gate(machines: int) -> Gate:
    global GATE
    GATE = Gate(machines)
    return GATE


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
