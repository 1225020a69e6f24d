"""Planted mistakes. mypy --strict and pyright must both report each line marked `# refused`, and no other. Never run."""

from __future__ import annotations

from dataclasses import dataclass

import actorflow as af
from actorflow.machine.definition.builder import ChartBuilder
from actorflow.sim import Clients, Link, Simulation, exponential, interval_of, lognormal, simulate
from actorflow.sim import history as checkers


class Counter(af.Actor):
    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.n = start

    def add(self, k: int = 1) -> int:
        return self.n + k

    def rename(self, name: str) -> None: ...

    async def slow(self, k: int) -> str:
        return str(k)


class Other(af.Actor):
    def ping(self) -> str:
        return "pong"


class Inside(Counter):
    def timers(self, ref: af.ActorRef[Counter]) -> None:
        self.ctx.after(5.0, self.add, "2")  # refused: a wrong argument for the timer's method
        self.ctx.after("5", self.add)  # refused: the delay is no number
        self.ctx.every(1.0, self.rename)  # refused: an argument is missing
        self.ctx.every(1.0, self.add(1))  # refused: the result instead of the method
        self.ctx.after(1.0, self.add).stop()  # refused: a Timer is cancelled
        self.ctx.sleep("1")  # refused: not a number
        self.ctx.pipe(ref.call(Counter.add), self.rename)  # refused: an int for a method that takes a str
        self.ctx.pipe(3, self.add)  # refused: not a future
        self.ctx.pipe(ref.call(Counter.add), self.add, on_error=self.rename)  # refused: an error is no str
        self.ctx.watch("/demo/hits")  # refused: a path is no ref
        self.ctx.spawn(Counter, "3")  # refused: a wrong constructor argument
        self.ctx.reply_later().set()  # refused: an answer is missing
        self.ctx.reply_later().fail("text")  # refused: not an exception
        self.ctx.sender.tell(1)  # refused: there may be no sender
        self.ctx.nap(1)  # refused: no such name

    async def waits(self, ref: af.ActorRef[Counter]) -> str:
        await af.timer("1")  # refused: not a number
        n: str = await ref.call(Counter.add)  # refused: an int
        k: int = await ref.call(Counter.slow, 1)  # refused: a str
        return n + str(k)


class Bounded(af.Actor, overflow="explode"): ...  # refused: no such way to overflow


class Kind(af.Actor, restart="sometimes"): ...  # refused: no such restart kind


class Unknown(af.Actor, threads=3): ...  # refused: no such option


class Misspelt(af.Supervisor, intensty=3): ...  # refused: no such option of a supervisor


class Wrong(af.Supervisor, period="5"): ...  # refused: not a number


def refs(system: af.ActorSystem, hits: af.ActorRef[Counter], other: af.ActorRef[Other]) -> None:
    system.spawn(Counter, "3")  # refused: a wrong constructor argument
    system.spawn(Counter, 3, 4)  # refused: too many
    system.spawn(Counter, begin=3)  # refused: an unknown keyword
    system.spawn(dict)  # refused: not an actor
    system.spawn(Counter(3))  # refused: an instance, not a class
    hits.call(Counter.add, "2")  # refused: a wrong argument
    hits.call(Counter.add, 1, 2)  # refused: too many
    hits.call(Counter.rename)  # refused: an argument is missing
    hits.call(Other.ping)  # refused: a method of another class
    hits.call("add", 2)  # refused: a name instead of a method
    hits.call(Counter.sub, 2)  # refused: no such method
    hits.call(Counter.add).get(5)  # refused: the timeout is a keyword
    hits.cast(Counter.add, "2")  # refused: a wrong argument
    hits.cast(Other.ping)  # refused: a method of another class
    hits.tel("raw")  # refused: no such name
    hits.ask()  # refused: a message is missing
    a: str = hits.call(Counter.add).get()  # refused: an int
    b: int = hits.call(Counter.slow, 1).get()  # refused: a str, though the method is async
    c: af.Future[str] = hits.call(Counter.add)  # refused: a future of an int
    d: af.ActorRef[Other] = hits  # refused: a ref of another class
    e: int = hits.path  # refused: a str
    system.find("/demo/hits", Counter).tell(1)  # refused: it may not be there
    system.find("/demo/hits", int)  # refused: not an actor class
    system.find(3)  # refused: not a path
    print(a, b, c, d, e, other)


def trees(system: af.ActorSystem) -> None:
    af.child(Counter, start="3")  # refused: a wrong constructor argument
    af.child(dict)  # refused: not an actor
    af.child(Counter).options(restart="always")  # refused: no such restart kind
    af.child(Counter).options(overflow="drop")  # refused: no such way to overflow
    af.child(Counter).options(capacity="10")  # refused: not a number
    af.child(Counter).options(nam="hits")  # refused: no such option
    af.child(Counter).options(backoff=0.5)  # refused: a number is no Backoff
    af.child(af.Supervisor, strategy="one_for_two")  # refused: no such strategy
    af.child(af.Supervisor, intensity="3")  # refused: not a number
    af.child(af.Supervisor, Counter)  # refused: a class, not a child
    af.Backoff("0.5")  # refused: not a number
    top = system.spawn(af.child(af.Supervisor))
    top.call(af.Supervisor.terminate_child, 3)  # refused: children are named
    top.call(af.Supervisor.start_child, Counter)  # refused: a class, not a child


class Order(af.StateMachine):
    new, paid, dead = af.State(initial=True), af.State(), af.State(final=True)
    odd = af.State("odd")  # refused: a state is named by its attribute
    maybe = af.State(initial="yes")  # refused: not a bool
    inner = af.State(parent="new")  # refused: a name instead of the state
    past = af.History()  # refused: of which state?
    back = af.History("new")  # refused: a name instead of the state
    deep = af.History(new, deep="yes")  # refused: not a bool

    @new.to(paid)
    def pay(self, amount: int) -> int:
        return amount

    @new.to("paid")  # refused: a name instead of the state
    @new.to(paid, guard=lambda self: True)  # refused: it is `when`
    @new.to(paid, when="enough")  # refused: a name instead of the method
    @new.to(paid, when=lambda self, amount: "yes")  # refused: a guard says yes or no
    @new.to(paid, internal="yes")  # refused: not a bool
    @new.to(paid, event=3)  # refused: not a name
    @new.to()  # refused: the target is missing
    @new.stay(paid, when=lambda self: True)  # refused: staying has no target
    @new.stay(when=3)  # refused: not a function
    @new.leave(paid)  # refused: no such rule
    def one(self, amount: int) -> int:
        return amount

    @new.after("30", dead)  # refused: not a number
    def two(self) -> None: ...

    @new.after(30)  # refused: the target is missing
    def three(self) -> None: ...

    @new.after(30, dead)  # refused: a timeout has no arguments
    def four(self, amount: int) -> None: ...

    @paid.enter  # refused: nothing is given at enter
    def five(self, amount: int) -> None: ...

    @(new | paid).exit  # refused: nothing is given at exit
    def six(self, amount: int) -> None: ...

    @dead.donedata  # refused: nothing is given for donedata
    def seven(self, amount: int) -> int:
        return amount

    @new.always("dead")  # refused: a name instead of the state
    @new.invoke(3)  # refused: not an actor
    @new.invoke(dict)  # refused: not an actor class
    @new.invoke(Counter, autoforward="yes")  # refused: not a bool
    @(new | "paid").to(dead)  # refused: a name instead of the state
    @(new | paid).invoke(Counter)  # refused: a child belongs to one state
    def eight(self, result: int) -> None: ...


class Unheard(af.StateMachine, histroy=3): ...  # refused: no such option


class Bill(Order):
    def __init__(self, total: int) -> None:
        super().__init__(initial=total)  # refused: no state

    @Order.new.enter  # refused: a hook gets an Event
    def entered(self, event: str) -> None: ...


def machines(system: af.ActorSystem, order: af.ActorRef[Order], hits: af.ActorRef[Counter]) -> None:
    order.call(Order.pay, "3")  # refused: a wrong argument
    order.call(Order.pay)  # refused: an argument is missing
    order.cast(Order.receipt)  # refused: no such method
    hits.call(Order.pay, 3)  # refused: an event of another class
    print(hits.state)  # refused: not a machine
    paid: str = order.call(Order.pay, 3).get()  # refused: an int
    order.send(Order.pay, 3)  # refused: an event's name is text
    system.spawn(Order.restore)  # refused: the snapshot is missing
    Bill.local("5")  # refused: a wrong argument of the class
    Bill.local()  # refused: an argument is missing
    Order.local(inital="paid")  # refused: it is initial
    system.spawn(Order, inital="paid")  # refused: it is initial
    Order.local(5).pay("3")  # refused: a wrong argument of the event
    Order.local(5).payed(3)  # refused: no such event
    paid = Order.local(5).pay(3)  # refused: an int
    print(hits.legal)  # refused: not a machine
    af.Interpreter(Order.chart, Order(5), initial=3)  # refused: no state
    af.Interpreter(Order.chart, Order(5), initial=None)  # refused: an empty column is no state
    af.Chart.from_dict("{}")  # refused: text instead of a dict
    ChartBuilder()  # refused: a chart has a name
    builder = ChartBuilder("m").add_state("a")
    builder.add_state("b", begin=True)  # refused: no such keyword
    builder.add_transition("a", 3)  # refused: an event's name is text
    builder.add_transition("a", "go", "a", when=3)  # refused: not a function
    print(paid)


def hears_starts(event: af.Started) -> None: ...


def systems(system: af.ActorSystem, end: af.Terminated) -> None:
    af.ActorSystem()  # refused: a system has a name
    af.ActorSystem("demo", settings=3)  # refused: not settings
    af.Settings(threads="many")  # refused: not a number
    af.Settings(thread=3)  # refused: no such setting
    system.stop(5)  # refused: grace is a keyword
    system.subscribe(af.DeadLetter, hears_starts)  # refused: takes another event
    system.subscribe(af.DeadLetter, hears_starts.__name__)  # refused: a name is no function
    system.subscribe(af.Started, hears_starts).stop()  # refused: a Subscription is cancelled
    print(end.reason.args)  # refused: a normal end has no reason
    print(end.cause)  # refused: no such attribute
    raise af.RestartLimitReached  # refused: the path is missing


@dataclass(frozen=True)
class Flags:
    chaos: int = 0


app = af.App("shop", settings=Flags)
app.add(3)  # refused: not a part of an app
af.App()  # refused: an app has a name
af.App("shop", system=Flags)  # refused: the app's own settings are settings=
app.queue("photos", worker=4)  # refused: no such option
app.main(lambda system, settings: "done")  # refused: an exit code is a number


@app.main  # refused: the exit code is an int
def main(system: af.ActorSystem, settings: Flags) -> str:
    return "done"




@af.task
def shrink(photo: str) -> str:
    return photo


def plain(path: str) -> str:
    return path


def pools(pool: af.ProcessPool) -> None:
    pool.options(retry=3)  # refused: it is `retries`
    pool.options(timeout="2s")  # refused: seconds are a number
    pool.options(memory=0.5)  # refused: bytes, or text
    pool.options(priority=None)  # refused: the usual is 0
    af.ProcessPool(max_worker=2)  # refused: no such argument


def queues(system: af.ActorSystem) -> None:
    jobs = system.queue("images")
    jobs.enqueue(shrink, 3)  # refused: a photo is a str
    jobs.enqueue(shrink)  # refused: an argument is missing
    jobs.cron("* * * * *", shrink, args=("a.jpg",), catch_up="some")  # refused: no such policy
    jobs.cron("* * * * *", shrink)  # refused: an argument is missing
    jobs.cron("* * * * *", shrink, args=(3,))  # refused: a photo is a str
    jobs.cron("* * * * *", shrink, args=("a.jpg", 1))  # refused: too many arguments
    jobs.cron("* * * * *", shrink, args="a.jpg")  # refused: no tuple of arguments
    jobs.cron("* * * * *", shrink, args=("a.jpg",), catchup="all")  # refused: a misspelt option
    jobs.cron("* * * * *", shrink, args=("a.jpg",), tz=None)  # refused: no zone
    jobs.cron("* * * * *", shrink, args=("a.jpg",), priority=1)  # refused: an option of the job
    jobs.cron("* * * * *", plain, args=("a.jpg",))  # refused: no task
    shrink.options(prio=3)  # refused: a misspelt option
    shrink.options(priority="high")  # refused: not a number
    shrink.options(after="7")  # refused: not a list of jobs
    shrink.options(on_duplicate="ignore")  # refused: no such way
    jobs.enqueue(shrink, "a.jpg", priority=3)  # refused: an option of the job
    jobs.enqueue(shrink.options(delay=3), 3)  # refused: a photo is a str
    jobs.enqueue(plain, "a.jpg")  # refused: no task
    number: int = jobs.enqueue(shrink, "a.jpg").result()  # refused: the result is a str


def apps(app: af.App) -> None:
    app.add(3)  # refused: no declaration
    app.add(plain)  # refused: no task
    af.queue("mail", worker=4)  # refused: no such argument
    af.queue("mail").cron("* * * * *", shrink, args=(3,))  # refused: a photo is a str
    af.queue("mail").cron("* * * * *", shrink)  # refused: an argument is missing
    af.ActorSystem("web", store=3)  # refused: neither a URL nor a store
    af.App("shop", store=3)  # refused: neither a URL nor a store


@dataclass
class Raw:
    rows: int


@dataclass
class Clean:
    rows: int


@af.task
def extract(day: str) -> Raw:
    return Raw(1)


@af.task
def clean(raw: Raw) -> Clean:
    return Clean(1)


@af.task
async def clean_async(raw: Raw) -> Clean:
    return Clean(1)


@af.task
def audit() -> Clean:
    return Clean(1)


def dags(system: af.ActorSystem, dag: af.Dag) -> None:
    raw = dag.add(extract, "day")
    dag.add(extract, 3)  # refused: a day is a str
    dag.add(clean, dag.add(audit))  # refused: the result of audit is no Raw
    dag.add(clean_async, dag.add(audit))  # refused: as above
    dag.add(clean, raw, when=lambda r: r[raw].row > 0)  # refused: no such attribute
    dag.add(clean, raw, join="some")  # refused: no such join
    dag.add(audit, raw)  # refused: too many arguments
    dag.add(clean)  # refused: too few arguments
    dag.add(lambda: 3)  # refused: no task
    dag.add(clean, raw, prioriti=3)  # refused: a misspelt option
    dag.add(clean, raw, after=3)  # refused: no list of nodes
    dag.add(clean, raw, on_failure="retry")  # refused: no such policy
    dag.map(clean, raw)  # refused: not a list
    dag.map(clean, dag.gather([raw]), limt=3)  # refused: a misspelt option
    dag.loop(clean, raw, until=bool, limit=3)  # refused: its result is no argument of it
    number: int = system.start(dag).result()[raw]  # refused: the result is a Raw
    system.start(clean)  # refused: no DAG
    system.start(dag).status = "failed"  # refused: it is read only
    system.start(dag).signal()  # refused: no value
    system.start(dag).fork(stp="a")  # refused: a misspelt option
    system.get_run(3)  # refused: an id is a text


@dataclass
class Happened:
    n: int


@dataclass
class Followed:
    m: int


class Handlers(af.Service, capcity=3):  # refused: a misspelt option
    @af.on(Happened)  # refused: the parameter is of another class
    def other(self, event: Followed) -> None: ...

    @af.on(Happened, Followed)  # refused: it does not take the second
    def first_only(self, event: Happened) -> None: ...

    @af.on(Happened, when=lambda self, event: event.nope > 3)  # refused: no such attribute
    def guarded(self, event: Happened) -> None: ...

    @af.on(Happened)  # refused: it takes no event
    def none(self) -> None: ...

    @af.on(Happened, batch=10)  # refused: it takes one event
    def one(self, event: Happened) -> None: ...

    @af.on(Happened, batch=10)  # refused: a list of another class
    def others(self, events: list[Followed]) -> None: ...

    @af.on(Happened, Followed, batch=10)  # refused: a list of the first alone
    def one_class(self, events: list[Happened]) -> None: ...

    @af.on(Happened)  # refused: a list without a batch
    def listed(self, events: list[Happened]) -> None: ...

    @af.on(Happened, batch=10, when=lambda self, event: True)  # refused: a batch has no guard
    def guarded_list(self, events: list[Happened]) -> None: ...

    @af.on(Happened, batch=10, wthin=3)  # refused: a misspelt option
    def misspelt_wait(self, events: list[Happened]) -> None: ...

    @af.on(Happened, wen=None)  # refused: a misspelt option
    def misspelt(self, event: Happened) -> None: ...


def events(system: af.ActorSystem) -> None:
    system.publish(Happened(1), dely=3)  # refused: a misspelt option
    system.publish(Happened(1), key=3)  # refused: a key is a text
    system.subscribe(Happened, lambda event: event.m)  # refused: no such attribute
    system.subscribe(Happened, 3)  # refused: neither a ref nor a function
    af.EventBus(capcity=3)  # refused: a misspelt option


def gave_back(step: af.Step, order: str, times: int = 1) -> None: ...


@af.saga
def sagas(counter: af.ActorRef[Counter]) -> None:
    ask = counter.call(Counter.add, 1)
    af.undo(ask, gave_back, 3)  # refused: an order is a text
    af.undo(ask, gave_back, "a", tims=2)  # refused: a misspelt option
    af.undo(ask)  # refused: no function
    af.undo(ask, counter.call, Counter.rename, 3)  # refused: a name is a text
    af.undo(ask, counter.call, Other.ping)  # refused: of another actor
    af.undo(gave_back, "a")  # refused: there is no ask to get a step of
    n: str = af.undo(ask, print).get()  # refused: an int
    af.saga(dedline=3)  # refused: a misspelt option


def histories(counter: af.ActorRef[Counter]) -> None:
    history = checkers.OperationHistory()
    history.client("a").call(counter, Counter.add, "x")  # refused: a count is a number
    history.client("a").call(counter, Other.ping)  # refused: of another actor
    history.client("a", kee=1)  # refused: a misspelt option
    history.invoke("read", proces="a")  # refused: a misspelt option
    checkers.check_linearizable(history, checkers.RegisterModel)  # refused: a class is no model
    checkers.check_linearizable(history, checkers.RegisterModel(0, reed="get"))  # refused: a misspelt option
    checkers.check_delivery([1], [1], "exactly twice")  # refused: no guarantee
    checkers.check_order([1], [1], key=lambda n: n.m)  # refused: no such attribute
    checkers.check_conservation({"a": "1"}, 1)  # refused: a text is no amount


def simulations(sim: Simulation, app: af.App) -> None:
    app.scenario(lambda sim: None)  # refused: it is given the system, too
    app.scenario(3)  # refused: no function
    sim.peek(3)  # refused: no actor has a number for its name
    sim.start(app, nods=3)  # refused: a misspelt option
    sim.network(Link(latncy=3))  # refused: a misspelt option
    sim.at(1).crash(Counter, dwn=3)  # refused: a misspelt option
    sim.at(1).crsh(Counter)  # refused: a misspelt fault
    sim.chaos(rate=1, until=3, kinds=["crsh"])  # refused: a misspelt fault
    sim.stub(gave_back, lambda step: None)  # refused: a fake takes the arguments of the target
    sim.run(until="soon")  # refused: a time is a number


def loads(sim: Simulation) -> None:
    sim.cost(Counter.add)  # refused: no cost
    sim.cost(Counter.add, "1s")  # refused: seconds are a number
    sim.cost(Counter.add, lambda: 1.0)  # refused: a distribution takes random numbers
    sim.cost("Counter.add", 1.0)  # refused: a name is no handler
    sim.cores("2")  # refused: a number of cores is a number
    sim.cores(2, target=3)  # refused: no host
    sim.record(warm_up=3)  # refused: a misspelt option
    sim.clients(5, print)  # refused: no Clients
    sim.clients(Clients(rate=5), lambda: None)  # refused: it gets a number
    Clients(rate="5/s")  # refused: a rate is a number
    Clients(rate=5, shape="posson")  # refused: no shape
    Clients(rate=5, untill=3)  # refused: a misspelt option
    exponential("1")  # refused: seconds are a number
    lognormal(1.0, p95=2.0)  # refused: a misspelt option
    simulate(step_limit="5")  # refused: a limit is a number
    simulate(turn_second=5)  # refused: a misspelt option
    interval_of(["1"])  # refused: a text is no figure
    sim.run(until=1).latency(Counter, Other, before=1)  # refused: a misspelt option
