"""Fixtures of the store tests: the same promise over each kind of store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actorflow.store.store import Store, open_store
from actorflow.testing import LeakCheck
from tests.servers import Postgres

KINDS = ("memory", "sqlite", "postgres")
SHARED = ("sqlite", "postgres")  # those that several processes may open


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new store, of each kind."""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database() as database:
            yield database
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
    else:
        yield "memory:"


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
