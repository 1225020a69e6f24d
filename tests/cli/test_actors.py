"""`actorflow store actors|mail`: what a store has of durable actors, while nobody works on it."""

import json
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from tests.durable.actors import Account
from tests.durable.test_state import named


@pytest.fixture
def path(tmp_path):
    """A file with the state of one actor, and mail for another."""
    path = tmp_path / "bank.db"
    with af.ActorSystem("bank", store=f"sqlite:///{path}") as system:
        system.spawn(named(Account, "ann")).call(Account.add, 5).get(timeout=100)
        for n in range(3):
            system.durable("nobody", Account).cast(Account.add, n)
    return str(path)


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(main, ["store", *arguments], **options)
    assert result.exit_code == code, result.output
    return result


def answer(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_actors_are_listed(path):
    found = answer("actors", "list", path)
    assert [(one["name"], one["node"], one["messages"]) for one in found] == [("ann", None, 0), ("nobody", None, 3)]
    assert [one["name"] for one in answer("actors", "list", path, "--alone", "--after", "ann")] == ["nobody"]
    assert "nobody" in run("actors", "list", path).stdout
    assert "there are no such actors" in run("actors", "list", path, "--after", "z").stderr


def test_a_store_that_is_not_there_is_named_without_an_option_that_the_command_has_not(tmp_path):
    text = run("actors", "list", str(tmp_path / "none.db"), code=2).stderr
    assert f"there is no file {tmp_path / 'none.db'}" in text
    assert "--store" not in text
    assert "--store" not in run("mail", "list", "memory:", code=2).stderr


def test_an_actor_is_deleted_once_that_is_confirmed(path):
    assert "nothing was removed" in run("actors", "delete", path, "ann", input="n\n", code=1).stderr
    assert answer("actors", "delete", path, "ann", "--yes") == {"deleted": "ann"}
    assert [one["name"] for one in answer("actors", "list", path)] == ["nobody"]
    assert "there is nothing of ann" in run("actors", "delete", path, "ann", "--yes", code=1).stderr


def test_a_question_that_nobody_answers_names_the_option_for_scripts(path):
    text = run("actors", "delete", path, "ann", input="", code=2).stderr
    assert "nothing was removed" in text
    assert "--yes" in text
    assert len(answer("actors", "list", path)) == 2


def test_an_actor_of_a_process_that_lives_is_not_deleted(path):
    with af.ActorSystem("bank", store=f"sqlite:///{path}") as system:
        system.spawn(named(Account, "ann"))
        assert "stop it there" in run("actors", "delete", path, "ann", "--yes", code=2).stderr


def test_mail_is_listed_and_dropped(path):
    found = answer("mail", "list", path, "--actor", "nobody", "--limit", "2")
    assert [one["message"] for one in found] == ["add(2)", "add(1)"]
    assert [one["message"] for one in answer("mail", "list", path, "--before", found[1]["id"])] == ["add(0)"]
    assert answer("mail", "drop", path, found[0]["id"], "--yes") == {"removed": 1}
    assert "0 of 1 were there" in run("mail", "drop", path, found[0]["id"], "--yes", code=1).stderr
    assert "2 messages removed" in run("mail", "drop", path, "--actor", "nobody", "--yes").stderr
    assert "there are no such messages" in run("mail", "list", path).stderr


@pytest.mark.parametrize("chosen", [(), ("1", "--actor", "ann")])
def test_one_way_to_choose(path, chosen):
    assert "name messages by their ids" in run("mail", "drop", path, *chosen, "--yes", code=2).stderr


def test_a_process_that_was_killed_has_no_actors(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        row = ("gone", 1, "here", "another start of the machine", 0.0, 0.0)
        file.execute("insert into af_node (id, pid, host, boot, started, beat) values (?, ?, ?, ?, ?, ?)", row)
        file.execute("update af_actor set owner = 'gone'")
    assert [(one["name"], one["node"]) for one in answer("actors", "list", path)] == [("ann", None), ("nobody", None)]
    assert len(answer("actors", "list", path, "--alone")) == 2


@pytest.mark.parametrize("number", ["abc", "0", "-1", "9" * 30])
@pytest.mark.parametrize(
    "command",
    [
        ("mail", "list", "--before"),
        ("mail", "list", "--limit"),
        ("actors", "list", "--limit"),
        ("dead", "list", "--before"),
        ("dead", "list", "--limit"),
        ("mail", "drop", "--yes", "--"),
        ("dead", "retry", "--"),
        ("dead", "purge", "--yes", "--"),
    ],
)
def test_a_number_that_makes_no_sense_is_one_line(path_that_is_not_there, command, number):
    group, verb, *rest = command
    assert "Invalid value" in run(group, verb, path_that_is_not_there, *rest, number, code=2).stderr


@pytest.fixture
def path_that_is_not_there(tmp_path):
    return str(tmp_path / "none.db")
