"""Promise: random bodies, cut after each record, go on as if they had not been; no result comes to another's step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorflow as af
from tests.workflows.bodies import boom, number, number_async
from tests.workflows.journals import live, replayed

PROGRAM: list[Any] = [None]  # what the bodies do; the same for a run and its replays

LEAVES = st.one_of(
    st.tuples(st.sampled_from(["step", "step_async", "boom"]), st.integers(0, 9)),
    st.tuples(st.just("timer"), st.integers(0, 3)),
)


def over(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return trees whose children are such trees."""
    some = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.sampled_from(["row", "gather", "group", "first"]), some),
        st.tuples(st.just("within"), st.tuples(inner, st.integers(0, 4))),
    )


TREES = st.recursive(LEAVES, over, max_leaves=10)
ROWS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["call", "submit", "submit_async", "boom"]), st.integers(0, 9)),
        st.tuples(st.sampled_from(["map", "join", "sleep"]), st.integers(0, 4)),
    ),
    min_size=1,
    max_size=10,
)


async def walk(tree: Any, log: list[Any]) -> Any:
    """Do what a tree says; return its numbers, in its shape."""
    kind, arg = tree
    if kind in {"step", "step_async"}:
        log.append(arg)
        result = await (number.submit(arg) if kind == "step" else number_async(arg))
        assert result == [arg]  # not another's
        return arg
    if kind == "boom":
        try:
            await boom.submit(str(arg))
        except af.StepFailed as error:
            return [f"failed {arg}", str(arg) in str(error)]
    if kind == "timer":
        await asyncio.sleep(arg / 1000)
        return "slept"
    if kind == "row":
        return [await walk(child, log) for child in arg]
    if kind == "gather":
        return await asyncio.gather(*(walk(child, log) for child in arg))
    if kind == "group":
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(walk(child, log)) for child in arg]
        return [task.result() for task in tasks]
    if kind == "first":
        tasks = [asyncio.ensure_future(walk(child, log)) for child in arg]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return [task.result() if task in done else None for task in tasks]
    child, milliseconds = arg
    try:
        async with asyncio.timeout(milliseconds / 1000):
            return await walk(child, log)
    except TimeoutError:
        return "late"


@af.workflow(name="random.walks")
async def walks() -> list[Any]:
    """Do what the program says, and tell in which order its steps began."""
    log: list[Any] = []
    return [await walk(PROGRAM[0], log), log, await number.submit(len(log))]


@af.workflow(name="random.lines")
def lines() -> list[Any]:
    """Do what the lines of the program say."""
    out: list[Any] = []
    open_: list[tuple[int, af.Future[Any]]] = []
    for kind, n in PROGRAM[0]:
        if kind == "call":
            out.append(number(n, len(out)))
        elif kind == "boom":
            with pytest.raises(af.StepFailed, match=str(n)):
                boom(str(n))
        elif kind in {"submit", "submit_async"}:
            open_.append((n, (number if kind == "submit" else number_async).submit(n)))
        elif kind == "map":
            assert number.map(range(n), limit=2).get() == [[k] for k in range(n)]
        elif kind == "sleep":
            af.sleep(n / 1000)
        elif open_:
            expected, future = open_.pop(n % len(open_))
            assert future.get() == [expected]
        out.append([future.done() for _, future in open_])
    assert [future.get() for _, future in open_] == [[n] for n, _ in open_]
    return out


def check_cuts(workflow: Any, seed: int) -> None:
    """Check that the run goes on after each record as if it had not been cut."""
    result, records, started = live(workflow, seed)
    for cut in range(len(records) + 1):
        kept = records[:cut]

        def look(journal: list[Any], kept: list[Any] = kept) -> None:
            assert journal[: len(kept)] == kept
            assert len({(record.kind, record.identity) for record in journal}) == len(journal)

        again = replayed(workflow, kept, started, seed + 1000 + cut, look)
        if cut == len(records):
            assert again == result


EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(tree=TREES, seed=st.integers(0, 99))
def test_a_random_async_body_goes_on_after_each_record(tree, seed):
    PROGRAM[0] = tree
    check_cuts(walks, seed)


@EXAMPLES
@given(rows=ROWS, seed=st.integers(0, 99))
def test_a_random_plain_body_goes_on_after_each_record(rows, seed):
    PROGRAM[0] = rows
    check_cuts(lines, seed)
