"""Points: where a run may die: each statement, after each commit, around each note, in a task, before a word to all."""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from actorflow.store.postgres.connection import PostgresTransaction, PostgresWriter
from actorflow.store.postgres.session import ServerSession
from actorflow.store.sqlite.connection import SqliteWriter
from actorflow.store.sqlite.work_notes import WorkNotes
from tests.crash import tasks


class Points:
    """Counts the points that a process passes, and kills it at one, by its number or its name."""

    def __init__(self, dies_at: int | str) -> None:
        self.passed = 0
        self.dies_at = dies_at
        self._lock = threading.Lock()

    def __call__(self, name: str = "") -> None:
        with self._lock:
            self.passed += 1
            if self.dies_at == self.passed or (name and self.dies_at == name):
                os.kill(os.getpid(), signal.SIGKILL)

    def sql(self, text: str) -> None:
        """Pass the point before a statement; how often another process's commits are looked for is chance."""
        if "data_version" not in text:
            self()


def watch(points: Points) -> None:
    """Have this process pass its points from now on."""
    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(points.sql)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
    for cls, name in ((ServerSession, "execute"), (PostgresTransaction, "many")):
        around(cls, name, lambda *_: points(), None)
    for cls in (SqliteWriter, PostgresWriter):
        around(cls, "commit", None, lambda *_: points())
    for name in ("add", "remove"):
        around(WorkNotes, name, lambda *_, name=name: points(f"note: {name}"), lambda *_: points())
    tasks.point = points


def around(cls: type, name: str, before: Callable[..., object] | None, after: Callable[..., object] | None) -> None:
    """Have a method of a class call functions before and after it."""
    original = getattr(cls, name)

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args)
        value = original(*args, **kwargs)
        if after is not None:
            after(*args)
        return value

    setattr(cls, name, method)
