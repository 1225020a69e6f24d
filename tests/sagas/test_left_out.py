"""Promises: nothing is begun behind the turn, and a job that the turn cuts is undone."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.sagas.world import Boom

LOG: list[str] = []


@pytest.fixture(autouse=True)
def _log_is_empty():
    LOG.clear()


@af.task
async def acts(name: str) -> str:
    LOG.append(name)
    await asyncio.sleep(3)
    return name


@acts.compensate
def undo_acts(step: af.Step) -> None:
    LOG.append(f"-{step.arguments['name']}{'?' if step.maybe else ''}")


@af.task
async def fails_soon() -> None:
    await asyncio.sleep(1)
    raise Boom("soon")


# --- maps -------------------------------------------------------------------------------------------------------------


@af.saga
def mapping() -> None:
    """A step fails while a map has items left to begin."""
    acts.map("abcd", limit=2)
    fails_soon.submit().get()


@af.saga
async def mapping_async() -> None:
    acts.map("abcd", limit=2)
    await fails_soon()


@af.saga
def mapping_in_part() -> None:
    """The same in a savepoint; a map behind it, of the same branch, is another one."""
    try:
        with af.savepoint():
            mapping.function()
    except af.StepFailed:
        LOG.append("|")
    acts.map("ef", limit=1).get()


@af.saga
async def mapping_in_part_async() -> None:
    try:
        async with af.savepoint():
            await mapping_async.function()
    except af.StepFailed:
        LOG.append("|")
    await acts.map("ef", limit=1)


def ended(saga):
    with VirtualSystem("test", seed=1) as system:
        system.queue("jobs", workers=1)
        run = system.start(saga)
        with contextlib.suppress(af.RunFailed):
            run.result()
        return run.status


@pytest.mark.parametrize("saga", [mapping, mapping_async], ids=["plain", "async"])
def test_a_map_begins_nothing_behind_the_turn(saga):
    assert ended(saga) == "compensated"
    assert sorted(LOG[:2]) == ["a", "b"]
    assert sorted(LOG[2:]) == ["-a", "-b"]


@pytest.mark.parametrize("saga", [mapping_in_part, mapping_in_part_async], ids=["plain", "async"])
def test_a_map_of_a_savepoint_begins_nothing_once_that_is_undone(saga):
    assert ended(saga) == "completed"
    assert sorted(LOG[:2]) == ["a", "b"]
    assert sorted(LOG[2:4]) == ["-a", "-b"]
    assert LOG[4:] == ["|", "e", "f"]


# --- jobs -------------------------------------------------------------------------------------------------------------


@af.saga
def with_a_job() -> None:
    acts.options(queue="jobs").submit("job")
    fails_soon.submit().get()


def test_a_job_that_the_turn_cuts_while_it_runs_is_undone_as_one_that_may_have_acted():
    assert ended(with_a_job) == "compensated"
    assert LOG == ["job", "-job?"]


@af.saga
def with_two_jobs() -> None:
    for name in "ab":
        acts.options(queue="jobs").submit(name)
    fails_soon.submit().get()


def test_a_job_that_the_turn_cancels_before_it_has_begun_is_not_undone():
    assert ended(with_two_jobs) == "compensated"
    assert LOG == ["a", "-a?"]
