"""`actorflow check`: the parts of an app, and runs that are replayed with its code of today in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import actorflow.events.event
import actorflow.tasks.task
from actorflow.cli import check, main

SHOP = '''
import atexit
import time
import actorflow as af

class Clerk(af.Actor):
    """Does nothing."""

@af.task
def pay(amount: int, names: object = None) -> int:
    return amount

@af.workflow
def order(amount: int) -> int:
    paid = pay(amount)
    # CHANGE
    return paid

@af.workflow
def careless() -> int:
    time.time()
    return pay(1)

@af.workflow
def walks_a_set() -> list[int]:
    return [pay(len(word)) for word in {"a", "bb", "ccc", "dddd", "eeeee"}]

dag = af.Dag("etl")
dag.add(pay, 1)
app = af.App("shop").add(Clerk, pay, order, careless, walks_a_set)
print("a module that says something")
atexit.register(print, "and once more as it ends")
'''
STARTS = """
import actorflow as af, shop
with af.ActorSystem("shop", store="sqlite:///shop.db") as system:
    for workflow, args in ((shop.order, (5,)), (shop.careless, ()), (shop.walks_a_set, ())):
        system.start(workflow.options(id=workflow.function.__name__), *args).result(timeout=60)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with an app, and a store with runs of it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(SHOP)
    subprocess.run([sys.executable, "-c", STARTS], cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    """That folder as the current one, for one test; the code of the app is as it was."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(check, "HASH_SEEDS", ("1",))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # the file is written twice in one second
    yield made
    (made / "shop.py").write_text(SHOP)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["check", *arguments])
    assert result.exit_code == code, result.output
    return result


def in_a_process(folder, *arguments):
    """Run the command in a process of its own, as it imports the app."""
    command = [sys.executable, "-m", "actorflow", "check", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_the_parts_of_an_app_are_listed(folder):
    done = in_a_process(folder, "shop:app", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout.splitlines()[-2])  # the app speaks before it and after it
    assert found == {
        "app": "shop",
        "adds": [
            {"kind": "actor", "name": "Clerk"},
            {"kind": "task", "name": "shop.pay"},
            {"kind": "workflow", "name": "shop.order"},
            {"kind": "workflow", "name": "shop.careless"},
            {"kind": "workflow", "name": "shop.walks_a_set"},
            {"kind": "dag", "name": "etl"},
        ],
        "errors": [],
        "findings": [],
    }


def test_mistakes_in_an_app_are_exit_code_1(folder):
    cycle = 'dag.add(pay, 1, name="a", after=["b"])\ndag.add(pay, 1, name="b", after=["a"])\n'
    (folder / "shop.py").write_text(SHOP + cycle + "app.add(af.Machine)" * 0 + 'app.queue("mail", workers=1)\n')
    done = in_a_process(folder, "shop:app")
    assert done.returncode == 1
    assert "etl has a cycle: a -> b -> a" in done.stderr
    (folder / "shop.py").write_text(SHOP + "app.add(pay)\n")
    done = in_a_process(folder, "shop:app")
    assert done.returncode == 1
    assert "has task 'shop.pay' already" in done.stderr


def test_an_app_that_is_not_there_is_exit_code_2(folder):
    assert in_a_process(folder, "shop:ap").returncode == 2
    assert "no module named 'nowhere'" in run("nowhere:app", "--store", "shop.db", "--run", "order", code=2).stderr


def test_a_run_whose_code_is_the_same_fits(folder):
    text = run("shop:app", "--store", "shop.db", "--run", "order").stdout
    assert text == "run order fits the code of shop.order: 1 records\n"
    found = json.loads(run("shop:app", "--store", "shop.db", "--run", "order", "--json").stdout)
    assert found == {"run": "order", "workflow": "shop.order", "records": 1, "difference": None, "doubts": []}


def test_a_run_whose_code_has_changed_is_exit_code_1_with_the_step(folder):
    exported = CliRunner().invoke(main, ["runs", "export", "order", "--store", "shop.db"]).stdout
    (folder / "run.json").write_text(exported)
    (folder / "shop.py").write_text(SHOP.replace("# CHANGE", "pay(amount + 1)"))
    for source in (["--store", "shop.db", "--run", "order"], ["--export", "run.json"]):
        result = run("shop:app", *source, code=1)
        assert "recorded is the end of the run, and the code has begun shop.pay (0, 2)" in result.stderr


def test_a_clock_in_a_body_is_told_with_its_line(folder):
    result = run("shop:app", "--store", "shop.db", "--run", "careless")
    line = SHOP.splitlines().index("    time.time()") + 1
    assert f"shop.py:{line}: the body of a workflow calls time.time(): af.now() is the same" in result.stderr


def test_a_set_that_is_walked_in_an_order_that_matters_is_told(folder, monkeypatch):
    monkeypatch.setattr(check, "HASH_SEEDS", ("1", "2", "3", "4"))
    result = run("shop:app", "--store", "shop.db", "--run", "walks_a_set", code=1)
    assert "shop.pay with other arguments" in result.stderr


def test_a_difference_under_some_seeds_of_hashes_only_says_so(monkeypatch):
    monkeypatch.setattr(check, "HASH_SEEDS", ("1", "2", "3"))
    assert check.first_difference([None, None, None]) is None
    assert check.first_difference(["x", "x", "y"]) == "x"
    assert "x (under PYTHONHASHSEED=2, and not under each other one" in check.first_difference([None, "x", "x"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--run", "order"], "give --store"),
        (["--run", "order", "--export", "shop.py", "--store", "shop.db"], "give one of them"),
        (["--run", "nobody", "--store", "shop.db"], "there is no run nobody"),
        (["--run", "order", "--store", "none.db"], "there is no file none.db"),
        (["--export", "shop.py"], "no export of a run"),
    ],
)
def test_a_run_that_cannot_be_read_is_exit_code_2(folder, arguments, text):
    assert text in run("shop:app", *arguments, code=2).stderr


# --- services --------------------------------------------------------------------------------------------------------

SERVICES = """
import actorflow as af
from dataclasses import dataclass

@af.event(name="orders.placed", external=True)
@dataclass
class Placed:
    order: str

@af.event(name="orders.paid")
@dataclass
class Paid:
    order: str

class Payments(af.Service):
    @af.on(Placed)
    def charge(self, event: Placed) -> Paid: ...

class Mail(af.Service):
    @af.on(Paid)
    def send(self, event: Paid) -> None: ...

@af.task
def seat(name: str) -> None: ...

@af.saga
def trip(name: str) -> None:
    seat(name)
    seat(name)

sound = af.App("shop").add(Payments, Mail)
travel = af.App("travel").add(trip)
lossy = af.App("shop").add(Payments)
"""


@pytest.fixture
def services(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "checked_services", raising=False)
    monkeypatch.setattr(actorflow.tasks.task, "TASKS", {})
    monkeypatch.setattr(actorflow.events.event, "DECLARED_EVENTS", {})
    (tmp_path / "checked_services.py").write_text(SERVICES)
    return "checked_services"


def test_services_are_listed_and_sound_ones_are_exit_code_0(services):
    found = json.loads(run(f"{services}:sound", "--json").stdout)
    assert found["adds"] == [{"kind": "service", "name": "Payments"}, {"kind": "service", "name": "Mail"}]
    assert (found["errors"], found["findings"]) == ([], [])


def test_an_event_that_nobody_handles_is_exit_code_1(services):
    assert (
        "nobody handles event orders.paid, which Payments.charge publishes" in run(f"{services}:lossy", code=1).stderr
    )
    found = json.loads(run(f"{services}:lossy", "--json", code=1).stdout)
    assert [(one["kind"], one["subject"], one["place"]) for one in found["findings"]] == [
        ("unhandled", "orders.paid", "")
    ]
    assert found["errors"] == [one["text"] for one in found["findings"]]


def test_a_step_of_a_saga_without_a_compensation_is_exit_code_1(services):
    found = json.loads(run(f"{services}:travel", "--json", code=1).stdout)
    assert found["adds"] == [{"kind": "saga", "name": f"{services}.trip"}]
    assert [(one["kind"], one["subject"], one["place"]) for one in found["findings"]] == [
        ("uncompensated", f"{services}.seat", f"{services}.trip")
    ]


def test_a_handler_whose_annotation_names_nothing_is_exit_code_1(services, tmp_path):
    text = SERVICES.replace("-> Paid: ...", "-> 'Payd': ...")
    (tmp_path / "checked_services.py").write_text(text)
    assert "an annotation of a handler cannot be read" in run(f"{services}:sound", code=1).stderr
