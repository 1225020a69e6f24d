"""The main thread: it never runs handlers, so Ctrl-C stays prompt; and signal handlers may send."""

import math
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

import actorflow as af
from tests.core.actors import Echo, Held, Log, hold, until


class Where(af.Actor):
    def __init__(self):
        super().__init__()
        self.threads = []

    def on_start(self):
        self.threads.append(threading.current_thread())

    def on_receive(self, message):
        self.threads.append(threading.current_thread())

    def on_stop(self):
        self.threads.append(threading.current_thread())


def test_handlers_never_run_in_the_main_thread(system):
    ref = system.spawn(Where)
    actor = ref._actor
    ref.ask("here", timeout=20)
    ref.tell("there")
    assert ref.stop(timeout=20)
    assert len(actor.threads) == 4
    assert threading.main_thread() not in actor.threads


def interrupt_soon():
    """Send SIGINT to this process from another thread."""
    thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
    thread.start()
    return thread


@pytest.fixture
def _sigint(no_collection: None) -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the suite runs in the background of a script, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_sigint")
def test_ctrl_c_ends_a_wait_for_an_answer_at_once(system):
    gate, answer = hold(system.spawn(Held))
    with pytest.raises(KeyboardInterrupt):
        interrupt_soon()
        answer.get(timeout=30)
    gate.set("the actor went on")
    assert answer.get(timeout=20) == "the actor went on"


def test_run_ends_at_sigint_and_drains():
    seen = []
    with af.ActorSystem("test") as system:
        ref = system.spawn(Log, seen)

        class Interrupts(af.Actor):
            def on_receive(self, message):
                ref.tell(message)
                os.kill(os.getpid(), signal.SIGINT)

        system.spawn(Interrupts).tell("handled in the drain")
        system.run()
        assert not ref.is_alive()
    assert seen == ["handled in the drain"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_notices_a_signal_that_interrupts_no_wait(number):
    """One that comes just before the wait. It is made by one to another thread: Python notes it, and no wait ends."""
    main = threading.main_thread().ident
    ended, noticed = threading.Event(), []

    def send():
        until(lambda: _waits_for_ever(main))
        signal.pthread_kill(threading.get_ident(), number)
        noticed.append(ended.wait(20))
        if not noticed[0]:
            os.kill(os.getpid(), number)

    with af.ActorSystem("test") as system:
        thread = threading.Thread(target=send)
        thread.start()
        system.run()
        ended.set()
        thread.join()
    assert noticed == [True]


def _waits_for_ever(thread):
    frame = sys._current_frames()[thread]
    return frame.f_code.co_name == "acquire" and frame.f_locals.get("deadline") == math.inf


def test_a_signal_handler_may_tell(system):
    ref = system.spawn(Log)
    before = signal.signal(signal.SIGUSR1, lambda _signal, _frame: ref.tell("signalled"))
    try:
        for _ in range(50):
            signal.raise_signal(signal.SIGUSR1)
            ref.tell("told")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ref.call(Log.read).get(timeout=20) == ["signalled", "told"] * 50


def test_two_systems_run_side_by_side():
    with af.ActorSystem("one") as one, af.ActorSystem("two") as two:
        first, second = one.spawn(Held), two.spawn(Echo)

        class Across(af.Actor):
            def ask(self, ref):
                return ref.ask("across")

            async def ask_async(self, ref):
                return await ref.ask("across", block=False)

        across = one.spawn(Across)
        assert across.call(Across.ask, second).get(timeout=20) == "across"
        assert across.call(Across.ask_async, second).get(timeout=20) == "across"
        gate, answer = hold(first)
        two.stop()
        gate.set("one goes on")
        assert answer.get(timeout=20) == "one goes on"
