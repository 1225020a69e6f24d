"""Promises: a query reads what a body exposes, wherever the run is, and changes nothing of it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.durable.rows.payload import read_failure
from actorflow.testing import LeakCheck, VirtualSystem
from actorflow.workflows.node.run_actor import RunActor
from actorflow.workflows.rows import ledger
from actorflow.workflows.workflow import WORKFLOWS
from tests.core.actors import until
from tests.workflows.bodies import Approved, boom, number

SYSTEM: list[Any] = []


class Echo(af.Actor):
    """Answers."""


class OnLoop(af.Actor, loop=True):
    """Asks a run on the loop."""

    async def asks(self, run: Any) -> Any:
        """Ask."""
        return run.query("done", timeout=30)


@af.workflow(name="queries.plain")
def plain() -> int:
    """Expose how many steps are done."""
    done = 0
    af.expose("done", lambda: done)
    for n in (1, 2, 3):
        number(n)
        done = n
    beside = af.branch(number, 5)
    af.wait(Approved)
    beside.get()
    done = 10
    return done


@af.workflow(name="queries.asynchronous")
async def asynchronous() -> int:
    """The same, async."""
    done = 0
    af.expose("done", lambda: done)
    for n in (1, 2, 3):
        await number.submit(n)
        done = n
    beside = asyncio.ensure_future(number.submit(5))
    await af.signal(Approved)
    await beside
    done = 10
    return done


@af.workflow(name="queries.fails")
def fails() -> None:
    """Fail after a step."""
    stage = "begun"
    af.expose("stage", lambda: stage)
    number(1)
    stage = "charged"
    boom("no")


@af.workflow(name="queries.exposes_badly")
def exposes_badly() -> list[str]:
    """Expose functions that do more than look."""
    said: list[str] = []
    for wrong in (5, number_of):
        try:
            af.expose("wrong", wrong)  # type: ignore[arg-type]
        except af.DefinitionError as error:
            said.append(str(error))
    for name, look in HARMFUL.items():
        af.expose(name, look)
    af.wait(Approved)
    return said


async def number_of() -> int:
    """Be async."""
    return 1


def raises() -> None:
    """Raise."""
    raise ZeroDivisionError("by nought")


def raises_anything() -> None:
    """Raise what is no Exception."""
    raise GeneratorExit


HARMFUL = {
    "task": lambda: number(1),
    "submit": lambda: number.submit(1),
    "map": lambda: number.map([1]),
    "child": lambda: plain.submit(),
    "child call": lambda: fails(),
    "sleep": lambda: af.sleep(1),
    "timer": lambda: af.timer(1),
    "wait": lambda: af.wait(Approved),
    "tell": lambda: SYSTEM[0].echo.tell("x"),
    "signal": lambda: SYSTEM[0].get_run("other").signal(1),
    "start": lambda: SYSTEM[0].start(plain),
    "get": lambda: af.Future().get(timeout=30),
    "expose": lambda: af.expose("x", lambda: 1),
    "query": lambda: SYSTEM[0].get_run("run").query("task"),
    "cannot be stored": lambda: object(),
    "too large": lambda: "x" * 20_000_000,
}

FLOWS = [plain, asynchronous]


@pytest.fixture
def system():
    with LeakCheck(), VirtualSystem("test", seed=1) as running:
        running.echo = running.spawn(Echo)
        SYSTEM[:] = [running]
        yield running
        SYSTEM.clear()


def journal(system, name="run"):
    row = system.store.read(lambda tx: tx.one("runs.get", {"name": name}))
    return row[7:14], system.store.read(lambda tx: ledger.records(tx, row[0]))


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_query_reads_what_the_body_exposes(system, workflow):
    run = system.start(workflow.options(id="run"))
    system.sleep(5)
    before = journal(system)
    assert run.query("done") == 3
    with pytest.raises(af.DefinitionError, match="exposes no 'more': it has done"):
        run.query("more")
    assert journal(system) == before
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == 10


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_run_that_nobody_has_is_replayed_for_a_query_and_stays_as_it_is(system, workflow):
    run = system.start(workflow.options(id="run"))
    system.sleep(5)
    system.run_node.bodies["run"].unload()
    system.sleep(5)
    before = journal(system)
    assert before[0][0] == 1  # it waits, and nobody has it
    assert run.query("done") == 3
    assert journal(system) == before
    run.pause()
    system.sleep(5)
    assert (run.status, run.query("done")) == ("paused", 3)
    run.resume()
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == 10
    before = journal(system)
    assert run.query("done") == 10  # its records tell, also when it is over
    assert journal(system) == before
    assert not system.run_node.bodies


def test_a_run_that_has_failed_tells_how_far_it_was(system):
    run = system.start(fails)
    with pytest.raises(af.RunFailed):
        run.result(timeout=60)
    assert run.query("stage") == "charged"


@pytest.mark.parametrize("name", HARMFUL)
def test_a_query_that_does_more_than_look_is_refused_and_changes_nothing(system, name):
    run = system.start(exposes_badly.options(id="run"))
    system.sleep(5)
    before, runs = journal(system), system.runs().count()
    with pytest.raises((af.DefinitionError, af.PayloadError)):
        run.query(name, timeout=60)
    assert (journal(system), system.runs().count()) == (before, runs)
    run.signal(Approved("ann"))
    assert all("plain function" in text for text in run.result(timeout=60))


def test_an_error_of_an_exposed_function_is_the_askers(system, monkeypatch):
    monkeypatch.setitem(HARMFUL, "raises", raises)
    monkeypatch.setitem(HARMFUL, "raises anything", raises_anything)
    run = system.start(exposes_badly.options(id="run"))
    system.sleep(5)
    with pytest.raises(ZeroDivisionError, match="by nought"):
        run.query("raises")
    with pytest.raises(af.ActorflowError, match="GeneratorExit"):
        run.query("raises anything")
    run.signal(Approved("ann"))
    assert run.result(timeout=60)


def test_a_query_that_comes_after_its_time_has_an_error_and_no_value(system):
    run = system.start(plain.options(id="run"))
    system.sleep(1)
    value, error = run._node.bodies["run"].ref.call(RunActor.query, "done", system.store.now() - 1).get()
    assert value is None
    with pytest.raises(af.AskTimeout, match="its time was over"):
        raise read_failure(error)


def test_a_query_on_the_loop_is_refused_with_a_cure_that_there_is(system):
    run = system.start(plain)
    asker = system.spawn(OnLoop)
    with pytest.raises(af.DefinitionError, match=r"run\.query\(\) would block the loop .*plain task or actor ask"):
        asker.call(OnLoop.asks, run).get(timeout=30)


def test_a_query_of_no_run_or_of_nonsense_is_refused(system):
    with pytest.raises(af.DefinitionError, match="there is no run nobody"):
        system.get_run("nobody").query("done")
    run = system.start(plain.options(id="run"))
    with pytest.raises(af.DefinitionError):
        run.query(5)
    with pytest.raises(af.DefinitionError):
        run.query("done", timeout=0)
    with pytest.raises(af.DefinitionError, match="none runs here"):
        af.expose("done", lambda: 1)
    run.cancel()


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_query_is_answered_by_the_process_that_has_the_run(workflow):
    with LeakCheck(), World(seed=3) as world, af.open_store() as store, ExitStack() as stack:
        owner = stack.enter_context(VirtualSystem._within(world, "owner", store=store))
        other = stack.enter_context(VirtualSystem._within(world, "other", store=store))
        owner.start(workflow.options(id="run"))
        owner.sleep(5)
        run = other.get_run("run")
        assert run.query("done", timeout=60) == 3
        with pytest.raises(af.DefinitionError, match="exposes no 'more'"):
            run.query("more", timeout=60)
        assert owner.store.read(lambda tx: tx.one("actors.newest_of", {"receiver": "run:run"}))[0] is None
        owner._kill()
        assert run.query("done", timeout=60) == 3  # whoever has it, or nobody
        run.signal(Approved("ann"))
        assert run.result(timeout=60) == 10


def test_a_query_whose_run_is_unloaded_before_it_answers_has_it_loaded_again(monkeypatch):
    with LeakCheck(), World(seed=3) as world, af.open_store() as store, ExitStack() as stack:
        owner = stack.enter_context(VirtualSystem._within(world, "owner", store=store))
        other = stack.enter_context(VirtualSystem._within(world, "other", store=store))
        owner.start(plain.options(id="run"))
        owner.sleep(5)
        asked: list[str] = []
        answer_questions = RunActor.answer_questions

        def unloads_first(self, patience):
            asked.append(self.body.run.name)
            if len(asked) == 1:
                self.body.unload()
            else:
                answer_questions(self, patience)

        monkeypatch.setattr(RunActor, "answer_questions", unloads_first)
        assert other.get_run("run").query("done", timeout=60) == 3
        assert len(asked) >= 2
        owner.get_run("run").cancel()


def test_a_query_that_nobody_answers_ends_by_its_timeout_and_leaves_nothing(system, monkeypatch):
    run = system.start(plain.options(id="run"))
    system.sleep(5)
    system.run_node.bodies["run"].unload()
    system.sleep(5)
    monkeypatch.delitem(WORKFLOWS, plain.name)
    with pytest.raises(af.AskTimeout, match="run run has not answered within 20"):
        run.query("done", timeout=20)
    assert system.store.read(lambda tx: tx.one("actors.newest_of", {"receiver": "run:run"}))[0] is None
    run.pause()
    with pytest.raises(af.DefinitionError, match="import its module"):
        run.query("done")


@pytest.mark.parametrize("workflow", FLOWS)
def test_two_processes_answer_queries_in_real_time(url, begin, workflow):
    owner = begin("owner")
    other = owner if url == "memory:" else begin("other")
    run = owner.start(workflow.options(id="run"))
    until(lambda: len(run.steps) == 4)
    until(lambda: owner.get_run("run").query("done", timeout=60) == 3)  # the code has heard of its last record, too
    assert other.get_run("run").query("done", timeout=60) == 3
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == 10
    assert other.get_run("run").query("done", timeout=60) == 10
