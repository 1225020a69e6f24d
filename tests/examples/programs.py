"""Examples as programs: started in a folder of their own, read line by line, and killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.examples.logs import ROOT

PATIENCE = 200  # seconds until a program that should be over has hung


def program(
    folder: Path, module: str, *arguments: str, stderr: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Start `python -m module` in a folder, with variables of its environment."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=stderr, text=True)


@contextmanager
def killed(process: subprocess.Popen[str]) -> Iterator[Iterator[str]]:
    """The lines that a program prints; it is killed with -9 behind the block."""
    with process:
        try:
            yield lines_of(process)
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines as they come; the end of the program is an error."""
    assert process.stdout is not None
    for line in iter(process.stdout.readline, ""):
        yield line.rstrip("\n")
    raise AssertionError("it ended by itself")


def until(lines: Iterator[str], wanted: str) -> list[str]:
    """Return the lines up to the first one with a text in it."""
    heard = []
    for line in lines:
        heard.append(line)
        if wanted in line:
            break
    return heard


def output(process: subprocess.Popen[str]) -> list[str]:
    """Wait for the end of a program, which must be good, and return the lines it printed."""
    with process:
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, out
    return out.splitlines()
