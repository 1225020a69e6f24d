"""Promises: a live system pays nothing for simulations."""

import dataclasses
import gc
import subprocess
import sys
import threading
from pathlib import Path

import actorflow as af
from actorflow.core.drivers import virtual
from actorflow.sim import Simulation

PACKAGE = Path(af.__file__).parent
OF_SIMULATIONS = (
    str(PACKAGE / "sim"),
    *(str(PACKAGE / "core" / "drivers" / name) for name in ("virtual", "world", "parked", "watchdog", "collector")),
)


class Live(af.Actor):
    """Does what actors do."""

    def begin(self, other):
        other.tell(1)
        assert other.ask(2) == 2
        self.ctx.after(0.001, self.note)
        self.ctx.sleep(0.002)
        self.ctx.spawn(Other).ask(3)

    def note(self):
        pass


class Other(af.Actor):
    def on_receive(self, message):
        return message


@dataclasses.dataclass
class Numbers:
    numbers: list[int] = dataclasses.field(default_factory=list)


class Stored(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = Numbers()

    def put(self, number):
        self.state.numbers.append(number)
        return len(self.state.numbers)


@af.task(name="live.work")
def work():
    return 1


def use_a_live_system():
    """Have actors, timers, a store, an event and a job."""
    with af.ActorSystem("live", store="memory:") as system:
        other = system.spawn(Other)
        system.spawn(Live).call(Live.begin, other).get(timeout=100)
        system.spawn(af.child(Stored).options(name="stored"))
        assert system.durable("stored", Stored).call(Stored.put, 1).get(timeout=100) == 1
        assert system.queue("jobs", workers=1).enqueue(work).result(timeout=100) == 1


def calls_of_simulations(act):
    """Return the functions of the simulation that are called meanwhile, in any thread."""
    found = set()

    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(OF_SIMULATIONS):
            found.add(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")

    for _ in range(3):  # what earlier runs have left has finalisers, and these have more to leave
        gc.collect()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def test_a_live_system_calls_nothing_of_simulations_not_even_after_one():
    with Simulation(1) as sim:
        sim.start(af.App("x").add(af.child(Other).options(name="other")))
        sim.run(until=1)
    assert calls_of_simulations(use_a_live_system) == set()


def test_calls_of_a_simulation_would_be_seen():
    def simulate():
        with Simulation(1) as sim:
            sim.start(af.App("x").add(af.child(Other).options(name="other"))).find("/x/other").ask(1)

    files = {call.rpartition(":")[0] for call in calls_of_simulations(simulate)}
    assert virtual.__file__ in files
    assert any(file.startswith(str(PACKAGE / "sim")) for file in files)


def test_a_live_program_does_not_import_the_simulation():
    program = (
        "import actorflow as af, sys\n"
        "with af.ActorSystem('live', store='memory:') as system:\n"
        "    class Other(af.Actor): pass\n"
        "    system.spawn(Other)\n"
        "names = ('actorflow.sim', 'actorflow.core.drivers.virtual')\n"
        "print([name for name in sys.modules if name.startswith(names)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
