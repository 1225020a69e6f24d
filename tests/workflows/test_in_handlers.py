"""Handlers of durable actors: what they start and signal is part of their commit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number


@af.workflow
def awaits(n: int) -> list[object]:
    """A step and a signal."""
    return [number(n)[0], af.wait(Approved).name]


@dataclass
class Seen:
    """A state."""

    tries: int = 0


TRIES: list[int] = []


class Desk(af.Actor, durable=True):
    """Starts runs and signals them in its handlers."""

    state: Seen

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    def order(self, system: str, id: str, n: int) -> str:
        self.state.tries += 1
        return SYSTEMS[system].start(awaits.options(id=id), n).id

    def order_and_approve(self, system: str, id: str, name: str, at_start: bool) -> str:
        if at_start:
            return SYSTEMS[system].start(awaits.options(id=id, signal=Approved(name)), 4).id
        run = SYSTEMS[system].start(awaits.options(id=id), 4)
        run.signal(Approved(name))
        return run.id

    def order_and_fail(self, system: str, id: str) -> None:
        SYSTEMS[system].start(awaits.options(id=id), 1)
        TRIES.append(1)
        raise ValueError("no")

    def approve(self, system: str, id: str, name: str) -> bool:
        return SYSTEMS[system].get_run(id).signal(Approved(name))

    def approve_and_fail(self, system: str, id: str) -> None:
        SYSTEMS[system].get_run(id).signal(Approved("bad"))
        raise ValueError("no")


SYSTEMS: dict[str, af.ActorSystem] = {}


@pytest.fixture
def system():
    with VirtualSystem("test", seed=3) as running:
        SYSTEMS["test"] = running
        yield running
    SYSTEMS.clear()


def test_a_run_that_a_durable_handler_starts_and_signals_is_part_of_its_commit(system) -> None:
    desk = system.spawn(af.child(Desk).options(name="desk"))
    assert desk.call(Desk.order, "test", "one", 4).get() == "one"
    assert desk.call(Desk.approve, "test", "one", "ann").get() is True
    assert system.get_run("one").result() == [4, "ann"]


@pytest.mark.parametrize("at_start", [True, False], ids=["at its start", "after it"])
def test_a_durable_handler_signals_a_run_that_it_starts_in_the_same_commit(system, at_start) -> None:
    desk = system.spawn(af.child(Desk).options(name="desk"))
    assert desk.call(Desk.order_and_approve, "test", "one", "ann", at_start).get() == "one"
    assert system.get_run("one").result() == [4, "ann"]


def test_what_a_durable_handler_starts_and_signals_before_it_fails_is_not_there(system) -> None:
    desk = system.spawn(af.child(Desk).options(name="desk"))
    run = system.start(awaits.options(id="there"), 1)
    with pytest.raises(ValueError, match="no"):
        desk.call(Desk.order_and_fail, "test", "none").get()
    with pytest.raises(ValueError, match="no"):
        desk.call(Desk.approve_and_fail, "test", "there").get()
    system.sleep(10)
    with pytest.raises(af.DefinitionError, match="there is no run none"):
        print(system.get_run("none").status)
    assert run.signal(Approved("good"))
    assert run.result() == [1, "good"]


def test_a_durable_handler_is_refused_an_id_of_another_run(system) -> None:
    desk = system.spawn(af.child(Desk).options(name="desk"))
    system.start(awaits.options(id="taken"), 1)
    with pytest.raises(af.DefinitionError, match="other arguments"):
        desk.call(Desk.order, "test", "taken", 2).get()
    assert desk.call(Desk.order, "test", "taken", 1).get() == "taken"
