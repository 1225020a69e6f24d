"""PostgreSQL: children, new turns, retries, forks and starts with a signal say the same there."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

import actorflow as af
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import RESULT, RunLost, RunRecord
from actorflow.workflows.workflow import WORKFLOWS
from tests.core.actors import until
from tests.workflows.bodies import Approved, branched, branched_async, number, parent, parent_async, patches
from tests.workflows.test_children import holds, waits
from tests.workflows.test_jobs import RESULT as JOBS
from tests.workflows.test_jobs import paints, paints_async
from tests.workflows.test_parked import define, first, right, wrong
from tests.workflows.test_sends import SEEN, Till, asks, asks_async
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


@af.workflow(name="postgres.part")
def part(n: int) -> int:
    """A child with a step."""
    return number(n)[0]


@af.workflow(name="postgres.other_part")
def other_part(n: int) -> int:
    """The same, of the other node."""
    return number(n)[0]


@af.workflow(name="postgres.whole")
def whole(n: int, waits: bool) -> list[int]:
    """Children of the other node, which end together; or with their parent."""
    beside = [other_part.submit(n + k) for k in range(3)]
    return [one.get() for one in beside] if waits else [n]


@af.workflow(name="postgres.other_whole")
def other_whole(n: int, waits: bool) -> list[int]:
    """The same, of the other node."""
    beside = [part.submit(n + k) for k in range(3)]
    return [one.get() for one in beside] if waits else [n]


def test_parents_and_children_on_two_nodes_end_together(postgres_server):
    with (
        postgres_server.store() as database,
        af.ActorSystem("one", store=database) as one,
        af.ActorSystem("two", store=database) as two,
    ):
        one.workflows = frozenset({"postgres.whole", "postgres.part"})
        two.workflows = frozenset({"postgres.other_whole", "postgres.other_part"})
        runs = [
            system.start(flow, n, waits)
            for n in range(8)
            for waits in (True, False)
            for system, flow in ((one, whole), (two, other_whole))
        ]
        for n, run in enumerate(runs):
            waits, k = n % 4 < 2, n // 4
            assert run.result(timeout=LONG) == ([k, k + 1, k + 2] if waits else [k])


def test_a_record_and_a_take_over_do_not_pass_each_other(postgres_server):
    with postgres_server.store() as database, af.open_store(database) as one, af.open_store(database) as two:
        new = ledger.NewRun("run", "postgres.part", b"[[1],{}]")
        run = one.write(lambda tx: ledger.add(tx, new, 1.0, "dead"))
        taken, go_on = threading.Event(), threading.Event()
        errors: list[object] = []

        def take_over(transaction):
            assert ledger.take_over(transaction, "dead")
            taken.set()
            assert go_on.wait(LONG)

        def record():
            late = RunRecord(1, ("0", "late", 1), 0, RESULT, None, b"1", None, 1, None, 1.0)
            try:
                two.write(lambda tx: ledger.append(tx, run, "dead", [late]))
            except RunLost as error:
                errors.append(error)

        threads = [threading.Thread(target=one.write, args=(take_over,)), threading.Thread(target=record)]
        threads[0].start()
        assert taken.wait(LONG)
        threads[1].start()
        threads[1].join(1)  # it waits for the other; if it did not, it would be through by now
        go_on.set()
        for thread in threads:
            thread.join(LONG)
        assert len(errors) == 1
        assert one.read(lambda tx: ledger.records(tx, run.id)) == []


def test_jobs_and_asks_of_runs_go_between_two_nodes_of_a_server(postgres_server):
    with (
        postgres_server.store() as database,
        af.ActorSystem("one", store=database) as one,
        af.ActorSystem("two", store=database) as two,
    ):
        till = two.spawn(af.child(Till).options(name="till"))
        two.queue("paint", workers=2)
        other = [asks, asks_async, paints, paints_async]
        for n, flow in enumerate(other):
            args = (one.durable("till", Till), 3) if n < 2 else (3,)
            run = one.start(flow, *args)
            run.signal(Approved("ann"))
            result = run.result(timeout=LONG)
            assert result == JOBS if n > 1 else result[1] == [3]
        assert till.call(Till.seen).get(timeout=LONG) == 2 * SEEN
