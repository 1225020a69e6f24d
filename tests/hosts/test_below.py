"""Promises: `find` and `tree` go on into hosts."""

import os
import signal
import time

import pytest

import actorflow as af
from tests.hosts.actors import Here, Notes, call, hosted, pid_of
from tests.processes import stop_process

pytestmark = pytest.mark.timeout(300)


class Parent(Here):
    def start(self, name, host=None):
        return self.ctx.spawn(af.child(Parent).options(name=name, host=host))


@pytest.fixture
def kids(system):
    """An actor in a host, its child there, and that one's child in a host of the host."""
    top = system.spawn(hosted(Parent, name="top"))
    kid = call(top, Parent.start, "kid")
    return top, kid, call(kid, Parent.start, "far", af.Process())


def test_an_actor_below_one_in_a_host_is_found_by_its_path(system, kids):
    _, kid, far = kids
    grandchild = call(far, Parent.start, "last")
    assert system.find("/test/top/kid", Parent) == kid
    assert system.find("/test/top/kid/far", Parent) == far
    found = system.find("/test/top/kid/far/last", Parent)
    assert found == grandchild
    assert pid_of(found) == pid_of(far)
    assert system.find("/test/top/none") is None
    assert system.find("/test/top/kid/far/none") is None
    with pytest.raises(af.DefinitionError, match="of class Parent, not Notes"):
        system.find("/test/top/kid", Notes)


def test_the_tree_shows_what_is_in_hosts(system, kids):
    call(kids[2], Parent.start, "last")
    assert [line.split()[-3:-1] for line in str(system.tree()).splitlines()[1:]] == [
        [name, "Parent"] for name in ("top", "kid", "far", "last")
    ]


@pytest.mark.slow
def test_the_tree_marks_a_host_that_does_not_answer(system, kids):
    pid = pid_of(kids[0])
    stop_process(pid)
    try:
        start = time.monotonic()
        assert system.tree().children[0].status == "does not answer"
        assert time.monotonic() - start < 20  # one second, on a quiet machine
    finally:
        os.kill(pid, signal.SIGCONT)
