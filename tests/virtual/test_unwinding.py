"""Handlers that do not end: the end of a virtual system ends their frames, the watchdog those that keep the turn."""

from __future__ import annotations

# ruff: noqa: SIM105 - these are the loops that users write
import contextlib
import contextvars
import ctypes
import io
import logging
import pdb  # noqa: T100 - a test of it
import queue
import sys
import threading
import time

import pytest

import actorflow as af
from actorflow.core.drivers import watchdog
from actorflow.core.drivers.unwinding import Struck
from actorflow.core.messages.execution import CURRENT
from actorflow.testing import VirtualSystem

TURN = 2.0  # seconds of real time; all other handlers here take microseconds
LET_GO = threading.Event()


class Silent(af.Actor):
    def on_receive(self, message):
        self.reply = self.ctx.reply_later()


class Hooks(af.Actor):
    """Answers with the trace function and the profile function of its thread."""

    def on_receive(self, message):
        return sys.gettrace(), sys.getprofile()


class Stubborn(af.Actor):
    """Waits for an answer that does not come, and goes on whatever is raised."""

    def on_start(self):
        self.did: list[str] = []

    def asks_again(self, silent):
        while True:
            try:
                silent.ask("x")
            except Exception:
                pass

    def swallows_all(self, silent):
        while True:
            try:
                silent.ask("x")
            except BaseException:
                pass

    def has_one_future(self, silent):
        future = silent.ask("x", block=False)
        while True:
            try:
                future.get()
            except BaseException:
                pass

    def suppresses(self, silent):
        while True:
            with contextlib.suppress(BaseException):
                silent.ask("x")

    def waits_in_c_code(self, silent):
        while True:
            try:
                list(map(silent.ask, ["x"]))
            except BaseException:
                pass

    def sleeps_and_tells(self, silent):
        while True:
            try:
                self.ctx.sleep(1)
                silent.tell("x")
            except BaseException:
                pass

    def goes_on_in_finally(self, silent):
        try:
            silent.ask("x")
        finally:
            while True:
                try:
                    silent.ask("y")
                except BaseException:
                    pass

    async def awaits_again(self, silent):
        while True:
            try:
                await silent.ask("x", block=False)
            except BaseException:
                pass

    # --- these keep the turn

    def computes(self, silent):
        while True:
            pass

    def computes_and_swallows(self, silent):
        while True:
            try:
                sum(range(100))
            except BaseException:
                pass

    def asks_itself(self, silent):
        while True:
            try:
                self.actor_ref.ask("x")
            except BaseException:
                pass

    def recurses_and_branches(self, silent):
        def deeper(n):
            try:
                return deeper(n + 1)
            finally:
                deeper(n + 1)

        deeper(0)

    async def never_awaits(self, silent):
        while True:
            try:
                sum(range(100))
            except BaseException:
                pass

    # --- and these block in C code

    def has_a_lock(self, silent):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire(timeout=30) if not LET_GO.is_set() else None

    def gets_from_a_queue(self, silent):
        BLOCKING.get()

    def sleeps(self, silent):
        LET_GO.wait(30)


BLOCKING: queue.SimpleQueue = queue.SimpleQueue()
WAITS = [
    Stubborn.asks_again,
    Stubborn.swallows_all,
    Stubborn.has_one_future,
    Stubborn.suppresses,
    Stubborn.waits_in_c_code,
    Stubborn.sleeps_and_tells,
    Stubborn.goes_on_in_finally,
    Stubborn.awaits_again,
]
BUSY = [
    Stubborn.computes,
    Stubborn.computes_and_swallows,
    Stubborn.asks_itself,
    Stubborn.recurses_and_branches,
    Stubborn.never_awaits,
]


def carriers() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("stubborn-")}


def all_end() -> bool:
    deadline = time.monotonic() + 60
    while carriers() and time.monotonic() < deadline:
        time.sleep(0.005)
    return not carriers()


def limit_is(limit: int) -> bool:
    """Say whether the watchdog, which may still be about it, has given back what it raised."""
    deadline = time.monotonic() + 60
    while sys.getrecursionlimit() != limit and time.monotonic() < deadline:
        time.sleep(0.005)
    return sys.getrecursionlimit() == limit


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("method", WAITS)
def test_a_handler_that_swallows_its_end_ends_with_the_system(method, blocking):
    with VirtualSystem("stubborn", seed=1) as system:
        silent = system.spawn(Silent)
        system.spawn(af.child(Stubborn).options(blocking=blocking)).cast(method, silent)
        system.sleep(10)
    assert all_end()


def test_a_handler_that_cleans_up_has_its_time_and_its_locks_are_free():
    class Tidy(af.Actor):
        def hold(self, silent):
            try:
                with lock:
                    silent.ask("x")
            finally:
                done.append("finally")
                with contextlib.suppress(af.ActorflowError):
                    silent.ask("more")
                done.append("end")

    lock, done = threading.Lock(), []
    with VirtualSystem("stubborn", seed=1) as system:
        system.spawn(Tidy).cast(Tidy.hold, system.spawn(Silent))
        system.sleep(1)
    assert done == ["finally", "end"]
    assert not lock.locked()
    assert all_end()


@pytest.mark.slow(quick=["computes_and_swallows-False", "asks_itself-True", "recurses_and_branches-False"])
@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("method", BUSY, ids=lambda method: method.__name__)
def test_a_handler_that_keeps_the_turn_is_ended_and_the_wait_says_where_it_was(method, blocking, caplog, monkeypatch):
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(watchdog, "STRIKE_SECONDS", 30.0)  # the machine may be busy
    limit = sys.getrecursionlimit()
    with VirtualSystem("stubborn", seed=1, turn_seconds=600.0) as system:
        silent = system.spawn(Silent)
        waits = system.spawn(Stubborn)
        waits.cast(Stubborn.has_one_future, silent)
        stubborn = system.spawn(af.child(Stubborn).options(blocking=blocking))
        system.sleep(1)
        stubborn.cast(method, silent)
        watchdog.watch(system.scheduler, 0.5)  # only now: on a busy machine any handler may take as long
        with pytest.raises(af.StuckError, match=rf"the handler of {stubborn.path} for .* without giving the turn back"):
            system.sleep(1)
        watchdog.watch(system.scheduler, 600.0)
        assert any(
            "All handlers" in each and waits.path in each and method.__name__ in each for each in caplog.messages
        )
        system.sleep(1)  # the others go on
        assert not stubborn.is_alive()  # it has crashed
    assert all_end()
    assert limit_is(limit)


def test_a_strike_that_comes_as_the_handler_has_returned_is_no_failure_of_the_scheduler():
    class Quick(af.Actor):
        def on_receive(self, message):
            worker = CURRENT.get()
            worker.scheduler.strike_lock.acquire()
            worker.is_marked, worker.is_struck, worker.strikes = True, True, 1
            threading.Thread(target=strike, args=(worker,), daemon=True).start()
            return message

    def strike(worker):
        """Do as the watchdog does that has seen the handler's last line."""
        deadline = time.monotonic() + 60
        while sys._current_frames()[worker.ident].f_code.co_name != "_disarm" and time.monotonic() < deadline:
            time.sleep(0.001)
        struck.append(set_async_exc(ctypes.c_ulong(worker.ident), ctypes.py_object(Struck)))
        worker.scheduler.strike_lock.release()

    set_async_exc, struck = ctypes.pythonapi.PyThreadState_SetAsyncExc, []
    with VirtualSystem("stubborn", seed=1) as system:
        assert system.spawn(Quick).ask("x") == "x"
        assert struck == [1]
        assert system.spawn(Hooks).ask("x") == (None, None)
    assert all_end()


@pytest.mark.parametrize("method", [Stubborn.gets_from_a_queue, Stubborn.sleeps])
def test_a_handler_that_blocks_in_c_code_leaves_the_system_unusable_and_says_so(method, monkeypatch):
    monkeypatch.setattr(watchdog, "STRIKE_SECONDS", 0.2)
    LET_GO.clear()
    system = VirtualSystem("stubborn", seed=1, turn_seconds=TURN)
    try:
        stubborn = system.spawn(Stubborn)
        stubborn.cast(method, None)
        with pytest.raises(af.StuckError, match=method.__name__):
            system.sleep(1)
        with pytest.raises(af.ActorflowError, match="make a new system"):
            system.stop()
    finally:
        LET_GO.set()
        BLOCKING.put(None)
    assert all_end()


def test_a_handler_at_a_breakpoint_is_let_be(monkeypatch):
    class Hands(io.StringIO):
        def readline(self, *_):
            at_prompt.set()
            try:
                assert looked.wait(30)
            finally:
                at_prompt.clear()
            return "continue\n"

    class Debugged(af.Actor):
        def on_receive(self, message):
            pdb.Pdb(stdin=Hands(), stdout=io.StringIO(), nosigint=True).set_trace()
            return message

    def look(worker):
        if not at_prompt.is_set():
            return True  # the machine may be busy: only the look at the prompt counts
        found.append(is_debugged(worker))
        if len(found) == 2:  # the first one did not end the handler
            looked.set()
        return found[-1]

    looked, at_prompt, is_debugged = threading.Event(), threading.Event(), watchdog.is_debugged
    found: list[bool] = []
    monkeypatch.setattr(watchdog, "is_debugged", look)
    with VirtualSystem("stubborn", seed=1, turn_seconds=0.2) as system:
        assert system.spawn(Debugged).ask("x") == "x"
    assert set(found) == {True}
    assert all_end()


def test_actors_that_keep_each_other_busy_reach_the_step_limit():
    class Ball(af.Actor):
        def on_receive(self, message):
            self.actor_ref.tell(message)

    with VirtualSystem("stubborn", seed=1, step_limit=500) as system:
        ball = system.spawn(Ball)
        system.sleep(1)
        ball.tell("x")
        with pytest.raises(af.StuckError, match=r"has taken 500 steps, and it is 1 s of virtual time"):
            system.sleep(1)
        with pytest.raises(af.StuckError, match="500 steps"):
            system.sleep(1)


def test_a_wait_of_fewer_steps_than_the_limit_ends_as_ever(virtual_system):
    assert virtual_system.scheduler.step_limit == 1_000_000
    with VirtualSystem(step_limit=50) as system:
        silent = system.spawn(Silent)
        for _ in range(20):  # each wait has the whole of it
            silent.tell("x")
            system.sleep(1)


@pytest.mark.actorflow(step_limit=70, turn_seconds=3.5)
def test_the_marker_sets_the_limits(virtual_system):
    assert virtual_system.scheduler.step_limit == 70


@pytest.mark.parametrize("bad", [{"step_limit": 0}, {"turn_seconds": -1}, {"step_limit": "many"}])
def test_limits_that_make_no_sense_are_refused(bad):
    with pytest.raises(af.DefinitionError, match=next(iter(bad))):
        VirtualSystem(**bad)


def test_a_check_after_each_step_that_waits_is_refused():
    with VirtualSystem("stubborn", seed=1) as system:
        silent = system.spawn(Silent)
        silent.tell("x")
        system.after_each_step(lambda: silent.ask("x"))
        with pytest.raises(af.DefinitionError, match="may look at actors, and not ask them"):
            system.sleep(1)
        system.sleep(1)
    assert all_end()


@pytest.mark.parametrize("blocking", [False, True])
def test_a_wait_in_a_handler_that_has_left_its_context_is_refused(blocking):
    class Lost(af.Actor):
        def on_receive(self, silent):
            return contextvars.Context().run(silent.ask, "x")

    with VirtualSystem("stubborn", seed=1) as system:
        lost = system.spawn(af.child(Lost).options(blocking=blocking))
        with pytest.raises(af.DefinitionError, match="a handler waits in its own context"):
            lost.ask(system.spawn(Silent))
    assert all_end()


def test_a_check_after_each_step_sees_all_of_them_and_its_error_is_the_waits():
    class Counter(af.Actor):
        count = 0

        def on_receive(self, message):
            Counter.count += 1

    seen: list[int] = []

    def check():
        seen.append(Counter.count)
        if Counter.count == 3:
            raise AssertionError("three")

    with VirtualSystem(seed=1) as system:
        counter = system.spawn(Counter)
        system.after_each_step(check)
        for _ in range(5):
            counter.tell("x")
        with pytest.raises(AssertionError, match="three"):
            system.sleep(1)
        assert Counter.count == 3
        assert sorted(set(seen)) == [0, 1, 2, 3]
        system.sleep(1)
        assert Counter.count == 5


def test_a_wait_that_is_cut_as_its_answer_comes_leaves_nothing_behind():
    class Answering(af.Actor):
        def on_receive(self, future):
            scheduler = self.actor_ref._scheduler
            scheduler.post_work(lambda: future.set(3))  # done as the next step begins, where the limit is looked at

    with VirtualSystem("cut", seed=1, step_limit=100) as system:
        answering, future = system.spawn(Answering), af.Future()
        system.scheduler.step_limit = 1
        answering.tell(future)
        with pytest.raises(af.StuckError):
            future.get()
        system.scheduler.step_limit = 100
        assert future.get() == 3
        system.sleep(1)  # it hung: the turn was handed to the wait that was over
