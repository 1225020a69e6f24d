"""Bad arguments of every public call of workflows: nonsense of each kind is refused with the cure, at once."""

from __future__ import annotations

import datetime as dt
import math

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.text import text_of
from actorflow.workflows.figures.times import workflow_capacity, workflow_time
from actorflow.workflows.wfformat import parse_instance, read_instance, recorded_dag
from tests.workflows.bodies import Approved, number


class Hostile:
    """Nothing can be done with it."""

    def _no(self, *_):
        raise ZeroDivisionError("hostile")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __lt__ = __len__ = __iter__ = _no


ANY = [Hostile(), object(), b"x", {1: 2}]
TEXT = [*ANY, 3, "", "a\0b", "\ud800", "x" * 2000, [], True, math.nan]
NUMBER = [*ANY, "x", "", "3", -1, math.nan, True, []]
SECONDS = [*NUMBER, math.inf, 1 << 5000]
TIMEOUT = [*ANY, "x", "", "3", math.nan, True, [], math.inf, 1 << 5000]  # a negative one has passed already
ABOVE = [*SECONDS, 0]
COUNT = [*NUMBER, 0, 1.5, math.inf]
WHOLE = [*ANY, "x", "3", 1.5, math.nan, True, [], 1 << 80]
FLAG = [*ANY, "x", 1, [], math.nan]
FUNCTION = [*ANY, 3, "x", "", [], math.nan, True]
NODES = [*ANY, 3, "x", math.nan, True, [3], "", [Hostile()], [[1]]]
FUTURES = [object(), b"x", {1: 2}, 3, "x", [3], [Hostile()], math.nan]
ZONELESS = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - it is to be refused
CHOICE = [*ANY, 3, "x", "", [], math.nan, True]


TWO = {
    "name": "two",
    "workflow": {
        "specification": {"tasks": [{"id": "a"}]},
        "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 2}]},
    },
}


@af.workflow
def waits(n: int) -> str:
    """Wait for one class of signals."""
    return af.wait(Approved).name


def body_of(call):
    def walk(system, value):
        seen = []

        @af.workflow(name="tests.argument")
        def argument() -> None:
            try:
                call(value)
            except BaseException as error:
                seen.append(error)
                raise

        run = system.start(argument)
        with pytest.raises(af.RunFailed):
            run.result(timeout=3600)
        (error,) = seen
        raise error

    return walk


def on_run(call):
    return lambda system, value: call(system.start(waits, 1), value)


def on_dag(call):
    def walk(system, value):
        dag = af.Dag("numbers")
        return call(dag, dag.add(number, 1), value)

    return walk


def on_dag_run(call):
    def walk(system, value):
        dag = af.Dag("numbers")
        dag.add(number, 1)
        return call(system.start(dag), value)

    return walk


def days(system, begin=None, end=None):
    schedule = system.cron("0 0 * * *", waits, args=(1,), name="days")
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return schedule.backfill(begin if begin is not None else at, end if end is not None else at)


CALLS = {
    "start(what)": (FUNCTION, lambda s, v: s.start(v)),
    "get_run(id)": (TEXT, lambda s, v: s.get_run(v)),
    "workflow(name)": (TEXT, lambda s, v: af.workflow(name=v)(lambda: 1)),
    "workflow(version)": (TEXT, lambda s, v: af.workflow(name="tests.v", version=v)(lambda: 1)),
    "workflow(limit)": ([*FUNCTION], lambda s, v: af.workflow(name="tests.v", limit=v)(lambda: 1)),
    "workflow(function)": (FUNCTION, lambda s, v: af.workflow(v)),
    "options(id)": (TEXT, lambda s, v: waits.options(id=v)),
    "options(deadline)": (ABOVE, lambda s, v: waits.options(deadline=v)),
    "options(version)": (TEXT, lambda s, v: waits.options(version=v)),
    "options(key)": (TEXT, lambda s, v: waits.options(key=v)),
    "options(priority)": (WHOLE, lambda s, v: waits.options(priority=v)),
    "options(on_parent_close)": (CHOICE, lambda s, v: waits.options(on_parent_close=v)),
    "runs(workflow)": (TEXT, lambda s, v: s.runs(v)),
    "runs(status)": (CHOICE, lambda s, v: s.runs(status=v)),
    "runs().list(limit)": (COUNT, lambda s, v: s.runs().list(limit=v)),
    "runs().list(before)": (TEXT, lambda s, v: s.runs().list(before=v)),
    "runs().prune(keep_ids)": (SECONDS, lambda s, v: s.runs().prune(keep_ids=v)),
    "runs().row(id)": (TEXT, lambda s, v: s.runs().row(v)),
    "runs().export(id)": (TEXT, lambda s, v: s.runs().export(v)),
    "runs().signal(id)": (TEXT, lambda s, v: s.runs().signal(v, b"1")),
    "runs().signal(body)": ([*ANY[:2], 3, "x", None], lambda s, v: s.runs().signal(s.start(waits, 1).id, v)),
    "runs().signal(marked)": (TEXT, lambda s, v: s.runs().signal(s.start(waits, 1).id, b"1", marked=v)),
    "runs().cancel(id)": (TEXT, lambda s, v: s.runs().cancel(v, b"1")),
    "runs().cancel(body)": ([*ANY[:2], 3, "x", None], lambda s, v: s.runs().cancel(s.start(waits, 1).id, v)),
    "runs().pause(id)": (TEXT, lambda s, v: s.runs().pause(v)),
    "runs().resume(id)": (TEXT, lambda s, v: s.runs().resume(v)),
    "runs().retry(id)": (TEXT, lambda s, v: s.runs().retry(v)),
    "runs().retry(step)": (TEXT, lambda s, v: s.runs().retry(s.start(waits, 1).id, v)),
    "runs().fork(id)": (TEXT, lambda s, v: s.runs().fork(v, None, "x")),
    "runs().fork(step)": (TEXT, lambda s, v: s.runs().fork(s.start(waits, 1).id, v, "x")),
    "runs().fork(new)": (TEXT, lambda s, v: s.runs().fork(s.start(waits, 1).id, None, v)),
    "result(timeout)": (TIMEOUT, on_run(lambda r, v: r.result(timeout=v))),
    "signal(value)": (ANY[:2], on_run(lambda r, v: r.signal(v))),
    "signal(id)": (TEXT, on_run(lambda r, v: r.signal(Approved("a"), id=v))),
    "signal(transient)": (FLAG, on_run(lambda r, v: r.signal(Approved("a"), transient=v))),
    "query(name)": (TEXT, on_run(lambda r, v: r.query(v))),
    "query(timeout)": (ABOVE, on_run(lambda r, v: r.query("x", timeout=v))),
    "retry(from_)": (TEXT, on_run(lambda r, v: r.retry(from_=v))),
    "fork(step)": (TEXT, on_run(lambda r, v: r.fork(step=v))),
    "fork(id)": (TEXT, on_run(lambda r, v: r.fork(id=v))),
    "subscribe(to)": (FUNCTION, on_run(lambda r, v: r.subscribe(v))),
    "timeline().text(width)": (COUNT, on_run(lambda r, v: r.timeline().text(width=v))),
    "timeline().text(rows)": (COUNT, on_run(lambda r, v: r.timeline().text(rows=v))),
    "times.utilisation(workers)": (COUNT, on_run(lambda r, v: r.timeline().times.utilisation(v))),
    "workflow_time(steps)": ([*ANY, 3, "x", [3], math.nan, True], lambda s, v: workflow_time(v)),
    "dag run: result(timeout)": (TIMEOUT, on_dag_run(lambda r, v: r.result(timeout=v))),
    "dag run: subscribe(to)": (FUNCTION, on_dag_run(lambda r, v: r.subscribe(v))),
    "results[]": (TEXT, on_dag_run(lambda r, v: r.result()[v])),
    "results.get()": (TEXT, on_dag_run(lambda r, v: r.result().get(v))),
    "in results": (TEXT, on_dag_run(lambda r, v: v in r.result())),
    "cron(expression)": (TEXT, lambda s, v: s.cron(v, waits, args=(1,))),
    "cron(workflow)": (FUNCTION, lambda s, v: s.cron("* * * * *", v)),
    "cron(args)": ([*ANY, 3, "x", math.nan, True], lambda s, v: s.cron("* * * * *", waits, args=v)),
    "cron(tz)": (TEXT, lambda s, v: s.cron("* * * * *", waits, args=(1,), tz=v)),
    "cron(catch_up)": (CHOICE, lambda s, v: s.cron("* * * * *", waits, args=(1,), catch_up=v)),
    "cron(name)": (TEXT, lambda s, v: s.cron("* * * * *", waits, args=(1,), name=v)),
    "backfill(begin)": ([*FUNCTION, ZONELESS, ZONELESS.date()], lambda s, v: days(s, begin=v)),
    "backfill(end)": ([*FUNCTION, ZONELESS, ZONELESS.date()], lambda s, v: days(s, end=v)),
    "gather(*futures)": (FUNCTION[:-1], body_of(lambda v: af.gather(number.submit(1), v))),
    "gather(futures)": (
        FUTURES,
        body_of(lambda v: af.gather(v)),
    ),
    "signal(kind)": (FUNCTION, body_of(lambda v: af.signal(v))),
    "af.signal(timeout)": (SECONDS, body_of(lambda v: af.signal(Approved, timeout=v))),
    "wait(kind)": (FUNCTION, body_of(lambda v: af.wait(v))),
    "wait(timeout)": (SECONDS, body_of(lambda v: af.wait(Approved, timeout=v))),
    "sleep(seconds)": (SECONDS, body_of(lambda v: af.sleep(v))),
    "timer(seconds)": (SECONDS, body_of(lambda v: af.timer(v).get())),
    "as_completed(futures)": (
        FUTURES,
        body_of(lambda v: list(af.as_completed(v))),
    ),
    "patched(name)": (TEXT, body_of(lambda v: af.patched(v))),
    "branch(function)": (FUNCTION, body_of(lambda v: af.branch(v))),
    "expose(name)": (TEXT, body_of(lambda v: af.expose(v, lambda: 1))),
    "expose(look)": (FUNCTION, body_of(lambda v: af.expose("x", v))),
    "task.map(items)": ([object(), 3, math.nan, True], body_of(lambda v: number.map(v))),
    "task.map(limit)": (COUNT, body_of(lambda v: number.map([1], limit=v))),
    "future.get(timeout) in a body": (SECONDS, body_of(lambda v: af.timer(5).get(timeout=v))),
    "continue_as_new(args)": (ANY[:2], body_of(lambda v: af.continue_as_new(v))),
    "Dag(name)": ([*TEXT, "a/b"], lambda s, v: af.Dag(v)),
    "Dag(workers)": (COUNT, lambda s, v: af.Dag("x", workers=v)),
    "Dag(durable)": (FLAG, lambda s, v: af.Dag("x", durable=v)),
    "dag.options(id)": (TEXT, on_dag(lambda d, n, v: d.options(id=v))),
    "dag.options(workers)": (COUNT, on_dag(lambda d, n, v: d.options(workers=v))),
    "dag.options(durable)": (FLAG, on_dag(lambda d, n, v: d.options(durable=v))),
    "dag.options(deadline)": (ABOVE, on_dag(lambda d, n, v: d.options(durable=True, deadline=v))),
    "dag.add(work)": (FUNCTION, on_dag(lambda d, n, v: d.add(v))),
    "dag.add(name)": (TEXT, on_dag(lambda d, n, v: d.add(number, 1, name=v))),
    "dag.add(after)": (NODES, on_dag(lambda d, n, v: (d.add(number, 1, after=v), d.check()))),
    "dag.add(when)": (FUNCTION, on_dag(lambda d, n, v: d.add(number, 1, when=v))),
    "dag.add(join)": ([*COUNT], on_dag(lambda d, n, v: (d.add(number, n, join=v), d.check()))),
    "dag.add(rest)": (CHOICE, on_dag(lambda d, n, v: d.add(number, 1, rest=v))),
    "dag.add(priority)": (WHOLE, on_dag(lambda d, n, v: d.add(number, 1, priority=v))),
    "dag.add(on_failure)": (CHOICE, on_dag(lambda d, n, v: d.add(number, 1, on_failure=v))),
    "dag.add(group)": (FUNCTION, on_dag(lambda d, n, v: d.add(number, 1, group=v))),
    "dag.add(duration)": (SECONDS, on_dag(lambda d, n, v: d.add(number, 1, duration=v))),
    "dag.add(retry)": (FUNCTION, on_dag(lambda d, n, v: d.add(number, 1, retry=v))),
    "dag.add(timeout)": (ABOVE, on_dag(lambda d, n, v: d.add(number, 1, timeout=v))),
    "dag.map(task)": (FUNCTION, on_dag(lambda d, n, v: d.map(v, n))),
    "dag.map(over)": ([*FUNCTION, [1]], on_dag(lambda d, n, v: d.map(number, v))),
    "dag.map(limit)": (COUNT, on_dag(lambda d, n, v: d.map(number, n, limit=v))),
    "dag.loop(task)": (FUNCTION, on_dag(lambda d, n, v: d.loop(v, 1, until=bool, limit=3))),
    "dag.loop(until)": (FUNCTION, on_dag(lambda d, n, v: d.loop(number, 1, until=v, limit=3))),
    "dag.loop(limit)": (COUNT, on_dag(lambda d, n, v: d.loop(number, 1, until=bool, limit=v))),
    "dag.gather(nodes)": (NODES, on_dag(lambda d, n, v: d.gather(v))),
    "dag.group(name)": (TEXT, on_dag(lambda d, n, v: d.group(v, limit=1))),
    "dag.group(limit)": ([*COUNT, None], on_dag(lambda d, n, v: d.group("g", limit=v))),
    "dag.index_of(node)": (FUNCTION, on_dag(lambda d, n, v: d.index_of(v))),
    "dag.mermaid(steps)": ([*ANY, 3, "x", [3], math.nan, True], on_dag(lambda d, n, v: d.mermaid(v))),
    "workflow_capacity": (NUMBER, lambda s, v: workflow_capacity(v, 1, 1)),
    "read_instance(path)": ([*FUNCTION, "a\0b"], lambda s, v: read_instance(v)),
    "recorded_dag(scale)": (NUMBER, lambda s, v: recorded_dag(parse_instance(TWO), v)),
    "recorded_dag(fail)": (TEXT, lambda s, v: recorded_dag(parse_instance(TWO), fail=v)),
    "parse_instance(data)": (FUNCTION, lambda s, v: parse_instance(v)),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_bad_argument_is_refused_with_what_to_give(call):
    values, function = CALLS[call]
    with VirtualSystem("test", seed=1, turn_seconds=600.0) as system:
        for value in values:
            with pytest.raises((af.DefinitionError, af.PayloadError)) as refused:
                function(system, value)
            assert ": " in str(refused.value), text_of(value)


def test_a_timeout_that_has_passed_waits_for_nothing():
    with VirtualSystem("test", seed=1) as system:
        with pytest.raises(af.AskTimeout, match="is not over"):
            system.start(waits, 1).result(timeout=-1)
        dag = af.Dag("numbers")
        dag.add(number, 1)
        assert len(system.start(dag).result(timeout=60)) == 1
