"""Promises: several systems share one virtual world: its clock, its seed, and a store on which they are nodes."""

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.store.commit_batch import CommitBatch
from actorflow.store.members import LEASE_SECONDS
from actorflow.testing import LeakCheck, VirtualSystem
from tests.durable.actors import Account


class Echo(af.Actor):
    """Answers, or asks another one."""

    def __init__(self, peer=None):
        super().__init__()
        self.peer, self.beats = peer, 0

    def on_start(self):
        self.ctx.every(1, self.beat)

    def beat(self):
        self.beats += 1

    def on_receive(self, message):
        return self.peer.ask(message) if self.peer else (message, self.actor_ref.path)


@af.task(name="tests.worlds.slow")
async def slow(n: int) -> str:
    await af.timer(n)
    return af.current().key


@af.task(name="tests.worlds.double")
def double(n: int) -> int:
    return 2 * n


def account(name="ann"):
    return af.child(Account).options(durable=True, name=name)


@pytest.fixture
def shared():
    """A world, and a store on which its systems are nodes."""
    with LeakCheck(), World(seed=7) as world, af.open_store() as store:
        yield world, store


def test_actors_of_two_systems_call_each_other_in_one_time(shared):
    world, _ = shared
    with VirtualSystem._within(world, "a") as a, VirtualSystem._within(world, "b") as b:
        far = b.spawn(Echo)
        near = a.spawn(Echo, far)
        a.sleep(0.5)
        assert near.ask("hi") == ("hi", far.path)
        a.sleep(3)
        assert near.proxy().beats.get() == far.proxy().beats.get() == 3
        assert a.now == b.now == 3.5


@pytest.mark.parametrize("first", [0, 1])
def test_a_system_that_ends_leaves_the_world_to_the_others(shared, first):
    world, store = shared
    systems = [VirtualSystem._within(world, name, store=store) for name in "ab"]
    refs = [system.spawn(Echo) for system in systems]
    systems[first].stop()
    assert not refs[first].is_alive()
    with pytest.raises(af.ActorDeadError):
        refs[first].tell("late")
    left = systems[1 - first]
    left.sleep(2)
    assert refs[1 - first].ask("x") == ("x", refs[1 - first].path)
    left.stop()


def test_a_job_that_one_system_enqueues_runs_in_another_and_is_waited_for_in_the_first(shared):
    world, store = shared
    with (
        VirtualSystem._within(world, "web", store=store) as web,
        VirtualSystem._within(world, "run", store=store) as run,
    ):
        run.queue("q", workers=1)
        assert web.queue("q").enqueue(double, 21).result(timeout=5) == 42
        assert web.now < 1


def test_the_job_and_the_actor_of_a_killed_system_are_taken_over(shared):
    world, store = shared
    a = VirtualSystem._within(world, "a", store=store)
    b = VirtualSystem._within(world, "b", store=store)
    try:
        job = b.queue("q", workers=1).enqueue(slow, 50)
        ann = b.spawn(account())
        ann.call(Account.on_receive, "x").get()
        a.sleep(1)
        assert job.status == "running"
        heir = a.spawn(account())
        waiting = heir.call(Account.seen)
        b._kill()
        a.queue("q", workers=1)
        assert waiting.get(timeout=LEASE_SECONDS) == ["x"]
        assert a.get_job(job.id).result(timeout=LEASE_SECONDS + 60) == f"job-{job.id}"
        assert a.now < LEASE_SECONDS + 60
    finally:
        b.stop()
        a.stop()


class Diary(af.Actor):
    """Writes down what happens to it."""

    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def on_start(self):
        self.ctx.every(1, self.on_receive, "tick")

    def on_receive(self, message):
        self.lines.append(message)

    def on_stop(self):
        self.lines.append("stop")


class Sleeper(af.Actor, blocking=True):
    """Sleeps for long, in a thread of its own."""

    def on_receive(self, message):
        self.ctx.sleep(1000)


def test_nothing_of_a_killed_system_runs_any_more(shared):
    world, _ = shared
    with VirtualSystem._within(world, "a") as a:
        b = VirtualSystem._within(world, "b")
        lines: list[str] = []
        diary, sleeper = b.spawn(Diary, lines), b.spawn(Sleeper)
        sleeper.tell("x")
        a.sleep(2.5)
        diary.tell("late")
        b._kill()
        a.sleep(3)
        assert lines == ["tick", "tick"]
        with pytest.raises(af.ActorDeadError):
            diary.ask("x", timeout=5)
        b.stop()
        assert lines == ["tick", "tick"]


def test_a_system_is_alone_again_once_it_has_buried_the_others(shared):
    world, store = shared
    with VirtualSystem._within(world, "a", store=store) as a:
        b = VirtualSystem._within(world, "b", store=store)
        for system in (a, b):
            system.queue("q", workers=1)
        a.sleep(5)
        assert not a.store.is_alone
        b._kill()
        a.sleep(LEASE_SECONDS)
        assert a.store.is_alone
        world.trace = []
        a.sleep(3600)
        assert world.trace == []


def test_the_work_of_a_system_that_beats_no_more_is_taken_over_after_its_lease(shared):
    world, store = shared
    with VirtualSystem._within(world, "a", store=store) as a:
        b = VirtualSystem._within(world, "b", store=store)
        job = b.queue("q", workers=1).enqueue(slow, 5)
        b.spawn(account()).call(Account.on_receive, "x").get()
        a.sleep(1)
        b.scheduler.kill()  # it keeps its lock, as a process that hangs does
        a.queue("q", workers=1)
        heir = a.spawn(account())
        with pytest.raises(af.AskTimeout):
            heir.call(Account.seen).get(timeout=LEASE_SECONDS - 10)
        assert heir.call(Account.seen).get(timeout=LEASE_SECONDS) == ["x"]
        assert a.get_job(job.id).result(timeout=2 * LEASE_SECONDS) == f"job-{job.id}"
        b._kill()


def test_a_system_that_was_alone_for_long_keeps_its_job_and_its_actor_when_another_joins(shared):
    world, store = shared
    with VirtualSystem._within(world, "a", store=store) as a:
        job = a.queue("q", workers=1).enqueue(slow, 1000)
        mine = a.spawn(account())
        mine.call(Account.on_receive, "x").get()
        a.sleep(20 * LEASE_SECONDS)
        assert a.store.is_alone
        with VirtualSystem._within(world, "b", store=store) as b:
            b.queue("q", workers=1)
            b.spawn(account())
            b.sleep(5 * LEASE_SECONDS)
            assert [actor.node for actor in b.stored_actors.list()] == [a.store.node.id]
            assert b.get_job(job.id).info().attempt == 1
            assert job.result(timeout=1000) == f"job-{job.id}"


@af.task(name="tests.worlds.once")
async def once() -> None:
    await af.timer(1000)


def test_a_job_that_may_run_once_is_not_run_again_though_its_system_was_alone_when_it_began(shared):
    world, store = shared
    a = VirtualSystem._within(world, "a", store=store)
    job = a.queue("q", workers=1).enqueue(once.options(at_most_once=True))
    a.sleep(1)
    with VirtualSystem._within(world, "b", store=store) as b:
        b.queue("q", workers=1)
        b.sleep(1)
        a._kill()
        b.sleep(2 * LEASE_SECONDS)
        assert (b.get_job(job.id).status, b.get_job(job.id).info().attempt) == ("dead", 1)


def steps_of(seed):
    """Return the steps of a run in which a system is killed in the middle of its jobs."""
    with World(seed=seed) as world, af.open_store() as store:
        world.trace = []
        with VirtualSystem._within(world, "a", store=store) as a:
            b = VirtualSystem._within(world, "b", store=store)
            for system in (a, b):
                system.queue("q", workers=2)
            jobs = [a.queue("q").enqueue(slow, n) for n in range(8)]
            a.sleep(3)
            b._kill()
            for job in jobs:
                job.result(timeout=200)
        return [(at, path) for at, path, _ in world.trace]


def test_a_seeded_run_of_two_systems_with_a_kill_is_repeatable():
    assert steps_of(3) == steps_of(3)
    assert steps_of(3) != steps_of(4)


def test_systems_of_a_world_that_commit_at_the_same_instant_do_not_wait_for_each_other(shared, monkeypatch):
    """Each looked whether anybody was left to run, saw the other's look, and looked again: for ever, in no time."""
    world, store = shared
    looks, look = [], CommitBatch.look

    def counted(batch):
        looks.append(batch)
        if len(looks) > 10_000:
            raise AssertionError("it looks for ever")
        look(batch)

    monkeypatch.setattr(CommitBatch, "look", counted)
    systems = [VirtualSystem._within(world, name, store=store) for name in "abc"]
    refs = [system.spawn(account(name)) for system, name in zip(systems, ("ann", "bob", "cid"), strict=True)]
    for n in range(1, 6):
        answers = [ref.call(Account.add, 1) for ref in refs]
        assert [answer.get() for answer in answers] == [n] * 3
    for system in systems:
        system.stop()
