"""Systems on a store that outlives them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A new file."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def start(url: str) -> Iterator[Callable[..., af.ActorSystem]]:
    """Start a system on the file; two that are alive are two nodes. All are stopped at the end."""
    with LeakCheck(), ExitStack() as stack:

        def begin(name: str = "test", durability: str = "process") -> af.ActorSystem:
            return stack.enter_context(af.ActorSystem(name, store=url, durability=durability))

        yield begin
