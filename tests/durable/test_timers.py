"""Timers of durable actors are rows."""

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_state import named

UNBOUNDED = {"capacity": None, "overflow": None}


class Clock(Account):
    def later(self, delay, k):
        self.ctx.after(delay, self.add, k)

    def often(self, period):
        self.ctx.every(period, self.add, 1)

    def never(self, delay):
        self.ctx.after(delay, self.add, 1)
        raise ValueError("no")


def test_a_timer_fires_once_and_its_row_is_gone(start):
    with start() as system:
        ref = system.spawn(named(Clock))
        ref.call(Clock.later, 0.01, 5).get(timeout=20)
        wait_for(lambda: ref.call(Clock.total).get(timeout=20) == 5)
        assert rows(system, "af_actor_timer") == 0


def test_a_timer_of_a_failed_handler_is_not_there(start):
    with start() as system:
        ref = system.spawn(named(Clock))
        with pytest.raises(ValueError, match="no"):
            ref.call(Clock.never, 0.001).get(timeout=20)
        assert rows(system, "af_actor_timer") == 0


def test_timers_outlive_the_process(start):
    with start() as system:
        ref = system.spawn(named(Clock))
        ref.call(Clock.later, 0.2, 5).get(timeout=20)
    with start() as system:
        ref = system.spawn(named(Clock))
        wait_for(lambda: ref.call(Clock.total).get(timeout=20) == 5)


def test_a_missed_period_fires_once():
    with VirtualSystem("test") as system:
        ref = system.spawn(named(Clock, restart="permanent"))
        ref.call(Clock.often, 10).get()
        system.sleep(35)
        assert ref.call(Clock.total).get() == 3
        system.scheduler.durable.store.write(lambda tx: tx.run("actors.move_timer", {"id": 1, "due": 1_600_000_000.0}))
        ref.stop()
        ref = system.spawn(named(Clock))
        system.sleep(1)
        assert ref.call(Clock.total).get() == 4  # once for all that it missed
        system.sleep(10)
        assert ref.call(Clock.total).get() == 5  # and on at its old rate


def test_periods_do_not_pile_up_and_count_from_the_first():
    with VirtualSystem("test") as system:

        class Slow(Clock):
            def add(self, k):
                if self.state.n == 0:
                    self.ctx.sleep(25)
                return super().add(k)

        ref = system.spawn(named(Slow))
        ref.call(Clock.often, 10).get()
        system.sleep(36)
        assert ref.call(Clock.total).get() == 2  # the one of 20 s stood for that of 30 s
        system.sleep(5)
        assert ref.call(Clock.total).get() == 3  # at 40 s


def test_a_timer_that_on_start_makes_is_not_doubled_by_a_restart(start):
    class Ticking(Clock):
        def on_start(self):
            self.ctx.every(3600, self.add, 1)
            self.ctx.after(7200, self.add, 2)

    for _ in range(3):
        with start() as system:
            system.spawn(named(Ticking))
            assert rows(system, "af_actor_timer") == 2


def test_a_timer_is_cancelled_with_the_commit():
    class Fickle(Clock):
        def begin(self):
            self.timer = self.ctx.after(10, self.add, 1)

        def give_up(self, *, fail):
            self.timer.cancel()
            if fail:
                raise ValueError("no")

        def at_once(self):
            return self.ctx.after(10, self.add, 1).cancel()

    with VirtualSystem("test") as system:
        ref = system.spawn(named(Fickle))
        assert ref.call(Fickle.at_once).get()
        ref.call(Fickle.begin).get()
        with pytest.raises(ValueError, match="no"):
            ref.call(Fickle.give_up, fail=True).get()
        system.sleep(11)
        assert ref.call(Fickle.total).get() == 1  # the handler that cancelled it was rolled back
        ref.call(Fickle.begin).get()
        ref.call(Fickle.give_up, fail=False).get()
        system.sleep(11)
        assert ref.call(Fickle.total).get() == 1


def test_a_timer_that_fails_is_tried_again_and_a_periodic_one_goes_on():
    tries = []

    class Failing(Clock):
        def add(self, k):
            tries.append(self.ctx.now())
            raise ValueError("no")

    with VirtualSystem("test") as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref = system.spawn(named(Failing, retry=QUICK))
        ref.call(Failing.often, 10).get()
        system.sleep(25)
        assert len(tries) == 6
        assert len(letters) == 2


def test_a_timer_made_and_cancelled_outside_of_handlers_is_a_row_too(start):
    class Outside(Clock):
        def on_start(self):
            self.kept = self.ctx

    with start() as system:
        actors = []

        class Leaky(Clock):
            def on_start(self):
                actors.append(self)

        system.spawn(named(Leaky))
        timer = actors[0].ctx.after(60, actors[0].add, 1)
        assert rows(system, "af_actor_timer") == 1
        assert timer.cancel()
        assert rows(system, "af_actor_timer") == 0


def test_the_timers_that_were_due_when_a_process_died_are_suspected_once_and_after_three_it_is_dead(start):
    def timers(system):
        return [(row[0], row[5]) for row in system.store.read(lambda tx: tx.all("actors.timers", {"actor": "a"}))]

    with start() as system:
        ref = system.spawn(named(Clock))
        ref.call(Clock.later, 3600, 5).get(timeout=20)
        ref.call(Clock.later, 7200, 1).get(timeout=20)
        ref.call(Clock.later, 9000, 1).get(timeout=20)
    with start() as system:
        first = system.store.read(lambda tx: tx.all("actors.timers", {"actor": "a"}))[0][0]
        values = {"actor": "a", "now": system.store.now() + 8000}
        for _ in range(3):
            system.store.write(lambda tx: tx.run("actors.suspect_timers", values))
        assert timers(system) == [(first, 1), (first + 1, 1), (first + 2, 0)]
        for _ in range(2):
            system.store.write(lambda tx: tx.run("actors.start_timer", {"id": first}))
            system.store.write(lambda tx: tx.run("actors.suspect_timers", values))
        assert timers(system) == [(first, 3), (first + 1, 1), (first + 2, 0)]
        system.store.write(lambda tx: tx.run("actors.move_timer", {"id": first, "due": 0.0}))
        assert timers(system)[0] == (first, 0)
        system.store.write(lambda tx: tx.run("actors.blame_timer", {"id": first, "crashes": 3}))
        system.spawn(named(Clock))
        wait_for(lambda: system.dead_mail.count() == 1)
        (letter,) = system.dead_mail.messages("a")
        assert (letter.message, letter.crashes) == ("add(5)", 3)
        assert letter.cause.startswith("HostDied: 3 processes have died on it")
        assert len(timers(system)) == 2


def test_an_actor_that_is_taken_over_from_a_dead_process_suspects_its_timers(start):
    with start() as system:
        ref = system.spawn(named(Clock))
        ref.call(Clock.later, 3600, 5).get(timeout=20)
    with start() as system:
        (row,) = system.store.read(lambda tx: tx.all("actors.timers", {"actor": "a"}))
        system.store.write(lambda tx: tx.run("actors.move_timer", {"id": row[0], "due": 1.0}))
        system.store.write(lambda tx: tx.run("actors.take", {"name": "a", "owner": "gone", **UNBOUNDED}))
        started = []
        write = system.store.write

        def count(work, /, durability=None):
            def counted(transaction):
                run = transaction.run
                return work(Counting(transaction, run, started))

            return write(counted, durability)

        system.store.write = count
        ref = system.spawn(named(Clock))
        wait_for(lambda: ref.call(Clock.total).get(timeout=20) == 5)
        assert started == [row[0]]  # a process may have died on it, so its begin was noted
        system.store.write = write


class Counting:
    """A transaction that notes which timers are marked as begun."""

    def __init__(self, transaction, run, started):
        self._transaction, self._run, self._started = transaction, run, started

    def run(self, name, *values):
        if name == "actors.start_timer":
            self._started.append(values[0]["id"])
        return self._run(name, *values)

    def __getattr__(self, name):
        return getattr(self._transaction, name)
