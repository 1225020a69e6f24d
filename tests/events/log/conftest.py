"""Systems on a store that outlives them: a file, and a server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.events.log.services import Failing
from tests.servers import empty_store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a store over both kinds, or those that its module names in STORES."""
    if "url" in metafunc.fixturenames:
        stores = getattr(metafunc.module, "STORES", ("sqlite", "postgres"))
        metafunc.parametrize("url", stores, indirect=True)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Failing.reset()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    with empty_store(request.param, request, tmp_path / "test.db") as empty:
        yield empty


@pytest.fixture
def start(url: str) -> Iterator[Callable[..., af.ActorSystem]]:
    """Start a system on the store; two that are alive are two nodes. All are stopped at the end."""
    with LeakCheck(), ExitStack() as stack:

        def begin(name: str = "test", **more: object) -> af.ActorSystem:
            return stack.enter_context(af.ActorSystem(name, store=url, durability="process", **more))

        yield begin
