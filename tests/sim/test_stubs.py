"""Promises: a stub takes the place of what an app talks to outside of it: with latency, failures and doubt."""

import functools
import logging

import pytest

import actorflow as af
from actorflow.sim import Link, Simulation
from actorflow.testing import LeakCheck
from tests.sim import outside
from tests.sim.outside import Mailer, fetch, pay


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


@af.task(name="stubs.send", retry=af.Retry(1))
def send(to: str) -> str:
    raise AssertionError("it would send")


@af.task(name="stubs.send_async", retry=af.Retry(1))
async def send_async(to: str) -> str:
    raise AssertionError("it would send")


class Till(af.Actor):
    """Pays by functions of another module."""

    def __init__(self):
        super().__init__()
        self.got = []

    def work(self, call, *args):
        try:
            value = call(*args)
        except Exception as error:
            value = type(error).__name__
        self.got.append((self.ctx.now() - 1_600_000_000, value))

    def by_name(self, amount):
        self.work(outside.pay, amount)

    def by_import(self, amount):
        self.work(pay, amount)

    def by_method(self, to):
        self.work(Mailer("x").mail, to)

    async def by_await(self, url):
        page = await fetch(url)
        self.got.append((self.ctx.now() - 1_600_000_000, page))


def app():
    return af.App("shop").add(af.child(Till).options(name="till"), send, send_async, af.queue("mail", workers=2))


def till_of(sim):
    return sim.nodes[0].system.find("/shop/till", Till)


def test_a_stub_takes_the_place_of_a_function_wherever_it_was_imported_and_gives_it_back():
    with Simulation() as sim:
        sim.start(app())
        sim.stub(pay, lambda amount: amount * 2)
        sim.stub(Mailer.mail, lambda self, to: f"{self.sender} to {to}")
        till = till_of(sim)
        for method, arg in ((Till.by_name, 1), (Till.by_import, 2), (Till.by_method, "ann")):
            till.cast(method, arg)
        sim.run(until=1)
        assert [value for _, value in sim.peek(till).got] == [2, 4, "x to ann"]
        assert all(sim.met.values())
    with pytest.raises(RuntimeError, match="real"):
        pay(1)
    with pytest.raises(RuntimeError, match="real"):
        Mailer("x").mail("ann")


def test_a_stub_takes_the_place_of_a_task_plain_or_async():
    with Simulation() as sim:
        system = sim.start(app())
        sim.stub(send, lambda to: f"plain {to}", latency=2)
        sim.stub(send_async, lambda to: f"async {to}", latency=2)
        jobs = [system.queue("mail").enqueue(task, "ann") for task in (send, send_async)]
        sim.run(until=1)
        assert {job.status for job in jobs} == {"running"}
        sim.run(until=5)
        assert [job.result() for job in jobs] == ["plain ann", "async ann"]
    with pytest.raises(AssertionError, match="would send"):
        send("ann")


def test_latency_takes_virtual_time_half_of_it_before_the_call_and_half_after():
    acted = []
    with Simulation() as sim:
        sim.start(app())
        sim.stub(pay, lambda amount: acted.append(sim.world.clock.now), latency=4)
        till = till_of(sim)
        sim.at(1).call(lambda: till.cast(Till.by_name, 1))
        sim.run(until=20)
        assert acted == [3]
        assert sim.peek(till).got == [(5, None)]


def test_an_async_handler_waits_for_a_stub():
    with Simulation() as sim:
        sim.start(app())
        sim.stub(fetch, lambda url: f"page of {url}", latency=3)
        till = till_of(sim)
        sim.at(1).call(lambda: till.cast(Till.by_await, "a"))
        sim.run(until=20)
        assert sim.peek(till).got == [(4, "page of a")]


def outcomes(calls=30, link=None, **options):
    """Return the answers of calls of a stub, and how often each has acted."""
    acted = []
    with Simulation(5) as sim:
        sim.start(app())
        if link is not None:
            sim.network(link)
        sim.stub(pay, lambda amount: acted.append(amount) or "paid", **options)
        till = till_of(sim)
        for n in range(calls):
            sim.at(n * 50).call(lambda n=n: till.cast(Till.by_name, n))
        sim.run(until=calls * 50 + 10)
        answers = [value for _, value in sim.peek(till).got]
        assert len(answers) == calls
        return list(zip(answers, [acted.count(n) for n in range(calls)], strict=True))


def test_a_stub_that_fails_has_done_nothing_and_one_that_may_have_done_it_has_in_half_of_the_cases():
    assert set(outcomes(fail=0.5)) == {("paid", 1), ("ConnectionError", 0)}
    assert set(outcomes(maybe_done=0.6)) == {("paid", 1), ("MaybeDone", 0), ("MaybeDone", 1)}


def test_both_parts_of_a_stub_that_goes_wrong_are_parts_of_all_calls():
    answers = [answer for answer, _ in outcomes(calls=200, fail=0.4, maybe_done=0.6)]
    assert set(answers) == {"ConnectionError", "MaybeDone"}
    assert 0.3 < answers.count("ConnectionError") / 200 < 0.5


def test_loss_and_duplicates_of_the_link_act_on_the_calls_of_a_stub():
    assert set(outcomes(link=Link(loss=0.3))) == {("paid", 1), ("TimeoutError", 0), ("TimeoutError", 1)}
    assert set(outcomes(link=Link(duplicate=0.5))) == {("paid", 1), ("paid", 2)}


def test_a_stub_is_drawn():
    with Simulation() as sim:
        sim.world.network.passages = []
        sim.start(app())
        sim.stub(pay, lambda amount: amount, latency=1)
        till_of(sim).cast(Till.by_name, 1)
        sim.run(until=5)
        (passage,) = [passage for passage in sim.world.network.passages if passage.target == "stub pay"]
        assert (passage.source, passage.sent, passage.arrived) == ("/shop/till", 0, 1)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda sim: sim.stub(3, lambda: 1), "no task and no function"),
        (lambda sim: sim.stub(pay, 3), "fake"),
        (lambda sim: sim.stub(lambda: 1, lambda: 1), "no module"),
        (lambda sim: sim.stub(pay, fetch), "async"),
        (lambda sim: sim.stub(pay, len, fail=2), "fail"),
        (lambda sim: sim.stub(pay, len, latency=-1), "latency"),
        (lambda sim: sim.stub(pay, len, timeout=0), "timeout"),
        (lambda sim: (sim.stub(send, len), sim.stub(send, len)), "already"),
        (lambda sim: sim.stub(pay, len, fail=0.6, maybe_done=0.6), "parts of all calls"),
        (lambda sim: sim.stub(len, pay), "all code of Python uses it; call it in a function of yours"),
        (lambda sim: sim.stub(functools.partial(pay, 1), pay), "give the function itself, <function pay>"),
        (lambda sim: sim.stub(lambda: 1, pay), "by a name, through which your code calls it"),
        (lambda sim: sim.stub(Mailer("x").mail, pay), r"give the method of the class, Mailer\.mail"),
    ],
)
def test_bad_input_is_refused(act, words):
    with Simulation() as sim, pytest.raises(af.DefinitionError, match=words) as refused:
        act(sim)
    assert " at 0x" not in str(refused.value)
