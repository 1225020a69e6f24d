"""One attempt of one task, for an owner that is no job: it runs here, on the loop and in the pool, and ends once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorflow as af
from actorflow.store.codec import decode
from actorflow.store.error_json import read_error
from actorflow.store.sqlite.connection import STATEMENTS
from actorflow.tasks import running
from actorflow.tasks.cause import Cause
from actorflow.tasks.execution import Attempt, Ending
from actorflow.tasks.running import NotBegun
from actorflow.tasks.site import TaskSite
from actorflow.testing import VirtualSystem
from tests.queues.tasks import until

KEY = f"run/paris-1/branch 2/charge/{'x' * 300}"


class Step:
    """A step of a run, whose results are rows of a table of its own."""

    may_write = True
    takes_work = False
    cause = Cause("test", None)
    spent = 0.0

    def __init__(self, *args: Any, key: str = KEY, is_mine: bool = True, attempt: int = 1) -> None:
        self.key = key
        self.attempt = self.tries = attempt
        self.args = args
        self.is_mine = is_mine
        self.reports: list[tuple[Any, Any]] = []
        self.ends: list[Ending] = []

    def __str__(self) -> str:
        return "Step charge of run paris-1,"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        return list(self.args), {}

    def report(self, done: Any, total: Any, /) -> None:
        self.reports.append((done, total))

    def settle_within(self, transaction: Any, ending: Ending, /) -> bool:
        transaction.run("test.step", {"result": ending.result})
        return self.is_mine

    def end(self, ending: Ending, /) -> None:
        self.ends.append(ending)


class StepWorker(af.Actor):
    def run(self, attempt: Attempt[Step]) -> None:
        attempt.run(self.ctx.random, self.actor_ref)


class LoopWorker(af.Actor, loop=True):
    async def run(self, attempt: Attempt[Step]) -> None:
        await attempt.run_async(self.ctx.random, self.actor_ref)


def site_in(system: Any) -> TaskSite:
    """Return the site of steps in a system, and make the tables for their results and their effects."""
    held = system.store.hold()
    held.connection.execute("create table step (result blob)")
    held.connection.execute("create table effect (what text)")
    held.commit()
    return TaskSite(system.scheduler, system.store, lambda: system.pool("cpu", workers=1), None, 1000)


@pytest.fixture
def site(monkeypatch) -> Iterator[TaskSite]:
    monkeypatch.setitem(STATEMENTS, "test.step", "insert into step (result) values (:result)")
    monkeypatch.setitem(STATEMENTS, "test.steps", "select result from step")
    monkeypatch.setitem(STATEMENTS, "test.effects", "select what from effect")
    with af.ActorSystem("runs") as system:
        made = site_in(system)
        made.system = system  # type: ignore[attr-defined]
        yield made
        made.task_files.close()


def rows(site: TaskSite, name: str) -> list[Any]:
    return [row[0] for row in site.store.read(lambda transaction: transaction.all(f"test.{name}"))]


def attempt_at(site: TaskSite, task: Any, *args: Any, retry: af.Retry | None = None, **step: Any) -> Attempt[Step]:
    return Attempt(Step(*args, **step), task, site, task.timeout, retry or task.retry)


def start(site: TaskSite, attempt: Attempt[Step], kind: type[af.Actor] = StepWorker) -> Attempt[Step]:
    """Give an attempt to a worker."""
    site.system.spawn(kind).cast(kind.run, attempt)  # type: ignore[attr-defined]
    return attempt


def end_of(attempt: Attempt[Step]) -> Ending:
    """Wait for the one end of an attempt."""
    until(lambda: attempt.owner.ends)
    (ending,) = attempt.owner.ends
    assert attempt.ending is ending
    return ending


GATE = threading.Event()
BEGUN = threading.Event()


@pytest.fixture(autouse=True)
def gates() -> Iterator[None]:
    GATE.clear()
    BEGUN.clear()
    yield
    GATE.set()


@af.task(name="steps.add")
def add(one: int, other: int) -> tuple[int, str, int]:
    return one + other, af.current().key, af.current().attempt


@af.task(name="steps.charge")
def charge(what: str, fails: bool = False, hangs: bool = False) -> str:
    with af.current().transaction() as conn:
        conn.execute("insert into effect (what) values (?)", (what,))
    if hangs:
        BEGUN.set()
        GATE.wait(30)
    if fails:
        raise OSError(what)
    return what


@af.task(name="steps.hang", timeout=5)
def hang() -> str:
    BEGUN.set()
    GATE.wait(30)
    return "late"


@af.task(name="steps.look")
def look() -> None:
    BEGUN.set()
    while not af.current().cancelled:
        time.sleep(0.001)


@af.task(name="steps.fail")
def fail(error: BaseException) -> None:
    raise error


# --- here -------------------------------------------------------------------------------------------------------------


def test_a_step_returns_its_value_and_sees_its_own_key(site):
    ending = end_of(start(site, attempt_at(site, add, 2, 3, attempt=4)))
    assert (ending.kind, decode(ending.result)) == ("completed", (5, KEY, 4))


def test_what_a_step_writes_is_committed_with_its_owners_result(site):
    attempt = start(site, attempt_at(site, charge, "book"))
    assert end_of(attempt).kind == "completed"
    assert attempt.settled
    assert rows(site, "effects") == ["book"]
    assert rows(site, "steps") == [b'"book"']


def test_a_lost_owner_undoes_what_its_step_wrote_and_its_result(site):
    attempt = start(site, attempt_at(site, charge, "twice", is_mine=False))
    end_of(attempt)
    assert not attempt.settled
    assert rows(site, "effects") == rows(site, "steps") == []


def test_what_a_failed_step_wrote_is_undone(site):
    assert end_of(start(site, attempt_at(site, charge, "pen", True))).kind == "failed"
    assert rows(site, "effects") == rows(site, "steps") == []


def test_an_error_is_tried_again_as_the_retry_says_and_logged_by_the_owners_name(site, caplog):
    retry = af.Retry(2, af.Backoff(3, jitter=0))
    again = end_of(start(site, attempt_at(site, fail, OSError("gone"), retry=retry)))
    last = end_of(start(site, attempt_at(site, fail, OSError("gone"), retry=retry, attempt=2)))
    assert (again.kind, again.pause, last.kind) == ("again", 3.0, "failed")
    assert read_error(again.error)[0] == "OSError: gone"
    assert "Step charge of run paris-1, failed, tried again in 3 s" in caplog.text
    assert "Step charge of run paris-1, failed for good" in caplog.text


# --- contained --------------------------------------------------------------------------------------------------------


class Hostile(Exception):
    """An error whose texts raise what nobody expects."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]


class Disguised(Exception):
    """An error whose class raises when it is asked for."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise SystemExit(3)


RAISED: dict[str, Callable[[], BaseException]] = {
    "str raises": lambda: Hostile(ValueError("no text")),
    "str exits": lambda: Hostile(SystemExit(3)),
    "str is interrupted": lambda: Hostile(KeyboardInterrupt()),
    "class raises": Disguised,
    "exits": lambda: SystemExit(3),
    "is interrupted": KeyboardInterrupt,
    "ends a generator": GeneratorExit,
    "any other": lambda: BaseException("of nobody"),
    "a group": lambda: BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError()]),
}


async def fail_async(error: BaseException) -> None:
    raise error


FAILS_ASYNC = af.task(name="steps.fail_async")(fail_async)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("raised", RAISED)
def test_any_error_ends_the_attempt_and_the_worker_goes_on(site, raised, is_async):
    kind: Any = LoopWorker if is_async else StepWorker
    worker = site.system.spawn(kind)
    attempt = attempt_at(site, FAILS_ASYNC if is_async else fail, RAISED[raised](), retry=af.Retry(1))
    worker.cast(kind.run, attempt)
    ending = end_of(attempt)
    assert ending.kind == "failed"
    assert read_error(ending.error)[0]
    after = attempt_at(site, sleep_async if is_async else add, *([0] if is_async else [1, 1]))
    worker.cast(kind.run, after)
    assert end_of(after).kind == "completed"


class Unstorable:
    def __repr__(self) -> str:
        raise SystemExit(3)


@af.task(name="steps.return_it")
def return_it(what: Any) -> Any:
    return what


@pytest.mark.parametrize("value", [object(), Unstorable(), {1, lambda: 0}, "x" * 2000, {"a": object}])
def test_a_result_that_cannot_be_stored_fails_the_step_and_undoes_it(site, value):
    ending = end_of(start(site, attempt_at(site, return_it, value, retry=af.Retry(9))))
    assert ending.kind == "failed"  # trying again would not help
    assert "PayloadError" in read_error(ending.error)[0]


@pytest.mark.parametrize("problem", [ValueError(), SystemExit(3), KeyboardInterrupt()])
def test_an_owner_that_cannot_take_the_end_gets_a_plain_failure(site, problem):
    class Refuses(Step):
        def end(self, ending: Ending, /) -> None:
            if ending.kind == "completed":
                raise problem
            super().end(ending)

    attempt = start(site, Attempt(Refuses(1, 2), add, site, None, add.retry))
    until(lambda: attempt.owner.ends)
    assert [ending.kind for ending in attempt.owner.ends] == ["failed"]


@pytest.mark.parametrize("problem", [ValueError(), SystemExit(3), KeyboardInterrupt()])
def test_a_rule_for_retries_that_raises_ends_the_attempt(site, problem):
    class Rule:
        within = None

        def pause(self, *_: object) -> float:
            raise problem

    assert end_of(start(site, attempt_at(site, fail, OSError(), retry=Rule()))).kind == "failed"  # type: ignore[arg-type]


@pytest.mark.parametrize("problem", [OSError("no descriptor"), MemoryError()])
def test_a_step_whose_arguments_cannot_be_read_for_now_has_not_begun(site, problem):
    class Lacks(Step):
        def arguments(self) -> Any:
            raise NotBegun from problem

    attempt = start(site, Attempt(Lacks(), add, site, None, add.retry))
    assert (end_of(attempt).kind, end_of(attempt).cause) == ("not begun", problem)


# --- ended from outside -----------------------------------------------------------------------------------------------


def test_a_plain_step_that_takes_too_long_is_given_up_and_its_late_result_refused(site):
    worker, attempt = site.system.spawn(StepWorker), attempt_at(site, hang)
    worker.cast(StepWorker.run, attempt)
    assert BEGUN.wait(30)
    assert attempt.time_out(random.Random(0))
    assert not attempt.time_out(random.Random(0))
    ending = end_of(attempt)
    assert ending.kind == "failed"
    assert "TaskTimeout: steps.hang took over 5 s" in read_error(ending.error)[0]
    GATE.set()
    after = attempt_at(site, add, 1, 1)
    worker.cast(StepWorker.run, after)
    assert end_of(after).kind == "completed"  # so the late thread is through
    assert attempt.owner.ends == [ending]


def test_a_step_given_up_in_its_transaction_leaves_nothing_behind(site):
    attempt = start(site, attempt_at(site, charge, "late", False, True))
    assert BEGUN.wait(30)
    assert attempt.give_up(TimeoutError("too long"), random.Random(0))
    assert rows(site, "effects") == []
    GATE.set()
    other = start(site, attempt_at(site, charge, "next"))
    assert end_of(other).kind == "completed"
    assert rows(site, "effects") == ["next"]
    assert len(attempt.owner.ends) == 1


def test_an_attempt_that_is_over_is_not_given_up(site):
    attempt = start(site, attempt_at(site, add, 1, 1))
    assert end_of(attempt).kind == "completed"
    assert not attempt.give_up(TimeoutError(), random.Random(0))
    assert not attempt.end_cancelled(random.Random(0))
    assert len(attempt.owner.ends) == 1


def test_a_cancelled_step_sees_it(site):
    attempt = start(site, attempt_at(site, look, retry=af.Retry(9)))
    assert BEGUN.wait(30)
    attempt.cancel()
    assert end_of(attempt).kind == "completed"  # it looked, and returned


def test_a_cancelled_step_that_does_not_look_is_left_alone(site):
    attempt = start(site, attempt_at(site, hang, retry=af.Retry(9)))
    assert BEGUN.wait(30)
    attempt.cancel()
    assert attempt.end_cancelled(random.Random(0))
    ending = end_of(attempt)
    assert ending.kind == "cancelled"
    assert "its result is refused" in read_error(ending.error)[0]
    GATE.set()  # or the end of the system waits for it


@pytest.mark.parametrize("number", range(50))
def test_of_two_ends_at_once_the_first_one_counts(site, number):
    attempt = attempt_at(site, add, 1, 1)
    together = threading.Barrier(2)
    won: list[bool] = []

    def give_up() -> None:
        together.wait(30)
        won.append(attempt.give_up(TimeoutError(), random.Random(0)))

    thread = threading.Thread(target=give_up)
    thread.start()
    together.wait(30)
    attempt.run(random.Random(0))
    thread.join(30)
    assert [ending.kind for ending in attempt.owner.ends] == ["failed" if won[0] else "completed"]


def test_a_step_given_up_before_its_thread_came_to_it_is_not_called(site):
    attempt = attempt_at(site, charge, "book")
    assert attempt.give_up(TimeoutError(), random.Random(0))
    attempt.run(random.Random(0))
    assert [ending.kind for ending in attempt.owner.ends] == ["failed"]
    assert rows(site, "effects") == []


# --- on the loop, and in virtual time ---------------------------------------------------------------------------------


@af.task(name="steps.sleep_async", timeout=30)
async def sleep_async(seconds: float) -> str:
    import asyncio

    BEGUN.set()
    await asyncio.sleep(seconds)
    return af.current().key


def test_an_async_step_runs_on_the_loop(site):
    ending = end_of(start(site, attempt_at(site, sleep_async, 0.001), LoopWorker))
    assert (ending.kind, decode(ending.result)) == ("completed", KEY)


def test_an_async_step_ends_at_its_timeout(site):
    attempt = attempt_at(site, sleep_async, 60.0)
    attempt.timeout = 0.02
    ending = end_of(start(site, attempt, LoopWorker))
    assert ending.kind == "failed"
    assert "took over 0.02 s" in read_error(ending.error)[0]


def test_an_async_step_ends_when_it_is_cancelled(site):
    attempt = start(site, attempt_at(site, sleep_async, 60.0), LoopWorker)
    assert BEGUN.wait(30)
    until(lambda: attempt.abort is not None)
    attempt.cancel()
    assert end_of(attempt).kind == "cancelled"


def test_an_async_step_cancelled_before_the_loop_came_to_it_is_not_called(site):
    attempt = attempt_at(site, sleep_async, 60.0)
    attempt.cancel()
    assert end_of(start(site, attempt, LoopWorker)).kind == "cancelled"
    assert not BEGUN.is_set()


def test_an_async_step_cancelled_before_its_turn_in_virtual_time_is_not_called():
    with VirtualSystem("runs") as system:
        attempt = attempt_at(site_in(system), sleep_async, 60.0)
        attempt.cancel()
        system.spawn(LoopWorker).cast(LoopWorker.run, attempt)
        system.sleep(1)
        assert [ending.kind for ending in attempt.owner.ends] == ["cancelled"]
    assert not BEGUN.is_set()


class Sleeper(af.Actor):
    def sleep(self) -> None:
        self.ctx.sleep(1.0)


@pytest.mark.parametrize("timeout", [10.0, 0.5])
def test_an_async_step_runs_in_virtual_time(timeout):
    @af.task(name="steps.sleep_virtually")
    async def sleep_virtually() -> str:
        await sleeper.call(Sleeper.sleep)
        return af.current().key

    with VirtualSystem("runs") as system:
        site, sleeper = site_in(system), system.spawn(Sleeper)
        attempt = attempt_at(site, sleep_virtually)
        attempt.timeout = timeout
        system.spawn(LoopWorker).cast(LoopWorker.run, attempt)
        system.sleep(5)
        (ending,) = attempt.owner.ends
        assert ending.kind == ("completed" if timeout > 1 else "failed")
        assert attempt.seconds == pytest.approx(min(timeout, 1.0), abs=0.01)


# --- in the pool ------------------------------------------------------------------------------------------------------


@af.task(name="steps.compute", cpu=True)
def compute(folder: str, waits: bool) -> tuple[str, int]:
    af.current().progress(2, 2)
    Path(folder, "begun").touch()
    while waits and not af.current().cancelled:
        time.sleep(0.001)
    return af.current().key, af.current().attempt


def test_a_cpu_step_runs_in_the_pool_under_its_key_and_says_how_far_it_is(site, tmp_path):
    attempt = start(site, attempt_at(site, compute, str(tmp_path), False, attempt=2))
    ending = end_of(attempt)
    assert (ending.kind, decode(ending.result)) == ("completed", (KEY, 2))
    attempt.look_at_files()
    assert attempt.owner.reports == [(2, 2)]
    site.task_files.clear(KEY)
    attempt.look_at_files()
    assert len(attempt.owner.reports) == 1


def test_a_cpu_step_sees_that_it_is_cancelled(site, tmp_path):
    attempt = start(site, attempt_at(site, compute, str(tmp_path), True))
    until((tmp_path / "begun").exists)
    attempt.cancel()
    assert end_of(attempt).kind == "completed"


def test_a_cpu_step_that_takes_too_long_ends_with_its_process(site, tmp_path):
    attempt = attempt_at(site, hang_in_process, str(tmp_path))
    attempt.timeout = 0.2
    ending = end_of(start(site, attempt))
    assert "TaskTimeout" in read_error(ending.error)[0]


@af.task(name="steps.hang_in_process", cpu=True)
def hang_in_process(folder: str) -> None:
    Path(folder, "begun").touch()
    time.sleep(60)


def test_a_cancelled_cpu_step_that_does_not_look_ends_with_its_process(site, tmp_path):
    attempt = start(site, attempt_at(site, hang_in_process, str(tmp_path)))
    until((tmp_path / "begun").exists)
    attempt.cancel()
    assert not attempt.end_cancelled(random.Random(0))
    assert end_of(attempt).kind == "cancelled"


def give_up_after(attempt: Attempt[Step], act: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives up a cancelled attempt once another one has returned."""

    def act_slowly(*args: Any) -> Any:
        value = act(*args)
        attempt.cancel()
        assert attempt.end_cancelled(random.Random(0))
        return value

    return act_slowly


def test_a_cpu_step_given_up_while_its_pool_started_is_not_called(site, tmp_path, monkeypatch):
    attempt = attempt_at(site, compute, str(tmp_path), False)
    monkeypatch.setattr(site, "pool", give_up_after(attempt, site.pool))
    attempt.run(random.Random(0))
    assert end_of(attempt).kind == "cancelled"
    assert not (tmp_path / "begun").exists()


def test_a_cpu_step_given_up_while_it_was_submitted_ends_with_its_process(site, tmp_path, monkeypatch):
    attempt = attempt_at(site, hang_in_process, str(tmp_path))
    monkeypatch.setattr(running, "submit", give_up_after(attempt, running.submit))
    began = time.monotonic()
    attempt.run(random.Random(0))
    assert end_of(attempt).kind == "cancelled"
    assert time.monotonic() - began < 40  # its function sleeps for 60 s


def test_a_process_that_dies_is_told_to_the_owner(site, tmp_path):
    ending = end_of(start(site, attempt_at(site, die, str(tmp_path))))
    assert ending.kind == "died"
    assert isinstance(ending.cause, af.HostDied)


@af.task(name="steps.die", cpu=True)
def die(folder: str) -> None:
    import os

    os.abort()
