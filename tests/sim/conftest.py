"""Fixtures of the tests of the simulation."""

import pytest

from actorflow.sim.search.shrink import Shrinker


@pytest.fixture(autouse=True)
def _a_busy_machine_shrinks_as_far(monkeypatch):
    """A failure is shrunk for ten seconds; on a machine that is busy, that is not as far."""
    monkeypatch.setitem(Shrinker.__init__.__kwdefaults__, "seconds", 300.0)
