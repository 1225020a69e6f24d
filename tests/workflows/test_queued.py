"""What a body keeps while it waits: no empty deque, no dictionary of attributes, no task of asyncio that has ended."""

import asyncio

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.workflows.body.async_body import AsyncBody
from actorflow.workflows.body.queued import EMPTY, queued
from tests.workflows.bodies import Approved


@af.workflow
async def waits_after_tasks() -> str:
    """Have many tasks of asyncio end, then wait."""
    for _ in range(20):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))
    return (await af.signal(Approved)).name


def test_a_queue_gives_its_items_in_order():
    queue = EMPTY
    for item in range(3):
        queue = queued(queue, item)
    assert [queue.popleft() for _ in range(3)] == [0, 1, 2]
    assert list(queued(queue, 3)) == [3]


def test_a_body_that_waits_keeps_nothing_that_it_does_not_need(monkeypatch):
    bodies, go_on = [], AsyncBody.go_on

    def noted(body):
        bodies.append(body)
        return go_on(body)

    monkeypatch.setattr(AsyncBody, "go_on", noted)
    with VirtualSystem() as system:
        run = system.start(waits_after_tasks)
        system.sleep(5)
        body = bodies[0]
        assert not hasattr(body, "__dict__")
        assert body.journal is body._unlaunched is EMPTY
        assert len(body.loop._tasks) < 50  # of 101
        assert body.loop.tasks() == [body.main]
        run.signal(Approved("ann"))
        assert run.result(timeout=60) == "ann"
