"""A signal's handler that raises at any bytecode of what is done with a pool: no other task, and no end, is lost."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import actorflow as af
from actorflow.process.pool.workers import worker_thread
from tests.interrupts import BOUND, at_every_bytecode, ends, twice_at
from tests.pool.conftest import until_ready


@pytest.fixture
def pool():
    with af.ProcessPool(workers=1) as pool:
        until_ready(pool)
        yield pool


ACTIONS = {
    "submit": lambda pool: pool.submit(abs, -1),
    "submit and wait": lambda pool: pool.submit(abs, -1).result(timeout=BOUND),
    "submit and wait without a timeout": lambda pool: pool.submit(abs, -1).result(),
    "submit to a busy pool": lambda pool: [pool.submit(abs, -1) for _ in range(2)],
    "submit a local function": lambda pool: pool.submit(lambda: 1),
    "an error": lambda pool: pool.submit(int, "x").exception(timeout=BOUND),
    "cancel": lambda pool: pool.submit(abs, -1).cancel(),
    "options": lambda pool: pool.options(timeout=BOUND, priority=1).submit(abs, -1).result(timeout=BOUND),
    "big arguments": lambda pool: pool.submit(len, bytearray(200_000)).result(timeout=BOUND),
    "callback": lambda pool: pool.submit(abs, -1).add_done_callback(id),
    "map": lambda pool: list(pool.map(abs, [-1, -2, -3], timeout=BOUND)),
    "stats": lambda pool: pool.stats(),
}


@pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)
def test_an_interrupted_submit_or_wait_leaves_the_pool_whole(pool, act):
    def mended():
        futures = [pool.submit(abs, -2), pool.submit(abs, -3)]
        assert [future.result(timeout=BOUND) for future in futures] == [2, 3]

    assert at_every_bytecode(lambda: act(pool), mended, every=1 if act is not ACTIONS["map"] else 3) > 10
    ends(pool.shutdown)


@pytest.mark.slow(quick=["submit and wait"])
@pytest.mark.parametrize("name", ["submit", "submit and wait", "submit to a busy pool", "an error", "cancel"])
def test_a_second_signal_while_the_first_is_dealt_with_leaves_the_pool_whole(pool, name, monkeypatch):
    """Locks are free, and the rest is found by a worker's thread as it looks, within a second."""
    monkeypatch.setattr(worker_thread, "LOOK", 0.02)

    def mended():
        futures = [pool.submit(abs, -2), pool.submit(abs, -3)]
        assert [future.result(timeout=BOUND) for future in futures] == [2, 3]

    assert twice_at(lambda: ACTIONS[name](pool), mended, every=3) > 10
    ends(pool.shutdown)


def test_a_future_whose_wait_was_interrupted_still_gets_its_result(pool):
    futures = []

    def wait():
        futures[:] = [pool.submit(abs, -1)]
        futures[0].result(timeout=BOUND)

    def mended():
        assert [future.result(timeout=BOUND) for future in futures] in ([1], [])

    assert at_every_bytecode(wait, mended) > 10


@pytest.mark.slow(quick=["{}"])
@pytest.mark.parametrize("options", [{}, {"cancel_futures": True}, {"wait": False}], ids=str)
def test_an_interrupted_shutdown_can_be_repeated_and_loses_no_future(options):
    pools, numbers = [], itertools.count()

    def mended():
        for pool, future in pools:
            ends(pool.shutdown)
            assert future.cancelled() or future.result(timeout=BOUND) == 1
        pool = system.pool(f"pool-{next(numbers)}", workers=1)
        pools[:] = [(pool, pool.submit(abs, -1))]

    with af.ActorSystem("test") as system:
        mended()
        assert at_every_bytecode(lambda: pools[0][0].shutdown(**options), mended, every=13) > 5


PROGRAM = """
    import os, random, signal, sys, threading, time
    import actorflow as af

    rng = random.Random({seed})
    over, armed = [], []

    def interrupt(_number, _frame):
        if not over:
            raise KeyboardInterrupt

    def send():
        while not over:
            time.sleep(rng.uniform(0.0002, 0.005))
            if armed:  # before that, an interrupt would end the program
                os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)
    with af.ProcessPool(2) as pool:
        known = pool.submit(pow, 2, 3)
        known.result(timeout=20)
        threading.Thread(target=send, daemon=True).start()
        while not over:
            try:
                try:
                    armed.append(True)
                    while True:
                        future = pool.submit(pow, 2, 3)
                        try:
                            future.result(timeout=20)
                        finally:
                            known = future
                except KeyboardInterrupt:
                    over.append(True)
            except KeyboardInterrupt:  # between the two lines above: once more
                pass
        assert known.result(timeout=20) == 8
    print("ended")
"""


@pytest.mark.slow(quick=["0"])
@pytest.mark.parametrize("seed", range(3))
def test_programs_that_get_ctrl_c_in_a_loop_of_short_calls_end(seed):
    """Some at once: moments are many, and each program ends soon."""
    text = textwrap.dedent(PROGRAM)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", text.format(seed=10 * seed + number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        for number in range(5)
    ]
    outs = [ended(process, patience=60) for process in running]
    assert outs == [("ended\n", "", 0)] * 5


def ended(process, patience):
    """Return what a program wrote and its exit code; one that hangs is killed by SIGABRT, and writes where it hung."""
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate(timeout=20)
    return out, err, process.returncode
