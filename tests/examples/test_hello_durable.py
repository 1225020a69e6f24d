"""The example of a workflow that survives kill -9: it is killed after each of its steps, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ["ann", "bob", "cleo", "dan", "eve"]


def started(tmp_path: Path, pace: str) -> subprocess.Popen[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "ACTORFLOW_STORE": f"sqlite:///{tmp_path}/hello.db",
        "PACE": pace,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, "-m", "examples.hello_durable"]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_example_is_killed_in_its_third_step_and_goes_on_there(tmp_path):
    first = started(tmp_path, "0.01")
    try:
        lines = []
        while not lines or lines[-1] != "hello cleo":
            lines.append(first.stdout.readline().strip())
            assert lines[-1], "it has ended"
    finally:
        first.kill()
        first.communicate()
    assert lines == [f"hello {name}" for name in NAMES[:3]]
    out, _ = started(tmp_path, "0").communicate(timeout=120)
    *greeted, last = out.splitlines()
    assert last == "greeted 5"
    assert greeted in ([f"hello {name}" for name in NAMES[at:]] for at in range(2, 6))  # the kill may have come late
