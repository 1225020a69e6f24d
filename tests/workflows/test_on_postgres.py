"""PostgreSQL: children, new turns, retries, forks and starts with a signal say the same there."""

from __future__ import annotations

import datetime as dt

import pytest

import actorflow as af
from actorflow.workflows.workflow import WORKFLOWS
from tests.core.actors import until
from tests.workflows.bodies import Approved, branched, branched_async, parent, parent_async, patches
from tests.workflows.test_children import holds, waits
from tests.workflows.test_parked import define, first, right, wrong
from tests.workflows.test_trying_again import BROKEN, failed, outer, three
from tests.workflows.test_versions import counts

LONG = 60


def test_runs_have_families_turns_and_other_tries_on_a_server(postgres_server):
    BROKEN.clear()
    with postgres_server.store() as database, af.ActorSystem("runs", store=database) as system:
        assert system.start(parent).result(timeout=LONG)[-1] == [5]
        run = system.start(counts.options(id="turns", signal=Approved("a")), 1, [])
        for name in ("b", "c"):
            run.signal(Approved(name))
        assert run.result(timeout=LONG)[0] == 3
        BROKEN.add("b")
        run = failed(system, outer)
        BROKEN.clear()
        run.retry()
        assert run.result(timeout=LONG)[2] == "after"
        first = system.start(three, "x")
        assert first.result(timeout=LONG) == first.fork(step="last").result(timeout=LONG)
        run = system.start(holds, "cancel", "child")
        until(lambda: _is_there(system))
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=LONG)
        with pytest.raises(af.RunCancelled):
            system.get_run("child").result(timeout=LONG)
        with pytest.raises(af.RunCancelled, match="deadline"):
            system.start(waits.options(deadline=0.2), "late").result(timeout=LONG)


def test_runs_have_branches_patches_and_schedules_on_a_server(postgres_server):
    with postgres_server.store() as database, af.ActorSystem("runs", store=database) as system:
        for body in (branched, branched_async, patches, parent_async):
            assert system.start(body).result(timeout=LONG)
        begin = dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)
        schedule = system.cron("0 6 * * *", patches, name="daily")
        runs = schedule.backfill(begin, begin + dt.timedelta(days=3))
        assert [run.id for run in runs] == [f"daily@2026-03-0{day}T06:00:00Z" for day in (1, 2, 3)]
        for run in runs:
            assert run.result(timeout=LONG)[-1] == 4
        assert [run.id for run in schedule.backfill(begin, begin + dt.timedelta(days=3))] == [run.id for run in runs]


def test_runs_are_paused_and_parked_and_tried_again_on_a_server(postgres_server):
    with postgres_server.store() as database:
        with af.ActorSystem("runs", store=database) as system:
            run = system.start(define(first).options(id="a"))
            until(lambda: len(run.steps) == 1)
            assert run.pause() is True
            until(lambda: run.status == "paused")
            run.signal(Approved("ann"))
            define(wrong)
            assert run.resume() is True
            until(lambda: run.status == "parked")
            assert run.pause() is True
            assert run.resume() is True
            until(lambda: run.status == "parked")
            define(right)
            system.run_node.look()
            assert run.result(timeout=LONG) == [[1], "ann", "right"]
            assert (run.pause(), run.resume()) == (False, False)
            run = system.start(waits.options(id="cancelled"), "a")
            until(lambda: run.status == "running")
            run.pause()
            run.cancel()
            with pytest.raises(af.RunCancelled):
                run.result(timeout=LONG)
    WORKFLOWS.pop("parked.flow", None)


def _is_there(system):
    try:
        return system.get_run("child").status == "running"
    except af.DefinitionError:
        return False
