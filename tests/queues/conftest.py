"""Fixtures of the queue tests: a system on each kind of store, and one on virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import actorflow as af
from actorflow.queues.node import worker_slots
from actorflow.testing import LeakCheck, VirtualSystem
from tests.servers import empty_store

STORES = ("memory", "sqlite", "postgres")


@pytest.fixture(autouse=True)
def _long_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than the two seconds that a task has to see its cancel."""
    monkeypatch.setattr(worker_slots, "CANCEL_SECONDS", 60.0)


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The URL of an empty store of each kind."""
    with empty_store(request.param, request, tmp_path / "jobs.db") as empty:
        yield empty


@pytest.fixture(params=STORES[1:])
def shared_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The URL of an empty store that several processes may open."""
    with empty_store(request.param, request, tmp_path / "jobs.db") as empty:
        yield empty


@pytest.fixture(params=STORES[1:])
def bare_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The URL of a store that is still to be made: there are no tables yet."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as database:
            yield database
    else:
        yield f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def shop(url: str) -> Iterator[af.ActorSystem]:
    """A system on each kind of store, on threads."""
    with LeakCheck(), af.ActorSystem("shop", store=url, durability="process") as running:
        yield running


@pytest.fixture
def timed(url: str) -> Iterator[VirtualSystem]:
    """A system on each kind of store, on virtual time."""
    with LeakCheck(), VirtualSystem("shop", store=url) as running:
        yield running
