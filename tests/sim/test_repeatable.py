"""Promises: a run is repeatable; what makes it not so is named: a step, a check, a name of a module, an argument."""

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest

import actorflow as af
from actorflow.sim import Link, Simulation, SimulationFailure, buggify, simulate, verify
from actorflow.sim.search.module_state import changed, look
from actorflow.sim.search.outcome import run_once
from actorflow.sim.search.tally import TALLY
from actorflow.testing import LeakCheck
from tests.sim import everything, leaks


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


class Box(af.Actor):
    """Keeps what it gets."""

    def __init__(self, shelf=None):
        super().__init__()
        self.shelf = {} if shelf is None else shelf
        self.rare = []

    def put(self, key):
        self.shelf[key] = 1
        return sorted(self.shelf)

    def look(self):
        self.rare.append(buggify(0.5))
        return self.rare


APP = af.App("demo").add(af.child(Box).options(name="box"), af.child(Box).options(name="other"))
PASSED = itertools.count()


def calls(sim, *keys):
    box = sim.start(APP).find("/demo/box", Box)
    for key in keys:
        box.cast(Box.put, key)
    return box


@af.task(cpu=True, name="repeatable.compute")
def compute(n):
    return n


def test_the_steps_of_a_seed_are_those_of_each_machine_however_many_cores_it_has(monkeypatch):
    def digest(cores):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        with Simulation(seed=3) as sim:
            system = sim.start(everything.app_of().add(compute).queue("heavy", workers=9), nodes=2)
            load = everything.Load(sim)
            load.declare(3)
            load.begin_at(1.5, everything.flow, 1)
            sim.cost(compute, 2.0)
            for n in range(9):
                sim.at(1).call(lambda n=n: system.queue("heavy").enqueue(compute, n))
            return sim.run(until=20).digest

    assert len({digest(cores) for cores in (1, 2, 7, 64)}) == 1


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_run_that_is_repeatable_is_verified():
    def body(sim):
        calls(sim, "a", "b")
        sim.network(Link(latency=(0, 1)))
        sim.run(until=3)

    verify(body, 5)


def test_the_first_step_that_differs_is_named():
    def body(sim):
        calls(sim, "same", f"other {next(PASSED)}", "last")
        sim.run(until=1)

    with pytest.raises(
        SimulationFailure, match=r"step \d+ was .*other.* in /demo/box at 0 s at first, and .*other"
    ) as caught:
        verify(body, 0)
    assert caught.value.property == "the same seed takes the same steps"
    assert caught.value.seed == 0


def test_a_step_that_is_not_taken_again_is_named():
    def body(sim):
        calls(sim, *range(next(PASSED) % 2 + 1))
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="not taken"):
        verify(body, 0)


def test_a_check_that_changes_the_run_is_found():
    def body(sim):
        box, seen = calls(sim, "a", "b"), []
        sim.always(lambda: seen.append("seen") is None)
        sim.at(0.5).call(lambda: [box.cast(Box.put, one) for one in seen[:1]])
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="a check changes nothing"):
        verify(body, 0)


def test_a_failing_run_is_verified_too():
    def body(sim):
        box = calls(sim, "a")
        sim.always(lambda: not sim.peek(box).shelf, "empty")
        sim.run(until=1)

    verify(body, 0)


PROGRAM = """
import sys
from actorflow.sim import Simulation
from tests.sim.test_repeatable import mixed
print([mixed(seed) for seed in range(3)])
"""


def mixed(seed):
    """Return the digest of a run that has clocks, random numbers, sleeps, locks, crashes and skews in it."""
    app = af.App("demo").add(*(af.child(Mixed).options(name=name) for name in "abc"))
    with Simulation(seed) as sim:
        system = sim.start(app, nodes=2)
        sim.network(Link(latency=(0.001, 0.5)))
        refs = [system.find(f"/demo/{name}", Mixed) for name in "abc"]
        for i in range(9):
            sim.at(i * 0.2).call(lambda i=i: refs[i % 3].cast(Mixed.go, refs[(i + 1) % 3]))
        sim.at(0.5).crash(refs[0], down=0.3).clock_skew(refs[1], 7)
        return sim.run(until=20).digest


class Mixed(af.Actor):
    """Does a bit of all."""

    def go(self, other):
        import random
        import threading
        import time
        import uuid

        with threading.Lock():
            time.sleep(random.random() + time.time() % 1 + uuid.uuid4().int % 1000 / 1000)
        other.cast(Mixed.note, uuid.uuid1().hex)

    async def note(self, text):
        await af.timer(int(text, 16) % 7 / 10)


def test_the_same_seed_takes_the_same_steps_in_three_processes():
    def digests(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert {digests(1), digests(2), digests(3)} == {str([mixed(seed) for seed in range(3)])}


# --- state of modules -------------------------------------------------------------------------------------------------


def test_a_name_of_a_module_by_which_nodes_work_together_is_told_though_all_runs_pass(monkeypatch):
    monkeypatch.setattr(TALLY, "shared", set())
    leaks.SEEN.clear()
    leaks.pays_once_though_it_is_asked_twice()
    assert "tests.sim.leaks.SEEN" in TALLY.shared
    assert "tests.sim.leaks.UNCHANGED" not in TALLY.shared
    assert "all simulated hosts and nodes share" in TALLY.warning()
    assert "tests.sim.leaks.SEEN" in TALLY.warning()
    for left in (leaks.SEEN, leaks.Payments.latest):
        left.clear()
    leaks.price.cache_clear()


@af.event(key="order")
@dataclass(frozen=True)
class Ordered:
    """Something happens."""

    order: str


def test_what_the_runtime_notes_at_a_class_is_not_told(monkeypatch):
    monkeypatch.setattr(TALLY, "shared", set())

    class Payments(af.Service):
        """Its table of handlers is made as it is first needed."""

        @af.on(Ordered)
        def pay(self, event: Ordered) -> None:
            type(self).latest = event.order

    Payments.__module__ = __name__
    monkeypatch.setattr(sys.modules[__name__], "Payments", Payments, raising=False)
    Payments.latest = ""
    before = len(Payments._plain_handlers)

    @simulate(runs=2, tapes=None)
    def body(sim):
        system = sim.start(af.App("demo").add(Payments))
        sim.at(1).call(lambda: system.publish(Ordered("o1")))
        sim.run(until=2)

    body()
    assert len(Payments._plain_handlers) > before
    own = {name for name in TALLY.shared if name.startswith(__name__)}  # a strained run counts its lines
    assert own == {f"{__name__}.Payments.latest"}


def test_a_failure_of_what_earlier_seeds_left_names_it():
    leaks.SEEN.clear()
    with pytest.raises(SimulationFailure) as caught:
        leaks.pays_each_order()
    text = str(caught.value)
    assert "in a fresh process this seed does not fail" in text
    for name in ("SEEN", "COUNT", "price", "Payments.latest"):
        assert f"tests.sim.leaks.{name}" in text
    assert "UNCHANGED" not in text


def test_a_failure_of_its_own_blames_nobody():
    with pytest.raises(SimulationFailure) as caught:
        leaks.fails_anyway()
    assert "fresh process" not in str(caught.value)


def test_a_look_at_modules_calls_no_code_of_theirs(monkeypatch):
    class Evil:
        def __getattribute__(self, name):
            raise SystemExit(name)

        __eq__ = __repr__ = __hash__ = __len__ = __iter__ = None

    class EvilDict(dict):
        def __iter__(self):
            raise SystemExit

        values = __len__ = __iter__

    class Nameless(type):
        @property
        def __module__(cls):
            raise SystemExit

        __eq__ = __repr__ = __hash__ = __dir__ = None

    class EvilClass(metaclass=Nameless):
        __module__ = "tests.sim.leaks"
        _kept: ClassVar = [1]

    monkeypatch.setattr(leaks, "EVIL_CLASS", EvilClass, raising=False)
    monkeypatch.setattr(leaks, "EVIL", Evil(), raising=False)
    monkeypatch.setattr(leaks, "EVILS", [Evil(), EvilDict()], raising=False)
    monkeypatch.setattr(leaks, "EVIL_DICT", EvilDict(), raising=False)

    def of_leaks() -> list[str]:  # others may change meanwhile: a strained run counts its lines
        return [name for name in changed(before, look()) if name.startswith("tests.sim.leaks.")]

    before = look()
    assert of_leaks() == []
    leaks.EVILS.append(3)
    EvilClass._kept.append(2)
    assert of_leaks() == ["tests.sim.leaks.EVILS", "tests.sim.leaks.EVIL_CLASS._kept"]


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hosts", ["each", "one"])
def test_arguments_of_children_are_copied_for_each_node_and_start(hosts):
    shelf = {}
    app = af.App("demo").add(af.child(Box, shelf).options(name="box"))
    for seed in range(2):
        with Simulation(seed) as sim:
            sim.start(app, nodes=2, hosts=hosts)
            boxes = [node.system.find("/demo/box", Box) for node in sim.nodes]
            assert [box.call(Box.put, box._scheduler.number).get() for box in boxes] == [[0], [1]]
            sim.at(0).crash(boxes[0] if hosts == "each" else sim.nodes[0])
            sim.run(until=1)
            assert sim.nodes[0].system.find("/demo/box", Box).call(Box.put, "new").get() == ["new"]
    assert shelf == {}


def test_arguments_that_do_not_pickle_are_shared():
    app = af.App("demo").add(af.child(Box, {"a": sys._getframe()}).options(name="box"))
    with Simulation(1) as sim:
        assert sim.start(app).find("/demo/box", Box).call(Box.put, "b").get() == ["a", "b"]


class Parent(af.Actor):
    """Shares a dict with its child, which is in the same process."""

    def begin(self):
        shelf = {}
        self.ctx.spawn(Box, shelf).call(Box.put, "from the child").get()
        return sorted(shelf)


def test_arguments_of_a_child_in_the_same_process_are_shared():
    app = af.App("demo").add(af.child(Parent).options(name="parent"))
    with Simulation(1) as sim:
        assert sim.start(app).find("/demo/parent", Parent).call(Parent.begin).get() == ["from the child"]


# --- buggify ----------------------------------------------------------------------------------------------------------


def test_buggify_is_false_outside_of_a_simulation():
    assert not any(buggify(1) for _ in range(100))
    with Simulation(1) as sim:
        sim.start(APP)
        assert not buggify(1)  # the test's own thread
    with pytest.raises(af.DefinitionError, match="probability"):
        buggify(2)


def looks(seed, tape=None):
    with Simulation(seed, tape=tape) as sim:
        system = sim.start(APP)
        box, other = system.find("/demo/box", Box), system.find("/demo/other", Box)
        for _ in range(20):
            other.call(Box.look).get()
            rare = box.call(Box.look).get()
        return rare, sim.chooser.tape()


def test_buggify_is_a_choice_of_the_seed_that_a_tape_repeats():
    rare, tape = looks(3)
    assert {True, False} == set(rare)
    assert looks(3)[0] == rare
    assert looks(4)[0] != rare
    assert looks(0, tape)[0] == rare
    assert not any(looks(3, tape.only(()))[0])  # a failure that does not need it is shown without it
    assert any(name.startswith("buggify Box.look:") and "/demo/box" in name for name in tape.choices)


def test_buggify_rests_while_what_is_to_come_is_waited_for():
    def body(sim):
        box = sim.start(APP).find("/demo/box", Box)
        sim.run(until=1)
        sim.world.calm()
        assert not any(box.call(Box.look).get())

    assert run_once(body, 3).failure is None


def test_a_bug_behind_a_buggify_is_found():
    @simulate(runs=30, tapes=None)
    def test(sim):
        box = sim.start(APP).find("/demo/box", Box)
        box.cast(Box.look)
        sim.always(lambda: True not in sim.peek(box).rare, "nothing rare")
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="nothing rare"):
        test()


# --- causes -----------------------------------------------------------------------------------------------------------


class Courier(af.Actor):
    """Sends to another host: at once, or later, as it is asked to."""

    opened = False

    def at_once(self, to):
        to.tell("x")

    def after_unstash(self, to):
        if not self.opened:
            self.ctx.stash()
        else:
            to.tell("x")

    def open(self):
        self.opened = True
        self.ctx.unstash()

    async def after_a_wait(self, to):
        await af.timer(0.1)
        to.tell("x")

    async def after_promise(self, to):
        reply = self.ctx.reply_later()
        await af.timer(0.1)
        to.tell("x")
        reply.set(None)


@pytest.mark.parametrize("how", ["at_once", "after_unstash", "after_a_wait", "after_promise"])
def test_the_choices_of_a_message_are_named_by_the_client_event_that_its_sender_handles(how):
    with Simulation(2) as sim:
        app = af.App("demo").add(af.child(Courier).options(name="courier"), af.child(Box).options(name="box"))
        system = sim.start(app)
        sim.network(Link(latency=(0, 1)))
        courier, box = system.find("/demo/courier", Courier), system.find("/demo/box", Box)
        courier.cast(getattr(Courier, how), box)
        sim.run(until=1)
        courier.cast(Courier.open)
        sim.run(until=5)
        named = [name for name in sim.world.chooser.taken if "courier" in name and "box" in name]
        assert named
        assert all(name.endswith(" of event 1") for name in named), named
