"""Promises of examples.web_app: a job outlives the request, the web process, and a kill -9 of the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

import actorflow as af
from examples.web_app import store
from examples.web_app.tasks import QUEUE
from examples.web_app.web import app
from tests.examples.logs import ROOT

CHAPTERS = {"1.txt": "In the beginning", "2.txt": "the middle", "3.txt": "and the end"}


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    """A book of three chapters, and an empty store."""
    folder = tmp_path / "library" / "story"
    folder.mkdir(parents=True)
    for name, text in CHAPTERS.items():
        (folder / name).write_text(text)
    monkeypatch.setenv("LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("ACTORFLOW_STORE", f"sqlite:///{tmp_path / 'books.db'}")
    return folder


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The web process, as its server starts it."""
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://web") as web:
        yield web


@contextmanager
def worker() -> Iterator[None]:
    """The daemon's queue, in this process."""
    with af.ActorSystem("worker", store=store()) as system:
        system.queue(QUEUE, workers=1)
        yield


def daemon() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "actorflow", "run", "examples.web_app.worker:app"]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))


async def count(web: httpx.AsyncClient, book: str = "story") -> str:
    answer = await web.post(f"/books/{book}/count")
    assert answer.status_code == 202
    job: str = answer.json()["job"]
    assert answer.headers["Location"] == f"/jobs/{job}"
    return job


async def until(web: httpx.AsyncClient, job: str, **wanted: object) -> None:
    for _ in range(20_000):
        shown = (await web.get(f"/jobs/{job}")).json()
        if all(shown[name] == value for name, value in wanted.items()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(shown)


def test_a_count_is_a_job_and_its_result_comes_when_it_is_over():
    async def use() -> None:
        async with client() as web:
            job = await count(web)
            assert await count(web) == job  # asked twice, counted once
            assert (await web.get(f"/jobs/{job}")).json()["status"] == "queued"
            with worker():
                shown = (await web.get(f"/jobs/{job}?wait=30")).json()
            assert shown == {"status": "completed", "progress": [3, 3], "result": 8, "error": None}

    asyncio.run(use())


def test_a_job_that_was_cancelled_or_has_failed_says_so(book):
    async def use() -> None:
        async with client() as web:
            job = await count(web)
            assert (await web.delete(f"/jobs/{job}")).json() == {"cancelled": True}
            shown = (await web.get(f"/jobs/{job}?wait=30")).json()
            assert (shown["status"], shown["error"]) == ("cancelled", "JobCancelled: it was cancelled")
            assert (await web.delete(f"/jobs/{job}")).json() == {"cancelled": False}

    asyncio.run(use())


@pytest.mark.parametrize(
    ("way", "path", "code"),
    [
        ("GET", "/jobs/7", 404),
        ("GET", "/jobs/7?wait=1", 404),
        ("GET", "/jobs/seven", 404),
        ("DELETE", "/jobs/7", 404),
        ("POST", "/books/unknown/count", 404),
        ("POST", "/books/..%2F..%2Fetc/count", 404),
        ("POST", "/books/a.b/count", 422),
        ("GET", "/jobs/7?wait=1e9", 422),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_an_answer_too(way, path, code):
    async def use() -> None:
        async with client() as web:
            assert (await web.request(way, path)).status_code == code

    asyncio.run(use())


def test_a_daemon_that_is_killed_loses_no_job_and_the_progress_is_seen(book):
    second = book / "2.txt"
    second.unlink()
    os.mkfifo(second)  # whoever reads this chapter waits

    async def use() -> None:
        async with client() as web:
            job = await count(web)
            first = daemon()
            try:
                await until(web, job, status="running", progress=[1, 3])
            finally:
                first.send_signal(signal.SIGKILL)
                first.wait(100)
            second.unlink()
            second.write_text(CHAPTERS["2.txt"])
            other = daemon()
            try:
                await until(web, job, status="completed")
                shown = (await web.get(f"/jobs/{job}?wait=30")).json()
                assert shown == {"status": "completed", "progress": [3, 3], "result": 8, "error": None}
                assert app.state.system.get_job(job).info().crashes == 1
            finally:
                other.terminate()
                assert other.wait(100) == 0

    asyncio.run(use())
