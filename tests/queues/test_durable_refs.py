"""Promises: a ref of a durable actor is an argument, and a result, like any other."""

import subprocess
import sys
from typing import Any

import pytest

import actorflow as af
from tests.durable.actors import Account
from tests.durable.test_state import named


@af.task
def add(account: Any, k: int) -> int:
    return account.call(Account.add, k).get(timeout=30)


@af.task
async def add_async(account: Any, k: int) -> int:
    return await account.call(Account.add, k)


@af.task
def same(account: Any) -> Any:
    return account


ENQUEUES = """
import sys
import actorflow as af
from tests.durable.actors import Account
from tests.queues.test_durable_refs import add

with af.ActorSystem("test", store=sys.argv[1]) as system:
    system.queue("q").enqueue(add, system.durable("ann", Account), 5)
"""


@pytest.mark.parametrize("task", [add, add_async])
def test_a_job_asks_the_durable_actor_that_it_was_given(task):
    with af.ActorSystem("test") as system:
        ann = system.spawn(named(Account, "ann"))
        queue = system.queue("q", workers=1)
        assert queue.enqueue(task, ann, 2).result(timeout=30) == 2
        assert queue.enqueue(task, k=3, account=ann).result(timeout=30) == 5


def test_a_result_that_is_a_ref_works_where_it_is_got():
    with af.ActorSystem("test") as system:
        ann = system.spawn(named(Account, "ann"))
        found = system.queue("q", workers=1).enqueue(same, ann).result(timeout=30)
        assert found is ann


@pytest.mark.timeout(300)
def test_it_was_enqueued_by_a_process_that_has_ended(tmp_path):
    url = f"sqlite:///{tmp_path}/test.db"
    subprocess.run([sys.executable, "-c", ENQUEUES, url], timeout=60, check=True)
    with af.ActorSystem("test", store=url) as system:
        system.queue("q", workers=1)  # it waits for the actor, which nobody has yet
        system.spawn(named(Account, "ann"))
        assert system.get_job("1").result(timeout=30) == 5
