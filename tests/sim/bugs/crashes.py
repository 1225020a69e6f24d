"""Bugs that a crash, a pause or a partition brings to light."""

import actorflow as af
from tests.sim.bugs.planted import Keeper, begin, planted

LONG = 9999  # virtual seconds: two slow hosts make a message take minutes


class Broker(af.Actor):
    """Has messages until they are acknowledged; brings them again to a consumer that is new."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def publish(self, number, consumer, database):
        self.waiting.append(number)
        consumer.cast(Consumer.consume, number, self.actor_ref, database)

    def done(self, number):
        if number in self.waiting:
            self.waiting.remove(number)

    def again(self, consumer, database):
        for number in self.waiting:
            consumer.cast(Consumer.consume, number, self.actor_ref, database)


class Consumer(af.Actor):
    """Acknowledges, and writes; in this order it loses the message if it dies between."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def consume(self, number, broker, database):
        if self.fixed:
            database.call(Keeper.put, number, 1).get(timeout=LONG)
            broker.cast(Broker.done, number)
        else:
            broker.call(Broker.done, number).get(timeout=LONG)
            database.call(Keeper.put, number, 1).get(timeout=LONG)


@planted(events=1, faults=1)
def ack_before_commit(sim, fixed):
    """A message is acknowledged, and its consumer dies before it writes."""
    broker, consumer, database = begin(sim, broker=Broker, consumer=af.child(Consumer, fixed=fixed), database=Keeper)
    sent = []
    for i in range(5):

        def publish(i=i):
            sent.append(i)
            broker.cast(Broker.publish, i, consumer, database)

        sim.at(i * 2.0).call(publish)
    sim.chaos(rate=0.3, until=12, kinds=["crash"], targets=[Consumer])
    sim.run(until=40)
    broker.call(Broker.again, consumer, database)
    sim.run(until=80)
    assert sorted(sim.peek(database).rows) == sent


class Account(af.Actor):
    """Moves money between two rows of a database."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def move(self, database):
        if self.fixed:
            database.call(Pair.move).get(timeout=LONG)
            return
        database.call(Pair.add, "a", -1).get(timeout=LONG)
        database.call(Pair.add, "b", 1).get(timeout=LONG)


class Pair(Keeper):
    """A database that can do both in one transaction."""

    def move(self):
        self.add("a", -1)
        self.add("b", 1)


@planted(events=1, faults=1)
def money_between(sim, fixed):
    """Money has left one account, and the mover dies before it reaches the other one."""
    database, mover = begin(sim, database=Pair, mover=af.child(Account, fixed=fixed))
    for i in range(6):
        sim.at(i * 1.0).call(lambda: mover.cast(Account.move, database))
    sim.chaos(rate=0.5, until=10, kinds=["crash", "pause"], targets=[Account])
    sim.run(until=60)
    assert sum(sim.peek(database).rows.values()) == 0


class Reminder(af.Actor):
    """Reminds after five seconds; its timers die with it."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.reminded = fixed, []

    def remind(self, number, calendar):
        calendar.cast(Calendar.note, number)
        self.ctx.after(5.0, self.due, number, calendar)

    def again(self, calendar):
        if self.fixed:
            for number in calendar.call(Calendar.open).get(timeout=LONG):
                self.ctx.after(5.0, self.due, number, calendar)

    def due(self, number, calendar):
        calendar.cast(Calendar.done, number)


class Calendar(af.Actor):
    """Knows which reminders are to come."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def note(self, number):
        self.numbers.append(number)

    def done(self, number):
        if number in self.numbers:
            self.numbers.remove(number)

    def open(self):
        return list(self.numbers)


@planted(events=1, faults=1)
def timer_after_a_restart(sim, fixed):
    """Whoever set a timer is restarted, and the timer is not."""
    reminder, calendar = begin(sim, reminder=af.child(Reminder, fixed=fixed), calendar=Calendar)
    for i in range(4):
        sim.at(i * 2.0).call(lambda i=i: reminder.cast(Reminder.remind, i, calendar))
    sim.chaos(rate=0.2, until=12, kinds=["crash", "slow"], targets=[Reminder])
    sim.run(until=40)
    reminder.call(Reminder.again, calendar)  # as the one does that starts it again
    sim.run(until=60)
    assert not sim.peek(calendar).numbers


class Ids(af.Actor):
    """Gives out numbers, from the first one again after a crash."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.last = fixed, 0

    def next(self, database):
        if self.fixed:
            return database.call(Keeper.add, "last", 1).get(timeout=LONG)
        self.last += 1
        return self.last


class Registrar(af.Actor):
    """Registers under a number of its own."""

    def register(self, ids, database):
        try:
            number = ids.call(Ids.next, database).get(timeout=LONG)
        except af.HostDied:
            return
        database.cast(Keeper.add, f"id {number}", 1)


@planted(events=2, faults=1)
def numbers_after_a_crash(sim, fixed):
    """A counter in memory begins anew, and two things have one number."""
    ids, database, registrar = begin(sim, ids=af.child(Ids, fixed=fixed), database=Keeper, registrar=Registrar)
    for i in range(6):
        sim.at(i * 1.0).call(lambda: registrar.cast(Registrar.register, ids, database))
    sim.chaos(rate=0.3, until=8, kinds=["crash", "slow"], targets=[Ids])
    sim.always(
        lambda: all(n == 1 for name, n in sim.peek(database).rows.items() if name != "last"), "each has its own number"
    )
    sim.run(until=30)


class Worker(af.Actor):
    """Works a second on what it is given, and tells; its tasks die with it."""

    def work(self, number, coordinator):
        self.ctx.sleep(1.0)
        coordinator.cast(Coordinator.done, number)


class Coordinator(af.Actor):
    """Gives out tasks, and waits for the word that they are done."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.open, self.given = fixed, set(), 0

    def give(self, number, worker):
        self.open.add(number)
        self.given += 1
        worker.cast(Worker.work, number, self.actor_ref)

    def done(self, number):
        self.open.discard(number)

    def look(self, worker):
        for number in sorted(self.open):
            worker.cast(Worker.work, number, self.actor_ref)


@planted(events=1, faults=1)
def task_of_a_dead_worker(sim, fixed):
    """A task was given to a worker that died; nobody gives it to the next one."""
    coordinator, worker = begin(sim, coordinator=af.child(Coordinator, fixed=fixed), worker=Worker)
    for i in range(5):
        sim.at(i * 2.0).call(lambda i=i: coordinator.cast(Coordinator.give, i, worker))
    sim.chaos(rate=0.2, until=10, kinds=["crash", "slow"], targets=[Worker])
    sim.run(until=40)
    if fixed:  # as a coordinator does from time to time
        coordinator.call(Coordinator.look, worker)
        sim.run(until=80)
    assert not sim.peek(coordinator).open


class Booker(af.Actor):
    """Books a hotel and a flight; gives the hotel back if there is no flight."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def book(self, number, hotel, flight):
        hotel.call(Keeper.put, number, 1).get(timeout=LONG)
        try:
            flight.call(Keeper.put, number, 1).get(timeout=2)
        except af.AskTimeout:
            if self.fixed:
                flight.call(Keeper.put, number, 0).get(timeout=LONG)
                hotel.call(Keeper.put, number, 0).get(timeout=LONG)
            else:
                flight.call(Keeper.put, number, 0).get(timeout=LONG)


@planted(events=1, faults=1)
def forgotten_compensation(sim, fixed):
    """The flight is not answered in time; its hotel stays booked."""
    booker, hotel, flight = begin(sim, booker=af.child(Booker, fixed=fixed), hotel=Keeper, flight=Keeper)
    for i in range(6):
        sim.at(i * 3.0).call(lambda i=i: booker.cast(Booker.book, i, hotel, flight))
    sim.chaos(rate=0.3, until=20, kinds=["partition", "slow"], targets=["/bug/booker", "/bug/flight"])
    sim.run(until=2000)
    assert sim.peek(hotel).rows == sim.peek(flight).rows


class Node(af.Actor):
    """One of two that lead if they hear nothing of the other one; `fixed`: if a witness agrees."""

    def __init__(self, *, leads=False, fixed=False):
        super().__init__()
        self.fixed, self.leads, self.heard, self.term = fixed, leads, 0.0, 1 if leads else 0

    def beat(self, other, witness):
        now = self.ctx.now()
        self.heard = self.heard or now
        if self.leads:
            other.cast(Node.hear)
            if self.fixed and witness.call(Keeper.get, "leader").get(timeout=LONG) not in {0, self.actor_ref.name}:
                self.leads = False
        elif now - self.heard > 3.0:
            name = self.actor_ref.name
            if not self.fixed or witness.call(Keeper.swap, "leader", 0, name).get(timeout=LONG):
                self.leads = True

    def hear(self):
        self.heard = self.ctx.now()


class Clock(af.Actor):
    """Has both beat each second."""

    def tick(self, one, other, witness):
        one.cast(Node.beat, other, witness)
        other.cast(Node.beat, one, witness)


@planted(events=5, faults=1)
def split_brain(sim, fixed):
    """Both lead, as they do not hear of each other."""
    one, other, clock, witness = begin(
        sim,
        one=af.child(Node, leads=True, fixed=fixed),
        other=af.child(Node, fixed=fixed),
        clock=Clock,
        witness=Keeper,
    )
    if fixed:
        witness.call(Keeper.put, "leader", "one")
    for i in range(20):
        sim.at(i * 1.0).call(lambda: clock.cast(Clock.tick, one, other, witness))
    sim.chaos(rate=0.2, until=15, kinds=["partition", "slow"], targets=["/bug/one", "/bug/other"])
    sim.always(lambda: not (sim.peek(one).leads and sim.peek(other).leads), "one leads")
    sim.run(until=30)


class Store(af.Actor):
    """Writes what a holder of the lease says; `fixed`: not that of an older lease."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.newest, self.stale = fixed, 0, 0

    def write(self, token):
        if token < self.newest:
            if not self.fixed:
                self.stale += 1
            return
        self.newest = token


class Leases(af.Actor):
    """Leases for two seconds, with a number."""

    def __init__(self):
        super().__init__()
        self.token, self.until = 0, 0.0

    def take(self):
        now = self.ctx.now()
        if now < self.until:
            return 0
        self.token, self.until = self.token + 1, now + 2.0
        return self.token


class Holder(af.Actor):
    """Takes the lease, and writes while it has it, as it thinks."""

    def work(self, leases, store):
        token = leases.call(Leases.take).get(timeout=LONG)
        if token:
            store.cast(Store.write, token)


@planted(events=2, faults=1)
def missing_fencing(sim, fixed):
    """A holder is paused, its lease ends, another one writes, and then so does the first."""
    leases, store, a, b = begin(sim, leases=Leases, store=af.child(Store, fixed=fixed), a=Holder, b=Holder)
    for i in range(12):
        sim.at(i * 0.7).call(lambda i=i: (a, b)[i % 2].cast(Holder.work, leases, store))
    sim.chaos(rate=0.5, until=10, kinds=["pause", "slow"], targets=["/bug/a", "/bug/b"])
    sim.always(lambda: sim.peek(store).stale == 0, "nothing is written with an old lease")
    sim.run(until=30)


class Cache(af.Actor):
    """Keeps what it has read; is told of changes."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.value, self.when = fixed, None, 0.0

    def read(self, database):
        if self.value is None or (self.fixed and self.ctx.now() - self.when > 10.0):
            self.value, self.when = database.call(Keeper.get, "price").get(timeout=LONG), self.ctx.now()
        return self.value

    def changed(self):
        self.value = None


class Editor(af.Actor):
    """Writes, and tells the cache."""

    def write(self, value, database, cache):
        database.call(Keeper.put, "price", value).get(timeout=LONG)
        cache.cast(Cache.changed)


class Visitor(af.Actor):
    """Reads by the cache."""

    def __init__(self):
        super().__init__()
        self.last = 0

    def visit(self, database, cache):
        self.last = cache.call(Cache.read, database).get(timeout=LONG)


@planted(events=2, faults=1)
def stale_cache_after_a_crash(sim, fixed):
    """The writer dies between its write and its word to the cache, which keeps the old price for ever."""
    database, cache, editor, visitor = begin(
        sim, database=Keeper, cache=af.child(Cache, fixed=fixed), editor=Editor, visitor=Visitor
    )
    for i in range(8):
        sim.at(i * 1.0).call(lambda: visitor.cast(Visitor.visit, database, cache))
        sim.at(i * 1.0 + 0.5).call(lambda i=i: editor.cast(Editor.write, i + 1, database, cache))
    sim.chaos(rate=0.5, until=9, kinds=["crash", "slow"], targets=[Editor])
    sim.run(until=40)
    visitor.call(Visitor.visit, database, cache)
    sim.run(until=60)
    assert sim.peek(visitor).last == sim.peek(database).rows.get("price", 0)


class Cron(af.Actor):
    """Runs the job of each minute, if nobody has yet; there are two, on two hosts."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def minute(self, number, database):
        if self.fixed:
            if not database.call(Keeper.swap, f"done {number}", 0, 1).get(timeout=LONG):
                return
        elif database.call(Keeper.get, f"done {number}").get(timeout=LONG):
            return
        database.cast(Keeper.put, f"done {number}", 1)
        database.cast(Keeper.add, f"runs {number}", 1)


class Minutes(af.Actor):
    """Tells both of each minute."""

    def pass_(self, number, database, *crons):
        for cron in crons:
            cron.cast(Cron.minute, number, database)


@planted(events=1)
def cron_runs_twice(sim, fixed):
    """Two nodes look whether the job of the minute has run; neither sees the other's."""
    cron = af.child(Cron, fixed=fixed)
    database, minutes, one, other = begin(sim, database=Keeper, minutes=Minutes, one=cron, other=cron)
    for i in range(5):
        sim.at(i * 60.0).call(lambda i=i: minutes.cast(Minutes.pass_, i, database, one, other))
    sim.always(
        lambda: all(n < 2 for name, n in sim.peek(database).rows.items() if name.startswith("runs")),
        "a job runs once a minute",
    )
    sim.run(until=310)
