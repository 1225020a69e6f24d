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
    assert [len(re.findall(r"^sleep ", block, flags=re.MULTILINE)) for block in blocks] == [1, 0, 0, 1]
    for at, run in (0, "first --store sqlite:///hello.db"), (3, "expense-17 --store sqlite:///approval.db"):
        begun = f"until actorflow runs show {run} >/dev/null 2>&1; do sleep 0.1; done"  # a busy machine takes longer
        blocks[at] = re.sub(r"^sleep .*$", lambda _, begun=begun: begun, blocks[at], flags=re.MULTILINE)
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
    assert "examples.hello_durable.greet_all" in done.stdout  # the list of runs
    assert "run expense-17: sent" in done.stderr
    assert done.stdout.splitlines()[-1] == "the expense is paid"
