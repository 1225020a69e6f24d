"""Worlds of the engine's parts: an app on one to five nodes, its clients, faults, and what has to hold at the end."""

import dataclasses
from collections import Counter, defaultdict
from types import SimpleNamespace

import actorflow as af
from actorflow.core.messages.execution import CURRENT
from actorflow.sim import Simulation
from actorflow.sim.history import OperationHistory, RegisterModel, check_delivery, check_linearizable, check_order
from tests.sim.clients import AGAIN, Clients

HERE = SimpleNamespace()  # of the run: each world sets it anew


def outside(seconds):
    """Stand for work elsewhere."""
    raise RuntimeError("a stub takes its place")


# --- the queue -------------------------------------------------------------------------------------------------------

UNTIL = 179  # virtual seconds
RATE, LIMIT = 4.0, 3  # jobs a second; jobs at once


def began(name):
    """Note the start of a job: when, in which life of which node."""
    scheduler = CURRENT.get().scheduler
    node = HERE.sim.nodes[scheduler.number]
    HERE.starts[name].append([HERE.sim.world.clock.now, node, node.life, None])
    return HERE.starts[name][-1]


def write_effect(n):
    with af.current().transaction() as conn:
        conn.execute("create table if not exists effect (n integer)")
        conn.execute("insert into effect values (?)", (n,))


@af.task(name="worlds.work", retry=af.Retry(20, AGAIN))
def work(n: int, after: int | None) -> None:
    """Work elsewhere, then write."""
    start = began(n)
    if after is not None:
        found = HERE.sim.store.read(
            lambda tx: tx._connection.execute("select count(*) from effect where n = ?", (after,)).fetchone()
        )
        if not found[0]:
            HERE.wrong.append(f"job {n} began before job {after} had ended")
    outside(1)
    write_effect(n)
    start[3] = HERE.sim.world.clock.now


@af.task(name="worlds.once")
def once(n: int) -> None:
    """Run at most once."""
    start = began(n)
    outside(1)
    start[3] = HERE.sim.world.clock.now


@af.task(name="worlds.sweep", retry=af.Retry(20, AGAIN))
def sweep() -> None:
    """Run each minute."""
    start = began("sweep")
    write_effect(-1)
    start[3] = HERE.sim.world.clock.now


def queue_world(seed):
    """Jobs are done once each, in the order that they ask for, within the limits, and each minute's once."""
    with Simulation(seed) as sim:
        HERE.sim, HERE.starts, HERE.wrong = sim, defaultdict(list), []
        queue = af.queue("jobs", workers=2, concurrency=LIMIT, rate=f"{RATE:g}/s").cron("* * * * *", sweep)
        sim.start(af.App("jobs", system=af.Settings(intensity=100)).add(work, once, sweep, queue), nodes=1 + seed % 5)
        sim.stub(outside, lambda seconds: None, latency=(0.01, 2))
        clients, jobs = Clients(sim), {}

        def enqueue(n):
            def act(system):
                if n % 4 == 3:
                    options = once.options(at_most_once=True)
                    job = system.queue("jobs").enqueue(options, n)
                else:
                    after = n - 1 if n % 4 == 2 and n - 1 in jobs else None
                    options = work.options(after=[system.get_job(jobs[after])]) if after is not None else work
                    job = system.queue("jobs").enqueue(options, n, after)
                jobs[n] = job.id

            return act

        for n in range(1, 13):
            clients.at(0.3 * n, n, enqueue(n))
        clients.faults(pauses=seed % 2)
        sim.run(until=UNTIL)
        check_jobs(sim, clients, jobs)


def check_jobs(sim, clients, jobs):
    assert not HERE.wrong, HERE.wrong
    statuses = {str(id): status for id, status in clients.rows("select id, status from af_job")}
    for n, job in jobs.items():
        assert statuses[job] in (("completed", "dead") if n % 4 == 3 else ("completed",)), (n, statuses[job])
    effects = [n for (n,) in clients.rows("select n from effect") if n > 0]
    sure = [n for n in jobs if n % 4 != 3 and clients.tries[n] == 1]
    check_delivery(sure, [n for n in effects if n in sure], name="each job has one effect")
    check_delivery([n for n in jobs if n % 4 != 3], effects, "at least once", name="each job has its effect")
    for n in jobs:
        assert effects.count(n) <= clients.tries[n], n
        if n % 4 == 3:
            assert len(HERE.starts[n]) <= clients.tries[n], f"{n} may run once"
    ((sweeps,),) = clients.rows("select count(*) from af_job where task = 'worlds.sweep'")
    assert sweeps <= (UNTIL + 40) // 60, f"{sweeps} sweeps"  # simulated clocks start at 40 s of a minute
    check_limits(sim)


def check_limits(sim):
    """See that no more jobs began in a time than its rate allows, and no more ran at once, but for those cut off."""
    starts = sorted((start for all_of in HERE.starts.values() for start in all_of), key=lambda start: start[0])
    if not any(fault.kind == "pause" for fault in sim.faults):
        for time, *_ in starts:  # those that were killed have no end, and are left out
            at_once = sum(begin <= time < end for begin, _, _, end in starts if end is not None)
            assert at_once <= LIMIT, f"{at_once} jobs ran at {time}"
    times = [start[0] for start in starts]
    for i, begin in enumerate(times):
        within = sum(time <= begin + 5 for time in times[i:])
        assert within <= 1 + RATE * 6, f"{within} jobs began within 5 s of {begin}"


# --- runs ------------------------------------------------------------------------------------------------------------


@af.task(name="worlds.double", retry=af.Retry(20, AGAIN))
def double(n: int) -> int:
    outside(1)
    return 2 * n


@af.workflow(name="worlds.flow")
def flow(n: int) -> list[int]:
    """Steps in a row, beside each other, and for each item; a sleep, and a branch that depends on a result."""
    first = double(n)
    both = af.gather(double.submit(first + 1), double.submit(first + 2)).get()
    af.sleep(1.0)
    more = double.map(range(first % 4)).get()
    return [first, *both, *more]


def expected(n):
    return [2 * n, 4 * n + 2, 4 * n + 4, *(2 * k for k in range(2 * n % 4))]


@af.workflow(name="worlds.parent")
def parent(n: int) -> list[int]:
    """Have a child run."""
    return [double(n), *flow(n)]


@af.task(name="worlds.total")
def total(one: int, other: int) -> int:
    return one + other


DAG = af.Dag("worlds.dag", durable=True)
LEFT, RIGHT = DAG.add(double, 1), DAG.add(double, 2)
DAG.add(total, LEFT, RIGHT)


@af.task(name="worlds.book", retry=af.Retry(20, AGAIN))
def book(what: str) -> str:
    outside(1)
    HERE.booked[af.current().key] = what
    return what


@book.compensate
def cancel(step: af.Step) -> None:
    outside(1)
    HERE.booked.pop(step.key, None)


@af.task(name="worlds.refuse", retry=af.Retry(1))
def refuse() -> None:
    raise af.Permanent("no room")


@af.saga(name="worlds.trip")
def trip(name: str, last: bool) -> None:
    """Two bookings, beside each other; then one that may be refused."""
    af.gather(book.submit(f"{name} seat"), book.submit(f"{name} room")).get()
    if last:
        refuse()
    book(f"{name} meal")


def run_world(seed):
    """Runs end with the results that their code has, and sagas are done as a whole or not at all."""
    with Simulation(seed) as sim:
        HERE.sim, HERE.booked = sim, {}
        app = af.App("runs", system=af.Settings(intensity=100)).add(
            double, flow, parent, total, DAG, book, refuse, trip
        )
        sim.start(app, nodes=1 + seed % 5)
        sim.stub(outside, lambda seconds: None, latency=(0.01, 2))
        clients, runs = Clients(sim), {}
        for n in range(1, 10):
            kind = n % 3
            what, args = ((flow, (n,)), (parent, (n,)), (trip, (f"t{n}", bool(n % 2))))[kind]

            def start(system, what=what, args=args, n=n):
                runs[n] = system.start(what.options(id=f"r{n}"), *args).id

            clients.at(0.4 * n, n, start)
            if kind == 2 and clients.draw.random() < 0.3:
                time = 0.4 * n + clients.draw.uniform(0, 8)
                clients.at(time, f"cancel {n}", lambda system, n=n: n in runs and system.get_run(f"r{n}").cancel())
        clients.at(1, "dag", lambda system: runs.setdefault("dag", system.start(DAG.options(id="dag")).id))
        clients.faults(pauses=seed % 2)
        sim.run(until=250)
        system = clients.system()
        statuses = {n: system.get_run(run).status for n, run in runs.items()}
        for n, status in statuses.items():
            booked = sorted(what for what in HERE.booked.values() if what.startswith(f"t{n} "))
            if n == "dag" or n % 3 != 2:
                assert status == "completed", (n, statuses)
            elif status == "completed":
                assert booked == [f"t{n} meal", f"t{n} room", f"t{n} seat"], (n, booked)
            else:
                assert (status in {"compensated", "cancelled"}, booked) == (True, []), (n, status, booked)
            if n != "dag" and n % 3 == 0:
                assert system.get_run(f"r{n}").result(timeout=0) == expected(n)
            if n != "dag" and n % 3 == 1:
                assert system.get_run(f"r{n}").result(timeout=0) == [2 * n, *expected(n)]


# --- services, and durable actors ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Seen:
    ids: list[str] = dataclasses.field(default_factory=list)
    ticks: int = 0


@af.event(name="worlds.placed", key="key")
@dataclasses.dataclass
class Placed:
    key: str
    id: str


@af.event(name="worlds.paid", key="key")
@dataclasses.dataclass
class Paid:
    key: str
    id: str


class Payments(af.Service, durable=True):
    """Takes its time for some, fails for some, and says that they are paid."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    @af.on(Placed)
    def charge(self, event: Placed) -> Paid:
        self.state.ids.append(event.id)
        if event.id.endswith("3"):
            self.ctx.sleep(2)
        if event.id.endswith("5") and HERE.failed.setdefault(event.id, 0) < 2:
            HERE.failed[event.id] += 1
            raise ConnectionError
        return Paid(event.key, event.id)


class Shipping(af.Service, durable=True):
    """Notes what was paid, and tells its ledger of it."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    @af.on(Paid)
    def ship(self, event: Paid) -> None:
        self.state.ids.append(event.id)
        self.ctx.after(1.0, self.remind, event.id)

    def remind(self, id: str) -> None:
        self.state.ticks += 1
        ledger = HERE.sim.nodes[CURRENT.get().scheduler.number].system.durable("ledger", Ledger)
        ledger.cast(Ledger.note, id)


class Ledger(af.Actor, durable=True):
    """Gets a message for each parcel."""

    def __init__(self):
        super().__init__()
        self.state = Seen()

    def note(self, id: str) -> None:
        self.state.ids.append(id)


def service_world(seed):
    """Each event is handled once, in the order of its key, and so are the messages and timers that come of it."""
    with Simulation(seed) as sim:
        HERE.sim, HERE.failed = sim, {}
        app = af.App("shop", system=af.Settings(intensity=100)).add(
            af.child(Payments).options(name="payments", backoff=AGAIN, instances=3),
            af.child(Shipping).options(name="shipping", backoff=AGAIN),
            af.child(Ledger).options(name="ledger", backoff=AGAIN),
        )
        sim.start(app, nodes=1 + seed % 5)
        clients, sent = Clients(sim), []

        def place(n):
            def act(system):
                key = "abc"[n % 3]
                system.publish(Placed(key, f"{key}{n}"))
                sent.append(f"{key}{n}")

            return act

        for n in range(1, 16):
            clients.at(0.3 * n, n, place(n))
        clients.faults(pauses=seed % 2)
        sim.run(until=250)
        paid = [id for n in range(3) for id in clients.state(f"/shop/payments/{n}").ids]
        shipped, noted = clients.state("/shop/shipping").ids, clients.state("/shop/ledger").ids
        sure = {id for id in sent if clients.tries[int(id[1:])] == 1}
        check_delivery(sure, [id for id in paid if id in sure], name="each event is handled once")
        check_delivery(sent, paid, "at least once", name="each event is handled")
        check_delivery(paid, shipped, name="each publication is handled once")
        check_delivery(paid, noted, name="each message is handled once")
        order = [id for id in sent if id in sure]
        check_order(order, [id for id in shipped if id in sure], key=lambda order: order[0])


# --- one durable actor, as its clients see it -----------------------------------------------------------------------


@dataclasses.dataclass
class Value:
    number: int = 0


class Register(af.Actor, durable=True):
    """A register; some calls take a while."""

    def __init__(self):
        super().__init__()
        self.state = Value()

    def read(self) -> int:
        return self.state.number

    def write(self, number: int) -> None:
        self.state.number = number
        if number % 5 == 0:
            self.ctx.sleep(1)

    def compare_and_set(self, old: int, new: int) -> bool:
        if self.state.number != old:
            return False
        self.state.number = new
        return True


def register_world(seed):
    """Calls of a durable actor are linearizable, from whichever nodes they come, and whoever has the actor."""
    with Simulation(seed) as sim:
        app = af.App("cell", system=af.Settings(intensity=100)).add(
            af.child(Register).options(name="register", backoff=AGAIN)
        )
        sim.start(app, nodes=1 + seed % 5)
        clients, history = Clients(sim), OperationHistory()
        draw = clients.draw

        def call(n):
            def act(system):
                client, ref = history.client(f"c{n}"), system.durable("register", Register)
                kind = draw.randrange(3)
                if kind == 0:
                    client.call(ref, Register.read)
                elif kind == 1:
                    client.call(ref, Register.write, n)
                else:
                    client.call(ref, Register.compare_and_set, draw.randint(max(0, n - 4), n), n)

            return act

        for n in range(1, 31):
            clients.at(0.4 * n + draw.uniform(0, 0.6), n, call(n))
        clients.faults(pauses=seed % 2)
        sim.run(until=150)
        check_linearizable(history, RegisterModel(0))
        assert sum(not operation.is_open for operation in history) >= 5


# --- supervisors -----------------------------------------------------------------------------------------------------


class Fragile(af.Actor):
    """Counts its lives, and crashes if it is told to."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        HERE.lives[name] += 1

    def on_receive(self, message):
        if message == "crash":
            HERE.crashes[self.name] += 1
            raise ValueError(message)
        HERE.handled[message] += 1


STRATEGIES = ("one_for_one", "rest_for_one", "one_for_all")


def tree_world(seed):
    """A supervisor restarts the children that its strategy says, no more often than it may; no message is lost."""
    with Simulation(seed) as sim:
        HERE.sim, HERE.lives, HERE.crashes, HERE.handled = sim, Counter(), Counter(), Counter()
        draw, strategy, names = Clients(sim).draw, STRATEGIES[seed % 3], "abcd"
        intensity = draw.choice([1, 3, 100])
        children = [af.child(Fragile, name).options(name=name) for name in names]
        tree = af.child(af.Supervisor, *children, strategy=strategy, intensity=intensity, period=5.0)
        app = af.App("tree").add(tree.options(name="tree", restart="temporary"))
        system, dead, times, sent = sim.start(app), Counter(), [], []
        system.subscribe(af.DeadLetter, lambda letter: dead.update([letter.message]))
        refs = [system.find(f"/tree/tree/{name}", Fragile) for name in names]

        def send(ref, message):
            try:
                ref.tell(message)
            except af.ActorDeadError:
                return
            sent.append(message)
            if message == "crash":
                times.append(sim.world.clock.now)

        for n in range(40):
            ref = draw.choice(refs)
            sim.at(draw.uniform(0, 20)).call(lambda ref=ref, n=n: send(ref, n))
        for _ in range(draw.randint(1, 8)):
            ref = draw.choice(refs)
            sim.at(draw.uniform(0, 20)).call(lambda ref=ref: send(ref, "crash"))
        sim.run(until=60)
        check_tree(system, strategy, intensity, names, times)
        for message in sent:
            if message != "crash":
                assert HERE.handled[message] + dead[message] == 1, (message, HERE.handled[message], dead[message])


def check_tree(system, strategy, intensity, names, times):
    lives, crashes = HERE.lives, HERE.crashes
    is_over = any(sum(begin <= time < begin + 5.0 for time in times) > intensity for begin in times)
    is_alive = system.find("/tree/tree") is not None
    assert is_alive != is_over, (times, intensity)
    if not is_alive:
        assert sum(crashes.values()) >= intensity + 1
        return
    for i, name in enumerate(names):
        caused = crashes.total() if strategy == "one_for_all" else crashes[name]
        if strategy == "rest_for_one":
            caused = sum(crashes[left] for left in names[: i + 1])
        assert lives[name] == 1 + caused, (strategy, name, lives, crashes)
