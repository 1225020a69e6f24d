"""Promises: what comes to hold does so after all that disturbs it; what is declared comes, or is missed aloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import actorflow as af
from actorflow.errors import DefinitionError
from actorflow.sim import Clients, Simulation, SimulationFailure, simulate


class Till(af.Actor):
    """Opens orders, and closes each after some seconds, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        self.hook: Callable[[], object] = int

    def order(self, after: float = 0.0, takes: float | None = None) -> None:
        self.ctx.after(after, self.begin, takes)

    def begin(self, takes: float | None) -> None:
        self.open += 1
        if takes is not None:
            self.ctx.after(takes, self.close)

    def close(self) -> None:
        self.open -= 1

    def call_hook(self, after: float) -> None:
        self.ctx.after(after, self.call_it)

    def call_it(self) -> None:
        self.hook()

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)


APP = af.App("shop").add(af.child(Till).options(name="till"))


def found(sim: Simulation) -> af.ActorRef[Till]:
    system = sim.nodes[0].system
    till = None if system is None else system.find("/shop/till", Till)
    assert till is not None
    return till


def watched(sim: Simulation, within: float = 5) -> Callable[..., object]:
    """Start the app, with a property of it; return the function of a client that orders."""
    sim.start(APP)
    till = found(sim)
    sim.eventually(lambda: sim.peek(till).open == 0, "nothing is open", within=within)
    return lambda *args: till.cast(Till.order, *args)


# --- eventually ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [0.0, 3.0, 8.0])
def test_what_held_before_the_last_client_event_has_to_hold_after_it(time: float) -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(time).call(order)
        with pytest.raises(SimulationFailure, match="did not come to hold .*within 5 s") as failed:
            sim.run(until=20)
        assert failed.value.time == time + 5


def test_what_is_sent_before_the_run_counts_as_a_client_event() -> None:
    with Simulation() as sim:
        watched(sim)(1.0)
        with pytest.raises(SimulationFailure, match=r"ceased to hold at 1 s, and did not come to hold again"):
            sim.run(until=20)


def test_what_ceases_to_hold_long_after_the_last_client_event_has_to_hold_again() -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: order(10.0, 4.0))
        assert sim.run(until=12).time == 15  # it is waited for
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: order(10.0, 6.0))
        with pytest.raises(SimulationFailure, match=r"ceased to hold at 11 s.*within 5 s") as failed:
            sim.run(until=30)
        assert failed.value.time == 16


def test_what_does_not_hold_as_the_last_client_comes_counts_from_then_on_though_nothing_happens() -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(0).call(lambda: order(0.0, 20.0))
        sim.at(4).call(named)
        with pytest.raises(SimulationFailure) as failed:
            sim.run(until=30)
        assert failed.value.time == 9


def test_a_client_event_that_nobody_knew_of_begins_the_time_anew() -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: order(0.0, 8.0))
        sim.peek("till").hook = lambda: sim.at(6).call(named)
        sim.at(0).call(lambda: found(sim).cast(Till.call_hook, 4.0))
        assert sim.run(until=20).time == 20


def test_what_fails_to_hold_while_clients_come_is_no_failure() -> None:
    with Simulation() as sim:
        order = watched(sim, within=3)
        for second in range(10):
            sim.at(second).call(lambda: order(0.0, 2.0))  # one is open at all times
        sim.clients(Clients(rate=1, shape="steady", begin=10, count=10), lambda _: order(0.0, 2.0))
        assert sim.run(until=25).time == 25


def test_clients_come_up_to_the_end_of_the_run_and_what_they_leave_is_waited_for() -> None:
    came: list[int] = []
    with Simulation() as sim:
        order = watched(sim, within=3)

        def client(number: int) -> None:
            came.append(number)
            order(0.0, 2.0)

        sim.clients(Clients(rate=1, shape="steady"), client)
        assert sim.run(until=20).time == 22
        assert came == list(range(20))
        assert sim.run(until=30).time == 32
    assert came == [*range(20), *range(22, 30)]  # those of 21 and 22 s do not disturb what is waited for


def test_clients_come_while_the_test_waits_before_and_after_the_run() -> None:
    came: list[float] = []
    with Simulation() as sim:
        watched(sim)
        till = found(sim)
        sim.clients(Clients(rate=1, shape="steady", count=9), lambda _: came.append(sim.world.clock.now))
        till.call(Till.nap, 3.5).get(timeout=10)
        assert came == [1, 2, 3]
        sim.run(until=5.5)
        till.call(Till.nap, 2.0).get(timeout=10)
        assert came == [1, 2, 3, 4, 5, 6, 7]
        sim.run(until=20)
    assert len(came) == 9


def test_a_client_event_that_a_client_declares_counts() -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: sim.at(9).call(order))
        with pytest.raises(SimulationFailure) as failed:
            sim.run(until=20)
        assert failed.value.time == 14


def test_clients_that_make_each_other_come_for_ever_do_not_keep_a_run_from_its_end() -> None:
    with Simulation() as sim:
        order = watched(sim)

        def client() -> None:
            order(0.0, 0.5)
            sim.at(sim.world.clock.now + 1).call(client)

        sim.at(0).call(client)
        assert sim.run(until=10).time == pytest.approx(10.5)


def test_what_a_fault_breaks_has_to_hold_after_it_has_healed() -> None:
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: order(0.0, 2.0))
        sim.at(2).pause("till", 20)
        assert sim.run(until=5).time == 22
    with Simulation() as sim:
        order = watched(sim)
        sim.at(1).call(lambda: order(6.0))
        sim.at(2).pause("till", 20)
        with pytest.raises(SimulationFailure) as failed:
            sim.run(until=5)
        assert failed.value.time == 27


def test_a_check_that_raises_does_not_hold_and_says_so_in_the_end() -> None:
    with Simulation() as sim:
        sim.start(APP)
        sim.at(1).crash("till", down=2)  # meanwhile there is no actor to look at
        sim.eventually(lambda: sim.peek("till").open == 0, "it is back", within=5)
        sim.run(until=1)
    with Simulation() as sim:
        sim.start(APP)
        sim.eventually(lambda: sim.peek("till").opne, "typed wrongly", within=5)
        with pytest.raises(SimulationFailure, match="the check raises AttributeError: .*opne"):
            sim.run(until=1)


# --- what never comes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda sim: sim.at(7).call(named), r"call of named at 7 s never came: the run ended at 5 s; give sim.run a"),
        (lambda sim: sim.at(7).crash("till"), "crash of till at 7 s never came"),
        (lambda sim: sim.at(7).deploy(APP), "deploy on node 0 at 7 s never came"),
        (lambda sim: sim.at(7).busy(heal=1), "store busy at 7 s never came"),
        (lambda sim: sim.clients(Clients(rate=9, begin=7), named), r"the first client \(call of named\) at 7 s never"),
        (lambda sim: sim.clients(Clients(rate=0.1, shape="steady"), named), "the first client .* at 10 s never came"),
        (lambda sim: sim.clients(Clients(shape="trace", trace=[1], begin=7), named), "the first client .* at 7 s"),
    ],
)
def test_what_is_declared_for_a_time_after_the_end_is_refused(
    declare: Callable[[Simulation], object], words: str
) -> None:
    def body(sim: Simulation) -> None:
        sim.start(APP)
        declare(sim)
        sim.run(until=5)

    with pytest.raises(DefinitionError, match=words), Simulation() as sim:
        body(sim)
    search: Any = simulate(runs=3, tapes=None)(body)
    with pytest.raises(DefinitionError, match=words):
        search()


def named(_: int = 0) -> None:
    """Do nothing."""


def test_a_time_after_the_end_of_the_first_of_two_runs_may_come_in_the_second() -> None:
    with Simulation() as sim:
        sim.start(APP)
        sim.at(7).call(named)
        sim.at(8).pause("till", 1)
        sim.run(until=5)
        sim.run(until=8)


def test_an_error_of_the_test_is_not_hidden_by_what_never_came() -> None:
    with pytest.raises(ZeroDivisionError), Simulation() as sim:
        sim.start(APP)
        sim.at(7).call(named)
        sim.run(until=5)
        1 / 0


def test_chaos_may_last_longer_than_the_run() -> None:
    with Simulation(seed=3) as sim:
        sim.start(APP)
        sim.chaos(rate=5, until=100, kinds=["pause"])
        assert sim.run(until=10).faults


@pytest.mark.parametrize(
    "clients",
    [Clients(rate=1, until=2), Clients(shape="trace", trace=[0, 1]), Clients(rate=1, count=2, shape="steady")],
)
def test_clients_who_would_all_have_come_already_are_refused(clients: Clients) -> None:
    with Simulation() as sim:
        sim.start(APP)
        sim.run(until=3)
        with pytest.raises(DefinitionError, match="none of them comes; it is 3 s"):
            sim.clients(clients, named)


def test_clients_of_whom_none_came_in_any_run_fail_the_search() -> None:
    @simulate(runs=3, tapes=None)
    def body(sim: Simulation) -> None:
        sim.start(APP)
        sim.clients(Clients(rate=1e-9), named)
        sim.run(until=3)

    with pytest.raises(SimulationFailure, match=r"'a client \(call of named\) came'.*none of 3 runs"):
        body()  # type: ignore[call-arg]
