"""Runs one sample in a fresh process, for figures that what ran before would spoil: memory, leaks, pykka without us.

In the child: `python -m tests.benchmarks.probe MODULE FUNCTION [INT ...]` prints the figures as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .harness import WAIT, Broken, Figures

ROOT = Path(__file__).resolve().parents[2]


def sample(function: Callable[..., Figures], *numbers: int) -> Figures:
    """Call a module-level function of this package in a fresh interpreter and give its figures."""
    module = function.__module__.rpartition(".")[2]
    command = [sys.executable, "-m", __name__, module, function.__name__, *map(str, numbers)]
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=WAIT, check=False, capture_output=True, text=True)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{function.__name__} did not end in {WAIT:g} s; {_tail(error.stderr)}") from None
    if done.returncode:
        raise Broken(f"{function.__name__} ended with {done.returncode}: {_tail(done.stderr)}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _tail(output: str | bytes | None) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return "\n".join(text.splitlines()[-15:])


def main(arguments: list[str]) -> None:
    module, function, *numbers = arguments
    call = getattr(import_module(f"{__package__}.{module}"), function)
    print(json.dumps(call(*map(int, numbers))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
