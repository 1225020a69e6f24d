"""Jobs that a durable handler enqueues are part of its commit: there exactly if its other effects are."""

import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_state import named

DONE = []


@af.task(name="tests.durable.double")
def double(n: int) -> int:
    return 2 * n


@af.task(name="tests.durable.note")
def note(n: int) -> None:
    DONE.append(n)


class Enqueuer(Account):
    """Does what a test has it do; each call in a handler of its own."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def add(self, k):
        self.state.n += k
        return self.act(self, k)


@pytest.fixture(autouse=True)
def _nothing_done():
    DONE.clear()


def test_a_job_is_there_with_the_commit_of_the_handler_and_is_run(start):
    with start() as system:
        jobs, seen = system.queue("q", workers=1), []

        def act(actor, k):
            job = jobs.enqueue(double, k)
            seen.append((job, rows(system, "af_job"), repr(job)))

        ref = system.spawn(named(Enqueuer, "a", act))
        ref.call(Enqueuer.add, 4).get(timeout=30)
        ((job, before, text),) = seen
        assert (before, text) == (0, "<Job, not committed>")
        assert job.result(timeout=30) == 8
        assert job.info().status == "completed"
        assert repr(job) == f"<Job {job.id}>"
        assert system.get_job(job.id).result(timeout=30) == 8


def test_a_failed_handler_that_is_tried_again_leaves_one_job(start):
    with start() as system:
        jobs, tries = system.queue("q", workers=1), []

        def act(actor, k):
            jobs.enqueue(note, k)
            jobs.enqueue(note.options(delay=0.01, unique=f"note-{k}"), k + 1)
            tries.append(k)
            if len(tries) < 3:
                raise ValueError("not yet")

        ref = system.spawn(named(Enqueuer, "a", act, retry=QUICK))
        ref.cast(Enqueuer.add, 1)
        wait_for(lambda: sorted(DONE) == [1, 2])
        wait_for(lambda: jobs.count("completed") == 2)
        assert (tries, jobs.count()) == ([1, 1, 1], 2)
        assert ref.call(Enqueuer.total).get(timeout=30) == 1


def test_the_jobs_of_a_handler_that_failed_for_good_are_never_there(start):
    with start() as system:
        jobs, held = system.queue("q"), []

        def act(actor, k):
            held.append(jobs.enqueue(double, k))
            raise ValueError("no")

        ref = system.spawn(named(Enqueuer, "a", act))
        with pytest.raises(ValueError, match="no"):
            ref.call(Enqueuer.add, 1).get(timeout=30)
        assert jobs.count() == 0
        with pytest.raises(af.DefinitionError, match="part of its commit"):
            held[0].result(timeout=1)


def test_many_jobs_groups_and_jobs_behind_others_are_part_of_the_commit(start):
    with start() as system:
        jobs, other, held = system.queue("q", workers=2), system.queue("a-queue-of-a-smaller-name", workers=1), []

        def act(actor, k):
            first = jobs.enqueue(double, k)
            many = jobs.enqueue_many(double, [(1,), (2,)])
            last = other.enqueue(double.options(after=[first, *many]), 5)
            group = jobs.group([(double, 3), (double, 4)], then=total)
            held.extend([first, *many, last, *group.jobs, group.then])

        ref = system.spawn(named(Enqueuer, "a", act))
        ref.call(Enqueuer.add, 7).get(timeout=30)
        assert [job.result(timeout=30) for job in held] == [14, 2, 4, 10, 6, 8, 14]


@af.task(name="tests.durable.total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@pytest.mark.parametrize("look", ["result", "info", "cancel", "id", "status"])
def test_a_handler_cannot_look_at_a_job_that_it_has_just_enqueued(start, look):
    with start() as system:
        jobs = system.queue("q", workers=1)

        def act(actor, k):
            found = getattr(jobs.enqueue(double, k), look)
            return found(**({"timeout": 30} if look == "result" else {}))

        ref = system.spawn(named(Enqueuer, "a", act))
        with pytest.raises(af.DefinitionError, match="give it self.actor_ref"):
            ref.call(Enqueuer.add, 1).get(timeout=30)
        assert jobs.count() == 0


def test_an_async_handler_enqueues_into_its_commit(start):
    with start() as system:
        jobs, seen = system.queue("q", workers=1), []

        class Async(Account):
            async def add(self, k):
                job = await jobs.enqueue_async(double, k)
                many = await jobs.enqueue_many_async(double, [(k + 1,)])
                seen.extend([job, *many])
                await af.timer(0.001)
                assert rows(system, "af_job") == 0
                return k

            async def wait_for_it(self):
                return await jobs.enqueue(double, 1)

        ref = system.spawn(named(Async))
        assert ref.call(Async.add, 1).get(timeout=30) == 1
        assert [job.result(timeout=30) for job in seen] == [2, 4]
        with pytest.raises(af.DefinitionError, match="part of its commit"):
            ref.call(Async.wait_for_it).get(timeout=30)


def test_a_duplicate_that_is_rejected_in_the_commit_fails_the_handler(start):
    with start() as system:
        jobs = system.queue("q")
        jobs.enqueue(double.options(unique="one"), 1)

        def act(actor, k):
            jobs.enqueue(double.options(unique="one", on_duplicate="reject"), k)

        ref = system.spawn(named(Enqueuer, "a", act))
        with pytest.raises(af.DefinitionError, match="live job"):
            ref.call(Enqueuer.add, 5).get(timeout=30)
        assert ref.call(Enqueuer.total).get(timeout=30) == 0
        assert jobs.count() == 1


def test_on_start_enqueues_into_its_commit(start):
    with start() as system:
        jobs = system.queue("q", workers=1)

        class Starting(Account):
            def on_start(self):
                jobs.enqueue(note, 3)
                if self.state.n == 0:
                    self.state.n = 1

        ref = system.spawn(named(Starting))
        assert ref.call(Starting.total).get(timeout=30) == 1
        wait_for(lambda: DONE == [3])
        assert jobs.count() == 1


def test_a_queue_of_another_system_has_the_job_at_once(start):
    with start() as system, af.ActorSystem("other", store="memory:") as other:
        jobs = other.queue("q", workers=1)

        def act(actor, k):
            assert jobs.enqueue(double, k).result(timeout=30) == 2 * k
            raise ValueError("no")

        ref = system.spawn(named(Enqueuer, "a", act))
        with pytest.raises(ValueError, match="no"):
            ref.call(Enqueuer.add, 1).get(timeout=30)
        assert jobs.count() == 1


def test_an_abandoned_handler_enqueues_nothing(start):
    with start() as system:
        jobs, gate, ended = system.queue("q"), threading.Event(), threading.Event()
        began, errors = threading.Event(), []

        def act(actor, k):
            began.set()
            gate.wait(30)
            try:
                jobs.enqueue(double, k)
            except BaseException as error:
                errors.append(error)
                raise
            finally:
                ended.set()

        tree = system.spawn(af.child(af.Supervisor, named(Enqueuer, "a", act, shutdown=0.05)).options(name="tree"))
        system.find(f"{tree.path}/a").cast(Enqueuer.add, 1)
        assert began.wait(30)
        tree.stop(timeout=30)
        gate.set()
        assert ended.wait(30)
        assert jobs.count() == 0
        assert [type(error).__name__ for error in errors] == ["Stopping"]


def test_an_inline_queue_runs_the_job_at_once(start):
    with start() as system:
        jobs = system.queue("q")

        def act(actor, k):
            with jobs.inline():
                return jobs.enqueue(double, k).result(timeout=30)

        ref = system.spawn(named(Enqueuer, "a", act))
        assert ref.call(Enqueuer.add, 2).get(timeout=30) == 4


def test_virtual_handlers_enqueue_into_their_commit():
    with VirtualSystem() as system:
        jobs, held = system.queue("q", workers=1), []

        def act(actor, k):
            held.append(jobs.enqueue(double.options(delay=60), k))

        ref = system.spawn(named(Enqueuer, "a", act))
        ref.call(Enqueuer.add, 2).get()
        assert held[0].result() == 4
        assert system.now >= 60


def test_a_listener_hears_of_a_job_once_it_is_committed(start):
    with start() as system:
        jobs, heard = system.queue("q"), []
        jobs.subscribe(lambda event: heard.append((event.kind, event.job)))

        def act(actor, k):
            jobs.enqueue(double, k)
            assert heard == []

        ref = system.spawn(named(Enqueuer, "a", act))
        ref.call(Enqueuer.add, 2).get(timeout=30)
        wait_for(lambda: [kind for kind, _ in heard] == ["queued"])


@pytest.mark.parametrize("way", ["outside", "inline", "elsewhere"])
def test_no_job_comes_behind_one_that_is_not_committed(start, way):
    """It has no number; or one that it had in a commit that was undone, and that another job has by now."""
    with start() as system, af.ActorSystem("other", store="memory:") as other:
        jobs, held, errors = system.queue("q"), [], []
        others = other.queue("q")

        def act(actor, k):
            job = jobs.enqueue(double, k)
            try:
                if way == "inline":
                    with jobs.inline():
                        jobs.enqueue(double.options(after=[job]), k)
                elif way == "elsewhere":
                    others.enqueue(double.options(after=[job]), k)
            except af.DefinitionError as error:
                errors.append(str(error))
            held.append(job)
            raise ValueError("no")

        ref = system.spawn(named(Enqueuer, "a", act))
        with pytest.raises(ValueError, match="no"):
            ref.call(Enqueuer.add, 1).get(timeout=30)
        if way == "outside":
            with pytest.raises(af.DefinitionError, match="part of its commit"):
                jobs.enqueue(double.options(after=held), 1)
        else:
            assert [text for text in errors if "part of its commit" in text]
        assert jobs.count() == others.count() == 0
