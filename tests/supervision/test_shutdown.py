"""Shutdown: exit wakes a handler that waits; one that never returns is abandoned after its time."""

from __future__ import annotations

import threading
import time

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import until
from tests.supervision.parts import PATIENCE, Worker, crash, ended, find, kid, ping, tree


class Waiting(Worker):
    """Waits in each way there is, and says what woke it."""

    def wait(self, how: str, entered: str = "waits") -> None:
        never = self.ctx.parent.call(Silent.never) if how == "get" else None
        self.log.append(entered)
        try:
            self.ctx.sleep(600) if how == "sleep" else never.get()
        except af.Stopping:
            self.log.append("woken")
            raise

    async def wait_async(self) -> None:
        self.log.append("waits")
        try:
            await af.timer(600)
        except af.Stopping:
            self.log.append("woken")
            raise


class Silent(Worker):
    """A parent that never answers, with a child that waits for it."""

    def on_start(self):
        super().on_start()
        self.ctx.spawn(kid(self.log, "w", Waiting, shutdown=10 * PATIENCE))

    def never(self):
        self.kept = self.ctx.reply_later()


class Stuck(Worker, shutdown=10 * PATIENCE):
    """Blocks on an event, out of reach; its recipes say how long it gets to end."""

    def __init__(self, log, name, gate: threading.Event):
        super().__init__(log, name)
        self.gate = gate

    def stuck(self, entered: threading.Event, other=None):
        entered.set()
        self.gate.wait(60)
        self.log.append("returned")
        if other is not None:
            try:
                other.tell("late")
            except af.Stopping:
                self.log.append("refused")
        self.gate2.set()

    gate2 = threading.Event()


@pytest.fixture
def gate():
    """An event that stuck handlers wait for; set at the end."""
    Stuck.gate2 = threading.Event()
    event = threading.Event()
    yield event
    event.set()


def wait_for(log, line: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while line not in log:
        assert time.monotonic() < deadline, f"no {line!r} in {log}"
        time.sleep(0.001)


def begin(system, ref, method, *args):
    """Have a handler wait, and return its future."""
    future = ref.call(method, *args)
    until(lambda: ref._waiting is not None, system)
    return future


@pytest.mark.parametrize("how", ["get", "sleep", "await"])
def test_exit_wakes_a_handler_that_waits_with_stopping(any_system, log, how):
    parent = any_system.spawn(kid(log, "p", Silent))
    waiting = find(any_system, "p/w")
    asked = (
        begin(any_system, waiting, Waiting.wait_async)
        if how == "await"
        else begin(any_system, waiting, Waiting.wait, how)
    )
    assert parent.stop(timeout=PATIENCE) is True  # long before its shutdown time
    assert log == ["start p", "start w", "waits", "woken", "stop w", "stop p"]
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=PATIENCE)


def test_a_sibling_that_waits_is_woken_for_a_restart(any_system, log):
    any_system.spawn(tree(kid(log, "a"), kid(log, "b", Waiting), strategy="one_for_all"))
    b = find(any_system, "sup/b")
    asked = begin(any_system, b, Waiting.wait, "sleep")
    crash(find(any_system, "sup/a"))
    assert ping(b) == 2
    assert log == ["start a", "start b", "waits", "fail a", "woken", "stop b", "start a", "start b"]
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=PATIENCE)


def test_stopping_that_a_handler_swallows_does_not_keep_it_alive(any_system, log):
    class Stubborn(Worker):
        def wait(self):
            for _ in range(3):
                try:
                    self.ctx.sleep(600)
                except af.Stopping:
                    self.log.append("again")
            return "done"

    sup = any_system.spawn(tree(kid(log, "a", Stubborn)))
    asked = begin(any_system, find(any_system, "sup/a"), Stubborn.wait)
    sup.stop(timeout=PATIENCE)
    assert asked.get(timeout=PATIENCE) == "done"
    assert log == ["start a", "again", "again", "again", "stop a"]


def test_on_stop_may_wait_within_the_shutdown_time(any_system, log):
    class Flushes(Worker):
        def on_stop(self):
            self.log.append(store.call(Worker.sleep, 0.05).get())
            super().on_stop()

    store = any_system.spawn(kid(log, "store"))
    sup = any_system.spawn(tree(kid(log, "a", Flushes)))
    sup.stop(timeout=PATIENCE)
    assert log == ["start store", "start a", "slept", "stop a"]


def test_ref_stop_lets_the_running_handler_end(any_system, log):
    ref = any_system.spawn(kid(log, "a"))
    asked = ref.call(Worker.sleep, 0.05)
    ref.stop(timeout=PATIENCE)
    assert asked.get(timeout=PATIENCE) == "slept"


def test_a_handler_that_never_returns_is_abandoned_and_its_callers_are_answered(system, log, gate):
    sup = system.spawn(tree(kid(log, "a", Stuck, gate, shutdown=0.1)))
    a, entered, other = find(system, "sup/a"), threading.Event(), system.spawn(kid(log, "other"))
    asked, queued = a.call(Stuck.stuck, entered, other), a.call(Worker.ping)
    assert entered.wait(PATIENCE)
    assert sup.stop(timeout=PATIENCE) is True
    for future in (asked, queued):
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=PATIENCE)
    assert not a.is_alive()
    assert system.scheduler.abandoned == 1
    gate.set()
    assert Stuck.gate2.wait(PATIENCE)
    assert log == ["start a", "start other", "returned", "refused"]


def test_an_abandoned_incarnation_is_replaced_when_the_strategy_restarts_it(system, log, gate):
    stuck = kid(log, "b", Stuck, gate, shutdown=0.1)
    system.spawn(tree(kid(log, "a"), stuck, strategy="one_for_all"))
    b, entered = find(system, "sup/b"), threading.Event()
    asked = b.call(Stuck.stuck, entered)
    assert entered.wait(PATIENCE)
    assert crash(find(system, "sup/a")) == 2
    assert ping(b) == 2
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=PATIENCE)
    gate.set()
    assert Stuck.gate2.wait(PATIENCE)
    assert [ping(b) for _ in range(3)] == [2, 2, 2]  # the late end of the old one changes nothing
    assert log == ["start a", "start b", "fail a", "start a", "start b", "returned"]


def test_grace_bounds_the_end_of_the_whole_system(log, gate):
    with af.ActorSystem("test", settings=af.Settings(grace=0.5)) as system:
        system.spawn(tree(*(kid(log, name, Stuck, gate, shutdown=60) for name in "abc")))
        for name in "abc":
            entered = threading.Event()
            find(system, f"sup/{name}").cast(Stuck.stuck, entered)
            assert entered.wait(PATIENCE)
        start = time.monotonic()
    assert time.monotonic() - start < 40


@pytest.mark.parametrize("family", [False, True])
def test_a_child_abandoned_in_on_stop_ends_once_and_its_stopper_is_answered(system, log, gate, probe, family):
    class Ends(Stuck):
        def on_start(self):
            if family:
                self.ctx.spawn(kid(log, "grandchild"))

        def on_stop(self):
            entered.set()
            self.gate.wait(60)

    entered = threading.Event()
    system.subscribe(af.Stopped, probe.ref)
    sup = system.spawn(tree(kid(log, "a", Ends, gate, shutdown=0.1)))
    a = find(system, "sup/a")
    stopped = a.stop(block=False)
    assert entered.wait(PATIENCE)
    sup.stop(timeout=PATIENCE)
    gate.set()
    assert stopped.get(timeout=PATIENCE) is True
    ended(a)
    names = [probe.expect(within=PATIENCE).ref.name for _ in range(2 + family)]
    assert names == ["grandchild", "a", "sup"][1 - family :]
    probe.expect_none(within=0.1)


def test_system_stop_in_a_handler_returns_at_once_and_ends_the_system(system_class, log):
    class Stopper(Worker):
        def stop_all(self):
            system.stop()
            self.log.append("goes on")

    system = system_class("test")
    system.spawn(kid(log, "a", Stopper)).cast(Stopper.stop_all)
    system.run()
    assert log == ["start a", "goes on", "stop a"]


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_asks_in_a_bounded_mailbox_are_answered_at_the_end(any_system, log, letters, end):
    class Holds(Worker):
        def hold(self, gate):
            gate.get()

    sup = any_system.spawn(tree(kid(log, "a", Holds, capacity=5, restart="temporary")))
    a, gate = find(any_system, "sup/a"), af.Future()
    held = begin(any_system, a, Holds.hold, gate)
    if end == "crash":
        a.cast(Worker.crash)
    queued = a.call(Worker.ping)
    a.cast(Worker.note, "told")
    if end == "crash":
        gate.set(None)
    else:
        sup.stop(timeout=PATIENCE)
    with pytest.raises(af.ActorDeadError):
        queued.get(timeout=PATIENCE)
    told = [repr(letters.expect(within=PATIENCE).message) for _ in range(1 + (end == "crash"))]
    assert told[-1] == "note('told')"
    letters.expect_none(within=0.05)
    assert held.done()


def test_a_supervisor_that_hangs_in_its_start_is_woken_when_its_parent_stops(virtual_system, log):
    class Sleeps(Worker):
        def on_start(self):
            super().on_start()
            self.ctx.sleep(600)

    outer = virtual_system.spawn(tree(kid(log, "a"), name="outer"))
    inner = tree(kid(log, "x"), kid(log, "y", Sleeps), name="inner")
    starting = outer.call(af.Supervisor.start_child, inner)
    virtual_system.sleep(1)
    assert log == ["start a", "start x", "start y"]
    outer.stop(block=False)
    virtual_system.sleep(1)  # it is a message behind the start that hangs
    assert outer.is_alive()
    virtual_system.stop(grace=5)
    with pytest.raises((af.Stopping, af.ActorDeadError)):
        starting.get(timeout=1)
    assert log[3:] == ["stop x", "stop a"]
    assert virtual_system.now <= 7


def test_an_on_start_that_never_returns_is_abandoned_at_a_restart_too(system, log, gate):
    class HangsAgain(Stuck):
        def on_start(self):
            super().on_start()
            if self.ping() > 1:
                entered.set()
                self.gate.wait(60)
                self.log.append("too late")

    entered = threading.Event()
    sup = system.spawn(tree(kid(log, "a", HangsAgain, gate, shutdown=0.1), kid(log, "b")))
    a = find(system, "sup/a")
    a.cast(Worker.crash)
    queued = a.call(Worker.ping)
    assert entered.wait(PATIENCE)
    assert sup.stop(timeout=PATIENCE) is True
    with pytest.raises(af.ActorDeadError):
        queued.get(timeout=PATIENCE)
    assert log == ["start a", "start b", "fail a", "start a", "stop b"]
    gate.set()
    wait_for(log, "too late")
    assert not a.is_alive()


def test_shutdown_time_of_zero_does_not_wait_at_all(system, log, gate):
    sup = system.spawn(tree(kid(log, "a", Stuck, gate, shutdown=0)))
    entered = threading.Event()
    find(system, "sup/a").cast(Stuck.stuck, entered)
    assert entered.wait(PATIENCE)
    assert sup.stop(timeout=PATIENCE) is True  # long before the shutdown time of its class


def test_a_sender_that_waits_at_the_full_mailbox_of_a_dying_actor_is_answered(any_system, log):
    class Sender(af.Actor):
        def send(self, ref):
            ref.tell("one more")

    class Holds(Worker):
        def on_receive(self, message):
            self.ctx.sleep(600)

    sup = any_system.spawn(tree(kid(log, "a", Holds, capacity=1)))
    a, sender = find(any_system, "sup/a"), any_system.spawn(Sender)
    a.tell(1)
    until(lambda: a._waiting is not None, any_system)
    a.tell(2)
    waiting = begin(any_system, sender, Sender.send, a)
    sup.stop(timeout=PATIENCE)
    with pytest.raises(af.ActorDeadError):
        waiting.get(timeout=PATIENCE)


def test_a_loop_handler_that_has_not_begun_ends_at_once_when_its_actor_is_stopped(system, log, gate):
    class Loops(Stuck, loop=True):
        async def hold_the_loop(self):
            entered.set()
            self.gate.wait(60)

        async def work(self):
            self.log.append("works")

    entered = threading.Event()
    holder = system.spawn(kid(log, "holder", Loops, gate))
    sup = system.spawn(tree(kid(log, "a", Loops, gate, shutdown=60)))
    a = find(system, "sup/a")
    holder.cast(Loops.hold_the_loop)
    assert entered.wait(PATIENCE)
    asked = a.call(Loops.work)
    with pytest.raises(af.AskTimeout):
        asked.get(timeout=0.1)
    stopped = sup.stop(block=False)
    with pytest.raises(af.AskTimeout):
        stopped.get(timeout=0.1)
    gate.set()
    assert stopped.get(timeout=PATIENCE) is True  # long before its shutdown time
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=PATIENCE)
    assert system.scheduler.abandoned == 0


def test_loop_handlers_that_begin_at_once_share_one_thread_which_ends(system, monkeypatch):
    from actorflow.core.drivers import asyncio_loop

    class Loops(af.Actor, loop=True):
        async def where(self):
            return threading.get_ident()

    made, make = [], asyncio_loop.LoopThread.__init__

    def slowly(self, name):
        made.append(name)
        time.sleep(0.02)  # so long that the other handlers are given other threads
        make(self, name)

    monkeypatch.setattr(asyncio_loop.LoopThread, "__init__", slowly)
    refs = [system.spawn(Loops) for _ in range(5)]
    answers = [ref.call(Loops.where) for ref in refs]
    assert len({answer.get(timeout=PATIENCE) for answer in answers}) == 1
    assert len(made) == 1


class Asking(af.Actor):
    async def wait_for(self, other):
        await other.ask("anything", block=False)


class Falls(af.Actor):
    def on_receive(self, message):
        raise af.Crash


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_a_child_that_waits_for_one_that_waits_for_its_restart_does_not_hold_up_the_end(strategy):
    """The younger one is asked to end first, and waits for an answer of the older one's next life."""
    with VirtualSystem("test", settings=af.Settings(grace=3600.0)) as system:
        falls = af.child(Falls).options(name="falls", restart="permanent", backoff=af.Backoff(10_000.0, jitter=0))
        asks = af.child(Asking).options(name="asks")
        system.spawn(af.child(af.Supervisor, falls, strategy=strategy).options(name="tree"))
        system.find("/test/tree/falls").tell("fall")
        system.sleep(1)
        asking = system.find("/test/tree").call(af.Supervisor.start_child, asks).get()
        answer = asking.call(Asking.wait_for, system.find("/test/tree/falls"))
        system.sleep(1)
        began = system.now
        system.stop()
        assert system.now - began < 1
        assert isinstance(answer._error, af.ActorDeadError)
