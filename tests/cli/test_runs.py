"""`actorflow runs`: runs of a store that nobody works on are shown, sent signals and cancelled; no code is imported."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from tests.workflows.bodies import Approved, number


@af.workflow
def reviewed(n: int) -> list[object]:
    """A step, and two signals."""
    first = number(n)
    return [first, af.wait(Approved).name, af.wait(str)]


@af.workflow
def quick(n: int) -> int:
    """A step."""
    return number(n)[0]


@pytest.fixture
def path(tmp_path):
    """A file with a run that waits, and one that is over."""
    path = tmp_path / "shop.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        assert system.start(quick.options(id="done"), 7).result(timeout=100) == 7
        run = system.start(reviewed.options(id="open"), 5)
        while not run.steps:
            system.runs().count()
    return str(path)


def test_a_signal_to_a_run_of_a_dag_is_refused(tmp_path):
    path = tmp_path / "dags.db"
    dag = af.Dag("deaf-to-signals", durable=True)
    dag.add(number, 1)
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        system.start(dag.options(id="dag")).result(timeout=100)
    assert "run dag is of a DAG, which waits for no signals" in run(str(path), "signal", "dag", "1", code=2).stderr
    assert answer(str(path), "cancel", "dag", code=1) == {"run": "dag", "cancelled": False}


def run(path, *arguments, code=0):
    result = CliRunner().invoke(main, ["runs", *arguments, "--store", path])
    assert result.exit_code == code, result.output
    return result


def answer(path, *arguments, code=0):
    return json.loads(run(path, *arguments, "--json", code=code).stdout)


def test_runs_are_listed(path):
    assert [one["id"] for one in answer(path, "list")] == ["open", "done"]
    assert [one["id"] for one in answer(path, "list", "--status", "completed")] == ["done"]
    assert [one["id"] for one in answer(path, "list", "--before", "open", "--limit", "1")] == ["done"]
    assert [one["id"] for one in answer(path, "list", "--workflow", reviewed.name)] == ["open"]
    assert answer(path, "list", "--count") == [{"completed": 1, "running": 1}]
    assert "open" in run(path, "list").stdout
    assert "there are no such runs" in run(path, "list", "--status", "failed").stderr
    assert "there is no run x" in run(path, "list", "--before", "x", code=2).stderr


def test_a_run_is_shown_with_its_steps(path):
    (shown,) = answer(path, "show", "open")
    assert (shown["status"], shown["input"]) == ("running", [[5], {}])
    assert [(record["identity"][1], record["value"]) for record in shown["records"]] == [(number.name, [5])]
    text = run(path, "show", "open").stdout
    assert number.name in text
    assert "running" in text
    assert re.search(r"^created +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text, re.MULTILINE)  # not seconds since the epoch
    assert not re.search(r"^(state|epoch|hash) ", text, re.MULTILINE)
    assert "there is no run nobody" in run(path, "show", "nobody", code=2).stderr
    assert json.loads(run(path, "export", "done").stdout)["output"] == 7


def test_a_signal_of_the_command_is_what_the_code_waits_for(path):
    assert answer(path, "signal", "open", '"well"') == {"run": "open", "sent": True}
    approved = f"{Approved.__module__}.Approved"
    words = ("signal", "open", '{"name": "ann"}', "--class", approved, "--id", "a")
    assert answer(path, *words)["sent"] is True
    assert answer(path, *words)["sent"] is False
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        assert system.get_run("open").result(timeout=100) == [[5], "ann", "well"]
    assert "is over" in run(path, "signal", "open", "1", code=2).stderr
    assert "no JSON" in run(path, "signal", "open", "well", code=2).stderr
    assert "as an object" in run(path, "signal", "open", "1", "--class", approved, code=2).stderr


def test_a_run_is_cancelled_by_the_command(path):
    assert answer(path, "cancel", "open")["cancelled"] is True
    assert answer(path, "cancel", "done", code=1)["cancelled"] is False
    assert "is neither paused nor parked" in run(path, "resume", "open", code=1).stderr
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system, pytest.raises(af.RunCancelled):
        system.get_run("open").result(timeout=100)


def test_a_run_is_paused_and_resumed_by_the_command(path):
    assert answer(path, "pause", "open")["paused"] is True
    assert [one["id"] for one in answer(path, "list", "--status", "paused")] == ["open"]
    assert answer(path, "pause", "done", code=1)["paused"] is False
    assert "there is no run x" in run(path, "pause", "x", code=2).stderr
    assert answer(path, "resume", "open")["resumed"] is True
    assert "is neither paused nor parked" in run(path, "resume", "open", code=1).stderr


def test_a_parked_run_is_tried_again(path):
    with af.open_store(f"sqlite:///{path}") as store:
        store.write(lambda tx: tx.run("runs.unpark", {"name": "none"}))
        row = store.read(lambda tx: tx.one("runs.get", {"name": "open"}))
        assert row[7] in (0, 1)
    parked(path)
    assert answer(path, "list", "--status", "parked")[0]["id"] == "open"
    assert answer(path, "resume", "open")["resumed"] is True
    assert answer(path, "list", "--status", "queued")[0]["id"] == "open"


BROKEN = []


@af.task
def charged(n: int) -> int:
    """Fail while it is broken; note its key."""
    BROKEN.append(af.current().key)
    if len(BROKEN) < 2:
        raise ValueError("declined")
    return n


@af.workflow
def pays(n: int) -> list[object]:
    """Two steps, the second of which fails at first."""
    return [number(n), charged(n)]


def test_a_failed_run_goes_on_by_the_command_and_its_step_has_the_same_key(path):
    BROKEN.clear()
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system, pytest.raises(af.RunFailed):
        system.start(pays.options(id="paid"), 5).result(timeout=100)
    assert "is running" in run(path, "retry", "open", code=2).stderr
    assert "name the step" in run(path, "retry", "done", code=2).stderr
    assert "no step 'x'" in run(path, "retry", "paid", "--from", "x", code=2).stderr
    assert "there is no run y" in run(path, "retry", "y", code=2).stderr
    assert answer(path, "retry", "paid") == {"run": "paid", "retried": True}
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        assert system.get_run("paid").result(timeout=100) == [[5], 5]
    assert len(BROKEN) == 2
    assert len(set(BROKEN)) == 1
    assert answer(path, "fork", "paid", "copy", "--from", "charged") == {"run": "paid", "fork": "copy"}
    assert "is there already" in run(path, "fork", "paid", "copy", code=2).stderr
    assert "new=''" in run(path, "fork", "paid", "", code=2).stderr
    assert answer(path, "retry", "paid", "--from", "charged")["retried"] is True
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:
        assert system.get_run("copy").result(timeout=100) == system.get_run("paid").result(timeout=100) == [[5], 5]
    assert len(BROKEN) == 4
    assert len(set(BROKEN)) == 2  # a copy is another run, so its steps have keys of their own


def parked(path):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update af_run set state = 3, status = 'parked', owner = null where name = 'open'")


def test_no_code_of_users_is_imported(path):
    code = (
        "import sys; from actorflow.cli import main\n"
        f"main(['runs', 'show', 'open', '--store', {path!r}], standalone_mode=False)\n"
        "sys.exit(any(name.startswith('tests') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
