"""A washing machine under control: timers, a fault, and a history by which it goes on where it was.

    python -m examples.device

The clock of this program is virtual, so a wash takes no time.
"""

from __future__ import annotations

import actorflow as af
from actorflow.machine import Record
from actorflow.testing import VirtualSystem

FULL = 12.0  # litres
SILENCE = 30.0  # seconds without news from the sensor, after which it counts as broken


class Washer(af.StateMachine):
    """Controls one machine. Its sensor calls `level` every few seconds."""

    off = af.State(initial=True)

    running = af.State()
    filling = af.State(parent=running, initial=True)
    washing = af.State(parent=running)
    spinning = af.State(parent=running)
    finished = af.State(parent=running, final=True)  # final within `running` only: the machine can wash again
    where_it_was = af.History(running)  # a target: the state of `running` that was active last

    fault = af.State()

    def __init__(self) -> None:
        super().__init__()
        self.litres = 0.0
        self.door_locked = False
        self.reason = ""

    def is_full(self, litres: float) -> bool:
        return litres >= FULL

    @off.to(running)
    def switch_on(self) -> None: ...

    # `filling` is within `running`, so its rule is tried first; the rule of `running` serves the other states too.

    @filling.to(washing, when=is_full)
    @running.stay
    def level(self, litres: float) -> None:
        self.litres = litres
        self.start_timer("watchdog", SILENCE, self.sensor_silent)  # a timer of that name is replaced

    # Timeouts of a state: leaving the state cancels them.

    @filling.after(180, fault)
    def tap_closed(self) -> None:
        self.reason = "no water"

    @washing.after(1800, spinning)
    def drain(self) -> None:
        self.litres = 0.0

    @spinning.after(300, finished)
    def stop_drum(self) -> None: ...

    # A final state within `running` is an event: it is done.

    @running.to(off, event="done.state.running")
    def finish(self) -> None: ...

    # Hooks of `running` run however it is entered and left, so no fault leaves the door locked or a timer behind.

    @running.enter
    def secure(self) -> None:
        self.door_locked = True
        self.start_timer("watchdog", SILENCE, self.sensor_silent)

    @running.exit
    def release(self) -> None:
        self.door_locked = False
        self.cancel_timer("watchdog")

    # Faults, and the way back. The timeout of the state that it comes back to begins anew.

    @running.to(fault)
    def sensor_silent(self) -> None:
        self.reason = "the sensor is silent"

    @fault.to(where_it_was)
    def resume(self) -> None:
        self.reason = ""

    @fault.to(off)
    def switch_off(self) -> None: ...


def show(record: Record) -> None:
    """Print what changes the state; the sensor's news are many."""
    if record.source != record.target:
        print(f"{record.event:>20}: {record.source} -> {record.target}")


def main() -> None:
    """Wash once, with a sensor that falls silent in the middle."""
    with VirtualSystem("kitchen") as system:
        washer = system.spawn(Washer)
        washer.subscribe(show)

        def sense(litres: float, seconds: float) -> None:
            for _ in range(int(seconds / 10)):
                washer.cast(Washer.level, litres)
                system.sleep(10)

        washer.call(Washer.switch_on).get()
        sense(5.0, seconds=60)
        sense(FULL, seconds=600)
        system.sleep(SILENCE)  # a cable is loose
        print(f"{'':>20}  {washer.proxy().reason.get()}")
        washer.call(Washer.resume).get()
        sense(FULL, seconds=1800)
        sense(0.0, seconds=290)
        system.sleep(20)
        print(f"{'':>20}  it is {washer.state}")


if __name__ == "__main__":
    main()
