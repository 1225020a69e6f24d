"""`actorflow wf`: a recorded workflow runs, the figures are told, and a mistake is one line with its cure."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from actorflow.cli import main

FILE = str(Path(__file__).parents[2] / "examples" / "data" / "1000genome-chameleon-2ch-100k-001.json")


def call(*arguments: str):
    return CliRunner().invoke(main, ["wf", *arguments])


def test_a_recorded_workflow_is_run_and_compared_with_the_ideal():
    done = call(FILE, "--scale", "0.001", "--workers", "16")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "1000genome-20200401T035039Z-0: 52 tasks, 76 edges, 3 levels, 16 workers, scale 0.001"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "makespan",
        "ideal makespan",
        "lower bound",
        "utilisation",
        "coordination",
        "order",
        "steps",
    ]
    assert "76 of 76 edges kept" in lines[6]


def test_the_figures_are_json_for_programs(tmp_path):
    picture = tmp_path / "run.svg"
    done = call(FILE, "--scale", "0.0001", "--json", "--gantt", str(picture))
    figures = json.loads(done.stdout)
    assert (figures["tasks"], figures["completed"], figures["edges_kept"]) == (52, 52, 76)
    assert figures["lower_bound"] <= figures["ideal_makespan"] + 1e-9
    assert figures["makespan"] >= figures["lower_bound"]
    drawn = ET.parse(picture).getroot()
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}title")) >= 52


def test_tasks_run_in_processes():
    done = call(FILE, "--scale", "0", "--processes", "--workers", "2", "--json")
    assert json.loads(done.stdout)["completed"] == 52


def test_a_task_that_is_to_fail_skips_those_that_depend_on_it_and_the_exit_code_is_1():
    done = call(FILE, "--scale", "0", "--fail", "individuals_ID0000001", "--json")
    assert done.exit_code == 1
    figures = json.loads(done.stdout)
    assert (figures["failed"], figures["completed"] + figures["skipped"]) == (1, 51)
    assert "step individuals_ID0000001 failed: Permanent: it was to fail; exactly the" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "cannot read nowhere.json: No such file or directory"),
        ([FILE, "--scale", "-1"], "scale=-1.0: seconds for each recorded one, 0 or more"),
        ([FILE, "--scale", "nan"], "scale=nan: seconds for each recorded one, 0 or more"),
        ([FILE, "--scale", "x"], "Invalid value for '--scale': 'x' is not a valid float."),
        ([FILE, "--workers", "0"], "Invalid value for '--workers': 0 is not in the range"),
        ([FILE, "--fail", "individuals"], "has no task 'individuals': give the id of one, such as 'individuals_"),
        ([FILE, "--gantt", "nowhere/x.svg"], "cannot write nowhere/x.svg: there is no folder nowhere"),
        ([FILE, "--gantt", str(Path(FILE).parent)], "it is a folder; give another --gantt"),
        ([FILE, "--durable", "redis://x"], "store='redis://x': give 'memory:', 'sqlite:///file.db' or"),
        ([FILE, "--durable", ""], "store='': give 'memory:'"),
    ],
)
def test_a_mistake_is_one_line_with_its_cure(arguments, message):
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_cycle_is_named_with_its_tasks(tmp_path):
    data = json.loads(Path(FILE).read_text(encoding="utf-8"))
    tasks = data["workflow"]["specification"]["tasks"]
    child = tasks[0]["children"][0]
    tasks[0]["parents"] = [child]
    path = tmp_path / "cyclic.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    done = call(str(path))
    assert done.exit_code == 2
    assert "workflow.specification.tasks: a cycle of tasks: " in done.stderr
    assert child in done.stderr


def test_the_command_imports_nothing_of_a_recorded_command(monkeypatch):
    def no_process(*_arguments: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen.__init__", no_process)
    monkeypatch.setattr("os.system", no_process)
    assert "subprocess" in sys.modules
    assert call(FILE, "--scale", "0").exit_code == 0


def test_a_durable_run_goes_on_where_it_was_killed(tmp_path):
    """Its process is killed with tasks done and others under way; the same command goes on."""
    url = f"sqlite:///{tmp_path / 'wf.db'}"
    arguments = [FILE, "--scale", "0.01", "--durable", url]
    command = [sys.executable, "-m", "actorflow", "wf", *arguments, "--workers", "1"]  # half a minute's work
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 100
        ended = 0
        while ended < 3:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < until, "no task ends"
            time.sleep(0.02)
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(tmp_path / "wf.db")) as db:
                ((ended,),) = db.execute("select count(*) from af_record")
        process.kill()
    done = call(*arguments, "--workers", "50", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert (figures["completed"], figures["edges_kept"]) == (52, 76)
    assert 3 <= figures["recorded"] < 52
    again = call(FILE, "--scale", "0", "--durable", url)
    assert again.exit_code == 0, again.output
    assert "recorded        0 of these before, and not run again" in again.stdout
