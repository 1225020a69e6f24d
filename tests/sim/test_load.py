"""Promises: handlers and tasks take the virtual time that they cost, on the cores that there are; clients come."""

import dataclasses
import os
import time

import pytest

import actorflow as af
from actorflow.errors import DefinitionError
from actorflow.sim import (
    Clients,
    Histogram,
    Link,
    Simulation,
    SimulationFailure,
    exponential,
    lognormal,
    simulate,
    uniform,
)
from actorflow.testing import LeakCheck

EPOCH = 1_600_000_000


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


@dataclasses.dataclass(frozen=True)
class Placed:
    order: int


@dataclasses.dataclass(frozen=True)
class Paid:
    order: int


class Till(af.Actor):
    """Does all kinds of things, and notes when each was done."""

    def __init__(self):
        super().__init__()
        self.done = []

    def note(self, what):
        self.done.append((round(self.ctx.now() - EPOCH, 9), what))

    def charge(self, order):
        self.note(order)
        return order

    async def charge_async(self, order):
        self.note(order)
        return order

    def later(self):
        self.ctx.after(1.0, self.charge, "timer")

    def on_receive(self, message):
        self.note(message)

    def ask(self, other):
        self.note(other.call(Till.charge, "asked").get(timeout=60))

    def pipe(self, other):
        self.ctx.pipe(other.call(Till.free, 1), self.charge)

    def free(self, value):
        return value


def shop(sim, *, till=None, **options):
    children = [af.child(Till).options(name="till", **(till or {})), af.child(Till).options(name="other")]
    system = sim.start(af.App("shop").add(*children), **options)
    return system.find("/shop/till", Till), system.find("/shop/other", Till)


@pytest.mark.parametrize("options", [{}, {"capacity": 10}, {"blocking": True}, {"host": af.Process(name="p")}])
def test_messages_of_each_kind_of_mailbox_take_their_time(options):
    with Simulation(seed=3) as sim:
        till, _ = shop(sim, till=options)
        sim.cost(Till.charge, 0.5)
        for order in range(3):
            till.cast(Till.charge, order)
        sim.run(until=10)
        assert sim.peek(till).done == [(0.5, 0), (1.0, 1), (1.5, 2)]


def test_the_answer_of_an_ask_comes_at_the_end_of_its_cost():
    with Simulation() as sim:
        till, other = shop(sim)
        sim.cost(Till.charge, 0.5)
        sim.network(Link(latency=1.0))
        till.cast(Till.ask, other)
        assert other.call(Till.charge, "first").get(timeout=60) == "first"
        assert sim.world.clock.now == 0.5
        sim.run(until=10)
        assert sim.peek(till).done == [(2.5, "asked")]


def test_timers_pipes_raw_messages_and_async_handlers_cost_what_their_methods_do():
    with Simulation() as sim:
        till, other = shop(sim)
        sim.cost(Till.charge, 0.25)
        sim.cost(Till.charge_async, 0.5)
        sim.cost(Till.on_receive, 2.0)
        for act in (
            lambda: till.cast(Till.later),
            lambda: till.tell("raw"),
            lambda: till.cast(Till.charge_async, "async"),
            lambda: till.cast(Till.pipe, other),
            lambda: till.proxy().charge("proxy"),
        ):
            start = sim.world.clock.now
            sim.peek(till).done.clear()
            act()
            sim.run(until=start + 10)
            sim.peek(other).done.append(tuple(sim.peek(till).done))
            ((end, what),) = sim.peek(till).done
            assert round(end - start, 9) == {"timer": 1.25, "raw": 2.0, "async": 0.5, 1: 0.25, "proxy": 0.25}[what]


def test_costs_may_be_declared_before_the_app_starts():
    with Simulation() as sim:
        sim.cost(Till.charge, 0.5)
        sim.cost(plain, 2.0)
        sim.cores(1)
        sim.record()
        system = sim.start(af.App("shop").add(af.child(Till).options(name="till"), plain).queue("jobs", workers=1))
        job = system.queue("jobs").enqueue(plain, 1)
        till = system.find("/shop/till", Till)
        till.cast(Till.charge, 1)
        figures = sim.run(until=10).figures
        assert sim.peek(till).done == [(0.5, 1)]
        assert job.result() == 2.0
    assert figures.handlers["Till.charge"].wait.count == 1


def test_a_class_has_a_cost_for_all_messages_without_one_of_their_own():
    with Simulation() as sim:
        till, _ = shop(sim)
        sim.cost(Till, 3.0)
        sim.cost(Till.charge, 0.5)
        till.cast(Till.charge, 1)
        till.tell("raw")
        sim.run(until=10)
        assert sim.peek(till).done == [(0.5, 1), (3.5, "raw")]


class Cashier(Till):
    def charge(self, order):
        return super().charge(order)


def test_a_method_that_a_subclass_replaces_has_a_cost_of_its_own():
    with Simulation() as sim:
        cashier = sim.start(af.App("shop").add(af.child(Cashier).options(name="c"))).find("/shop/c", Cashier)
        sim.cost(Till.charge, 5.0)
        sim.cost(Cashier.charge, 1.0)
        cashier.cast(Cashier.charge, 1)
        sim.run(until=10)
        assert sim.peek(cashier).done == [(1.0, 1)]


class Payments(af.Service):
    """Publishes at the end of its cost."""

    @af.on(Placed)
    def charge(self, event: Placed) -> Paid:
        return Paid(event.order)


class Ledger(af.Service):
    """Notes when it hears of payments: large ones take a handler of their own."""

    def __init__(self):
        super().__init__()
        self.heard = []

    @af.on(Paid, when=lambda self, event: event.order >= 100)
    def large(self, event: Paid) -> None:
        self.heard.append((round(self.ctx.now() - EPOCH, 3), event.order))

    @af.on(Paid)
    def small(self, event: Paid) -> None:
        self.heard.append((round(self.ctx.now() - EPOCH, 3), event.order))


def test_events_cost_what_the_handler_does_that_their_guards_choose():
    with Simulation() as sim:
        system = sim.start(af.App("shop").add(Payments, af.child(Ledger).options(name="ledger")))
        sim.cost(Payments.charge, 1.0)
        sim.cost(Ledger.large, 5.0)
        sim.cost(Ledger.small, 0.5)
        sim.record()
        sim.at(1).call(lambda: system.publish(Placed(7)))
        sim.at(10).call(lambda: system.publish(Placed(100)))
        report = sim.run(until=30)
        assert sim.peek(system.find("/shop/ledger", Ledger)).heard == [(2.5, 7), (16.0, 100)]
    assert report.latency(Placed, Paid).max == 1.0
    assert report.latency(Ledger.large).max == 5.0


@pytest.mark.parametrize("seed", range(4))
def test_a_durable_service_costs_time_and_its_events_come_with_its_commit(seed):
    with Simulation(seed) as sim:
        app = af.App("shop").add(
            af.child(Payments).options(durable=True, name="payments"), af.child(Ledger).options(name="ledger")
        )
        system = sim.start(app)
        sim.cost(Payments.charge, 1.0)
        sim.record()
        for second in (1, 1.5, 10):
            sim.at(second).call(lambda second=second: system.publish(Placed(int(second))))
        report = sim.run(until=30)
        times = [when for when, _ in sim.peek(system.find("/shop/ledger", Ledger)).heard]
        assert times == pytest.approx([2.0, 3.0, 11.0], abs=0.01)
    assert report.figures.handlers["Payments.charge"].service.min == pytest.approx(1.0, abs=0.01)


@dataclasses.dataclass
class Takings:
    total: int = 0


class Safe(af.Actor, durable=True):
    """Keeps money over crashes."""

    def __init__(self):
        super().__init__()
        self.state = Takings()

    def pay_in(self, amount: int) -> None:
        self.state.total += amount


def test_a_durable_actor_that_dies_as_it_is_busy_has_done_nothing_and_does_it_again():
    with Simulation(seed=1) as sim:
        app = af.App("shop").add(af.child(Safe).options(name="safe", backoff=af.Backoff(0.1)))
        system = sim.start(app)
        safe = system.durable("safe", Safe)
        sim.cost(Safe.pay_in, 2.0)
        sim.at(1).call(lambda: safe.cast(Safe.pay_in, 10))
        sim.at(2).crash(Safe, down=1)
        totals = []

        def look():
            actor = sim.peek(system.find("/shop/safe", Safe))
            totals.append((sim.world.clock.now, 0 if actor is None else actor.state.total))

        sim.always(look)
        sim.run(until=20)
        first = min(now for now, total in totals if total)
        assert first >= 5.0
        assert totals[-1][1] == 10


def test_a_crash_of_the_host_loses_the_message_at_hand_and_frees_the_cores():
    with Simulation(seed=1) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 10.0)
        sim.cores(1, till)
        errors = []

        def ask():
            future = till.call(Till.charge, "lost")
            future._when_done(lambda: errors.append((sim.world.clock.now, type(future._error))))

        sim.at(1).call(ask)
        sim.at(2).crash("till", down=1.0)
        sim.at(5).call(lambda: till.cast(Till.charge, "next"))
        sim.run(until=60)
        assert errors == [(2.0, af.HostDied)]
        assert sim.peek(till).done == [(15.0, "next")]


class Child(af.Actor):
    def work(self, notes):
        notes.append("worked")


class Parent(af.Actor):
    def __init__(self):
        super().__init__()
        self.notes = []

    def begin(self):
        self.child = self.ctx.spawn(af.child(Child).options(shutdown=3.0))
        self.child.cast(Child.work, self.notes)

    def end(self):
        raise RuntimeError("so that its children end")


@pytest.mark.parametrize(("cost", "notes"), [(1.0, ["worked"]), (9.0, [])])
def test_an_exit_waits_for_the_end_of_a_cost_and_abandons_it_after_the_shutdown_time(cost, notes):
    with Simulation(seed=1) as sim:
        system = sim.start(af.App("shop").add(af.child(Parent).options(name="parent")), hosts="one")
        parent = system.find("/shop/parent", Parent)
        sim.cost(Child.work, cost)
        parent.cast(Parent.begin)
        sim.run(until=0.2)
        left = sim.peek(parent).notes
        parent.cast(Parent.end)
        sim.run(until=30)
        assert left == notes
        assert sim.peek(parent).notes == []  # of the next incarnation
        assert not sim.world.abandoned_items


def test_what_runs_on_one_host_shares_its_cores():
    with Simulation(seed=2) as sim:
        till, other = shop(sim, hosts="one")
        sim.cost(Till.charge, 1.0)
        sim.cores(1)
        till.cast(Till.charge, 1)
        other.cast(Till.charge, 2)
        sim.run(until=10)
        assert sorted(end for end, _ in sim.peek(till).done + sim.peek(other).done) == [1.0, 2.0]


@af.task(name="tests.load.plain")
def plain(n):
    return time.monotonic()


@af.task(name="tests.load.waits")
async def waits(n):
    return time.monotonic()


@af.task(cpu=True, name="tests.load.computes")
def computes(n):
    return time.monotonic()


@pytest.mark.parametrize(("task", "ends"), [(plain, [1, 2, 3]), (waits, [1, 2, 3]), (computes, [1, 2, 3])])
def test_tasks_of_a_queue_cost_time(task, ends):
    with Simulation(seed=5) as sim:
        app = af.App("shop").add(task).queue("jobs", workers=1)
        system = sim.start(app)
        sim.cost(task, 1.0)
        sim.record()
        jobs = [system.queue("jobs").enqueue(task, n) for n in range(3)]
        report = sim.run(until=30)
        assert sorted(job.result() for job in jobs) == pytest.approx(ends, abs=0.1)
    assert report.figures.handlers[f"task {task.name}"].service.count == 3


def test_cpu_tasks_take_the_workers_of_their_pool():
    with Simulation(seed=5) as sim:
        app = af.App("shop").add(computes).queue("jobs", workers=4)
        system = sim.start(app)
        system.pool("cpu", workers=2)
        sim.cost(computes, 1.0)
        jobs = [system.queue("jobs").enqueue(computes, n) for n in range(4)]
        sim.run(until=30)
        assert sorted(round(job.result(), 3) for job in jobs) == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("cores", [1, 3, 64, None])
def test_a_pool_has_the_same_workers_on_each_machine(cores, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    with Simulation(seed=5) as sim:
        system = sim.start(af.App("shop").add(computes).queue("jobs", workers=8))
        assert system.pool("cpu").workers == 4
        sim.cost(computes, 1.0)
        jobs = [system.queue("jobs").enqueue(computes, n) for n in range(8)]
        sim.run(until=30)
        assert sorted(round(job.result(), 3) for job in jobs) == [1.0] * 4 + [2.0] * 4


@af.task(cpu=True, retry=af.Retry(3, af.Backoff(0.1)), name="tests.load.computes_again")
def computes_again(n):
    return time.monotonic()


def test_each_node_has_a_pool_whose_workers_die_with_it():
    with Simulation(seed=5) as sim:
        app = af.App("shop").add(computes_again).queue("jobs", workers=2)
        sim.start(app, nodes=2)
        for node in sim.nodes:
            node.system.pool("cpu", workers=1)
        sim.cost(computes_again, 10.0)
        jobs = [sim.nodes[0].system.queue("jobs").enqueue(computes_again, n) for n in range(2)]
        sim.at(5).crash(sim.nodes[0], down=1)
        sim.run(until=300)
        ends = sorted(sim.nodes[0].system.get_job(job.id).result() for job in jobs)
        assert len(ends) == 2
        assert ends[-1] < 100


def test_the_workers_of_a_pool_are_free_again_once_their_node_has_died():
    with Simulation(seed=5) as sim:
        system = sim.start(af.App("shop").add(computes_again).queue("jobs", workers=1))
        system.pool("cpu", workers=1)
        sim.cost(computes_again, 10.0)
        system.queue("jobs").enqueue(computes_again, 1)
        sim.run(until=5)
        ((host, _),) = sim.world_load._workers
        cores = sim.world_load._workers[host, "/shop/cpu"]
        got = []
        cores.ask(lambda: got.append("waits"))
        assert got == []
        sim.at(6).crash(sim.nodes[0], down=100)
        sim.run(until=7)
        cores.ask(lambda: got.append("at once"))
        assert got == ["at once"]


def test_jobs_that_wait_for_a_core_have_not_begun():
    with Simulation(seed=5) as sim:
        queue = sim.start(af.App("shop").add(plain).queue("jobs", workers=2)).queue("jobs")
        sim.cost(plain, 1.0)
        sim.cores(1)
        sim.record()
        for n in range(2):
            queue.enqueue(plain, n)
        figures = sim.run(until=10).figures
    task = figures.handlers["task tests.load.plain"]
    assert (task.wait.min, task.wait.max) == pytest.approx((0.0, 1.0), abs=1e-3)
    assert (task.service.min, task.service.max) == pytest.approx((1.0, 1.0), abs=1e-3)
    assert figures.actors["/shop/queue-jobs"].queue.integral == pytest.approx(1.0, abs=1e-3)


def test_messages_of_a_durable_actor_wait_in_the_record_too():
    with Simulation(seed=5) as sim:
        safe = sim.start(af.App("shop").add(af.child(Safe).options(name="safe"))).durable("safe", Safe)
        sim.cost(Safe.pay_in, 1.0)
        sim.record()
        sim.at(1).call(lambda: [safe.cast(Safe.pay_in, 1) for _ in range(3)])
        figures = sim.run(until=20).figures
    handler = figures.handlers["Safe.pay_in"]
    assert (handler.wait.count, handler.wait.total) == (3, pytest.approx(3.0, abs=0.01))
    queue = figures.actors["/shop/safe"].queue
    assert (queue.value, queue.integral) == (0, pytest.approx(3.0, abs=0.01))


class Counter(af.Service, durable=True, retry=af.Retry(3, af.Backoff(4.0))):
    """Counts orders; some it can count at the second try only."""

    def __init__(self):
        super().__init__()
        self.state = Takings()

    @af.on(Placed)
    def count(self, event: Placed) -> None:
        if event.order < 0 and self.ctx.now() - EPOCH < 3:
            raise ValueError("not yet")
        self.state.total += 1

    def look(self) -> int:
        return self.state.total


def counted(act, until, cost=1.0):
    """Return the figures of a durable service."""
    with Simulation(seed=5) as sim:
        system = sim.start(af.App("shop").add(af.child(Counter).options(name="counter")))
        sim.cost(Counter.count, cost)
        sim.record()
        sim.at(1).call(lambda: act(system))
        figures = sim.run(until=until).figures
    return figures.handlers["Counter.count"], figures.actors["/shop/counter"].queue


def test_events_in_the_log_wait_for_a_durable_service_in_the_record_too():
    handler, queue = counted(lambda system: [system.publish(Placed(n)) for n in range(3)], 20)
    assert (handler.wait.count, handler.wait.total) == (3, pytest.approx(3.0, abs=0.02))
    assert (queue.value, queue.integral) == (0, pytest.approx(3.0, abs=0.02))
    assert handler.sojourn.max == pytest.approx(3.0, abs=0.02)


def test_events_that_wait_at_the_end_of_the_run_are_in_the_record():
    handler, queue = counted(lambda system: [system.publish(Placed(n)) for n in range(20)], 6)
    assert handler.service.count in (4, 5)
    assert queue.value == 20 - 5 - (handler.service.count == 5)
    assert max(queue.highs) >= 19
    assert queue.means[-2] > 10


def test_jobs_that_are_in_the_queue_at_the_end_of_the_run_are_in_the_record():
    with Simulation(seed=5) as sim:
        queue = sim.start(af.App("shop").add(plain).queue("jobs", workers=1)).queue("jobs")
        sim.cost(plain, 1.0)
        sim.record()
        sim.at(0).call(lambda: queue.enqueue_many(plain, [(n,) for n in range(20)]))
        sim.at(0).call(lambda: queue.enqueue(plain.options(delay=100.0), 20))
        figures = sim.run(until=5.5).figures
    waiting = figures.actors["/shop/queue-jobs"].queue
    assert waiting.value == 14  # five are done, and one is under way
    assert waiting.integral == pytest.approx(19 + 18 + 17 + 16 + 15 + 14 / 2, abs=0.1)


@pytest.mark.parametrize("fault", ["crash", "disk_full", "busy", "stop"])
def test_the_record_of_what_waits_is_there_though_nodes_or_the_store_are_not(fault):
    with Simulation(seed=5) as sim:
        app = af.App("shop").add(plain, af.child(Counter).options(name="counter")).queue("jobs", workers=1)
        system = sim.start(app, nodes=2)
        sim.cost(plain, 1.0)
        sim.cost(Counter.count, 1.0)
        sim.record()
        sim.at(0).call(lambda: system.queue("jobs").enqueue_many(plain, [(n,) for n in range(20)]))
        sim.at(0).call(lambda: [system.publish(Placed(n)) for n in range(20)])
        if fault == "crash":
            for node in sim.nodes:
                sim.at(4.2).crash(node, down=50)
        elif fault == "stop":
            sim.at(4.2).deploy(af.App("shop"))
        else:
            getattr(sim.at(4.2), fault)(heal=50)
        actors = sim.run(until=5.5).figures.actors
    assert actors["/shop/queue-jobs"].queue.value >= 8
    assert sum(one.queue.value for path, one in actors.items() if "counter" in path) >= (0 if fault == "stop" else 12)


def test_an_event_that_is_published_with_a_delay_waits_from_then_on():
    handler, queue = counted(lambda system: system.publish(Placed(1), delay=3.0), 20)
    assert handler.wait.max == pytest.approx(0.0, abs=0.02)
    assert queue.integral == pytest.approx(0.0, abs=0.02)


def test_an_event_that_is_tried_again_does_not_wait_meanwhile():
    handler, queue = counted(lambda system: system.publish(Placed(-1)), 20)
    assert (handler.service.count, handler.wait.count) == (2, 1)
    assert queue.integral == pytest.approx(0.0, abs=0.02)


def test_messages_and_events_of_a_durable_service_wait_together():
    def act(system):
        for n in range(2):
            system.publish(Placed(n))
            system.find("/shop/counter", Counter).cast(Counter.look)

    _, queue = counted(act, 20)
    assert max(queue.highs) >= 2
    assert queue.value == 0


def test_a_message_of_a_durable_actor_waits_for_a_core_before_it_is_handled():
    with Simulation(seed=5) as sim:
        app = af.App("shop").add(*(af.child(Safe).options(name=name) for name in ("one", "two")))
        system = sim.start(app, hosts="one")
        sim.cost(Safe.pay_in, 1.0)
        sim.cores(1)
        sim.record()
        sim.at(1).call(lambda: [system.durable(name, Safe).cast(Safe.pay_in, 1) for name in ("one", "two")])
        figures = sim.run(until=20).figures
    handler = figures.handlers["Safe.pay_in"]
    assert (handler.wait.max, handler.service.max) == pytest.approx((1.0, 1.0), abs=0.01)


class Busy(Till):
    """Has a timer, and cancels it."""

    def begin(self):
        self.timer = self.ctx.after(1.0, self.charge, "timer")

    def work(self):
        pass

    def cancel(self):
        self.timer.cancel()


def test_a_timer_that_is_cancelled_as_it_waits_costs_nothing():
    with Simulation() as sim:
        busy = sim.start(af.App("shop").add(af.child(Busy).options(name="busy"))).find("/shop/busy", Busy)
        sim.cost(Busy.work, 2.0)
        sim.cost(Busy.charge, 5.0)
        busy.cast(Busy.begin)
        busy.cast(Busy.work)
        busy.cast(Busy.cancel)
        sim.at(1.5).call(lambda: busy.tell("next"))
        sim.run(until=20)
        assert sim.peek(busy).done == [(2.0, "next")]


PAUSES = [
    ([(0.5, 5.0)], 6.0),  # computed for half a second before the pause, and for half a one after it
    ([(0.5, 2.0), (1.0, 4.0)], 5.5),  # one pause goes on in the other
    ([(0.2, 1.0), (1.5, 1.0)], 3.0),
    ([(2.0, 3.0)], 1.0),
]


@pytest.mark.parametrize(("pauses", "end"), PAUSES)
def test_a_cost_does_not_pass_while_its_host_is_paused(pauses, end):
    with Simulation(seed=5) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 1.0)
        sim.cores(1)
        sim.record()
        till.cast(Till.charge, 1)
        for time, seconds in pauses:
            sim.at(time).pause("till", seconds)
        figures = sim.run(until=20).figures
        assert sim.peek(till).done == [(pytest.approx(end), 1)]
        assert figures.hosts["/shop/till"].computed == pytest.approx(1.0)


@pytest.mark.parametrize("task", [plain, waits, computes])
@pytest.mark.parametrize(("pauses", "end"), PAUSES)
def test_a_task_does_not_go_on_while_its_node_is_paused(task, pauses, end):
    with Simulation(seed=5) as sim:
        system = sim.start(af.App("shop").add(task).queue("jobs", workers=1))
        sim.cost(task, 1.0)
        job = system.queue("jobs").enqueue(task, 1)
        for time, seconds in pauses:
            sim.at(time).pause(sim.nodes[0], seconds)
        sim.run(until=20)
        assert job.result() == pytest.approx(end, abs=0.01)


def test_a_durable_message_costs_its_time_beside_the_pauses_of_its_host():
    with Simulation(seed=5) as sim:
        safe = sim.start(af.App("shop").add(af.child(Safe).options(name="safe"))).durable("safe", Safe)
        sim.cost(Safe.pay_in, 1.0)
        times = []
        sim.always(lambda: times.append((sim.world.clock.now, sim.peek("safe").state.total)))
        sim.at(0).call(lambda: safe.cast(Safe.pay_in, 1))
        sim.at(0.5).pause(Safe, 5.0)
        sim.run(until=20)
        assert min(now for now, total in times if total) == pytest.approx(6.0, abs=0.01)


def test_a_cost_that_begins_in_a_pause_passes_after_it():
    with Simulation(seed=5) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 1.0)
        sim.cores(1)
        till.cast(Till.charge, 1)
        till.cast(Till.charge, 2)
        sim.at(1.0).pause("till", 2.0)
        sim.run(until=20)
        assert sim.peek(till).done == [(3.0, 1), (4.0, 2)]


def test_a_node_that_dies_loses_what_costs_time_there():
    with Simulation(seed=5) as sim:
        till, _ = shop(sim, nodes=2)
        sim.cost(Till.charge, 2.0)
        sim.cores(1)
        sim.at(0).call(lambda: [till.cast(Till.charge, n) for n in range(3)])
        sim.at(1).crash(sim.nodes[0], down=1)
        sim.at(5).call(lambda: sim.nodes[0].system.find("/shop/till", Till).cast(Till.charge, "new"))
        sim.run(until=20)
        assert sim.peek(sim.nodes[0].system.find("/shop/till", Till)).done == [(7.0, "new")]
        assert not sim.world.abandoned_items


def test_nothing_is_noted_and_no_step_takes_a_detour_unless_it_is_asked_for():
    with Simulation(seed=5) as sim:
        till, _ = shop(sim)
        till.cast(Till.charge, 1)
        report = sim.run(until=1)
        assert (sim.world.load, sim.world.detours) == (None, False)
        assert report.figures is None


@af.workflow(name="tests.load.flow")
def flow():
    return plain(1), plain(2)


def test_steps_of_a_workflow_cost_time():
    with Simulation(seed=5) as sim:
        system = sim.start(af.App("shop").add(flow, plain))
        sim.cost(plain, 1.5)
        run = system.start(flow)
        sim.run(until=30)
        assert run.result() == pytest.approx((1.5, 3.0), abs=0.01)


# --- costs that vary, and wrong ones ---------------------------------------------------------------------------------


def ends_of(seed, cost, tape=None):
    with Simulation(seed, tape=tape) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, cost)
        for order in range(200):
            sim.at(order * 100.0).call(lambda order=order: till.cast(Till.charge, order))
        sim.run(until=30_000)
        return [end - 100.0 * order for end, order in sim.peek(till).done], sim.chooser.tape(), sim.world.digest


def test_costs_that_vary_come_of_the_seed_and_of_the_tape():
    times, tape, digest = ends_of(1, exponential(2.0))
    assert ends_of(1, exponential(2.0))[0] == times
    assert ends_of(1, exponential(2.0), tape)[::2] == (times, digest)
    assert ends_of(2, exponential(2.0))[0] != times
    assert 1.6 < sum(times) / 200 < 2.4


def test_an_event_that_is_left_out_shifts_no_others_cost():
    times, tape, _ = ends_of(1, exponential(2.0))
    left_out = dataclasses.replace(tape, left_out=frozenset({"event 3"}))
    with Simulation(1, tape=left_out) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, exponential(2.0))
        for order in range(10):
            sim.at(order * 100.0).call(lambda order=order: till.cast(Till.charge, order))
        sim.run(until=2000)
        found = {order: end - 100.0 * order for end, order in sim.peek(till).done}
    assert found == {order: times[order] for order in range(10) if order != 2}


def job_times(tape=None):
    with Simulation(1, tape=tape) as sim:
        queue = sim.start(af.App("shop").add(plain).queue("jobs", workers=1)).queue("jobs")
        sim.cost(plain, exponential(2.0))
        jobs = {}

        def enqueue(n):
            jobs[n] = queue.enqueue(plain, n)

        sim.clients(Clients(rate=0.01, shape="steady", count=8), enqueue)
        sim.run(until=1000)
        return {n: job.result() - 100 * (n + 1) for n, job in jobs.items()}, sim.chooser.tape()


def test_a_job_that_is_left_out_shifts_no_others_cost():
    times, tape = job_times()
    some, _ = job_times(dataclasses.replace(tape, left_out=frozenset({"event 3"})))
    assert some == pytest.approx({n: time for n, time in times.items() if n != 2}, abs=1e-6)
    assert len({round(time, 3) for time in times.values()}) == 8


@pytest.mark.parametrize(
    ("cost", "least", "most"),
    [
        (lognormal(1.0, 10.0), 0.7, 1.4),
        (uniform(1.0, 3.0), 1.8, 2.2),
        (Histogram.of([1.0, 1.0, 3.0]), 1.0, 1.1),
        (lambda random: random.choice([0.5, 0.5, 0.5]), 0.5, 0.5),
    ],
)
def test_each_distribution_is_drawn_from(cost, least, most):
    times, _, _ = ends_of(3, cost)
    assert least <= sorted(times)[100] <= most


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (lambda random: -1.0, "it is to be virtual seconds"),
        (lambda random: "1", "it is to be virtual seconds"),
        (lambda random: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_a_distribution_that_gives_no_seconds_ends_the_run(cost, message):
    with Simulation() as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, cost)
        till.cast(Till.charge, 1)
        with pytest.raises(DefinitionError, match=message):
            sim.run(until=10)


@pytest.mark.parametrize(
    ("target", "cost"),
    [
        (Till.charge, -1),
        (Till.charge, "1"),
        (Till.charge, float("nan")),
        (Till.charge, True),
        (Till.on_start, 1.0),
        (int, 1.0),
        (3, 1.0),
        (len, 1.0),
        (lambda: None, 1.0),
    ],
)
def test_a_cost_that_makes_no_sense_is_refused(target, cost):
    with Simulation() as sim, pytest.raises(DefinitionError, match="cost"):
        sim.cost(target, cost)


def test_a_second_cost_is_refused_and_so_are_no_cores():
    with Simulation() as sim:
        sim.cost(Till.charge, 1.0)
        with pytest.raises(DefinitionError, match="has one already"):
            sim.cost(Till.charge, 2.0)
        for count in (0, 1.5, True):
            with pytest.raises(DefinitionError, match="1 or more"):
                sim.cores(count)


@pytest.mark.parametrize(
    "make", [lambda: exponential(0), lambda: lognormal(1, 0.5), lambda: uniform(2, 1), lambda: uniform(-1, 1)]
)
def test_a_distribution_that_makes_no_sense_is_refused(make):
    with pytest.raises(DefinitionError):
        make()


def test_a_cost_that_is_never_paid_fails_the_search():
    @simulate(runs=3, tapes=None)
    def body(sim):
        till, _ = shop(sim)
        sim.cost(Till.charge_async, 1.0)
        till.cast(Till.charge, 1)
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="cost of Till.charge_async was paid"):
        body()


# --- the record ------------------------------------------------------------------------------------------------------


def traded(seed, *, record=False, cost=None):
    with Simulation(seed) as sim:
        till, other = shop(sim)
        sim.network(Link(latency=(0.001, 0.3)))
        if cost is not None:
            sim.cost(Till.charge, cost)
        if record:
            sim.record()
        for order in range(20):
            sim.at(order * 0.1).call(lambda: till.cast(Till.ask, other))
        return sim.run(until=60)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cost", [None, 0.05])
def test_a_run_that_is_recorded_takes_the_same_steps(seed, cost):
    quiet, recorded = traded(seed, cost=cost), traded(seed, cost=cost, record=True)
    assert (quiet.digest, quiet.steps) == (recorded.digest, recorded.steps)
    assert quiet.figures is None
    assert recorded.figures.handlers["Till.ask"].service.count == 20


def test_the_record_says_who_was_busy_when_and_draws_the_messages():
    report = traded(2, record=True, cost=0.5)
    figures = report.figures
    assert all(span.begin < span.end for span in figures.gantt)
    assert {span.handler for span in figures.gantt} == {"Till.ask", "Till.charge"}
    assert figures.handlers["Till.charge"].wait.count == 20
    assert "sequenceDiagram" in report.sequence()
    assert figures.actors["/shop/other"].busy == pytest.approx(10.0)
    assert figures.actors["/shop/other"].throughput.total == 20
    ask = figures.handlers["Till.ask"]
    assert ask.wait.total == pytest.approx(figures.actors["/shop/till"].queue.integral)


def test_the_latency_from_handler_to_handler_is_that_of_one_client_event():
    report = traded(2, record=True, cost=0.5)
    latency = report.latency(Till.ask, Till.charge)
    assert latency.count == 20
    assert 0.5 <= latency.min < latency.max <= report.latency(Till.ask).max
    assert report.latency(Till.ask, Till.charge, after=1.0).count < 20
    (pair,) = report.handler_pairs()
    assert (pair.first, pair.last, pair.latency.as_dict()) == ("Till.ask", "Till.charge", latency.as_dict())
    assert report.as_dict()["handler_latency"] == [pair.as_dict()]
    assert report.handler_pairs(after=1.0)[0].latency.count < 20
    with pytest.raises(DefinitionError, match="handled nothing"):
        report.latency(Till.ask, Till.later)
    with pytest.raises(DefinitionError, match="two classes of events"):
        report.latency(Till.ask, Placed)


def test_the_warm_up_does_not_count():
    with Simulation(1) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 0.5)
        sim.record(after=10.0)
        sim.clients(Clients(rate=1, shape="steady", count=20), lambda n: till.cast(Till.charge, n))
        report = sim.run(until=20.0)
    figures = report.figures
    assert figures.begin == 10.0
    assert figures.handlers["Till.charge"].sojourn.count in {9, 10}
    assert figures.actors["/shop/till"].utilisation == pytest.approx(0.5, abs=0.06)
    assert all(span.end > 10.0 for span in figures.gantt)


def test_a_message_that_came_in_the_warm_up_does_not_count():
    with Simulation(1) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 0.9)
        sim.record(after=10.5)
        sim.clients(Clients(rate=1, shape="steady", count=20), lambda n: till.cast(Till.charge, n))
        figures = sim.run(until=15.5).figures
    assert figures.handlers["Till.charge"].sojourn.count == 4  # of those at 11, 12, 13 and 14; the last is not done
    assert figures.actors["/shop/till"].busy == pytest.approx(0.4 + 4 * 0.9 + 0.5)
    assert figures.hosts["/shop/till"].computed == pytest.approx(0.4 + 4 * 0.9 + 0.5)


def test_the_gantt_chart_of_many_messages_has_a_bound():
    with Simulation(1) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 0.001)
        sim.record()
        sim.clients(Clients(rate=100, shape="steady", count=2100), lambda n: till.cast(Till.charge, n))
        figures = sim.run(until=60).figures
    assert (len(figures.gantt), figures.left_out) == (2000, 100)


def test_clients_that_are_declared_late_come_from_then_on():
    with Simulation(1) as sim:
        shop(sim)
        sim.run(until=5)
        times = []
        sim.clients(Clients(rate=1, shape="steady", until=8), lambda _: times.append(sim.world.clock.now))
        sim.run(until=20)
    assert times == [5.0, 6.0, 7.0, 8.0]


def test_the_record_of_many_actors_has_a_bound():
    with Simulation(1) as sim:
        boss = sim.start(af.App("shop").add(af.child(Boss).options(name="boss"))).find("/shop/boss", Boss)
        sim.record()
        boss.cast(Boss.spawn, 500)
        report = sim.run(until=10)
    assert (len(report.figures.actors), report.figures.others) == (200, 301)
    assert report.figures.handlers["Till.charge"].wait.count == 500


class Boss(af.Actor):
    def spawn(self, count):
        for n in range(count):
            self.ctx.spawn(Till).cast(Till.charge, n)


def test_messages_that_a_crash_loses_wait_no_more():
    with Simulation(1) as sim:
        till, _ = shop(sim)
        sim.cost(Till.charge, 1.0)
        sim.record()
        sim.at(0).call(lambda: [till.cast(Till.charge, n) for n in range(5)])
        sim.at(1.5).crash("till", down=1.0)
        sim.at(10).call(lambda: till.cast(Till.charge, 9))
        report = sim.run(until=20)
        assert sim.peek(till).done == [(11.0, 9)]
    assert report.figures.actors["/shop/till"].queue.value == 0
    assert report.figures.handlers["Till.charge"].wait.max <= 1.0


def test_a_second_record_is_refused():
    with Simulation() as sim:
        sim.record()
        with pytest.raises(DefinitionError, match="recorded already"):
            sim.record()
        with pytest.raises(DefinitionError, match="virtual seconds"):
            sim.record(after=-1)


# --- clients ---------------------------------------------------------------------------------------------------------


def came(clients, until=1e9, seed=1):
    with Simulation(seed) as sim:
        shop(sim)
        times = []
        sim.clients(clients, lambda n: times.append((n, sim.world.clock.now)))
        sim.run(until=until)
        assert [n for n, _ in times] == list(range(len(times)))
        return [when for _, when in times]


def test_clients_come_at_random_at_their_rate():
    times = came(Clients(rate=5, count=2000))
    assert 370 < times[-1] < 430
    assert came(Clients(rate=5, count=2000)) == times
    assert came(Clients(rate=5, count=2000), seed=2) != times


def test_clients_come_evenly_in_bursts_and_as_they_were_recorded():
    assert came(Clients(rate=2, shape="steady", begin=1, until=3)) == [1.5, 2.0, 2.5, 3.0]
    bursts = came(Clients(rate=2, shape="burst", size=4, count=400))
    assert len(set(bursts)) == 100
    assert 150 < bursts[-1] < 260
    assert came(Clients(shape="trace", trace=[5, 6, 6, 9], begin=1)) == [1, 2, 2, 5]
    assert came(Clients(shape="trace", trace=[5, 6, 6, 9], rate=8)) == [0, 0.125, 0.125, 0.5]


def test_two_groups_of_clients_have_random_numbers_of_their_own():
    with Simulation(1) as sim:
        shop(sim)
        times = [], []
        for group in times:
            sim.clients(Clients(rate=5, until=10), lambda _, group=group: group.append(sim.world.clock.now))
        sim.run(until=10)
    assert times[0] != times[1]
    assert times[0] == came(Clients(rate=5, until=10), until=10)


def test_a_failure_is_shrunk_to_the_client_that_it_takes():
    @simulate(runs=1, tapes=None)
    def body(sim):
        till, _ = shop(sim)
        sim.cost(Till.charge, exponential(0.01))
        sim.always(lambda: all(order != 13 for _, order in sim.peek(till).done), "never the thirteenth")
        sim.clients(Clients(rate=10, count=30), lambda n: till.cast(Till.charge, n))
        sim.run(until=60)

    with pytest.raises(SimulationFailure) as caught:
        body()
    assert "1 of 14 client events" in caught.value.scenario or "1 of 30 client events" in caught.value.scenario


def test_the_error_of_a_client_ends_the_run():
    with Simulation() as sim:
        shop(sim)
        sim.clients(Clients(rate=1, count=3), lambda n: 1 / n)
        with pytest.raises(ZeroDivisionError):
            sim.run(until=60)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rate": 0},
        {"rate": "5"},
        {"rate": 1, "shape": "posson"},
        {"rate": 1, "begin": -1},
        {"rate": 1, "begin": 5, "until": 5},
        {"rate": 1, "count": 0},
        {"rate": 1, "size": 3},
        {"rate": 1, "shape": "burst", "size": 1.5},
        {"rate": 1, "trace": [1.0]},
        {"shape": "trace"},
        {"shape": "trace", "trace": [2.0, 1.0]},
        {"shape": "trace", "trace": [1.0, "2"]},
        {"shape": "trace", "trace": [1.0, 1.0], "rate": 3},
    ],
)
def test_clients_that_make_no_sense_are_refused(options):
    with pytest.raises(DefinitionError, match=r"Clients\("):
        Clients(**options)


def test_what_is_no_clients_is_refused():
    with Simulation() as sim:
        for given in ((3, print), (Clients(rate=1), 3)):
            with pytest.raises(DefinitionError, match="clients"):
                sim.clients(*given)
