"""Processes of durable actors are killed by -9, and so is the one with the store: nothing is lost or done twice."""

import contextlib
import os
import random
import signal
import time

import pytest

import actorflow as af
from actorflow.durable.handling import machine_timers, mailbox
from actorflow.durable.rows import records
from tests.durable import crashing
from tests.durable.test_crashes import run
from tests.durable.test_messages import wait_for

N = 300  # messages
CALLS = 190
STEP = 13  # where a handler runs makes little difference to the store; `test_crashes` dies at each call


def kill_one(refs, rng):
    """Kill the process of an actor, at any time of its life."""
    host = rng.choice(refs)._host
    if host is not None and host.ready._done:
        with contextlib.suppress(ProcessLookupError):  # it has just died of the last one
            os.kill(host.handle.pid, signal.SIGKILL)


@pytest.mark.slow(quick=["memory-0"])
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_of_processes_that_are_killed_all_the_time_nothing_is_lost_or_done_twice(tmp_path, monkeypatch, seed, store):
    for module in (mailbox, records, machine_timers):  # else a message that is unlucky three times is a dead letter
        monkeypatch.setattr(module, "KILLS", 1000)
    url = "memory:" if store == "memory" else f"sqlite:///{tmp_path / 'a.db'}"
    rng, numbers = random.Random(seed), list(range(N))
    with af.ActorSystem("crash", store=url, durability="process") as system:
        witness = system.spawn(crashing.Witness, tmp_path / "world")
        sink = af.child(crashing.Sink).options(name="sink", host=af.Process())
        tree = system.spawn(af.child(af.Supervisor, sink, intensity=100_000, period=1.0).options(name="tree"))
        sink = system.find("/crash/tree/sink")
        source = af.child(crashing.Source, sink, witness).options(name="source", host=af.Process())
        source = tree.call(af.Supervisor.start_child, source).get(timeout=100)
        for number in numbers:
            source.tell(number)
            if number % 5 == 0:
                time.sleep(rng.uniform(0, 0.03))
                kill_one([source, sink], rng)
        wait_for(lambda: len(source.call(crashing.Source.all).get(timeout=100)[1]) == N, seconds=60)
        seen, fired = source.call(crashing.Source.all).get(timeout=100)
        wait_for(lambda: len(sink.call(crashing.Sink.all).get(timeout=100)[0]) >= N, seconds=60)
        sunk, _ = sink.call(crashing.Sink.all).get(timeout=100)
        world = crashing.noted(tmp_path / "world")
    assert seen == sunk == numbers
    assert sorted(fired) == numbers
    assert len(set(world)) == len(world)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", [1, 2])
def test_killed_at_store_calls_with_actors_in_processes_nothing_is_lost_or_done_twice(tmp_path, first):
    for number in range(first * STEP // 2, CALLS, 2 * STEP):
        (line,) = run(tmp_path, number, number, "hosted")
        assert line["problems"] == [], line
