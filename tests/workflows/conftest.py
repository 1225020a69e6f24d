"""Fixtures of the tests of workflows and DAGs: tasks as new, and systems on a store that outlives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.servers import empty_store

from . import tasks


@pytest.fixture(autouse=True)
def _tasks_are_as_new() -> Iterator[None]:
    tasks.ran.clear()
    tasks.gate.clear()
    while tasks.begun.acquire(blocking=False):
        pass
    yield
    tasks.gate.set()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    with empty_store(request.param, request, tmp_path / "test.db") as empty:
        yield empty


@pytest.fixture
def begin(url: str) -> Iterator[Callable[..., af.ActorSystem]]:
    """Start a system on the store; two that are alive are two nodes. All are stopped at the end."""
    with LeakCheck(), ExitStack() as stack:
        yield lambda name="test": stack.enter_context(af.ActorSystem(name, store=url, durability="process"))
