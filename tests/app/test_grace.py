"""Grace: one rule at the end of a system, the same for each kind of work.

New work stops; what runs may finish within the grace time; a wait that nobody can answer any more is woken; then the
rest is cut, and given back where it came from. The kinds: a supervised actor, one that was spawned directly, a job of a
queue and a task of a pool.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import actorflow as af
from actorflow.testing import LeakCheck

LIMIT = 100.0
ACTORS = ["supervised", "spawned", "async", "hosted", "below a host", "durable"]
PROCESSES = ["cpu queue", "pool"]
KINDS = [*ACTORS, "queue", "queue once", "async queue", *PROCESSES]
LOOK = 0.005


def note(path: str, name: str) -> None:
    pathlib.Path(path, name).touch()


def may_end(path: str) -> bool:
    return pathlib.Path(path, "may end").exists()


def wait_for(path: str) -> str:
    """Work: say that it has begun, and wait for word that it may end."""
    note(path, "begun")
    while not may_end(path):
        time.sleep(LOOK)
    note(path, "ended")
    return "done"


@af.task(name="tests.grace.thread")
def in_thread(path: str) -> str:
    return wait_for(path)


@af.task(name="tests.grace.process", cpu=True)
def in_process(path: str) -> str:
    return wait_for(path)


@af.task(name="tests.grace.loop")
async def in_loop(path: str) -> str:
    import asyncio

    return await asyncio.to_thread(wait_for, path)


@dataclasses.dataclass
class Empty:
    """The state of an actor that is durable for its messages only."""


class Works(af.Actor):
    """Waits in a handler, out of reach."""

    state = Empty()

    def work(self, path: str) -> str:
        return wait_for(path)


class Awaits(af.Actor):
    """Waits in a handler that is suspended."""

    async def work(self, path: str) -> str:
        answer: af.Future[str] = af.Future()
        threading.Thread(target=lambda: answer.set(wait_for(path))).start()
        return await answer


def begin(system: af.ActorSystem, kind: str, path: str) -> af.Future | af.Job:
    """Have work of a kind begin, and return its answer."""
    if kind in ACTORS:
        actor: type = Awaits if kind == "async" else Works
        recipe = af.child(actor).options(name="works", shutdown=0.01)  # which is for other ends than the system's
        if kind == "durable":
            recipe = recipe.options(durable=True)
        if kind == "hosted":
            recipe = recipe.options(host=af.Process())
        if kind in {"supervised", "below a host"}:
            top = af.child(af.Supervisor, recipe).options(name="top")
            system.spawn(top if kind == "supervised" else top.options(host=af.Process()))
            answer = system.find("/test/top/works", actor).call(actor.work, path)
        else:
            answer = system.spawn(recipe).call(actor.work, path)
    elif kind == "pool":
        answer = system.pool("cpu", workers=1).submit(wait_for, path)
    else:
        task = {"async queue": in_loop, "cpu queue": in_process}.get(kind, in_thread)
        answer = system.queue("q", workers=1).enqueue(task.options(at_most_once=kind == "queue once"), path)
    until(pathlib.Path(path, "begun").exists)
    return answer


def until(condition) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(LOOK)


def end(system: af.ActorSystem, grace: float) -> threading.Thread:
    """Begin to stop the system, and return once it drains."""
    thread = threading.Thread(target=lambda: system.stop(grace=grace))
    thread.start()
    until(lambda: system.scheduler.draining)
    return thread


def result(answer: af.Future | af.Job, store: str) -> object:
    """Return what became of the work; of a job as another process sees it."""
    if not isinstance(answer, af.Job):
        return answer.get(timeout=LIMIT)
    with af.ActorSystem("look", store=store) as system:
        return system.get_job(answer.id).result(timeout=0)


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path}/q.db"


@pytest.mark.parametrize("kind", KINDS)
def test_work_that_runs_at_the_end_may_finish_within_the_grace_time(kind, tmp_path, store):
    with LeakCheck():
        system = af.ActorSystem("test", store=store)
        answer = begin(system, kind, str(tmp_path))
        stopping = end(system, grace=LIMIT)
        (tmp_path / "may end").touch()
        stopping.join(LIMIT)
        assert not stopping.is_alive()
        assert result(answer, store) == "done"
        assert system.scheduler.abandoned == 0
        assert not system.scheduler.drain.was_cut


@pytest.mark.parametrize("kind", KINDS)
def test_work_that_runs_longer_is_cut_and_given_back(kind, tmp_path, store, caplog, request):
    caplog.set_level(logging.INFO, logger="actorflow")
    system = af.ActorSystem("test", store=store, settings=af.Settings(grace=60))
    answer = begin(system, kind, str(tmp_path))
    if kind in PROCESSES:
        request.getfixturevalue("unhurried_cut")
    start = time.monotonic()
    system.stop(grace=0.2)
    assert time.monotonic() - start < 30  # the grace of who says nothing is a minute
    assert not (tmp_path / "ended").exists()
    (tmp_path / "may end").touch()  # a thread that was abandoned ends with that
    assert system.scheduler.drain.was_cut
    if kind in PROCESSES:  # a process can be killed, so nothing is left of it
        assert system.scheduler.drain.abandoned == 0
    assert "failed for good" not in caplog.text
    if not isinstance(answer, af.Job):
        with pytest.raises((af.ActorDeadError, af.HostDied)):
            answer.get(timeout=LIMIT)
        return
    with af.ActorSystem("look", store=store) as other:
        assert other.get_job(answer.id).status == ("dead" if kind == "queue once" else "queued")
    lines = [record for record in caplog.records if f"Job {answer.id} " in record.getMessage()]
    assert [line.levelno for line in lines] == [logging.WARNING if kind == "queue once" else logging.INFO]
    if kind != "queue once":
        assert "given back" in lines[0].getMessage()


@pytest.mark.parametrize("kind", ["queue", "async queue", "cpu queue"])
def test_a_job_that_was_given_back_runs_elsewhere_and_the_attempt_does_not_count(kind, tmp_path, store):
    with af.ActorSystem("test", store=store, settings=af.Settings(grace=0.1)) as system:
        job = begin(system, kind, str(tmp_path))
    (tmp_path / "may end").touch()
    with af.ActorSystem("other", store=store) as other:
        other.queue("q", workers=1)
        assert other.get_job(job.id).result(timeout=LIMIT) == "done"


def test_workers_of_a_queue_share_that_they_block():
    """Else each of 1,000 is overtaken by itself before it counts as one, and the begin of 1,000 jobs takes seconds."""
    with af.ActorSystem("test") as system:
        system.queue("q", workers=20)
        workers = [ref for ref in system.find("/test/queue-q")._children if "worker" in ref.name]
        assert len(workers) == 20
        assert len({ref._traits for ref in workers}) == 1


def test_jobs_that_have_not_begun_are_given_back_at_once(tmp_path, store):
    system = af.ActorSystem("test", store=store)
    running = begin(system, "queue", str(tmp_path))
    waiting = system.queue("q").enqueue(in_thread, str(tmp_path))
    stopping = end(system, grace=LIMIT)
    assert not (tmp_path / "ended").exists()
    (tmp_path / "may end").touch()
    stopping.join(LIMIT)
    with af.ActorSystem("look", store=store) as other:
        assert [other.get_job(job.id).status for job in (running, waiting)] == ["completed", "queued"]


def test_a_result_is_stored_when_its_job_ends_not_when_the_system_does(tmp_path, store):
    for name in "ab":
        (tmp_path / name).mkdir()
    system = af.ActorSystem("test", store=store)
    queue = system.queue("q", workers=2)
    jobs = [queue.enqueue(in_thread, str(tmp_path / name)) for name in "ab"]
    until(lambda: all((tmp_path / name / "begun").exists() for name in "ab"))
    stopping = end(system, grace=LIMIT)
    (tmp_path / "a" / "may end").touch()
    with af.ActorSystem("look", store=store) as other:
        assert other.get_job(jobs[0].id).result(timeout=LIMIT) == "done"
        assert stopping.is_alive()
        (tmp_path / "b" / "may end").touch()
        assert other.get_job(jobs[1].id).result(timeout=LIMIT) == "done"
    stopping.join(LIMIT)


def test_a_job_may_use_actors_and_pools_while_the_system_drains(tmp_path):
    (tmp_path / "may end").touch()
    gate = threading.Event()

    class Adds(af.Actor):
        def add(self, n: int) -> int:
            return n + 1

    system = af.ActorSystem("test")
    adder = system.spawn(Adds)
    pool = system.pool("own", workers=1)
    begun = threading.Event()

    @af.task(name="tests.grace.uses")
    def uses() -> int:
        begun.set()
        gate.wait(LIMIT)
        return pool.submit(pow, 2, adder.call(Adds.add, 2).get(timeout=LIMIT)).result(timeout=LIMIT)

    job = system.queue("q", workers=1).enqueue(uses)
    assert begun.wait(LIMIT)
    outcome: list[object] = []
    waiter = threading.Thread(target=lambda: outcome.append(job.result(timeout=LIMIT)))
    waiter.start()
    stopping = end(system, grace=LIMIT)
    gate.set()
    waiter.join(LIMIT)
    stopping.join(LIMIT)
    assert outcome == [8]


@pytest.mark.parametrize("how", ["get", "pipe"])
def test_an_actor_that_is_older_than_its_pool_works_off_its_mailbox_with_it(how):
    results: list[int] = []

    class Computes(af.Actor):
        def __init__(self, system: af.ActorSystem) -> None:
            super().__init__()
            self.system = system

        def get(self, n: int) -> None:
            results.append(self.system.pool("cpu", workers=1).submit(pow, 2, n).result(timeout=LIMIT))

        def pipe(self, n: int) -> None:
            self.ctx.pipe(self.system.pool("cpu", workers=1).submit(pow, 2, n), self.got)

        def got(self, result: int) -> None:
            results.append(result)

    with af.ActorSystem("test", settings=af.Settings(grace=LIMIT)) as system:
        computes = system.spawn(Computes, system)
        first = computes.call(getattr(Computes, how), 1)
        first.get(timeout=LIMIT)  # the pool is there, younger than who uses it
        for n in range(2, 6):
            computes.cast(getattr(Computes, how), n)
        if how == "pipe":  # what is under way when the end begins is waited for
            computes.call(Computes.got, 0).get(timeout=LIMIT)
            results.remove(0)
    assert results == [2, 4, 8, 16, 32]
    assert system.dead_letters == 0


# --- waits -----------------------------------------------------------------------------------------------------------

HOPELESS = """
    import time
    import actorflow as af

    class Waits(af.Actor):
        def promise(self):
            self.kept = self.ctx.reply_later()

        def sleep(self):
            self.ctx.sleep(3600)

        async def sleep_async(self):
            await af.timer(3600)

        async def timer(self):
            await self.ctx.after(3600, self.promise)

        def future(self):
            af.Future().get()

        async def future_async(self):
            await af.Future()

        def reply(self, other):
            other.call(Waits.promise).get()

        def chain(self, other):
            other.call(Waits.sleep).get()

    @af.task
    def never():
        af.Future().get()

    def main():
        with af.ActorSystem("test", settings=af.Settings(grace=3000)) as system:
            other = system.spawn(Waits)
            {begin}
            start = time.monotonic()
        print(system.scheduler.abandoned, system.scheduler.drain.was_cut)
        assert time.monotonic() - start < 60

    if __name__ == "__main__":
        main()
"""
WAITS = {
    "sleep": "Waits.sleep",
    "async sleep": "Waits.sleep_async",
    "timer": "Waits.timer",
    "future": "Waits.future",
    "async future": "Waits.future_async",
    "reply": "Waits.reply, other",
    "chain": "Waits.chain, other",
}
SPAWNED = "ref = system.spawn(Waits); ref.cast({what})"
SUPERVISED = """system.spawn(af.child(af.Supervisor, af.child(Waits).options(name="w")).options(name="top"))
            ref = system.find("/test/top/w", Waits); ref.cast({what})"""
WAITING = """
            while ref._waiting is None: time.sleep(0.001)"""
JOB = """q = system.queue("q", workers=1); job = q.enqueue(never)
            while job.status != "running": time.sleep(0.001)"""
HOSTED = """ref = system.spawn(af.child(Waits).options(host=af.Process()))
            ref.cast(Waits.sleep); time.sleep(0)"""


def run_script(tmp_path, begin: str) -> str:
    """Run a program of its own: the threads of the tests might answer."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(HOPELESS).replace("{begin}", begin.replace("\n    ", "\n")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", [SPAWNED, SUPERVISED], ids=["spawned", "supervised"])
@pytest.mark.parametrize("what", WAITS.values(), ids=WAITS.keys())
def test_a_wait_that_nobody_can_answer_any_more_is_woken(tmp_path, what, place):
    assert run_script(tmp_path, place.format(what=what) + WAITING) == "0 False\n"


@pytest.mark.parametrize("begin", [JOB, HOSTED], ids=["job", "hosted"])
def test_a_wait_in_a_job_or_a_host_that_nobody_can_answer_is_woken(tmp_path, begin):
    assert run_script(tmp_path, begin) == "0 False\n"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_wait_that_somebody_may_still_answer_is_not_woken(kind):
    answer: af.Future[str] = af.Future()
    got: list[str] = []

    class Waits(af.Actor):
        def wait(self) -> None:
            got.append(answer.get())

        async def wait_async(self) -> None:
            got.append(await answer)

    system = af.ActorSystem("test")
    ref = system.spawn(Waits)
    ref.cast(Waits.wait if kind == "sync" else Waits.wait_async)
    until(lambda: ref._waiting is not None)
    answers = threading.Event()
    thread = threading.Thread(target=lambda: (answers.wait(LIMIT), answer.set("late")))
    thread.start()
    stopping = end(system, grace=LIMIT)
    stopping.join(0.3)  # some looks
    answers.set()
    stopping.join(LIMIT)
    thread.join()
    assert got == ["late"]


def test_a_sleep_that_ends_within_the_grace_time_is_not_woken(virtual_system):
    seen: list[float] = []

    class Sleeps(af.Actor):
        def sleep(self) -> None:
            self.ctx.sleep(50)
            seen.append(self.ctx.now())

        async def sleep_async(self) -> None:
            await af.timer(40)
            seen.append(self.ctx.now())

    virtual_system.spawn(Sleeps).cast(Sleeps.sleep)
    virtual_system.spawn(Sleeps).cast(Sleeps.sleep_async)
    virtual_system.sleep(1)
    virtual_system.stop(grace=60)
    assert len(seen) == 2
    assert virtual_system.now == 50


@pytest.mark.usefixtures("unhurried_cut")
def test_all_that_is_cut_is_woken_at_once_and_may_clean_up():
    cleaned: list[int] = []
    seen: list[int] = []

    class Tidy(af.Actor):
        def wait(self, number: int, entered: threading.Event, never: af.Future) -> None:
            entered.set()
            try:
                never.get()
            finally:
                cleaned.append(number)

    class Hangs(af.Actor):
        def hang(self, entered: threading.Event) -> None:
            entered.set()
            until(lambda: len(cleaned) == 20)
            seen.append(len(cleaned))

    over, never, events = threading.Event(), af.Future(), []
    foreign = threading.Thread(target=lambda: over.wait(LIMIT))  # might set the future, for all that is known
    foreign.start()
    with af.ActorSystem("test") as system:
        for number in range(20):
            events.append(threading.Event())
            system.spawn(Tidy).cast(Tidy.wait, number, events[-1], never)
        events.append(threading.Event())
        system.spawn(Hangs).cast(Hangs.hang, events[-1])  # the youngest: the first to be waited for
        assert all(event.wait(LIMIT) for event in events)
        system.stop(grace=0.2)
        assert sorted(cleaned) == list(range(20))
        assert seen == [20]  # it hung until then, and nobody waited for it
        assert system.scheduler.abandoned == 0
        over.set()
    foreign.join()


def test_timers_of_a_users_actor_stop_and_jobs_keep_their_timeouts(tmp_path, store):
    ticks: list[int] = []

    class Ticks(af.Actor):
        def on_start(self) -> None:
            self.ctx.every(0.001, self.tick)

        def tick(self) -> None:
            ticks.append(1)

    system = af.ActorSystem("test", store=store)
    system.spawn(Ticks)
    begun = tmp_path / "begun"
    job = system.queue("q", workers=1).enqueue(in_thread.options(timeout=0.5, retry=af.Retry(20)), str(tmp_path))
    until(begun.exists)
    stopping = end(system, grace=LIMIT)
    count = len(ticks)
    stopping.join(LIMIT)  # the timeout, and not the grace time, ends it
    (tmp_path / "may end").touch()
    assert len(ticks) <= count + 1
    with af.ActorSystem("look", store=store) as other:
        assert other.get_job(job.id).status in {"failed", "queued"}
        assert not system.scheduler.drain.was_cut
