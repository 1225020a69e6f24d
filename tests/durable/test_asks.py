"""Promises: an ask for which nobody waits any more leaves no entry, in memory or on the store."""

import gc
import threading

import pytest

import actorflow as af
from actorflow.durable.future import WAITED
from actorflow.durable.node.open_asks import OpenAsks
from tests.durable.actors import Account, Collector
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named


@pytest.fixture
def nobody(start):
    """A system, and a ref to a durable actor that nobody spawns; another node has it."""
    with start() as system:
        system.spawn(named(Account, "neighbour"))
        yield system, system.scheduler.durable.ref_of("nobody", Account)


def test_an_ask_that_timed_out_leaves_no_entry_and_its_answer_is_not_kept(nobody, start):
    system, ref = nobody
    asks = system.scheduler.durable.asks
    for _ in range(3):
        with pytest.raises(af.AskTimeout):
            ref.call(Account.add, 1).get(timeout=0.01)
        with pytest.raises(af.AskTimeout):
            ref.ask("x", timeout=0.01)
    gc.collect()
    assert asks.all() == []
    assert not WAITED
    system.scheduler.durable.asks.forget_dropped()
    with start() as other:
        there = other.spawn(named(Account, "nobody"))
        assert there.call(Account.total).get(timeout=30) == 3  # they are handled all the same
        assert rows(other, "af_answer") == 0


def test_an_answer_that_comes_between_the_timeout_and_the_look_goes_with_it(nobody, start, monkeypatch):
    system, ref = nobody
    monkeypatch.setattr(OpenAsks, "forget_dropped", lambda _self: None)  # the regular look comes between, if it is late
    with pytest.raises(af.AskTimeout):
        ref.call(Account.add, 1).get(timeout=0.01)
    gc.collect()
    with start() as other:
        there = other.spawn(named(Account, "nobody"))
        assert there.call(Account.total).get(timeout=30) == 1
        assert rows(other, "af_answer") == 1
        monkeypatch.undo()
        system.scheduler.durable.housekeeping.look_around()
        assert rows(other, "af_answer") == 0


def test_who_still_has_the_future_gets_the_answer_after_a_timeout(nobody, start):
    system, ref = nobody
    asked = ref.call(Account.add, 2)
    for _ in range(2):
        with pytest.raises(af.AskTimeout):
            asked.get(timeout=0.01)
    gc.collect()
    assert len(system.scheduler.durable.asks) == 1
    with start() as other:
        other.spawn(named(Account, "nobody"))
        assert asked.get(timeout=30) == 2


def test_a_waiter_is_enough_to_keep_an_ask(nobody, start):
    """What is piped, mapped or awaited in a loop has no other owner."""

    class Pipes(Collector):
        def ask(self, ref):
            self.ctx.pipe(ref.call(Account.add, 5), self.on_receive)

    system, ref = nobody
    collector = system.spawn(Pipes)
    collector.call(Pipes.ask, ref).get(timeout=30)
    heard = threading.Event()
    ref.call(Account.add, 1)._add_waiter(heard.set)
    gc.collect()
    assert len(system.scheduler.durable.asks) == 2
    with start() as other:
        other.spawn(named(Account, "nobody"))
        wait_for(lambda: collector.call(Collector.all).get(timeout=30) == [5])
        assert heard.wait(30)
    assert not WAITED
