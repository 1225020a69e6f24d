"""Promises: what the death of a process means for those who sent to its actors, and what the error says."""

import os
import signal
import sys

import pytest

import actorflow as af
from actorflow.process.launch import fork_server
from tests.core.actors import until
from tests.hosts.actors import (
    LIMIT,
    Fragile,
    Gate,
    Here,
    Notes,
    call,
    events,
    hosted,
    is_gone,
    pid_of,
    served_again,
    until_gone,
)
from tests.processes import stop_process

pytestmark = pytest.mark.timeout(300)


class Stuck(Fragile):
    async def waits(self, other):
        """Wait without a thread: other messages are queued behind."""
        return await other.ask("?", block=False)

    def sleeps(self, other):
        return other.ask("?")


@pytest.fixture
def gate(system):
    return system.spawn(Gate)


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Stuck, name="x", restart="permanent"))


def until_arrived(gate, count=1):
    until(lambda: call(gate, Gate.arrived) >= count)


def died(future):
    with pytest.raises(af.HostDied) as caught:
        future.get(timeout=LIMIT)
    return caught.value


def test_a_killed_process_is_replaced_and_the_ref_stays_valid(ref):
    pid = pid_of(ref)
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    assert served_again(ref)
    assert pid_of(ref) != pid


@pytest.mark.parametrize(
    ("method", "args", "exitcode", "number"),
    [
        (Fragile.kill, (), None, signal.SIGKILL),
        (Fragile.kill, (signal.SIGTERM,), None, signal.SIGTERM),
        (Fragile.exit, (3,), 3, None),
        (Fragile.exit, (0,), 0, None),
        (Fragile.segfault, (), None, signal.SIGSEGV),
    ],
)
def test_the_error_says_how_the_process_ended(ref, method, args, exitcode, number):
    error = died(ref.call(method, *args))
    assert (error.exitcode, error.signal) == (exitcode, number)
    assert error.maybe_ran is True
    assert 5 * 2**20 < error.rss < 2**30
    assert "x" in str(error)
    assert call(ref, Notes.count) == 0


def test_maybe_ran_is_true_only_for_what_had_begun(ref, gate):
    begun = ref.call(Stuck.waits, gate)
    until_arrived(gate)
    queued = [ref.ask(number, block=False) for number in range(20)]
    queued += [ref.call(Notes.note, number) for number in range(20)]
    pid = ref._host.handle.pid
    link = ref._link  # the queued asks must have come to the process, or they would prove nothing
    until(lambda: not link.outbox)
    os.kill(pid, signal.SIGKILL)
    assert died(begun).maybe_ran is True
    assert "it may have run" in str(died(begun))
    assert [died(future).maybe_ran for future in queued] == [False] * 40
    assert "safe to send again" in str(died(queued[0]))
    assert is_gone(pid)


def test_maybe_ran_holds_for_threads_that_block_and_handlers_of_several_actors(system, gate):
    shared = af.Process(name="shared")
    busy, other = (system.spawn(hosted(Stuck, process=shared, restart="permanent")) for _ in range(2))
    begun = [busy.call(Stuck.sleeps, gate), other.call(Stuck.waits, gate)]
    until_arrived(gate, 2)
    queued = [busy.ask(1, block=False), other.ask(2, block=False)]
    answered = system.spawn(hosted(Here, process=shared)).ask("answered", timeout=LIMIT)
    os.kill(busy._host.handle.pid, signal.SIGKILL)
    assert [died(future).maybe_ran for future in begun] == [True, True]
    assert [died(future).maybe_ran for future in queued] == [False, False]
    assert answered == "answered"


def test_numbers_of_asks_are_used_again_without_an_old_mark(ref, gate):
    for number in range(500):
        ref.ask(number, timeout=LIMIT)
    begun = ref.call(Stuck.waits, gate)
    until_arrived(gate)
    queued = [ref.ask(number, block=False) for number in range(50)]
    until(lambda: not ref._link.outbox)
    os.kill(ref._host.handle.pid, signal.SIGKILL)
    assert died(begun).maybe_ran is True
    assert {died(future).maybe_ran for future in queued} == {False}


@pytest.mark.parametrize("asker_at", ["here", "there"])
def test_an_asking_actor_gets_host_died_too(system, ref, asker_at):
    class Asker(Here):
        def ask(self, other, method, *args):
            return call(other, method, *args)

    asker = system.spawn(hosted(Asker) if asker_at == "there" else af.child(Asker))
    error = died(asker.call(Asker.ask, ref, Fragile.exit, 4))
    assert (error.exitcode, error.maybe_ran) == (4, True)


def test_a_watcher_of_a_restarted_actor_hears_nothing_of_the_death(system, ref, probe):
    class Watcher(Here):
        def watch(self, ref):
            self.ctx.watch(ref)

        def on_receive(self, message):
            probe_ref.tell(message)

    probe_ref = probe.ref
    watcher = system.spawn(Watcher)
    call(watcher, Watcher.watch, ref)
    died(ref.call(Fragile.kill))
    assert ref.ask(1, timeout=LIMIT) == 1
    probe.expect_none(within=0.05)
    ref.stop(timeout=LIMIT)
    assert probe.expect(within=LIMIT).reason is None


def test_the_death_of_a_temporary_actors_process_is_the_reason_of_terminated(system, probe):
    class Watcher(Here):
        def __init__(self, to):
            super().__init__()
            self.to = to

        def watch(self, ref):
            self.ctx.watch(ref)

        def on_receive(self, message):
            self.to.tell(message)

    ref = system.spawn(hosted(Fragile, name="x"))
    for watcher in (system.spawn(Watcher, probe.ref), system.spawn(hosted(Watcher, probe.ref))):
        call(watcher, Watcher.watch, ref)
    os.kill(pid_of(ref), signal.SIGKILL)
    for _ in range(2):
        reason = probe.expect(within=LIMIT).reason
        assert isinstance(reason, af.HostDied)
        assert reason.signal == signal.SIGKILL


def test_answers_to_a_process_that_died_meanwhile_hold_nobody_up(system, probe):
    """The thread that reads what it had sent writes the answers: to a socket whose other end is gone."""

    class LastAsks(Fragile):
        def ask_and_die(self, dead):
            for number in range(1000):
                dead.ask(number, block=False)
            self.kill()

    class Parent(Notes):
        def start(self):
            return self.ctx.spawn(Notes)

    parent = system.spawn(hosted(Parent))
    kid = call(parent, Parent.start)
    kid.stop(timeout=LIMIT)
    ref = system.spawn(hosted(LastAsks, name="x", restart="permanent"))
    pid = pid_of(ref)
    parent.stop(timeout=LIMIT)
    with pytest.raises(af.HostDied):
        call(ref, LastAsks.ask_and_die, kid)
    until_gone(pid)
    assert served_again(ref)


# --- dead letters ----------------------------------------------------------------------------------------------------


def test_a_tell_to_a_dead_hosted_actor_raises_here(system):
    ref = system.spawn(hosted(Fragile))
    os.kill(pid_of(ref), signal.SIGKILL)
    until(lambda: not ref.is_alive())
    with pytest.raises(af.ActorDeadError, match="SIGKILL"):
        ref.tell("too late")


def test_a_tell_to_a_child_in_a_host_whose_end_is_known_here_raises(system):
    class Parent(Here):
        def start(self):
            return self.ctx.spawn(af.child(Notes).options(name="kid"))

    parent = system.spawn(hosted(Parent))
    kid = call(parent, Parent.start)
    kid.stop(timeout=LIMIT)
    with pytest.raises(af.ActorDeadError, match="kid"):
        kid.tell("too late")
    assert system.scheduler.events.dead_letters == 0


def test_a_hosted_sender_that_tells_a_dead_actor_here_makes_a_dead_letter(system):
    class Sender(Here):
        def send(self, to):
            to.tell("too late")

    dead, sender = system.spawn(Notes), system.spawn(hosted(Sender))
    dead.stop()
    with events(system, af.DeadLetter) as seen:
        try:
            call(sender, Sender.send, dead)
        except af.ActorDeadError:  # it may know
            return
        until(lambda: seen)
    assert seen[0][1] == dead.name


def test_what_was_queued_when_a_temporary_actor_crashed_is_answered_or_dead(system, gate):
    ref = system.spawn(hosted(Stuck, name="x"))
    held = ref.call(Stuck.waits, gate)
    until_arrived(gate)
    with events(system, af.DeadLetter) as seen:
        ref.cast(Fragile.fail, ValueError("boom"))
        for number in range(5):
            ref.tell(number)
        asked = ref.ask("asked", block=False)
        call(gate, Gate.open)
        assert held.get(timeout=LIMIT) == "?"
        with pytest.raises(af.ActorDeadError):
            asked.get(timeout=LIMIT)
        until(lambda: len(seen) == 6)
    assert all(isinstance(reason, (ValueError, af.ActorDeadError)) for _, _, reason in seen)


def test_a_stop_that_waits_ends_when_the_process_dies(ref, gate):
    ref.call(Stuck.waits, gate)
    until_arrived(gate)
    stopped = ref.stop(block=False)
    until(lambda: not ref._link or not ref._link.outbox)
    os.kill(ref._host.handle.pid, signal.SIGKILL)
    assert stopped.get(timeout=LIMIT) is True
    assert not ref.is_alive()


def test_tells_that_were_not_written_when_the_process_died_are_dead_letters(system):
    ref = system.spawn(hosted(Fragile, name="x", restart="permanent"))
    pid = pid_of(ref)
    stop_process(pid)
    with events(system, af.DeadLetter) as seen:
        for _ in range(100):
            ref.tell(bytes(100_000))
        os.kill(pid, signal.SIGKILL)
        until_gone(pid)
        assert served_again(ref)
        until(lambda: seen)
    assert {name for _, name, _ in seen} == {"x"}
    assert all(isinstance(reason, af.HostDied) for _, _, reason in seen)


class Leaver:
    """Ends the thread that unpickles it."""

    def __reduce__(self):
        return sys.exit, ("not here",)


def test_a_lost_message_that_exits_as_it_is_unpickled_keeps_no_actor_from_its_restart(system, ref):
    pid = pid_of(ref)
    stop_process(pid)
    with events(system, af.DeadLetter) as seen:
        for _ in range(30):
            ref.tell(bytes(100_000))
        ref.tell(Leaver())
        os.kill(pid, signal.SIGKILL)
        until_gone(pid)
        assert served_again(ref)
        until(lambda: seen)


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_death_is_noticed_though_the_zygote_is_stopped_at_each_fork(system, when, monkeypatch):
    monkeypatch.setattr(fork_server, "LOOK", 0.05)
    process = af.Process(preload=["tests.process.preloads.stopping"], env={"AF_TEST_STOP": when})
    ref = system.spawn(hosted(Fragile, process=process, restart="permanent"))
    pid = pid_of(ref)
    os.kill(pid, signal.SIGKILL)
    assert served_again(ref)
    assert pid_of(ref) != pid
