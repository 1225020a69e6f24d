"""Promises: a commit that fails says whether its work is there; last statements take their locks in one order."""

import contextlib
import sqlite3
import threading

import pytest

import actorflow as af
from actorflow.core.futures.future import patient
from actorflow.errors import OutcomeUnknown, StoreError, StoreOutdated
from actorflow.store.pending_writes import PendingWrite
from actorflow.store.sqlite.place import touch
from tests.core.actors import until
from tests.store.rows import add, adding, ids


class Losing:
    """A writer whose commits are reported as lost, before or after they are made."""

    def __init__(self, writer, *, is_made):
        self.writer, self.is_made = writer, is_made

    def __getattr__(self, name):
        return getattr(self.writer, name)

    def commit(self):
        if self.is_made:
            self.writer.commit()
        raise StoreError("the connection was lost")


@contextlib.contextmanager
def losing(store, *, is_made):
    commits = store._commits
    writer = commits._writer
    commits._writer = Losing(writer, is_made=is_made)
    try:
        yield
    finally:
        commits._writer = writer


def shared(store, *work):
    """Do work in one commit; return its pieces."""
    pieces = [PendingWrite(one, "process", patient(None)) for one in work]
    with store._commits.turn:
        over = store._commits._commit(pieces)
    assert set(over) == set(pieces)
    return pieces


def test_a_commit_whose_answer_is_lost_is_an_unknown_outcome_of_all_its_work(store):
    with losing(store, is_made=True):
        with pytest.raises(OutcomeUnknown, match="check whether its work is there"):
            store.write(adding("a"))
        for piece in shared(store, adding("b"), adding("c")):
            assert isinstance(piece.error, OutcomeUnknown)
    assert ids(store) == {"a", "b", "c"}
    store.write(adding("d"))


def test_a_held_transaction_whose_answer_is_lost_is_an_unknown_outcome(store):
    held = store.hold()
    store.write(adding("a"))
    with losing(store, is_made=True), pytest.raises(OutcomeUnknown):
        held.commit()
    assert ids(store) == {"a"}


def test_a_commit_that_is_refused_is_no_unknown_outcome(store):
    with losing(store, is_made=False):
        with pytest.raises(StoreError) as caught:
            store.write(adding("a"))
    if store.dialect == "sqlite":  # the transaction is still there, so it is known; a session may have gone
        assert not isinstance(caught.value, OutcomeUnknown)
    assert ids(store) == set()


# --- last statements -------------------------------------------------------------------------------------------------


def last(order, key, *, fails=False):
    def act(transaction):
        order.append(key)
        add(transaction, f"last-{key}")
        if fails:
            raise KeyError(key)

    def work(transaction):
        add(transaction, key)
        transaction.last(("test", key), lambda: act(transaction))

    return work


def test_last_statements_run_in_the_order_of_their_keys_over_a_whole_commit(store):
    order = []
    pieces = shared(store, *[last(order, key) for key in "dacb"])
    assert [piece.error for piece in pieces] == [None] * 4
    assert order == (list("abcd") if store.dialect == "postgres" else list("dacb"))  # SQLite has one lock
    assert ids(store) == {*"abcd", *(f"last-{key}" for key in "abcd")}


def test_a_last_statement_that_fails_undoes_its_piece_alone(store):
    order = []
    pieces = shared(store, last(order, "a"), last(order, "c", fails=True), last(order, "b"), last(order, "d"))
    assert [type(piece.error) for piece in pieces] == [type(None), KeyError, type(None), type(None)]
    assert ids(store) == {*"abd", *(f"last-{key}" for key in "abd")}
    with pytest.raises(KeyError):
        store.write(last(order, "x", fails=True))
    assert "x" not in ids(store)
    store.write(last(order, "y"))  # nothing of the last one is left over
    assert {"y", "last-y"} <= ids(store)
    assert "last-x" not in ids(store)


def test_last_statements_are_part_of_a_held_transaction(store):
    held = store.hold()
    store.write(last([], "a"))
    with pytest.raises(KeyError):
        store.write(last([], "b", fails=True))
    assert ids(store) == {"a", "last-a"}
    held.commit()
    assert ids(store) == {"a", "last-a"}


# --- newer tables ----------------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_a_process_whose_tables_a_newer_program_has_changed_writes_no_more(opened, url):
    store = opened()
    store.write(adding("a"))
    migrate(url, 99)
    with pytest.raises(StoreOutdated, match=r"version 99, this actorflow knows \d+: update actorflow"):
        store.write(adding("b"))
    for piece in shared(store, adding("c"), adding("d")):
        assert isinstance(piece.error, StoreOutdated)
    with pytest.raises(StoreOutdated):
        store.hold()
    migrate(url, store.version)
    assert ids(store) == {"a"}
    store.write(adding("e"))


def migrate(url, version):
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("update af_meta set value = ? where key = 'version'", (version,))
            touch(url.removeprefix("sqlite:///"))
    else:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("update actorflow.meta set value = %s where key = 'version'", (version,))


# --- the end ---------------------------------------------------------------------------------------------------------


def has_the_turn(turn):
    """Say whether another thread has it."""
    if not turn.acquire(blocking=False):
        return True
    turn.release()
    return False


@af.task
def nothing():
    pass


def test_the_end_beside_another_threads_commit_is_quiet(tmp_path, caplog):
    file = f"{tmp_path}/shop.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        with af.ActorSystem("shop", store=f"sqlite:///{file}", settings=af.Settings(grace=60)) as system:
            queue = system.queue("later")
            queue.enqueue(nothing)
            other.execute("begin immediate")
            thread = threading.Thread(target=lambda: queue.enqueue(nothing))
            thread.start()
            until(lambda: has_the_turn(system.store._commits.turn))
            threading.Timer(0.3, other.rollback).start()
        thread.join(30)
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


def test_after_an_unknown_outcome_all_look_who_hear_of_commits(store):
    heard = []
    store.watch(lambda: heard.append(ids(store)))
    with losing(store, is_made=True):
        with pytest.raises(OutcomeUnknown):
            store.write(adding("a"))
    assert {"a"} in heard


def test_last_statements_of_one_piece_are_not_run_for_another(store):
    order = []
    shared(store, adding("x"), last(order, "a"), adding("y"), last(order, "b"))
    assert order == ["a", "b"]


def test_a_queue_and_a_durable_actor_stop_and_say_so_once_when_a_newer_program_changes_the_tables(tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/shop.db"
    with af.ActorSystem("shop", store=url, settings=af.Settings(grace=1)) as system:
        queue = system.queue("q", workers=1)
        assert queue.enqueue(nothing).result(timeout=30) is None
        migrate(url, 99)
        with pytest.raises(StoreOutdated):
            queue.enqueue(nothing)
        until(lambda: "takes no more jobs in this process, restart it" in caplog.text)
        for _ in range(20):
            queue._local.wake()
        said = [record for record in caplog.records if "takes no more jobs" in record.message]
        assert len(said) == 1
        migrate(url, system.store.version)
    assert "the store failed, tried again in a second" not in caplog.text
