"""Commits: work of many threads and actors, in as few commits as possible. Layer 2.

Leader and followers: who finds the writer free commits its own work and that of all who wait meanwhile; the others wait
for it. A thread of its own for writes costs four times as much for one who writes alone: the hand-over is dearer than
the commit (8.0 k/s against 33.6 k/s).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from actorflow.core.future import Future, patient
from actorflow.core.log import logger
from actorflow.store.transaction import Durability, Transaction, Writer

T = TypeVar("T")

BATCH: Final = 512  # pieces of work in one commit


class Work:
    """One piece of work that waits for a commit, and the future that is set after it."""

    __slots__ = ("after", "durability", "error", "future", "run", "value")

    def __init__(self, run: Callable[[Transaction], Any], durability: Durability, future: Future[Any]) -> None:
        self.run = run
        self.durability = durability
        self.future = future
        self.value: Any = None
        self.error: Exception | None = None
        self.after: list[Callable[[], object]] = []


class Commits:
    """Runs work on the one writer, in order of arrival, each piece in a savepoint: one refusal undoes no other's."""

    def __init__(self, writer: Writer, durability: Durability) -> None:
        self.durability: Durability = durability
        self._writer = writer
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._holder = 0  # thread that has an open transaction, by `hold`

    def write(self, run: Callable[[Transaction], T], durability: Durability | None = None) -> T:
        """Do a piece of work, and return its value once it is committed. In a handler other actors run meanwhile.

        Raises:
            StoreError: the database failed, and nothing of the work is there.
            Exception: what the work raised; it is undone.
        """
        if self.is_held_here:
            return self._within(run)
        if not self._waiting and self._lock.acquire(blocking=False):
            try:
                value, after = self._alone(run, durability or self.durability)
            finally:
                self._lock.release()
                self._lead()
            call(after)
            return value
        return self.submit(run, durability).get()

    def submit(self, run: Callable[[Transaction], T], durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed. This thread may be the one that commits."""
        future: Future[T] = patient(None)  # type: ignore[arg-type]
        if self.is_held_here:
            value = self._within(run)
            self._writer.transaction.after_commit(lambda: future._settle(value, None))
            return future
        self._waiting.append(Work(run, durability or self.durability, future))
        self._lead()
        return future

    def exclusively(self, act: Callable[[Writer], T]) -> T:
        """Use the writer outside of a transaction: for checkpoints and the end."""
        with self._lock:
            value = act(self._writer)
        self._lead()
        return value

    # --- a transaction that stays open -------------------------------------------------------------------------------

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has an open transaction."""
        return self._holder == threading.get_ident()

    def hold(self, durability: Durability) -> Transaction:
        """Open a transaction that this thread ends, by `let_go`; until then all that it writes is part of it."""
        self._lock.acquire()
        try:
            self._writer.begin(durability)
        except BaseException:
            self._lock.release()
            raise
        self._holder = threading.get_ident()
        return self._writer.transaction

    def let_go(self, *, commit: bool) -> None:
        """End the transaction that this thread has opened."""
        if not self.is_held_here:
            return
        after: list[Callable[[], object]] = []
        try:
            if commit:
                self._writer.commit()
                after = self._writer.take_after_commit()
        finally:
            self._writer.rollback()  # does nothing after a commit
            self._writer.take_after_commit()
            self._holder = 0
            self._lock.release()
            self._lead()
        call(after)

    def _within(self, run: Callable[[Transaction], T]) -> T:
        """Do a piece of work as a part of the open transaction."""
        self._writer.savepoint()
        try:
            value = run(self._writer.transaction)
        except BaseException:
            self._writer.rollback_to_savepoint()
            raise
        self._writer.release()
        return value

    # --- the leader --------------------------------------------------------------------------------------------------

    def _alone(self, run: Callable[[Transaction], T], durability: Durability) -> tuple[T, list[Callable[[], object]]]:
        writer = self._writer
        try:
            writer.begin(durability)
            value = run(writer.transaction)
            writer.commit()
        except BaseException:
            writer.rollback()
            writer.take_after_commit()
            raise
        return value, writer.take_after_commit()

    def _lead(self) -> None:
        """Commit what waits, unless another thread does; looks again once the lock is free: nobody is missed."""
        while self._waiting and self._lock.acquire(blocking=False):
            batch: list[Work] = []
            try:
                while self._waiting and len(batch) < BATCH:
                    batch.append(self._waiting.popleft())
                self._commit(batch)
            except BaseException:  # Ctrl-C in the thread that leads: the others' work is not its own to drop
                self._waiting.extendleft(reversed(batch))
                self._lock.release()
                threading.Thread(target=self._lead, name="actorflow-commit").start()
                raise
            self._lock.release()
            for work in batch:
                work.future._settle(work.value, work.error)
                call(work.after)

    def _commit(self, batch: list[Work]) -> None:
        """Do the work of a batch in one transaction; each error is its own, one of the commit is everybody's."""
        writer = self._writer
        durability: Durability = "power" if any(work.durability == "power" for work in batch) else "process"
        try:
            writer.begin(durability)
            for work in batch:
                self._one(work, alone=len(batch) == 1)
            writer.commit()
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            writer.rollback()
            writer.take_after_commit()
            for work in batch:
                work.value, work.after = None, []
                work.error = work.error or error
        except BaseException:
            writer.rollback()
            writer.take_after_commit()
            for work in batch:
                work.value, work.error, work.after = None, None, []
            raise

    def _one(self, work: Work, *, alone: bool) -> None:
        writer = self._writer
        if alone:
            work.value = work.run(writer.transaction)
            work.after = writer.take_after_commit()
            return
        writer.savepoint()
        try:
            work.value = work.run(writer.transaction)
        except Exception as error:  # noqa: BLE001 - it is for who waits
            writer.rollback_to_savepoint()
            writer.take_after_commit()
            work.error = error
        else:
            writer.release()
            work.after = writer.take_after_commit()


def call(functions: list[Callable[[], object]]) -> None:
    """Call what waited for a commit; an error is logged, for the commit stands."""
    for function in functions:
        try:
            function()
        except Exception:  # noqa: BLE001 - the commit stands
            logger.exception("After a commit, %r failed", function)
