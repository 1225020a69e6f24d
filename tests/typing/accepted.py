"""The contract, as far as it exists, for mypy --strict and pyright to accept. Checked, never run."""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_type

import pykka

import actorflow as af
from actorflow.machine import Event
from actorflow.machine.definition.builder import ChartBuilder
from actorflow.machine.rules import StateGroup
from actorflow.sim import (
    Clients,
    Histogram,
    Interval,
    Link,
    Report,
    Simulation,
    exponential,
    interval_of,
    lognormal,
    simulate,
)
from actorflow.sim import history as checkers
from actorflow.testing import VirtualScheduler, VirtualSystem


class Counter(af.Actor):
    """Holds a number."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.n = start

    def add(self, k: int = 1) -> int:
        """Add and return the sum."""
        self.n += k
        return self.n

    async def slow(self, k: int) -> str:
        """Ask another counter without blocking, then answer."""
        other = self.ctx.spawn(Counter, k)
        total = await other.call(Counter.add, 1)
        assert_type(total, int)
        await af.timer(0.5)
        return str(total)


class Careful(Counter, blocking=True, capacity=10, overflow="fail", restart="transient", shutdown=1.0):
    """Options as class keywords; methods of a subclass on refs of both."""

    def go(self, kid: af.ActorRef[Counter]) -> None:
        """Use all of ctx."""
        assert_type(self.actor_ref.call(Counter.add, 1), af.Future[int])
        self.actor_ref.cast(Careful.go, kid)
        timer = self.ctx.after(5.0, self.add, 2)
        assert_type(timer, af.Timer)
        timer.cancel()
        self.ctx.every(1.0, self.tick)
        assert_type(self.ctx.spawn(Counter, 3), af.ActorRef[Counter])
        assert_type(self.ctx.spawn(af.child(Counter, start=3).options(name="kid")), af.ActorRef[Counter])
        self.ctx.watch(kid)
        self.ctx.pipe(kid.call(Counter.add, 1), self.got)
        self.ctx.pipe(kid.call(Counter.add, 1), self.got, on_error=print)
        self.ctx.sleep(0.5)
        self.ctx.stash()
        self.ctx.unstash()
        assert_type(self.ctx.now(), float)
        assert_type(self.ctx.sender, af.ActorRef[Any] | None)
        assert_type(self.ctx.parent, af.ActorRef[Any] | None)
        stream: random.Random = self.ctx.random
        log: logging.LoggerAdapter[logging.Logger] = self.ctx.log
        log.info("drew %s", stream.random())

    def tick(self) -> None:
        """Take a timer's message."""

    def got(self, n: int) -> None:
        """Take a piped result."""

    def later(self) -> af.Reply:
        """Answer later."""
        reply = self.ctx.reply_later()
        assert_type(reply, af.Reply)
        reply.set(3)
        reply.fail(ValueError("no"))
        return reply

    def on_receive(self, message: Any) -> Any:
        """See a watched actor end."""
        if isinstance(message, af.Terminated):
            assert_type(message.ref, af.ActorRef[Any])
            assert_type(message.reason, BaseException | None)
            return None
        return super().on_receive(message)


def refs(system: af.ActorSystem) -> None:
    """Every verb of a ref."""
    hits = system.spawn(af.child(Counter, start=3).options(name="hits"))
    assert_type(hits, af.ActorRef[Counter])
    assert_type(system.spawn(Counter, 3), af.ActorRef[Counter])
    assert_type(system.spawn(Counter, start=3), af.ActorRef[Counter])
    assert_type(Counter.start(3), af.ActorRef[Counter])
    assert_type(hits.call(Counter.add, 2), af.Future[int])
    assert_type(hits.call(Counter.add, k=2).get(timeout=1), int)
    assert_type(hits.call(Counter.slow, 2), af.Future[str])
    hits.cast(Counter.add)
    hits.cast(Counter.slow, 1)
    hits.tell("raw")
    hits.ask("raw", timeout=1)
    hits.proxy().add(2).get()
    assert_type(hits.path, str)
    hits.stop()
    hits.stop(block=False)
    general: af.ActorRef[af.Actor] = hits
    pykkas: pykka.ActorRef[Any] = hits
    assert_type(system.find("/demo/hits", Counter), af.ActorRef[Counter] | None)
    assert_type(system.find("/demo/hits"), af.ActorRef[Any] | None)
    print(general, pykkas)


def futures(one: af.Future[int], other: af.Future[int]) -> None:
    """Futures keep their type through pykka's combinators."""
    assert_type(one.map(str), af.Future[str])
    assert_type(one.get(timeout=0.5), int)
    one.join(other).get()
    as_pykka: pykka.Future[int] = one
    print(as_pykka)


async def awaiting(one: af.Future[int]) -> None:
    """Futures can be awaited."""
    assert_type(await one, int)


class Patient(af.Supervisor, intensity=3, period=60.0, restart="transient", shutdown=2.0): ...


def supervision(system: af.ActorSystem) -> None:
    """Trees, options, and the four verbs for dynamic children."""
    tree = af.child(
        af.Supervisor,
        af.child(Counter, 0).options(name="hits"),
        af.child(Counter, 9).options(
            name="crunch", restart="transient", shutdown=2.0, backoff=af.Backoff(0.5, limit=30)
        ),
        strategy="rest_for_one",
        intensity=3,
        period=60.0,
    ).options(name="tree")
    top = system.spawn(tree)
    assert_type(top, af.ActorRef[af.Supervisor])
    extra = af.child(Counter, 1).options(name="extra")
    assert_type(top.call(af.Supervisor.start_child, extra), af.Future[af.ActorRef[Counter]])
    top.call(af.Supervisor.terminate_child, "extra").get()
    top.call(af.Supervisor.restart_child, "extra").get()
    assert_type(top.call(af.Supervisor.which_children).get(), list[af.ChildState])
    kind: Literal["permanent", "transient", "temporary"] = "temporary"
    af.child(Counter).options(restart=kind, capacity=5, overflow="drop_oldest", blocking=True, loop=False)
    af.Backoff(0.1, factor=1, limit=5, jitter=0)


class Order(af.StateMachine, history=8):
    """Events are methods; decorators keep their types."""

    new, paid, shipped, dead = af.State(initial=True), af.State(), af.State(final=True), af.State(final=True)

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total, self.received = total, 0

    def enough(self, amount: int) -> bool:
        """Guard."""
        return self.received + amount >= self.total

    @new.to(paid, when=enough)
    @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)
    @new.stay
    def pay(self, amount: int) -> int:
        """Act."""
        self.received += amount
        return self.received

    @paid.to(shipped)
    def ship(self, parcel: str) -> None:
        """Act."""

    @(new | paid).to(dead)
    @shipped.stay(when=lambda self, why: bool(why), event="cancel.*")
    def cancel(self, why: str) -> None:
        """Act."""

    @new.after(1800, dead)
    def expire(self) -> None:
        """Act."""

    @paid.enter
    @(paid | new).exit
    def receipt(self) -> None:
        """Run when it is entered, and when it is left."""


class Nested(af.StateMachine):
    """The rest of a statechart."""

    on, off = af.State(initial=True), af.State()
    idle, busy = af.State(parent=on, initial=True), af.State(parent=on)
    par = af.State(parallel=True)
    back = af.History(on, deep=True, default=idle | busy)
    end = af.State(final=True)

    @on.to(busy, internal=True)
    @off.to(back)
    @idle.to(on, event="done.state.par")
    @par.to(end, event="error.*")
    def push(self, force: float, *, twice: bool = False) -> None:
        """Act."""

    @on.defer
    @idle.always(busy, when=lambda self: True)
    @end.donedata
    def rest(self) -> int:
        """Act."""
        return 3

    @on.invoke(Counter)
    @off.invoke(af.child(Counter, 3), id="other", autoforward=True, finalize=lambda self, event: None)
    def counted(self, result: int) -> None:
        """Get the child's result."""


def machines(system: af.ActorSystem) -> None:
    """Use machines by their refs, and charts."""
    order = system.spawn(Order, 5)
    assert_type(order, af.ActorRef[Order])
    assert_type(order.call(Order.pay, 3), af.Future[int])
    order.cast(Order.cancel, why="late")
    assert_type(order.state, str)
    assert_type(system.spawn(Nested).call(Nested.rest), af.Future[int])
    system.spawn(Nested).cast(Nested.push, 0.5, twice=True)
    system.spawn(Order.restore, order.call(Order.snapshot).get())
    assert_type(Order.chart, af.Chart)
    assert_type(af.Chart.from_dict(Order.chart.to_dict(), {"enough": Order.enough}), af.Chart)
    assert_type(Order.new | Order.paid, StateGroup)
    builder = ChartBuilder("door").add_state("shut", initial=True).add_state("open", enter=["log"], exit=print)
    builder.add_transition("shut", "push", "open", when=lambda model, force: force > 3, action="note")
    builder.add_transition("open", None, ("shut", "open"), after=3).set_initial("shut")
    assert_type(builder.build(), af.Chart)


class Kept(af.StateMachine):
    """Starts where its row says, and has rules for any state."""

    class Status(enum.Enum):
        """What the row has."""

        a = 1

    a, b = af.State(initial=True), af.State()
    both = a | b

    def __init__(self, row: Status | str, *, factor: float = 1.0) -> None:
        super().__init__(initial=row)

    @af.State.any().to(b)
    @a.stay(event="one other")
    def go(self, by: int) -> str:
        """Act."""
        return str(by)

    @b.enter
    def entered(self, event: Event) -> None:
        """Get the event."""
        print(event.name, event.args, event.data)

    @af.State.any().exit
    def left(self) -> None:
        """Get nothing."""


def local_machines(system: af.ActorSystem) -> None:
    """Call events as methods, compare states, start in a given one."""
    order = Order.local(5)
    assert_type(order, Order)
    assert_type(order.pay(3), int)
    assert_type(order.state, str)
    assert_type(order.legal, tuple[str, ...])
    kept = Kept.local(Kept.Status.a, factor=2)
    assert_type(kept.go(3), str)
    print(kept.state == Kept.a, kept.state in Kept.both, {Kept.a: 1}[Kept.a], list(Kept.both))
    ref = system.spawn(Kept, "a")
    assert_type(ref.legal, tuple[str, ...])
    print(ref.state == Kept.b)
    assert_type(system.spawn(Nested, initial=Nested.off).state, str)
    assert_type(Nested.local(initial=Nested.idle | Nested.busy), Nested)
    machine = af.Interpreter(Order.chart, Order(5), initial="paid")
    af.Interpreter(Order.chart, Order(5), initial=Order.paid).listen(print)
    af.Interpreter(Order.chart, Order(5), initial=machine.configuration)
    assert_type(af.Interpreter.of(order), af.Interpreter)


def heard(event: af.DeadLetter) -> None:
    """Look at all a dead letter holds."""
    assert_type(event.ref, af.ActorRef[Any])
    assert_type(event.sender, af.ActorRef[Any] | None)
    print(event.message, event.reason)


def lived(event: af.Started | af.Crashed | af.Restarted | af.Stopped) -> None:
    """Look at all a life-cycle event holds."""
    assert_type(event.ref, af.ActorRef[Any])
    assert_type(event.time, float)
    assert_type(event.reason, BaseException | None)


def systems() -> None:
    """Make, subscribe, look, stop."""
    settings = af.Settings(grace=5.0, ask_timeout=None, threads=2000, intensity=1, period=5.0)
    with af.ActorSystem("demo", settings=settings) as system:
        assert_type(system.subscribe(af.DeadLetter, heard), af.Subscription)
        system.subscribe(af.Crashed, lived).cancel()
        system.subscribe(af.Stopped, system.spawn(Counter))
        print(system.tree())
        system.stop(grace=1.0)
        system.run()


@dataclass(frozen=True)
class Flags:
    """The app's settings: fields become flags of the command line."""

    chaos: int = 0


app = af.App("shop", settings=Flags).add(Counter, af.child(Counter, 3).options(name="three"))


@app.main
def main(system: af.ActorSystem, settings: Flags) -> int:
    """Run when the tree is up; the result is the exit code."""
    print(system.tree())
    return settings.chaos


worker = af.App("worker", system=af.Settings(grace=30)).queue("photos", workers=4, rate="10/s")


@worker.main
def stay(system: af.ActorSystem, settings: None) -> None:
    """Return nothing: the exit code is 0."""
    system.ended.get()


def errors() -> None:
    """Old `except` clauses keep working."""
    dead: pykka.ActorDeadError = af.ActorDeadError("dead")
    late: pykka.Timeout = af.AskTimeout("late")
    cycle: af.AskTimeout = af.DeadlockError("A -> B -> A")
    wrong: ValueError = af.DefinitionError("no such option")
    every: tuple[type[af.ActorflowError], ...] = (af.MailboxFull, af.ThreadLimit, af.Stopping, af.Crash)
    limit = af.RestartLimitReached("/demo/tree")
    print(dead, late, cycle, wrong, every, limit.history)


@af.task(retry=af.Retry(5, af.Backoff(0.5, limit=30)), timeout=20)
def fetch(album: str) -> list[str]:
    """A task with options."""
    return [album]


@af.task(cpu=True)
def shrink(photo: str, by: int = 2) -> str:
    """A task for the pool."""
    return f"{photo}/{by}"


@af.task
async def publish(photos: list[str]) -> int:
    """An async task."""
    return len(photos)


@af.task
def count(photos: list[Any]) -> int:
    """What gets the results of a group."""
    return len(photos)


async def awaited_jobs(jobs: af.Queue) -> None:
    """Jobs are added and awaited in asyncio code."""
    job = await jobs.enqueue_async(shrink.options(priority=1), "a.jpg", by=3)
    assert_type(job, af.Job[str])
    assert_type(await job, str)
    assert_type(await jobs.enqueue(publish, ["a.jpg"]), int)
    await jobs.enqueue_many_async(shrink, [("b.jpg",)])


@af.task
def sweep(days: int = 30) -> None:
    """A task that needs no arguments."""


@af.task
def copy(path: str, to: str, first: int, last: int, step: int = 1) -> None:
    """A task of many arguments."""


def pools(system: af.ActorSystem) -> None:
    """Options of a pool's tasks, and the standard library's name for the number of workers."""
    pool = system.pool("cpu", workers=2).options(timeout=2, memory="512M", priority=1, retries=3)
    assert_type(pool.options(timeout=None, memory=None).submit(shrink, "a.jpg", by=3).result(), str)
    af.ProcessPool(max_workers=2, name="own").shutdown()


def queues(system: af.ActorSystem) -> None:
    """A queue knows the types of its tasks."""
    assert_type(fetch("paris"), list[str])
    jobs = system.queue("images", workers=4, rate="100/m", per_key=af.Limit(concurrency=1))
    job = jobs.enqueue(shrink.options(priority=1, delay=60, unique="a.jpg"), "a.jpg", by=3)
    assert_type(job, af.Job[str])
    assert_type(job.result(timeout=1), str)
    assert_type(jobs.enqueue(publish, ["a.jpg"]).result(), int)
    group = jobs.group([(shrink, "a.jpg"), (shrink, "b.jpg")], then=count)
    assert_type(group.then.result(), int)
    jobs.enqueue_many(shrink, [("b.jpg",), ("c.jpg",)])
    jobs.enqueue(shrink.options(retry=af.Retry(3), after=[job], tags=["night"], due=None), photo="a.jpg")
    jobs.cron("*/5 * * * *", fetch, args=("paris",), tz="UTC", catch_up="skip")
    jobs.cron("* * * * *", shrink, args=("a.jpg",), name="small")
    jobs.cron("* * * * *", shrink.options(priority=2), args=("a.jpg", 3))
    jobs.cron("* * * * *", sweep)
    jobs.cron("* * * * *", copy, args=("a", "b", 1, 2))
    jobs.cron("* * * * *", copy, args=("a", "b", 1, 2, 3))
    with jobs.inline():
        jobs.pause()
    assert_type(jobs.stats().completed, int)


def apps() -> None:
    """An app takes declarations of all kinds; a virtual scheduler gives a virtual system."""
    images = af.queue("images", workers=4, rate="100/m").cron("* * * * *", shrink, args=("a.jpg", 3), tz="UTC")
    app = af.App("shop").add(shrink, fetch, images.cron("* * * * *", sweep)).queue("mail")
    assert_type(app.system(), af.ActorSystem)
    assert_type(app.system(scheduler=VirtualScheduler(name="shop", seed=1)), VirtualSystem)
    with af.open_store("memory:", durability="process") as store, af.ActorSystem("web", store=store) as web:
        web.queue("images").enqueue(shrink, "a.jpg")
        assert_type(store, af.Store)


@dataclass
class Raw:
    """The result of one task, and the argument of the next."""

    rows: int


@dataclass
class Clean:
    """The result of the next one."""

    rows: int


@af.task
def extract(day: str) -> Raw:
    """Take one argument."""
    return Raw(len(day))


@af.task
def clean(raw: Raw) -> Clean:
    """Take the result of another task."""
    return Clean(raw.rows)


@af.task
async def clean_async(raw: Raw) -> Clean:
    """Take it in asyncio."""
    return Clean(raw.rows)


@af.task
def audit() -> Clean:
    """Take nothing."""
    return Clean(1)


@af.task
def names(count: int, name: str = "a") -> list[str]:
    """Return a list."""
    return [name] * count


@af.task
def length(text: str) -> int:
    """Take one item of a list."""
    return len(text)


@af.task
def next_number(n: int) -> int:
    """Take its own result."""
    return n + 1


def dags(system: af.ActorSystem) -> None:
    """A DAG knows the types of its tasks, of their results, and of its own."""
    dag = af.Dag("etl", workers=4)
    raw = dag.add(extract, "2026-11-01")
    assert_type(raw, af.Node[Raw])
    assert_type(dag.add(clean, raw), af.Node[Clean])
    assert_type(dag.add(clean_async, raw), af.Node[Clean])
    assert_type(dag.add(clean, Raw(1)), af.Node[Clean])
    assert_type(dag.add(audit, after=[raw, "later"]), af.Node[Clean])
    cleaned = dag.add(
        clean, raw, when=lambda r: r[raw].rows > 0, join=1, priority=2, default=Raw(0), on_failure="ignore"
    )
    dag.add(clean.options(retry=af.Retry(3), timeout=5), raw, group=dag.group("net", limit=2), rest="cancel", name="x")
    dag.add(clean, raw, on_failure=lambda error: Clean(len(str(error))), duration=2.5)
    words = dag.add(names, 3, "b")
    assert_type(words, af.Node[list[str]])
    assert_type(dag.add(names, 3), af.Node[list[str]])
    assert_type(dag.map(length, words, limit=3), af.Node[list[int]])
    assert_type(dag.gather([cleaned, cleaned]), af.Node[list[Clean]])
    assert_type(dag.loop(next_number, 1, until=lambda n: n > 9, limit=20), af.Node[int])
    nested = af.Dag("outer").add(dag)
    assert_type(nested, af.Node[af.Results])
    run = system.start(dag.options(id="etl-1"))
    assert_type(run, af.Run[af.Results])
    assert_type(run.result(timeout=1)[cleaned], Clean)
    assert_type([step.status == "skipped" for step in run.steps], list[bool])
    run.subscribe(lambda event: print(event.kind, event.step))
    run.pause()
    run.resume()
    run.cancel()


@af.workflow
def counted(n: int) -> str:
    """Count in text."""
    return str(n)


@af.workflow
async def counted_async(n: int) -> str | None:
    """Count in text, maybe."""
    return str(n)


def handles(system: af.ActorSystem, dag: af.Dag) -> None:
    """A run has one handle, of whatever kind it is; its result is typed."""
    assert_type(system.start(counted, 3), af.Run[str])
    assert_type(system.start(counted.options(id="p"), 3).result(), str)
    assert_type(system.start(counted_async, n=3).result(timeout=1), str | None)
    assert_type(system.start("by.name", 3), af.Run[Any])
    run_of_dag, run_of_workflow = system.start(dag), system.start(counted, 3)
    runs: list[af.Run[object]] = [run_of_dag, run_of_workflow, system.get_run("p")]
    for run in runs:
        assert_type(run.steps, list[af.StepInfo])
        print(run.status, run.progress, run.history, run.timeline().times, run.cancel(), run.signal("x", id="1"))
        run.retry(from_="fetch")
        assert_type(run.fork(step="fetch"), af.Run[object])


async def awaited_run(system: af.ActorSystem, dag: af.Dag) -> None:
    """A run is awaited in asyncio code."""
    assert_type(await system.start(dag), af.Results)


@af.event(name="typed.placed", version=2, key="order")
@dataclass(frozen=True)
class Placed:
    """An event."""

    order: str
    total: int


@af.event
@dataclass(frozen=True)
class Paid:
    """Another."""

    order: str


@af.upcast(Placed, version=1)
def with_total(fields: dict[str, Any]) -> dict[str, Any]:
    """Bring an older event up to date."""
    return {**fields, "total": 0}


class Payments(af.Service, capacity=100):
    """Handlers of all kinds."""

    @af.on(Placed)
    def charge(self, event: Placed) -> Paid | None:
        """Take an event, return one."""
        return Paid(event.order)

    @af.on(Placed, when=lambda self, event: event.total > 3)
    def several(self, event: Placed) -> Iterator[Paid]:
        """Yield events."""
        yield Paid(event.order)

    @af.on(Paid)
    async def later(self, event: Paid) -> None:
        """Await."""
        assert_type(self.envelope, af.Envelope | None)
        self.publish(event, key="k", delay=1.0)

    @af.on(Placed, Paid)
    def both(self, event: Placed | Paid) -> AsyncIterator[Paid]:
        """Take two classes."""
        raise NotImplementedError

    @af.on(Placed, batch=10)
    def listed(self, events: list[Placed]) -> Paid:
        """Take several, return one."""
        return Paid(events[0].order)

    @af.on(Placed, Paid, batch=10, within=2.5)
    async def sequence(self, events: Sequence[Placed | Paid]) -> None:
        """Take several of two classes."""

    @af.on("typed.*", batch=10)
    def topics(self, events: list[object]) -> None:
        """Take several that fit a pattern."""

    @af.on("typed.*", "other.**")
    def topic(self, event: object) -> None:
        """Take what fits a pattern."""


def events(system: af.ActorSystem, payments: af.ActorRef[Payments]) -> None:
    """Publish and subscribe."""
    system.publish(Placed("a", 1), key="b", delay=2)
    assert_type(system.subscribe(Paid, lambda event: print(event.order)), af.Subscription)
    system.subscribe("typed.**", payments)
    system.subscribe(lambda event: bool(event), print)
    assert_type(payments.call(Payments.charge, Placed("a", 1)), af.Future[Paid | None])
    with af.EventBus("news", capacity=5, timeout=1.0) as bus:
        bus.subscribe(Placed, lambda event: print(event.total)).cancel()
        bus.publish(Paid("a"))
        bus.join(timeout=1)


@af.task
def booked(name: str) -> int:
    """Book."""
    return len(name)


@booked.compensate
def unbooked(number: int, name: str, step: af.Step) -> None:
    """Undo, by the result, an argument and the step."""
    print(step.results, step.maybe, number, name)


@booked.compensate(retry=af.Retry(3), timeout=5)
async def unbooked_later(number: int) -> None:
    """Undo."""


@af.saga
def trip(name: str) -> int:
    """A saga is typed as a workflow is."""
    with af.savepoint():
        number = booked(name)
    af.undo(print, number)
    af.pivot()
    return number


def paid_back(step: af.Step, order: str, *, times: int = 1) -> None:
    """Undo an ask, by what it has done."""
    print(step.maybe, order, times)


@af.saga(deadline=60)
async def trip_async(name: str, payments: af.ActorRef[Payments]) -> str:
    """The same, async, with asks."""
    ask = payments.call(Payments.charge, Placed("a", 1))
    assert_type(af.undo(ask, paid_back, "a", times=2), af.Future[Paid | None])
    assert_type(await af.undo(ask, print, "a"), Paid | None)
    await af.undo(ask, lambda: print("undone"))
    await af.undo(ask, payments.call, Payments.charge, Placed("a", 1))
    async with af.savepoint():
        return str(await booked.submit(name))


def sagas(system: af.ActorSystem, dag: af.Dag, payments: af.ActorRef[Payments]) -> None:
    """Runs of sagas are runs."""
    assert_type(system.start(trip, "ann"), af.Run[int])
    assert_type(system.start(trip_async.options(id="t"), "ann", payments).result(), str)
    system.start(trip, "ann").skip("by hand", step="unbooked")
    declared = af.Saga("typed").step(booked, unbooked, retry=af.Retry(2)).step(booked, name="again")
    assert_type(system.start(declared, name="ann").result(), dict[str, Any])
    assert_type(af.Saga.of(dag), af.Saga)


class CounterModel(checkers.Model[int]):
    """A model of the user's own."""

    name = "counter"
    initial = 0

    def step(self, state: int, operation: checkers.Operation) -> Sequence[int]:
        """Return the state behind an operation."""
        return (state + 1,) if operation.is_open or operation.result == state + 1 else ()


def histories(counter: af.ActorRef[Counter]) -> None:
    """Histories of operations, and their checkers."""
    history = checkers.OperationHistory()
    client = history.client("a", key=1, refused=(af.MailboxFull,))
    assert_type(client.call(counter, Counter.add, k=2), af.Future[int])
    assert_type(client.call(counter, Counter.slow, 2), af.Future[str])
    history.invoke("add", 2, process="a", key=(1, 2)).returned(3)
    checkers.check_linearizable(history, CounterModel(), name="counts", limit=1000)
    checkers.check_linearizable(history.operations, checkers.RegisterModel(0, read="get"))
    checkers.check_delivery([1, 2], (2, 1), "at least once", name="all come")
    checkers.check_order(["a1"], ["a1"], key=lambda text: text[0])
    checkers.check_conservation({"a": 1, "b": 2}, 3, within=0.1)


def simulations(app: af.App) -> None:
    """Scenarios, faults and checks of simulated runs."""

    @app.scenario
    def evening(sim: Simulation, system: af.ActorSystem) -> None:
        sim.network(Link(latency=(0.001, 0.2), duplicate=0.1))
        sim.at(1).crash(Counter, down=2).partition("a", sim.nodes[0], heal=3, both=False)
        sim.chaos(rate=1, until=3, kinds=["crash", "pause"], targets=[Counter])
        sim.always(lambda: sim.peek("counter").n < 3, "few")
        sim.always(lambda: sim.peek(Counter) is not None)
        sim.at(2).call(lambda: system.publish(3))

    assert_type(evening(Simulation(), af.ActorSystem("a")), None)


@simulate(runs=5, exhaustive=2, tapes=None, step_limit=100, turn_seconds=None)
def searched(sim: Simulation) -> None:
    """Limits of the runs of a search."""
    sim.run(until=1)


def loads(sim: Simulation) -> None:
    """Costs, cores, clients, and the figures of a run."""
    sim.cost(Counter.add, 0.1)
    sim.cost(Counter, exponential(0.1))
    sim.cost(Counter.slow, lambda random: random.random())
    sim.cost(Counter.on_receive, Histogram.of([0.1]))
    sim.cores(2)
    sim.cores(2, Counter)
    sim.record(after=10)
    sim.clients(Clients(rate=5, shape="burst", size=3, until=60), lambda n: n + 1)
    report = sim.run(until=60)
    assert_type(report, Report)
    assert_type(report.latency(Counter.add), Histogram)
    assert_type(report.handler_pairs(after=1)[0].latency, Histogram)
    assert_type(report.latency(Counter.add, Counter.slow), Histogram)
    assert_type(report.latency(Counter, "orders.placed", after=10), Histogram)
    assert_type(interval_of([report.latency(Counter, Counter).p99]), Interval)
    sim.cost(Counter.slow, lognormal(0.1, p99=1.0))
