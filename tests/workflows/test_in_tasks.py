"""Promises: runs that tasks, and actions of machines, start, signal and await; tasks in threads that a body starts."""

from __future__ import annotations

import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number
from tests.workflows.test_in_handlers import SYSTEMS, Seen, awaits


@pytest.fixture
def system():
    with VirtualSystem("test", seed=3) as running:
        SYSTEMS["test"] = running
        yield running
    SYSTEMS.clear()


@pytest.fixture
def threaded(tmp_path):
    BEGUN.clear()
    with af.ActorSystem("test", store=f"sqlite:///{tmp_path / 'runs.db'}", durability="process") as running:
        SYSTEMS["test"] = running
        yield running
    SYSTEMS.clear()


BEGUN: list[int] = []


@af.task
def noted(n: int) -> int:
    """Note that a step of the new run has begun."""
    BEGUN.append(n)
    return n


@af.workflow
def begins(n: int) -> list[object]:
    """A step and a signal."""
    return [noted(n), af.wait(Approved).name]


@af.task
def starts(fails: bool) -> str:
    """Start a run and signal another one in the transaction of the task."""
    system = SYSTEMS["test"]
    with af.current().transaction():
        run = system.start(begins.options(id="new"), 5)
        system.get_run("old").signal(Approved("task"))
        threading.Event().wait(0.2)  # others have the time to do what they should not
    if fails:
        raise ValueError("on purpose")
    return run.id


@af.workflow
def has_it_started(fails: bool) -> str:
    """The same, by a step."""
    try:
        return starts(fails)
    except ValueError:
        return "failed"


@pytest.mark.parametrize("by", ["job", "step"])
def test_a_run_that_a_task_starts_in_its_transaction_is_there_with_the_tasks_result(threaded, by) -> None:
    old = threaded.start(awaits.options(id="old"), 1)
    if by == "job":
        assert threaded.queue("q", workers=1).enqueue(starts, False).result(timeout=60) == "new"
    else:
        assert threaded.start(has_it_started, False).result(timeout=60) == "new"
    assert old.result(timeout=60) == [1, "task"]
    run = threaded.get_run("new")
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == [5, "ann"]
    assert BEGUN == [5]


@pytest.mark.parametrize("by", ["job", "step"])
def test_a_run_that_a_task_starts_in_a_transaction_that_fails_is_not_there(threaded, by) -> None:
    old = threaded.start(awaits.options(id="old"), 1)
    if by == "job":
        with pytest.raises(af.JobFailed):
            threaded.queue("q", workers=1).enqueue(starts, True).result(timeout=60)
    else:
        assert threaded.start(has_it_started, True).result(timeout=60) == "failed"
    with pytest.raises(af.DefinitionError, match="there is no run new"):
        print(threaded.get_run("new").status)
    old.signal(Approved("ann"))
    assert old.result(timeout=60) == [1, "ann"]
    assert BEGUN == []


@af.task
def waits_inside() -> str:
    """Wait for a run while nothing can be written."""
    with af.current().transaction():
        try:
            return str(SYSTEMS["test"].get_run("old").result(timeout=1000))
        except af.DeadlockError as error:
            return str(error)


@af.task
def waits_outside() -> list[object]:
    """Start a run and wait for its end."""
    run = SYSTEMS["test"].start(awaits, 7)
    run.signal(Approved("job"))
    return run.result(timeout=60)


def test_a_job_awaits_a_run_and_is_refused_to_where_it_cannot_end(system) -> None:
    jobs = system.queue("q", workers=1)
    system.start(awaits.options(id="old"), 1)
    assert jobs.enqueue(waits_outside).result(timeout=60) == [7, "job"]
    assert "transaction() open" in jobs.enqueue(waits_inside).result(timeout=60)


class Door(af.StateMachine):
    """Starts a run as it opens."""

    shut = af.State(initial=True)
    wide = af.State(final=True)

    @shut.to(wide)
    def open(self, n: int) -> str:
        run = SYSTEMS["test"].start(awaits.options(id="door"), n)
        run.signal(Approved("door"))
        return run.id


class StoredDoor(Door, durable=True):
    """The same, in its commit."""


@pytest.mark.parametrize("kind", [Door, StoredDoor])
def test_an_action_of_a_machine_starts_and_signals_a_run(system, kind) -> None:
    door = system.spawn(af.child(kind).options(name="door"))
    assert door.call(kind.open, 4).get() == "door"
    assert system.get_run("door").result(timeout=60) == [4, "door"]


class Waiting(af.Actor, durable=True):
    """Starts a run, and is told of its end by the run."""

    state: Seen

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()
        self.ends: list[object] = []

    def begin(self) -> None:
        SYSTEMS["test"].start(tells.options(id="told"), self.actor_ref, 3)

    def ended(self, value: int) -> None:
        self.state.tries += value

    def look(self) -> int:
        return self.state.tries


@af.workflow
def tells(actor: af.ActorRef[Waiting], n: int) -> None:
    """Tell a durable actor of the end."""
    actor.cast(Waiting.ended, number(n)[0])


def test_a_durable_actor_is_told_of_the_end_of_a_run_that_it_has_started(system) -> None:
    actor = system.spawn(af.child(Waiting).options(name="waiting"))
    actor.call(Waiting.begin).get()
    system.get_run("told").result(timeout=60)
    assert actor.call(Waiting.look).get() == 3


FOUND: list[object] = []


@af.workflow
def threads() -> str:
    """Call a task in a thread of its own."""
    thread = threading.Thread(target=lambda: FOUND.append(number(1)))
    thread.start()
    thread.join()
    return "ended"


def test_a_task_in_a_thread_that_a_body_has_started_is_reported(caplog) -> None:
    FOUND.clear()
    with af.ActorSystem("threads") as system:
        run = system.start(threads.options(id="threaded"))
        assert run.result(timeout=60) == "ended"
        assert run.steps == []
    assert FOUND == [[1]]
    assert "number is called in a thread that the body of run threaded has started" in caplog.text


def test_a_task_in_any_other_thread_is_not_reported(caplog) -> None:
    FOUND.clear()
    with af.ActorSystem("threads") as system:
        system.start(threads).result(timeout=60)
        caplog.clear()
        thread = threading.Thread(target=lambda: FOUND.append(number(2)))
        thread.start()
        thread.join()
        assert number(3) == [3]
    assert FOUND == [[1], [2]]
    assert "is called in a thread" not in caplog.text


GATES: dict[str, threading.Event] = {}


@af.task
def leaves(run: str, is_joined: bool) -> str:
    """Start a thread, and leave it, or wait for its end."""
    thread = threading.Thread(target=GATES[run].wait, args=(100,), name="clean-up")
    thread.start()
    if is_joined:
        GATES[run].set()
        thread.join()
    return "done"


@af.workflow
def of_leaving(run: str, is_joined: bool) -> list[str]:
    """Run it as a step, and as one beside others."""
    return [leaves(run, is_joined), leaves.submit(run, is_joined).get()]


@pytest.mark.parametrize("is_joined", [True, False], ids=["and waits for", "and leaves"])
def test_a_thread_that_a_step_starts_is_warned_of_if_it_is_left_behind_once(caplog, is_joined) -> None:
    GATES["run"] = gate = threading.Event()
    try:
        with VirtualSystem("threads", seed=1) as system:
            for n in range(2):
                assert system.start(of_leaving.options(id=f"run-{n}"), "run", is_joined).result() == ["done", "done"]
            system.sleep(1)
    finally:
        gate.set()
    warned = [record.getMessage() for record in caplog.records if "that it started goes on" in record.getMessage()]
    if is_joined:
        assert warned == []
    else:
        (text,) = warned
        assert text.startswith("Run run-0: step ")
        assert "leaves" in text
        assert "thread 'clean-up' that it started goes on" in text
