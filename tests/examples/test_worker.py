"""The worker example: a daemon by `actorflow run`, and a client, on one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.programs import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    return {**os.environ, "ACTORFLOW_STORE": f"sqlite:///{tmp_path}/words.db", "PYTHONPATH": str(ROOT)}


def daemon(environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "actorflow", "run", "--log-level", "INFO", "examples.worker:app"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def count(environment: dict[str, str], text: str) -> str:
    command = [sys.executable, "-m", "examples.worker", text]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_daemon_works_off_what_others_enqueue_and_ends_with_0(environment):
    running = daemon(environment)
    try:
        assert count(environment, "a b c") == "3\n"
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
    assert running.returncode == 0, err
    assert "INFO examples.worker: 3 words" in err


def test_a_daemon_that_was_killed_is_replaced_by_the_next(environment):
    first = daemon(environment)
    try:
        assert count(environment, "one") == "1\n"
    finally:
        first.kill()
        first.communicate()
    second = daemon(environment)
    try:
        assert count(environment, "one two") == "2\n"
    finally:
        second.kill()
        second.communicate()
