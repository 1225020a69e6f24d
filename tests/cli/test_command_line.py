"""`actorflow`: the group, its version, and how it speaks: one line, the cure, exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from actorflow.cli import main


def command(*args: str):
    return CliRunner().invoke(main, list(args))


def test_version_is_one_line_on_stdout():
    result = command("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("actorflow ")
    assert result.stdout.count("\n") == 1


def test_help_lists_the_commands():
    result = command("--help")
    assert result.exit_code == 0
    assert "run" in result.stdout
    assert "graph" in result.stdout


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "name a command (run, queue, runs, sagas, events, check, graph, scxml, sim, store, wf)"),
        (["store"], "name a command (actors, backup, check, dead, dump, mail, migrate, prune, vacuum)"),
        (["queue"], "name a command (cancel, "),
        (["rnu"], "did you mean 'run'?"),
        (["queue", "shw"], "no command 'shw'; did you mean 'show'?"),
        (["queue", "dead"], "no command 'dead'; there are: cancel, list, "),
        (["store", "dead", "lst"], "no command 'lst'; did you mean 'list'?"),
        (["store", "mail", "x"], "no command 'x'; there are: drop, list"),
        (["store", "actors", "x"], "no command 'x'; there are: delete, list"),
        (["--verison"], "--version"),
        (["run"], "MODULE:ATTRIBUTE"),
        (["run", "--chaos", "3", "shop:app"], "behind"),
    ],
)
def test_mistake_is_one_line_on_stderr_and_exit_code_2(args, text):
    result = command(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("actorflow: ")
    assert result.stderr.count("\n") == 1
    assert text in result.stderr


def test_version_imports_no_command_and_no_rich():
    code = (
        "import sys, actorflow.cli as cli\n"
        "try: cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'actorflow.cli.run', 'actorflow.app.loading'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


PROGRAM = [sys.executable, "-c", "from actorflow.cli import main; main()"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")  # noqa: PTH110
def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        result = subprocess.run([*PROGRAM, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "actorflow: No space left on device\n"


def test_standard_files_that_are_closed_are_given_to_no_other_file():
    code = """
import os, sys
from actorflow.cli import main
try: main(["--version"])
except SystemExit: pass
number = os.open(os.devnull, os.O_RDONLY)
os._exit(number)
"""
    shell = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    assert subprocess.run([*shell, sys.executable, "-c", code]).returncode > 2


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh"]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"PYTHONPATH": paths}
    # As the installed command, whose own folder comes first: CPython 3.13.0 cannot import from a folder that is gone.
    program = [*shell, PROGRAM[0], "-P", *PROGRAM[1:], "run", "shop:app"]
    result = subprocess.run(program, capture_output=True, text=True, cwd=gone, env=environment)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "the current folder cannot be read" in result.stderr
