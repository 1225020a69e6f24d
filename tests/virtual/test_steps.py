"""Steps: what runs between two of them, and that they are fast from the first one on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

import actorflow as af

FIRST_RUN = """
import dis
import actorflow as af
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.testing import VirtualSystem

class Countdown(af.Actor):
    def on_receive(self, left):
        if left:
            self.actor_ref.tell(left - 1)

with VirtualSystem() as system:
    system.spawn(Countdown).tell(1000)
    system.sleep(1)
print(*(each.opname for each in dis.get_instructions(VirtualScheduler._run_steps, adaptive=True)))
"""


class Hears(af.Actor):
    """Keeps who has told what, and no message."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def on_receive(self, message: object) -> None:
        if isinstance(message, str):
            self.heard.append((message, self.ctx.sender))

    def all_heard(self) -> list[object]:
        return self.heard


class Throws(af.Actor):
    """Sends objects that nobody keeps."""

    def throw(self, to: af.ActorRef[Hears], act: Callable[[], object]) -> None:
        for _ in range(3):
            to.tell(Dropped(act))


class Dropped:
    """A message whose finaliser runs between two steps, where the run queue drops it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


def test_a_finaliser_of_a_message_that_waits_is_refused_and_the_next_steps_are_taken(virtual_system):
    errors = []

    def wait() -> None:
        with pytest.raises(af.DefinitionError, match="between two steps") as caught:
            hears.ask("will you answer?")
        errors.append(caught)

    hears = virtual_system.spawn(Hears)
    virtual_system.spawn(Throws).cast(Throws.throw, hears, wait)
    virtual_system.sleep(1)
    assert len(errors) == 3
    assert hears.call(Hears.all_heard).get() == [("will you answer?", None)] * 3


def test_a_finaliser_of_a_message_tells_in_nobodys_name(virtual_system):
    hears = virtual_system.spawn(Hears)
    virtual_system.spawn(Throws).cast(Throws.throw, hears, lambda: hears.tell("the end"))
    virtual_system.sleep(1)
    assert hears.call(Hears.all_heard).get() == [("the end", None)] * 3


def test_the_first_run_of_a_process_is_as_fast_as_the_next_ones():
    # CPython 3.11 quickens code as it is called for the 8th time, or jumps back without a condition; till then a step
    # takes twice as long.
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # traced code is not
    done = subprocess.run(
        [sys.executable, "-c", FIRST_RUN], env=untraced, capture_output=True, text=True, timeout=100, check=True
    )
    assert "LOAD_ATTR_SLOT" in done.stdout
