"""Promises: a transient signal is told to a loaded run and stored only in the record of the wait that takes it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.testing import LeakCheck, VirtualSystem
from actorflow.workflows.body import mail
from tests.workflows.bodies import Approved, number


@dataclass
class Progress:
    """A signal."""

    done: int


@af.workflow(name="transient.plain")
def plain() -> list[object]:
    """Take three."""
    seen: list[object] = []
    for _ in range(3):
        signal = af.wait(Progress, timeout=50)
        seen.append(signal.done if signal else None)
        number(1)
    return seen


@af.workflow(name="transient.asynchronous")
async def asynchronous() -> list[object]:
    """Take three."""
    seen: list[object] = []
    for _ in range(3):
        signal = await af.signal(Progress, timeout=50)
        seen.append(signal.done if signal else None)
        await number.submit(1)
    return seen


FLOWS = [plain, asynchronous]


@pytest.fixture
def system():
    with LeakCheck(), VirtualSystem("test", seed=7) as running:
        yield running


def mail_of(system) -> object:
    return system.store.read(lambda tx: tx.one("actors.newest_of", {"receiver": "run:run"}))[0]


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_transient_signal_is_told_to_the_loaded_run_and_stored_in_no_mailbox(system, workflow):
    run = system.start(workflow.options(id="run"))
    system.sleep(1)
    for n in (1, 2, 3):
        assert run.signal(Progress(n), transient=True) is True
    assert mail_of(system) is None
    assert run.result(timeout=60) == [1, 2, 3]
    assert system.dead_letters == 0


@pytest.mark.parametrize("workflow", FLOWS)
def test_one_that_a_wait_has_taken_is_there_in_each_replay(system, workflow):
    run = system.start(workflow.options(id="run"))
    system.sleep(1)
    run.signal(Progress(1), transient=True)
    system.sleep(1)
    system.run_node.bodies["run"].unload()
    system.sleep(1)
    assert "run" not in system.run_node.bodies
    run.signal(Progress(2))
    system.sleep(1)
    run.signal(Progress(3), transient=True)
    assert run.result(timeout=60) == [1, 2, 3]


def test_one_to_a_run_that_is_not_loaded_is_dropped_and_counted(system):
    heard: list[af.DeadLetter] = []
    system.subscribe(af.DeadLetter, heard.append)
    run = system.start(plain.options(id="run"))
    system.sleep(1)
    system.run_node.bodies["run"].unload()
    system.sleep(1)
    assert run.signal(Progress(1), transient=True) is False
    assert system.get_run("nobody").signal(Progress(2), transient=True) is False
    system.sleep(1)
    assert system.dead_letters == 2
    assert [letter.message for letter in heard] == [Progress(1), Progress(2)]
    assert "run run: it is not loaded here" in str(heard[0].reason)
    assert run.result(timeout=200) == [None, None, None]


@af.workflow(name="transient.busy")
def busy() -> None:
    """Take none."""
    af.wait(Approved)


def test_those_that_no_wait_has_taken_are_counted_when_the_run_ends_and_are_not_without_bound(system, monkeypatch):
    monkeypatch.setattr(mail, "MOST_TOLD", 3)
    run = system.start(busy.options(id="run"))
    system.sleep(1)
    for n in range(5):
        run.signal(Progress(n), transient=True)
    system.sleep(1)
    assert system.dead_letters == 2
    run.signal(Approved("ann"))
    run.result(timeout=60)
    system.sleep(1)
    assert system.dead_letters == 5


def test_a_transient_signal_with_an_id_or_without_a_stored_form_is_refused(system):
    run = system.start(busy.options(id="run"))
    with pytest.raises(af.DefinitionError, match="no id drops repeats"):
        run.signal(Progress(1), id="x", transient=True)
    with pytest.raises(af.PayloadError):
        run.signal(object(), transient=True)
    run.cancel()


class Uncounted(list):
    """A list that nobody goes through."""

    def __iter__(self):
        raise AssertionError("all signals were gone through")


def test_one_that_comes_behind_many_goes_through_none_of_them(system):
    run = system.start(busy.options(id="run"))
    system.sleep(1)
    mail = system.run_node.bodies["run"].mail
    kept = mail._signals = Uncounted()
    for n in range(20):
        run.signal(Progress(n), transient=True)
    system.sleep(1)
    assert len(kept) == 20
    mail._signals = [*map(kept.__getitem__, range(20))]
    run.signal(Approved("ann"))
    run.result(timeout=60)


@af.workflow(name="transient.late")
def late() -> list[int]:
    """Take three of each turn, and then wait."""
    seen = []
    for _ in range(2):
        af.wait(Approved)
        seen += [af.wait(Progress).done for _ in range(3)]
    return seen


def test_those_that_waits_have_taken_leave_their_places_to_others(system, monkeypatch):
    monkeypatch.setattr(mail, "MOST_TOLD", 3)
    run = system.start(late.options(id="run"))
    for turn in range(2):
        system.sleep(1)
        for n in range(4):
            run.signal(Progress(10 * turn + n), transient=True)
        system.sleep(1)
        run.signal(Approved("ann"))
    assert run.result(timeout=60) == [0, 1, 2, 10, 11, 12]
    system.sleep(1)
    assert system.dead_letters == 2
