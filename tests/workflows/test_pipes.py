"""Promises: `ctx.pipe(run, self.method)` has the end of a run come as a message, while the actor goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import until
from tests.workflows.bodies import Approved
from tests.workflows.tasks import one


@af.workflow(name="pipes.approval")
def approval(ends: str) -> str:
    """Wait for a person, and end as is asked for."""
    af.wait(Approved)
    if ends == "failure":
        raise LookupError("no such order")
    return ends


class Desk(af.Actor):
    """Starts runs, and hears of their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def begin(self, what: object, timeout: float | None = None) -> str:
        """Start a run, or take one that is there."""
        system = SYSTEM[0]
        run = system.get_run(what) if isinstance(what, str) and what.startswith("run") else system.start(*what)
        self.ctx.pipe(run, self.hear, on_error=self.hear_error, timeout=timeout)
        return run.id

    def begin_careless(self, run: str) -> None:
        """Have a failure be a crash."""
        self.ctx.pipe(SYSTEM[0].get_run(run), self.hear)

    def hear(self, result: object) -> None:
        """Note a result."""
        self.heard.append(dict.fromkeys(result, 1) if isinstance(result, af.Results) else result)

    def hear_error(self, error: Exception) -> None:
        """Note an error."""
        self.heard.append(error)

    def seen(self) -> list[object]:
        """Return what it has heard."""
        return self.heard


@dataclass
class Heard:
    """A state."""

    results: list[str] = field(default_factory=list)


class DurableDesk(af.Actor, durable=True):
    """Starts runs in its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Heard()

    def begin(self, run: str) -> None:
        """Start a run with this message."""
        self.ctx.pipe(SYSTEM[0].start(approval.options(id=run), "result"), self.hear, on_error=self.hear_error)

    def hear(self, result: str) -> None:
        """Note a result."""
        self.state.results.append(result)

    def hear_error(self, error: Exception) -> None:
        """Note an error."""
        self.state.results.append(str(error))

    def seen(self) -> list[str]:
        """Return what it has heard."""
        return self.state.results


SYSTEM: list[object] = []


@pytest.fixture(params=["virtual", "live"])
def system(request):
    with VirtualSystem("pipes", seed=3) if request.param == "virtual" else af.ActorSystem("pipes") as running:
        SYSTEM[:] = [running]
        yield running
        SYSTEM.clear()


def heard(system, desk, count: int) -> list[object]:
    """Wait until it has heard of so many ends; its calls are answered meanwhile."""
    if isinstance(system, VirtualSystem):
        system.sleep(60)
        return desk.call(Desk.seen).get()
    until(lambda: len(desk.call(Desk.seen).get(timeout=60)) >= count)
    return desk.call(Desk.seen).get(timeout=60)


def test_the_result_of_a_run_comes_as_a_message_and_the_actor_goes_on_meanwhile(system):
    desk = system.spawn(Desk)
    desk.call(Desk.begin, (approval.options(id="run-1"), "result")).get(timeout=60)
    assert desk.call(Desk.seen).get(timeout=60) == []
    system.get_run("run-1").signal(Approved("ann"))
    assert heard(system, desk, 1) == ["result"]
    desk.call(Desk.begin, "run-1").get(timeout=60)  # it is over
    assert heard(system, desk, 2) == ["result", "result"]


def test_the_error_of_a_run_that_has_failed_was_cancelled_or_is_not_there_goes_to_on_error(system):
    desk = system.spawn(Desk)
    for n in (1, 2):
        desk.call(Desk.begin, (approval.options(id=f"run-{n}"), "failure")).get(timeout=60)
    system.get_run("run-1").signal(Approved("ann"))
    (failed,) = heard(system, desk, 1)
    assert isinstance(failed, af.RunFailed)
    assert isinstance(failed.__cause__, LookupError)
    system.get_run("run-2").cancel()
    assert isinstance(heard(system, desk, 2)[1], af.RunCancelled)
    desk.call(Desk.begin, "run-nowhere").get(timeout=60)
    assert "there is no run run-nowhere" in str(heard(system, desk, 3)[2])


def test_a_run_that_takes_longer_than_the_timeout_of_its_pipe_is_an_ask_timeout_and_goes_on(system):
    desk = system.spawn(Desk)
    desk.call(Desk.begin, (approval.options(id="run-1"), "result"), timeout=0.1).get(timeout=60)
    (late,) = heard(system, desk, 1)
    assert isinstance(late, af.AskTimeout)
    system.get_run("run-1").signal(Approved("ann"))
    assert system.get_run("run-1").result(timeout=60) == "result"
    assert heard(system, desk, 1) == [late]


def test_the_end_of_a_dag_in_memory_comes_too(system):
    dag = af.Dag("pipes")
    dag.add(one)
    desk = system.spawn(Desk)
    desk.call(Desk.begin, (dag,)).get(timeout=60)
    assert heard(system, desk, 1) == [{"one": 1}]


def test_a_run_that_a_durable_actor_starts_with_its_message_tells_it_of_its_end(system):
    desk = system.spawn(af.child(DurableDesk).options(name="desk"))
    desk.call(DurableDesk.begin, "run-1").get(timeout=60)
    system.get_run("run-1").signal(Approved("ann"))
    assert heard(system, desk, 1) == ["result"]


def test_a_failure_without_on_error_is_a_crash_of_the_actor(system):
    desk = system.spawn(Desk)
    run = system.start(approval.options(id="run-1"), "failure")
    desk.call(Desk.begin_careless, "run-1").get(timeout=60)
    crashed: list[af.Crashed] = []
    system.subscribe(af.Crashed, crashed.append)
    run.signal(Approved("ann"))
    if isinstance(system, VirtualSystem):
        system.sleep(60)
    until(lambda: len(crashed) == 1)
    assert isinstance(crashed[0].reason, af.RunFailed)
