"""Selection: the jobs of a queue by status, tag and task; listed, counted, cancelled, queued again.

Reads use a connection that only reads. Changes take jobs in parts, each a short transaction, so others write in
between.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.traits import check_choice, check_type
from actorflow.core.clock import SystemClock
from actorflow.errors import DefinitionError
from actorflow.queues import ledger
from actorflow.queues.aftermath import finish
from actorflow.store.transaction import NEWEST
from actorflow.tasks.options import check_text
from actorflow.tasks.task import AnyTask

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row

STATUSES: Final = ("queued", "running", "completed", "failed", "cancelled", "dead")
LIVE: Final = ("queued", "running")
REST_SECONDS: Final = 0.05  # at most, after each part
PART: Final = 100  # jobs that one transaction changes: others wait some 5 ms for it
REVIVABLE: Final = ("failed", "dead", "cancelled")


@dataclass(frozen=True, slots=True)
class Selection:
    """Jobs of a queue by status, tag and task; None takes all.

    A tag, and the statuses "running", "failed" and "dead", are found by an index. Anything else is looked for from the
    newest job on: of a million jobs that takes 80 ms if there is none.
    """

    queue: str
    status: str | None = None
    tag: str | None = None
    task: str | None = None

    @classmethod
    def of(cls, queue: str, status: str | None, tag: str | None, task: AnyTask | str | None) -> Selection:
        """Make a selection of arguments that users give, and check them.

        Raises:
            DefinitionError: it makes no sense.
        """
        if status is not None:
            check_choice("status", status, STATUSES)
        check_type("tag", tag, str | None)
        check_text("tag", tag)
        name = task.name if isinstance(task, AnyTask) else task
        check_type("task", name, str | None)
        check_text("task", name)
        return cls(queue, status, tag, name)

    def check_narrow(self, what: str, ways: str = "") -> None:
        """Refuse a selection of the whole queue; `ways` ends the error's text.

        Raises:
            DefinitionError: it is one.
        """
        if self.status is self.tag is self.task is None:
            raise DefinitionError(f"{what}: name a status, a tag or a task{ways}")

    def rows(self, store: Store, limit: int, before: int = NEWEST) -> list[Row]:
        """Return the rows of the newest jobs, of those with ids below `before`."""
        values: dict[str, Any] = {"queue": self.queue, "task": self.task, "limit": limit, "before": before}
        if self.tag is not None:
            name, values = "list_tagged", {**values, "tag": self.tag, "status": self.status}
        elif self.status == "running":
            name = "list_running"
        else:
            name = "list_failed" if self.status in ("failed", "dead") else "list"
            values["status"] = self.status
        return store.read(lambda transaction: transaction.all(f"jobs.{name}", values))

    def count(self, store: Store) -> int:
        """Return how many there are."""
        values: dict[str, Any] = {"queue": self.queue, "status": self.status, "task": self.task}
        if self.tag is not None:
            row = store.read(lambda transaction: transaction.one("jobs.count_tagged", {**values, "tag": self.tag}))
        else:
            row = store.read(lambda transaction: transaction.one("jobs.count_jobs", values))
        return 0 if row is None else int(row[0])

    def cancel(self, store: Store, told: Callable[[ledger.News, bool], object]) -> int:
        """Cancel the selected jobs, as far as they are not over; return how many.

        Args:
            told: called after each commit, with the changes made, and whether jobs that run are to end.
        """
        count = 0
        for ids in self._parts(store, LIVE):
            news = ledger.News()
            work = partial(ledger.cancel_each, ids=ids, now=store.now(), news=news)
            done, runs = store.write(work)
            count += done
            told(news, runs)
        finish(store, sys.maxsize)
        return count

    def retry(self, store: Store, limit: int) -> int:
        """Queue the jobs again that are failed, dead or cancelled; return how many. `limit`: see `ledger.revive`."""
        return sum(
            store.write(partial(ledger.revive_each, ids=ids, now=store.now(), limit=limit))
            for ids in self._parts(store, REVIVABLE)
        )

    def _parts(self, store: Store, statuses: tuple[str, ...]) -> Iterator[list[int]]:
        """Yield ids, some at a time, of jobs that have one of the statuses; such as come meanwhile are left out."""
        return in_turn(store, self._ids(store, statuses))

    def _ids(self, store: Store, statuses: tuple[str, ...]) -> Iterator[list[int]]:
        for status in statuses:
            if self.status in (None, status):
                selected = Selection(self.queue, status, self.tag, self.task)
                before = NEWEST
                while rows := selected.rows(store, PART, before):
                    before = rows[-1][0]
                    yield [row[0] for row in rows]


def in_turn(store: Store, parts: Iterator[list[int]]) -> Iterator[list[int]]:
    """Yield parts; after each of them other processes have a SQLite file for as long as that has taken.

    Its lock has no queue: a process that waits for it looks for it every few milliseconds, and found it free once in
    two seconds between the parts of a purge. Threads of this process have their turn anyway.
    """
    has_lock = store.dialect == "sqlite" and store.url != "memory:"
    for ids in parts:
        began = SystemClock.monotonic()
        yield ids
        if has_lock and not store.is_held_here:
            pause(min(SystemClock.monotonic() - began, REST_SECONDS))


def pause(seconds: float) -> None:
    """Do nothing for a moment."""
    threading.Event().wait(seconds)


def purge(store: Store, queue: str, told: Callable[[ledger.News], object]) -> int:
    """Remove all jobs of a queue that have not begun, but such as come meanwhile; return how many.

    Args:
        told: called after each commit, with its further effects.
    """
    count = 0
    for ids in in_turn(store, not_begun(store, queue)):
        is_all = False
        while not is_all:
            news = ledger.News()
            work = partial(ledger.purge, ids=ids, queue=queue, now=store.now(), news=news)
            removed, is_all = store.write(work)
            count += removed
            told(news)
    return count


def not_begun(store: Store, queue: str) -> Iterator[list[int]]:
    """Yield the jobs of a queue, some at a time, the newest first: those that wait before those that they wait for."""
    before = NEWEST
    while ids := store.read(partial(ledger.not_begun, queue=queue, before=before)):
        before = ids[-1]
        yield ids
