"""Promises: a store is an object that several systems share, each of them a node of its own."""

import threading
from pathlib import Path

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.core.futures import thread_wait
from actorflow.store.members import LEASE_SECONDS
from actorflow.testing import LeakCheck, VirtualSystem
from tests.durable.actors import Account
from tests.store.rows import ids


@af.task
def double(n: int) -> int:
    return 2 * n


def account(name="ann"):
    return af.child(Account).options(durable=True, name=name)


@pytest.fixture
def alone():
    """A store in memory on which nobody is yet."""
    with LeakCheck(), af.open_store() as store:
        yield store


def test_two_systems_on_one_store_are_two_nodes_and_see_each_others_jobs(store):
    with af.ActorSystem("web", store=store) as web, af.ActorSystem("worker", store=store) as worker:
        worker.queue("q", workers=1)
        assert web.queue("q").enqueue(double, 21).result(timeout=30) == 42
        assert web.store.node.id != worker.store.node.id
        assert ids(store) == {web.store.node.id, worker.store.node.id}


def test_a_durable_actor_is_reached_from_another_system_on_the_store(store):
    with af.ActorSystem("web", store=store) as web, af.ActorSystem("bank", store=store) as bank:
        bank.spawn(account())
        ann = web.durable("ann", Account)
        ann.tell("x")
        assert ann.call(Account.seen).get(timeout=30) == ["x"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_system_that_ends_leaves_the_store_to_the_others(store, first):
    systems = [af.ActorSystem(name, store=store) for name in ("a", "b")]
    for system in systems:
        system.queue("q", workers=1)
    systems[first].stop()
    left = systems[1 - first]
    assert ids(store) == {left.store.node.id}
    assert left.queue("q").enqueue(double, 4).result(timeout=30) == 8
    with pytest.raises(af.ActorDeadError, match=r"closed for this system, which has left it"):
        systems[first].store.write(lambda transaction: None)
    left.stop()
    assert ids(store) == set()


@af.task(name="tests.systems.gated")
def gated(number: int) -> int:
    GATE.wait(20)
    return number


GATE = threading.Event()


def test_a_store_is_not_closed_while_systems_are_on_it_and_their_running_jobs_complete(store):
    GATE.clear()
    with af.ActorSystem("a", store=store) as one, af.ActorSystem("b", store=store):
        job = one.queue("q", workers=1).enqueue(gated, 7)
        with pytest.raises(af.StoreInUse, match="stays open, since systems 'a', 'b' are on it: stop a system before"):
            store.close()
        with pytest.raises(af.StoreInUse, match="since system 'a' is on it"):
            one.store.close()
        GATE.set()
        assert job.result(timeout=30) == 7
        assert one.get_job(job.id).status == "completed"
    store.close()


def test_a_store_that_a_system_has_opened_for_itself_is_closed_by_that(url):
    with af.ActorSystem("a", store=url) as system:
        with pytest.raises(af.StoreInUse, match="since system 'a' is on it"):
            system.store.close()
        assert system.queue("q", workers=1).enqueue(double, 4).result(timeout=30) == 8


@pytest.mark.parametrize("kind", [af.ActorSystem, VirtualSystem])
def test_a_store_that_a_system_has_opened_for_itself_is_not_given_to_another(kind):
    with kind("a") as system, pytest.raises(af.DefinitionError, match="that of system 'a'.* af.open_store"):
        kind("b", store=system.store)


def test_the_error_of_a_block_whose_store_is_in_use_goes_on_and_the_store_stays_open(opened, caplog):
    with pytest.raises(ZeroDivisionError), opened() as store:
        system = af.ActorSystem("a", store=store)
        1 / 0
    assert "stays open, since system 'a' is on it" in caplog.text
    assert "the block has raised ZeroDivisionError" in caplog.text
    with system:
        assert system.queue("q", workers=1).enqueue(double, 4).result(timeout=30) == 8


def test_a_closed_store_is_refused_before_a_system_starts(opened):
    store = opened()
    store.close()
    for kind in (af.ActorSystem, VirtualSystem):
        with pytest.raises(af.ActorDeadError, match="is closed"):
            kind("a", store=store)


def test_a_handler_that_closes_the_store_of_its_system_is_refused(store):
    class Closer(af.Actor):
        def on_receive(self, message):
            store.close()

    with af.ActorSystem("a", store=store) as system, pytest.raises(af.StoreInUse):
        system.spawn(Closer).ask("x", timeout=30)


def test_a_store_is_closed_though_systems_are_interrupted_as_they_leave(opened):
    left = []

    class Interrupted:
        def __init__(self, node):
            self.node = node

        def close(self):
            self.node.close()
            left.append(self.node.id)
            raise KeyboardInterrupt

    store = opened()
    with af.ActorSystem("a", store=store) as one, af.ActorSystem("b", store=store) as other:
        nodes = [system.store.node for system in (one, other)]
        for system in (one, other):
            system.store.hurry()  # they are about to leave
        for system, node in zip((one, other), nodes, strict=True):
            system.store._node = Interrupted(node)
        with pytest.raises(KeyboardInterrupt):
            store.close()
        assert sorted(left) == sorted(node.id for node in nodes)
        assert store._commits._closed


def test_a_system_writes_as_its_store_was_opened_unless_it_says_so(opened):
    store = opened(durability="process")
    with af.ActorSystem("a", store=store) as one, af.ActorSystem("b", store=store, durability="power") as other:
        assert (one.store.durability, other.store.durability) == ("process", "power")


def test_a_fork_leaves_its_parents_node_alone(store, monkeypatch):
    with af.ActorSystem("a", store=store) as system:
        node = system.store.node.id
        with monkeypatch.context() as child:
            child.setattr("actorflow.store.base._forks", 1)
            system.store.close()
        assert ids(store) == {node}
        system.store._left = ""  # this was the child


def test_a_system_that_ends_does_not_wait_for_the_transaction_of_another(store, monkeypatch):
    monkeypatch.setattr("actorflow.app.stored.CLOSE_SECONDS", 0.1)
    begun, end = threading.Event(), threading.Event()

    @af.task(name="tests.systems.hold", timeout=60)
    def hold() -> bool:
        with af.current().transaction():
            begun.set()
            return end.wait(100)

    with af.ActorSystem("a", store=store) as one:
        other = af.ActorSystem("b", store=store)
        assert other.store.node.id in ids(store)
        job = one.queue("q", workers=1).enqueue(hold)
        assert begun.wait(30)
        other.stop(grace=0.1)
        end.set()
        assert job.result(timeout=30) is True  # it was held all the time


def test_a_node_is_not_made_for_a_system_that_leaves_meanwhile(store):
    with af.ActorSystem("a", store=store) as system:
        side, lock = system.store, system.store._lock

        class LeavesFirst:
            def __enter__(self):
                side._lock = lock
                side.leave("has left it")
                return lock.__enter__()

            def __exit__(self, *error):
                return lock.__exit__(*error)

        side._lock = LeavesFirst()
        with pytest.raises(af.ActorDeadError, match="has left it"):
            side.node
        assert ids(store) == set()


@pytest.mark.parametrize("start", [af.ActorSystem, af.App])
def test_a_durability_that_is_none_is_refused_before_anything_is_written(start):
    with pytest.raises(af.DefinitionError, match="durability='procces'"):
        start("shop", durability="procces")


@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        ({"url": 7}, "store='7': give"),
        ({"url": Path("shop.db")}, "shop.db.*sqlite:///"),
        ({"patience": -1}, "not negative"),
        ({"patience": "long"}, "patience='long'"),
    ],
)
def test_a_store_is_not_opened_by_arguments_that_make_no_sense(wrong, cure):
    with pytest.raises(af.DefinitionError, match=cure):
        af.open_store(**wrong)


@pytest.mark.parametrize("wrong", [None, 7, object()])
def test_a_store_that_is_neither_a_url_nor_open_is_refused(wrong):
    with pytest.raises(af.DefinitionError, match=r"store=.*open_store"):
        af.ActorSystem("shop", store=wrong)


# --- in virtual time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [(af.ActorSystem, VirtualSystem), (VirtualSystem, af.ActorSystem)])
def test_a_system_in_another_time_than_those_on_the_store_is_refused_at_its_start(alone, kinds):
    first, second = kinds
    cure = r"system 'b' is in (real|virtual) time and system 'a' on the same store, memory:, in .*give each a store"
    with first("a", store=alone) as one:
        with pytest.raises(af.DefinitionError, match=cure):
            second("b", store=alone)
        assert one.queue("q", workers=1).enqueue(double, 4).result(timeout=30) == 8
    with second("b", store=alone) as other:  # the first has left
        assert other.queue("q", workers=1).enqueue(double, 4).result(timeout=30) == 8


@pytest.mark.parametrize("kinds", [(af.ActorSystem, VirtualSystem), (VirtualSystem, af.ActorSystem)])
def test_a_system_in_another_time_than_those_on_the_file_is_refused_as_it_opens_the_file(tmp_path, kinds):
    url = f"sqlite:///{tmp_path}/shop.db"
    with LeakCheck(), kinds[0]("a", store=url) as one, kinds[1]("b", store=url) as other:
        queue = one.queue("q", workers=1)
        with pytest.raises(af.DefinitionError, match=r"system 'b' is in .* give each a store"):
            other.queue("q")
        assert queue.enqueue(double, 4).result(timeout=30) == 8


def test_what_one_virtual_system_enqueues_a_waiting_worker_of_another_runs(tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    with LeakCheck(), VirtualSystem("web", seed=1, store=url) as web, VirtualSystem("run", seed=1, store=url) as run:
        run.queue("q", workers=1)
        run.sleep(1)
        job = web.queue("q").enqueue(double, 1)
        run.sleep(1)
        assert job.status == "completed"


@pytest.mark.parametrize("first", [0, 1])
def test_virtual_systems_of_one_thread_are_used_and_ended_in_any_order(alone, first):
    systems = [VirtualSystem(name, store=alone) for name in "ab"]
    for system in systems:
        queue = system.queue(system.name, workers=1)
        ann = system.spawn(account(system.name))
        ann.tell(system.name)
        assert ann.call(Account.seen).get(timeout=100) == [system.name]
        assert queue.enqueue(double, 21).result(timeout=100) == 42
    systems[first].stop()
    left = systems[1 - first]
    assert left.queue(left.name).enqueue(double, 4).result(timeout=100) == 8
    left.stop()
    assert ids(alone) == set()
    assert threading.get_ident() not in thread_wait.DRIVERS


def test_a_virtual_system_that_is_alone_looks_for_nobody_and_ends_its_looks_when_others_have_left(alone):
    with VirtualSystem("a", store=alone) as one:
        one.queue("q", workers=1)
        one.sleep(60)
        steps = one.record()
        one.sleep(3600)
        assert (steps, one.store.is_alone) == ([], True)
        with VirtualSystem("b", store=alone) as other:
            other.queue("q", workers=1)
            one.sleep(60)
            assert (one.store.is_alone, other.store.is_alone) == (False, False)
            assert len(steps) > 50
        one.sleep(60)
        steps.clear()
        one.sleep(3600)
        assert (steps, one.store.is_alone) == ([], True)


def test_the_jobs_of_a_virtual_system_that_was_killed_are_run_by_another(alone):
    ran = []

    @af.task(name="tests.blocked")
    async def blocked() -> None:
        ran.append(af.current().attempt)
        if len(ran) == 1:
            await af.timer(1e6)

    with VirtualSystem("a", store=alone) as one:
        job = one.queue("q", workers=1).enqueue(blocked)
        one.sleep(1)
        with VirtualSystem("b", store=alone) as other:
            assert other.get_job(job.id).status == "running"
            one.store.abandon()
            other.queue("q", workers=1)
            other.sleep(LEASE_SECONDS)
            assert other.get_job(job.id).status == "completed"
            assert len(ran) == 2


def test_virtual_systems_of_one_world_see_each_others_jobs_and_actors_on_each_kind_of_store(store):
    with (
        World(seed=3) as world,
        VirtualSystem._within(world, "web", store=store) as web,
        VirtualSystem._within(world, "worker", store=store) as worker,
    ):
        worker.queue("q", workers=1)
        worker.spawn(account())
        assert web.queue("q").enqueue(double, 21).result(timeout=30) == 42
        ann = web.durable("ann", Account)
        ann.tell("x")
        assert ann.call(Account.seen).get(timeout=30) == ["x"]
    assert ids(store) == set()
