"""One zygote for all tests of hosts: a cold start takes 250 ms, and `test_launch` has its own tests."""

from collections.abc import Iterator

import pytest

from actorflow.process.hosts.parent.hosts import WARM
from actorflow.process.launch.launcher import Launch, acquire


@pytest.fixture(scope="module", autouse=True)
def _warm_zygote() -> Iterator[None]:
    launcher = acquire(Launch())
    launcher.launch("os:_exit", 0, warm=WARM).wait(100)
    yield
    launcher.release()
