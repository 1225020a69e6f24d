"""Books: what a store recorded, seen past actorflow's own code, on each dialect."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import psycopg

import actorflow as af

SQLITE_LIST = """
create table done (job integer, epoch integer);
create table effect (key text);
create trigger done after update of status on af_job when new.status = 'completed'
begin insert into done values (new.id, new.epoch); end;
"""
POSTGRES_LIST = """
create table done (job bigint, epoch bigint);
create table effect (key text);
create function note_done() returns trigger language plpgsql as
$$ begin insert into done values (new.id, new.epoch); return null; end $$;
create trigger done after update of status on actorflow.job for each row when (new.status = 'completed')
execute function note_done();
"""
LOG_BYTES = 64 * 2**20


class Books:
    """A store with a list of its own of what was recorded as done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite:")
        self.path = Path(url.removeprefix("sqlite:///"))
        self.prefix = "af_" if self.is_sqlite else "actorflow."

    @classmethod
    def made(cls, url: str, queue: str) -> Books:
        """Make the tables of a store, and the list."""
        books = cls(url)
        with af.ActorSystem("first", store=url) as system:
            system.queue(queue)
        with books.connection() as connection:
            if books.is_sqlite:
                connection.executescript(SQLITE_LIST)
            else:
                connection.execute(POSTGRES_LIST)
        return books

    @contextlib.contextmanager
    def connection(self):
        """Open the database."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                yield connection
        else:
            with psycopg.connect(self.url, autocommit=True) as connection:
                yield connection

    def rows(self, sql: str) -> list[tuple]:
        """Run a query; a table's name is written {job}, {queue} and so on."""
        names = {name: f"{self.prefix}{name}" for name in ("job", "queue", "key", "need", "node", "schedule")}
        with self.connection() as connection:
            return connection.execute(sql.format(**names)).fetchall()

    def value(self, sql: str):
        """Run a query, and return its one value."""
        return self.rows(sql)[0][0]

    def problems(self, *, with_list: bool = True) -> list[str]:
        """Say what is wrong once all is at rest: recorded twice, still held, not whole, left behind."""
        found = []
        if with_list and (twice := self.rows("select job from done group by job having count(*) > 1")):
            found.append(f"recorded twice: {twice}")
        if held := self.rows("select id, owner from {job} where owner is not null"):
            found.append(f"still held: {held}")
        if needs := self.rows("select * from {need}"):
            found.append(f"waits for what is over: {needs}")
        if slots := self.value("select coalesce(sum(slots), 0) from {key}"):
            found.append(f"{slots} slots of keys are taken")
        if nodes := self.rows("select id from {node}"):
            found.append(f"nodes are left: {nodes}")
        if self.is_sqlite and (answer := self.rows("pragma integrity_check")) != [("ok",)]:
            found.append(f"the file is not whole: {answer}")
        if self.is_sqlite and list(self.path.parent.glob(f"{self.path.name}-af-nodes/*")):
            found.append("files of nodes are left")
        return found + self.log_problems()

    def log_problems(self) -> list[str]:
        """Say whether the log is too long."""
        log = self.path.with_name(f"{self.path.name}-wal")
        if self.is_sqlite and log.exists() and log.stat().st_size > LOG_BYTES:
            return [f"the log has {log.stat().st_size} bytes"]
        return []

    def count_problems(self, queue: str) -> list[str]:
        """Say whether the queue's counters tell what its jobs do."""
        columns = "running", "completed", "failed", "cancelled", "dead"
        counted = self.rows(f"select {', '.join(columns)} from {{queue}} where name = '{queue}'")[0]
        real = dict(self.rows(f"select status, count(*) from {{job}} where queue = '{queue}' group by status"))
        is_right = counted == tuple(real.get(column, 0) for column in columns)
        return [] if is_right else [f"counted {dict(zip(columns, counted, strict=True))}, there are {real}"]
