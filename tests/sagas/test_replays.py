"""Promises: the records of sagas that have ended, or are stuck, fit their code when they are replayed for a look."""

from __future__ import annotations

import contextlib

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem, check_replay
from tests.sagas.crashes import LIVES, Life, order, order_async
from tests.sagas.test_sagas import BOTH, trip
from tests.sagas.world import OUTSIDE


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear()
    LIVES[:] = [Life()]


def exported(saga, *args) -> tuple[dict[str, object], str]:
    """Return the records of a saga, and its status."""
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga.options(id="run"), *args)
        with contextlib.suppress(af.ActorflowError):
            run.result()
        return system.runs().export("run"), run.status


@BOTH
@pytest.mark.parametrize(
    ("fates", "status"),
    [
        ({}, "completed"),
        ({"card": ["raises"]}, "compensated"),
        ({"flight": ["maybe"]}, "compensated"),
        ({"card": ["raises"], "undo hotel": ["raises"]}, "stuck"),
    ],
    ids=str,
)
def test_the_records_of_a_saga_fit_its_code(saga, fates, status):
    OUTSIDE.clear(**fates)
    export, found = exported(saga, "ann")
    assert found == status
    check_replay(saga, export)


@pytest.mark.parametrize("saga", [order, order_async], ids=["plain", "async"])
@pytest.mark.parametrize("fates", [{"b": ["raises"]}, {"e": ["raises"]}], ids=str)
def test_the_records_of_a_pair_and_of_a_savepoint_fit_their_code(saga, fates):
    OUTSIDE.clear(**fates)
    export, found = exported(saga, False)
    assert found == "compensated"
    check_replay(saga, export)


def test_the_records_of_another_saga_do_not_fit():
    export, _ = exported(trip, "ann")
    del export["records"][2:4]
    with pytest.raises(af.NonDeterministic, match="flight"):
        check_replay(trip, export)
