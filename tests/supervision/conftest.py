"""Fixtures of the supervision tests: a log that the actors share, and the dead letters of the system."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import Probe


@pytest.fixture
def log() -> list[str]:
    """Return the log that the actors of a test share."""
    return []


@pytest.fixture
def letters(any_system) -> Probe:
    """Return the dead letters of `any_system`, as a probe."""
    probe = Probe(any_system)
    any_system.subscribe(af.DeadLetter, probe.ref)
    return probe
