"""blocking=True: one thread for `on_start`, all handlers and `on_stop`."""

import sqlite3
import threading

import pytest

import actorflow as af
from tests.core.actors import Echo, Held, hold


class Db(af.Actor, blocking=True):
    """Keeps a connection that works in one thread only."""

    def __init__(self, threads):
        super().__init__()
        self.threads = threads

    def note(self):
        self.threads.append(threading.get_ident())

    def on_start(self):
        self.note()
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("create table t (n)")

    def insert(self, n):
        self.note()
        return self.connection.execute("insert into t values (?) returning n", [n]).fetchone()[0]

    async def insert_after(self, echo, n):
        self.note()
        return self.insert(await echo.ask(n, block=False))

    def on_stop(self):
        self.note()
        self.connection.close()


def test_blocking_actors_have_one_thread_for_start_handlers_and_stop(any_system):
    threads = []
    ref = any_system.spawn(Db, threads)
    held = any_system.spawn(Held)
    gate, _ = hold(held)  # other waits make the baton move
    assert [ref.call(Db.insert, n).get(timeout=20) for n in range(5)] == list(range(5))
    gate.set()
    hold(held)[0].set()
    assert ref.call(Db.insert, 5).get(timeout=20) == 5
    assert ref.stop(timeout=20)
    assert len(threads) == 8
    assert len(set(threads)) == 1


def test_async_handlers_of_blocking_actors_resume_on_their_thread(any_system):
    threads = []
    ref, echo = any_system.spawn(Db, threads), any_system.spawn(Echo)
    assert [ref.call(Db.insert_after, echo, n).get(timeout=20) for n in range(5)] == list(range(5))
    assert ref.stop(timeout=20)
    assert len(set(threads)) == 1


def test_two_blocking_actors_have_two_threads(system):
    one, two = [], []
    first, second = system.spawn(Db, one), system.spawn(Db, two)
    assert first.call(Db.insert, 1).get(timeout=20) == second.call(Db.insert, 1).get(timeout=20)
    assert set(one).isdisjoint(two)


def test_a_blocking_actor_that_blocks_for_long_delays_nobody(system):
    class Waits(af.Actor, blocking=True):
        def wait(self, event):
            return event.wait(20)

    event = threading.Event()
    answer = system.spawn(Waits).call(Waits.wait, event)
    assert system.spawn(Echo).ask("through", timeout=20) == "through"
    event.set()
    assert answer.get(timeout=20)


def test_an_error_in_a_blocking_actor_goes_to_its_caller(any_system):
    ref = any_system.spawn(Db, [])
    with pytest.raises(sqlite3.Error):
        ref.call(Db.insert, object()).get(timeout=20)
    assert ref.call(Db.insert, 1).get(timeout=20) == 1


def test_the_thread_of_a_blocking_actor_ends_with_it(system):
    before = set(threading.enumerate())
    ref = system.spawn(Db, [])
    own = set(threading.enumerate()) - before
    assert [thread.name for thread in own] == [f"test-{ref.name}"]
    assert ref.stop(timeout=20)
    for thread in own:
        thread.join(30)
        assert not thread.is_alive()
