"""Promises: a file that cannot be used says why; a full disk undoes and recovers; the log stays small."""

import contextlib
import itertools
import os
import random
import resource
import shutil
import signal
import sqlite3
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actorflow.errors import StoreError
from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.sqlite import store as sqlite_store
from actorflow.store.sqlite import wal
from actorflow.store.sqlite.locks import is_free, take
from actorflow.store.store import Store, open_store
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.store.processes import answer, line, program
from tests.store.rows import adding, ids, row


@pytest.fixture(autouse=True)
def _leaks() -> Iterator[None]:
    with LeakCheck():
        yield


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{path}")
    try:
        yield store
    finally:
        store.close()


# --- files that cannot be used ---------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(StoreError, match=r"letter\.txt.*not a database.*give another path"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "Dear Sir or Madam, " * 100


def test_a_corrupt_file_is_a_store_error_that_names_the_cure(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as store:
        store.write(lambda transaction: transaction.many("nodes.add", (row(f"{n:0500}") for n in range(2000))))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(path.stat().st_size - 4096 - 4096))
    with pytest.raises(StoreError, match=r"shop\.db.*(malformed|damaged)"), opened(path) as store:
        ids(store)
        store.write(adding("a"))


def test_a_file_cut_short_is_a_store_error(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as store:
        store.write(lambda transaction: transaction.many("nodes.add", (row(f"{n:0500}") for n in range(2000))))
    os.truncate(path, 5000)
    with pytest.raises(StoreError, match=r"shop\.db"), opened(path) as store:
        ids(store)


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "shop.db"
    path.touch()
    with opened(path) as store:
        store.write(adding("a"))
        assert ids(store) == {"a"}


def test_the_users_own_file_keeps_its_tables(tmp_path):
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders (id integer primary key, total real)")
        connection.execute("insert into orders values (1, 9.5)")
        connection.commit()
    with opened(path) as store:
        store.write(adding("a"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select * from orders").fetchall() == [(1, 9.5)]
        names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    assert {name for name in names if not name.startswith("sqlite_")} - {"orders"} == {
        name for name in names if name.startswith("af_")
    }


def test_a_foreign_table_named_af_meta_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "shop.db"
    for sql in ("create table af_meta (x)", "create table af_meta (key, value)"):
        path.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(sql)
        with pytest.raises(StoreError, match="af_meta that actorflow did not make"):
            open_store(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("select name from sqlite_master").fetchall() == [("af_meta",)]


def test_a_file_newer_than_the_code_is_refused_with_both_versions(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("update af_meta set value = 9999 where key = 'version'")
        connection.commit()
    with pytest.raises(StoreError, match=rf"version 9999, .* knows {sqlite_file.VERSION}: update actorflow"):
        open_store(f"sqlite:///{path}")


def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", sqlite_file.MIGRATIONS[:1])
    monkeypatch.setattr(sqlite_file, "VERSION", 1)
    with opened(path) as store:
        store.write(adding("a"))
    monkeypatch.undo()
    with opened(path) as store:
        assert ids(store) == {"a"}
        assert store.read(lambda transaction: transaction.all("jobs.queue_names")) == []


def test_a_migration_that_fails_leaves_the_version_before(tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    with opened(path) as store:
        store.write(adding("a"))
    number = sqlite_file.VERSION + 1
    broken = [*sqlite_file.MIGRATIONS, (number, "create table af_new (x);\ninsert into af_nowhere values (1);")]
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", broken)
    monkeypatch.setattr(sqlite_file, "VERSION", number)
    with pytest.raises(StoreError, match="af_nowhere"):
        open_store(f"sqlite:///{path}")
    monkeypatch.undo()
    with opened(path) as store:
        assert ids(store) == {"a"}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select 1 from sqlite_master where name = 'af_new'").fetchone() is None


def test_a_folder_that_is_not_there_is_a_store_error_with_the_cure(tmp_path):
    with pytest.raises(StoreError, match="does its folder exist|may this user write there"):
        open_store(f"sqlite:///{tmp_path}/no/shop.db")
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{tmp_path}")


@pytest.fixture
def as_user() -> Iterator[Path]:
    """A folder, and a user for whom permissions hold: root passes all of them."""
    folder = Path(tempfile.mkdtemp())
    uid = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, uid, -1)
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield folder
    finally:
        os.seteuid(before)
        for one in (folder, *folder.iterdir()):
            one.chmod(0o700)
        shutil.rmtree(folder)


def test_a_read_only_file_is_a_store_error_with_the_cure(as_user):
    path = as_user / "shop.db"
    with opened(path) as store:
        store.write(adding("a"))
    path.chmod(0o400)
    with pytest.raises(StoreError, match=r"shop\.db.*check their owner"):
        open_store(f"sqlite:///{path}")
    path.chmod(0o600)
    with opened(path) as store:
        assert ids(store) == {"a"}


def test_a_read_only_folder_is_a_store_error_with_the_cure(as_user):
    path = as_user / "shop.db"
    with opened(path) as store:
        store.write(adding("a"))
    (as_user / "shop.db-af-lock").unlink()
    as_user.chmod(0o500)
    with pytest.raises(StoreError, match=r"shop\.db.*may this user write there"):
        open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"new\.db.*may this user write there"):
        open_store(f"sqlite:///{as_user}/new.db")


# --- no room ---------------------------------------------------------------------------------------------------------


def connection_of(store):
    return store._writer.connection


def big(id):
    return lambda transaction: transaction.run("nodes.add", {**row(id), "host": "x" * 200_000})


def test_a_full_file_undoes_the_write_and_goes_on_when_there_is_room(tmp_path):
    with opened(tmp_path / "shop.db") as store:
        store.write(adding("a"))
        pages = connection_of(store).execute("pragma page_count").fetchone()[0]
        connection_of(store).execute(f"pragma max_page_count = {pages + 10}")
        with pytest.raises(StoreError, match=r"full.*make room"):
            store.write(big("b"))
        with pytest.raises(StoreError, match=r"full.*make room"):
            store.submit(big("b")).get(timeout=30)
        assert ids(store) == {"a"}
        store.write(adding("small"))
        connection_of(store).execute("pragma max_page_count = 1000000")
        store.write(big("b"))
        assert ids(store) == {"a", "small", "b"}


def test_a_full_file_in_a_shared_commit_is_an_error_for_who_is_undone_and_for_no_other(tmp_path):
    with opened(tmp_path / "shop.db") as store:
        pages = connection_of(store).execute("pragma page_count").fetchone()[0]
        connection_of(store).execute(f"pragma max_page_count = {pages + 10}")
        inside, go = threading.Event(), threading.Event()

        def hold(_):
            inside.set()
            assert go.wait(30)

        holder = threading.Thread(target=store.write, args=(hold,))
        holder.start()
        assert inside.wait(30)
        futures = {name: store.submit(adding(name)) for name in ("a", "b")}
        futures["big"] = store.submit(big("big"))
        futures["c"] = store.submit(adding("c"))
        go.set()
        holder.join(30)
        acknowledged = set()
        for name, future in futures.items():
            with contextlib.suppress(StoreError):
                acknowledged.add(future.get(timeout=30))
            assert future.done(), name
        assert "big" not in acknowledged
        assert ids(store) == acknowledged


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no such limit here")
def test_a_disk_that_takes_no_more_undoes_the_write_and_goes_on_when_there_is_room(tmp_path):
    with opened(tmp_path / "shop.db") as store:
        store.write(adding("a"))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
            with pytest.raises(StoreError, match=r"shop\.db"):
                store.write(big("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert ids(store) == {"a"}
        store.write(big("b"))
        assert ids(store) == {"a", "b"}


# --- several processes -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_that_open_the_same_new_file_at_once_make_one_schema(tmp_path):
    url = f"sqlite:///{tmp_path}/shop-{{}}.db"
    rounds = 100  # as issue 5 asks
    with program("race", url, rounds) as first, program("race", url, rounds) as second:
        for number in range(rounds):
            assert line(first) == line(second) == "ready"
            answer(first)
            answer(second)
            assert (line(first), line(second)) == ("fine", "fine"), number
            with opened(tmp_path / f"shop-{number}.db") as store:
                assert len(ids(store)) == 2
    assert not list(tmp_path.glob("*-af-nodes"))
    assert not list(tmp_path.glob("*-wal"))


def test_another_process_that_holds_the_file_for_long_is_a_store_error_that_says_so(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as store, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        connection_of(store).execute("pragma busy_timeout = 10")
        with pytest.raises(StoreError, match=r"locked.*another process has held it"):
            store.write(adding("a"))
        other.execute("rollback")
        store.write(adding("a"))
        assert ids(store) == {"a"}


def test_a_relative_path_stays_the_same_file_when_the_program_changes_its_folder(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(open_store("sqlite:///shop.db")) as store:
        monkeypatch.chdir(tmp_path / "other")
        store.write(adding("a"))
        store.watch(lambda: None)
        assert store.node.id
    assert list((tmp_path / "other").iterdir()) == []


# --- the log ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_log_stays_small_while_much_is_written(tmp_path):
    path = tmp_path / "shop.db"
    largest = 0
    with opened(path) as store:
        for number in range(300):
            store.write(big(str(number)))  # 60 MB in all
            largest = max(largest, wal.log_size(str(path)))
        assert largest < 2 * sqlite_file.CHECKPOINT_BYTES
    assert wal.log_size(str(path)) == 0


def test_the_log_stays_small_while_another_process_writes_and_readers_read(tmp_path):
    path = tmp_path / "shop.db"
    ended = threading.Event()
    largest, salts = 0, set()  # the log has other salts each time that it is begun anew
    with opened(path) as store, opened(path) as second:

        def write(one, name):
            number = 0
            while not ended.is_set():
                number += 1
                one.write(big(f"{name}-{number}"), durability="process")

        def look():
            with contextlib.suppress(OSError, struct.error), path.with_name(f"{path.name}-wal").open("rb") as log:
                salts.add(wal.LOG_HEADER.unpack(log.read(wal.LOG_HEADER.size)))
            return wal.log_size(str(path))

        def read():
            while not ended.is_set():
                store.read(lambda transaction: transaction.one("nodes.others", {"id": ""}))
                ended.wait(0.002)

        threads = [
            threading.Thread(target=write, args=(store, "first")),
            threading.Thread(target=write, args=(second, "second")),
            threading.Thread(target=read),
        ]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 60
            while len(salts) < 3:
                assert time.monotonic() < deadline, f"begun anew {len(salts) - 1} times, {largest} bytes"
                largest = max(largest, look())
                ended.wait(0.002)
        finally:
            ended.set()
            for thread in threads:
                thread.join(30)
    assert largest < 4 * sqlite_file.BOUND_BYTES  # 30 to 50 MB; 100 beside twelve busy processes on two cores


def test_a_reader_that_stays_open_lets_the_log_grow_and_its_end_lets_it_shrink(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select * from af_node").fetchall()
            for number in range(180):
                store.write(big(str(number)), durability="process")
            assert reader.execute("select count(*) from af_node").fetchone() == (0,)
        assert wal.log_size(str(path)) > wal.LARGEST_BYTES + 1_000_000
        for number in range(16):
            store.write(adding(f"small-{number}"))
        assert wal.log_size(str(path)) <= wal.LARGEST_BYTES
        assert not wal.is_filled(str(path), 1_000_000)


@pytest.mark.parametrize(("size", "wait"), [(24, 100), (28, 100), (32, 200), (40, 400), (56, 1600), (1000, 1600)])
def test_a_checkpoint_has_others_wait_the_longer_the_longer_the_log_is(size, wait):
    assert sqlite_file.patience(size * 1024**2) == wait


def test_a_reader_over_whom_the_log_exceeds_its_bound_is_reported_once_and_writers_wait_rarely(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "shop.db"
    waits = []
    monkeypatch.setattr(sqlite_store, "patience", lambda size: waits.append(size) or 1)
    with opened(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select * from af_node").fetchall()
            for number in range(350):  # 70 MB
                store.write(big(f"big-{number}"), durability="process")
            assert waits == list(range(sqlite_file.INSIST_BYTES, sqlite_file.BOUND_BYTES + 1, sqlite_file.STEP_BYTES))
            assert "over 64 MB: a program reads for long in one transaction" in caplog.text
        for number in range(16):
            store.write(adding(f"small-{number}"), durability="process")
        assert not wal.is_filled(str(path), 1_000_000)
    assert caplog.text.count("over 64 MB") == 1


def test_a_store_with_a_long_log_lets_anothers_checkpoint_pass_before_it_writes_on(tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    for name in ("CHECKPOINT_BYTES", "INSIST_BYTES"):
        monkeypatch.setattr(sqlite_store, name, 1_000_000)
    monkeypatch.setattr(sqlite_file, "PARK_SECONDS", 60.0)
    with opened(path) as store:
        store._insist_at = sqlite_file.BOUND_BYTES
        for number in range(17):  # 3 MB; the first look is at the 16th
            store.write(big(f"big-{number}"), durability="process")
        held = take(f"{path}-af-lock")  # as another process does for a checkpoint
        assert held
        written = []

        def write():
            store.write(adding("one"))
            written.append(store.write(adding("next")))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            until(lambda: store.read(lambda transaction: transaction.one("nodes.get", {"id": "one"})))
            thread.join(0.2)
            assert not written
        finally:
            held.close()
            thread.join(30)
        assert written


def test_the_log_is_written_over_from_its_start_once_it_is_written_back(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as store:
        assert not wal.is_filled(str(path), 1_000_000)
        sizes, fills = [], []
        for number in range(200):
            store.write(big(str(number)))  # 40 MB in all
            sizes.append(wal.log_size(str(path)))
            fills.append(wal.is_filled(str(path), sqlite_file.CHECKPOINT_BYTES // 2))
        assert sizes == sorted(sizes), "it was cut off"
        assert sum(one and not next_ for one, next_ in itertools.pairwise(fills)) >= 3
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("log", [None, b"", b"x" * 31, b"x" * 40, bytes(200_000)])
def test_a_log_that_is_just_being_made_counts_as_empty(tmp_path, log):
    path = tmp_path / "shop.db"
    if log is not None:
        (tmp_path / "shop.db-wal").write_bytes(log)
    assert not wal.is_filled(str(path), 20)
    assert not wal.is_filled(str(path), 100_000)


def test_lock_files_of_nodes_that_nobody_knows_are_swept_and_no_others(tmp_path):
    path = tmp_path / "shop.db"
    folder = tmp_path / "shop.db-af-nodes"
    with opened(path) as store, opened(path) as other:
        alive = store.node.id
        store.write(adding("dead"))
        for name, age in (("orphan", 3600), ("orphan.work", 3600), ("new", 0), ("dead", 3600), (alive, 3600)):
            file = folder / name
            file.touch()
            os.utime(file, (file.stat().st_mtime - age,) * 2)
        assert other.node.id
        assert {one.stem for one in folder.iterdir()} == {"new", "dead", alive, other.node.id}
        (folder / "new").unlink()
        (folder / "dead").unlink()


# --- locks -----------------------------------------------------------------------------------------------------------


def test_a_lock_is_one_holders_also_within_a_process(tmp_path):
    path = str(tmp_path / "lock")
    assert is_free(path)
    for _ in range(2):
        with take(path):
            assert take(path) is None
            assert not is_free(path)
        assert is_free(path)


def test_a_lock_that_is_looked_at_is_not_lost(tmp_path):
    """A POSIX lock goes when its process closes any descriptor of the file."""
    path = str(tmp_path / "lock")
    with take(path):
        assert not is_free(path)
        pid = os.fork()
        if pid == 0:
            os._exit(3 if is_free(path) else 4)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4


def test_a_store_closes_its_files_at_once_after_a_transaction_that_could_not_begin(tmp_path, no_collection):
    url = f"sqlite:///{tmp_path}/shop.db"
    with contextlib.closing(open_store(url)) as store:
        store.write(adding("a"))
    with LeakCheck():
        with (
            contextlib.closing(open_store(url, access="read")) as store,
            pytest.raises(StoreError, match="read") as kept,
        ):
            store.write(adding("b"))
    assert kept.value.__traceback__ is not None  # whose frames know the store


def test_a_store_in_memory_has_the_tables_of_a_file_though_they_are_made_once_a_process(tmp_path, monkeypatch):
    def tables(store):
        return store.read(lambda tx: tx._connection.execute("select type, name, sql from sqlite_master").fetchall())

    made = []
    migrate = sqlite_file.migrate
    monkeypatch.setattr(sqlite_file, "migrate", lambda one, path: made.append(path) or migrate(one, path))
    monkeypatch.setattr(sqlite_file, "TEMPLATES", sqlite_file.Templates())
    with open_store(f"sqlite:///{tmp_path}/shop.db") as file, open_store() as one, open_store() as other:
        assert sorted(tables(one)) == sorted(tables(other)) == sorted(tables(file))
        assert made == [file.path, ":memory:"]
        one.write(adding("a"))
        assert (ids(one), ids(other)) == ({"a"}, set())
        assert one.found == other.found == 0
    sqlite_file.TEMPLATES.close()
