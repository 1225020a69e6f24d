"""Stores of each kind for short runs: a new one for each, as copies of one that is made once."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

import actorflow as af
from tests.crash import tasks
from tests.crash.books import Books
from tests.crash.short_run import QUEUE, YEARLY

ROOT = Path(__file__).parents[2]


class Stores:
    """Makes stores on which a short run may begin: with the tables, and a schedule whose time has passed."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self.folder = folder
        self.server = server
        self._names: list[str] = []
        self._name = f"short_{folder.name}".lower()
        if server is not None:
            self._execute(f"create database {self._name}")
            self._names.append(self._name)
        self._first = self._url("first", self._name)
        books = Books.made(self._first, QUEUE)
        with af.ActorSystem("first", store=self._first) as system:
            system.queue(QUEUE).cron(YEARLY, tasks.scheduled, catch_up="latest", name="yearly")
        with books.connection() as connection:
            connection.execute(f"update {books.prefix}schedule set next = next - 366 * 86400 * 2")

    def _url(self, name: str, database: str) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / name}.db"
        return self.server.replace("/postgres?", f"/{database}?")

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql)

    def new(self, number: int) -> str:
        """Make one; return its URL."""
        name = f"{self._name}_{number}"
        url = self._url(f"run-{number}", name)
        if self.server is None:
            shutil.copy(self.folder / "first.db", self.folder / f"run-{number}.db")
        else:
            self._execute(f"create database {name} template {self._name}")
            self._names.append(name)
        return url

    def run(
        self, numbers: Iterable[int], safeguard: str = "", *, at_once: int = 10, new: bool = False
    ) -> Iterator[dict]:
        """Make short runs that die at these points, and yield what `short_run` says of each.

        Args:
            numbers: points.
            safeguard: to be switched off.
            at_once: runs of one process, each in a fork.
            new: on files that are not there yet.
        """
        left = list(numbers)
        while left:
            part, left = left[:at_once], left[at_once:]
            runs = [f"{number}={self._url(f'new-{number}', '') if new else self.new(number)}" for number in part]
            command = [sys.executable, "-m", "tests.crash.short_run", str(self.folder), safeguard, *runs]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, done.stderr
            yield from map(json.loads, done.stdout.splitlines())

    def close(self) -> None:
        """Drop them."""
        for name in self._names:
            self._execute(f"drop database if exists {name} with (force)")


@contextlib.contextmanager
def stores(folder: Path, server: str | None) -> Iterator[Stores]:
    """Have stores, and drop them at the end."""
    made = Stores(folder, server)
    try:
        yield made
    finally:
        made.close()
