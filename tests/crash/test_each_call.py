"""A short run of a queue dies at each call of its store in turn; the file that it leaves is right each time.

CI takes every so-manieth call; ACTORFLOW_CRASHES takes them all (`tox -e crashes`).
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

import pytest

import actorflow as af
from tests.crash import short_run, tasks  # noqa: F401 - the tasks are known then

SAMPLES = 10


def run(url, *words):
    """Run it; return the lines that it printed as (word, rest), and its exit code."""
    command = [sys.executable, "-m", "tests.crash.short_run", url, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()], done.returncode


def check(path, accepted):
    """What is left is whole: another process finishes it, each job is recorded as done once, no count is off."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        present = {str(id_) for (id_,) in connection.execute("select id from af_job")}
    assert {id_ for _, id_ in accepted} <= present
    with af.ActorSystem("after", store=f"sqlite:///{path}", durability="process") as system:
        queue = system.queue(short_run.QUEUE, workers=2)
        for id_ in present:
            job = system.get_job(id_)
            due = job.info().due  # in an hour of the one to be cancelled; of one that is tried again, now
            if due is None or due < time.time() + 60 or job.status != "queued":
                with contextlib.suppress(af.JobCancelled):
                    job.result(timeout=30)
        stats = queue.stats()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select job from done group by job having count(*) > 1").fetchall() == []
        counted = connection.execute("select running, completed, cancelled from af_queue").fetchone()
        real = dict(connection.execute("select status, count(*) from af_job group by status"))
        assert counted == (0, real.get("completed", 0), real.get("cancelled", 0))
        assert connection.execute("select sum(slots) from af_key").fetchone()[0] in {None, 0}
        assert connection.execute("select count(*) from af_need").fetchone() == (0,)
    assert stats.running == 0


def prepare(path):
    """Make the file, with a list of what was recorded as done."""
    with af.ActorSystem("first", store=f"sqlite:///{path}") as system:
        system.queue(short_run.QUEUE)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            create table done (job integer);
            create trigger done after update of status on af_job when new.status = 'completed'
            begin insert into done values (new.id); end;
        """)
    return f"sqlite:///{path}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_file_is_right_at_whichever_call_of_the_store_a_run_dies(tmp_path):
    lines, code = run(prepare(tmp_path / "whole.db"))
    assert code == 0
    assert lines[-1][0] == "calls"
    check(tmp_path / "whole.db", lines[:-1])
    calls = int(lines[-1][1])
    assert calls > 30
    step = 1 if "ACTORFLOW_CRASHES" in os.environ else calls // SAMPLES
    for call in range(1, calls + 1, step):
        path = tmp_path / f"{call}.db"
        lines, code = run(prepare(path), str(call))
        if code == 0:
            continue  # this time there were fewer calls: commits are shared as chance has it
        assert code == -9, (call, lines)
        check(path, lines)
