"""`actorflow`: the group, its version, and how it speaks: one line, the cure, exit code 2."""

from __future__ import annotations

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
        ([], "name a command (run, queue, graph, scxml, store)"),
        (["store"], "name a command (actors, backup, check, dead, dump, mail, migrate, prune, vacuum)"),
        (["queue"], "name a command (cancel, "),
        (["rnu"], "did you mean 'run'?"),
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
