"""Fixtures of the store tests: the same promise over each kind of store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actorflow.store.store import Store, open_store
from actorflow.testing import LeakCheck

KINDS = ("memory", "sqlite")
SHARED = ("sqlite",)  # those that several processes may open


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store, of each kind."""
    if request.param == "memory":
        return "memory:"
    return f"sqlite:///{tmp_path}/shop.db"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `url` over all kinds; one marked `shared` over those that have a file or a server."""
    if "url" in metafunc.fixturenames:
        shared = metafunc.definition.get_closest_marker("shared") is not None
        metafunc.parametrize("url", SHARED if shared else KINDS, indirect=True)


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., Store]]:
    """Opens the store at the URL, any number of times; all are closed at the end, and nothing of them is left."""
    stores: list[Store] = []

    def open_(**options) -> Store:
        stores.append(open_store(url, **options))
        return stores[-1]

    with LeakCheck():
        yield open_
        for one in stores:
            one.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    """A store that is open."""
    return opened()
