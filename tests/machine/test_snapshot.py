"""A snapshot is all that a machine is: restored at any step of a walk, it has the same future as without."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.machine.running.platform import Alone

# --- machines to walk through ----------------------------------------------------------------------------------------


class Jobs(af.StateMachine):
    """Flat: deferred events, state timeouts and named timers."""

    idle, working, tired, gone = af.State(initial=True), af.State(), af.State(), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.done = 0

    @idle.to(working)
    @(working | tired).defer
    def job(self, number: int = 1) -> None:
        self.done += number

    @working.after(10, idle)
    def finish(self) -> None:
        self.log.append(f"finish {self.done}")

    @working.to(tired, when=lambda self: self.done > 3)
    def rest(self) -> None:
        self.start_timer("nap", 7, self.wake, "timer")

    @tired.to(idle)
    def wake(self, by: str = "hand") -> None:
        self.log.append(f"woken by {by}")
        self.done = 0

    @(idle | working | tired).stay
    def remind(self, seconds: int = 5) -> None:
        self.start_timer("reminder", seconds, self.ring)

    @(idle | working).stay
    def ring(self) -> None:
        self.log.append(f"ring in {self.state}")
        self.cancel_timer("nap")

    @tired.to(gone, when=lambda self: len(self.log) > 8)
    def quit(self) -> None: ...

    @working.enter
    def begin(self) -> None:
        self.log.append("begin")


class Nest(af.StateMachine):
    """Nested: shallow and deep history, eventless transitions, internal and done events, timeouts outside and in."""

    out, box, end = af.State(initial=True), af.State(), af.State(final=True)
    left, right = af.State(parent=box, initial=True), af.State(parent=box)
    l1, l2 = af.State(parent=left, initial=True), af.State(parent=left)
    r1, r2, r3 = af.State(parent=right, initial=True), af.State(parent=right), af.State(parent=right, final=True)
    shallow, deep = af.History(box), af.History(box, deep=True)

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.laps = 0

    @out.to(box)
    def open(self) -> None: ...

    @out.to(shallow)
    def back(self) -> None: ...

    @out.to(deep)
    def resume(self) -> None: ...

    @box.to(out)
    def close(self) -> None:
        self.laps += 1

    @box.after(30, out)
    def bored(self) -> None:
        self.log.append("bored")

    @l1.to(l2)
    @l2.to(l1)
    @r1.to(r2)
    @r2.to(r3)
    def step(self) -> None:
        self.log.append(f"step from {self.state}")

    @l2.after(8, r2)
    def slip(self) -> None: ...

    @left.to(right)
    def cross(self) -> None:
        self.raise_event(Nest.step)

    @right.to(left, event="done.state.right")
    def again(self, _data: object = None) -> None:
        self.log.append("again")

    @l1.always(l2, when=lambda self: self.laps % 3 == 2)
    def hurry(self) -> None:
        self.laps += 1

    @out.to(end, when=lambda self: self.laps > 6)
    def stop_it(self) -> None: ...


class Player(af.StateMachine):
    """Parallel regions: deep history over them, timers in each, deferred events, In."""

    off, on = af.State(initial=True), af.State(parallel=True)
    tape, sound = af.State(parent=on), af.State(parent=on)
    stopped, playing, over = af.State(parent=tape, initial=True), af.State(parent=tape), af.State(parent=tape)
    loud, muted = af.State(parent=sound, initial=True), af.State(parent=sound)
    was = af.History(on, deep=True)

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []
        self.places: dict[str, int] = {"tape": 0}

    @off.to(was)
    @on.to(off)
    def power(self) -> None: ...

    @on.to(on)
    def reset(self) -> None: ...

    @stopped.to(playing)
    def play(self) -> None: ...

    @playing.after(20, over)
    def ends(self) -> None:
        self.places["tape"] += 20

    @over.after(5, stopped)
    def rewind(self) -> None:
        self.log.append(["rewound", self.places["tape"]])

    @loud.to(muted)
    @muted.to(loud, when=lambda self: "playing" in self.configuration)
    def mute(self) -> None: ...

    @muted.after(12, loud)
    def unmute(self) -> None: ...

    @playing.defer
    @stopped.stay
    @over.stay
    def eject(self, times: int = 1) -> None:
        self.log.append(["ejected", times])

    @stopped.to(playing)
    @loud.to(muted)
    def both(self) -> None: ...


MACHINES = (Jobs, Nest, Player)


class Clock(Alone):
    """Time that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


class Walk:
    """A machine on a clock of its own, and a trace of what it did."""

    def __init__(self, machine: af.Interpreter, clock: Clock) -> None:
        self.machine, self.clock = machine, clock
        self.trace: list[Any] = []

    @classmethod
    def start(cls, kind: type[af.StateMachine]) -> Walk:
        clock = Clock()
        return cls(af.Interpreter(kind.chart, kind(), platform=clock), clock)

    def restored(self, *, later: float = 0.0) -> Walk:
        """Go through a snapshot as JSON."""
        snap = json.loads(json.dumps(self.snapshot()))
        model = type(self.machine.model)()
        clock = Clock(self.clock.now + later)
        model._interpreter = None
        machine = af.Interpreter.restore(self.machine.chart, snap, model, platform=clock)
        vars(model).update(snap["data"])
        model._interpreter = machine
        return Walk(machine, clock)

    def snapshot(self) -> dict[str, Any]:
        self.machine.model._interpreter = self.machine
        return self.machine.model.snapshot()

    def take(self, step: Any) -> None:
        self.machine.model._interpreter = self.machine
        try:
            outcome = self.machine.send(step) if isinstance(step, str) else self.wait(step)
        except af.TransitionRefused as refused:
            outcome = str(refused)
        self.trace.append((step, outcome, self.snapshot()))

    def wait(self, seconds: int) -> None:
        until = self.clock.now + seconds
        while self.machine.due is not None and self.machine.due <= until:
            self.clock.now = max(self.clock.now, self.machine.due)
            self.machine.advance()
        self.clock.now = until


def events_of(kind: type[af.StateMachine]) -> list[str]:
    return sorted(event for event in kind.chart.events if not event.startswith("done."))


walks = st.sampled_from(MACHINES).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.lists(st.sampled_from([*events_of(kind), *events_of(kind), 1, 4, 9, 25]), max_size=14)
    )
)


@settings(max_examples=120, deadline=None)
@given(walks)
def test_restore_at_every_step_of_a_walk_has_the_same_future_as_no_restore(walk):
    kind, steps = walk
    plain = Walk.start(kind)
    restored: list[Walk] = [plain.restored()]
    for step in steps:
        for one in (plain, *restored):
            one.take(step)
        restored.append(plain.restored())
    for place, one in enumerate(restored):
        assert one.trace == plain.trace[place:], f"restored before step {place}"


@settings(max_examples=60, deadline=None)
@given(walks)
def test_restore_after_restore_has_the_same_future_as_no_restore(walk):
    kind, steps = walk
    plain = again = Walk.start(kind)
    again = plain.restored()
    for step in steps:
        plain.take(step)
        again.take(step)
        assert again.trace[-1] == plain.trace[-1]
        again = again.restored()


@settings(max_examples=60, deadline=None)
@given(walks)
def test_a_pickled_interpreter_has_the_same_future(walk):
    kind, steps = walk
    plain = Walk.start(kind)
    for step in steps[: len(steps) // 2]:
        plain.take(step)
    for dumps in (pickle.dumps, cloudpickle.dumps):
        machine = pickle.loads(dumps(plain.machine))
        assert machine.model._interpreter is machine
        machine._platform = clock = Clock(plain.clock.now)
        copy = Walk(machine, clock)
        assert copy.snapshot() == plain.snapshot()
    plain.trace.clear()
    for step in steps[len(steps) // 2 :]:
        plain.take(step)
        copy.take(step)
    assert copy.trace == plain.trace


def test_the_walks_come_to_histories_timers_and_deferred_events():
    """The machines above are of use only if a walk has all of these at once."""
    jobs = Walk.start(Jobs)
    for step in ("job", 4, "job", "job", "remind"):
        jobs.take(step)
    snap = jobs.snapshot()
    assert [len(snap[key]) for key in ("timers", "deferred", "history")] == [2, 2, 2]
    nest = Walk.start(Nest)
    for step in ("open", "step", "close", "resume"):
        nest.take(step)
    snap = nest.snapshot()
    assert snap["remembered"] == {"shallow": ["left"], "deep": ["l2"]}
    assert snap["configuration"] == ["box", "left", "l2"]
    player = Walk.start(Player)
    for step in ("power", "both", "eject", "power", "power"):
        player.take(step)
    snap = player.snapshot()
    assert snap["remembered"] == {"was": ["playing", "muted"]}
    assert len(snap["timers"]) == 2
    assert "playing" in snap["configuration"]


# --- as actors -------------------------------------------------------------------------------------------------------


def test_timers_of_a_restored_actor_keep_their_deadlines(virtual_system):
    jobs = virtual_system.spawn(Jobs)
    jobs.call(Jobs.job).get()
    virtual_system.sleep(6)
    snap = json.loads(json.dumps(jobs.call(Jobs.snapshot).get()))
    restored = virtual_system.spawn(Jobs.restore, snap)
    late = virtual_system.spawn(af.child(Jobs.restore, snap).options(name="late"))
    assert restored.state == "working"
    virtual_system.sleep(3)
    assert restored.state == "working"
    virtual_system.sleep(2)
    assert [ref.state for ref in (jobs, restored, late)] == ["idle", "idle", "idle"]
    overdue = virtual_system.spawn(Jobs.restore, snap)
    virtual_system.sleep(0)
    assert overdue.state == "idle"  # what came due meanwhile fires at once


def test_deferred_events_of_a_restored_actor_are_handled_and_their_errors_are_crashes(virtual_system, probe):
    class Failing(Jobs):
        def job(self, number: int = 1) -> None:
            if number < 0:
                raise ValueError("negative")
            super().job(number)

    virtual_system.subscribe(af.Stopped, probe.ref)
    jobs = virtual_system.spawn(Failing)
    jobs.call(Jobs.job, 1).get()
    jobs.call(Jobs.job, -1)
    snap = jobs.call(Jobs.snapshot).get()
    jobs.stop()
    probe.expect(af.Stopped)
    restored = virtual_system.spawn(Failing.restore, snap)
    virtual_system.sleep(11)
    stopped = probe.expect(af.Stopped)
    assert (stopped.ref, str(stopped.reason)) == (restored, "negative")


def test_no_hook_runs_again_at_a_restore_and_on_restore_sets_what_is_left_out(any_system):
    class Hooked(af.StateMachine):
        a, b = af.State(initial=True), af.State()

        def __init__(self) -> None:
            super().__init__()
            self.log = ["init"]
            self._handle = object()

        def on_start(self) -> None:
            self.log.append("start")

        def on_restore(self) -> None:
            self.log.append("restore")
            self._handle = "set again"

        @a.enter
        def arrive(self) -> None:
            self.log.append("+a")

        @a.exit
        def leave(self) -> None:
            self.log.append("-a")

        @b.enter
        def reach(self) -> None:
            self.log.append("+b")

        @a.to(b)
        def go(self) -> None: ...

        @b.to(a)
        def back(self) -> None: ...

        def handle(self) -> object:
            return self._handle

    ref = any_system.spawn(Hooked)
    ref.call(Hooked.go).get()
    snap = ref.call(Hooked.snapshot).get()
    assert snap["data"] == {"log": ["init", "start", "+a", "-a", "+b"]}
    restored = any_system.spawn(Hooked.restore, snap)
    assert restored.call(Hooked.handle).get() == "set again"
    assert restored.proxy().log.get() == [*snap["data"]["log"], "restore", "start"]
    restored.call(Hooked.back).get()
    assert restored.state == "a"


def test_a_snapshot_shares_nothing_with_its_machine(any_system):
    jobs = any_system.spawn(Jobs)
    snap = jobs.call(Jobs.snapshot).get()
    before = json.dumps(snap)
    first, second = any_system.spawn(Jobs.restore, snap), any_system.spawn(Jobs.restore, snap)
    for ref in (jobs, first):
        ref.call(Jobs.job).get()
        assert ref.proxy().log.get() == ["begin"]
    assert json.dumps(snap) == before
    assert second.proxy().log.get() == []


def test_a_restored_machine_is_restored_again_after_a_crash(virtual_system):
    class Crashing(Jobs):
        @Jobs.working.stay
        def crash(self) -> None:
            raise ValueError("crash")

    jobs = virtual_system.spawn(Crashing)
    jobs.call(Jobs.job).get()
    snap = jobs.call(Jobs.snapshot).get()
    child = af.child(Crashing.restore, snap).options(name="j", restart="permanent")
    virtual_system.spawn(af.child(af.Supervisor, child).options(name="top"))
    ref = virtual_system.find("/test/top/j", Crashing)
    ref.cast(Crashing.crash)
    assert ref.state == "working"
    virtual_system.sleep(11)
    assert ref.state == "idle"


def test_an_invoked_child_of_a_restored_machine_is_started_anew(virtual_system):
    class Parent(af.StateMachine):
        idle, busy = af.State(initial=True), af.State()

        @idle.to(busy)
        def go(self) -> None: ...

        @busy.invoke(Jobs)
        @busy.to(idle)
        def child(self, result: object) -> None: ...

    parent = virtual_system.spawn(Parent)
    parent.call(Parent.go).get()
    snap = parent.call(Parent.snapshot).get()
    restored = virtual_system.spawn(Parent.restore, snap)
    assert restored.state == "busy"
    assert len(list(restored._children.members)) == 1


# --- what a snapshot is ----------------------------------------------------------------------------------------------


def test_a_snapshot_is_builtins_and_goes_through_json():
    walk = Walk.start(Player)
    for step in ("power", "both", "eject", 3):
        walk.take(step)
    snap = walk.snapshot()
    assert json.loads(json.dumps(snap)) == snap
    assert set(snap) == {"machine", "version", "configuration", "remembered", "timers", "deferred", "history", "data"}


class Number(int):
    """No builtin, though it looks like one."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "Jobs.extra is object"),
        ([1, {"deep": {1, 2}, "x": [object()]}], r"Jobs.extra\['x'\] is object"),
        (Number(3), "Jobs.extra is Number"),
        ({Number(3): 1}, "Jobs.extra is Number"),
        (lambda: None, "Jobs.extra is function"),
        (range(3), "Jobs.extra is range"),
    ],
)
def test_an_attribute_that_is_no_plain_data_is_an_error_that_names_it(any_system, value, text):
    class Extra(Jobs):
        def set(self, value: object) -> None:
            self.extra = value

    Extra.__name__ = "Jobs"
    jobs = any_system.spawn(Extra)
    jobs.call(Extra.set, value).get()
    with pytest.raises(af.PayloadError, match=f"{text}, and a snapshot holds builtins only"):
        jobs.call(Jobs.snapshot).get()


def test_an_attribute_that_contains_itself_is_an_error(any_system):
    class Loop(Jobs):
        def tie(self) -> None:
            self.loop: list[Any] = []
            self.loop.append(self.loop)

    jobs = any_system.spawn(Loop)
    jobs.call(Loop.tie).get()
    with pytest.raises(af.PayloadError, match=r"Loop.loop contains itself, or is nested too deep"):
        jobs.call(Jobs.snapshot).get()


def test_arguments_of_what_waits_must_be_builtins_and_those_of_the_history_are_shown():
    class Any_(Jobs):
        def job(self, number: Any = 1) -> None: ...

    machine = af.Interpreter(Any_.chart, Any_())
    machine.send("job", Number(5))
    assert machine.snapshot()["history"][0][3] == ["5"]
    machine.send("job", object())
    with pytest.raises(af.PayloadError, match="an argument of the deferred event 'job' is object"):
        machine.snapshot()


def test_a_snapshot_in_the_middle_of_an_event_is_refused(any_system):
    class Early(Jobs):
        @Jobs.idle.stay
        def look(self) -> None:
            self.snapshot()

    with pytest.raises(af.DefinitionError, match="in the middle of an event: take it between two"):
        any_system.spawn(Early).call(Early.look).get()


# --- versions and bad snapshots --------------------------------------------------------------------------------------


def test_a_snapshot_of_an_older_version_is_refused_or_migrated(any_system):
    class Newer(Jobs, version=2): ...

    class Migrating(Jobs, version=2):
        @classmethod
        def migrate(cls, snap: dict[str, Any], /) -> dict[str, Any]:
            data = {**snap["data"], "done": snap["data"]["done"] + 100}
            return {**snap, "version": 2, "data": data}

    jobs = any_system.spawn(Jobs)
    jobs.call(Jobs.job).get()
    snap = jobs.call(Jobs.snapshot).get()
    with pytest.raises(af.DefinitionError, match="a snapshot of version 1 for 'Newer' of version 2: declare `migrate"):
        any_system.spawn(Newer.restore, snap)
    migrated = any_system.spawn(Migrating.restore, snap)
    assert (migrated.state, migrated.proxy().done.get()) == ("working", 101)
    assert migrated.call(Jobs.snapshot).get()["version"] == 2
    with pytest.raises(af.DefinitionError, match="of version 1"):
        af.Interpreter.restore(Newer.chart, snap, Newer())


def changed(**changes: Any) -> dict[str, Any]:
    walk = Walk.start(Player)
    for step in ("power", "both", "eject", "power", "power"):
        walk.take(step)
    return {**walk.snapshot(), **changes}


@pytest.mark.parametrize(
    ("snap", "text"),
    [
        (None, "no snapshot of a machine, but NoneType"),
        ([], "no snapshot of a machine, but list"),
        ({}, "no snapshot of a machine: it has no configuration"),
        ({"version": 1}, "it has no configuration, deferred, history, machine, remembered, timers"),
        (changed(configuration=[]), r"\[\] cannot be active together"),
        (changed(configuration=["off", "on"]), "cannot be active together"),
        (changed(configuration=["on"]), "cannot be active together"),
        (changed(configuration=["nowhere"]), "it names 'nowhere'"),
        (changed(configuration=[""]), "it names ''"),
        (changed(configuration=None), "no snapshot of 'Player': TypeError"),
        (changed(configuration=[["off"]]), "no snapshot of 'Player': TypeError"),
        (changed(remembered={"off": ["on"]}), "'off' is no history"),
        (changed(remembered={"was": ["lost"]}), "it names 'lost'"),
        (changed(remembered=[]), "no snapshot of 'Player': AttributeError"),
        (changed(timers=[{}]), "no snapshot of 'Player': KeyError"),
        (
            changed(timers=[{"name": None, "state": "muted", "place": 0, "due": 1, "event": None}]),
            "which is no timeout",
        ),
        (
            changed(timers=[{"name": None, "state": "muted", "place": 9, "due": 1, "event": None}]),
            "which is no timeout",
        ),
        (changed(timers=[{"name": None, "state": "over", "place": 0, "due": 1, "event": None}]), "which is no timeout"),
        (changed(timers=[{"name": "t", "state": None, "place": None, "due": "x", "event": None}]), "ValueError"),
        *(
            (changed(timers=[{"name": "t", "state": None, "place": None, "due": due, "event": None}]), text)
            for due, text in ((math.inf, "never comes"), (math.nan, "never comes"), (10**400, "OverflowError"))
        ),
        (changed(deferred=[3]), "TypeError"),
        (changed(deferred=[{"name": "eject"}]), "KeyError"),
        (changed(history=[[1, 2]]), "ValueError"),
        (changed(history=5), "TypeError"),
        (changed(data=[]), "has its attributes as a dict by name"),
        (changed(data={"_interpreter": 1}), "none of which starts with '_'"),
        (changed(version="1"), "a snapshot of version 1 for 'Player'"),
    ],
)
def test_what_is_no_snapshot_of_the_machine_is_refused_with_the_reason(any_system, snap, text):
    with pytest.raises(af.DefinitionError, match=text):
        any_system.spawn(Player.restore, snap)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(changed())), JSON)
def test_any_damage_is_a_definition_error_or_a_machine(key, value):
    try:
        machine = af.Interpreter.restore(Player.chart, changed(**{key: value}), Player(), platform=Clock())
    except af.DefinitionError:
        return
    assert machine.state


# --- across processes ------------------------------------------------------------------------------------------------


def test_a_running_interpreter_of_a_class_in_main_crosses_to_a_process_and_goes_on(tmp_path):
    code = textwrap.dedent("""
        import pickle, sys, cloudpickle
        import actorflow as af

        class Nested(af.StateMachine):
            out, box = af.State(initial=True), af.State()
            a, b = af.State(parent=box, initial=True), af.State(parent=box)
            was = af.History(box)
            def __init__(self):
                super().__init__()
                self.log = []
            @out.to(was)
            @box.to(out)
            def power(self): ...
            @a.to(b)
            def step(self): self.log.append("step")
            @b.after(3600, a)
            def late(self): ...
            @b.defer
            @a.stay
            def job(self, n): self.log.append(n)
            @b.to(a)
            def back(self): ...

        machine = af.Interpreter(Nested.chart, Nested())
        for event in ("power", "step", "power", "power"):
            machine.send(event)
        machine.send("job", 7)
        with open(sys.argv[1], "wb") as file:
            file.write(cloudpickle.dumps(machine))
    """)
    script, packed = tmp_path / "made.py", tmp_path / "packed"
    script.write_text(code)
    subprocess.run([sys.executable, script, packed], check=True, timeout=60)
    machine = pickle.loads(packed.read_bytes())
    assert (machine.state, [event.name for event in machine.deferred], len(machine.timers)) == ("b", ["job"], 1)
    machine.send("back")
    assert (machine.state, machine.model.log, machine.timers) == ("a", ["step", 7], {})
    machine.send("power")
    machine.send("power")
    assert machine.state == "a"


def test_an_interpreter_is_not_pickled_in_the_middle_of_an_event():
    class Early(Jobs):
        @Jobs.idle.stay
        def look(self) -> None:
            pickle.dumps(self._interpreter)

    machine = af.Interpreter(Early.chart, Early())
    with pytest.raises(af.PayloadError, match="is handling an event: pickle it between two"):
        machine.send("look")


def test_a_machine_that_a_system_runs_is_not_pickled(any_system):
    class Sending(Jobs):
        @Jobs.idle.stay
        def look(self) -> None:
            pickle.dumps(self)

    with pytest.raises(TypeError, match="an actor cannot leave its process: send its ref"):
        any_system.spawn(Sending).call(Sending.look).get()
