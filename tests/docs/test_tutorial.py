"""The commands of the tutorials run as they stand: a program is killed and goes on; a double charge is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial-workflow.md"


def run_blocks(blocks: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands with the environment that runs the tests, whatever else is installed."""
    programs = folder / "bin"
    programs.mkdir()
    for name, command in {"python": "", "actorflow": "-m actorflow"}.items():
        file = programs / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        file.chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", "set -e\n" + "".join(blocks)],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_in_their_order(tmp_path: Path) -> None:
    blocks = blocks_of(PAGE)
    assert [block.count("kill -9") for block in blocks] == [1, 0, 0, 1]
    assert not re.search(r"^sleep ", "".join(blocks), flags=re.MULTILINE)  # a busy machine takes longer
    done = run_blocks(blocks, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "greeted 5" in done.stdout
    assert done.stdout.startswith("hello ann\nhello bob\n")
    assert "examples.hello_durable.greet_all" in done.stdout  # the list of runs
    assert "run expense-17: sent" in done.stderr
    assert done.stdout.splitlines()[-1] == "the expense is paid"


@pytest.mark.slow
def test_the_double_charge_of_the_tutorial_is_found_and_its_cure_is_quiet(tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "docs" / "tutorial-simulation.md")
    assert [block.count("actorflow sim") for block in blocks] == [1, 1]
    done = run_blocks(blocks, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("'no double charge' does not hold")
    assert done.stdout.count("charge_card('order-") >= 2
    assert "p1--xp0: answer (lost)" in done.stdout
    assert done.stdout.splitlines()[-2].startswith("shop: 1,000 runs")
    assert done.stdout.splitlines()[-1] == "all properties held"
