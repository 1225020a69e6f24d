"""Each event knows its conversation: through jobs, runs, messages, answers and timers, and what they publish."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.durable.actors import Total
from tests.events.log.services import Cashier, Noted, Ordered, service

SYSTEM: list[Any] = []


@pytest.fixture
def system(url: str) -> Iterator[VirtualSystem]:
    """A system whose store has a log, in virtual time."""
    with VirtualSystem("test", store=url) as system:
        SYSTEM[:] = [system]
        system.queue("q", workers=2)
        system.spawn(service(Cashier, "cashier"))
        yield system
    SYSTEM.clear()


def publish(text: str) -> None:
    SYSTEM[0].publish(Noted(text))


@af.task
def note(text: str) -> None:
    publish(text)


@af.task
async def note_later(text: str) -> None:
    publish(text)


@af.task(timeout=60)
def note_in_time(text: str) -> None:
    publish(text)


@af.task
def hand_on(text: str) -> None:
    SYSTEM[0].queue("q").enqueue(note.options(delay=1), text)
    SYSTEM[0].queue("q").enqueue_many(note, [(f"{text}, one of many",)])
    SYSTEM[0].start(noting, f"{text}, run")


@af.workflow
def noting(text: str) -> None:
    note(text)


@af.workflow
def family(text: str) -> None:
    note(f"{text}, step")
    note.options(queue="q").submit(f"{text}, job").get()
    noting.submit(f"{text}, child").get()
    hand_on(f"{text}, handed on")
    SYSTEM[1].cast(Teller.tell_on, f"{text}, told")
    af.gather(note_later.submit(f"{text}, async"), note_in_time.submit(f"{text}, in time")).get()


DAG = af.Dag("causes", durable=True)
DAG.add(note, "node")
DAG.add(note_in_time, "timed node")


class Teller(af.Actor, durable=True):
    """Publishes by itself, by a timer, and once another one has answered."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Total()

    def tell_on(self, text: str) -> None:
        publish(text)
        self.ctx.after(5, self.later, f"{text}, timer")
        self.ctx.pipe(SYSTEM[0].durable("echo", Echo).call(Echo.echo, f"{text}, answer"), self.later, timeout=50)
        self.ctx.pipe(SYSTEM[0].durable("echo", Echo).call(Echo.keep, 1), self.later, on_error=self.missed, timeout=5)

    def later(self, text: str) -> None:
        publish(text)

    def missed(self, error: Exception) -> None:
        publish(f"{type(error).__name__} in {self.state.n}")


class Echo(af.Actor, durable=True):
    def __init__(self) -> None:
        super().__init__()
        self.state = Total()

    def echo(self, text: str) -> str:
        return text

    def keep(self, _n: int) -> str:
        self.ctx.reply_later()
        return ""


class Opening(af.Service):
    """Begins all kinds of work for an event, durable or not."""

    @af.on(Ordered)
    def begin(self, event: Ordered) -> None:
        queue = SYSTEM[0].queue("q")
        queue.enqueue(note, "job")
        queue.enqueue(note.options(priority=3), "job with options")
        queue.enqueue_many(note, [("first of many",), ("second of many",)])
        queue.group([(note, "member")], then=ended)
        queue.enqueue(hand_on, "handed on")
        SYSTEM[0].start(family, "run")
        SYSTEM[0].start(DAG)
        SYSTEM[1].cast(Teller.tell_on, "told")


@af.task
def ended(_results: list[None]) -> None:
    publish("group")


ALL = {
    "job",
    "job with options",
    "first of many",
    "second of many",
    "member",
    "group",
    "handed on",
    "handed on, one of many",
    "handed on, run",
    "run, step",
    "run, job",
    "run, child",
    "run, handed on",
    "run, handed on, one of many",
    "run, handed on, run",
    "run, async",
    "run, in time",
    "run, told",
    "run, told, timer",
    "run, told, answer",
    "node",
    "timed node",
    "told",
    "told, timer",
    "told, answer",
    "AskTimeout in 0",
}


@pytest.mark.parametrize("durable", [True, False])
def test_all_work_that_an_event_has_begun_belongs_to_its_conversation(system, durable):
    system.spawn(af.child(Echo).options(name="echo"))
    SYSTEM.append(system.spawn(af.child(Teller).options(name="teller")))
    system.spawn(service(Opening, "opening") if durable else af.child(Opening))
    system.publish(Ordered("a", 1))
    system.sleep(100)
    log = system.event_log
    (ordered,) = log.list("test.ordered")
    noted = log.list("test.noted")
    assert {one.event.text for one in noted} == ALL
    assert {(one.correlation, one.causation) for one in noted} == {(ordered.id, ordered.id)}
    assert len(log.trace(ordered.id)) == 1 + 1 + len(noted)  # with the Paid of the cashier


def test_events_of_one_run_are_one_conversation_whoever_began_it(system):
    run = system.start(noting.options(id="n-1"), "step")
    run.result(timeout=60)
    job = system.queue("q").enqueue(note, "job")
    job.result(timeout=60)
    dag = system.start(DAG.options(id="d-1"))
    dag.result(timeout=60)
    found = {one.event.text: (one.correlation, one.causation) for one in system.event_log.list("test.noted")}
    assert found == {
        "step": ("run/n-1", None),
        "job": (f"job-{job.id}", None),
        "node": ("run/d-1", None),
        "timed node": ("run/d-1", None),
    }


def test_jobs_and_runs_of_no_event_store_nothing_of_it(tmp_path):
    path = tmp_path / "test.db"
    with VirtualSystem("test", store=f"sqlite:///{path}") as system:
        SYSTEM[:] = [system]
        system.queue("q", workers=2).enqueue(hand_on, "job").result(timeout=60)
        system.sleep(10)
    SYSTEM.clear()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        jobs = connection.execute("select task, options from af_job").fetchall()
        runs = connection.execute("select cause from af_run").fetchall()
    assert sorted(task.rpartition(".")[2] for task, _ in jobs) == ["hand_on", "note", "note"]
    assert not [options for _, options in jobs if b"cause" in (options or b"")]
    assert runs == [(None,)]


class Forgetful(af.Actor, durable=True, retry=af.Retry(1)):
    """Fails on the answer of an ask that has a timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Total()

    def begin(self) -> None:
        self.ctx.pipe(SYSTEM[0].durable("echo", Echo).call(Echo.echo, "heard"), self.hear, timeout=50)

    def hear(self, text: str) -> None:
        if not self.state.n and not SYSTEM[2:]:
            raise af.Permanent("not now")
        publish(text)


class Asking(af.Service):
    @af.on(Ordered)
    def ask(self, event: Ordered) -> None:
        SYSTEM[1].cast(Forgetful.begin)


def test_an_answer_that_was_dead_is_handled_again_and_has_its_cause(system):
    system.spawn(af.child(Echo).options(name="echo"))
    SYSTEM.append(system.spawn(af.child(Forgetful).options(name="forgetful")))
    system.spawn(service(Asking, "asking"))
    system.publish(Ordered("a", 1))
    system.sleep(100)
    (dead,) = system.dead_mail.messages()
    assert dead.message == 'hear("heard")'
    SYSTEM.append(True)
    assert system.dead_mail.retry(dead.id) == 1
    system.sleep(1)
    (ordered,) = system.event_log.list("test.ordered")
    (noted,) = system.event_log.list("test.noted")
    assert (noted.event.text, noted.causation) == ("heard", ordered.id)
