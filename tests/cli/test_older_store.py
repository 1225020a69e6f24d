"""A store that an older actorflow works on: no command changes its tables, but `actorflow store migrate`."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from actorflow.errors import StoreError
from actorflow.store.postgres import schema
from actorflow.store.postgres.store import PostgresStore
from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.sqlite.store import SqliteStore
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.store.rows import adding, ids

OLD = 4
NEW = SqliteStore.version
assert PostgresStore.version == NEW  # imported before a test has them older


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The URL of a store that nobody has opened."""
    with LeakCheck():
        if request.param == "sqlite":
            yield f"sqlite:///{tmp_path}/shop.db"
        else:
            with request.getfixturevalue("postgres_server").database() as url:
                yield url


@pytest.fixture
def url(empty: str) -> str:
    """The URL of a store that an older actorflow made."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite_file, schema):
            patch.setattr(module, "MIGRATIONS", module.MIGRATIONS[:OLD])
            patch.setattr(module, "VERSION", OLD)
        with contextlib.closing(open_store(empty)) as store:
            store.write(adding("old"))
    return empty


def version(url: str) -> int:
    path = url.removeprefix("sqlite:///")
    if path == url:
        with psycopg.connect(url) as connection:
            return int(connection.execute("select value from actorflow.meta where key = 'version'").fetchone()[0])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("select value from af_meta where key = 'version'").fetchone()[0]


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


ON_STORE = [
    ("list",), ("stats", "photos"), ("show", "photos"), ("show", "1"), ("pause", "photos"), ("resume", "photos"),
    ("retry", "1"), ("retry", "--dead", "photos"), ("cancel", "1"), ("purge", "photos", "--yes"),
]  # fmt: skip
OF_DEAD = [("list",), ("retry", "--all"), ("purge", "--all", "--yes")]


def test_a_command_does_not_update_tables_that_others_work_on_and_names_both_versions_and_the_cure(url):
    calls = [("queue", *words, "--store", url) for words in ON_STORE]
    calls += [("store", "dead", verb, url, *options) for verb, *options in OF_DEAD]
    if url.startswith("sqlite"):
        calls.append(("store", "prune", url))
    for call in calls:
        result = run(*call)
        assert result.exit_code == 2, call
        assert f"version {OLD}, this actorflow works on {NEW}" in result.stderr, call
        assert "actorflow store migrate" in result.stderr
        assert result.stderr.count("\n") == 1
        assert version(url) == OLD, call


@pytest.mark.parametrize("empty", ["sqlite"], indirect=True)
def test_a_file_is_checked_dumped_copied_and_vacuumed_in_the_version_that_it_has(url, tmp_path):
    for words in (("check", url), ("dump", url), ("vacuum", url), ("backup", url, f"{tmp_path}/copy.db")):
        result = run("store", *words)
        assert result.exit_code == 0, result.stderr
        assert version(url) == OLD, words
    assert version(f"sqlite:///{tmp_path}/copy.db") == OLD


def test_migrate_brings_the_tables_up_to_date_and_keeps_the_rows(url):
    result = run("store", "migrate", url, "--json")
    assert json.loads(result.stdout) == {"before": OLD, "after": NEW}
    assert version(url) == NEW
    with contextlib.closing(open_store(url, access="read")) as store:
        assert ids(store) == {"old"}
    assert f"version {NEW} already" in run("store", "migrate", url).stdout
    assert run("queue", "list", "--store", url).exit_code == 0


def test_the_start_of_a_system_on_it_updates_the_tables(url):
    with af.ActorSystem("shop", store=url) as system:
        system.queue("photos")
    assert version(url) == NEW


@pytest.mark.parametrize("empty", ["postgres"], indirect=True)
def test_migrate_makes_the_tables_on_a_server_and_looks_do_not(empty):
    result = run("queue", "list", "--store", empty)
    assert result.exit_code == 2
    assert "no tables of actorflow" in result.stderr
    with psycopg.connect(empty) as connection:
        assert connection.execute("select 1 from pg_namespace where nspname = 'actorflow'").fetchone() is None
    assert json.loads(run("store", "migrate", empty, "--json").stdout) == {"before": 0, "after": NEW}
    assert json.loads(run("queue", "list", "--store", empty, "--json").stdout) == []


def test_a_store_that_is_open_for_reading_takes_no_writes(empty):
    with contextlib.closing(open_store(empty)) as store:
        store.write(adding("a"))
        with contextlib.closing(open_store(empty, access="read")) as reader:
            assert ids(reader) == {"a"}
            with pytest.raises(StoreError, match="read"):
                reader.write(adding("b"))
            store.write(adding("c"))
            assert ids(reader) == {"a", "c"}


@pytest.mark.parametrize("empty", ["sqlite"], indirect=True)
def test_a_look_at_a_restored_copy_leaves_its_mode_and_its_bytes(empty, tmp_path):
    with contextlib.closing(open_store(empty)) as store:
        store.write(adding("a"))
    copy = tmp_path / "copy.db"
    assert run("store", "backup", empty, str(copy)).exit_code == 0
    before = copy.read_bytes()
    assert run("queue", "list", "--store", f"sqlite:///{copy}").exit_code == 0
    assert copy.read_bytes() == before
    assert [one.name for one in tmp_path.glob("copy.db*")] == ["copy.db"]
