"""Both type checkers accept the contract and refuse each planted mistake: the marked lines and no others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ACCEPTED, REFUSED = HERE / "accepted.py", HERE / "refused.py"
MISTAKES_AT_LEAST = 25


class Finding(NamedTuple):
    """One error of one checker."""

    file: str
    line: int
    text: str


def run_mypy() -> list[Finding]:
    """Run mypy --strict once over both files."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    done = subprocess.run(
        [*command, str(ACCEPTED), str(REFUSED)], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    return [Finding(Path(file).name, int(line), text) for file, line, text in found]


def run_pyright() -> list[Finding]:
    """Run pyright once over both files."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, str(ACCEPTED), str(REFUSED)], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    rows = json.loads(done.stdout[done.stdout.index("{") :])["generalDiagnostics"]
    return [
        Finding(Path(row["file"]).name, row["range"]["start"]["line"] + 1, row["message"])
        for row in rows
        if row["severity"] == "error"
    ]


@pytest.fixture(scope="module", params=[run_mypy, run_pyright], ids=["mypy", "pyright"])
def findings(request: pytest.FixtureRequest) -> list[Finding]:
    """What one checker reports on both files."""
    pytest.importorskip("mypy", reason="type checkers are not installed: tox -e types")
    pytest.importorskip("pyright", reason="type checkers are not installed: tox -e types")
    return request.param()


pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("checkers")]


def test_contract_is_accepted(findings: list[Finding]) -> None:
    wrong = [f"{row.file}:{row.line}: {row.text}" for row in findings if row.file == ACCEPTED.name]
    assert not wrong, "\n".join(wrong)


def test_planted_mistakes_are_refused(findings: list[Finding]) -> None:
    lines = REFUSED.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "  # refused: " in line}
    assert len(marked) >= MISTAKES_AT_LEAST
    reported = {row.line: row.text for row in findings if row.file == REFUSED.name}
    wrong = [f"line {number} is accepted: {lines[number - 1].strip()}" for number in sorted(marked - reported.keys())]
    wrong += [f"line {number} is refused: {text}" for number, text in sorted(reported.items()) if number not in marked]
    assert not wrong, "\n".join(wrong)
