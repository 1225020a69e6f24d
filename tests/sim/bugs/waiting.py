"""Bugs of those who wait for each other."""

import actorflow as af
from tests.sim.bugs.planted import begin, planted


class Lock(af.Actor):
    """Is held by one; the next ones wait."""

    def __init__(self):
        super().__init__()
        self.queue = []

    def take(self):
        answer = self.ctx.reply_later()
        self.queue.append(answer)
        if len(self.queue) == 1:
            answer.set(True)
        return answer

    def give(self):
        self.queue.pop(0)
        if self.queue:
            self.queue[0].set(True)


class Philosopher(af.Actor):
    """Takes two forks."""

    def __init__(self):
        super().__init__()
        self.meals = 0

    def eat(self, *forks):
        for fork in forks:
            fork.call(Lock.take).get(timeout=900)
        self.meals += 1
        for fork in forks:
            fork.call(Lock.give).get(timeout=900)


@planted(events=3)
def deadlock_of_three(sim, fixed):
    """Each has a fork, and waits for that of the next one."""
    *forks, a, b, c = begin(sim, f=Lock, g=Lock, h=Lock, a=Philosopher, b=Philosopher, c=Philosopher)
    for i, philosopher in enumerate((a, b, c, a, b, c)):
        hands = sorted((i % 3, (i + 1) % 3)) if fixed else (i % 3, (i + 1) % 3)
        both = [forks[hand] for hand in hands]
        sim.at(0.1 * i).call(lambda both=both, who=philosopher: who.cast(Philosopher.eat, *both))

    def all_ate():
        meals = sum(sim.peek(who).meals for who in (a, b, c))
        assert meals == 6 - len(sim.chooser.left_out)

    sim.eventually(all_ate, "all eat", within=60)
    sim.run(until=20)


class Ledger(af.Actor):
    """Writes under the lock."""

    def __init__(self):
        super().__init__()
        self.written = 0

    def write(self, lock, *, has_lock):
        if not has_lock:
            lock.call(Lock.take).get(timeout=900)
        self.written += 1
        if not has_lock:
            lock.call(Lock.give).get(timeout=900)


class Clerk(af.Actor):
    """Holds the lock while it asks the ledger, which takes the lock if it thinks that the clerk has none."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def book(self, number, lock, ledger):
        lock.call(Lock.take).get(timeout=900)
        is_known = self.fixed or number % 5 != 4  # one kind of bookings takes the old path
        ledger.call(Ledger.write, lock, has_lock=is_known).get(timeout=900)
        lock.call(Lock.give).get(timeout=900)


@planted(events=1)
def lock_held_over_an_ask(sim, fixed):
    """Who holds the lock waits for one who waits for the lock."""
    lock, ledger, clerk = begin(sim, lock=Lock, ledger=Ledger, clerk=af.child(Clerk, fixed=fixed))
    for i in range(6):
        sim.at(0.2 * i).call(lambda i=i: clerk.cast(Clerk.book, i, lock, ledger))

    def all_are_written():
        assert sim.peek(ledger).written == 6 - len(sim.chooser.left_out)

    sim.eventually(all_are_written, "all is booked", within=30)
    sim.run(until=10)


class Mailbox(af.Actor):
    """Has letters; wakes who waits."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed, self.letters, self.sleeper = fixed, 0, None

    def put(self):
        self.letters += 1
        if self.sleeper is not None:
            self.sleeper.cast(Reader.read, self.actor_ref)
            self.sleeper = None

    def take(self):
        taken, self.letters = self.letters, 0
        return taken

    def wake(self, reader):
        self.sleeper = reader
        if self.fixed and self.letters:
            self.sleeper = None
            reader.cast(Reader.read, self.actor_ref)


class Reader(af.Actor):
    """Reads all, then asks to be woken."""

    def __init__(self):
        super().__init__()
        self.read_so_far = 0

    def read(self, mailbox):
        while taken := mailbox.call(Mailbox.take).get(timeout=99):
            self.read_so_far += taken
        mailbox.call(Mailbox.wake, self.actor_ref).get(timeout=99)


@planted(events=2)
def lost_wake_up(sim, fixed):
    """A letter comes after the last look, and before the wish to be woken."""
    mailbox, reader = begin(sim, mailbox=af.child(Mailbox, fixed=fixed), reader=Reader)
    reader.call(Reader.read, mailbox)
    for i in range(4):
        sim.at(0.1 + 0.3 * i).call(lambda: mailbox.cast(Mailbox.put))

    def all_is_read():
        left = sum(1 for name in sim.chooser.left_out if name != "event 1")
        assert sim.peek(reader).read_so_far == 4 - left

    sim.eventually(all_is_read, "all letters are read", within=30)
    sim.run(until=10)


class Flaky(af.Actor):
    """Counts the tries of each call."""

    def __init__(self):
        super().__init__()
        self.tries = {}

    def work(self, number):
        self.tries[number] = self.tries.get(number, 0) + 1


class Caller(af.Actor):
    """Tries three times at most."""

    def __init__(self, *, fixed=False):
        super().__init__()
        self.fixed = fixed

    def call(self, number, flaky):
        tries = 0
        while tries < 3 if self.fixed else tries <= 3:
            tries += 1
            try:
                flaky.call(Flaky.work, number).get(timeout=0.5)
            except af.AskTimeout:
                continue
            return


@planted(events=1, faults=1)
def wrong_retry_count(sim, fixed):
    """Three tries are four."""
    flaky, caller = begin(sim, flaky=Flaky, caller=af.child(Caller, fixed=fixed))
    for i in range(5):
        sim.at(2.0 * i).call(lambda i=i: caller.cast(Caller.call, i, flaky))
    sim.chaos(rate=0.3, until=10, kinds=["partition", "slow"])
    sim.always(lambda: all(n <= 3 for n in sim.peek(flaky).tries.values()), "at most three tries")
    sim.run(until=30)


@planted(events=1, faults=0)
def double_charge(sim, fixed):
    """The shop asks again, as the answer is late."""
    from tests.sim.shop import trade

    trade(sim, careful=fixed, orders=8)
    sim.run(until=20)
