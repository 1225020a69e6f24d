"""assert_enqueued: what a user's test expects of the code that enqueues."""

import pytest

import actorflow as af
from actorflow.testing import assert_enqueued

from . import tasks


def test_the_job_with_these_arguments_is_returned(shop):
    jobs, others = shop.queue("q"), shop.queue("r")
    first, _, third = jobs.enqueue(tasks.double, 1), jobs.enqueue(tasks.double, 2), others.enqueue(tasks.double, n=3)
    assert assert_enqueued(tasks.double, 1).id == first.id
    assert assert_enqueued(tasks.double, n=3).id == third.id
    assert assert_enqueued(tasks.double).id == third.id


def test_a_failure_shows_the_jobs_with_other_arguments(shop):
    shop.queue("q").enqueue(tasks.double, 2)
    with pytest.raises(AssertionError, match=r"double\(1\) was not enqueued; there are .*double\(2\)"):
        assert_enqueued(tasks.double, 1)
    with pytest.raises(AssertionError, match="there is no job of it"):
        assert_enqueued(tasks.fail, "x")


def test_what_could_never_be_enqueued_is_refused(shop):
    with pytest.raises(af.DefinitionError):
        assert_enqueued(tasks.double, 1, 2)
    with pytest.raises(af.DefinitionError, match="give a task"):
        assert_enqueued(len)
