"""The example of a web app whose requests are workflows: it is killed with -9 while a loan waits, and goes on."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

import examples.loans
from examples.loans import app
from tests.examples.logs import ROOT
from tests.examples.programs import PATIENCE

LOAN = "/loans/7?name=bob&amount=5000"


@contextmanager
def server(listener: socket.socket, store: str) -> Iterator[httpx.Client]:
    """The web app as a process, as a user starts it, on a socket that outlives it; killed with -9 at the end."""
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {**os.environ, "ACTORFLOW_STORE": store, "SERVICES": f"{address}/services", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "uvicorn", "examples.loans:app", "--log-level", "warning"]
    command += ["--fd", str(listener.fileno())]
    with subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[listener.fileno()]) as process:
        try:
            with httpx.Client(base_url=address, timeout=PATIENCE) as web:
                wait_for(web, process)
                yield web
        finally:
            process.kill()


def wait_for(web: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server is up."""
    for _ in range(PATIENCE * 20):
        assert process.poll() is None, "the server has ended"
        try:
            web.get("/openapi.json")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server does not answer")


def end_of(web: httpx.Client) -> dict[str, object]:
    """The loan, once it is over."""
    for _ in range(PATIENCE):
        shown: dict[str, object] = web.get("/loans/7?wait=1").json()
        if shown["status"] not in {"queued", "running"}:
            return shown
    raise AssertionError(shown)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that is kept, so that no other program takes its port while the server is dead."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        yield kept


def test_a_loan_outlives_a_kill_of_the_server_and_is_paid_once_a_person_agrees(tmp_path, listener):
    store = f"sqlite:///{tmp_path}/loans.db"
    with server(listener, store) as web:
        assert web.put(LOAN).json() == {"loan": "loan-7"}
        assert web.put(LOAN).json() == {"loan": "loan-7"}
        assert web.put("/loans/7?name=eve&amount=5000").status_code == 409
    with server(listener, store) as web:
        assert web.get("/loans/7?wait=0.1").json()["status"] in {"queued", "running"}
        assert web.post("/loans/7/decision?by=ann&yes=true").json() == {"sent": True}
    with server(listener, store) as web:
        shown = end_of(web)
        assert shown["status"] == "completed"
        assert str(shown["result"]).startswith("paid: receipt-")
        assert web.post("/loans/7/decision?by=eve&yes=false").json() == {"sent": False}
        assert web.delete("/loans/7").json() == {"cancelled": False}


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """The services, without a server; what they answer to."""
    monkeypatch.setenv("ACTORFLOW_STORE", f"sqlite:///{tmp_path}/loans.db")
    asked = {"score/bob": [500], "score/al": [200], "debts/bob": [10], "debts/al": [10], "payments/bob/900": ["r"]}
    monkeypatch.setattr(examples.loans, "call", lambda path, *_, **__: asked[path][0])
    return asked


@asynccontextmanager
async def client():
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://web") as web:
        yield web


@pytest.mark.parametrize(
    ("query", "result"), [("name=bob&amount=900", "paid: r"), ("name=al&amount=900", "refused: score")]
)
def test_a_small_loan_needs_no_person_and_a_bad_score_ends_it(answers, query, result):
    async def use() -> None:
        async with client() as web:
            await web.put(f"/loans/7?{query}")
            shown = (await web.get("/loans/7?wait=30")).json()
            assert shown == {"status": "completed", "result": result}

    asyncio.run(use())


def test_a_loan_that_is_given_up_is_cancelled(answers):
    async def use() -> None:
        async with client() as web:
            await web.put(LOAN)
            assert (await web.delete("/loans/7")).json() == {"cancelled": True}
            assert (await web.get("/loans/7?wait=30")).json() == {"status": "cancelled", "result": None}

    asyncio.run(use())


@pytest.mark.parametrize(
    ("way", "path", "code"),
    [
        ("GET", "/loans/8", 404),
        ("DELETE", "/loans/8", 404),
        ("POST", "/loans/8/decision?by=ann&yes=true", 404),
        ("PUT", "/loans/7?name=bob&amount=0", 422),
        ("PUT", "/loans/7?name=../etc&amount=9", 422),
        ("GET", "/loans/7?wait=1e9", 422),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_too(answers, way, path, code):
    async def use() -> None:
        async with client() as web:
            assert (await web.request(way, path)).status_code == code

    asyncio.run(use())
