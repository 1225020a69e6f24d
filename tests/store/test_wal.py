"""Promises: the log of a file has room ahead of the commits that outlive a power cut, and nothing is lost by it."""

import contextlib
import os
import shutil
import sqlite3
import threading

import pytest

from actorflow.errors import StoreError
from actorflow.store.sqlite import connection, wal
from actorflow.store.store import open_store
from tests.store.rows import adding, ids


@pytest.fixture
def log(tmp_path):
    """Look for the pages of a log, and for what is behind them."""
    path = tmp_path / "shop.db"

    class Log:
        url = f"sqlite:///{path}"

        def size(self):
            return wal.log_size(str(path))

        def is_filled(self):
            return wal.is_filled(str(path), self.size())

        def copied(self):
            """Return what is found after a loss of power: in copies of the files, without the index of the log."""
            folder = tmp_path / "copy"
            folder.mkdir()
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", folder / f"shop.db{suffix}")
            with contextlib.closing(sqlite3.connect(folder / "shop.db")) as copy:
                assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
                return {id for (id,) in copy.execute("select id from af_node")}

    return Log()


def test_commits_that_outlive_a_power_cut_find_room_in_the_log(log):
    with open_store(log.url) as store:
        for number in range(wal.COMMITS + 1):
            store.write(adding(f"row-{number}"))
        assert not log.is_filled()
        sizes = set()
        for number in range(10):
            store.write(adding(f"more-{number}"))
            sizes.add(log.size())
        assert len(sizes) == 1, "a commit has made the log longer"
        assert log.copied() == ids(store)


def test_commits_that_outlive_the_process_alone_make_no_room(log):
    with open_store(log.url, durability="process") as store:
        for number in range(3 * wal.COMMITS):
            store.write(adding(f"row-{number}"))
        assert log.is_filled()


def test_nothing_is_lost_when_several_writers_make_room_all_the_time(log, monkeypatch):
    monkeypatch.setattr(connection, "COMMITS", 1)
    monkeypatch.setattr(wal, "ROOM_BYTES", 10_000)
    with open_store(log.url) as one, open_store(log.url) as other:

        def write(name, store):
            for number in range(100):
                store.write(adding(f"{name}-{number}"))

        threads = [
            threading.Thread(target=write, args=(f"{id(store)}-{n}", store)) for store in (one, other) for n in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids(other)) == 400
        assert log.copied() == ids(one)


def test_the_log_of_a_file_that_was_put_in_place_of_another_is_left_alone(log, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "COMMITS", 1)
    store = open_store(log.url)
    store.write(adding("row"))
    other = tmp_path / "other.db"
    with open_store(f"sqlite:///{other}", durability="process") as filled:
        filled.write(adding("other"))
        for suffix in ("", "-wal"):
            (tmp_path / f"other.db{suffix}").replace(tmp_path / f"shop.db{suffix}")
        size = log.size()
        with pytest.raises(StoreError, match="another file was put in its place"):
            store.write(adding("more"))
        assert log.size() == size
        assert log.is_filled()
    with contextlib.suppress(StoreError):
        store.close()


@pytest.mark.parametrize("kind", ["none", "half"])
def test_a_disk_without_room_leaves_the_log_as_it_was_and_commits_go_on(log, monkeypatch, kind):
    plain = os.pwrite
    tries = []

    def write(file, data, at):
        tries.append(len(data))
        if kind == "half":
            return plain(file, data[: len(data) // 2], at)
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(wal.os, "pwrite", write)
    with open_store(log.url) as store:
        for number in range(wal.COMMITS * 3):
            store.write(adding(f"row-{number}"))
        assert tries
        assert log.is_filled()
        assert log.copied() == ids(store)


def test_a_log_is_made_no_longer_than_it_stays_after_a_checkpoint(log, monkeypatch):
    monkeypatch.setattr(connection, "COMMITS", 1)
    monkeypatch.setattr(wal, "LARGEST_BYTES", 50_000)
    with open_store(log.url) as store:
        before = 0
        while log.size() < 50_000:
            store.write(adding(f"row-{before}"))
            before += 1
        for number in range(30):
            store.write(adding(f"more-{number}"))
        assert log.is_filled()
