"""Random SIGKILLs of a process that has sagas under way: each is undone whole, or comes to its end, in the next one."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.books import Books

SAGAS = 12
PATIENCE = 200.0  # seconds


@pytest.fixture(params=["sqlite", "postgres"])
def books(request, tmp_path):
    """Return a store of each kind that outlives a process."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as url:
            yield Books(url)
    else:
        yield Books(f"sqlite:///{tmp_path / 'sagas.db'}")


def run_and_kill(command: list[str], notes: Path, rng: random.Random) -> bool:
    """Run the process until it has noted some more, and kill it; say whether it has ended by itself before."""
    more = len(lines_of(notes)) + rng.randint(1, 14)
    process = subprocess.Popen([*command, str(more + 2)])
    until = time.monotonic() + PATIENCE
    try:
        while len(lines_of(notes)) < more and process.poll() is None:
            assert time.monotonic() < until, "nothing goes on"
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait(PATIENCE)
    return process.returncode == 0


def lines_of(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


@pytest.mark.slow
def test_sagas_are_undone_whole_or_come_to_their_ends_over_kills(books, tmp_path):
    notes, rng = tmp_path / "notes", random.Random(1)
    command = [sys.executable, "-m", "tests.crash.saga_daemon", books.url, str(notes), str(SAGAS)]
    kills = 0
    while not run_and_kill(command, notes, rng):
        kills += 1
        assert kills < 200
    assert kills > 3
    prefix = books.prefix
    statuses = Counter(status for (status,) in books.rows(f"select status from {prefix}run"))
    assert statuses == {"completed": SAGAS // 3, "compensated": SAGAS - SAGAS // 3}
    kinds = "select run.name, rec.name, rec.branch, rec.occurrence, count(*) from {p}record as rec "
    kinds += "join {p}run as run on run.id = rec.run where rec.kind = 15 group by 1, 2, 3, 4"
    assert all(count == 1 for *_, count in books.rows(kinds.replace("{p}", prefix)))
    words = [line.split(" ", 1) for line in lines_of(notes)]
    acted = {key for word, key in words if word != "undo"}
    undone = {key for word, key in words if word == "undo"}
    ended = dict(books.rows(f"select name, status from {prefix}run"))
    for key in acted:
        assert (key in undone) == (ended[key.split("/")[1]] == "compensated"), key
