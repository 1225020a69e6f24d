"""The same orders by five patterns, measured side by side: `python -m examples.compare_patterns --orders 10000`.

Each order is picked, paid and shipped; one of twenty cannot be shipped, so that its payment and its items go back.
The acts themselves cost nothing: what is measured is the coordination. `docs/which-pattern.md` tells how to read it.
With 10,000 orders it takes some minutes, and says meanwhile what it is at.
"""

# ruff: noqa: D101, D103 - the forms are as short as they can be: names say what they do

from __future__ import annotations

import argparse
import inspect
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import actorflow as af
from actorflow.store.group_commit import Commits

ONE_BY_ONE = 50  # orders whose latency is measured
PATIENCE = 600  # seconds
BEGAN = time.perf_counter()


class Undeliverable(Exception):
    """An order that cannot be shipped."""


PAID: dict[int, float] = {}  # orders that are paid, and neither shipped nor refunded yet, with the time
OPEN: list[float] = []  # for how many seconds each order was so


def pick(order: int) -> None: ...
def put_back(order: int) -> None: ...


def pay(order: int) -> None:
    PAID[order] = time.perf_counter()


def refund(order: int) -> None:
    OPEN.append(time.perf_counter() - PAID.pop(order))


def ship(order: int) -> None:
    if order % 20 == 19:
        raise Undeliverable
    OPEN.append(time.perf_counter() - PAID.pop(order))


# --- state machines: in memory ---------------------------------------------------------------------------------------


class OrderMachine(af.StateMachine, stop_when_final=True):
    placed, picked, paid = af.State(initial=True), af.State(), af.State()
    shipped, undone = af.State(final=True), af.State(final=True)

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    @placed.to(picked)
    def pick(self) -> None:
        pick(self.order)

    @picked.to(paid)
    def pay(self) -> None:
        pay(self.order)

    @paid.to(shipped)
    def ship(self) -> None:
        ship(self.order)

    @paid.to(undone)
    def undo(self) -> None:
        refund(self.order)
        put_back(self.order)


def by_machine(system: af.ActorSystem, order: int) -> None:
    machine = system.spawn(OrderMachine, order)
    machine.call(OrderMachine.pick).get()
    machine.call(OrderMachine.pay).get()
    try:
        machine.call(OrderMachine.ship).get()
    except Undeliverable:
        machine.call(OrderMachine.undo).get()


# --- workflow --------------------------------------------------------------------------------------------------------


@af.task
async def pick_step(order: int) -> None:
    pick(order)


@af.task
async def put_back_step(order: int) -> None:
    put_back(order)


@af.task
async def pay_step(order: int) -> None:
    pay(order)


@af.task
async def refund_step(order: int) -> None:
    refund(order)


@af.task(raises=Undeliverable)
async def ship_step(order: int) -> None:
    ship(order)


@af.workflow
async def order_workflow(order: int) -> None:
    await pick_step(order)
    await pay_step(order)
    try:
        await ship_step(order)
    except Undeliverable:
        await refund_step(order)
        await put_back_step(order)


# --- queue: a job for each order -------------------------------------------------------------------------------------


@af.task
def order_job(order: int) -> None:
    pick(order)
    pay(order)
    try:
        ship(order)
    except Undeliverable:
        refund(order)
        put_back(order)


# --- saga ------------------------------------------------------------------------------------------------------------


@af.task
async def pick_act(order: int) -> None:
    pick(order)


@pick_act.compensate
async def put_back_act(_: None, order: int) -> None:
    put_back(order)


@af.task
async def pay_act(order: int) -> None:
    pay(order)


@pay_act.compensate
async def refund_act(_: None, order: int) -> None:
    refund(order)


@af.task(raises=Undeliverable)
async def ship_act(order: int) -> None:
    ship(order)


@af.saga
async def order_saga(order: int) -> None:
    await pick_act(order)
    await pay_act(order)
    await ship_act(order)


# --- choreography ----------------------------------------------------------------------------------------------------


@af.event(name="compare.placed", key="order")
@dataclass(frozen=True)
class Placed:
    order: int


@af.event(name="compare.put-back", key="order")
@dataclass(frozen=True)
class PutBack:
    order: int


@af.event(name="compare.picked", key="order", undo=PutBack)
@dataclass(frozen=True)
class Picked:
    order: int


@af.event(name="compare.refunded", key="order")
@dataclass(frozen=True)
class Refunded:
    order: int


@af.event(name="compare.paid", key="order", undo=Refunded)
@dataclass(frozen=True)
class Paid:
    order: int


@af.event(name="compare.shipped", key="order")
@dataclass(frozen=True)
class Shipped:
    order: int


@af.event(name="compare.not-shipped", key="order", failure=True)
@dataclass(frozen=True)
class NotShipped:
    order: int


class Stock(af.Service):
    @af.on(Placed)
    def pick(self, event: Placed) -> Picked:
        pick(event.order)
        return Picked(event.order)

    @af.on(Refunded)
    def put_back(self, event: Refunded) -> PutBack:
        put_back(event.order)
        return PutBack(event.order)


class Payments(af.Service):
    @af.on(Picked)
    def pay(self, event: Picked) -> Paid:
        pay(event.order)
        return Paid(event.order)

    @af.on(NotShipped)
    def refund(self, event: NotShipped) -> Refunded:
        refund(event.order)
        return Refunded(event.order)


class Shipping(af.Service):
    @af.on(Paid)
    def ship(self, event: Paid) -> Shipped | NotShipped:
        try:
            ship(event.order)
        except Undeliverable:
            return NotShipped(event.order)
        return Shipped(event.order)


@dataclass
class Waiting:
    """Who waits for the end of an order, and orders that ended before somebody waited."""

    replies: dict[int, af.Reply] = field(default_factory=dict)
    over: list[int] = field(default_factory=list)


class Ends(af.Service):
    def __init__(self) -> None:
        super().__init__()
        self.state = Waiting()

    def wait(self, order: int) -> af.Reply | None:
        if order in self.state.over:
            return self.state.over.remove(order)
        self.state.replies[order] = reply = self.ctx.reply_later()
        return reply

    @af.on(Shipped, PutBack)
    def end(self, event: Shipped | PutBack) -> None:
        if reply := self.state.replies.pop(event.order, None):
            reply.set(None)
        else:
            self.state.over.append(event.order)


def by_events(system: af.ActorSystem, order: int) -> None:
    end = system.durable("ends", Ends).call(Ends.wait, order)
    system.publish(Placed(order))
    end.get()


# --- the five, side by side ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """One way to coordinate.

    Attributes:
        name: as the table has it.
        perform: has an order fulfilled, and returns at its end.
        code: what a user writes for it.
        messages: calls, steps, jobs or events of an order that is shipped.
        broken: which rule can be seen broken, and for how long.
        open: starts what it needs.
    """

    name: str
    perform: Callable[[af.ActorSystem, int], object]
    code: tuple[Any, ...]
    messages: int
    broken: str
    open: Callable[[af.ActorSystem], object] = lambda _: None

    @property
    def lines(self) -> int:
        """How many lines of code it takes, without blank ones."""
        sources = (inspect.getsource(getattr(part, "function", part)) for part in self.code)
        return sum(bool(line.strip()) for source in sources for line in source.splitlines())


def open_services(system: af.ActorSystem) -> None:
    for service in (Stock, Payments, Shipping, Ends):
        system.spawn(af.child(service).options(name=service.__name__.lower(), durable=True))


STEPS = (pick_step, put_back_step, pay_step, refund_step, ship_step)
ACTS = (pick_act, put_back_act, pay_act, refund_act, ship_act)
EVENTS = (Placed, PutBack, Picked, Refunded, Paid, Shipped, NotShipped)
PATTERNS = (
    Pattern(
        "state machine", by_machine, (OrderMachine, by_machine), 3, "a kill loses the order, paid or not: for ever"
    ),
    Pattern(
        "workflow",
        lambda system, order: system.start(order_workflow, order).result(),
        (*STEPS, order_workflow),
        3,
        "paid and not shipped: until the run goes on",
    ),
    Pattern(
        "queue",
        lambda system, order: system.queue("orders", workers=4).enqueue(order_job, order).result(),
        (order_job,),
        1,
        "paid twice after a kill, unless each act is idempotent",
    ),
    Pattern(
        "saga",
        lambda system, order: finish(system.start(order_saga, order)),
        (*ACTS, order_saga),
        3,
        "paid and not shipped: until the saga goes on",
    ),
    Pattern(
        "choreography",
        by_events,
        (*EVENTS, Stock, Payments, Shipping, Ends, by_events),
        5,
        "paid and not shipped: until the last service has heard",
        open_services,
    ),
)


def finish(run: af.Run[None]) -> None:
    """Wait for a saga, which may have been undone."""
    with suppress(af.RunFailed):
        run.result()


# --- measuring -------------------------------------------------------------------------------------------------------


@contextmanager
def counted_commits() -> Iterator[Callable[[], int]]:
    """Count the commits of this process."""
    write, count = Commits._commit_writer, 0

    def counting(commits: Commits) -> None:
        nonlocal count
        count += 1
        write(commits)

    Commits._commit_writer = counting  # type: ignore[method-assign]
    try:
        yield lambda: count
    finally:
        Commits._commit_writer = write  # type: ignore[method-assign]


def clients(pattern: Pattern, system: af.ActorSystem, orders: Sequence[int], number: int) -> float:
    """Have so many clients see to the orders, each one by one; return the seconds that it took."""
    left = iter(orders)

    def work() -> None:
        for order in left:  # the clients share it
            pattern.perform(system, order)

    began = time.perf_counter()
    with ThreadPoolExecutor(number) as threads:
        for done in [threads.submit(work) for _ in range(number)]:
            done.result(PATIENCE)
    return time.perf_counter() - began


def measure(pattern: Pattern, count: int, folder: Path) -> list[str]:
    """Return the cells of a pattern's row."""
    say(pattern, "one order after the other")
    with af.ActorSystem("compare", store=f"sqlite:///{folder}/{pattern.name}.db", durability="process") as system:
        pattern.open(system)
        orders = iter(range(10**9))
        clients(pattern, system, [next(orders) for _ in range(20)], 4)  # what is made at first use is there
        latencies = []
        OPEN.clear()
        with counted_commits() as commits:
            for _ in range(ONE_BY_ONE):
                began = time.perf_counter()
                pattern.perform(system, next(orders))
                latencies.append((time.perf_counter() - began) * 1000)
            alone, gaps = commits() / ONE_BY_ONE, [1000 * seconds for seconds in OPEN]
            rates = []
            for number in (1, 2, 4):
                say(pattern, f"clients: {number}")
                some = [next(orders) for _ in range(max(count // 10, number))]
                rates.append(len(some) / clients(pattern, system, some, number))
            say(pattern, "clients: 64")
            before, many = commits(), [next(orders) for _ in range(count)]
            rates.append(count / clients(pattern, system, many, 64))
            together = (commits() - before) / count
    shared = [processes(pattern, count // 3, number, folder) for number in (1, 2, 4)]
    return [
        middle_and_most(latencies),
        " / ".join(f"{rate:,.0f}" for rate in rates),
        " / ".join(f"{rate:,.0f}" for rate in shared),
        str(pattern.messages),
        f"{alone:.1f} / {together:.1f}",
        f"{recovery(pattern, folder):.2f}",
        middle_and_most(gaps),
        str(pattern.lines),
        pattern.broken,
    ]


def middle_and_most(milliseconds: list[float]) -> str:
    """Return the median and the 99th percentile."""
    return f"{statistics.median(milliseconds):.1f} / {statistics.quantiles(milliseconds, n=100)[-1]:.1f}"


def say(pattern: Pattern, part: str) -> None:
    """Tell what is measured now, beside the table."""
    print(f"{time.perf_counter() - BEGAN:4.0f} s  {pattern.name}: {part}", file=sys.stderr, flush=True)


# --- several processes, and one that is killed -----------------------------------------------------------------------


def child(pattern: Pattern, file: str, first: int, count: int, number: int) -> None:
    """See to some orders in a process of its own, once the parent says so."""
    with af.ActorSystem("compare", store=f"sqlite:///{file}", durability="process") as system:
        pattern.open(system)
        print("ready", flush=True)
        sys.stdin.readline()
        clients(pattern, system, range(first, first + count), number)
        print("done", flush=True)
        sys.stdin.readline()


def started(pattern: Pattern, file: Path, first: int, count: int, number: int) -> subprocess.Popen[str]:
    """Start a child, which waits for a line."""
    command = [sys.executable, "-m", "examples.compare_patterns", "--child", pattern.name]
    numbers = [str(file), str(first), str(count), str(number)]
    return subprocess.Popen([*command, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def expect(process: subprocess.Popen[str], word: str) -> None:
    """Wait for a word of a child."""
    assert process.stdout is not None
    if process.stdout.readline().strip() != word:
        raise RuntimeError(f"a child ended before it was {word}")


def tell(process: subprocess.Popen[str]) -> None:
    """Have a child go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def processes(pattern: Pattern, count: int, number: int, folder: Path) -> float:
    """Return the orders a second of so many processes on one store, with 16 clients each."""
    say(pattern, f"processes: {number}")
    share = count // number
    file = folder / f"{pattern.name} {number}.db"
    children = [started(pattern, file, share * place, share, 16) for place in range(number)]
    try:
        for process in children:
            expect(process, "ready")
        began = time.perf_counter()
        for process in children:
            tell(process)
        for process in children:
            expect(process, "done")
        seconds = time.perf_counter() - began
        for process in children:
            tell(process)
            process.wait(PATIENCE)
    finally:
        for process in children:
            process.kill()
            process.communicate()
    return share * number / seconds


def recovery(pattern: Pattern, folder: Path) -> float:
    """Return the seconds from a kill -9 with orders under way to the end of an order in the next process."""
    say(pattern, "a kill -9")
    file = folder / f"{pattern.name} killed.db"
    with started(pattern, file, 0, 10**6, 16) as killed:
        expect(killed, "ready")
        tell(killed)
        time.sleep(1)
        killed.kill()
        began = time.perf_counter()
        with started(pattern, file, 10**6, 1, 1) as process:
            expect(process, "ready")
            tell(process)
            expect(process, "done")
            seconds = time.perf_counter() - began
            process.kill()
    return seconds


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m examples.compare_patterns", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--orders", type=int, default=10_000, help="for each pattern, by 64 clients and by processes (10000)"
    )
    parser.add_argument("--only", choices=[pattern.name for pattern in PATTERNS], help="measure this one")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        name, file, *numbers = options.child
        child(next(one for one in PATTERNS if one.name == name), file, *map(int, numbers))
        return 0
    table = Table(title=f"{options.orders:,} orders")
    for heading in (
        "pattern",
        "ms for an order, p50 / p99",
        "orders/s of 1 / 2 / 4 / 64 clients",
        "of 1 / 2 / 4 processes",
        "messages",
        "commits an order, alone / of 64 clients",
        "s to recover",
        "ms paid and not shipped, p50 / p99",
        "lines",
        "what can be seen broken",
    ):
        table.add_column(heading)
    with tempfile.TemporaryDirectory() as folder:
        for pattern in PATTERNS:
            if options.only in {None, pattern.name}:
                table.add_row(pattern.name, *measure(pattern, options.orders, Path(folder)))
    Console(width=230).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
