"""Promises: a file is known by its real path, and a file that is deleted or replaced while it is open is noticed."""

import contextlib
import logging
import os
import shutil
import sqlite3

import pytest

from actorflow.core.clock import SystemClock
from actorflow.errors import OutcomeUnknown, StoreError, StoreOutdated
from actorflow.store.members import LEASE_SECONDS
from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.sqlite import maintenance, place
from actorflow.store.sqlite import store as sqlite_store
from actorflow.store.sqlite.locks import is_free, take
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.store.processes import line, program
from tests.store.rows import adding, ids, row


@pytest.fixture
def opened():
    stores = []

    def open_(path):
        stores.append(open_store(f"sqlite:///{path}"))
        return stores[-1]

    with LeakCheck():
        yield open_
        for store in stores:
            store.close()


# --- one file, many paths --------------------------------------------------------------------------------------------


def names_of(folder):
    """The file by other paths: a link to it, a link to its folder, a path relative to the working one."""
    (folder / "elsewhere").mkdir()
    link = folder / "elsewhere" / "link.db"
    link.symlink_to(folder / "real" / "shop.db")
    (folder / "linked").symlink_to(folder / "real")
    return [link, folder / "linked" / "shop.db", os.path.relpath(folder / "real" / "shop.db")]


def test_a_file_is_one_by_whatever_path_it_is_opened(opened, tmp_path):
    (tmp_path / "real").mkdir()
    first = opened(tmp_path / "real" / "shop.db")
    others = [opened(path) for path in names_of(tmp_path)]
    nodes = {first.node.id, *(other.node.id for other in others)}
    assert ids(first) == nodes
    for store in (first, *others):
        assert store.node.dead() == []
    assert not list((tmp_path / "elsewhere").glob("*-af-*"))


def test_a_process_that_opened_a_link_is_alive_for_others_and_seen_when_it_dies(opened, tmp_path):
    (tmp_path / "real").mkdir()
    store = opened(tmp_path / "real" / "shop.db")
    assert store.node.id
    with program("live", f"sqlite:///{names_of(tmp_path)[0]}") as other:
        id = line(other)
        assert store.node.dead() == []
        other.kill()
        other.wait()
        assert store.node.dead() == [id]


def test_a_lock_is_one_by_whatever_path_it_is_taken(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    one, other = str(tmp_path / "real" / "lock"), str(tmp_path / "linked" / "lock")
    held = take(one)
    assert held
    assert not take(other)
    assert not is_free(other)
    os.link(one, tmp_path / "hard")
    assert not take(str(tmp_path / "hard"))
    held.close()
    assert is_free(one)


def test_what_is_said_of_a_file_by_a_link_is_that_of_the_file(opened, tmp_path):
    (tmp_path / "real").mkdir()
    store = opened(tmp_path / "real" / "shop.db")
    assert store.node.id
    link = names_of(tmp_path)[0]
    assert maintenance.check(str(link)).nodes == {"alive": 1, "dead": 0}
    store.close()
    maintenance.backup(str(link), str(tmp_path / "copy.db"))
    maintenance.backup(str(tmp_path / "copy.db"), str(link), replace=True)
    assert link.is_symlink()
    maintenance.vacuum(str(link))
    assert not list((tmp_path / "elsewhere").glob("*-af-*"))


def test_a_file_that_is_mounted_by_itself_is_refused_with_the_cure(tmp_path, monkeypatch):
    path = tmp_path / "a b" / "shop.db"
    path.parent.mkdir()
    open_store(f"sqlite:///{path}").close()
    mounts = tmp_path / "mountinfo"
    mounts.write_text("36 35 98:0 / /else rw - ext4 /dev/root rw\n")
    monkeypatch.setattr(place, "MOUNTS", str(mounts))
    open_store(f"sqlite:///{path}").close()
    mounts.write_text(f"36 35 98:0 /x {str(path).replace(' ', chr(92) + '040')} rw - ext4 /dev/root rw\n")
    with pytest.raises(StoreError, match="mount its folder"):
        open_store(f"sqlite:///{path}")


def test_a_file_with_two_names_is_warned_of(tmp_path, caplog):
    path = tmp_path / "shop.db"
    open_store(f"sqlite:///{path}").close()
    os.link(path, tmp_path / "second.db")
    with caplog.at_level(logging.WARNING):
        open_store(f"sqlite:///{path}").close()
    assert "has 2 names" in caplog.text


# --- a file that goes ------------------------------------------------------------------------------------------------


def delete(path):
    path.unlink()


def delete_all(path):
    for one in path.parent.glob("shop.db*"):
        if one.is_file():
            one.unlink()


def move(path):
    path.rename(path.with_name("moved.db"))


def replace(path):
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("act", [delete, delete_all, move, replace])
def test_nothing_is_acknowledged_once_the_file_is_not_the_one_that_was_opened(opened, tmp_path, act):
    store = opened(tmp_path / "shop.db")
    store.write(adding("a"))
    act(tmp_path / "shop.db")
    for _ in range(2):
        with pytest.raises(StoreError, match="while it was open; nothing of this was written: restart"):
            store.write(adding("b"))
    held = store.hold()
    with pytest.raises(StoreError, match="while it was open"):
        held.commit()


@pytest.mark.parametrize("act", [delete, delete_all, move, replace])
def test_a_file_that_goes_in_the_midst_of_a_transaction_makes_its_outcome_unknown(opened, tmp_path, act):
    path = tmp_path / "shop.db"
    store = opened(path)
    told = []

    def work(transaction):
        transaction.run("nodes.add", row("a"))
        transaction.after_commit(lambda: told.append("a"))
        act(path)

    with pytest.raises(OutcomeUnknown, match="in no file.*check whether its work is there"):
        store.write(work)
    assert told == []
    with pytest.raises(StoreError, match="nothing of this was written"):
        store.write(adding("b"))


def test_a_file_that_is_back_is_used_again(opened, tmp_path):
    path = tmp_path / "shop.db"
    store = opened(path)
    path.rename(tmp_path / "away.db")
    with pytest.raises(StoreError):
        store.write(adding("a"))
    (tmp_path / "away.db").rename(path)
    store.write(adding("b"))
    assert ids(store) == {"b"}


def test_a_log_that_is_deleted_is_noticed_soon(opened, tmp_path):
    store = opened(tmp_path / "shop.db")
    for number in range(sqlite_store.COMMITS):
        store.write(adding(f"before-{number}"))
    (tmp_path / "shop.db-wal").unlink()
    with pytest.raises(StoreError, match=r"its log \(-wal\)"):
        for number in range(2 * sqlite_store.COMMITS):
            store.write(adding(f"after-{number}"))


# --- locks that go ---------------------------------------------------------------------------------------------------


def test_a_missing_lock_file_alone_is_no_death(opened, tmp_path):
    first, second = opened(tmp_path / "shop.db"), opened(tmp_path / "shop.db")
    lock = tmp_path / "shop.db-af-nodes" / first.node.id
    assert second.node.dead() == []
    with program("live", f"sqlite:///{tmp_path}/shop.db") as other:
        id = line(other)
        (lock.parent / id).unlink()
        assert first.node.dead() == []
        stale = SystemClock.monotonic() - LEASE_SECONDS - 1
        first.write(lambda transaction: transaction.run("nodes.beat", {"id": id, "beat": stale}))
        assert first.node.dead() == [id]
        first.write(lambda transaction: transaction.run("nodes.remove", {"id": id}))


def test_a_node_of_an_earlier_start_of_the_machine_without_a_lock_is_dead(opened, tmp_path):
    store = opened(tmp_path / "shop.db")
    assert store.node.id
    earlier = {**row("earlier"), "boot": "another", "beat": SystemClock.monotonic()}
    store.write(lambda transaction: transaction.run("nodes.add", earlier))
    assert store.node.dead() == ["earlier"]


def test_a_node_whose_lock_file_was_deleted_makes_it_again(opened, tmp_path, caplog):
    first, second = opened(tmp_path / "shop.db"), opened(tmp_path / "shop.db")
    assert first.node.id != second.node.id
    shutil.rmtree(tmp_path / "shop.db-af-nodes")
    assert first.node.dead() == []
    assert (tmp_path / "shop.db-af-nodes" / first.node.id).exists()
    assert not is_free(str(tmp_path / "shop.db-af-nodes" / first.node.id))
    assert "was deleted; it is made again" in caplog.text


# --- tables that change ----------------------------------------------------------------------------------------------


def test_a_newer_program_that_changes_the_tables_is_noticed_by_the_next_commit(opened, tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    store = opened(path)
    for number in range(3):
        store.write(adding(f"before-{number}"))
        newer = [(sqlite_file.VERSION + 1, "create table af_newer (id integer)")]
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_file, "MIGRATIONS", newer)
            patch.setattr(sqlite_file, "VERSION", sqlite_file.VERSION + 1)
            opened(path).close()
        with pytest.raises(StoreOutdated):
            store.write(adding("after"))
        with pytest.raises(StoreOutdated):
            store.hold()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("drop table af_newer")
            connection.execute("update af_meta set value = ? where key = 'version'", (store.version,))
    assert ids(store) == {"before-0", "before-1", "before-2"}


def test_tables_that_were_changed_by_hand_are_noticed_soon(opened, tmp_path):
    path = tmp_path / "shop.db"
    store = opened(path)
    store.write(adding("a"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("update af_meta set value = value + 1 where key = 'version'")
    with pytest.raises(StoreOutdated):
        for number in range(sqlite_store.COMMITS + 1):
            store.write(adding(f"after-{number}"))


def test_a_touch_changes_the_time_of_a_file_that_was_written_in_the_same_tick(tmp_path):
    path = tmp_path / "shop.db"
    path.write_text("")
    seen = {path.stat().st_mtime_ns}
    for _ in range(100):
        place.touch(str(path))
        seen.add(path.stat().st_mtime_ns)
    assert len(seen) == 101


def test_a_touch_of_a_file_of_another_user_sets_the_present_time(tmp_path, monkeypatch):
    path = tmp_path / "shop.db"
    path.write_text("")
    os.utime(path, ns=(1, 1))
    utime = os.utime

    def refuse(file, **ns):
        if ns:
            raise PermissionError(1, "Operation not permitted")
        utime(file)

    monkeypatch.setattr(os, "utime", refuse)
    place.touch(str(path))
    assert path.stat().st_mtime_ns > 1
