"""Fixtures of the whole suite: the same test on threads and on virtual time."""

import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import actorflow as af
from actorflow.core.running import drain
from actorflow.testing import LeakCheck, VirtualSystem
from tests import strain
from tests.servers import Postgres, postgres

# Hundreds of programs import the package here; without its bytecode each of them compiles it, for 150 ms.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

os.environ.pop("ACTORFLOW_STORE", None)  # a user's own store is no store of the tests

# A shell's background command ignores Ctrl-C, and one of nohup SIGHUP; so would all programs that it starts, to which
# the tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A busy machine is slow, and no example is wrong for that. The parent is hypothesis's own choice: in CI, no chance.
settings.register_profile("suite", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that runs everything, and the one that has everything come late."""
    parser.addoption("--full", action="store_true", help="run the tests that are marked slow, too")
    parser.addoption("--strain", metavar="SEED", default=os.environ.get("ACTORFLOW_STRAIN"), help=strain.__doc__)


def pytest_configure(config: pytest.Config) -> None:
    """Strain the tests, if that is asked for."""
    if config.getoption("strain"):
        strain.install(config, config.getoption("strain"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless they are asked for: by --full, by -m, or by name."""
    if config.getoption("full") or config.getoption("markexpr") or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if is_slow(item)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not is_slow(item)]


def is_slow(item: pytest.Item) -> bool:
    """Say whether a test runs with --full only; of some that are slow a few parameters run always, see `quick=`."""
    marker = item.get_closest_marker("slow")
    if marker is None:
        return False
    callspec = getattr(item, "callspec", None)
    return callspec is None or callspec.id not in marker.kwargs.get("quick", ())


CLASSES = {"live": af.ActorSystem, "virtual": VirtualSystem}


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_after_the_suite() -> Iterator[None]:
    """No thread, process or file of the suite outlives it; those of the default system end with the program."""
    with LeakCheck():
        yield


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage is collected: Python ignores what a signal's handler raises in a callback of the collector.

    hypothesis has such a callback, in each process that has run a test of its kind.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
def unhurried_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is cut at the end of a system's grace time has so long for its clean-up as a busy machine may take."""
    monkeypatch.setattr(drain, "CLEANUP", 20.0)
    monkeypatch.setattr(drain, "HOOKS", 20.0)


@pytest.fixture(params=CLASSES)
def system_class(request: pytest.FixtureRequest) -> Iterator[type[af.ActorSystem]]:
    """The class of a system on threads, and of one on virtual time, for tests that need their own settings."""
    with LeakCheck():
        yield CLASSES[request.param]


@pytest.fixture
def any_system(system_class: type[af.ActorSystem]) -> Iterator[af.ActorSystem]:
    """A system named "test", on threads and on virtual time; stopped and checked for leaks at the end."""
    with system_class("test") as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str, worker_id: str) -> Iterator[Postgres]:
    """A PostgreSQL server; the workers of pytest-xdist share it, each with databases of its own."""
    with postgres(testrun_uid[:12], worker_id) as server:
        yield server
