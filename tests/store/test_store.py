"""Promises of every store: what is written is there, what fails is not, and nobody undoes another's."""

import contextlib
import os
import threading

import pytest

from actorflow.core.futures.future import patient
from actorflow.errors import ActorDeadError, DeadlockError, DefinitionError, StoreError
from actorflow.store.group_commit import BATCH
from actorflow.store.pending_writes import PendingWrite
from actorflow.store.store import open_store
from tests.store.processes import line, program
from tests.store.rows import add, adding, ids, ids_in, row

# --- a piece of work -------------------------------------------------------------------------------------------------


def test_write_returns_what_the_work_returned_and_it_is_there(store):
    assert store.write(adding("a")) == "a"
    assert ids(store) == {"a"}


def test_submit_sets_its_future_once_the_work_is_committed(store):
    future = store.submit(adding("a"))
    assert future.get(timeout=30) == "a"
    assert ids(store) == {"a"}


def test_an_error_undoes_its_piece_of_work_and_reaches_the_caller(store):
    def work(transaction):
        add(transaction, "a")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        store.write(work)
    with pytest.raises(KeyError, match="mine"):
        store.submit(work).get(timeout=30)
    assert ids(store) == set()
    store.write(adding("b"))
    assert ids(store) == {"b"}


def test_what_a_second_signal_kept_from_being_undone_is_not_committed_with_the_next_work(store, monkeypatch):
    def interrupt():
        monkeypatch.undo()
        raise KeyboardInterrupt("the second")

    def work(transaction):
        add(transaction, "a")
        monkeypatch.setattr(store._commits._writer, "rollback", interrupt)
        raise KeyboardInterrupt("the first")

    with pytest.raises(KeyboardInterrupt, match="the second"):
        store.write(work)
    store.write(adding("b"))
    assert ids(store) == {"b"}


def test_an_error_of_the_database_comes_as_a_store_error_with_its_text(store):
    store.write(adding("a"))
    with pytest.raises(StoreError, match="(?i)unique"):
        store.write(adding("a"))
    store.write(adding("b"))
    assert ids(store) == {"a", "b"}


def test_work_that_hides_an_error_of_the_database_is_undone_all_the_same(store):
    def work(transaction):
        add(transaction, "b")
        with contextlib.suppress(StoreError):
            add(transaction, "a")

    store.write(adding("a"))
    with pytest.raises(StoreError):
        store.write(work)
    with pytest.raises(StoreError):
        store.submit(work).get(timeout=30)
    assert ids(store) == {"a"}
    assert held(store, adding("c"), work, adding("d"))[2].get(timeout=30) == "d"
    assert ids(store) == {"a", "c", "d"}


def test_run_returns_how_many_rows_were_changed(store):
    def work(transaction):
        add(transaction, "a")
        return [transaction.run("nodes.remove", {"id": id}) for id in ("a", "a", "b")]

    assert store.write(work) == [1, 0, 0]


def test_one_returns_the_first_row_or_none(store):
    store.write(lambda transaction: transaction.many("nodes.add", [row("a"), row("b")]))
    assert store.read(lambda transaction: transaction.one("nodes.others", {"id": "b"}))[0] == "a"
    store.write(lambda transaction: transaction.run("nodes.remove", {"id": "a"}))
    assert store.read(lambda transaction: transaction.one("nodes.others", {"id": "b"})) is None


def test_many_runs_a_statement_for_each_of_its_parameters(store):
    store.write(lambda transaction: transaction.many("nodes.add", (row(str(n)) for n in range(100))))
    assert len(ids(store)) == 100
    store.write(lambda transaction: transaction.many("nodes.add", []))
    assert len(ids(store)) == 100


def test_work_sees_what_it_has_written_itself(store):
    def work(transaction):
        add(transaction, "a")
        return ids_in(transaction)

    assert store.write(work) == ["a"]


def test_an_unknown_statement_is_a_definition_error_that_names_the_nearest(store):
    with pytest.raises(DefinitionError, match=r"no statement is named 'nodes\.ad'; did you mean 'nodes\.add'"):
        store.write(lambda transaction: transaction.run("nodes.ad"))
    with pytest.raises(DefinitionError, match="'nonsense'; they are in"):
        store.read(lambda transaction: transaction.all("nonsense"))
    store.write(adding("a"))


def test_a_missing_parameter_is_an_error_and_nothing_is_written(store):
    with pytest.raises((StoreError, KeyError)):
        store.write(lambda transaction: transaction.run("nodes.add", {"id": "a"}))
    assert ids(store) == set()


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_read_cannot_write(store):
    with pytest.raises(StoreError, match="(?i)read.?only"):
        store.read(adding("a"))
    assert ids(store) == set()
    store.write(adding("b"))
    assert ids(store) == {"b"}


def test_an_error_in_a_read_reaches_the_caller_and_the_next_read_works(store):
    with pytest.raises(KeyError):
        store.read(lambda transaction: {}["no"])
    assert ids(store) == set()


@pytest.mark.shared
def test_a_read_sees_one_moment_and_does_not_wait_for_writers(store):
    def work(transaction):
        before = ids_in(transaction)
        writer = threading.Thread(target=store.write, args=(adding("a"),))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        return before, ids_in(transaction)

    assert store.read(work) == ([], [])
    assert ids(store) == {"a"}


@pytest.mark.shared
def test_a_read_during_a_transaction_of_another_thread_does_not_see_it(store):
    written, seen = threading.Event(), threading.Event()

    def work(transaction):
        add(transaction, "a")
        written.set()
        assert seen.wait(30)

    writer = threading.Thread(target=store.write, args=(work,))
    writer.start()
    assert written.wait(30)
    assert ids(store) == set()
    seen.set()
    writer.join(30)
    assert ids(store) == {"a"}


# --- many pieces -----------------------------------------------------------------------------------------------------


def held(store, *works, durability=None):
    """Submit pieces of work while another holds the writer, so that they share the next commit."""
    inside, go = threading.Event(), threading.Event()

    def hold(_transaction):
        inside.set()
        assert go.wait(30)

    holder = threading.Thread(target=store.write, args=(hold,))
    holder.start()
    assert inside.wait(30)
    futures = [store.submit(work, durability=durability) for work in works]
    assert not any(future.done() for future in futures)
    go.set()
    holder.join(30)
    return futures


def test_pieces_that_wait_at_the_same_time_share_one_commit(store, monkeypatch):
    commits = []
    commit = store._commits._writer.commit
    monkeypatch.setattr(store._commits._writer, "commit", lambda: (commits.append(1), commit()))
    futures = held(store, *[adding(str(n)) for n in range(100)])
    assert [future.get(timeout=30) for future in futures] == [str(n) for n in range(100)]
    assert len(commits) == 2  # of the one that held the writer, and of all others


def test_a_commit_takes_no_more_pieces_than_a_batch(store, monkeypatch):
    commits = []
    commit = store._commits._writer.commit
    monkeypatch.setattr(store._commits._writer, "commit", lambda: (commits.append(1), commit()))
    futures = held(store, *[adding(str(n)) for n in range(BATCH + 1)])
    for future in futures:
        future.get(timeout=30)
    assert len(commits) == 3


def test_the_error_of_one_piece_undoes_that_piece_alone(store):
    def bad(transaction):
        add(transaction, "bad")
        transaction.after_commit(lambda: called.append("bad"))
        raise KeyError("mine")

    def taken(transaction):
        add(transaction, "a")

    def good(id):
        def work(transaction):
            transaction.after_commit(lambda: called.append(id))
            return add(transaction, id)

        return work

    called = []
    first, second, third, fourth = held(store, good("a"), bad, taken, good("b"))
    assert first.get(timeout=30) == "a"
    with pytest.raises(KeyError, match="mine"):
        second.get(timeout=30)
    with pytest.raises(StoreError):
        third.get(timeout=30)
    assert fourth.get(timeout=30) == "b"
    assert ids(store) == {"a", "b"}
    assert called == ["a", "b"]


def test_pieces_are_committed_in_the_order_of_their_arrival(store):
    order = []
    held(store, *[lambda _, n=n: order.append(n) for n in range(20)])[-1].get(timeout=30)
    assert order == list(range(20))


def test_a_commit_that_fails_is_everybodys_error_and_nothing_is_there(store, monkeypatch):
    writer = store._commits._writer

    def fail():
        raise StoreError("no room")

    called = []

    def work(id):
        def inner(transaction):
            transaction.after_commit(lambda: called.append(id))
            add(transaction, id)

        return inner

    inside = work("a"), work("b")
    with monkeypatch.context() as patch:
        first = threading.Event()

        def commit():
            if first.is_set():
                fail()
            first.set()
            real()

        real = writer.commit
        patch.setattr(writer, "commit", commit)
        for future in held(store, *inside):
            with pytest.raises(StoreError, match="no room"):
                future.get(timeout=30)
    assert ids(store) == set()
    assert called == []
    store.write(adding("c"))
    assert ids(store) == {"c"}


def test_threads_that_write_at_the_same_time_all_succeed(store):
    def work(place):
        for number in range(50):
            store.write(adding(f"{place}-{number}"))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(ids(store)) == 400


# --- after the commit ------------------------------------------------------------------------------------------------


def test_after_commit_is_called_once_others_can_see_the_work(store):
    seen = []

    def work(transaction):
        add(transaction, "a")
        transaction.after_commit(lambda: seen.append(ids(store)))

    store.write(work)
    assert seen == [{"a"}]


def test_after_commit_may_write_itself(store):
    store.write(lambda transaction: transaction.after_commit(lambda: store.write(lambda inner: add(inner, "b"))))
    assert ids(store) == {"b"}


def test_after_commit_is_not_called_when_the_work_was_undone(store):
    called = []

    def work(transaction):
        transaction.after_commit(lambda: called.append(1))
        raise KeyError

    with pytest.raises(KeyError):
        store.write(work)
    store.write(adding("a"))
    assert called == []


def test_after_commit_that_raises_is_logged_and_the_commit_stands(store, caplog):
    def work(transaction):
        transaction.after_commit(lambda: {}["no"])
        return add(transaction, "a")

    assert store.write(work) == "a"
    assert "After a commit" in caplog.text


def test_after_commit_is_called_before_its_future_is_set(store):
    """So what two commits of one actor send leaves in their order."""
    order = []

    def work(name):
        return lambda transaction: transaction.after_commit(lambda: order.append(name))

    futures = held(store, work("a"), work("b"))
    futures[0]._add_waiter(lambda: order.append("a is set"))
    futures[1].get(timeout=30)
    assert order.index("a") < order.index("b")
    assert "a is set" not in order or order.index("a") < order.index("a is set")


# --- a transaction that stays open -----------------------------------------------------------------------------------


def test_what_a_held_transaction_writes_is_there_once_it_is_committed(store):
    held_open = store.hold()
    held_open.transaction.run("nodes.add", row("a"))
    store.write(adding("b"))  # of this thread: part of it
    future = store.submit(adding("c"))
    assert not future.done()
    assert ids(store) == {"a", "b", "c"}  # this thread sees what it has written
    waits = threading.Thread(target=store.write, args=(adding("d"),))
    waits.start()
    held_open.commit()
    assert future.get(timeout=30) == "c"
    waits.join(30)
    assert ids(store) == {"a", "b", "c", "d"}


def test_a_held_transaction_that_is_undone_leaves_nothing_and_others_go_on(store):
    held_open = store.hold()
    called = []
    store.write(lambda transaction: (add(transaction, "a"), transaction.after_commit(lambda: called.append("a"))))
    waits = threading.Thread(target=store.write, args=(adding("b"),))
    waits.start()
    held_open.rollback()
    held_open.rollback()
    waits.join(30)
    assert ids(store) == {"b"}
    assert called == []


def test_an_error_within_a_held_transaction_undoes_its_piece_alone(store):
    def bad(transaction):
        add(transaction, "bad")
        transaction.after_commit(lambda: called.append("bad"))
        raise KeyError

    def good(transaction):
        add(transaction, "good")
        transaction.after_commit(lambda: called.append("good"))

    called = []
    held_open = store.hold()
    store.write(good)
    with pytest.raises(KeyError):
        store.write(bad)
    with pytest.raises(StoreError):
        store.write(adding("good"))
    store.write(adding("more"))
    held_open.commit()
    assert ids(store) == {"good", "more"}
    assert called == ["good"]


def test_a_held_transaction_that_its_user_has_ended_is_an_error_and_others_go_on(store):
    held_open = store.hold()
    held_open.transaction.run("nodes.add", row("a"))
    held_open.connection.rollback()
    with pytest.raises(StoreError, match="must not commit or roll back"):
        held_open.commit()
    store.write(adding("b"))
    assert ids(store) == {"b"}


# --- what work may not do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["write", "submit", "read"])
def test_work_that_calls_the_store_again_is_refused_and_does_not_hang(store, verb):
    def work(transaction):
        add(transaction, "a")
        getattr(store, verb)(lambda inner: add(inner, "b"))

    with pytest.raises(DeadlockError, match="use only its transaction"):
        store.write(work)
    assert ids(store) == set()


def test_a_read_within_a_read_is_refused_and_does_not_hang(store):
    with pytest.raises(DeadlockError):
        store.read(lambda _: ids(store))
    assert ids(store) == set()


# --- opening and closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["write", "submit", "read"])
def test_use_after_close_raises(store, verb):
    store.close()
    with pytest.raises(ActorDeadError, match="is closed"):
        getattr(store, verb)(ids_in)
    with pytest.raises(ActorDeadError, match="is closed"):
        _ = store.node


def test_close_twice_is_fine(store):
    store.close()
    store.close()


@pytest.mark.shared
def test_close_commits_what_waits(opened):
    store = opened()
    inside, go = threading.Event(), threading.Event()

    def hold(_transaction):
        inside.set()
        assert go.wait(30)

    holder = threading.Thread(target=store.write, args=(hold,))
    holder.start()
    assert inside.wait(30)
    futures = [store.submit(adding(str(n))) for n in range(10)]
    closer = threading.Thread(target=store.close)
    closer.start()
    go.set()
    closer.join(30)
    holder.join(30)
    assert [future.get(timeout=30) for future in futures] == [str(n) for n in range(10)]
    assert ids(opened()) == {str(n) for n in range(10)}


def test_close_commits_what_nobody_leads(store):
    """As when the one who led was interrupted."""
    future = patient(None)
    store._commits._waiting.append(PendingWrite(adding("a"), "power", future))
    store.close()
    assert future.get(timeout=30) == "a"


def test_work_that_comes_during_the_close_is_committed_or_refused(url):
    for _ in range(20):
        store = open_store(url)
        outcomes = []

        def write(store=store, outcomes=outcomes):
            try:
                while True:
                    store.write(lambda transaction: transaction.run("nodes.remove", {"id": "a"}))
            except ActorDeadError as error:
                outcomes.append(error)
            except Exception as error:
                outcomes.append(repr(error))

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        store.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert [type(outcome) for outcome in outcomes] == [ActorDeadError] * 3, outcomes


def test_work_that_comes_when_the_last_of_a_store_is_committed_is_refused(url, monkeypatch):
    store, futures = open_store(url), []
    commits, close = store._commits, store._commits.close

    def send():
        futures.append(commits.submit(lambda transaction: transaction.run("nodes.remove", {"id": "a"})))

    def late(act):
        thread = threading.Thread(target=send)
        thread.start()
        thread.join(30)
        return act

    monkeypatch.setattr(commits, "close", lambda act: close(lambda writer: late(act)(writer)))
    store.close()
    with pytest.raises(ActorDeadError, match="is closed"):
        futures[0].get(timeout=30)


@pytest.mark.shared
def test_what_was_written_is_there_when_the_store_is_opened_again(opened):
    first = opened()
    first.write(adding("a"))
    first.close()
    assert ids(opened()) == {"a"}


@pytest.mark.shared
def test_two_stores_of_one_process_see_each_others_work(opened):
    first, second = opened(), opened()
    first.write(adding("a"))
    second.write(adding("b"))
    assert ids(first) == ids(second) == {"a", "b"}


def test_memory_stores_are_apart():
    first, second = open_store(), open_store()
    first.write(adding("a"))
    assert ids(second) == set()
    first.close()
    second.close()


@pytest.mark.parametrize("text", ["", "shop.db", "sqlite:///", "mysql://x", "sqlite://shop.db"])
def test_a_url_that_makes_no_sense_is_refused_with_those_that_do(text):
    with pytest.raises(DefinitionError, match="'memory:'"):
        open_store(text)


def test_an_unknown_durability_is_refused():
    with pytest.raises(DefinitionError, match="durability"):
        open_store(durability="paper")


# --- forks -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_use_after_a_fork_raises_in_the_child_and_the_parent_goes_on(store):
    store.write(adding("a"))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store.write(adding("b"))
        except ActorDeadError as error:
            code = 0 if "before a fork" in str(error) else 2
        finally:
            store.close()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    store.write(adding("c"))
    assert ids(store) == {"a", "c"}


# --- durability ------------------------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize("durability", ["power", "process"])
def test_what_was_acknowledged_outlives_a_kill(opened, url, durability):
    with program("write", url, durability) as writer:
        said = [line(writer) for _ in range(50)]
        writer.kill()
        assert writer.stdout is not None
        said += writer.stdout.read().split()
    found = ids(opened())
    assert set(said) <= found
    assert len(found) <= len(said) + 1  # the one that was committed and not yet said


@pytest.mark.shared
def test_a_batch_takes_its_strictest_members_durability(store, monkeypatch):
    begun = []
    writer = store._commits._writer
    begin = writer.begin
    monkeypatch.setattr(writer, "begin", lambda durability: (begun.append(durability), begin(durability)))

    def work(_transaction):
        pass

    store.write(work, durability="process")
    store.write(work)
    held(store, work, work, durability="process")[-1].get(timeout=30)
    assert begun == ["process", "power", "power", "process"]
