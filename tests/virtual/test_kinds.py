"""Ten kinds of work: equal traces mean equal runs, in each process, with each hash seed, on each Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.virtual.kinds import KINDS, trace_of

ROOT = Path(__file__).parents[2]
OTHER = "python3.13" if sys.version_info < (3, 13) else "python3.11"


def in_a_process(python: str, hash_seed: int, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "tests.virtual.kinds", "3"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def traces(python: str, hash_seed: int) -> dict[str, list[str]]:
    done = in_a_process(python, hash_seed)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for line in done.stdout.splitlines():
        kind, _, step = line.partition(" ")
        found[kind].append(step)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_trace_and_other_seeds_others(kind):
    first, again, *others = (trace_of(kind, seed) for seed in (3, 3, 4, 5, 6))
    assert len(first) > 10
    assert first == again
    assert any(first != other for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_has_no_addresses(kind):
    assert not [step for step in trace_of(kind, 1) if " at 0x" in step[2]]


@pytest.mark.slow
def test_three_processes_with_other_hash_seeds_have_equal_traces():
    first = traces(sys.executable, 1)
    assert all(first.values())
    for hash_seed in (2, 3):
        other = traces(sys.executable, hash_seed)
        assert {kind for kind in KINDS if first[kind] != other[kind]} == set()


@pytest.mark.slow
def test_another_python_has_equal_traces():
    python = os.environ.get("ACTORFLOW_OTHER_PYTHON") or shutil.which(OTHER)
    if python is None or in_a_process(python, 0).returncode:
        print(f"no {OTHER} that has the packages of actorflow: not compared")
        pytest.skip(f"there is no {OTHER} with actorflow's packages; ACTORFLOW_OTHER_PYTHON may name one")
    assert traces(sys.executable, 1) == traces(python, 2)
