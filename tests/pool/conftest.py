"""Fixtures of the pool tests: a pool of two workers, checked for leaks at its end."""

from collections.abc import Iterator

import pytest

import actorflow as af
from actorflow.testing import LeakCheck


@pytest.fixture
def pool() -> Iterator[af.ProcessPool]:
    """A pool of two workers, both ready."""
    with LeakCheck(), af.ProcessPool(workers=2) as running:
        until_ready(running)
        yield running


def until_ready(pool: af.ProcessPool) -> None:
    """Return once all workers can run tasks."""
    while {worker.state for worker in pool.stats().workers} != {"idle"}:
        pool.submit(abs, 1).result(timeout=30)
