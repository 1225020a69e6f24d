"""What a machine has deferred and does not live to handle is told: an asker gets an error, a cast is a dead letter."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import Probe, VirtualSystem


class Printer(af.StateMachine):
    """Defers what comes while it warms up."""

    warming, ready = af.State(initial=True), af.State()

    @warming.after(20, ready)
    def warm(self) -> None: ...

    @warming.defer
    @ready.stay
    def print(self, page: str) -> str:
        return page

    @ready.to(warming)
    def clean(self) -> None: ...

    @warming.stay
    def burn(self) -> None:
        raise RuntimeError("smoke")


@pytest.mark.parametrize("end", ["stop", "crash", "system"])
def test_a_deferred_cast_is_a_dead_letter_when_its_machine_ends(virtual_system: VirtualSystem, end: str) -> None:
    letters: list[af.DeadLetter] = []
    virtual_system.subscribe(af.DeadLetter, letters.append)
    printer = virtual_system.spawn(af.child(Printer).options(restart="permanent"))
    printer.cast(Printer.print, "one")
    asked = printer.call(Printer.print, "two")
    printer.cast(Printer.print, "three")
    virtual_system.sleep(1)
    if end == "stop":
        printer.stop()
    elif end == "crash":
        printer.cast(Printer.burn)
    else:
        virtual_system.stop()
    with pytest.raises((af.ActorDeadError, RuntimeError)):
        asked.get(timeout=100)
    if end != "system":  # whose subscribers end with it
        virtual_system.sleep(1)
        told = [letter for letter in letters if getattr(letter.message, "name", "") == "print"]
        assert [(letter.ref, letter.message.args) for letter in told] == [(printer, ("one",)), (printer, ("three",))]
        expected = RuntimeError if end == "crash" else af.ActorDeadError
        assert all(isinstance(letter.reason, expected) for letter in told)
    assert virtual_system.dead_letters == (3 if end == "crash" else 2)


def test_what_was_handled_in_time_is_no_dead_letter(virtual_system: VirtualSystem) -> None:
    printer = virtual_system.spawn(Printer)
    printer.cast(Printer.print, "one")
    virtual_system.sleep(21)
    printer.stop()
    assert virtual_system.dead_letters == 0


def test_in_a_child_process_too(system: af.ActorSystem, probe: Probe) -> None:
    system.subscribe(af.DeadLetter, probe.ref)
    printer = system.spawn(af.child(Printer).options(host=af.Process()))
    printer.cast(Printer.print, "one")
    assert printer.state == "warming"
    printer.stop()
    letter = probe.expect(af.DeadLetter, within=20)
    assert letter.message.args == ("one",)
