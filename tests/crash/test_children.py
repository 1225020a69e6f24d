"""A worker of the pool, its zygote or the daemon dies at each stage of a cpu task: the job is done all the same."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import actorflow as af
from tests.crash.books import Books
from tests.crash.staged import QUEUE, work

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path):
    """Start daemons; killed with all below them at the end."""
    started = []

    def one(url):
        code = "import sys; from tests.crash import staged; staged.main(*sys.argv[1:])"  # a worker finds it by its name
        started.append(subprocess.Popen([sys.executable, "-c", code, url, str(tmp_path)], cwd=ROOT))
        return started[-1]

    yield one
    for process in started:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        psutil.wait_procs(family, timeout=100)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "zygote", "daemon"])
@pytest.mark.parametrize("stage", ["spawn", "begin", "effect"])
def test_a_job_is_done_whoever_dies_at_whichever_stage_of_its_child(tmp_path, start, victim, stage):
    (tmp_path / "plan").write_text(f"{victim} {stage}")
    books = Books.made(f"sqlite:///{tmp_path / 'staged.db'}", QUEUE)
    with af.ActorSystem("home", store=books.url, durability="process") as system:
        job = system.queue(QUEUE).enqueue(work, str(tmp_path))
        first = start(books.url)
        if victim == "daemon":
            assert first.wait(30) == -9
            start(books.url)
        assert job.result(timeout=40) == 7
        assert (tmp_path / "struck").exists()
        if (victim, stage) != ("daemon", "spawn"):  # it may have given the job to its worker already
            assert job.info().crashes == int(stage != "spawn")
    assert books.rows("select count(*) from done") == [(1,)]
    effects = (tmp_path / "effects").read_text().splitlines()
    assert len(effects) == (2 if stage == "effect" else 1)  # at least once, as the docs say
