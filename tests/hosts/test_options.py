"""Promises: what af.Process says about a process holds for it."""

import os
import signal
import sys
import threading

import psutil
import pytest

import actorflow as af
from tests.core.actors import Log, until
from tests.hosts.actors import LIMIT, Fragile, Gate, Here, Notes, call, events, hosted, pid_of, until_gone

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


class Eater(Fragile):
    def eat(self, size):
        self.eaten = bytearray(size)
        for index in range(0, size, 4096):
            self.eaten[index] = 1
        self.ctx.sleep(60)

    def eat_in_child(self, size):
        import subprocess

        code = f"x = bytearray({size}); x[::4096] = b'1' * len(x[::4096]); import time; time.sleep(60)"
        self.child = subprocess.Popen([sys.executable, "-c", code])
        return self.child.pid


class Looks(Here):
    def modules(self):
        return set(sys.modules)

    def asked_niceness(self):
        return sys.modules["tests.hosts.asked_niceness"].ASKED

    def numpy_threads(self):
        return [os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]


def placed(system, **options):
    return system.spawn(hosted(Looks, process=af.Process(**options)))


# --- memory ----------------------------------------------------------------------------------------------------------


def test_a_process_above_its_memory_limit_is_killed_and_the_error_names_it(system):
    ref = system.spawn(hosted(Eater, name="eater", process=af.Process(memory="150M"), restart="permanent"))
    pid = pid_of(ref)
    asked = ref.call(Eater.eat, 300 * 2**20)
    queued = ref.ask("next", block=False)
    with pytest.raises(af.MemoryLimit, match="eater") as caught:
        asked.get(timeout=LIMIT)
    assert isinstance(caught.value, af.HostDied)
    assert caught.value.maybe_ran is True
    assert caught.value.rss > 150 * 2**20
    with pytest.raises(af.MemoryLimit) as caught:
        queued.get(timeout=LIMIT)
    assert caught.value.maybe_ran is False
    until_gone(pid)
    assert call(ref, Notes.count) == 0


def test_memory_of_programs_that_it_started_counts(system):
    ref = system.spawn(hosted(Eater, process=af.Process(memory="150M")))
    with events(system, af.Stopped) as seen:
        child = call(ref, Eater.eat_in_child, 300 * 2**20)
        until(lambda: seen)
    assert isinstance(seen[0][2], af.MemoryLimit)
    until_gone(child)


# --- where and how it runs -------------------------------------------------------------------------------------------


def test_affinity_and_niceness_are_set(system):
    """The niceness as it was asked for: others may change that of any process, as `renice` does, at any time."""
    core = max(os.sched_getaffinity(0))
    ref = placed(system, affinity=[core], nice=5, preload=["tests.hosts.asked_niceness"])
    assert psutil.Process(pid_of(ref)).cpu_affinity() == [core]
    assert call(ref, Looks.asked_niceness) == [5]


def test_variables_and_caps_for_threads_are_set(system):
    ref = placed(system, env={"AF_TEST": "yes"}, threads=2)
    assert call(ref, Here.env, "AF_TEST") == "yes"
    assert call(ref, Looks.numpy_threads) == ["2"] * 3
    assert "AF_TEST" not in os.environ


def test_given_variables_win_over_the_cap(system):
    ref = placed(system, env={"OMP_NUM_THREADS": "1"}, threads=2)
    assert call(ref, Looks.numpy_threads) == ["1", "2", "2"]


def test_preloaded_modules_are_there(system):
    assert "decimal" in call(placed(system, preload=["decimal"]), Looks.modules)


def test_a_preload_that_does_not_exist_is_named_at_spawn(system):
    with pytest.raises((af.ActorflowError, ImportError), match="no_such_module"):
        placed(system, preload=["no_such_module"])


def test_a_spawned_process_works_as_a_forked_one(system):
    ref = placed(system, start="spawn")
    assert pid_of(ref) != os.getpid()
    assert ref.ask([1], timeout=LIMIT) == [1]
    os.kill(pid_of(ref), signal.SIGKILL)
    until(lambda: not ref.is_alive())


def test_a_spawned_process_is_restarted(system):
    ref = system.spawn(hosted(Notes, process=af.Process(start="spawn"), restart="permanent"))
    pid = pid_of(ref)
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    until(lambda: ref._host is not None and ref._link is not None and ref._host.handle.pid != pid)
    assert call(ref, Notes.count) == 0


# --- names -----------------------------------------------------------------------------------------------------------


def test_actors_with_one_process_name_share_it(system):
    refs = [system.spawn(hosted(Here, process=af.Process(name="io"))) for _ in range(3)]
    assert len({pid_of(ref) for ref in refs}) == 1
    assert pid_of(system.spawn(hosted(Here, process=af.Process(name="other")))) != pid_of(refs[0])
    assert pid_of(system.spawn(hosted(Here))) != pid_of(refs[0])


def test_names_belong_to_a_system(system):
    with af.ActorSystem("other") as other:
        one, two = (s.spawn(hosted(Here, process=af.Process(name="io"))) for s in (system, other))
        assert pid_of(one) != pid_of(two)


def test_different_options_under_one_name_are_refused(system):
    system.spawn(hosted(Here, process=af.Process(name="io")))
    with pytest.raises(af.DefinitionError, match="'io'"):
        system.spawn(hosted(Here, name="x", process=af.Process(name="io", nice=3)))
    assert system.find("/test/x", Here) is None


def test_equal_options_written_differently_share_the_process(system):
    one = system.spawn(hosted(Here, process=af.Process(name="io", memory="1G", affinity=[0, 0])))
    other = system.spawn(hosted(Here, process=af.Process(name="io", memory=2**30, affinity=(0,))))
    assert pid_of(one) == pid_of(other)


def test_a_name_is_free_again_when_its_process_has_died(system):
    ref = system.spawn(hosted(Here, process=af.Process(name="io")))
    pid = pid_of(ref)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not ref.is_alive())
    assert pid_of(system.spawn(hosted(Here, process=af.Process(name="io", nice=1)))) != pid


@pytest.mark.parametrize(
    "options",
    [
        {"memory": "much"},
        {"memory": 0},
        {"memory": -1},
        {"memory": True},
        {"affinity": []},
        {"affinity": [10_000]},
        {"nice": "low"},
        {"threads": 0},
        {"threads": "2"},
        {"start": "thread"},
        {"preload": "numpy"},
        {"max_messages": 0},
        {"max_age": 0},
        {"max_age": -1.0},
        {"name": 7},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\0c"}},
        {"env": ["A"]},
        {"preload": [7]},
        {"affinity": 0},
        {"affinity": 1},
        {"affinity": ["0"]},
    ],
)
def test_bad_options_are_refused_where_they_stand(options):
    with pytest.raises(af.DefinitionError, match=next(iter(options))):
        af.Process(**options)


@pytest.mark.parametrize("host", ["io", af.Process, 1, True])
def test_a_host_that_is_no_process_is_refused(host):
    with pytest.raises(af.DefinitionError, match="host"):
        af.child(Here).options(host=host)


# --- recycling -------------------------------------------------------------------------------------------------------


def test_a_process_is_replaced_after_so_many_messages(system, probe):
    ref = system.spawn(hosted(Fragile, probe.ref, name="x", process=af.Process(max_messages=50)))
    first = probe.expect(within=LIMIT)[2]
    with events(system, af.Crashed, af.Stopped) as seen:
        answers = [ref.ask(number, block=False) for number in range(60)]
        assert [answer.get(timeout=LIMIT) for answer in answers] == list(range(60))
        assert probe.expect(within=LIMIT) == ("down", "x")
        up = probe.expect(within=LIMIT)
        assert up[2] != first
        assert ref.ask("there", timeout=LIMIT) == "there"
        system.spawn(Here).stop()
    assert [event for event in seen if event[1] == "x"] == []
    until_gone(first)


def test_recycling_keeps_order_and_loses_nothing(system):
    seen = []
    here = system.spawn(Log, seen)
    ref = system.spawn(hosted(Forward, here, process=af.Process(max_messages=200)))
    sent = 0
    while len({pid for _, pid in seen}) < 3:  # a busy machine may take its time to replace one
        for number in range(sent, sent + 250):
            ref.tell(number)
        sent += 250
        pid_of(ref)
    until(lambda: len(seen) == sent)
    assert [number for number, _ in seen] == list(range(sent))
    assert system.scheduler.events.dead_letters == 0


class Waits(Fragile):
    def wait_for(self, gate):
        return gate.ask("in")


@pytest.fixture
def gate(system):
    return system.spawn(Gate)


def moving(system, gate, probe, *, name="x", limit=5):
    """Start a supervised actor that waits in a handler, and whose process is to be replaced meanwhile."""
    recycled = hosted(Waits, probe.ref, name=name, process=af.Process(max_messages=limit))
    tree = af.child(
        af.Supervisor, af.child(Fragile).options(name="sibling"), recycled, strategy="one_for_all", intensity=3
    )
    system.spawn(tree.options(name="tree"))
    ref = system.find(f"/test/tree/{name}", Waits)
    first = probe.expect(within=LIMIT)[2]
    held = ref.call(Waits.wait_for, gate)
    until(lambda: call(gate, Gate.arrived) == 1)
    return ref, first, held


def test_one_that_crashes_while_it_moves_out_is_restarted_and_moves(system, gate, probe):
    ref, first, held = moving(system, gate, probe)
    ref.cast(Fragile.fail, ValueError("boom"))
    answers = [ref.ask(number, block=False) for number in range(10)]
    until(lambda: ref._link is None)
    late = ref.ask("late", block=False)
    call(gate, Gate.open)
    assert held.get(timeout=LIMIT) == "in"
    assert [answer.get(timeout=LIMIT) for answer in answers] == list(range(10))
    assert late.get(timeout=LIMIT) == "late"
    until_gone(first)
    assert pid_of(ref) != first


def test_one_whose_process_dies_while_it_moves_out_is_restarted(system, gate, probe):
    ref, first, held = moving(system, gate, probe)
    for number in range(10):
        ref.tell(number)
    until(lambda: ref._link is None)
    late = ref.ask("late", block=False)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(af.HostDied):
        held.get(timeout=LIMIT)
    assert late.get(timeout=LIMIT) == "late"
    assert pid_of(ref) != first


def test_one_that_is_restarted_with_a_sibling_while_it_moves_out_serves_on(system, gate, probe):
    ref, first, _ = moving(system, gate, probe)
    answers = [ref.ask(number, block=False) for number in range(10)]
    until(lambda: ref._link is None)
    system.find("/test/tree/sibling", Fragile).cast(Fragile.fail, ValueError("boom"))
    assert [answer.get(timeout=LIMIT) for answer in answers] == list(range(10))
    assert ref.ask("late", timeout=LIMIT) == "late"
    until_gone(first)
    assert pid_of(ref) != first


def test_one_that_is_terminated_while_it_moves_out_ends(system, gate, probe):
    ref, first, held = moving(system, gate, probe)
    for number in range(10):
        ref.tell(number)
    until(lambda: ref._link is None)
    late = ref.ask("late", block=False)
    call(system.find("/test/tree", af.Supervisor), af.Supervisor.terminate_child, "x")
    for future in (held, late):
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=LIMIT)
    until_gone(first)


def test_one_that_is_stopped_while_it_moves_out_ends_behind_what_is_queued(system, gate, probe):
    ref, first, held = moving(system, gate, probe)
    for number in range(10):
        ref.tell(number)
    until(lambda: ref._link is None)
    late = ref.ask("late", block=False)
    stopped = ref.stop(block=False)
    call(gate, Gate.open)
    assert held.get(timeout=LIMIT) == "in"
    assert late.get(timeout=LIMIT) == "late"
    assert stopped.get(timeout=LIMIT) is True
    until_gone(first)


class Forward(Here):
    def __init__(self, to):
        super().__init__()
        self.to = to

    def on_receive(self, message):
        self.to.tell((message, os.getpid()))


def test_a_process_is_replaced_after_so_many_seconds(system, probe):
    ref = system.spawn(hosted(Fragile, probe.ref, name="x", process=af.Process(max_age=0.3)))
    first = probe.expect(within=LIMIT)[2]
    assert probe.expect(within=LIMIT) == ("down", "x")
    assert probe.expect(within=LIMIT)[2] != first
    ref.stop(timeout=LIMIT)


def test_recycling_does_not_count_as_a_restart(system, probe):
    tree = af.child(
        af.Supervisor, hosted(Fragile, probe.ref, name="x", process=af.Process(max_messages=5)), intensity=0
    )
    system.spawn(tree.options(name="tree"))
    ref = system.find("/test/tree/x", Fragile)
    pids = {probe.expect(within=LIMIT)[2]}
    for _ in range(3):
        for number in range(6):
            assert ref.ask(number, timeout=LIMIT) == number
        assert probe.expect(within=LIMIT) == ("down", "x")
        pids.add(probe.expect(within=LIMIT)[2])
    assert len(pids) == 4
    assert system.find("/test/tree", af.Supervisor).is_alive()


def test_actors_of_a_shared_process_move_together(system):
    shared = af.Process(name="io", max_messages=20)
    one, other = (system.spawn(hosted(Notes, process=shared)) for _ in range(2))
    pid = pid_of(one)
    for number in range(20):
        one.ask(number, timeout=LIMIT)
    until_gone(pid)
    assert pid_of(one) == pid_of(other) != pid


class Where(Here):
    def thread(self):
        return threading.get_ident()


def test_handlers_in_a_host_move_from_thread_to_thread_if_those_of_the_system_do():
    with af.ActorSystem("test", settings=af.Settings(move_baton=True)) as system:
        ref = system.spawn(hosted(Where))
        assert len({call(ref, Where.thread) for _ in range(20)}) > 1
