"""Blocking is fine: who waits gives up the baton, who blocks unseen is overtaken, and who blocks often is learned."""

import threading

import pytest

import actorflow as af
from actorflow.core.actors import traits
from actorflow.core.drivers.preemption import Preemption
from tests.core.actors import Blocked, Echo, Held, Log, hold, until


class Sleeper(af.Actor):
    def __init__(self, woken):
        super().__init__()
        self.woken = woken

    def sleep(self, entered):
        entered.set()
        try:
            self.ctx.sleep(3600)
        except af.Stopping as error:
            self.woken.append(error)
            raise


class Starter(af.Actor):
    """Sends from inside, so that the scheduler finds both messages at once."""

    def start(self, blocked, event, echo):
        answer = blocked.call(Blocked.block, event)
        return answer, echo.ask("through", block=False)


class Where(af.Actor):
    def thread(self):
        return threading.get_ident()


@pytest.mark.parametrize("method", [Held.hold, Held.hold_async])
def test_a_handler_that_waits_lets_others_run(any_system, method):
    ref, echo = any_system.spawn(Held), any_system.spawn(Echo)
    entered, gate = af.Future(), af.Future()
    answer = ref.call(method, entered, gate)
    entered.get(timeout=20)
    assert echo.ask("hello", timeout=20) == "hello"
    assert not answer.done()
    gate.set(7)
    assert answer.get(timeout=20) == 7


def test_a_handler_that_sleeps_lets_others_run_and_is_woken_at_the_end(system_class):
    woken, entered = [], af.Future()
    with system_class("test") as system:
        ref, echo = system.spawn(Sleeper, woken), system.spawn(Echo)
        ref.cast(Sleeper.sleep, entered)
        entered.get(timeout=20)
        assert echo.ask("hello", timeout=20) == "hello"
        assert woken == []
        system.stop(grace=60)  # it sleeps for longer than that, so it is woken at once
    assert len(woken) == 1


def test_ctx_sleep_takes_the_clocks_time(virtual_system):
    class Napper(af.Actor):
        def nap(self):
            before = self.ctx.now()
            self.ctx.sleep(1800)
            return self.ctx.now() - before

    assert virtual_system.spawn(Napper).call(Napper.nap).get(timeout=3600) == 1800


def test_a_handler_that_blocks_unseen_is_overtaken(system):
    event = threading.Event()
    blocked, echo = system.spawn(Blocked), system.spawn(Echo)
    answer = blocked.call(Blocked.block, event)
    assert echo.ask("overtakes", timeout=20) == "overtakes"
    assert not answer.done()
    event.set()
    assert answer.get(timeout=20) is True


def test_many_handlers_may_block_unseen_at_once(system):
    together = threading.Barrier(20)

    class Meeting(af.Actor):
        def meet(self):
            return together.wait(30)

    answers = [system.spawn(Meeting).call(Meeting.meet) for _ in range(20)]
    assert sorted(answer.get(timeout=30) for answer in answers) == list(range(20))


def overtake_twice(system, monkeypatch, cpu):
    """Have a handler of a new class block unseen until it was overtaken twice; `cpu` says how much it computes."""

    class Blocker(Blocked):
        pass

    monkeypatch.setattr(Preemption, "_cpu", cpu)
    blocked, echo = system.spawn(Blocker), system.spawn(Echo)
    for _ in range(2):
        event = threading.Event()
        answer = blocked.call(Blocked.block, event)
        assert echo.ask("overtakes", timeout=20)
        event.set()
        assert answer.get(timeout=20)
    return blocked


def test_a_class_that_was_overtaken_twice_gets_a_thread_before_its_handler_runs(system, monkeypatch):
    blocked = overtake_twice(system, monkeypatch, cpu=lambda _pulse, _worker: 0.0)
    monkeypatch.setattr(Preemption, "_overtake", lambda *_args, **_kwargs: None)  # nobody helps from now on
    event = threading.Event()
    echo = system.spawn(Echo)
    block, through = system.spawn(Starter).call(Starter.start, blocked, event, echo).get(timeout=20)
    try:
        assert through.get(timeout=20) == "through"
        assert not block.done()
    finally:
        event.set()
    assert block.get(timeout=20)


def test_what_was_learned_of_a_class_holds_for_children_with_options_too(system, monkeypatch):
    blocked = overtake_twice(system, monkeypatch, cpu=lambda _pulse, _worker: 0.0)
    assert af.child(blocked.actor_class).options(name="named").traits.blocks

    class Other(Blocked):  # of Blocked itself, other tests may have taught the system
        pass

    assert not af.child(Other).options(name="named").traits.blocks


def test_a_class_that_does_not_block_any_more_is_trusted_again(system, monkeypatch):
    blocked = overtake_twice(system, monkeypatch, cpu=lambda _pulse, _worker: 0.0)
    assert blocked._traits.blocks
    monkeypatch.setattr(traits, "QUICK_SECONDS", 10.0)  # on a busy machine no handler is quick 64 times in a row
    until(lambda: blocked.call(Log.read).get(timeout=20) == [] and not blocked._traits.blocks)


def test_a_handler_that_computes_is_overtaken_but_its_class_is_no_blocker(system, monkeypatch):
    import time

    blocked = overtake_twice(system, monkeypatch, cpu=lambda _pulse, _worker: time.monotonic())
    assert not blocked._traits.blocks


def test_the_watcher_sleeps_when_the_system_idles(system):
    echo = system.spawn(Echo)
    assert echo.ask(1, timeout=20) == 1
    until(lambda: system.scheduler.preemption.asleep)
    assert echo.ask(2, timeout=20) == 2


def test_a_handler_that_starts_to_wait_gets_thread_limit_when_all_threads_wait(system_class):
    with system_class("test", settings=af.Settings(threads=3)) as system:
        held = [system.spawn(Held) for _ in range(6)]
        gate = af.Future()
        answers = [ref.call(Held.hold, af.Future(), gate) for ref in held]
        with pytest.raises(af.ThreadLimit, match="3 threads"):
            answers[-1].get(timeout=20)
        gate.set("done")
        results = []
        for answer in answers:
            try:
                results.append(answer.get(timeout=20))
            except af.ThreadLimit:
                results.append("limit")
        assert results == ["done"] * 2 + ["limit"] * 4  # one thread is left to run the others
        again, last = hold(held[-1])  # the refused actor lives, and threads are free again
        again.set("again")
        assert last.get(timeout=20) == "again"


def test_the_debug_switch_moves_the_baton_after_each_handler():
    with af.ActorSystem("test", settings=af.Settings(move_baton=True)) as system:
        ref = system.spawn(Where)
        threads = [ref.call(Where.thread).get(timeout=20) for _ in range(6)]
        queued = [answer.get(timeout=20) for answer in [ref.call(Where.thread) for _ in range(200)]]
    assert len(set(threads)) > 1
    assert len(set(queued)) > 1


def test_without_the_debug_switch_handlers_stay_on_one_thread(system, monkeypatch):
    monkeypatch.setattr(Preemption, "_overtake", lambda *_args, **_kwargs: None)  # not even on a busy machine
    ref = system.spawn(Where)
    assert len({ref.call(Where.thread).get(timeout=20) for _ in range(6)}) == 1
