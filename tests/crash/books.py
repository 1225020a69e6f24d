"""Books: what a store recorded, seen past actorflow's own code, on each dialect."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import psycopg

import actorflow as af

SQLITE_LIST = """
create table done (job integer, epoch integer);
create trigger done after update of status on af_job when new.status = 'completed'
begin insert into done values (new.id, new.epoch); end;
"""
POSTGRES_LIST = """
create table done (job bigint, epoch bigint);
create function note_done() returns trigger language plpgsql as
$$ begin insert into done values (new.id, new.epoch); return null; end $$;
create trigger done after update of status on actorflow.job for each row when (new.status = 'completed')
execute function note_done();
"""


class Books:
    """A store with a list of its own of what was recorded as done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite:")
        self.path = Path(url.removeprefix("sqlite:///"))
        self.jobs = "af_job" if self.is_sqlite else "actorflow.job"
        with af.ActorSystem("first", store=url) as system:
            system.queue("crash")
        with self._connection() as connection:
            if self.is_sqlite:
                connection.executescript(SQLITE_LIST)
            else:
                connection.execute(POSTGRES_LIST)

    @contextlib.contextmanager
    def _connection(self):
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection:
                yield connection
        else:
            with psycopg.connect(self.url, autocommit=True) as connection:
                yield connection

    def rows(self, sql: str) -> list[tuple]:
        """Run a query; `{jobs}` in it is the table of the jobs."""
        with self._connection() as connection:
            return connection.execute(sql.format(jobs=self.jobs)).fetchall()

    def running(self) -> set[tuple]:
        """Return the jobs that run, as (id, epoch)."""
        return set(self.rows("select id, epoch from {jobs} where stage = 4"))

    def check(self) -> None:
        """Nothing is recorded twice, nobody holds what is over, the file is whole and its log short."""
        assert self.rows("select job from done group by job having count(*) > 1") == []
        assert self.rows("select id from {jobs} where owner is not null") == []
        if self.is_sqlite:
            assert self.rows("pragma integrity_check") == [("ok",)]
            assert self.path.with_name(f"{self.path.name}-wal").stat().st_size <= 64 * 2**20
