"""The pytest plugin: fixtures for tests of actors. It comes with the package; nothing is to be imported.

- `system`: an ActorSystem on threads; at the end it is stopped and checked for leaks.
- `virtual_system`: a VirtualSystem; `@pytest.mark.actorflow(seed=7)` seeds it. `step_limit`, here a million steps of
  one wait, and `turn_seconds` are set there, too: a test of actors that keep each other busy, or the turn, fails.
- `probe`: a Probe in whichever of the two the test uses (`system`, if neither).

`sim_options` has the options of simulations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from actorflow.testing import sim_options

if TYPE_CHECKING:
    from actorflow.app.system import ActorSystem
    from actorflow.app.virtual import VirtualSystem
    from actorflow.testing.probe import Probe

STEP_LIMIT = 1_000_000  # of one wait of a test: half a minute
OPTIONS: Final = ("seed", "step_limit", "turn_seconds", "store", "settings")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the options of simulations."""
    sim_options.pytest_configure(config)
    config.addinivalue_line("markers", f"actorflow({', '.join(OPTIONS)}): options of the fixture virtual_system")


pytest_addoption = sim_options.pytest_addoption
pytest_sessionfinish = sim_options.pytest_sessionfinish
pytest_testnodedown = sim_options.pytest_testnodedown
pytest_terminal_summary = sim_options.pytest_terminal_summary


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    """An actor system on threads, stopped and checked for leaks at the end."""
    from actorflow.app.system import ActorSystem  # noqa: PLC0415 - pytest loads the plugin in every project
    from actorflow.testing.leaks import LeakCheck  # noqa: PLC0415

    with LeakCheck(), ActorSystem("test") as running:
        yield running


@pytest.fixture
def virtual_system(request: pytest.FixtureRequest) -> Iterator[VirtualSystem]:
    """An actor system on a virtual clock."""
    from actorflow.app.virtual import VirtualSystem  # noqa: PLC0415
    from actorflow.testing.leaks import LeakCheck  # noqa: PLC0415 - pytest loads the plugin in every project

    with LeakCheck(), VirtualSystem("test", **options_of(request.node)) as running:
        yield running


def options_of(node: pytest.Item) -> dict[str, Any]:
    """Return the options that the markers of a test, of its class and of its module give; the closest one counts."""
    options: dict[str, Any] = {"step_limit": STEP_LIMIT}
    for marker in reversed(list(node.iter_markers("actorflow"))):
        wrong = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in OPTIONS)]
        if wrong:
            msg = f"@pytest.mark.actorflow does not take {', '.join(wrong)}: give {', '.join(OPTIONS)} by name"
            raise pytest.UsageError(msg)
        options |= marker.kwargs
    return options


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Probe:
    """A probe in the test's system."""
    from actorflow.testing.probe import Probe  # noqa: PLC0415 - pytest loads the plugin in every project

    for name in ("virtual_system", "any_system", "system"):
        if name in request.fixturenames:
            return Probe(request.getfixturevalue(name))
    return Probe(request.getfixturevalue("system"))
