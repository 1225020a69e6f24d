"""A store that an older actorflow has made, and durable actors that it has: its tables are brought up to date."""

from __future__ import annotations

import contextlib

import pytest

import actorflow as af
from actorflow.store.postgres import schema
from actorflow.store.postgres.store import PostgresStore
from actorflow.store.sqlite import file as sqlite_file
from actorflow.store.sqlite.store import SqliteStore
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.durable.actors import Account
from tests.durable.test_messages import wait_for
from tests.durable.test_state import named
from tests.events.log.services import Cashier, Ordered, service

OLD = (11, 12)  # without the log; without the causes of runs
assert PostgresStore.version == SqliteStore.version > max(OLD)  # imported before a test has them older


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request, tmp_path):
    """The URL of a store that nobody has opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
    else:
        with request.getfixturevalue("postgres_server").database() as server:
            yield server


@pytest.fixture(params=OLD)
def old_url(empty: str, request) -> str:
    """The URL of a store that an older actorflow has made, with a durable actor that has a message."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite_file, schema):
            patch.setattr(module, "MIGRATIONS", module.MIGRATIONS[: request.param])
            patch.setattr(module, "VERSION", request.param)
        with contextlib.closing(open_store(empty)) as store:
            call = b'["call","add",[5],{}]'
            store.write(lambda tx: tx.run("actors.add", {"name": "ann"}))
            store.write(
                lambda tx: tx.one("actors.put_one", {"receiver": "ann", "sender": None, "asker": None, "body": call})
            )
    return empty


def test_the_actors_of_an_older_store_go_on_and_services_come_beside_them(old_url):
    with LeakCheck(), af.ActorSystem("test", store=old_url) as system:
        ann = system.spawn(named(Account, name="ann"))
        assert ann.call(Account.total).get(timeout=60) == 5
        cashier = system.spawn(service(Cashier, "cashier"))
        system.publish(Ordered("a", 1))
        wait_for(lambda: cashier.call(Cashier.seen).get(timeout=60) == {"a": [1]})
