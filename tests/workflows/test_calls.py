"""Promise: every public call in a body is a step, a read of the record, or refused with the cure."""

from __future__ import annotations

import asyncio
import inspect
import re
from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number, number_async


class Echo(af.Actor):
    """Answers."""

    def echo(self, text: str) -> str:
        """Answer."""
        return text


@dataclass
class Count:
    """A state."""

    n: int = 0


class Kept(af.Actor, durable=True):
    """Keeps messages."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Count()

    def on_receive(self, message: str) -> None:
        """Count."""
        self.state.n += 1

    def count(self) -> int:
        """Answer."""
        return self.state.n


def future() -> af.Future[int]:
    """Return a future of nobody's."""
    return af.Future()


# Calls that are steps, or read what is recorded: of a plain body, and of an async one.
TAKEN = {
    "task": (lambda s: number(1), lambda s: number_async(1)),
    "submit": (lambda s: number.submit(1).get(), lambda s: number.submit(1)),
    "submit async": (lambda s: number_async.submit(1).get(), lambda s: number_async.submit(1)),
    "map": (lambda s: number.map([1, 2]).get(), lambda s: number.map([1, 2])),
    "gather": (lambda s: af.gather(number.submit(1)).get(), lambda s: af.gather(number.submit(1))),
    "derived": (lambda s: number.submit(1).map(len).get(), None),
    "sleep": (lambda s: af.sleep(0.1), lambda s: asyncio.sleep(0.1)),
    "timer": (lambda s: af.timer(0.1).get(), lambda s: af.timer(0.1)),
    "wait": (lambda s: af.wait(Approved, timeout=0.1), lambda s: af.signal(Approved, timeout=0.1)),
    "now": (lambda s: str(af.now()), lambda s: str(af.now())),
    "random": (lambda s: af.random().random(), lambda s: af.random().random()),
    "uuid": (lambda s: str(af.uuid()), lambda s: str(af.uuid())),
    "done": (lambda s: number.submit(1).done(), lambda s: number.submit(1).done()),
    "job": (lambda s: number.options(queue="jobs")(1), lambda s: number.options(queue="jobs").submit(1)),
    "ask of a durable actor": (lambda s: s.kept.ask("x"), lambda s: s.kept.ask("x", block=False)),
    "ask with a timeout": (lambda s: s.kept.ask("x", timeout=30), None),
    "call of a durable actor": (lambda s: s.kept.call(Kept.count).get(), lambda s: s.kept.call(Kept.count)),
    "cast to a durable actor": (lambda s: s.kept.cast(Kept.count), lambda s: s.kept.cast(Kept.count)),
    "tell to a durable actor": (lambda s: s.kept.tell("x"), lambda s: s.kept.tell("x")),
    "proxy of a durable actor": (lambda s: s.kept.proxy().count().get(), lambda s: s.kept.proxy().count()),
    "durable": (lambda s: s.durable("kept", Kept).tell("x"), lambda s: s.durable("kept", Kept).tell("x")),
    "get_run": (lambda s: s.get_run("x").id, lambda s: s.get_run("x").id),
}

# Calls that no replay may make again.
REFUSED = {
    "tell": lambda s: s.echo.tell("x"),
    "ask": lambda s: s.echo.ask("x", block=False),
    "call": lambda s: s.echo.call(Echo.echo, "x"),
    "cast": lambda s: s.echo.cast(Echo.echo, "x"),
    "proxy": lambda s: s.echo.proxy().echo("x"),
    "stop of a durable actor": lambda s: s.kept.stop(block=False),
    "stop of an actor": lambda s: s.echo.stop(block=False),
    "is_alive": lambda s: s.echo.is_alive(),
    "is_alive of a durable actor": lambda s: s.kept.is_alive(),
    "actor_stopped": lambda s: s.echo.actor_stopped.is_set(),
    "spawn": lambda s: s.spawn(Echo),
    "find": lambda s: s.find("/x"),
    "tree": lambda s: s.tree(),
    "subscribe": lambda s: s.subscribe(af.Started, print),
    "stop": lambda s: s.stop(),
    "pool": lambda s: s.cpu.submit(len, "x"),
    "pool map": lambda s: list(s.cpu.map(len, ["x"])),
    "enqueue": lambda s: s.queue("q").enqueue(number, 1),
    "enqueue at once": lambda s: s.jobs.enqueue(number, 1),
    "stats": lambda s: s.jobs.stats(),
    "get_job": lambda s: s.get_job("1").status,
    "status of a run": lambda s: s.get_run("other").status,
    "steps of a run": lambda s: s.get_run("other").steps,
    "signal": lambda s: s.get_run("other").signal(1),
    "cancel": lambda s: s.get_run("other").cancel(),
    "query": lambda s: s.get_run("other").query("x"),
    "transient signal": lambda s: s.get_run("other").signal(1, transient=True),
    "subscribe to a run": lambda s: s.get_run("other").subscribe(print),
    "pause": lambda s: s.get_run("other").pause(),
    "resume": lambda s: s.get_run("other").resume(),
    "retry": lambda s: s.get_run("other").retry(),
    "fork": lambda s: s.get_run("other").fork(),
    "result": lambda s: s.get_run("other").result(timeout=30),
    "start": lambda s: s.start(other),
    "deliver": lambda s: s.deliver(s.kept, "x", id="1"),
    "dead mail": lambda s: s.dead_mail.count(),
    "store": lambda s: s.store.read(lambda tx: tx.one("runs.next_wake")),
    "current": lambda s: af.current(),
    "future of nobody's": lambda s: future().get(),
    "get with a timeout": lambda s: number.submit(1).get(timeout=30),
}

SYSTEM: list[VirtualSystem] = []


@af.workflow(name="calls.other")
def other() -> None:
    """Wait."""
    af.wait(Approved)


@af.workflow(name="calls.plain")
def plain(call: str, is_taken: bool) -> str:
    """Make a call."""
    return judged(lambda: (TAKEN[call][0] if is_taken else REFUSED[call])(SYSTEM[0]))


@af.workflow(name="calls.asynchronous")
async def asynchronous(call: str, is_taken: bool) -> str:
    """Make a call."""
    function = TAKEN[call][1] if is_taken else REFUSED[call]
    try:
        value = function(SYSTEM[0])
        if inspect.isawaitable(value):
            await value
    except af.DefinitionError as error:
        return str(error)
    return "taken"


def judged(call) -> str:
    """Make a call; return the text of its refusal."""
    try:
        call()
    except af.DefinitionError as error:
        return str(error)
    return "taken"


def open_system(kind: str):
    """Return a system of one kind: those with a store of their own, and those that share one, have different ones."""
    if kind == "virtual":
        return VirtualSystem("calls")
    return af.ActorSystem("calls", store="memory:")


@pytest.fixture(scope="module", params=["virtual", "with a store of its own"])
def system(request):
    """Return a system with all that calls may want."""
    with open_system(request.param) as system:
        system.echo = system.spawn(Echo)
        system.cpu = system.pool("cpu", workers=1)
        system.kept = system.spawn(af.child(Kept).options(name="kept"))
        system.jobs = system.queue("jobs", workers=1)
        system.jobs.enqueue(number, 1)
        system.start(other.options(id="other"))
        SYSTEM[:] = [system]
        yield system
        SYSTEM.clear()


@pytest.mark.parametrize("call", TAKEN)
@pytest.mark.parametrize("workflow", [plain, asynchronous], ids=["plain", "async"])
def test_a_call_that_is_recorded_is_taken(system, workflow, call):
    if workflow is asynchronous and TAKEN[call][1] is None:
        call = "submit"
    assert system.start(workflow, call, True).result(timeout=60) == "taken"


@pytest.mark.parametrize("call", REFUSED)
@pytest.mark.parametrize("workflow", [plain, asynchronous], ids=["plain", "async"])
def test_a_call_that_no_replay_may_make_again_is_refused_with_the_cure(system, workflow, call):
    text = system.start(workflow, call, False).result(timeout=60)
    assert text != "taken"
    assert re.search("task|await|start|submit|child", text), text


def test_the_table_has_every_function_of_the_package_that_bodies_use():
    known = {"task", "gather", "sleep", "timer", "wait", "now", "random", "uuid", "current", "signal"}
    functions = {name for name in af.__all__ if inspect.isfunction(getattr(af, name))}
    of_sagas, of_services = {"saga", "pivot", "savepoint", "undo"}, {"event", "on", "upcast"}
    elsewhere = {"workflow", "child", "open_store", "queue"} | of_sagas | of_services
    assert known <= functions
    assert functions - elsewhere - known <= LATER


LATER = {"branch", "as_completed", "patched", "continue_as_new", "expose"}  # they have tests of their own
