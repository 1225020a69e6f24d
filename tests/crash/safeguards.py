"""Safeguards of the queue, and how to switch each of them off: then the checks of the crash tests must fail.

`STORY` are those that a death shows, at one of the points of a short run; `TWO_NODES` those that take two nodes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from actorflow.queue import ledger, packing
from actorflow.queue.attempt import Attempt
from actorflow.queue.line import Line
from actorflow.queue.schedules import Schedules
from actorflow.store.postgres import connection as postgres
from actorflow.store.sqlite import connection as sqlite
from actorflow.store.sqlite.node import SqliteNode
from actorflow.store.sqlite.work import WorkNotes


def switch_off(name: str, store: Any) -> None:
    """Take a safeguard of a short run away, in this process; "" takes none."""
    if name:
        STORY[name][0](store)


# --- seen by a death -------------------------------------------------------------------------------------------------


def dependants_apart(store: Any) -> None:
    """The jobs that wait for one go on in a later transaction than the one that ends it."""
    together = ledger.after_end

    def apart(transaction: Any, *args: Any) -> None:
        transaction.after_commit(lambda: store.write(lambda later: together(later, *args)))

    ledger.after_end = apart


def told_before_commit(_store: Any) -> None:
    """Who listens hears of a result before it is committed."""
    settle_and_claim, told = Line.settle_and_claim, Line.told

    def tell_first(self: Line, done: Any, *args: Any) -> Any:
        told(self, done, ledger.News())
        return settle_and_claim(self, done, *args)

    Line.settle_and_claim = tell_first  # type: ignore[method-assign]
    Line.told = lambda *_: None  # type: ignore[method-assign, assignment]


def effect_apart(_store: Any) -> None:
    """What a task writes is committed before its result."""

    def commit(self: Attempt, outcome: Any) -> Any:
        held, self.held = self.held, None
        assert held is not None
        held.commit()
        return outcome  # the claimer writes it with the next ones

    Attempt.commit = commit  # type: ignore[method-assign]


def unique_unseen(store: Any) -> None:
    """A second job with a unique key is added like any other."""
    packing.existing = lambda *_: None
    store.write(lambda transaction: transaction.run("test.no_index"))


def schedule_apart(store: Any) -> None:
    """A schedule's row is moved on in a later transaction than the one that adds its jobs."""
    work = Schedules.work

    def apart(self: Schedules, *args: Any) -> Any:
        fire = work(self, *args)

        class Later:
            """A transaction that moves no schedule."""

            def __init__(self, transaction: Any) -> None:
                self.transaction = transaction

            def run(self, name: str, values: Any) -> int:
                if name != "schedules.fire":
                    return self.transaction.run(name, values)
                self.transaction.after_commit(lambda: store.write(lambda later: later.run(name, values)))
                return 1

            def __getattr__(self, name: str) -> Any:
                return getattr(self.transaction, name)

        return lambda transaction: fire(Later(transaction))

    Schedules.work = apart  # type: ignore[method-assign]


def nobody_buried(_store: Any) -> None:
    """Nobody takes the jobs of nodes that have died."""
    Line.bury_dead_nodes = lambda _: None  # type: ignore[method-assign, assignment]


def nothing_noted(_store: Any) -> None:
    """A process does not note what it begins."""
    WorkNotes.add = lambda *_: None  # type: ignore[method-assign, assignment]


def notes_unread(_store: Any) -> None:
    """What a dead process had noted is not looked at."""
    SqliteNode.begun = lambda *_: None  # type: ignore[method-assign, assignment]


# Name: how to switch it off; the harm that the checks must then see; where in a run, of 1, a death shows it.
STORY: dict[str, tuple[Callable[[Any], None], str, float]] = {
    "send after commit: dependants, callbacks, the group's count": (dependants_apart, "never go on", 0.25),
    "send after commit: listeners": (told_before_commit, "told twice", 0.33),
    "one transaction: effect and result": (effect_apart, "effect was recorded twice", 0.53),
    "de-duplication: unique keys": (unique_unseen, "more than one live job of a unique key", 0.87),
    "de-duplication: schedules": (schedule_apart, "schedule has not fired once", 0.07),
    "node lock: the dead are buried": (nobody_buried, "never go on", 0.5),
    "work notes: written": (nothing_noted, "ran twice", 0.82),
    "work notes: read": (notes_unread, "counts a crash, but was not begun", 0.78),
}
sqlite.STATEMENTS["test.no_index"] = "drop index if exists af_job_unique"
postgres.STATEMENTS["test.no_index"] = "drop index if exists actorflow.job_unique"


# --- seen by two nodes -----------------------------------------------------------------------------------------------

PARAMETER = r"(?::{0}|%\({0}\)s)"
OWNER = re.compile(rf"(?: and|where) owner = {PARAMETER.format('owner')}")
EPOCH = re.compile(rf" and epoch = {PARAMETER.format('epoch')}")
EPOCHS = {  # each job as if any epoch were its own
    sqlite: "select job.id, any.value from af_job as job, json_each('[1,2,3,4]') as any "
    "where job.id in (select value from json_each(:ids))",
    postgres: "select id, epochs from actorflow.job, generate_series(1, 4) as epochs "
    "where id in (select json_array_elements_text(%(ids)s::json)::bigint)",
}


def without_fence(dialect: Any, name: str) -> str:
    """Return a statement that writes whoever has the job now."""
    if name == "jobs.mine":
        return EPOCHS[dialect]
    return EPOCH.sub("", OWNER.sub("", dialect.STATEMENTS[name]))


def without_epoch(dialect: Any, name: str) -> str:
    """Return a statement that writes if the node has the job, by whichever attempt."""
    if name == "jobs.mine":
        return f"{EPOCHS[dialect]} and owner = {'%(owner)s' if dialect is postgres else ':owner'}"
    return EPOCH.sub("", dialect.STATEMENTS[name])


FENCED = ("jobs.complete", "jobs.mine", "jobs.end", "jobs.again", "jobs.give_back", "jobs.progress")
TWO_NODES: dict[str, tuple[tuple[str, ...], Callable[[Any, str], str]]] = {
    **{f"fence of {name}": ((name,), without_fence) for name in FENCED},
    **{f"epoch in {name}": ((name,), without_epoch) for name in FENCED},
    "lease": (
        ("jobs.overdue",),
        lambda dialect, name: re.sub(r" and lease < \S+", "", dialect.STATEMENTS[name]),
    ),
    "lease: it runs out": (
        ("jobs.overdue",),
        lambda dialect, name: dialect.STATEMENTS[name].replace("stage = 4", "stage = 9"),
    ),
    "heartbeat": (("jobs.beat",), lambda dialect, name: dialect.STATEMENTS[name].replace("stage = 4", "stage = 9")),
}


@contextlib.contextmanager
def without(name: str, patch: Any) -> Iterator[None]:
    """Take a safeguard of two nodes away, for both dialects."""
    statements, changed = TWO_NODES[name]
    with patch.context() as patched:
        for dialect in (sqlite, postgres):
            for statement in statements:
                text = changed(dialect, statement)
                assert text != dialect.STATEMENTS[statement]
                patched.setitem(dialect.STATEMENTS, statement, text)
        yield


def without_node_locks(patch: Any) -> None:
    """Take every other node for dead."""
    patch.setattr("actorflow.store.sqlite.node.is_free", lambda _: True)
    patch.setitem(postgres.STATEMENTS, "session.dead", "select id from actorflow.node where id <> %(id)s")
