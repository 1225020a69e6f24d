"""The store fails: nothing half done, the message is handled again, nobody hangs."""

import sqlite3
import threading

import pytest

import actorflow as af
from actorflow.durable.handling import mailbox
from actorflow.store.sqlite.connection import SqliteWriter
from tests.durable.actors import Account, Collector
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named

STORES = ("sqlite",)  # whose commits are made to fail


class Disk:
    """Makes commits fail while it is full."""

    def __init__(self, monkeypatch):
        self.full = False
        self.failing = 0  # so many commits to come fail
        self.refused = 0
        commit = SqliteWriter.commit

        def fail_or_commit(writer):
            if self.full or self.failing:
                self.failing = max(0, self.failing - 1)
                self.refused += 1
                raise af.StoreError("database or disk is full (SQLITE_FULL)")
            commit(writer)

        monkeypatch.setattr(SqliteWriter, "commit", fail_or_commit)
        monkeypatch.setattr(mailbox, "STORE_SECONDS", 0.01)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_a_send_to_a_full_disk_raises_and_leaves_nothing(start, disk):
    with start() as system:
        ref = system.spawn(named(Account))
        disk.full = True
        with pytest.raises(af.StoreError, match="full"):
            ref.tell("x")
        with pytest.raises(af.StoreError, match="full"):
            ref.call(Account.add, 1)
        disk.full = False
        assert system.scheduler.durable.asks.all() == []
        assert ref.call(Account.seen).get(timeout=30) == []


@pytest.mark.slow
def test_a_message_whose_commit_fails_is_handled_again_on_the_old_state(start, disk, caplog):
    tries = []

    class Filling(Account):
        def on_receive(self, message):
            tries.append(self.state.n)
            self.state.n += 1
            self.to.tell(message)
            disk.failing = 2 if len(tries) < 4 else 0

    with start() as system:
        collector = system.spawn(Collector)
        ref = system.spawn(named(Filling, "a", collector))
        ref.tell("x")
        wait_for(lambda: collector.call(Collector.all).get(timeout=30) == ["x"])
        assert ref.call(Account.total).get(timeout=30) == 1
        assert tries == [0, 0, 0, 0]
        assert "could not be stored" in caplog.text


class Expiring(af.StateMachine, durable=True):
    on, off = af.State(initial=True), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @on.after(1, off)
    def expire(self) -> None:
        self.count += 1


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"host": af.Process()}], ids=["here", "hosted"])
def test_a_timeout_of_a_state_whose_commit_fails_is_handled_again(start, disk, options):
    with start() as system:
        ref = system.spawn(named(Expiring, **options))
        disk.failing = 1
        wait_for(lambda: disk.refused)
        wait_for(lambda: b'["off"]' in system.store.read(lambda tx: tx.one("actors.get", {"name": "a"}))[3])
        assert ref.proxy().count.get(timeout=30) == 1


def test_an_ask_whose_commit_fails_is_answered_when_there_is_room_again(start, disk):
    class Filling(Account):
        def add(self, k):
            disk.failing = 0 if disk.refused else 1
            return super().add(k)

    with start() as system:
        ref = system.spawn(named(Filling))
        future = ref.call(Filling.add, 3)
        assert future.get(timeout=30) == 3
        assert disk.refused


def test_the_end_does_not_wait_for_a_full_disk(start, disk):
    class Filling(Account):
        def on_receive(self, message):
            disk.full = True

    with start() as system:
        ref = system.spawn(named(Filling))
        ref.tell("x")
        wait_for(lambda: disk.refused)
        system.begin_stop(1.0)
        system.ended.get(timeout=30)
        disk.full = False
    with start() as system:
        assert rows(system, "af_mail") == 1


def test_a_spawn_on_a_full_disk_fails(start, disk):
    with start() as system:
        system.spawn(named(Account, "first"))
        disk.full = True
        with pytest.raises(af.StoreError, match="full"):
            system.spawn(named(Account, "second"))
        disk.full = False
        assert system.spawn(named(Account, "second")).call(Account.add, 1).get(timeout=30) == 1


def test_a_mailbox_that_cannot_be_read_is_read_again(start, monkeypatch):
    failures = []

    with start() as system:
        monkeypatch.setattr(mailbox, "STORE_SECONDS", 0.01)
        ref = system.spawn(named(Account))
        fetch = mailbox.ledger.fetch

        def failing(*args):
            if len(failures) < 2:
                failures.append(1)
                raise af.StoreError("disk I/O error")
            return fetch(*args)

        monkeypatch.setattr(mailbox.ledger, "fetch", failing)
        ref.tell("x")
        assert ref.call(Account.seen).get(timeout=30) == ["x"]
        assert len(failures) == 2


def test_rows_come_along_as_before_once_a_state_could_not_be_read_anew(start, monkeypatch):
    monkeypatch.setattr(mailbox, "STORE_SECONDS", 0.01)
    with start() as system:
        ref = system.spawn(named(Account))
        assert ref.call(Account.total).get(timeout=30) == 0
        box, ownership = ref._box, system.scheduler.durable.ownership
        load_again, failing = type(ownership).load_again, [True, True, True]

        def fail_or_load(*args):
            if failing:
                failing.pop()
                raise af.StoreError("disk I/O error")
            load_again(*args)

        monkeypatch.setattr(type(ownership), "load_again", fail_or_load)
        box.is_doubtful = True
        assert ref.call(Account.add, 1).get(timeout=30) == 1
        assert not failing
        wait_for(lambda: box.handed == 0)  # else those on their way seem to be ever more, and come by the store only


def test_one_refusal_in_a_shared_commit_undoes_no_other(start):
    """Twenty actors share a commit; one has lost its row to another epoch."""
    with start() as system:
        refs = [system.spawn(named(Account, f"a{n}")) for n in range(20)]
        taken = {"name": "a7", "owner": "another", "capacity": None, "overflow": None}
        system.store.write(lambda tx: tx.run("actors.take", taken))
        futures = [ref.call(Account.add, 1) for ref in refs]
        results = []
        for future in futures:
            try:
                results.append(future.get(timeout=30))
            except (af.ActorDeadError, af.StoreError):
                results.append(None)
        assert [n for n, value in enumerate(results) if value != 1] == [7]


def test_rows_are_pruned(start):
    from actorflow.durable.rows import ledger

    with start() as system:
        ref = system.spawn(named(Account))
        runtime = system.scheduler.durable
        system.deliver(ref, "x", id="m1")
        ref.call(Account.seen).get(timeout=30)
        assert rows(system, "af_mark") == 1
        system.store.write(lambda tx: ledger.prune(tx, runtime.now() + 1))
        assert rows(system, "af_mark") == 1
        system.store.write(lambda tx: ledger.prune(tx, runtime.now() + ledger.KEEP_DEAD + 1))
        assert rows(system, "af_mark") == rows(system, "af_dead_mail") == rows(system, "af_answer") == 0


def test_a_damaged_row_is_a_dead_letter_and_the_others_are_handled(start):
    with start() as system:
        ref = system.spawn(named(Account, retry=af.Retry(1)))
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        row = {
            "receiver": "a",
            "sender": None,
            "asker": None,
            "body": b'["tell",{"$type":"nowhere.Class","fields":{}}]',
        }
        system.store.write(lambda tx: tx.run("actors.put", row))
        ref.tell("fine")
        assert ref.call(Account.seen).get(timeout=30) == ["fine"]
        wait_for(lambda: letters)
        assert isinstance(letters[0].reason, af.PayloadError)


def test_sqlite_itself_refuses_a_read_only_file(start, url, tmp_path):
    with start() as system:
        ref = system.spawn(named(Account))
        system.store._writer.connection.execute("pragma query_only = 1")
        with pytest.raises(af.StoreError, match="readonly|attempt to write"):
            ref.tell("x")
        system.store._writer.connection.execute("pragma query_only = 0")
        assert ref.call(Account.seen).get(timeout=30) == []
    with sqlite3.connect(tmp_path / "test.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_store_that_is_gone_for_many_actors_is_a_few_lines_of_the_log(start, disk, caplog):
    sent = threading.Event()

    class Waiting(Account):
        def add(self, k):
            assert sent.wait(30)
            return super().add(k)

    with start() as system:
        refs = [system.spawn(named(Waiting, f"a{n}")) for n in range(10)]
        futures = [ref.call(Waiting.add, 3) for ref in refs]
        disk.full = True
        sent.set()
        wait_for(lambda: disk.refused >= 50)
        disk.full = False
        assert [future.get(timeout=30) for future in futures] == [3] * 10
        wait_for(lambda: "the store works again" in caplog.text)
    lines = [record for record in caplog.records if "could not be stored" in record.getMessage()]
    assert 0 < len(lines) < 10
    assert caplog.text.count("the store works again") < 10
