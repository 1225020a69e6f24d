"""An app of all that is durable: actors, services, a queue with a schedule, a workflow, a DAG, a saga, a machine."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import actorflow as af
from actorflow.sim import Simulation

AGAIN = af.Backoff(0.5, factor=1, jitter=0)  # restarts of actors while the store fails
DONE: Counter[str] = Counter()  # what has happened outside


@dataclasses.dataclass
class Seen:
    numbers: list[int] = dataclasses.field(default_factory=list)
    ticks: int = 0


class Account(af.Actor, durable=True):
    """Keeps numbers; passes each on, and has a timer."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    def put(self, number: int) -> None:
        self.state.numbers.append(number)
        self.ctx.after(1.0, self.tick)

    def slow(self, number: int) -> None:
        self.state.numbers.append(number)
        self.ctx.sleep(2)
        self.state.numbers.append(-number)

    def on_receive(self, message: int) -> None:
        self.slow(message) if message % 4 == 0 else self.put(message)

    def tick(self) -> None:
        self.state.ticks += 1


@af.event(name="everything.placed", key="key")
@dataclasses.dataclass
class Placed:
    key: str
    n: int


@af.event(name="everything.paid", key="key")
@dataclasses.dataclass
class Paid:
    key: str
    n: int


class Payments(af.Service, durable=True):
    """Publishes a Paid for each Placed."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    @af.on(Placed)
    def charge(self, event: Placed) -> Paid:
        self.state.numbers.append(event.n)
        return Paid(event.key, event.n)


class Shipping(af.Service, durable=True):
    """Notes what was paid."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    @af.on(Paid)
    def ship(self, event: Paid) -> None:
        self.state.numbers.append(event.n)


class Order(af.StateMachine, durable=True):
    """Expires unless it is paid."""

    new, paid, dead = af.State(initial=True), af.State(final=True), af.State(final=True)

    @new.to(paid)
    def pay(self) -> None: ...

    @new.after(30, dead)
    def expire(self) -> None: ...


@af.task(name="everything.work", retry=af.Retry(20, af.Backoff(0.5)))
def work(n: int) -> int:
    DONE[f"work {n}"] += 1
    return n


@af.task(name="everything.sweep")
def sweep() -> None:
    DONE["sweep"] += 1


@af.task(name="everything.double")
def double(n: int) -> int:
    DONE[f"double {n}"] += 1
    return 2 * n


@af.workflow(name="everything.flow")
def flow(n: int) -> list[int]:
    """Two steps in a row, two beside each other, and a sleep."""
    first = double(n)
    both = af.gather(double.submit(first + 1), double.submit(first + 2)).get()
    af.sleep(1.0)
    return [first, *both]


@af.task(name="everything.book")
def book(what: str) -> str:
    DONE[f"book {what}"] += 1
    return what


@book.compensate
def unbook(what: str) -> None:
    DONE[f"unbook {what}"] += 1


@af.task(name="everything.refuse")
def refuse() -> None:
    raise af.Permanent("no room")


@af.saga(name="everything.trip")
def trip(name: str) -> None:
    """Two bookings, which are undone."""
    book(f"{name} seat")
    book(f"{name} room")
    refuse()


DAG = af.Dag("everything.dag", durable=True)
FIRST = DAG.add(double, 20)
SECOND = DAG.add(double, FIRST)


def app_of(**options: Any) -> af.App:
    """Return the app."""
    return (
        af.App("all", system=af.Settings(intensity=100), **options)
        .add(
            af.child(Account).options(name="account", backoff=AGAIN),
            af.child(Payments).options(name="payments", backoff=AGAIN),
            af.child(Shipping).options(name="shipping", backoff=AGAIN),
            af.child(Order).options(name="order", backoff=AGAIN),
            work,
            sweep,
            double,
            flow,
            book,
            refuse,
            trip,
            DAG,
        )
        .add(af.queue("jobs", workers=2).cron("* * * * *", sweep))
    )


class Load:
    """Clients of the app, and the model of what has to come of them."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.sent: list[int] = []
        self.placed: list[int] = []
        self.jobs: list[int] = []
        self.runs: list[str] = []

    def system(self) -> Any:
        """Return a system that is up; None if none is."""
        return next((node.system for node in self.sim.nodes if node.is_up), None)

    def declare(self, orders: int) -> None:
        """Have clients send, publish and enqueue."""
        for n in range(1, orders + 1):
            for act in (self.send, self.place, self.enqueue):
                self.sim.at(n * 0.7).call(lambda act=act, n=n: act(n))

    def send(self, n: int) -> bool:
        """Send a message to the account: each fourth one takes its time. False: no node is up."""
        system = self.system()
        if system is not None:
            system.durable("account", Account).cast(Account.slow if n % 4 == 0 else Account.put, n)
            self.sent.append(n)
        return system is not None

    def place(self, n: int) -> bool:
        """Publish an event."""
        system = self.system()
        if system is not None:
            system.publish(Placed(f"k{n % 3}", n))
            self.placed.append(n)
        return system is not None

    def enqueue(self, n: int) -> bool:
        """Put a job into the queue."""
        system = self.system()
        if system is not None:
            system.queue("jobs").enqueue(work, n)
            self.jobs.append(n)
        return system is not None

    def deliver(self, n: int) -> bool:
        """Deliver a message to the account once, however often it is tried."""
        system = self.system()
        if system is not None:
            system.deliver(system.durable("account", Account), n, id=str(n))
            self.sent.append(n)
        return system is not None

    def begin_at(self, time: float, what: Any, *args: Any) -> None:
        """Start a run at a time."""
        self.sim.at(time).call(self.begin(what, *args))

    def begin(self, what: Any, *args: Any) -> Callable[[], bool]:
        """Return a function that starts a run."""

        def begin() -> bool:
            system = self.system()
            if system is not None:
                self.runs.append(system.start(what, *args).id)
            return system is not None

        return begin

    def crash_often(self, seed: int, times: int = 2) -> None:
        """Have nodes and hosts crash: not so often that a message is poison, which has killed three processes."""
        rng, sim = random.Random(seed), self.sim
        for _ in range(times):
            sim.at(rng.uniform(0, 10)).crash(rng.choice(sim.nodes), down=rng.uniform(0, 5))
        for name in ("account", "payments", "shipping"):
            node = rng.randrange(len(sim.nodes))
            label = f"/all/{name}" if node == 0 else f"/all/{name} (node {node})"
            sim.at(rng.uniform(0, 10)).crash(label, down=rng.uniform(0, 2))

    def state(self, name: str, cls: type[Any]) -> Any:
        """Return the state of a durable actor; of a machine, its name."""
        owners: list[tuple[int, Any]] = []  # a node that was paused does not know yet that it has lost the actor
        for node in self.sim.nodes:
            ref: Any = None if node.system is None else node.system.find(f"/all/{name}", cls)
            actor = None if ref is None else self.sim.peek(ref)
            if actor is not None and ref._box.is_owner:
                owners.append((ref._box.epoch, actor))
        return max(owners)[1].state if owners else None

    def check(self, *, is_doubtful: bool = False) -> None:
        """See that each message and event was handled once, each job at least once, and each run has ended.

        `is_doubtful`: an event may have been published twice, as nobody knew whether the first time was in vain.
        """
        account = self.state("account", Account).numbers
        assert sorted(n for n in account if n > 0) == sorted(self.sent)
        assert sorted(-n for n in account if n < 0) == sorted(n for n in self.sent if n % 4 == 0)
        paid = self.state("payments", Payments).numbers
        assert sorted(set(paid) if is_doubtful else paid) == sorted(self.placed)
        assert sorted(self.state("shipping", Shipping).numbers) == sorted(paid)
        assert all(DONE[f"work {n}"] for n in self.jobs)
        system = self.system()
        statuses = {run: system.get_run(run).status for run in self.runs}
        assert set(statuses.values()) <= {"completed", "compensated"}, statuses
