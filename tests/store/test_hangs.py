"""Promises: a transaction in which a task hangs is undone from outside; nobody waits for it for ever."""

import contextlib
import threading

import pytest

from actorflow.errors import ActorDeadError, StoreError
from actorflow.store import group_commit, turn
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.store.rows import adding, ids, row


class Hanging:
    """A thread that opens a transaction, writes, and hangs until it is told to go on by some steps."""

    def __init__(self, store, *steps):
        self.store, self.steps, self.ended, self.opened = store, steps, threading.Event(), threading.Event()
        self.results = []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        assert self.opened.wait(30)
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(30)

    def run(self):
        self.held = self.store.hold()
        self.held.transaction.run("nodes.add", row("half"))
        self.opened.set()
        self.ended.wait(30)
        for step in self.steps:
            try:
                step(self.held)
                self.results.append(None)
            except Exception as error:
                self.results.append(error)

    def go_on(self):
        self.ended.set()
        self.thread.join(30)
        return self.results


def test_a_transaction_that_hangs_is_undone_and_the_others_go_on(store):
    with Hanging(store, lambda held: held.commit()) as hanging:
        waits = threading.Thread(target=store.write, args=(adding("a"),))
        waits.start()
        assert hanging.held.abandon()
        waits.join(30)
        assert ids(store) == {"a"}
        store.write(adding("b"))
        (error,) = hanging.go_on()
    assert isinstance(error, StoreError)
    assert "was undone" in str(error)
    assert ids(store) == {"a", "b"}


def test_what_its_thread_writes_afterwards_is_refused_until_it_leaves(store):
    steps = [
        lambda held: held.transaction.run("nodes.add", row("x")),
        lambda held: held.connection.execute("select 1"),
        lambda held: held.connection.cursor().execute("select 1"),
        lambda _: store.write(adding("y")),
        lambda _: store.submit(adding("z")),
        lambda _: store.hold(),
        lambda held: held.rollback(),
        lambda held: held.rollback(),
        lambda _: store.write(adding("after")),
    ]
    with Hanging(store, *steps) as hanging:
        assert hanging.held.abandon()
        store.write(adding("a"))
        results = hanging.go_on()
    assert [isinstance(result, Exception) for result in results] == [True] * 6 + [False] * 3, results
    assert ids(store) == {"a", "after"}


def test_a_transaction_that_is_over_cannot_be_undone(store):
    held = store.hold()
    store.write(adding("a"))
    held.commit()
    assert not held.abandon()
    again = store.hold()
    assert not held.abandon()  # the next one of the same thread is not its own
    store.write(adding("b"))
    again.commit()
    assert ids(store) == {"a", "b"}


def test_the_next_transaction_after_one_that_hung_is_like_any_other(store):
    with Hanging(store, lambda held: held.rollback()) as hanging:
        assert hanging.held.abandon()
    held = store.hold()
    store.write(adding("a"))
    held.connection.execute("select 1")
    held.commit()
    assert ids(store) == {"a"}


def test_work_behind_a_transaction_that_hangs_fails_in_bounded_time(store, monkeypatch):
    for module in (group_commit, turn):
        monkeypatch.setattr(module, "TURN_SECONDS", 0.1)
    monkeypatch.setattr(group_commit, "LOOK_SECONDS", 0.05)
    with Hanging(store, lambda held: held.commit()) as hanging:
        with pytest.raises(StoreError, match="another thread of this process has the store"):
            store.write(adding("a"))
        with pytest.raises(StoreError, match="does a task hang in it"):
            store.hold()
        assert hanging.go_on() == [None]
    assert ids(store) == {"half"}


def test_a_store_is_closed_although_a_task_hangs_in_its_transaction(url):
    with LeakCheck():
        store = open_store(url)
        with Hanging(store, lambda held: held.commit()) as hanging:
            closing = threading.Thread(target=store.close)
            closing.start()
            closing.join(30)
            assert not closing.is_alive()
            (error,) = hanging.go_on()
        assert isinstance(error, (StoreError, ActorDeadError))


def test_a_statement_that_runs_for_long_is_ended_too(opened, url):
    if not url.startswith("sqlite"):
        pytest.skip("the server ends a statement when its session ends")
    store = opened()
    endless = "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n"
    with Hanging(store, lambda held: held.connection.execute(endless), lambda held: held.commit()) as hanging:
        hanging.ended.set()
        until(lambda: hanging.thread.is_alive())
        assert hanging.held.abandon()
        store.write(adding("a"))
        hanging.thread.join(30)
        assert [isinstance(error, Exception) for error in hanging.results] == [True, True]
    assert ids(store) == {"a"}


def test_a_thread_that_leaves_its_transaction_while_that_is_undone_leaves_nothing_open(url):
    with LeakCheck(), contextlib.closing(open_store(url)) as store:
        undo = store._writer.abandon
        with Hanging(store, lambda held: held.commit(), lambda _: store.write(adding("b"))) as hanging:

            def abandon(threads):
                end = undo(threads)
                hanging.ended.set()
                hanging.thread.join(0.2)  # it must not leave yet
                return end

            store._writer.abandon = abandon
            assert hanging.held.abandon()
            hanging.thread.join(30)
            refused, written = hanging.results
        assert isinstance(refused, StoreError)
        assert written is None
        assert ids(store) == {"b"}
