"""A signal's handler that raises at any bytecode of a checkpoint: the lock is free, and no file stays open."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import psutil
import pytest

from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.sqlite.locks import is_free, lock, take
from actorflow.store.store import open_store
from actorflow.testing.leaks import open_files
from tests.interrupts import twice_at
from tests.store.rows import adding


def files_in(folder: Path) -> list[str]:
    """Return those that are open; of others the collector may close some meanwhile."""
    return [name for name in open_files(psutil.Process()) if str(folder) in name]


def test_an_interrupted_checkpoint_keeps_neither_its_lock_nor_a_descriptor(tmp_path, monkeypatch):
    """Where the lock stayed, no process could write its log back until this one ended."""
    monkeypatch.setattr(sqlite_file, "CHECKPOINT_BYTES", 1)
    path = str(tmp_path / "shop.db")
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store, contextlib.closing(sqlite3.connect(path)) as own:
        store.write(adding("a"))

        def mended() -> None:
            assert is_free(f"{path}-af-lock")
            assert len(files_in(tmp_path)) == count

        count = len(files_in(tmp_path))
        assert twice_at(lambda: sqlite_file.checkpoint(own, path, 100), mended) > 0


@pytest.mark.parametrize("take_it", [take, lock])
def test_an_interrupted_lock_is_free(tmp_path, take_it):
    path = str(tmp_path / "shop.db")
    name = path if take_it is take else f"{path}-af-lock"

    def action() -> None:
        with take_it(path) as held:
            assert not held.closed

    def mended() -> None:
        assert is_free(name)
        assert len(files_in(tmp_path)) == count

    count = len(files_in(tmp_path))
    assert twice_at(action, mended) > 0
