"""Backoff: pauses between a crash and the restart, on virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.supervision.parts import Failing, Worker, crash, find, kid, ping, tree


def pauses(system, ref, times: int) -> list[float]:
    found = []
    for _ in range(times):
        before = system.now
        crash(ref)
        found.append(system.now - before)
    return found


def test_pauses_grow_by_the_factor_up_to_the_limit(virtual_system, log):
    backoff = af.Backoff(0.5, limit=3, jitter=0)
    virtual_system.spawn(tree(kid(log, "a", backoff=backoff), intensity=100))
    assert pauses(virtual_system, find(virtual_system, "sup/a"), 5) == pytest.approx([0.5, 1, 2, 3, 3])


def test_factor_one_gives_fixed_pauses(virtual_system, log):
    backoff = af.Backoff(2, factor=1, jitter=0)
    virtual_system.spawn(tree(kid(log, "a", backoff=backoff), intensity=100))
    assert pauses(virtual_system, find(virtual_system, "sup/a"), 3) == pytest.approx([2, 2, 2])


def test_without_backoff_there_is_no_pause(virtual_system, log):
    virtual_system.spawn(tree(kid(log, "a"), intensity=100))
    assert pauses(virtual_system, find(virtual_system, "sup/a"), 3) == [0, 0, 0]


def test_a_child_that_lived_long_starts_from_the_first_pause_again(virtual_system, log):
    backoff = af.Backoff(1, limit=8, jitter=0)
    virtual_system.spawn(tree(kid(log, "a", backoff=backoff), intensity=100))
    a = find(virtual_system, "sup/a")
    assert pauses(virtual_system, a, 3) == pytest.approx([1, 2, 4])
    virtual_system.sleep(60)
    assert pauses(virtual_system, a, 2) == pytest.approx([1, 2])


def test_jitter_spreads_the_pauses_by_the_seed(log):
    def measure(seed):
        with VirtualSystem(seed=seed) as system:
            backoff = af.Backoff(1, factor=1, jitter=0.5)
            system.spawn(tree(kid([], "a", backoff=backoff), intensity=100))
            return pauses(system, find(system, "sup/a"), 6)

    one = measure(1)
    assert one == measure(1)
    assert one != measure(2)
    assert len(set(one)) == 6
    assert all(0.5 <= pause <= 1.5 for pause in one)


def test_failed_starts_wait_ever_longer_too(virtual_system, log):
    backoff = af.Backoff(1, jitter=0)
    virtual_system.spawn(tree(kid(log, "a", Failing, 2, 3, backoff=backoff), intensity=100))
    a = find(virtual_system, "sup/a")
    a.cast(Worker.crash)
    assert ping_late(a) == 4
    assert virtual_system.now == pytest.approx(1 + 2 + 4)
    assert log == ["start a", "fail a", "start a", "start a", "start a"]


def test_messages_wait_out_the_pause(virtual_system, log):
    virtual_system.spawn(tree(kid(log, "a", backoff=af.Backoff(30, jitter=0))))
    a = find(virtual_system, "sup/a")
    a.cast(Worker.crash)
    virtual_system.sleep(1)
    with pytest.raises(af.AskTimeout):
        a.call(Worker.ping).get(timeout=10)
    assert ping_late(a) == 2
    assert virtual_system.now == pytest.approx(30)


def ping_late(ref) -> int:
    return ref.call(Worker.ping).get(timeout=100)


def test_a_pause_holds_up_no_sibling_under_one_for_one(virtual_system, log):
    virtual_system.spawn(tree(kid(log, "a", backoff=af.Backoff(60, jitter=0)), kid(log, "b"), intensity=5))
    a, b = find(virtual_system, "sup/a"), find(virtual_system, "sup/b")
    a.cast(Worker.crash)
    b.cast(Worker.crash)
    assert ping(b) == 2
    assert virtual_system.now < 1
    assert ping_late(a) == 2


def test_siblings_wait_with_the_child_under_one_for_all(virtual_system, log):
    paused = kid(log, "a", backoff=af.Backoff(3, jitter=0))
    virtual_system.spawn(tree(paused, kid(log, "b"), strategy="one_for_all"))
    find(virtual_system, "sup/a").cast(Worker.crash)
    assert ping(find(virtual_system, "sup/b")) == 2
    assert virtual_system.now == pytest.approx(3)
    assert log == ["start a", "start b", "fail a", "stop b", "start a", "start b"]


def test_a_supervisor_that_stops_does_not_wait_for_a_pause(virtual_system, log):
    sup = virtual_system.spawn(tree(kid(log, "a", backoff=af.Backoff(60)), kid(log, "b")))
    find(virtual_system, "sup/a").cast(Worker.crash)
    virtual_system.sleep(1)
    assert sup.stop() is True
    assert virtual_system.now == 1
    virtual_system.sleep(200)
    assert log == ["start a", "start b", "fail a", "stop b"]


def test_a_pause_that_ends_while_the_supervisor_stops_starts_nothing(virtual_system, log):
    class SlowEnd(Worker):
        def on_stop(self):
            super().on_stop()
            self.ctx.sleep(3)

    sup = virtual_system.spawn(tree(kid(log, "a", backoff=af.Backoff(1, jitter=0)), kid(log, "b", SlowEnd)))
    find(virtual_system, "sup/a").cast(Worker.crash)
    virtual_system.sleep(0.5)
    sup.stop()
    assert virtual_system.now == 3.5
    assert log == ["start a", "start b", "fail a", "stop b"]


def test_the_end_of_the_system_does_not_wait_for_a_pause(log):
    with VirtualSystem() as system:
        a = system.spawn(kid(log, "a", restart="permanent", backoff=af.Backoff(60)))
        a.cast(Worker.crash)
        system.sleep(1)
        asked = a.call(Worker.ping)
    assert system.now == 1
    with pytest.raises(af.ActorDeadError):
        asked.get()


@given(
    first=st.floats(0, 100),
    factor=st.floats(1, 10),
    limit=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    n=st.integers(1, 5000),
)
def test_delay_stays_within_limit_and_jitter(first, factor, limit, jitter, n):
    backoff = af.Backoff(first, factor=factor, limit=limit, jitter=jitter)
    plain = backoff.delay(n)
    assert 0 <= plain <= limit
    assert plain <= backoff.delay(n + 1)
    spread = backoff.delay(n, random.Random(n))
    assert plain * (1 - jitter) - 1e-9 <= spread <= plain * (1 + jitter) + 1e-9


@pytest.mark.parametrize("wrong", [{"first": -1}, {"limit": -1}, {"factor": 0.5}, {"jitter": 1.5}, {"jitter": -0.1}])
def test_backoff_refuses_values_that_make_no_sense(wrong):
    with pytest.raises(af.DefinitionError, match="jitter from 0 to 1"):
        af.Backoff(**{"first": 1.0, **wrong})
