"""Bad input to workflows: each mistake is an error that names it, with the cure, or a warning."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number


class Odd:
    """Cannot be stored."""


@dataclass
class Order:
    """Holds what cannot be stored, deep inside."""

    items: list[object] = field(default_factory=lambda: [1, {"odd": Odd()}])


class Huge(Exception):
    """An error of any size."""


@af.task
def gives(what: str) -> object:
    """Return what cannot be stored, or too much, or raise too much."""
    if what == "huge error":
        raise Huge("x" * 30_000_000)
    return Order() if what == "odd" else "x" * 100_000_000


@af.task
def takes(what: object) -> int:
    """Take anything."""
    return 1


@af.workflow
def by_a_step(what: str) -> object:
    """Have a step give it."""
    return gives(what)


@af.workflow
def as_argument(what: str) -> object:
    """Give it to a step."""
    return takes(Order() if what == "odd" else "x" * 100_000_000)


@af.workflow
def as_result(what: str) -> object:
    """Return it."""
    return Order() if what == "odd" else "x" * 100_000_000


@af.workflow
def one_signal(n: int) -> str:
    """Wait for one class of signals."""
    return af.wait(Approved).name


@pytest.fixture
def system():
    with VirtualSystem("test", seed=1, turn_seconds=600.0) as running:
        yield running


@pytest.mark.parametrize(
    ("workflow", "place"),
    [
        (by_a_step, r"the result of \S*gives\.items\[1\]\['?odd'?\]"),
        (as_argument, r"the arguments of \S*takes\[0\]\[0\]\.items\[1\]\['?odd'?\]"),
        (as_result, r"the result of \S*as_result\.items\[1\]\['?odd'?\]"),
    ],
    ids=["result of a step", "argument", "result"],
)
def test_a_value_that_cannot_be_stored_is_named_with_its_path_and_the_cure(system, workflow, place):
    with pytest.raises(af.RunFailed, match=place + r" is \S*Odd, which cannot be stored: use a dataclass"):
        system.start(workflow, "odd").result()


@pytest.mark.parametrize(
    "workflow", [by_a_step, as_argument, as_result], ids=["result of a step", "argument", "result"]
)
def test_a_value_of_100_mb_is_refused_with_the_limit_and_the_way_out(system, workflow):
    with pytest.raises(
        af.RunFailed, match=r"100\.0 MB, over Settings\(payload_limit=\) of .*: store it in a file, and"
    ):
        system.start(workflow, "large").result()


def test_an_error_of_any_size_is_kept_with_the_begin_of_its_text(system):
    run = system.start(by_a_step, "huge error")
    with pytest.raises(af.RunFailed, match="Huge: xxxx") as found:
        run.result()
    assert len(str(found.value)) < 20_000
    assert len(str(system.runs().export(run.id))) < 200_000


@pytest.mark.parametrize(
    "call", [lambda run: run.signal(Approved("ann")), lambda run: run.status, lambda run: run.cancel()]
)
def test_a_run_that_is_not_there_is_named(system, call):
    with pytest.raises(af.DefinitionError, match="there is no run nobody"):
        call(system.get_run("nobody"))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda run: run.signal(Approved("ann"), id=7), "id=7"),
        (lambda run: run.fork(id=7), "id=7"),
        (lambda run: run.fork(step=number), "step="),
        (lambda run: run.retry(from_=number), "from_="),
    ],
)
def test_an_id_or_a_step_that_is_no_text_is_refused(system, call, name):
    run = system.start(one_signal, 1)
    with pytest.raises(af.DefinitionError, match=rf"{name}.*: give str"):
        call(run)


def test_a_signal_to_a_run_that_is_over_is_refused(system):
    run = system.start(by_a_step.options(id="done"), "odd")
    with pytest.raises(af.RunFailed):
        run.result()
    with pytest.raises(af.DefinitionError, match="run done is over: it is failed"):
        run.signal(Approved("ann"))


def test_a_second_run_of_an_id_that_is_another_one_is_refused(system):
    system.start(one_signal.options(id="a"), 1)
    assert system.start(one_signal.options(id="a"), 1).id == "a"
    with pytest.raises(af.DefinitionError, match="run 'a' is there already, and is one with other arguments: give"):
        system.start(one_signal.options(id="a"), 2)
    with pytest.raises(af.DefinitionError, match=r"run 'a' is there already, and is a run of \S*one_signal: give"):
        system.start(as_result.options(id="a"), "odd")


@pytest.mark.parametrize(("signal", "path"), [(Odd(), ""), (Order(), r"\.items\[1\]")], ids=["itself", "inside"])
def test_a_signal_that_cannot_be_stored_is_refused_with_the_path(system, signal, path):
    run = system.start(one_signal, 1)
    with pytest.raises(af.PayloadError, match=path + r".* is \S*Odd, which cannot be stored"):
        run.signal(signal)
    run.signal(Approved("ann"))
    assert run.result() == "ann"


def test_signals_of_a_class_that_the_code_never_waited_for_are_told_at_the_end(system, caplog):
    run = system.start(one_signal.options(id="a"), 1)
    run.signal("yes")
    run.signal("no")
    run.signal(Approved("ann"))
    with caplog.at_level(logging.WARNING, "actorflow"):
        assert run.result() == "ann"
        system.sleep(10)
    (text,) = [record.getMessage() for record in caplog.records if "has not taken" in record.getMessage()]
    assert "Run a is completed, and its code has not taken signals that were sent to it: builtins.str. A signal" in text


@pytest.mark.parametrize("kind", [3, "Approved", Approved("ann"), None])
def test_a_wait_for_something_that_is_no_class_is_refused(system, kind):
    @af.workflow(name="tests.odd_wait")
    def odd_wait() -> None:
        af.wait(kind)

    with pytest.raises(af.RunFailed, match="give the class of the signal"):
        system.start(odd_wait).result()


def test_a_start_of_something_that_is_no_workflow_is_refused(system):
    for what in (3, number, len):
        with pytest.raises(af.DefinitionError, match="give a function with @af.workflow"):
            system.start(what)
    with pytest.raises(af.DefinitionError, match="workflow 'nope' is not known here: import its module"):
        system.start("nope")
