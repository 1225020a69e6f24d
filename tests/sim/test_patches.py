"""Promises: clocks, random numbers, locks and queues of handlers are the simulated world's, and all others are real."""

import asyncio
import datetime as dt
import os
import pickle
import queue
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from random import random as imported_random
from threading import Lock
from time import sleep as imported_sleep
from time import time as imported_time

import pytest

import actorflow as af
from actorflow.core.futures import thread_wait
from actorflow.sim import NotSimulated, Simulation
from actorflow.sim.patches import patched
from actorflow.testing import LeakCheck

START = 1_600_000_000.0


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


@dataclass
class Row:
    """Its factories have taken the functions before any simulation began."""

    at: datetime = field(default_factory=datetime.now)
    seconds: float = field(default_factory=time.time)
    key: uuid.UUID = field(default_factory=uuid.uuid4)
    chance: float = field(default_factory=random.random)


class Call(af.Actor):
    """Calls a function that it is given, which is not pickled."""

    def act(self, name, *args):
        return ACTS[name](*args)

    async def act_async(self, name, *args):
        return ACTS[name](*args)


ACTS = {}


def act(function):
    ACTS[function.__name__] = function
    return function


APP = af.App("demo").add(af.child(Call).options(name="a"), af.child(Call).options(name="b"))


def call(sim, name, *args, path="/demo/a"):
    return sim.nodes[0].system.find(path, Call).call(Call.act, name, *args)


def result(name, *args, seed=3, after=1):
    with Simulation(seed) as sim:
        sim.start(APP)
        sim.run(until=after)
        return call(sim, name, *args).get()


# --- clocks -----------------------------------------------------------------------------------------------------------


@act
def clocks():
    utc = datetime.fromtimestamp(START + 1, dt.UTC)
    local = datetime.fromtimestamp(START + 1)
    row = Row()
    wall = START + 1
    seen = {
        "time": time.time() == imported_time() == row.seconds == time.clock_gettime(time.CLOCK_REALTIME) == wall,
        "time_ns": time.time_ns() == time.clock_gettime_ns(time.CLOCK_REALTIME) == int(wall * 1e9),
        "monotonic": time.monotonic() == time.perf_counter() == time.process_time() == 1.0,
        "monotonic_ns": time.monotonic_ns() == time.perf_counter_ns() == 1_000_000_000,
        "now": datetime.now() == datetime.today() == row.at == local,
        "now of a zone": datetime.now(dt.UTC) == utc and datetime.now(tz=dt.UTC).tzinfo is dt.UTC,
        "utcnow": datetime.utcnow() == utc.replace(tzinfo=None) if sys.version_info < (3, 12) else True,
        "today": dt.date.today() == local.date(),
        "localtime": time.localtime() == local.timetuple() or time.localtime().tm_min == local.minute,
        "gmtime": time.gmtime().tm_hour == utc.hour,
        "strftime": time.strftime("%H:%M:%S") == local.strftime("%H:%M:%S"),
        "ctime": time.ctime() == time.asctime() == time.ctime(wall),
    }
    return [name for name, is_right in seen.items() if not is_right]


def test_clocks_of_a_handler_show_virtual_time_by_whatever_name_they_are_known():
    assert result("clocks") == []


@act
def naps():
    begin = time.time()
    time.sleep(2.5)
    imported_sleep(1)
    return time.time() - begin


def test_sleep_takes_virtual_time():
    assert result("naps") == 3.5


def test_a_sleep_that_makes_no_sense_raises_what_it_raises():
    ACTS["bad_sleep"] = lambda: time.sleep(-1)
    with pytest.raises(ValueError, match="non-negative"):
        result("bad_sleep")


class Async(af.Actor):
    """Sleeps in coroutines."""

    async def nap(self):
        begin = time.monotonic()
        time.sleep(2)
        return time.monotonic() - begin


@pytest.mark.parametrize("options", [{}, {"loop": True}])
def test_async_handlers_too_sleep_in_virtual_time(options):
    app = af.App("demo").add(af.child(Async).options(name="a", **options))
    with Simulation(1) as sim:
        ref = sim.start(app).find("/demo/a", Async)
        assert ref.call(Async.nap).get() == 2.0


def test_the_tests_own_clock_and_other_threads_are_real():
    with Simulation() as sim:
        sim.start(APP)
        before = time.time()
        assert before > START + 1e7
        assert datetime.now().year >= 2025
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(time.time).result() >= before
            assert pool.submit(random.random).result() != pool.submit(random.random).result()


def test_a_skewed_host_has_a_clock_of_its_own():
    ACTS["now"] = lambda: (time.time() - START, datetime.now().timestamp() - START, time.monotonic())
    with Simulation(1) as sim:
        sim.start(APP)
        sim.at(1).clock_skew("/demo/b", -90, heal=5)
        sim.run(until=2)
        assert call(sim, "now").get() == (2.0, 2.0, 2.0)
        assert call(sim, "now", path="/demo/b").get() == (-88.0, -88.0, 2.0)
        report = sim.run(until=7)
        assert call(sim, "now", path="/demo/b").get() == (7.0, 7.0, 7.0)
        assert report.faults == ["clock of /demo/b -90 s at 1 s"]
        assert all(sim.met.values())


class Asks(af.Actor):
    """Asks its context for the time."""

    def now(self):
        return self.ctx.now() - START


def test_a_skew_is_seen_by_the_context_and_a_skew_that_nobody_saw_is_told():
    app = af.App("demo").add(af.child(Asks).options(name="a"))
    with Simulation(1) as sim:
        ref = sim.start(app).find("/demo/a", Asks)
        sim.at(0).clock_skew(Asks, 60)
        sim.run(until=1)
        assert not all(sim.met.values())
        assert ref.call(Asks.now).get() == 61.0
        assert all(sim.met.values())


# --- random numbers ---------------------------------------------------------------------------------------------------


@act
def draws():
    row = Row()
    return [
        row.key,
        row.chance,
        random.random(),
        imported_random(),
        random.choice(range(10**9)),
        random.gauss(0, 1),
        random.sample(range(10**6), 3),
        random.getrandbits(60),
        random.randbytes(5),
        random.Random().random(),
        random.SystemRandom().random(),
        secrets.token_hex(8),
        uuid.uuid4(),
        uuid.uuid1(),
        os.urandom(8),
    ]


def test_random_numbers_come_of_the_seed_and_of_the_actor():
    one = result("draws")
    assert result("draws") == one
    assert not any(map(set(map(str, one)).__contains__, map(str, result("draws", seed=4))))
    with Simulation(3) as sim:
        sim.start(APP)
        sim.run(until=1)
        other = call(sim, "draws", path="/demo/b").get()
        assert call(sim, "draws").get() == one  # what others draw does not shift it
    assert not any(map(set(map(str, one)).__contains__, map(str, other)))


def test_two_uuids_of_one_time_differ():
    ACTS["uuids"] = lambda: (uuid.uuid1(), uuid.uuid1(), uuid.uuid1(node=7, clock_seq=5))
    one, two, fixed = result("uuids")
    assert one != two
    assert one.time == two.time
    assert (fixed.node, fixed.clock_seq, fixed.version) == (7, 5, 1)
    assert datetime.fromtimestamp((one.time - 0x01B21DD213814000) / 1e7, dt.UTC).timestamp() == START + 1


def test_a_handler_that_seeds_shifts_no_other():
    def seeds():
        random.seed(7)
        state = random.getstate()
        first = random.random()
        random.setstate(state)
        return first, random.random()

    ACTS["seeds"] = seeds
    before = random.getstate()
    assert result("seeds") == (random.Random(7).random(),) * 2
    assert random.getstate() == before


def test_the_body_of_a_test_draws_from_the_seed():
    def body(seed):
        with Simulation(seed) as sim:
            sim.start(APP)
            return random.random(), uuid.uuid4(), random.Random().random()

    assert body(1) == body(1)
    assert body(1) != body(2)


# --- locks and queues -------------------------------------------------------------------------------------------------

SHARED = {}


@act
def make():
    SHARED.update(
        lock=threading.Lock(),
        other=Lock(),
        rlock=threading.RLock(),
        event=threading.Event(),
        semaphore=threading.Semaphore(1),
        queue=queue.Queue(1),
        simple=SimpleQueue(),
        condition=threading.Condition(),
    )


@act
def hold(name, seconds):
    with SHARED[name]:
        time.sleep(seconds)
        return time.monotonic()


@pytest.mark.parametrize("name", ["lock", "other", "rlock", "semaphore"])
def test_who_waits_for_a_lock_parks_in_virtual_time(name):
    with Simulation(2) as sim:
        sim.start(APP)
        call(sim, "make").get()
        ends = [call(sim, "hold", name, 1), call(sim, "hold", name, 1, path="/demo/b")]
        assert sorted(end.get() for end in ends) == [1.0, 2.0]


def test_a_lock_that_stays_taken_is_given_up_in_time():
    ACTS["try"] = lambda: (SHARED["lock"].acquire(timeout=3), SHARED["lock"].acquire(blocking=False), time.monotonic())
    with Simulation(0) as sim:
        sim.start(APP)
        call(sim, "make").get()
        held = call(sim, "hold", "lock", 10)
        sim.run(until=1)
        assert call(sim, "try", path="/demo/b").get() == (False, False, 4.0)
        held.get()


@act
def two(one, other):
    with SHARED[one]:
        time.sleep(1)
        with SHARED[other]:
            return "both"


def test_two_locks_taken_in_two_orders_are_a_deadlock():
    with Simulation(1) as sim:
        sim.start(APP)
        call(sim, "make").get()
        ends = [call(sim, "two", "lock", "other"), call(sim, "two", "other", "lock", path="/demo/b")]
        found = []
        for end in ends:
            try:
                found.append(end.get(timeout=60))
            except af.DeadlockError:
                found.append("deadlock")
        assert sorted(found) == ["both", "deadlock"]


def test_events_conditions_and_queues_wait_in_virtual_time():
    def waits():
        return SHARED["event"].wait(9), time.monotonic()

    def sets():
        time.sleep(2)
        SHARED["event"].set()

    def puts():
        for number in range(4):
            SHARED["queue"].put(number)
            time.sleep(0.5)
        SHARED["simple"].put("last")

    def gets():
        got = [SHARED["queue"].get() for _ in range(4)]
        got.append(SHARED["simple"].get(timeout=5))
        try:
            SHARED["queue"].get(timeout=3)
        except queue.Empty:
            got.append(time.monotonic())
        return got

    ACTS.update(waits=waits, sets=sets, puts=puts, gets=gets)
    with Simulation(6) as sim:
        sim.start(APP)
        call(sim, "make").get()
        waiter = call(sim, "waits")
        call(sim, "sets", path="/demo/b").get()
        assert waiter.get() == (True, 2.0)
        taker = call(sim, "gets")
        call(sim, "puts", path="/demo/b").get()
        assert taker.get() == [0, 1, 2, 3, "last", 7.0]


def test_locks_of_a_host_are_free_as_it_dies():
    with Simulation(1) as sim:
        sim.start(APP)
        call(sim, "make").get()
        held = call(sim, "hold", "lock", 100)
        waiter = call(sim, "hold", "lock", 1, path="/demo/b")
        sim.at(5).crash("/demo/a")
        sim.run(until=10)
        assert waiter.get() == 6.0
        with pytest.raises(af.HostDied):
            held.get()


def test_locks_made_in_a_simulation_are_locks_afterwards():
    with Simulation(1) as sim:
        sim.start(APP)
        call(sim, "make").get()
    lock, simple = SHARED["lock"], SHARED["simple"]
    with lock, ThreadPoolExecutor(1) as pool:
        assert lock.locked()
        assert not pool.submit(lock.acquire, timeout=0.01).result()
    assert not lock.locked()
    simple.put(1)
    assert simple.get() == 1
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(lock)


def test_locks_of_the_runtime_and_of_the_test_are_real():
    real = type(threading.Lock())
    with Simulation(1) as sim:
        sim.start(APP)
        assert type(threading.Lock()) is real
        assert isinstance(SimpleQueue(), queue.SimpleQueue)
        ACTS["types"] = lambda: isinstance(queue.SimpleQueue(), queue.SimpleQueue)
        assert call(sim, "types").get()


# --- what is refused --------------------------------------------------------------------------------------------------


def run_thread():
    threading.Thread(target=print).start()


def run_pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(print)


REFUSED = {
    "a thread": run_thread,
    "a thread of a pool": run_pool,
    "a socket": lambda: socket.socket(),
    "a name": lambda: socket.create_connection(("localhost", 9)),
    "a process": lambda: subprocess.run(["true"], check=False),
    "a shell": lambda: os.system("true"),
    "a fork": lambda: os.fork(),
    "an end": lambda: os._exit(0),
    "a loop": lambda: asyncio.new_event_loop(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_leaves_the_simulation_fails_the_run_with_its_line(what):
    ACTS["leaves"] = REFUSED[what]
    with Simulation(1) as sim:
        sim.start(APP)
        sim.at(1).call(lambda: sim.nodes[0].system.find("/demo/a", Call).cast(Call.act, "leaves"))
        with pytest.raises(NotSimulated) as caught:
            sim.run(until=2)
        error = caught.value
        assert error.file == __file__
        assert error.line == pytest.approx(REFUSED[what].__code__.co_firstlineno, abs=2)
        again = pickle.loads(pickle.dumps(error))
        assert (again.what, again.file, again.line, str(again)) == (error.what, error.file, error.line, str(error))


class Connects(af.Actor, loop=True):
    """Opens a connection on the loop."""

    async def go(self):
        await asyncio.open_connection("localhost", 9)


def test_a_connection_on_the_loop_is_refused_with_its_line():
    app = af.App("demo").add(af.child(Connects).options(name="a"))
    with Simulation(1) as sim:
        ref = sim.start(app).find("/demo/a", Connects)
        with pytest.raises(NotSimulated, match="test_patches"):
            ref.call(Connects.go).get()


# --- on and off -------------------------------------------------------------------------------------------------------


def functions():
    names = (
        time.time, time.sleep, time.monotonic, random.random, os.urandom, threading.Lock, threading.RLock,
        threading._CRLock, queue.SimpleQueue, SimpleQueue, Lock, subprocess._fork_exec, os.fork, uuid.uuid1,
        random.Random.seed, socket.socket.__init__, vars(datetime)["now"],
    )  # fmt: skip
    return [(function, getattr(function, "__self__", None)) for function in names]


def test_all_is_as_before_after_the_last_simulation():
    before, state = functions(), random.getstate()
    first = Simulation(1)
    second = Simulation(2)
    first.close()
    first.close()
    assert functions() != before
    second.close()
    assert functions() == before
    with pytest.raises(af.DefinitionError):
        Simulation(-1)
    with pytest.raises(ZeroDivisionError), Simulation(3) as sim:
        sim.start(APP)
        raise ZeroDivisionError
    assert functions() == before
    assert random.getstate() == state
    assert hash(time.time) == hash(imported_time)


def test_a_patch_that_cannot_be_put_on_leaves_none(monkeypatch):
    class Bad:
        def on(self):
            raise ZeroDivisionError

        def off(self):
            pass

    before = functions()
    driver = thread_wait.DRIVERS.get(threading.get_ident())
    patches = (*patched.all_patches(), Bad())
    monkeypatch.setattr(patched, "all_patches", lambda: patches)
    with pytest.raises(ZeroDivisionError):
        Simulation(1)
    assert functions() == before
    assert thread_wait.DRIVERS.get(threading.get_ident()) == driver


def test_two_simulations_in_two_threads_have_their_own_time_and_numbers():
    def run(seed, gate):
        with Simulation(seed) as sim:
            sim.start(APP)
            sim.run(until=seed)
            gate.wait(100)
            return call(sim, "naps").get(), call(sim, "draws").get()[1:], sim.world.clock.now

    alone = [run(seed, threading.Barrier(1)) for seed in (1, 2)]
    gate = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(run, (1, 2), (gate, gate)))
    assert [each[0] for each in beside] == [3.5, 3.5]
    assert beside == alone


def test_functions_are_pickled_as_themselves_meanwhile():
    ACTS["pickles"] = lambda: all(
        pickle.loads(pickle.dumps(function)) is function
        for function in (time.time, time.sleep, random.random, os.urandom)
    )
    assert result("pickles")
