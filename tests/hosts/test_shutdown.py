"""Promises: how hosted actors end when their supervisor, their system or their program wants it."""

import threading
import time

import psutil
import pytest

import actorflow as af
from actorflow.process.hosts.parent import envoy
from actorflow.testing import LeakCheck
from tests.core.actors import Log, until
from tests.hosts.actors import (
    LIMIT,
    Deaf,
    Fragile,
    Gate,
    Here,
    Notes,
    call,
    hosted,
    is_gone,
    pid_of,
    served_again,
    until_gone,
)
from tests.processes import stop_process

pytestmark = pytest.mark.timeout(300)

GRACE = 0.5
BEYOND = 30.0  # seconds that an end may take longer on a busy machine; a quiet one needs 0.2, and grace is a minute
PATIENT = af.Settings(grace=60.0)


class Waiter(Fragile):
    """Waits in a handler, and tells its witness how that ends."""

    def waits(self, other):
        try:
            other.ask("?")
        except BaseException as error:
            self.witness.tell(("ended by", type(error).__name__))
            raise

    async def awaits(self, other):
        try:
            await other.ask("?", block=False)
        except BaseException as error:
            self.witness.tell(("ended by", type(error).__name__))
            raise

    def sleeps(self, path):
        open(path, "w").close()  # noqa: PTH123
        try:
            self.ctx.sleep(60)
        except BaseException as error:
            self.witness.tell(("ended by", type(error).__name__))
            raise


class Patient(Fragile, shutdown=60.0):
    """Gets a minute to end, if nobody says otherwise."""


def supervised(system, *children, **options):
    return system.spawn(af.child(af.Supervisor, *children, **options).options(name="tree"))


def begun(path):
    until(path.exists)


def test_the_end_of_a_system_leaves_no_process():
    with LeakCheck():
        with af.ActorSystem("one") as system:
            pids = [pid_of(system.spawn(hosted(Here))) for _ in range(3)]
        until_gone(*pids)


def test_a_process_whose_last_actor_is_gone_ends(system):
    shared = af.Process(name="shared")
    one, other = (system.spawn(hosted(Here, process=shared)) for _ in range(2))
    pid = pid_of(one)
    one.stop(timeout=LIMIT)
    assert pid_of(other) == pid
    other.stop(timeout=LIMIT)
    until_gone(pid)
    again = system.spawn(hosted(Here, process=shared))
    assert pid_of(again) != pid


def test_the_end_of_a_system_drains_what_is_queued():
    seen = []
    with LeakCheck(), af.ActorSystem("one") as system:
        here = system.spawn(Log, seen)  # ends last: the newest ends first
        ref = system.spawn(hosted(Forward, here))
        for number in range(500):
            ref.tell(number)
    assert seen == list(range(500))


class Forward(Here):
    def __init__(self, to):
        super().__init__()
        self.to = to

    def on_receive(self, message):
        self.to.tell(message)


def test_asks_that_are_queued_at_the_end_are_answered():
    with LeakCheck(), af.ActorSystem("one") as system:
        ref = system.spawn(hosted(Notes))
        futures = [ref.ask(number, block=False) for number in range(100)]
        system.stop()
        assert [future.get(timeout=LIMIT) for future in futures] == list(range(100))


@pytest.mark.parametrize("method", [Waiter.waits, Waiter.awaits])
def test_a_handler_that_waits_gets_stopping_from_its_supervisor(system, probe, method):
    supervisor = supervised(system, hosted(Waiter, probe.ref, name="x"))
    ref, deaf = system.find("/test/tree/x", Waiter), system.spawn(Gate)
    asked = ref.call(method, deaf)
    until(lambda: call(deaf, Gate.arrived) == 1)
    probe.expect(within=LIMIT)
    supervisor.stop(timeout=LIMIT)
    assert probe.expect(within=LIMIT) == ("ended by", "Stopping")
    assert probe.expect(within=LIMIT) == ("down", "x")
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=LIMIT)


def test_a_handler_that_sleeps_gets_stopping(system, probe, tmp_path):
    supervisor = supervised(system, hosted(Waiter, probe.ref, name="x"))
    system.find("/test/tree/x", Waiter).cast(Waiter.sleeps, tmp_path / "begun")
    begun(tmp_path / "begun")
    probe.expect(within=LIMIT)
    supervisor.stop(timeout=LIMIT)
    assert probe.expect(within=LIMIT) == ("ended by", "Stopping")


@pytest.mark.parametrize("method", [Fragile.hold, Fragile.burn])
def test_one_that_computes_for_ever_is_abandoned_and_its_process_killed(system, tmp_path, method):
    supervisor = supervised(system, hosted(Patient, name="x", shutdown=0.3))
    ref = system.find("/test/tree/x", Patient)
    pid = pid_of(ref)
    asked = ref.call(method, tmp_path / "begun")
    begun(tmp_path / "begun")
    assert supervisor.stop(timeout=LIMIT) is True  # long before the shutdown time of its class
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=LIMIT)
    until_gone(pid)


def test_in_a_shared_process_only_the_actor_is_abandoned(system, tmp_path, monkeypatch):
    monkeypatch.setattr(envoy, "OWN_SHARE", 0.01)  # the process has the rest of the time to say so
    shared = af.Process(name="shared")
    supervised(system, hosted(Fragile, name="x", process=shared, shutdown=50.0))
    ref, other = system.find("/test/tree/x", Fragile), system.spawn(hosted(Notes, process=shared))
    pid = pid_of(other)
    assert pid_of(ref) == pid
    ref.cast(Fragile.hold, tmp_path / "begun")
    begun(tmp_path / "begun")
    call(system.find("/test/tree", af.Supervisor), af.Supervisor.terminate_child, "x")
    assert not ref.is_alive()
    assert other.ask(1, timeout=LIMIT) == 1
    assert pid_of(other) == pid
    other.stop(timeout=LIMIT)
    until_gone(pid)


def test_a_stop_returns_also_if_the_actor_has_ended_before_it_begins_to_wait(system, monkeypatch):
    end_of = system.scheduler.end_of

    def ended(ref):
        future = end_of(ref)
        until(future.done)
        return future

    monkeypatch.setattr(system.scheduler, "end_of", ended)
    assert system.spawn(hosted(Notes)).stop(timeout=LIMIT) is True


def test_a_shared_process_that_does_not_answer_is_killed_and_the_others_start_anew(system, tmp_path):
    shared = af.Process(name="shared")
    supervised(
        system,
        hosted(Notes, name="other", process=shared),
        hosted(Fragile, name="x", process=shared, shutdown=0.3),
    )
    ref, other = system.find("/test/tree/x", Fragile), system.find("/test/tree/other", Notes)
    pid = pid_of(other)
    ref.cast(Fragile.burn, tmp_path / "begun")
    begun(tmp_path / "begun")
    call(system.find("/test/tree", af.Supervisor), af.Supervisor.terminate_child, "x")
    until_gone(pid)
    assert served_again(other)


@pytest.mark.parametrize("under", ["the system", "a supervisor"])
def test_grace_bounds_the_end_of_a_system(tmp_path, under):
    with LeakCheck(), af.ActorSystem("test", settings=PATIENT) as system:
        if under == "the system":
            ref = system.spawn(hosted(Patient))
        else:
            supervised(system, hosted(Patient, name="x"))
            ref = system.find("/test/tree/x", Patient)
        other = system.spawn(hosted(Deaf))
        pids = pid_of(ref), other._host.handle.pid
        ref.cast(Fragile.burn, tmp_path / "begun")
        begun(tmp_path / "begun")
        start = time.monotonic()
        system.stop(grace=GRACE)
        assert time.monotonic() - start < GRACE + BEYOND
        assert all(map(is_gone, pids))


def test_a_stopped_process_does_not_hold_up_the_end():
    with LeakCheck(), af.ActorSystem("one", settings=PATIENT) as system:
        ref = system.spawn(hosted(Here))
        pid = pid_of(ref)
        stop_process(pid)
        start = time.monotonic()
        system.stop(grace=GRACE)
        assert time.monotonic() - start < GRACE + BEYOND
        assert is_gone(pid)


def test_on_stop_runs_in_the_process_and_may_still_send(system, probe):
    class Last(Fragile):
        def on_stop(self):
            for number in range(100):
                self.witness.tell(number)

    ref = system.spawn(hosted(Last, probe.ref))
    probe.expect(within=LIMIT)
    ref.stop(timeout=LIMIT)
    assert [probe.expect(within=LIMIT) for _ in range(100)] == list(range(100))


def test_children_of_the_process_are_killed_with_it(system):
    class Starts(Here):
        def start(self):
            import subprocess

            self.child = subprocess.Popen(["/bin/sleep", "60"])
            return self.child.pid

    ref = system.spawn(hosted(Starts))
    pid, child = pid_of(ref), call(ref, Starts.start)
    psutil.Process(pid).kill()
    until(lambda: is_gone(pid) and is_gone(child))


HANGING = af.Process(preload=["tests.process.preloads.hanging"])


@pytest.mark.parametrize("queued", [False, True], ids=["nothing queued", "a message queued"])
@pytest.mark.parametrize("supervised_", [False, True], ids=["alone", "supervised"])
def test_the_end_does_not_wait_for_a_process_that_never_came_up(queued, supervised_):
    """What is queued gets its share of the grace time, for the process may be slow only."""
    grace = 60.0 if not queued else GRACE
    refused = []

    def spawn():
        child = hosted(Here, name="late", process=HANGING)
        try:
            system.spawn(af.child(af.Supervisor, child).options(name="tree") if supervised_ else child)
        except af.ActorflowError as error:
            refused.append(error)

    with LeakCheck():
        system = af.ActorSystem("test", settings=PATIENT)
        spawner = threading.Thread(target=spawn)
        spawner.start()
        path = "/test/tree/late" if supervised_ else "/test/late"
        until(lambda: system.scheduler.hosts is not None and system.scheduler.hosts.all)
        if queued:
            system.find(path, Here).tell("queued")
        start = time.monotonic()
        system.stop(grace=grace)
        took = time.monotonic() - start
        spawner.join(LIMIT)
    assert took < BEYOND
    assert refused
