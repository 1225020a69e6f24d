"""The commands of the tutorial of workflows run as they stand: the reader kills the program, and it goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial-workflow.md"


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_in_their_order(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert [block.count("kill -9") for block in blocks] == [1, 0, 0, 1]
    assert not re.search(r"^sleep ", "".join(blocks), flags=re.MULTILINE)  # a busy machine takes longer
    folder = tmp_path / "bin"  # the commands of the environment that runs the tests, whatever else is installed
    folder.mkdir()
    for name, command in {"python": "", "actorflow": "-m actorflow"}.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        file.chmod(0o755)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", "".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "greeted 5" in done.stdout
    assert done.stdout.startswith("hello ann\nhello bob\n")
    assert "examples.hello_durable.greet_all" in done.stdout  # the list of runs
    assert "run expense-17: sent" in done.stderr
    assert done.stdout.splitlines()[-1] == "the expense is paid"
