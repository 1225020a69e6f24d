"""What is no simulation is refused at once, in words: a closed one, a check that sends, two ends that are one host."""

from __future__ import annotations

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import pytest

import actorflow as af
from actorflow.errors import DefinitionError
from actorflow.sim import Clients, Link, Simulation, SimulationFailure, simulate

A = TypeVar("A", bound=af.Actor)


def find(sim: Simulation, name: str, kind: type[A]) -> af.ActorRef[A]:
    ref = sim.start(APP).find(f"/demo/{name}", kind)
    assert ref is not None
    return ref


class Counter(af.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def add(self) -> int:
        self.n += 1
        return self.n


class Simulator(af.Actor):
    def ask_in_simulation(self) -> int:
        with Simulation(seed=1) as sim:
            n = find(sim, "counter", Counter).call(Counter.add).get(timeout=5)
            sim.run(until=2)
        return n


APP = af.App("demo").add(
    af.child(Counter).options(name="counter"),
    af.child(Simulator).options(name="simulator"),
)


def raises(error: BaseException) -> None:
    raise error


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    "use",
    [
        lambda sim: sim.run(until=5),
        lambda sim: sim.start(APP),
        lambda sim: sim.at(2),
        lambda sim: sim.chaos(rate=1, until=5),
    ],
)
def test_a_closed_simulation_is_refused_instead_of_waited_for(use: Callable[[Simulation], Any]) -> None:
    with Simulation() as sim:
        sim.start(APP)
    with pytest.raises(DefinitionError, match="closed"):
        use(sim)


def test_a_check_that_sends_is_refused_at_its_first_message() -> None:
    with Simulation() as sim:
        counter = find(sim, "counter", Counter)
        sim.always(lambda: counter.cast(Counter.add), "busy body")
        with pytest.raises(DefinitionError, match=r"a check sends.*'busy body'"):
            sim.run(until=1)


def test_a_check_that_sends_later_on_is_refused_too() -> None:
    with Simulation() as sim:
        counter = find(sim, "counter", Counter)
        sim.at(1).call(lambda: counter.cast(Counter.add))

        def look() -> None:
            if sim.peek(counter).n:
                counter.cast(Counter.add)

        sim.always(look, "busy body")
        with pytest.raises(DefinitionError, match=r"a check sends.*'busy body'"):
            sim.run(until=2)


@pytest.mark.timeout(100)
@pytest.mark.parametrize("declare", [Simulation.always, Simulation.eventually, Simulation.sometimes])
@pytest.mark.parametrize("wait", [lambda: time.sleep(1000), lambda: threading.Event().wait()])
def test_a_check_that_waits_is_refused_before_the_first_step(
    declare: Callable[..., None], wait: Callable[[], object]
) -> None:
    with Simulation() as sim:
        find(sim, "counter", Counter)
        declare(sim, wait)
        with pytest.raises(DefinitionError, match="a check waits"):
            sim.run(until=2)


@pytest.mark.parametrize("declare", [Simulation.always, Simulation.eventually, Simulation.sometimes])
def test_checks_see_virtual_time_also_before_the_first_step(declare: Callable[..., None]) -> None:
    seen: list[float] = []
    with Simulation() as sim:
        find(sim, "counter", Counter)
        declare(sim, lambda: seen.append(time.monotonic()))
        sim.run(until=2)
    assert seen[0] == 0


async def comes_later() -> bool:
    return False


def yields() -> Iterator[bool]:
    yield False


class ComesLater:
    async def __call__(self) -> bool:
        return False


@pytest.mark.parametrize("function", [comes_later, yields, ComesLater(), partial(comes_later)])
@pytest.mark.parametrize(
    "use",
    [
        Simulation.always,
        Simulation.eventually,
        Simulation.sometimes,
        lambda sim, function: sim.at(1).call(function),
        lambda sim, function: sim.clients(Clients(rate=1), function),
    ],
)
def test_a_function_that_would_never_run_is_refused(use: Callable[..., Any], function: Callable[[], object]) -> None:
    with Simulation() as sim:
        find(sim, "counter", Counter)
        with pytest.raises(DefinitionError, match="is async, or yields"):
            use(sim, function)
        with pytest.raises(DefinitionError, match="is async, or yields"):
            use(sim, lambda *_: function())
            sim.run(until=10)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), pytest.fail.Exception("bad")])
@pytest.mark.parametrize("may_wait", [False, True])
def test_an_error_of_a_client_that_is_no_exception_ends_the_run(error: BaseException, *, may_wait: bool) -> None:
    with Simulation() as sim:
        sim.start(APP)
        if may_wait:
            sim.at(0.5).busy(heal=2)
        sim.at(1).call(partial(raises, error))
        with pytest.raises(type(error)):
            sim.run(until=3)


def test_a_handler_of_a_live_system_drives_a_simulation() -> None:
    with af.ActorSystem("live") as system:
        assert system.spawn(Simulator).call(Simulator.ask_in_simulation).get(timeout=100) == 1


class Silent(af.Actor):
    """Never answers: an answer that had come before the wait would need none."""

    def add(self) -> None:
        self.later = self.ctx.reply_later()


class Caller(af.Actor):
    """Waits for an actor of a live system, and makes nothing of the error."""

    def ask(self, live: af.ActorRef[Silent]) -> None:
        with contextlib.suppress(DefinitionError):
            live.call(Silent.add).get(timeout=5)


def test_a_handler_that_waits_for_a_live_system_fails_the_run_whatever_it_makes_of_the_error() -> None:
    with af.ActorSystem("live") as live, Simulation() as sim:
        silent = live.spawn(Silent)
        caller = sim.start(af.App("demo").add(af.child(Caller).options(name="caller"))).find("/demo/caller", Caller)
        assert caller is not None
        sim.at(1).call(lambda: caller.cast(Caller.ask, silent))
        with pytest.raises(DefinitionError, match=r"/demo/caller is in virtual time and waits for .* of a live system"):
            sim.run(until=3)


def test_a_simulation_in_a_handler_of_another_is_refused() -> None:
    with Simulation() as sim:
        simulator = find(sim, "simulator", Simulator)
        with pytest.raises(DefinitionError, match="a handler of /demo/simulator"):
            simulator.call(Simulator.ask_in_simulation).get(timeout=5)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda sim: sim.network(Link(), between=("counter",)), "give two hosts"),
        (lambda sim: sim.network(Link(), between=5), "give two hosts"),
        (lambda sim: sim.network(Link(), between=("counter", Counter)), "both are on /demo/counter"),
        (lambda sim: sim.at(1).partition("counter", Counter, heal=1), "both are on /demo/counter"),
        (lambda sim: sim.at(1).drop("counter", "counter", heal=1), "both are on /demo/counter"),
        (lambda sim: sim.at(1).deploy(5), "give an af.App"),
        (lambda sim: sim.at(1).deploy(APP, nodes=0), "give the numbers of nodes"),
        (lambda sim: sim.always(bool, 5), "no name of a property"),
        (lambda sim: Clients(trace=5, shape="trace"), r"Clients\(trace=5\): give recorded times"),
        (lambda sim: Clients(rate=1, shape=["burst"]), "give one of poisson"),
        (lambda sim: sim.run(until=float("nan")), "give virtual seconds"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_in_words(use: Callable[[Simulation], Any], words: str) -> None:
    with Simulation() as sim:
        sim.start(APP)
        with pytest.raises(DefinitionError, match=words):
            use(sim)


@pytest.mark.parametrize(
    "use",
    [
        lambda sim: sim.cost(lambda: 1, 1.0),
        lambda sim: sim.cost(partial(raises), 1.0),
        lambda sim: sim.cost(Counter.add, {lambda: 1}),
        lambda sim: sim.peek(lambda: 1),
        lambda sim: sim.start(lambda: 1),
        lambda sim: sim.at(1).call(object()),
        lambda sim: sim.clients(lambda: 1, raises),
        lambda sim: sim.always(object()),
        lambda sim: sim.network(object()),
        lambda sim: sim.chaos(rate=1, until=5, kinds=[object()]),
        lambda sim: simulate(runs=object()),
    ],
)
def test_an_object_is_named_without_its_address(use: Callable[[Simulation], Any]) -> None:
    with Simulation() as sim:
        sim.start(APP)
        with pytest.raises(DefinitionError, match=r"<|partial") as refused:
            use(sim)
    assert " at 0x" not in str(refused.value)


class NoTruth:
    def __bool__(self) -> bool:
        raise ValueError("neither")


def test_a_check_whose_answer_has_no_truth_breaks_its_property() -> None:
    @simulate(runs=1, tapes=None)
    def body(sim: Simulation) -> None:
        sim.start(APP)
        sim.always(NoTruth, "truth")
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="'truth' does not hold.*neither"):
        body()  # type: ignore[call-arg]


def test_clients_whose_rate_no_run_can_bear_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actorflow.sim.load.workload.MOST_REQUESTS", 10)
    came: list[int] = []
    with Simulation() as sim:
        sim.start(APP)
        sim.clients(Clients(rate=1e300, until=5), came.append)
        with pytest.raises(DefinitionError, match="more than 10 requests come by .* s of virtual time"):
            sim.run(until=5)
    assert came == list(range(10))


def test_an_error_that_ends_a_run_is_told_with_its_time() -> None:
    @simulate(runs=1, tapes=None)
    def body(sim: Simulation) -> None:
        sim.start(APP)
        sim.at(1.5).call(partial(raises, ValueError("sour")))
        sim.run(until=3)

    with pytest.raises(SimulationFailure, match=r"'ValueError' does not hold at 1.5 s with seed 0: ValueError: sour"):
        body()  # type: ignore[call-arg]


class TestOfAClass:
    def __init__(self) -> None:
        self.count = 0

    __test__ = False  # it is called below

    @simulate(runs=3, tapes=None)
    def test_counts(self, sim: Simulation, fixture: int) -> None:
        self.count += fixture
        sim.start(APP)
        sim.run(until=1)


def test_a_method_of_a_class_of_tests_has_the_simulation_after_self() -> None:
    tests = TestOfAClass()
    method: Any = tests.test_counts
    assert list(inspect.signature(method).parameters) == ["fixture"]
    method(fixture=2)
    assert tests.count == 6


def test_a_test_that_is_async_or_yields_is_refused_where_it_is_written() -> None:
    async def waits(sim: Simulation) -> None:
        sim.run(until=1)

    def yields(sim: Simulation) -> Any:
        yield sim.run(until=1)

    for function in (waits, yields):
        with pytest.raises(DefinitionError, match=f"{function.__name__} is async, or yields: .* plain function"):
            simulate(runs=1)(function)  # type: ignore[type-var]
