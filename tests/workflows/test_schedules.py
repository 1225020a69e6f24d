"""Schedules: runs that are started at the times of cron expressions."""

from __future__ import annotations

import datetime as dt

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import number


@af.workflow
def nightly(n: int) -> int:
    """A step."""
    return number(n)[0]


def ids(system: af.ActorSystem) -> list[str]:
    return sorted(info.id for info in system.runs(nightly))


def at(system: VirtualSystem) -> dt.datetime:
    return dt.datetime.fromtimestamp(system.scheduler.clock.time(), dt.UTC)


def test_a_run_is_started_at_each_time_of_a_cron_expression() -> None:
    with VirtualSystem("test", seed=1) as system:
        begin = at(system)
        system.cron("* * * * *", nightly, args=(7,), name="often")
        system.sleep(3 * 60 + 1)
        first = begin.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        times = [first + dt.timedelta(minutes=n) for n in range(3)]
        assert ids(system) == [f"often@{time:%Y-%m-%dT%H:%M:%SZ}" for time in times]
        assert [system.get_run(id).result() for id in ids(system)] == [7, 7, 7]


def test_a_schedule_may_start_runs_of_a_durable_dag() -> None:
    dag = af.Dag("schedules.nightly", durable=True)
    dag.add(number, 7)
    with VirtualSystem("test", seed=1) as system:
        schedule = system.cron("0 6 * * *", dag, name="dags")
        begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        (run,) = schedule.backfill(begin, begin + dt.timedelta(days=1))
        assert (run.id, run.result()["number"][0]) == ("dags@2020-01-01T06:00:00Z", 7)
        system.sleep(24 * 3600)
        assert system.runs("schedules.nightly").count() == {"completed": 2}
        with pytest.raises(af.DefinitionError, match="durable=True"):
            system.cron("0 6 * * *", af.Dag("schedules.in_memory"))


def test_two_systems_that_declare_a_schedule_start_each_run_once() -> None:
    with World(seed=1) as world, af.open_store() as store:
        both = [VirtualSystem._within(world, name, store=store) for name in "ab"]
        try:
            for system in both:
                system.cron("* * * * *", nightly, args=(7,), name="often")
            both[0].sleep(2 * 60 + 1)
            assert len(ids(both[0])) == 2
            assert both[1].runs(nightly).count() == {"completed": 2}
        finally:
            for system in both:
                system.stop()


@pytest.mark.parametrize(("catch_up", "count"), [("skip", 0), ("latest", 1), ("all", 6)])
def test_times_that_passed_while_no_process_ran_are_caught_up_as_told(catch_up: str, count: int) -> None:
    with World(seed=1) as world, af.open_store() as store:
        first = VirtualSystem._within(world, "first", store=store)
        first.cron("*/10 * * * *", nightly, args=(7,), name="often", catch_up=catch_up)
        first.stop()
        second = VirtualSystem._within(world, "second", store=store)
        try:
            second.sleep(55 * 60)
            second.cron("*/10 * * * *", nightly, args=(7,), name="often", catch_up=catch_up)
            second.sleep(60)
            assert second.runs(nightly).count().get("completed", 0) == count
        finally:
            second.stop()


def test_a_backfill_starts_the_runs_of_a_range_that_are_not_there() -> None:
    with VirtualSystem("test", seed=1) as system:
        schedule = system.cron("0 6 * * *", nightly, args=(7,), name="daily")
        begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        runs = schedule.backfill(begin, begin + dt.timedelta(days=3))
        assert [run.id for run in runs] == [f"daily@2020-01-0{day}T06:00:00Z" for day in (1, 2, 3)]
        assert [run.result() for run in runs] == [7, 7, 7]
        assert len(schedule.backfill(begin, begin + dt.timedelta(days=4))) == 4
        system.sleep(5)
        assert system.runs(nightly).count() == {"completed": 4}
        with pytest.raises(af.DefinitionError, match="zone"):
            schedule.backfill(dt.datetime(2020, 1, 1), begin)  # noqa: DTZ001 - that is refused


def test_a_schedule_that_makes_no_sense_is_refused() -> None:
    with VirtualSystem("test", seed=1) as system:
        with pytest.raises(af.DefinitionError, match="minute, hour"):
            system.cron("often", nightly, args=(7,))
        with pytest.raises(af.DefinitionError, match="nightly"):
            system.cron("0 6 * * *", nightly)
        with pytest.raises(af.DefinitionError, match=r"queue\.cron"):
            system.cron("0 6 * * *", number, args=(7,))
        with pytest.raises(af.DefinitionError, match="id from its time"):
            system.cron("0 6 * * *", nightly.options(id="x"), args=(7,))
        system.cron("0 6 * * *", nightly, args=(7,))
        with pytest.raises(af.DefinitionError, match="give each a name"):
            system.cron("0 6 * * *", nightly, args=(8,))
