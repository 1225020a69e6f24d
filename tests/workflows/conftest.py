"""Fixtures of the tests of workflows and DAGs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import tasks


@pytest.fixture(autouse=True)
def _tasks_are_as_new() -> Iterator[None]:
    tasks.ran.clear()
    tasks.gate.clear()
    while tasks.begun.acquire(blocking=False):
        pass
    yield
    tasks.gate.set()
