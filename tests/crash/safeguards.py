"""Safeguards of the queue, and how to switch each of them off: then the checks of the crash tests must fail.

`STORY` are those that a death shows, at one of the points of a short run; `TWO_NODES` those that take two nodes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from actorflow.queues import ledger, packing
from actorflow.queues.ledger import endings
from actorflow.queues.node.announcer import Announcer
from actorflow.queues.node.job_store import JobStore
from actorflow.queues.schedules import Firing
from actorflow.store.members import Members
from actorflow.store.postgres import connection as postgres
from actorflow.store.sqlite import connection as sqlite
from actorflow.store.sqlite.node import SqliteNode
from actorflow.store.sqlite.work_notes import WorkNotes
from actorflow.tasks.execution import Attempt
from tests.crash.points import Points

Harm = Callable[[], object]


def switch_off(name: str, store: Any, points: Points) -> None:
    """Take a safeguard of a short run away, in this process; "" takes none. A death at "harm" does harm then."""
    if name:
        STORY[name][0](store, lambda: points("harm"))


# --- seen by a death -------------------------------------------------------------------------------------------------


def dependants_apart(store: Any, harm: Harm) -> None:
    """The jobs that wait for one go on in a later transaction than the one that ends it."""
    together = endings.spread

    def apart(transaction: Any, ended: list[tuple[int, str]], *others: Any) -> None:
        if any(status == "completed" for _, status in ended):
            transaction.after_commit(harm)
        transaction.after_commit(lambda: store.write(lambda later: together(later, ended, *others)))

    endings.spread = apart


def told_before_commit(_store: Any, harm: Harm) -> None:
    """Who listens hears of a result before it is committed."""
    settle_and_claim, announce = JobStore.settle_and_claim, Announcer.announce

    def tell_first(self: JobStore, done: Any, *args: Any) -> Any:
        announce(self.local.announcer, done, ledger.News())
        if any(outcome.status == "completed" for outcome in done):
            harm()
        return settle_and_claim(self, done, *args)

    JobStore.settle_and_claim = tell_first  # type: ignore[method-assign]
    Announcer.announce = lambda *_: None  # type: ignore[method-assign, assignment]


def effect_apart(_store: Any, harm: Harm) -> None:
    """What a task writes is committed before its result."""

    def commit(self: Attempt[Any], held: Any, _ending: Any) -> None:
        self.held = None
        held.commit()
        harm()  # the claimer writes the result with the next ones

    Attempt._commit = commit  # type: ignore[method-assign]


def unique_unseen(store: Any, _harm: Harm) -> None:
    """A second job with a unique key is added like any other."""
    packing.existing = lambda *_: (None, None)
    store.write(lambda transaction: transaction.run("test.no_index"))


def schedule_apart(store: Any, harm: Harm) -> None:
    """A schedule's row is moved on in a later transaction than the one that adds its jobs."""
    fire = Firing.fire

    def apart(self: Firing, transaction: Any) -> Any:
        class Later:
            """A transaction that moves no schedule."""

            def __init__(self, transaction: Any) -> None:
                self.transaction = transaction

            def run(self, name: str, values: Any) -> int:
                if name != "schedules.fire":
                    return self.transaction.run(name, values)
                self.transaction.after_commit(harm)
                self.transaction.after_commit(lambda: store.write(lambda later: later.run(name, values)))
                return 1

            def __getattr__(self, name: str) -> Any:
                return getattr(self.transaction, name)

        return fire(self, Later(transaction))  # type: ignore[arg-type]

    Firing.fire = apart  # type: ignore[method-assign]


def nobody_buried(_store: Any, _harm: Harm) -> None:
    """Nobody takes the jobs of nodes that have died."""
    Members.bury_dead = lambda _: None  # type: ignore[method-assign, assignment]


def nothing_noted(_store: Any, _harm: Harm) -> None:
    """A process does not note what it begins."""
    add = WorkNotes.add

    def forget(self: WorkNotes, number: int) -> None:
        add(self, number)
        self.remove(number)

    WorkNotes.add = forget  # type: ignore[method-assign]


def notes_unread(_store: Any, _harm: Harm) -> None:
    """What a dead process had noted is not looked at."""
    SqliteNode.begun = lambda *_: None  # type: ignore[method-assign, assignment]


# Name: how to switch it off; at which point a death does harm then; the harm that the checks must see.
STORY: dict[str, tuple[Callable[[Any, Harm], None], str, str]] = {
    "send after commit: dependants, callbacks, the group's count": (dependants_apart, "harm", "never go on"),
    "send after commit: listeners": (told_before_commit, "harm", "told twice"),
    "one transaction: effect and result": (effect_apart, "harm", "effect was recorded twice"),
    "de-duplication: unique keys": (unique_unseen, "unsure: unique", "more than one live job of a unique key"),
    "de-duplication: schedules": (schedule_apart, "harm", "schedule has not fired once"),
    "node lock: the dead are buried": (nobody_buried, "note: add", "never go on"),
    "work notes: written": (nothing_noted, "ran once", "ran twice"),
    "work notes: read": (notes_unread, "note: add", "counts a crash, but was not begun"),
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
    patch.setattr("actorflow.store.sqlite.node.is_free", lambda *_, **_more: True)
    patch.setitem(postgres.STATEMENTS, "session.dead", "select id from actorflow.node where id <> %(id)s")
