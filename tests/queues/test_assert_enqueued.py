"""assert_enqueued: what a user's test expects of the code that enqueues."""

import dataclasses
import sys

import pytest

import actorflow as af
from actorflow.testing import assert_enqueued
from tests.durable.actors import Account
from tests.durable.test_state import named

from . import tasks


@dataclasses.dataclass(repr=False)
class Wordless:
    """A value whose repr raises."""

    n: int

    def __repr__(self):
        raise LookupError("no words")


@dataclasses.dataclass
class Gone:
    """A value whose class the process does not know any more."""

    n: int


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


def test_a_failure_shows_jobs_whose_arguments_are_refs_or_cannot_be_read(shop, monkeypatch):
    shop.queue("q").enqueue(tasks.double, shop.durable("ann", Account))
    shop.queue("q").enqueue(tasks.double, Gone(2))
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    with pytest.raises(AssertionError, match=r"there are .*double\(\.\.\.: UnknownClass.*double\(<ActorRef.*/shop/ann"):
        assert_enqueued(tasks.double, 1)


def test_a_job_whose_argument_is_a_ref_is_found(shop):
    ann = shop.spawn(named(Account, "ann"))
    job = shop.queue("q").enqueue(tasks.double, ann)
    assert assert_enqueued(tasks.double, ann).id == job.id


def test_a_failure_shows_an_argument_without_words_by_its_class(shop):
    with pytest.raises(AssertionError, match="fail.*Wordless, whose text cannot be made.* was not enqueued"):
        assert_enqueued(tasks.fail, Wordless(1))


def test_what_could_never_be_enqueued_is_refused(shop):
    with pytest.raises(af.DefinitionError):
        assert_enqueued(tasks.double, 1, 2)
    with pytest.raises(af.DefinitionError, match="give a task"):
        assert_enqueued(len)
