"""Bugs of apps that are durable: what a store keeps is right, and what they do beside it is not.

Each talks to a foreign system, which is a stub, or to an actor that keeps nothing.
"""

import dataclasses
import uuid
from collections import Counter
from types import SimpleNamespace

import actorflow as af
from actorflow.sim.choices.chooser import stream_of
from tests.sim.bugs.planted import planted

SOON = af.Backoff(0.5, factor=1, jitter=0)
HERE = SimpleNamespace(sim=None, is_new=False, is_fixed=False)  # of the run: each sets it anew


def foreign(*args):
    """Stand for a payment provider, a hotel or a table of others: each test stubs it."""
    raise RuntimeError("it would be real")


@dataclasses.dataclass
class Noted:
    numbers: list[int] = dataclasses.field(default_factory=list)
    by_name: dict[str, int] = dataclasses.field(default_factory=dict)


def begin(sim, *parts, nodes=1):
    """Start an app of some parts whose actors come back after a second, however often they crash."""
    HERE.sim = sim
    app = af.App("bug", system=af.Settings(intensity=1000))
    sim.start(app.add(*parts), nodes=nodes)


def actor(kind, *, instances=1, **kwargs):
    """Return a child that comes back soon after a crash, named as its class."""
    child = af.child(kind, **kwargs).options(name=kind.__name__.lower(), backoff=SOON)
    return child.options(instances=instances) if instances > 1 else child


def up():
    """Return a system that is up; None if there is none."""
    return next((node.system for node in HERE.sim.nodes if node.is_up), None)


def at(sim, time, act):
    """Have a client act at a time, with a system that is up then; it comes again until there is one."""

    def call():
        system = up()
        if system is None:
            sim.at(sim.world.clock.now + 1).call(call)
        else:
            act(system)

    sim.at(time).call(call)


def state_of(sim, name):
    """Return the state of a durable actor on the node that has it."""
    found = []
    for node in sim.nodes:
        ref = None if node.system is None else node.system.find(f"/bug/{name}")
        state = None if ref is None or sim.peek(ref) is None else sim.peek(ref).state
        if state is not None and ref._box.is_owner:
            found.append((ref._box.epoch, state))
    return max(found, key=lambda pair: pair[0])[1]


def statuses_of(runs):
    """Return the status of each run that was started, by its id."""
    return {run: up().get_run(run).status for run in runs}


# --- jobs ------------------------------------------------------------------------------------------------------------


class Provider:
    """A payment provider, which knows idempotency keys."""

    def __init__(self):
        self.keys, self.charges = set(), Counter()

    def charge(self, order, key):
        if key not in self.keys:
            self.keys.add(key)
            self.charges[order] += 1

    def is_right(self):
        return all(times < 2 for times in self.charges.values())


@af.task(name="bugs.charge", retry=af.Retry(5, SOON))
def charge(order: int, fixed: bool) -> None:
    """Charge, under a key that is new in each attempt; fixed: under that of the job."""
    foreign(order, af.current().key if fixed else str(uuid.uuid4()))


@planted(events=1, faults=1)
def job_charges_again_after_a_crash(sim, fixed):
    """A worker dies behind the charge and before its commit: the job runs again, and charges again."""
    provider = Provider()
    begin(sim, charge, af.queue("jobs", workers=2))
    sim.stub(foreign, provider.charge, latency=(0.1, 1))
    for order in range(5):
        at(sim, 1 + order, lambda system, order=order: system.queue("jobs").enqueue(charge, order, fixed))
    sim.chaos(rate=0.15, until=8, kinds=["crash"])
    sim.always(provider.is_right, "no order is charged twice")
    sim.run(until=60)


@planted(events=1, faults=1)
def enqueued_again_after_an_unknown_commit(sim, fixed):
    """A client does not know whether its job is there, and enqueues it once more; fixed: under one unique key."""
    provider = Provider()
    begin(sim, charge, af.queue("jobs", workers=2))
    sim.stub(foreign, provider.charge, latency=0.1)

    def enqueue(system, order):
        options = charge.options(unique=f"order {order}", delay=5) if fixed else charge.options(delay=5)
        try:
            system.queue("jobs").enqueue(options, order, True)
        except af.OutcomeUnknown:
            at(sim, sim.world.clock.now + 1, lambda system: enqueue(system, order))

    for order in range(5):
        at(sim, 1 + order, lambda system, order=order: enqueue(system, order))
    sim.at(1.5).commit_unknown(0.5, heal=3)
    sim.always(provider.is_right, "no order is charged twice")
    sim.run(until=60)


class Tries(af.Actor):
    """Counts tries in memory."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def next(self, order):
        self.count[order] += 1
        return self.count[order]


@af.task(name="bugs.insist", retry=af.Retry(9, SOON))
def insist(order: int, fixed: bool) -> None:
    """Try three times, as counted in memory; fixed: by the number of the attempt, which is stored."""
    number = af.current().attempt if fixed else up().find("/bug/tries").call(Tries.next, order).get()
    if number > 3:
        raise af.Permanent("three tries")
    foreign(order)


@planted(events=1, faults=1)
def tries_counted_in_memory(sim, fixed):
    """Three tries are more, as the counter begins anew with its process."""
    tries = Counter()
    begin(sim, actor(Tries), insist, af.queue("jobs", workers=2))

    def try_(order):
        tries[order] += 1
        raise ConnectionError

    sim.stub(foreign, try_, latency=(0.1, 1))
    for order in range(4):
        at(sim, 1 + order, lambda system, order=order: system.queue("jobs").enqueue(insist, order, fixed))
    sim.chaos(rate=0.3, until=8, kinds=["crash"], targets=[Tries])
    sim.always(lambda: all(n <= 3 for n in tries.values()), "at most three tries")
    sim.run(until=60)


# --- durable actors --------------------------------------------------------------------------------------------------


class Packer(af.Actor):
    """Packs what it is told, in memory."""

    def pack(self, order):
        self.ctx.sleep(0.5)
        foreign(order)


@af.task(name="bugs.pack", retry=af.Retry(9, SOON))
def pack(order: int) -> None:
    foreign(order)


class Desk(af.Actor, durable=True):
    """Accepts orders, and has them packed by an actor; fixed: by a job, which is part of its commit."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.state = fixed, Noted()

    def accept(self, order: int) -> None:
        self.state.numbers.append(order)
        if self.fixed:
            up().queue("jobs").enqueue(pack, order)
        else:
            up().find("/bug/packer", Packer).cast(Packer.pack, order)


@planted(events=1, faults=1)
def acknowledged_before_it_is_done(sim, fixed):
    """An order is in the store as accepted, and its packer dies."""
    packed = set()
    begin(sim, actor(Desk, fixed=fixed), actor(Packer), pack, af.queue("jobs", workers=2))
    sim.stub(foreign, packed.add, latency=(0.1, 0.5))
    for order in range(5):
        at(sim, 1 + order, lambda system, order=order: system.find("/bug/desk", Desk).cast(Desk.accept, order))
    sim.chaos(rate=0.2, until=8, kinds=["crash"], targets=[Packer])
    sim.run(until=60)
    assert packed == set(state_of(sim, "desk").numbers)


class Prices(af.Actor, durable=True):
    """Keeps prices, and writes each into a foreign table, with a version."""

    def __init__(self):
        super().__init__()
        self.state = Noted()

    def set(self, price: int) -> None:
        self.state.numbers.append(price)
        self.ctx.sleep(1)
        foreign(len(self.state.numbers), price)


@planted(events=2, faults=1)
def foreign_write_without_fencing(sim, fixed):
    """A node is paused before its write, another one takes over and writes, and then so does the first."""
    table = {"version": 0, "price": 0}

    def write(version, price):
        if not fixed or version >= table["version"]:
            table.update(version=version, price=price)

    begin(sim, actor(Prices), nodes=2)
    sim.stub(foreign, write, latency=(0.1, 0.5))
    draw = stream_of(sim.chooser.seed, "pauses")
    for n in range(4):
        at(sim, 1 + 40 * n, lambda _, n=n: sim.nodes[n % 2].system.find("/bug/prices", Prices).cast(Prices.set, n + 1))
        sim.at(1.2 + 40 * n + draw.random()).pause(sim.nodes[draw.randrange(2)], 60)
    sim.run(until=400)
    assert table["price"] == state_of(sim, "prices").numbers[-1]


class Seats(af.Actor, durable=True):
    """Holds a seat for who asks first; fixed: for a minute, unless it is paid."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.state = fixed, Noted()

    def hold(self, seat: int) -> bool:
        if str(seat) in self.state.by_name:
            return False
        self.state.by_name[str(seat)] = 1
        if self.fixed:
            self.ctx.after(60, self.expire, seat)
        return True

    def pay(self, seat: int) -> None:
        self.state.by_name[str(seat)] = 2

    def expire(self, seat: int) -> None:
        if self.state.by_name.get(str(seat)) == 1:
            del self.state.by_name[str(seat)]


class Guest(af.Actor):
    """Holds a seat, and pays for it; gives up if it does not know whether it has it."""

    def book(self, seat):
        try:
            seats = up().find("/bug/seats", Seats)
            if seats.call(Seats.hold, seat).get(timeout=5):
                seats.call(Seats.pay, seat).get(timeout=5)
        except (af.StoreError, af.AskTimeout, af.DeadlockError):
            pass


@planted(events=1, faults=1)
def claim_stranded_by_an_unknown_commit(sim, fixed):
    """A seat is held, its guest does not know, and nobody gives it back."""
    begin(sim, actor(Seats, fixed=fixed), actor(Guest))
    for seat in range(5):
        at(sim, 1 + seat, lambda system, seat=seat: system.find("/bug/guest", Guest).cast(Guest.book, seat))
    sim.at(1.5).commit_unknown(0.5, heal=3)
    sim.run(until=300)
    assert 1 not in state_of(sim, "seats").by_name.values()


class Mutex(af.Actor, durable=True):
    """A lock whose holder is stored; fixed: for ten seconds."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.state = fixed, Noted()

    def take(self) -> bool:
        if self.state.numbers:
            return False
        self.state.numbers.append(len(self.state.by_name))
        if self.fixed:
            self.ctx.after(10, self.give)
        return True

    def give(self) -> None:
        self.state.numbers.clear()


class Scribe(af.Actor):
    """Writes while it holds the lock, over an ask."""

    def write(self, number):
        mutex = up().find("/bug/mutex", Mutex)
        while not mutex.call(Mutex.take).get(timeout=60):
            self.ctx.sleep(0.5)
        foreign(number)
        mutex.call(Mutex.give).get(timeout=60)


@planted(events=1, faults=1)
def lock_of_a_dead_holder(sim, fixed):
    """The holder of a stored lock dies over its ask, and the lock stays taken."""
    begin(sim, actor(Mutex, fixed=fixed), actor(Scribe))
    sim.stub(foreign, lambda number: None, latency=(0.1, 1))
    for number in range(4):
        at(sim, 1 + 2 * number, lambda system, n=number: system.find("/bug/scribe", Scribe).cast(Scribe.write, n))
    sim.chaos(rate=0.2, until=9, kinds=["crash"], targets=[Scribe])
    sim.run(until=60)
    assert not state_of(sim, "mutex").numbers


class Alarm(af.Actor):
    """Rings later; its timers die with it."""

    def set(self, number):
        self.ctx.after(3.0, self.ring, number)

    def ring(self, number):
        foreign(number)


class Reminders(af.Actor, durable=True):
    """Keeps reminders, and has another actor ring; fixed: has a timer of its own, which is stored."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.state = fixed, Noted()

    def remind(self, number: int) -> None:
        self.state.numbers.append(number)
        if self.fixed:
            self.ctx.after(3.0, self.ring, number)
        else:
            up().find("/bug/alarm", Alarm).cast(Alarm.set, number)

    def ring(self, number: int) -> None:
        foreign(number)


@planted(events=1, faults=1)
def timer_of_an_actor_in_memory(sim, fixed):
    """A reminder is stored, and the timer that is to ring dies with its process."""
    rung = set()
    begin(sim, actor(Reminders, fixed=fixed), actor(Alarm))
    sim.stub(foreign, rung.add, latency=0.1)
    for n in range(4):
        at(sim, 1 + 2 * n, lambda system, n=n: system.find("/bug/reminders", Reminders).cast(Reminders.remind, n))
    sim.chaos(rate=0.2, until=12, kinds=["crash"], targets=[Alarm, Reminders])
    sim.run(until=60)
    assert rung == set(state_of(sim, "reminders").numbers)


class Election(af.Actor, durable=True):
    """Gives out the lead for ten seconds, by its own clock."""

    def __init__(self):
        super().__init__()
        self.state = Noted()

    def claim(self, name: str) -> float:
        """Return when the lead ends; 0 if another one has it."""
        now = self.ctx.now()
        holder, until = next(iter(self.state.by_name.items()), ("", 0))
        if holder not in {"", name} and now < until:
            return 0.0
        self.state.by_name = {name: int(now) + 10}
        return int(now) + 10.0


class Candidate(af.Actor):
    """Leads as long as its lead lasts: by the clock on the wall; fixed: by the seconds since it asked."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.until = fixed, 0.0

    def on_start(self):
        self.ctx.every(1.0, self.beat)

    def beat(self):
        begin = HERE.sim.world.clock.now
        until = up().find("/bug/election", Election).call(Election.claim, self.actor_ref.name).get(timeout=30)
        if self.fixed:
            self.until = begin + 9 if until else 0.0
        else:
            self.until = until

    def leads(self):
        return self.until > (HERE.sim.world.clock.now if self.fixed else self.ctx.now())


@planted(events=0, faults=2)
def two_leaders_by_a_wrong_clock(sim, fixed):
    """A leader whose clock is late, and who was paused, leads on while another one does."""
    candidate = af.child(Candidate, fixed=fixed)
    begin(
        sim,
        actor(Election),
        *(candidate.options(name=name, backoff=SOON) for name in ("one", "other")),
    )
    draw = stream_of(sim.chooser.seed, "clocks")
    for _ in range(3):
        name = draw.choice(["one", "other"])
        sim.at(draw.uniform(5, 20)).clock_skew(f"/bug/{name}", draw.choice([-60, -20, 20, 60]), heal=30)
        sim.at(draw.uniform(5, 20)).pause(f"/bug/{draw.choice(['one', 'other'])}", 20)

    def one_leads():
        found = [sim.peek(up().find(f"/bug/{name}")) for name in ("one", "other")] if up() else []
        return sum(one is not None and one.leads() for one in found) < 2

    sim.always(one_leads, "one leads")
    sim.run(until=60)


# --- events ----------------------------------------------------------------------------------------------------------


@af.event(name="bugs.placed", key="key")
@dataclasses.dataclass
class Placed:
    key: str
    n: int


class Relay(af.Service):
    """Publishes what it is told to."""

    def publish_it(self, n):
        self.publish(Placed("a", n))


class Orders(af.Service, durable=True):
    """Takes orders, and has another actor publish them; fixed: publishes in its own commit."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.state = fixed, Noted()

    def take(self, n: int) -> None:
        self.state.numbers.append(n)
        if self.fixed:
            self.publish(Placed("a", n))
        else:
            up().find("/bug/relay", Relay).cast(Relay.publish_it, n)
        self.ctx.sleep(0.2)


class Shipping(af.Service, durable=True):
    """Ships what was placed."""

    def __init__(self):
        super().__init__()
        self.state = Noted()

    @af.on(Placed)
    def ship(self, event: Placed) -> None:
        self.state.numbers.append(event.n)


@planted(events=1, faults=1)
def published_outside_of_the_commit(sim, fixed):
    """An order is stored, and the process dies before its event is published."""
    begin(sim, actor(Orders, fixed=fixed), actor(Relay), actor(Shipping))
    for n in range(12):
        at(sim, 1 + n / 2, lambda system, n=n: system.find("/bug/orders", Orders).cast(Orders.take, n))
    sim.chaos(rate=1, until=9, kinds=["crash", "slow"], targets=[Relay])
    sim.run(until=60)
    assert state_of(sim, "shipping").numbers == state_of(sim, "orders").numbers


class Statistics(af.Service, durable=True):
    """Counts orders by number, as a shop in front brings some twice; what it has seen is in memory; fixed: stored."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.seen, self.state = fixed, [], Noted()

    @af.on(Placed)
    def count(self, event: Placed) -> None:
        seen = self.state.numbers if self.fixed else self.seen
        if event.n not in seen:
            seen.append(event.n)
            name = str(event.n)
            self.state.by_name[name] = self.state.by_name.get(name, 0) + 1


@planted(events=2, faults=1)
def seen_events_in_memory(sim, fixed):
    """A service remembers in memory which orders it has counted, and dies."""
    begin(sim, actor(Statistics, fixed=fixed))
    for n in range(8):
        at(sim, 1 + n, lambda system, n=n: system.publish(Placed("a", n // 2)))
    sim.chaos(rate=0.2, until=9, kinds=["crash"], targets=[Statistics])
    sim.run(until=60)
    assert all(times == 1 for times in state_of(sim, "statistics").by_name.values())


class Totals(af.Service, durable=True):
    """A read model in a foreign table, to which it adds; fixed: writes each order under its number."""

    def __init__(self):
        super().__init__()
        self.state = Noted()

    @af.on(Placed)
    def add(self, event: Placed) -> None:
        foreign(event.n)


@planted(events=2, faults=0)
def read_model_not_reset(sim, fixed):
    """The log is replayed to a read model that still has all that it had."""
    table = Counter()

    def add(n):
        table[n] = 1 if fixed else table[n] + 1

    begin(sim, actor(Totals))
    sim.stub(foreign, add, latency=0.01)
    for n in range(5):
        at(sim, 1 + n, lambda system, n=n: system.publish(Placed("a", n)))
    draw = stream_of(sim.chooser.seed, "replays")
    at(sim, draw.uniform(0, 8), lambda system: system.event_log.replay("totals"))
    sim.run(until=60)
    assert all(times == 1 for times in table.values())


@af.event(name="bugs.opened", key="order")
@dataclasses.dataclass
class Opened:
    order: str
    customer: str


@af.event(name="bugs.closed", key="customer")
@dataclasses.dataclass
class Closed:
    order: str
    customer: str


class Open(af.Service, durable=True):
    """Keeps the open orders."""

    def __init__(self):
        super().__init__()
        self.state = Noted()

    @af.on(Opened)
    def open(self, event: Opened) -> None:
        self.state.by_name[event.order] = 1

    @af.on(Closed)
    def close(self, event: Closed) -> None:
        self.state.by_name.pop(event.order, None)


@planted(events=1, faults=0)
def two_keys_and_two_instances(sim, fixed):
    """The event that closes an order has another key than the one that opens it, and so comes to another instance."""
    begin(sim, actor(Open, instances=4))

    def serve(system, n):
        system.publish(Opened(f"o{n}", "ann"))
        system.publish(Closed(f"o{n}", "ann"), key=f"o{n}" if fixed else None)

    for n in range(8):
        at(sim, 1 + n, lambda system, n=n: serve(system, n))
    sim.run(until=30)
    assert not any(state_of(sim, f"open/{n}").by_name for n in range(4))


# --- workflows and sagas ---------------------------------------------------------------------------------------------


class Hotel:
    """A foreign hotel: it knows keys, if it is given some."""

    def __init__(self):
        self.booked, self.keys, self.refunds = Counter(), set(), Counter()

    def act(self, what, name, key):
        if key is not None and (what, key) in self.keys:
            return
        self.keys.add((what, key))
        if what == "book":
            self.booked[name] += 1
        elif what == "cancel":
            self.booked[name] -= 1
        else:
            self.refunds[name] += 1


@af.task(name="bugs.book", retry=af.Retry(5, SOON))
def book(name: str, keyed: bool) -> str:
    foreign("book", name, af.current().key if keyed else None)
    return name


@book.compensate
def cancel(name: str) -> None:
    foreign("cancel", name, af.current().key)


@af.task(name="bugs.book_for_ever", retry=af.Retry(5, SOON))
def book_for_ever(name: str) -> str:
    foreign("book", name, af.current().key)
    return name


@af.task(name="bugs.pay", retry=af.Retry(2, SOON))
def pay(name: str) -> None:
    charge_card(name)


def charge_card(name):
    """Stand for another foreign system."""
    raise RuntimeError("it would be real")


@af.saga(name="bugs.trip")
def trip(name: str, fixed: bool) -> None:
    """Book, and pay; the booking that is not fixed has no compensation."""
    if fixed:
        book(name, True)
    else:
        book_for_ever(name)
    pay(name)


@planted(events=1, faults=0)
def saga_without_a_compensation(sim, fixed):
    """The card is refused, and the room stays booked."""
    hotel = Hotel()
    begin(sim, book, book_for_ever, pay, trip)
    sim.stub(foreign, hotel.act, latency=(0.1, 1))
    sim.stub(charge_card, lambda name: None, latency=(0.1, 1), fail=0.2)
    started = []
    for n in range(6):
        at(sim, 1 + n, lambda system, n=n: started.append(system.start(trip.options(id=f"t{n}"), f"t{n}", fixed).id))
    sim.run(until=200)
    assert all(hotel.booked[run] == (status == "completed") for run, status in statuses_of(started).items())


@af.saga(name="bugs.stay")
def stay(name: str, fixed: bool) -> None:
    """Book; the hotel gets a key if it is fixed."""
    book(name, fixed)


@planted(events=1, faults=1)
def participant_without_a_key(sim, fixed):
    """The process of a saga dies in its step: it is taken again, and the hotel books a second room."""
    hotel = Hotel()
    begin(sim, book, stay)
    sim.stub(foreign, hotel.act, latency=(0.1, 1))
    for n in range(5):
        at(sim, 1 + n, lambda system, n=n: system.start(stay.options(id=f"t{n}"), f"t{n}", fixed))
    sim.chaos(rate=0.15, until=8, kinds=["crash"])
    sim.always(lambda: all(rooms < 2 for rooms in hotel.booked.values()), "no room is booked twice")
    sim.run(until=100)


@af.task(name="bugs.sell", retry=af.Retry(1))
def sell(name: str, fixed: bool) -> tuple[str, bool]:
    return name, fixed


@sell.compensate
def refund(step: af.Step) -> None:
    name, fixed = step.arguments["name"], step.arguments["fixed"]
    foreign("refund", name, af.current().key if fixed else None)


@af.task(name="bugs.refuse", retry=af.Retry(1))
def refuse() -> None:
    raise af.Permanent("no")


@af.saga(name="bugs.sale")
def sale(name: str, fixed: bool) -> None:
    """Sell, and fail."""
    sell(name, fixed)
    refuse()


@planted(events=1, faults=1)
def compensation_runs_twice(sim, fixed):
    """The process dies behind a refund and before its record: the money is given back twice."""
    hotel = Hotel()
    begin(sim, sell, refuse, sale)
    sim.stub(foreign, hotel.act, latency=(0.1, 1))
    for n in range(5):
        at(sim, 1 + n, lambda system, n=n: system.start(sale.options(id=f"t{n}"), f"t{n}", fixed))
    sim.chaos(rate=0.15, until=8, kinds=["crash"])
    sim.always(lambda: all(times < 2 for times in hotel.refunds.values()), "no money is given back twice")
    sim.run(until=100)


@af.task(name="bugs.step", retry=af.Retry(3, SOON))
def step(what: str) -> str:
    return what


@af.workflow(name="bugs.order")
def order() -> list[str]:
    """Pack and ship; the new code also wraps, before it packs."""
    is_new = HERE.is_new and (not HERE.is_fixed or af.patched("wrap"))
    done = [step("wrap")] if is_new else []
    done.append(step("pack"))
    af.sleep(3)
    return [*done, step("ship")]


@planted(events=1, faults=1)
def deployed_in_the_midst_of_a_run(sim, fixed):
    """New code has another first step, and runs that were begun by the old one cannot go on."""
    HERE.is_new, HERE.is_fixed = False, fixed
    begin(sim, step, order)
    started = []
    for n in range(5):
        at(sim, 1 + 2 * n, lambda system, n=n: started.append(system.start(order.options(id=f"t{n}")).id))
    draw = stream_of(sim.chooser.seed, "deploys")
    time = draw.uniform(0, 12)
    sim.at(time).deploy(sim.nodes[0].app)
    if "fault 0" not in sim.chooser.left_out:
        sim.world.timers.add(time, lambda: setattr(HERE, "is_new", True))
    sim.run(until=100)
    statuses = statuses_of(started)
    assert set(statuses.values()) <= {"completed"}, statuses
