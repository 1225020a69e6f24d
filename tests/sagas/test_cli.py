"""`actorflow sagas`: sagas of a store that nobody works on are listed, shown, retried and skipped."""

import json
import sys

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from tests.sagas.test_sagas import trip
from tests.sagas.world import OUTSIDE


@af.workflow
def plain_run() -> int:
    """Be no saga."""
    return 1


@pytest.fixture
def path(tmp_path):
    """A file with a saga that is stuck, one that was undone, and a run of a workflow."""
    path = tmp_path / "shop.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        system.start(plain_run.options(id="plain")).result(timeout=100)
        OUTSIDE.clear(card=["raises"])
        with pytest.raises(af.RunFailed):
            system.start(trip.options(id="undone"), "ann").result(timeout=100)
        OUTSIDE.clear(card=["raises"], **{"undo hotel": ["raises"]})
        with pytest.raises(af.CompensationFailed):
            system.start(trip.options(id="stuck"), "bob").result(timeout=100)
    OUTSIDE.fates.clear()
    return str(path)


def run(path, *words, code=0):
    found = CliRunner().invoke(main, ["sagas", *words, "--store", path])
    assert found.exit_code == code, found.output
    return found


def answer(path, *words, code=0):
    return json.loads(run(path, *words, "--json", code=code).stdout)


def test_sagas_are_listed_without_other_runs(path):
    assert [(one["id"], one["status"]) for one in answer(path, "list")] == [
        ("stuck", "stuck"),
        ("undone", "compensated"),
    ]
    assert [one["id"] for one in answer(path, "list", "--status", "stuck")] == ["stuck"]
    assert answer(path, "list", "--count") == [{"compensated": 1, "stuck": 1}]
    assert "Boom: undo hotel" in run(path, "list").stdout


def test_a_saga_is_shown_with_its_turn_and_its_compensations(path):
    text = run(path, "show", "undone").stdout.partition("\n\n")[2]
    names = ["world.seat", "world.flight", "world.hotel", "world.card", "turns to undoing"]
    places = [text.index(name) for name in [*names, "cancel_hotel", "cancel_flight", "free_seat"]]
    assert places == sorted(places)
    assert [one["kind"] for one in answer(path, "show", "undone")[0]["records"]].count("undone") == 3
    assert "plain_run, which is no saga" in run(path, "show", "plain", code=2).stderr


@pytest.mark.parametrize("words", [("retry", "stuck"), ("skip", "stuck", "by hand")], ids=["retry", "skip"])
def test_a_stuck_saga_goes_on_in_a_process_that_knows_it(path, words):
    assert answer(path, *words)["saga"] == "stuck"
    assert answer(path, "list", "--count") == [{"compensated": 1, "queued": 1}]
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        with pytest.raises(af.RunFailed, match="card"):
            system.get_run("stuck").result(timeout=100)
        assert system.get_run("stuck").status == "compensated"
    assert ("-hotel" in OUTSIDE.order) == (words[0] == "retry")


def test_only_a_stuck_saga_is_retried_or_skipped(path):
    assert "saga undone is compensated" in run(path, "retry", "undone", code=2).stderr
    assert "is compensated: only compensations" in run(path, "skip", "undone", "why", code=2).stderr
    assert "there is no run nobody" in run(path, "retry", "nobody", code=2).stderr
    text = run(path, "skip", "stuck", "why", "--step", "refund", code=2).stderr
    assert "has no failed compensation 'refund', but tests.sagas.world.cancel_hotel" in text


# --- the store of an app ----------------------------------------------------------------------------------------------


@pytest.fixture
def app_of(path, tmp_path, monkeypatch):
    """A module in the current folder, with an app on that file, and one whose store is an open one."""
    (tmp_path / "saga_cli_app.py").write_text(
        "import actorflow as af\n"
        f"app = af.App('shop', store='sqlite:///{path}')\n"
        "given = af.App('given', store=af.open_store())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "saga_cli_app"
    module = sys.modules.pop("saga_cli_app", None)
    if module is not None:
        module.given.store.close()


def test_an_app_names_its_store(app_of, monkeypatch):
    found = CliRunner().invoke(main, ["sagas", "list", "--app", f"{app_of}:app", "--json"])
    assert [one["id"] for one in json.loads(found.stdout)] == ["stuck", "undone"]
    monkeypatch.setenv("ACTORFLOW_STORE", "elsewhere.db")  # of the environment; the command says more
    for command in (["runs", "show", "undone"], ["queue", "list"], ["events", "list"]):
        found = CliRunner().invoke(main, [*command, "--app", f"{app_of}:app"])
        assert found.exit_code == 0, found.output


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "'--store' (env var: 'ACTORFLOW_STORE'), or '--app'"),
        (
            ["--app", "saga_cli_app:app", "--store", "x.db"],
            "give --store, or the --app whose store it is, and not both",
        ),
        (["--app", "saga_cli_app:nothing"], "module 'saga_cli_app' has no 'nothing'"),
        (
            ["--app", "saga_cli_app:given"],
            "the store of saga_cli_app:given was given as an open one: name it by --store",
        ),
    ],
)
def test_a_store_that_is_not_named_is_one_line_and_exit_code_2(app_of, words, text):
    found = CliRunner(env={"ACTORFLOW_STORE": None}).invoke(main, ["sagas", "list", *words])
    assert (found.exit_code, text in found.stderr) == (2, True), found.stderr
