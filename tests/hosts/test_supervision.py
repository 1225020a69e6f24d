"""Promises: a supervisor treats hosted children by the rules that hold for all."""

import os
import time

import pytest

import actorflow as af
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Gate, Notes, call, events, hosted, pid_of

pytestmark = pytest.mark.timeout(300)


class Relay(Fragile):
    """Asks another actor, and keeps what it is told."""

    def ask(self, other):
        return other.ask("?")


class NoRestart(Notes):
    """Starts once; `tries` counts the attempts to start it again."""

    def __init__(self, tries):
        super().__init__()
        tries.tell("try")
        if tries.ask("how many", timeout=LIMIT) > 1:
            raise LookupError("no second start")

    def fail(self):
        raise ValueError("boom")


class Tries(af.Actor):
    def __init__(self):
        super().__init__()
        self.tries = 0

    def on_receive(self, message):
        if message == "try":
            self.tries += 1
        return self.tries


class Slow(Fragile):
    """Waits in `on_start` for a gate, from its second incarnation on."""

    def __init__(self, witness, gate):
        super().__init__(witness)
        self.gate = gate

    def on_start(self):
        self.witness.tell(("starts", os.getpid()))
        self.gate.ask("in", timeout=LIMIT)


def tree(system, *children, **options):
    system.spawn(
        af.child(af.Supervisor, *children, **{"intensity": 5, "period": 600.0, **options}).options(name="tree")
    )
    return [system.find(f"/test/tree/{child.traits.options.name}", child.traits.actor_class) for child in children]


def boom(ref):
    ref.cast(Fragile.fail, ValueError("boom"))


def heard(probe, count):
    """Return the next news of starts and stops, without process ids."""
    return [probe.expect(within=LIMIT)[:2] for _ in range(count)]


@pytest.fixture
def permanent(system):
    """A hosted actor that is restarted when it crashes."""
    return system.spawn(hosted(Relay, name="x", restart="permanent"))


def test_a_crash_in_a_tell_restarts_and_keeps_ref_host_and_mailbox(system, permanent):
    pid = pid_of(permanent)
    gate = system.spawn(Gate)
    held = permanent.call(Relay.ask, gate)
    until(lambda: call(gate, Gate.arrived) == 1)
    permanent.tell("lost with the state")
    boom(permanent)
    for number in range(100):
        permanent.tell(number)
    late = permanent.call(Notes.read)
    call(gate, Gate.open)
    assert held.get(timeout=LIMIT) == "?"
    assert late.get(timeout=LIMIT) == list(range(100))
    assert pid_of(permanent) == pid
    assert permanent.is_alive()


def test_tells_of_a_sender_stay_in_order_over_a_restart(permanent):
    for number in range(1000):
        if number == 500:
            boom(permanent)
        permanent.tell(number)
    assert call(permanent, Notes.read) == list(range(500, 1000))


def test_hooks_run_as_in_one_process(system, probe):
    (ref,) = tree(system, hosted(Fragile, probe.ref, name="x"))
    assert heard(probe, 1) == [("up", "x")]
    boom(ref)
    assert heard(probe, 1) == [("up", "x")]
    ref.stop(timeout=LIMIT)
    assert heard(probe, 1) == [("down", "x")]


@pytest.mark.parametrize(
    ("restart", "how", "lives"),
    [
        ("permanent", "crash", True),
        ("permanent", "end", True),
        ("permanent", "kill", True),
        ("transient", "crash", True),
        ("transient", "end", False),
        ("transient", "kill", True),
        ("temporary", "crash", False),
        ("temporary", "end", False),
        ("temporary", "kill", False),
    ],
)
def test_the_restart_kind_decides(system, probe, restart, how, lives):
    ref = system.spawn(hosted(Fragile, probe.ref, name="x", restart=restart))
    heard(probe, 1)
    with events(system, af.Restarted, af.Stopped) as seen:
        {"crash": boom, "end": lambda ref: ref.cast(Notes.end), "kill": lambda ref: ref.cast(Fragile.kill)}[how](ref)
        until(lambda: seen)
    assert seen[0][0] == ("Restarted" if lives else "Stopped")
    assert ref.is_alive() is lives
    if lives:
        assert call(ref, Notes.count) == 0


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", [("up", "b")]),
        ("rest_for_one", [("down", "c"), ("up", "b"), ("up", "c")]),
        ("one_for_all", [("down", "c"), ("down", "a"), ("up", "a"), ("up", "b"), ("up", "c")]),
    ],
)
@pytest.mark.parametrize("how", ["crash", "kill"])
def test_strategies_hold_for_children_here_and_there(system, probe, strategy, expected, how):
    def witnessed(name, *, there):
        return hosted(Fragile, probe.ref, name=name) if there else af.child(Fragile, probe.ref).options(name=name)

    a, b, c = tree(
        system, witnessed("a", there=False), witnessed("b", there=True), witnessed("c", there=True), strategy=strategy
    )
    assert heard(probe, 3) == [("up", "a"), ("up", "b"), ("up", "c")]
    if how == "crash":
        boom(b)
    else:
        b.cast(Fragile.kill)
    assert heard(probe, len(expected)) == expected
    assert [call(ref, Notes.count) for ref in (a, b, c)] == [0, 0, 0]


def test_a_local_crash_restarts_hosted_siblings(system, probe):
    a, b = tree(
        system,
        af.child(Fragile, probe.ref).options(name="a"),
        hosted(Fragile, probe.ref, name="b"),
        strategy="one_for_all",
    )
    heard(probe, 2)
    pid = pid_of(b)
    boom(a)
    assert heard(probe, 3) == [("down", "b"), ("up", "a"), ("up", "b")]
    assert pid_of(b) == pid


def test_children_are_stopped_right_to_left(system, probe):
    tree(
        system,
        hosted(Fragile, probe.ref, name="a"),
        af.child(Fragile, probe.ref).options(name="b"),
        hosted(Fragile, probe.ref, name="c"),
    )
    heard(probe, 3)
    system.find("/test/tree", af.Supervisor).stop(timeout=LIMIT)
    assert heard(probe, 3) == [("down", "c"), ("down", "b"), ("down", "a")]


def test_restarts_beyond_the_intensity_end_the_supervisor(system):
    (ref,) = tree(system, hosted(Fragile, name="x"), intensity=2)
    supervisor = ref.parent
    with events(system, af.Stopped) as seen:
        for _ in range(3):
            boom(ref)
        until(lambda: ("Stopped", "tree") in [event[:2] for event in seen])
    assert not ref.is_alive()
    assert not supervisor.is_alive()
    reason = next(reason for _, name, reason in seen if name == "tree")
    assert isinstance(reason, af.RestartLimitReached)
    assert [repr(error) for _, _, error in reason.history] == ["ValueError('boom')"] * 3
    system.ended.get(timeout=LIMIT)
    with pytest.raises(af.RestartLimitReached):
        system.__exit__(None, None, None)
    system.error = None  # the fixture need not raise it again


def test_the_deaths_of_hosts_count_as_restarts(system):
    (ref,) = tree(system, hosted(Fragile, name="x"), intensity=1)
    for _ in range(2):
        with pytest.raises(af.ActorDeadError):
            call(ref, Fragile.kill)
    system.ended.get(timeout=LIMIT)
    system.error = None
    assert not ref.is_alive()


def test_one_death_of_a_host_is_one_restart_however_many_it_carried(system, probe):
    shared = af.Process(name="shared")
    refs = tree(
        system, *(hosted(Fragile, probe.ref, name=f"c{number}", process=shared) for number in range(4)), intensity=3
    )
    heard(probe, 4)
    for _ in range(3):
        pid = pid_of(refs[0])
        refs[2].cast(Fragile.kill)
        assert sorted(heard(probe, 4)) == [("up", f"c{number}") for number in range(4)]
        assert len({pid_of(ref) for ref in refs}) == 1
        assert pid_of(refs[0]) != pid
    assert all(ref.is_alive() for ref in refs)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_one_death_of_a_host_is_one_restart_under_every_strategy(system, probe, strategy):
    shared = af.Process(name="shared")
    refs = tree(
        system,
        *(hosted(Fragile, probe.ref, name=f"c{number}", process=shared) for number in range(4)),
        intensity=1,
        strategy=strategy,
    )
    heard(probe, 4)
    refs[0].cast(Fragile.kill)
    assert sorted(heard(probe, 4)) == [("up", f"c{number}") for number in range(4)]
    assert [call(ref, Notes.count) for ref in refs] == [0] * 4


def test_a_start_that_fails_counts_and_is_tried_again(system):
    tries = system.spawn(Tries)
    (ref,) = tree(system, hosted(NoRestart, tries, name="x"), intensity=3)
    ref.cast(NoRestart.fail)
    system.ended.get(timeout=LIMIT)
    assert isinstance(system.error, af.RestartLimitReached)
    assert [type(error) for _, _, error in system.error.history] == [ValueError] + [LookupError] * 3
    system.error = None


def test_a_backoff_delays_the_restart_of_a_hosted_child(system, probe):
    ref = system.spawn(
        hosted(Fragile, probe.ref, name="x", restart="permanent", backoff=af.Backoff(0.5, factor=1, jitter=0))
    )
    heard(probe, 1)
    begin = time.monotonic()
    with events(system, af.Restarted) as seen:
        ref.cast(Fragile.kill)
        until(lambda: ref._actor is None or seen)  # on a busy machine the pause may be over by then
        ref.tell("meanwhile")
    assert ref.is_alive()
    assert heard(probe, 1) == [("up", "x")]
    assert time.monotonic() - begin >= 0.5
    assert call(ref, Notes.read) == ["meanwhile"]


def test_tells_and_asks_during_a_restart_arrive_after_it(system, probe):
    gate = system.spawn(Gate)
    call(gate, Gate.open)
    ref = system.spawn(hosted(Slow, probe.ref, gate, name="x", restart="permanent"))
    probe.expect(within=LIMIT)
    call(gate, Gate.close)
    ref.cast(Fragile.kill)
    probe.expect(within=LIMIT)
    for number in range(10):
        ref.tell(number)
    asked = ref.ask("asked", block=False)
    call(gate, Gate.open)
    assert asked.get(timeout=LIMIT) == "asked"
    assert call(ref, Notes.read) == [*range(10), "asked"]


# --- OTP's verbs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def supervisor(system, probe):
    tree(system, hosted(Fragile, probe.ref, name="a"), hosted(Fragile, probe.ref, name="b"))
    heard(probe, 2)
    return system.find("/test/tree", af.Supervisor)


def test_hosted_children_are_terminated_and_restarted_by_name(system, supervisor, probe):
    ref = system.find("/test/tree/b", Fragile)
    call(supervisor, af.Supervisor.terminate_child, "b")
    assert heard(probe, 1) == [("down", "b")]
    assert not ref.is_alive()
    again = call(supervisor, af.Supervisor.restart_child, "b")
    assert heard(probe, 1) == [("up", "b")]
    assert again != ref
    assert pid_of(again) != os.getpid()
    call(supervisor, af.Supervisor.start_child, hosted(Fragile, probe.ref, name="c"))
    assert heard(probe, 1) == [("up", "c")]
    assert {child.name for child in call(supervisor, af.Supervisor.which_children)} == {"a", "b", "c"}


def test_a_supervisor_in_a_host_restarts_its_children_there(system, probe):
    far = af.child(af.Supervisor, af.child(Fragile, probe.ref).options(name="kid"), intensity=2)
    supervisor = system.spawn(far.options(name="far", host=af.Process()))
    assert heard(probe, 1) == [("up", "kid")]
    kid = only_child(supervisor)
    assert kid.path == "/test/far/kid"
    boom(kid)
    assert heard(probe, 1) == [("up", "kid")]
    assert call(kid, Notes.count) == 0
    assert pid_of(kid) != os.getpid()


def test_a_supervisor_in_a_host_that_gives_up_is_restarted_here(system, probe):
    far = af.child(af.Supervisor, af.child(Fragile, probe.ref).options(name="kid"), intensity=0)
    (supervisor,) = tree(system, far.options(name="far", host=af.Process()))
    assert heard(probe, 1) == [("up", "kid")]
    with events(system, af.Crashed, af.Restarted) as seen:
        boom(only_child(supervisor))
        assert heard(probe, 1) == [("up", "kid")]
        until(lambda: len(seen) == 2)
    assert [(kind, name, type(reason)) for kind, name, reason in seen] == [
        ("Crashed", "far", af.RestartLimitReached),
        ("Restarted", "far", af.RestartLimitReached),
    ]


def only_child(supervisor):
    (kid,) = call(supervisor, af.Supervisor.which_children)
    return getattr(kid, "ref", kid)


def test_an_escalation_restarts_hosted_grandchildren(system, probe):
    inner = af.child(af.Supervisor, hosted(Fragile, probe.ref, name="x"), intensity=0).options(name="inner")
    tree(system, inner, hosted(Fragile, probe.ref, name="y"), strategy="one_for_all")
    assert heard(probe, 2) == [("up", "x"), ("up", "y")]
    boom(system.find("/test/tree/inner/x", Fragile))
    assert heard(probe, 3) == [("down", "y"), ("up", "x"), ("up", "y")]


def test_children_within_a_host_stop_before_their_parent_restarts(system, probe):
    class Parent(Fragile):
        def on_start(self):
            super().on_start()
            self.ctx.spawn(af.child(Fragile, self.witness).options(name="kid"))

    ref = system.spawn(hosted(Parent, probe.ref, name="x", restart="permanent"))
    assert heard(probe, 2) == [("up", "x"), ("up", "kid")]
    boom(ref)
    assert heard(probe, 3) == [("down", "kid"), ("up", "x"), ("up", "kid")]
    ref.stop(timeout=LIMIT)
    assert heard(probe, 2) == [("down", "kid"), ("down", "x")]
