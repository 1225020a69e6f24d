"""Promises: the waits of a simulated load are those of queueing theory, for the same arrivals and services.

Lindley's recursion is that of one server, Kiefer and Wolfowitz's that of several; Little's law is exact.
"""

import bisect
import random

import pytest

import actorflow as af
from actorflow.sim import Clients, Simulation

SHORT, LONG = 2_000, 20_000
LOADS = [0.3, 0.6, 0.8, 0.95]
RATE = 10.0


class Station(af.Actor):
    """Serves, and sends on."""

    def __init__(self, following=None):
        super().__init__()
        self.following, self.ends = following, {}

    def serve(self, number):
        self.ends[number] = self.ctx.now() - 1_600_000_000
        if self.following is not None:
            self.following.cast(Station.serve, number)


ENDS = {}


@af.task(name="tests.queueing.serve")
def serve(number):
    import time

    ENDS[number] = time.monotonic()


@pytest.fixture
def many(request):
    """The arrivals of a test: few, unless all tests run."""
    return LONG if request.config.getoption("--full") else SHORT


def services_of(seed, load, many, servers=1):
    draw = random.Random(seed)
    return [draw.expovariate(RATE / (load * servers)) for _ in range(many)]


def in_turn(services):
    """The cost that takes them in turn."""
    left = iter(services)
    return lambda _: next(left)


def waits_by_theory(arrivals, services, servers=1):
    """Kiefer and Wolfowitz: each customer goes to the server that is free first. With one server it is Lindley's."""
    free = [0.0] * servers
    waits = []
    for arrival, service in zip(arrivals, services, strict=True):
        begin = max(arrival, free.pop(0))
        waits.append(begin - arrival)
        bisect.insort(free, begin + service)
    return waits


def assert_theory(arrivals, services, ends, servers=1):
    numbers = sorted(ends)
    assert len(numbers) == len(services)
    expected = waits_by_theory([arrivals[i] for i in numbers], services, servers)
    waits = [ends[i] - services[i] - arrivals[i] for i in numbers]
    assert waits == pytest.approx(expected, abs=1e-6)
    assert max(waits) > 0
    return waits


@pytest.mark.parametrize("load", LOADS)
def test_the_wait_for_one_server_is_lindleys(load, many):
    arrivals, services = {}, services_of(1, load, many)
    with Simulation(seed=7, step_limit=10**9) as sim:
        station = sim.start(af.App("bank").add(af.child(Station).options(name="one"))).find("/bank/one", Station)
        sim.cost(Station.serve, in_turn(services))
        sim.record()

        def come(number):
            arrivals[number] = sim.world.clock.now
            station.cast(Station.serve, number)

        sim.clients(Clients(rate=RATE, count=many), come)
        report = sim.run(until=many)
        waits = assert_theory(arrivals, services, sim.peek(station).ends)
    figures = report.figures.handlers["Station.serve"]
    assert figures.wait.total == pytest.approx(sum(waits), abs=1e-6 * many)
    assert figures.service.total == pytest.approx(sum(services))
    actor = report.figures.actors["/bank/one"]
    assert actor.queue.integral == pytest.approx(sum(waits))  # Little's law
    assert actor.utilisation == pytest.approx(sum(services) / report.time)
    assert report.figures.hosts["/bank/one"].computed == pytest.approx(sum(services))


@pytest.mark.parametrize("load", [0.3, 0.95])
def test_two_stations_in_a_row_are_as_in_theory(load, many):
    arrivals, services = {}, [services_of(seed, load, many) for seed in (2, 3)]
    second = af.child(Station).options(name="second")
    with Simulation(seed=7, step_limit=10**9) as sim:
        system = sim.start(af.App("bank").add(second, af.child(Relay).options(name="first")))
        first, second = system.find("/bank/first", Relay), system.find("/bank/second", Station)
        sim.cost(Relay.relay, in_turn(services[0]))
        sim.cost(Station.serve, in_turn(services[1]))

        def come(number):
            arrivals[number] = sim.world.clock.now
            first.cast(Relay.relay, number, second)

        sim.clients(Clients(rate=RATE, count=many), come)
        sim.run(until=many)
        between, ends = sim.peek(first).ends, sim.peek(second).ends
    assert_theory(arrivals, services[0], between)
    assert_theory(between, services[1], ends)


class Relay(Station):
    """Serves, and sends on to the next station."""

    def relay(self, number, following):
        self.serve(number)
        following.cast(Station.serve, number)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("servers", [2, 5])
def test_the_wait_for_several_cores_is_kiefers_and_wolfowitzs(load, servers, many):
    arrivals, ends, services = {}, {}, services_of(4, load, many, servers)
    with Simulation(seed=8, step_limit=10**9) as sim:
        hall = sim.start(af.App("bank").add(af.child(Hall).options(name="hall"))).find("/bank/hall", Hall)
        sim.cost(Customer.serve, in_turn(services))
        sim.cores(servers, hall)
        sim.record()

        def come(number):
            arrivals[number] = sim.world.clock.now
            hall.cast(Hall.enter, number, ends)

        sim.clients(Clients(rate=RATE, count=many), come)
        report = sim.run(until=many)
    waits = assert_theory(arrivals, services, ends, servers)
    figures = report.figures.handlers["Customer.serve"]
    assert figures.wait.total == pytest.approx(sum(waits), abs=1e-6 * many)
    host = report.figures.hosts["/bank/hall"]
    assert host.computed == pytest.approx(sum(services))
    assert host.utilisation == pytest.approx(sum(services) / servers / report.time)


class Customer(af.Actor):
    """Is served once."""

    def serve(self, number, ends):
        ends[number] = self.ctx.now() - 1_600_000_000
        self.stop()


class Hall(af.Actor):
    """Makes each customer an actor of its own, on one host."""

    def enter(self, number, ends):
        self.ctx.spawn(Customer).cast(Customer.serve, number, ends)


@pytest.mark.parametrize("load", [0.3, 0.95])
@pytest.mark.parametrize("servers", [1, 3])
def test_the_wait_for_the_workers_of_a_queue_is_that_of_theory(load, servers, many):
    many //= 5  # a job takes some commits
    arrivals, services = {}, services_of(5, load, many, servers)
    ENDS.clear()
    with Simulation(seed=9, step_limit=10**9) as sim:
        queue = sim.start(af.App("bank").add(serve).queue("station", workers=servers)).queue("station")
        sim.cost(serve, in_turn(services))
        sim.record()

        def come(number):
            arrivals[number] = sim.world.clock.now
            queue.enqueue(serve, number)

        sim.clients(Clients(rate=RATE, count=many), come)
        report = sim.run(until=many)
    waits = assert_theory(arrivals, services, dict(ENDS), servers)
    figures = report.figures.handlers["task tests.queueing.serve"]
    assert figures.wait.total == pytest.approx(sum(waits), abs=1e-6 * many)
    queue = report.figures.actors["/bank/queue-station"]
    assert queue.queue.integral == pytest.approx(sum(waits), abs=1e-6 * many)  # Little's law
    assert queue.utilisation == pytest.approx(sum(services) / servers / report.time, rel=1e-3)
