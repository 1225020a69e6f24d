"""`actorflow store`: it looks after a file that others work on, changes nothing it should not, and runs nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from actorflow.queues import ledger
from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.store.processes import line, program
from tests.store.rows import adding, ids, row


@af.task(name="tests.cli.double")
def double(n: int) -> int:
    return 2 * n


@af.task(name="tests.cli.fail")
def fail() -> None:
    raise ValueError("no")


@pytest.fixture(autouse=True)
def _leaks():
    with LeakCheck():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a job that is done, one that waits, and a row of a process that has died."""
    path = tmp_path / "shop.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        jobs = system.queue("numbers", workers=1)
        assert jobs.enqueue(double, 21).result(timeout=100) == 42
        jobs.enqueue(double.options(delay=3600), 1)
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:  # without workers, who would see that it is dead
        system.store.write(adding("gone"))
    return path


def run(*arguments: object):
    return CliRunner().invoke(main, ["store", *map(str, arguments)])


def answer(*arguments: object) -> dict:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refusal(*arguments: object) -> str:
    """The one line on stderr, of a call that ends with the code 2."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


# --- what all of them refuse -----------------------------------------------------------------------------------------

VERBS = [("check",), ("dump",), ("vacuum",), ("backup", "copy.db"), ("prune",), ("migrate",)]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_file_that_is_not_there_is_refused_and_not_made(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such file" in refusal(verb[0], "no.db", *verb[1:])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_database_without_tables_of_actorflow_is_refused_and_left_alone(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect("mine.db")) as connection:
        connection.execute("create table orders (id)")
    assert "no tables of actorflow" in refusal(verb[0], "mine.db", *verb[1:])
    assert [one.name for one in tmp_path.iterdir()] == ["mine.db"]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_database_with_a_table_of_our_name_is_refused_and_not_called_damaged(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect("mine.db")) as connection:
        connection.execute("create table af_meta (x)")
    text = refusal(verb[0], "mine.db", *verb[1:])
    assert "a table af_meta that actorflow did not make" in text
    assert "damaged" not in text


@pytest.mark.parametrize("verb", VERBS[1:], ids=lambda verb: verb[0])
def test_a_file_that_is_no_database_is_refused(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("letter.txt").write_text("Dear Sir or Madam, " * 100)
    assert "not a database" in refusal(verb[0], "letter.txt", *verb[1:])


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_file_newer_than_the_code_is_refused(verb, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("update af_meta set value = 9999 where key = 'version'")
        connection.commit()
    assert "update actorflow" in refusal(verb[0], path, *verb[1:])


def test_a_server_is_pointed_to_its_own_tools():
    assert "pg_dump" in refusal("backup", "postgresql://me@host/shop", "copy")


def test_the_url_of_a_store_is_as_good_as_its_path(path):
    assert answer("check", f"sqlite:///{path}")["ok"]


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_says_how_a_file_is(path):
    found = answer("check", path)
    assert found["ok"]
    assert (found["version"], found["known"]) == (sqlite_file.VERSION, sqlite_file.VERSION)
    assert found["rows"]["af_job"] == 2
    assert found["nodes"] == {"alive": 0, "dead": 1}
    assert found["bytes"] == path.stat().st_size
    text = run("check", path).stdout
    assert "in order, version" in text
    assert "af_job: 2 rows" in text


def test_check_sees_processes_that_work_on_the_file(path):
    with program("live", f"sqlite:///{path}") as other:
        line(other)
        assert answer("check", path)["nodes"] == {"alive": 1, "dead": 1}


@pytest.mark.parametrize("place", [0, 4096 * 2])
def test_check_of_a_damaged_file_names_the_damage_and_ends_with_2(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 2000)
    result = run("check", path, "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert not found["ok"]
    assert found["problems"]
    assert "restore a backup" in result.stderr
    assert "damaged" in refusal("check", path)


def test_check_of_a_file_that_may_not_be_read_calls_for_no_backup(path, monkeypatch):
    refused = sqlite3.OperationalError("unable to open database file")
    refused.sqlite_errorcode, refused.sqlite_errorname = sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"

    def connect(*_arguments, **_options):
        raise refused

    monkeypatch.setattr(sqlite3, "connect", connect)
    text = refusal("check", path)
    assert "may this user write there?" in text
    assert "backup" not in text


@pytest.mark.parametrize("verb", ["check", "dump", "vacuum", "prune", "migrate", "backup"])
@pytest.mark.parametrize(
    ("name", "text"), [("x" * 300, "name too long"), (".", "it is no file, but a folder or a device")]
)
def test_a_path_that_no_file_can_have_is_one_line(verb, name, text, tmp_path):
    target = [str(tmp_path / "copy.db")] if verb == "backup" else []
    assert text in refusal(verb, tmp_path / name, *target)


# --- dump ------------------------------------------------------------------------------------------------------------


def test_dump_prints_each_row_with_its_values_as_json(path):
    result = run("dump", path)
    assert result.exit_code == 0
    found = [json.loads(text) for text in result.stdout.splitlines()]
    jobs = [one["row"] for one in found if one["table"] == "af_job"]
    assert [(job["task"], job["status"], job["result"]) for job in jobs] == [
        ("tests.cli.double", "completed", 42),
        ("tests.cli.double", "queued", None),
    ]
    assert {one["table"] for one in found} >= {"af_meta", "af_queue", "af_node"}


def test_dump_of_one_table(path):
    result = run("dump", path, "--table", "af_queue")
    assert {json.loads(text)["table"] for text in result.stdout.splitlines()} == {"af_queue"}
    assert "there are af_actor, " in refusal("dump", path, "--table", "nonsense")


def test_dump_imports_no_name_that_is_stored(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("update af_job set args = ?", (b'{"$type": "antigravity.geohash", "fields": {}}',))
        connection.execute("update af_job set options = ?", (b"\x80\x04nonsense",))
        connection.commit()
    result = run("dump", path, "--table", "af_job")
    found = json.loads(result.stdout.splitlines()[0])["row"]
    assert found["args"] == {"$type": "antigravity.geohash", "fields": {}}
    assert set(found["options"]) == {"$bytes"}
    assert "antigravity" not in sys.modules


# --- backup ----------------------------------------------------------------------------------------------------------


def test_backup_has_what_is_still_in_the_log(path, tmp_path):
    store = open_store(f"sqlite:///{path}")
    try:
        store.write(adding("late"))
        torn = tmp_path / "torn.db"
        shutil.copy(path, torn)  # what people do
        assert answer("backup", path, tmp_path / "copy.db")["bytes"] == (tmp_path / "copy.db").stat().st_size
    finally:
        store.close()
    assert [one.name for one in tmp_path.glob("copy.db*")] == ["copy.db"]
    with contextlib.closing(open_store(f"sqlite:///{tmp_path}/copy.db")) as copy:
        assert "late" in ids(copy)
    with contextlib.closing(open_store(f"sqlite:///{torn}")) as copy:
        assert "late" not in ids(copy)


def test_backup_while_others_write_is_whole(path, tmp_path):
    with contextlib.closing(open_store(f"sqlite:///{path}", durability="process")) as store:
        ended = threading.Event()

        def write():
            number = 0
            while not ended.is_set():
                number += 1
                pair = [row(f"{number}-a"), row(f"{number}-b")]
                store.write(lambda transaction, pair=pair: transaction.many("nodes.add", pair))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                answer("backup", path, tmp_path / f"copy-{number}.db")
        finally:
            ended.set()
            writer.join(100)
    for number in range(5):
        assert answer("check", tmp_path / f"copy-{number}.db")["ok"]
        with contextlib.closing(open_store(f"sqlite:///{tmp_path}/copy-{number}.db")) as copy:
            found = ids(copy) - {"gone"}
        assert {one[:-2] for one in found if one.endswith("a")} == {one[:-2] for one in found if one.endswith("b")}


def test_backup_replaces_nothing_unless_told_to(path, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("precious")
    assert "--force" in refusal("backup", path, target)
    assert target.read_text() == "precious"
    answer("backup", path, target, "--force")
    assert answer("check", target)["ok"]


def test_backup_of_a_damaged_file_leaves_the_older_copy_as_it_was(path, tmp_path):
    target = tmp_path / "copy.db"
    answer("backup", path, target)
    good = target.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 2000)
    assert "was not written" in refusal("backup", path, target, "--force")
    assert target.read_bytes() == good
    assert [one.name for one in tmp_path.glob("copy.db*")] == ["copy.db"]


def test_backup_over_a_file_with_a_log_is_what_was_copied_and_not_what_the_log_has(path, tmp_path):
    target = tmp_path / "crashed.db"
    store = open_store(f"sqlite:///{path}")
    try:
        answer("backup", path, tmp_path / "copy.db")
        store.write(adding("late"))
        for end in ("", "-wal"):  # what a process leaves that is killed
            shutil.copy(f"{path}{end}", f"{target}{end}")
    finally:
        store.close()
    answer("backup", tmp_path / "copy.db", target, "--force")
    assert not Path(f"{target}-wal").exists()
    with contextlib.closing(open_store(f"sqlite:///{target}")) as restored:
        assert "late" not in ids(restored)


def test_backup_over_a_file_that_others_work_on_is_refused(path, tmp_path):
    answer("backup", path, tmp_path / "copy.db")
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        assert "other processes use the file" in refusal("backup", tmp_path / "copy.db", path, "--force")
        store.write(adding("late"))
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        assert "late" in ids(store)


def test_backup_onto_the_file_itself_is_refused(path):
    assert "is the file itself" in refusal("backup", path, path, "--force")
    assert answer("check", path)["ok"]


def test_backup_replaces_no_device_and_no_folder(path, tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for target in (pipe, folder):
        assert "it is no file" in refusal("backup", path, target, "--force")
    assert pipe.is_fifo()


def test_backup_that_fails_leaves_nothing(path, tmp_path):
    assert "no-folder" in refusal("backup", path, tmp_path / "no-folder" / "copy.db")
    assert not list(tmp_path.glob("*.part"))


# --- vacuum and prune ------------------------------------------------------------------------------------------------


def test_vacuum_gives_room_back(path):
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        store.write(lambda transaction: transaction.many("nodes.add", (row(f"{n:0900}") for n in range(2000))))
        for id in ids(store):
            store.write(lambda transaction, one=id: transaction.run("nodes.remove", {"id": one}), durability="process")
    found = answer("vacuum", path)
    assert found["after"] < found["before"] / 5
    assert answer("check", path)["ok"]


@af.workflow
def reviewed() -> str:
    """Wait for a signal."""
    return af.wait(str)


def test_prune_removes_runs_and_leaves_those_of_a_dead_process_to_others(path, monkeypatch):
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        for name in ("open", "over"):
            system.start(reviewed.options(id=name))
        system.get_run("over").signal("well")
        assert system.get_run("over").result(timeout=60) == "well"
    with open_store(f"sqlite:///{path}") as store:
        store.write(adding("another"))
        taken = "update af_run set state = 2, owner = 'another' where name = 'open'"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(taken)
    assert answer("prune", path)["runs"] == 0
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        system.get_run("open").signal("well")
        assert system.get_run("open").result(timeout=60) == "well"
    now = time.time()
    monkeypatch.setattr("actorflow.core.clock.SystemClock.time", staticmethod(lambda: now + 40 * 86400.0))
    assert answer("prune", path)["runs"] > 0
    with open_store(f"sqlite:///{path}") as store:
        assert store.read(lambda tx: tx.one("runs.outcome", {"name": "over"})) is None


def test_prune_takes_what_was_kept_long_enough_and_nothing_else(path, monkeypatch):
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        jobs = system.queue("numbers", workers=1)
        with pytest.raises(af.JobFailed):
            jobs.enqueue(fail).result(timeout=100)
        kept = jobs.enqueue(double.options(keep=10 * 86400.0), 4)
        kept.result(timeout=100)
        jobs.enqueue(double.options(delay=3600), 2)  # the newest job stays in any case, for the sake of its number
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        system.store.write(adding("another"))
        system.store.write(adding("a third"))
    assert answer("prune", path) == {"jobs": 0, "runs": 0, "messages": 0, "keys": 0, "schedules": 0, "nodes": 2}
    now = time.time()
    monkeypatch.setattr("actorflow.core.clock.SystemClock.time", staticmethod(lambda: now + 2 * 86400.0))
    assert answer("prune", path) == {"jobs": 1, "runs": 0, "messages": 0, "keys": 0, "schedules": 0, "nodes": 0}
    rows = [json.loads(text)["row"] for text in run("dump", path, "--table", "af_job").stdout.splitlines()]
    found = [(one["status"], one["result"]) for one in rows]
    assert found == [("queued", None), ("failed", None), ("completed", 8), ("queued", None)]
    monkeypatch.setattr("actorflow.core.clock.SystemClock.time", staticmethod(lambda: now + ledger.DEAD_SECONDS * 2))
    assert answer("prune", path)["jobs"] == 2
    rows = answer("check", path)["rows"]
    assert {table: count for table, count in rows.items() if count} == {"af_job": 2, "af_meta": 1, "af_queue": 1}
    assert not Path(f"{path}-af-nodes").exists()


def test_prune_lets_others_have_the_jobs_of_a_dead_process(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("update af_job set stage = 4, status = 'running', owner = 'gone' where status = 'queued'")
        connection.commit()
    assert answer("prune", path)["nodes"] == 1
    rows = [json.loads(text)["row"] for text in run("dump", path, "--table", "af_job").stdout.splitlines()]
    assert [(one["status"], one["owner"]) for one in rows] == [("completed", None), ("queued", None)]


def test_prune_does_not_touch_processes_that_live(path):
    with program("live", f"sqlite:///{path}") as other:
        line(other)
        assert answer("prune", path)["nodes"] == 1
        assert answer("check", path)["nodes"] == {"alive": 1, "dead": 0}


@pytest.mark.parametrize("command", ["check", "dump", "vacuum", "prune", "migrate"])
def test_a_command_without_a_file_takes_that_of_the_environment(path, command):
    result = CliRunner().invoke(main, ["store", command], env={"ACTORFLOW_STORE": f"sqlite:///{path}"})
    assert result.exit_code == 0, result.output
    assert str(path) in result.stdout or command == "dump"


@pytest.mark.parametrize(("command", "name"), [("check", "FILE"), ("dump", "FILE"), ("migrate", "STORE")])
def test_a_missing_file_is_an_error_that_names_the_variable(command, name):
    result = CliRunner().invoke(main, ["store", command], env={"ACTORFLOW_STORE": None})
    assert result.exit_code == 2
    assert result.stderr == f"actorflow: Missing argument '{name}' (env var: 'ACTORFLOW_STORE').\n"
