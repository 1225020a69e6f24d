"""A disk without room, a real one: enqueue says so, nothing is half written, and it goes on when there is room."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def in_small_disk(folder, command):
    """Run a command where a folder is a file system of 4 MB, which is gone with it."""
    mounted = f'mount -t tmpfs -o size=4m none "{folder}" && exec "$@"'
    unshared = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, "sh", *command]
    return subprocess.run(unshared, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def small_disk(tmp_path):
    """Skip where nobody may mount."""
    try:
        done = in_small_disk(tmp_path, ["true"])
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    return tmp_path


def run(small_disk, what):
    """Run it there."""
    done = in_small_disk(small_disk, [sys.executable, "-m", "tests.queues.full_disk", str(small_disk), what])
    assert (done.returncode, done.stdout) == (0, "fine\n"), (done.returncode, done.stderr)


def test_a_full_disk_refuses_jobs_loses_none_and_goes_on_when_there_is_room(small_disk):
    run(small_disk, "main")


def test_work_that_begins_on_a_full_disk_can_be_noted(small_disk):
    run(small_disk, "note")
