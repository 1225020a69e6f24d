"""`actorflow store dead`: dead letters of durable actors, on a store that nobody works on."""

import json
import time

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from tests.durable.actors import Account
from tests.durable.test_messages import wait_for
from tests.durable.test_state import named


class Refusing(Account):
    def on_receive(self, message):
        raise ValueError(message)


@pytest.fixture
def path(tmp_path):
    """A file with three dead letters of two actors."""
    path = tmp_path / "shop.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}", durability="process") as system:
        for name, messages in (("a", ["x", "y"]), ("b", ["z"])):
            ref = system.spawn(named(Refusing, name, retry=af.Retry(1)))
            for message in messages:
                ref.tell(message)
            wait_for(lambda name=name, messages=messages: system.dead_mail.count(name) == len(messages))
    return str(path)


def run(*arguments: str, code: int = 0, **options):
    result = CliRunner().invoke(main, ["store", "dead", *arguments], **options)
    assert result.exit_code == code, result.output
    return result


def asked(*arguments: str, code: int = 0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_list_shows_them_with_their_causes(path):
    found = asked("list", path)
    assert [(one["id"], one["actor"], one["message"]) for one in found] == [
        ("3", "b", '"z"'),
        ("2", "a", '"y"'),
        ("1", "a", '"x"'),
    ]
    assert found[0]["cause"] == "ValueError: z"
    assert [one["id"] for one in asked("list", f"sqlite:///{path}", "--actor", "a", "--limit", "1")] == ["2"]
    assert [one["id"] for one in asked("list", path, "--before", "2")] == ["1"]
    assert "ValueError: z" in run("list", path).stdout
    assert "no such dead letters" in run("list", path, "--actor", "c").stderr


@pytest.mark.parametrize(("chosen", "left"), [(("1", "3"), ["2"]), (("--actor", "a"), ["3"]), (("--all",), [])])
def test_retry_puts_them_back(path, chosen, left):
    assert asked("retry", path, *chosen) == {"retried": 3 - len(left)}
    assert [one["id"] for one in asked("list", path)] == left
    dump = CliRunner().invoke(main, ["store", "dump", path, "--table", "af_mail"]).stdout.splitlines()
    assert len(dump) == 3 - len(left)


def test_purge_asks_first(path):
    run("purge", path, "--all", input="n\n", code=1)
    assert asked("purge", path, "3", "--yes") == {"removed": 1}
    assert "2 dead letters removed" in run("purge", path, "--all", "--yes").stderr
    assert asked("list", path) == []


@pytest.mark.parametrize("chosen", [(), ("1", "--all"), ("--actor", "a", "--all")])
def test_one_way_to_choose_is_asked_for(path, chosen):
    assert "name dead letters by their ids" in run("retry", path, *chosen, code=2).stderr


def test_an_id_that_is_not_there_is_said(path):
    assert "1 of 2 were there" in run("retry", path, "1", "77", code=1).stderr


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    assert "there is no file" in run("list", str(tmp_path / "none.db"), code=2).stderr
    assert "in the process" in run("list", "memory:", code=2).stderr
    assert not (tmp_path / "none.db").exists()


def test_prune_takes_dead_letters_that_were_kept_long_enough(path, monkeypatch):
    prune = lambda: json.loads(CliRunner().invoke(main, ["store", "prune", path, "--json"]).stdout)["messages"]  # noqa: E731
    assert prune() == 0
    now = time.time()
    monkeypatch.setattr("actorflow.core.clock.SystemClock.time", staticmethod(lambda: now + 31 * 86400.0))
    assert prune() == 3
