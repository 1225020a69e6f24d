"""check_replay: recorded runs against the code of today."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import threading
import time
import uuid
from pathlib import Path

import pytest

import actorflow as af
from actorflow.app.replay import replay
from actorflow.testing import VirtualSystem, check_replay
from tests.workflows.bodies import BODIES, Approved, boom, number
from tests.workflows.test_sends import Till

FLIP = {"on": False}


def exported(workflow, *args, signals=(), cancel=False, until=None, seed=1):
    """Run a workflow, to its end or until a time, and return its export, as a file of JSON has it."""
    with VirtualSystem("test", seed=seed) as system:
        system.queue("jobs", workers=2)
        run = system.start(workflow.options(id="run"), *args)
        for signal in signals:
            run.signal(signal)
        if until is not None:
            system.sleep(until)
        else:
            if cancel:
                system.sleep(1)
                run.cancel()
            with contextlib.suppress(af.RunFailed, af.RunCancelled):
                run.result()
        return json.loads(json.dumps(system.runs().export("run")))


@af.task
def pays(amount: int) -> int:
    """Return the amount."""
    return amount


@af.workflow
def order(amount: int) -> list[object]:
    """Pay, wait, pay again; changed: pay twice at first."""
    paid = [pays(amount)]
    if FLIP["on"]:
        paid.append(pays(amount + 1))
    who = af.wait(Approved)
    paid.append(pays(amount + 2))
    return [paid, who.name]


@af.workflow
def longer(amount: int) -> int:
    """Pay; changed: pay once more, at the end."""
    paid = pays(amount)
    if FLIP["on"]:
        number(1)
    return paid


@af.workflow
def waits_more(amount: int) -> int:
    """Pay; changed: wait for a signal, at the end."""
    paid = pays(amount)
    if FLIP["on"]:
        af.wait(Approved)
    return paid


@af.workflow
def enqueues_more(amount: int) -> int:
    """Pay; changed: enqueue a job, at the end."""
    paid = pays(amount)
    if FLIP["on"]:
        number.options(queue="jobs").submit(1)
    return paid


@af.workflow
def turns(amount: int) -> int:
    """Pay; changed: begin anew."""
    paid = pays(amount)
    if FLIP["on"]:
        af.continue_as_new(amount)
    return paid


@af.workflow
def result_differs(amount: int) -> int:
    """Pay; changed: return another result."""
    return pays(amount) + FLIP["on"]


@af.workflow
def fails_now(amount: int) -> int:
    """Pay; changed: fail."""
    if pays(amount) and FLIP["on"]:
        raise ValueError(amount)
    return amount


@af.workflow
def fails(text: str) -> int:
    """Fail by a step, clean up by another; changed: return."""
    try:
        boom(text)
    finally:
        number(1)
    return 1


@af.workflow
def cancelled() -> None:
    """Wait for ever, and clean up by a step."""
    try:
        af.wait(Approved)
    finally:
        number(1)


@af.workflow
def leaves_child() -> int:
    """Leave a child behind."""
    left.options(on_parent_close="abandon").submit()
    return 1


@af.workflow
def left() -> int:
    """Sleep."""
    af.sleep(10)
    return 1


@pytest.fixture
def changed():
    """Change the code of the workflows."""

    def change():
        FLIP["on"] = True

    FLIP["on"] = False
    yield change
    FLIP["on"] = False


# Those that take a durable actor from a system of the test have none in a replay: others are given the ref.
REPLAYED = [one for one in BODIES if "asking" not in one.name]


@pytest.mark.parametrize("workflow", REPLAYED, ids=lambda workflow: workflow.function.__name__)
def test_the_replay_of_each_kind_of_body_fits(workflow):
    export = exported(workflow)
    report = check_replay(workflow, export)
    assert (report.run, report.workflow, report.records) == ("run", workflow.name, len(export["records"]))
    assert report.doubts == ()


@pytest.mark.parametrize(
    ("workflow", "args", "options"),
    [
        (order, (5,), {"signals": [Approved("ann")]}),
        (order, (5,), {"until": 10}),  # it waits for its signal
        (order, (5,), {"until": 0}),
        (fails, ("no",), {}),
        (cancelled, (), {"cancel": True}),
        (leaves_child, (), {}),
        (af.workflow(name="tests.empty")(lambda: None), (), {}),
    ],
    ids=["completed", "waiting", "just started", "failed", "cancelled", "left a child", "empty"],
)
def test_the_replay_of_a_run_that_is_anywhere_fits(workflow, args, options, changed):
    check_replay(workflow, exported(workflow, *args, **options))


@pytest.mark.parametrize(
    ("workflow", "signals", "text"),
    [
        (order, [Approved("ann")], r"recorded is signal .*Approved .*begun .*pays"),
        (longer, [], r"recorded is the end of the run, and the code has begun .*number"),
        (enqueues_more, [], r"recorded is the end of the run, and the code has begun .*number"),
        (waits_more, [], r"recorded is the end of the run, and the code has begun a wait for signal .*Approved"),
        (turns, [], r"recorded is the end of the run, which is completed, .* a new turn, by af.continue_as_new"),
        (result_differs, [], r"recorded is the result 5, and the code has begun another one: 6"),
        (fails_now, [], r"recorded is the end of the run, which is completed, .* another: failed: ValueError: 5"),
    ],
    ids=["another step", "a step more", "a job more", "a wait more", "a new turn", "another result", "an error"],
)
def test_the_first_difference_of_changed_code_is_told(workflow, signals, text, changed):
    export = exported(workflow, 5, signals=signals)
    check_replay(workflow, export)
    changed()
    with pytest.raises(af.NonDeterministic, match=text):
        check_replay(workflow, export)


def test_a_change_beyond_the_records_of_a_run_that_goes_on_fits(changed):
    export = exported(order, 5, until=0)
    assert check_replay(order, {**export, "records": []}).difference is None
    changed()
    assert replay(order, {**export, "records": export["records"][:1]}).difference is None


@af.workflow
def sends(till: af.ActorRef[Till]) -> list[object]:
    """Tell and ask a durable actor; changed: tell it more, at the end."""
    till.tell("one")
    first = till.call(Till.add, 1).get()
    if FLIP["on"]:
        till.tell("two")
    return [first, number(2)]


def test_sends_to_durable_actors_are_compared_and_not_made(changed):
    with VirtualSystem("test", seed=1) as system:
        till = system.spawn(af.child(Till).options(name="till"))
        assert system.start(sends.options(id="run"), till).result() == [2, [2]]
        export = json.loads(json.dumps(system.runs().export("run")))
    assert check_replay(sends, export).records == len(export["records"])
    changed()
    with pytest.raises(af.NonDeterministic, match="begun"):
        check_replay(sends, export)


def test_no_task_is_run_by_a_replay(changed):
    ran = []

    @af.task(name="tests.noted")
    def noted() -> None:
        ran.append(1)

    @af.workflow(name="tests.notes")
    def notes() -> None:
        noted()
        if FLIP["on"]:
            noted.submit()
            noted()

    export = exported(notes)
    assert ran == [1]
    changed()
    assert replay(notes, export).difference is not None
    assert replay(notes, {**export, "records": []}).difference is not None
    assert ran == [1]


def test_a_value_that_cannot_be_read_here_is_told():
    export = exported(order, 5, signals=[Approved("ann")])
    text = json.dumps(export).replace("tests.workflows.bodies.Approved\\", "no.such.Approved\\")
    text = text.replace('"$type": "tests.workflows.bodies.Approved"', '"$type": "no.such.Approved"')
    with pytest.raises(af.PayloadError, match="no.such"):
        check_replay(order, json.loads(text))


@pytest.mark.parametrize("other", [{"records": [{}]}, {"records": 3}, {"created": "noon"}, {"id": None, "status": []}])
def test_an_export_that_is_none_is_refused(other):
    good = exported(order, 5, until=0)
    broken = {**good, **other} if "id" not in other else other
    with pytest.raises(af.DefinitionError, match="no export of a run"):
        check_replay(order, broken)


def test_a_function_that_is_no_workflow_is_refused():
    with pytest.raises(af.DefinitionError, match=r"check_replay\(.*give a workflow"):
        check_replay(number, {})


# --- doubts ----------------------------------------------------------------------------------------------------------


def work() -> None:
    """Do nothing."""


@af.workflow
def careless() -> int:
    """Look at everything that a replay sees otherwise."""
    time.time()
    time.monotonic()
    dt.datetime.now(tz=dt.UTC)
    dt.date.today()  # noqa: DTZ011
    random.random()
    random.randint(1, 6)
    random.choice([1, 2])
    uuid.uuid4()
    os.urandom(4)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return number(1)[0]


@af.workflow
async def careless_async() -> int:
    """The same in a branch."""

    async def leg() -> None:
        await number.submit(1)
        time.time()

    await af.branch(leg)
    return 1


@af.workflow
def careless_branch() -> int:
    """The same in a branch of plain code."""

    def leg() -> None:
        number(1)
        random.shuffle([1, 2])

    af.branch(leg).get()
    return 1


@af.workflow
def careful() -> str:
    """Draw from the streams of the run, and from one that is seeded."""
    af.now()
    return f"{af.uuid()} {af.random().randint(1, 6)} {random.Random(1).choice([1, 2])} {number(1)}"


def test_calls_of_clocks_chance_and_threads_in_a_body_are_found_with_their_lines():
    report = check_replay(careless, exported(careless))
    calls = [doubt.call for doubt in report.doubts]
    assert calls == [
        *("time.time", "time.monotonic", "datetime.now", "date.today", "random.random", "random.randint"),
        *("random.choice", "uuid.uuid4", "os.urandom", "Thread.start"),
    ]
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    for doubt in report.doubts:
        assert Path(doubt.file) == Path(__file__)
        assert doubt.call.rpartition(".")[2] in lines[doubt.line - 1]
    assert str(report.doubts[0]).endswith(
        f"test_check_replay.py:{report.doubts[0].line}: the body of a workflow calls time.time(): af.now() is the same "
        "in each replay, and so is a task that looks at a clock"
    )


@pytest.mark.parametrize(("workflow", "call"), [(careless_async, "time.time"), (careless_branch, "random.shuffle")])
def test_calls_in_branches_are_found(workflow, call):
    assert [doubt.call for doubt in check_replay(workflow, exported(workflow)).doubts] == [call]


def test_time_and_chance_of_the_run_raise_no_doubt():
    assert check_replay(careful, exported(careful)).doubts == ()


def test_an_export_of_records_of_another_kind_is_refused():
    export = exported(order, 5, signals=[Approved("ann")])
    export["records"][0]["kind"] = "guess"
    with pytest.raises(af.DefinitionError, match="no export of a run, .*KeyError: 'guess'"):
        check_replay(order, export)
