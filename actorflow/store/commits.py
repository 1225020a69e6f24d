"""Commits: work of many threads and actors, in as few commits as possible. Layer 2.

Leader and followers: who finds the writer free commits its own work and that of all who wait meanwhile; the others wait
for it. A thread of its own for writes costs four times as much for one who writes alone: the hand-over is dearer than
the commit (8.0 k/s against 33.6 k/s).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from actorflow.core.current import CURRENT
from actorflow.core.future import Future, patient
from actorflow.core.log import logger
from actorflow.core.outside import wait_outside
from actorflow.errors import ActorDeadError, DeadlockError, StoreError
from actorflow.store.transaction import Durability, Transaction, Writer

T = TypeVar("T")
After = list[Callable[[], object]]

BATCH: Final = 512  # pieces of work in one commit
TRIES: Final = 5  # of work that the server undoes because of other processes


class Turn:
    """A lock that refuses its holder, who would wait for itself for ever."""

    __slots__ = ("_holder", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    def check_outside(self) -> None:
        """Refuse a call from within.

        Raises:
            DeadlockError: this thread has the lock.
        """
        if self._holder == threading.get_ident():
            msg = "work on a store called the store again, for which it waits: it may use its transaction only"
            raise DeadlockError(msg)

    def acquire(self, *, blocking: bool = True, seconds: float = -1) -> bool:
        """Take it; False if another thread has it, or this one."""
        if self._holder == threading.get_ident() or not self._lock.acquire(blocking, seconds):
            return False
        self._holder = threading.get_ident()
        return True

    def release(self) -> None:
        """Give it back."""
        self._holder = 0
        self._lock.release()

    def __enter__(self) -> None:
        self.check_outside()
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Work:
    """One piece of work that waits for a commit, and the future that is set after it."""

    __slots__ = ("after", "durability", "error", "future", "run", "tries", "value")

    def __init__(self, run: Callable[[Transaction], Any], durability: Durability, future: Future[Any]) -> None:
        self.run = run
        self.durability = durability
        self.future = future
        self.value: Any = None
        self.error: Exception | None = None
        self.after: After = []
        self.tries = 1

    def reset(self) -> None:
        """Forget what came of it: it was undone."""
        self.value, self.error, self.after = None, None, []


class Commits:
    """Runs work on the one writer, in order of arrival, each piece in a savepoint: one refusal undoes no other's."""

    def __init__(self, url: str, writer: Writer, durability: Durability) -> None:
        self.durability: Durability = durability
        self.turn = Turn()
        self._url = url
        self._writer = writer
        self._waiting: deque[Work] = deque()
        self._closed = False
        self._holder = 0  # thread that has an open transaction, by `hold`

    def write(self, run: Callable[[Transaction], T], durability: Durability | None = None) -> T:
        """Do a piece of work, and return its value once it is committed. In a handler other actors run meanwhile.

        Raises:
            StoreError: the database failed, and nothing of the work is there.
            Exception: what the work raised; it is undone.
        """
        if self.is_held_here:
            return self._within(run)
        if not self._waiting and self.turn.acquire(blocking=False):
            done: tuple[T, After] | None = None
            try:
                self._check_open()
                done = self._alone(run, durability or self.durability)
            except Exception as error:
                if not self._writer.is_passing(error):
                    raise
            finally:
                self.turn.release()
                self._lead()
            if done is not None:
                value, after = done
                call(after)
                return value
        future = self.submit(run, durability)
        execution = CURRENT.get()
        if execution is not None and execution.on_loop:  # where no future is waited for; this one is short
            wait_outside(future, None)
        return future.get()

    def submit(self, run: Callable[[Transaction], T], durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed. This thread may be the one that commits."""
        future: Future[T] = patient(None)  # type: ignore[arg-type]
        if self.is_held_here:
            value = self._within(run)
            self._writer.transaction.after_commit(lambda: future._settle(value, None))
            return future
        self.turn.check_outside()
        self._waiting.append(Work(run, durability or self.durability, future))
        self._lead()
        return future

    def submit_each(
        self, runs: Iterable[Callable[[Transaction], T]], durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work in one commit, unless they are more than one takes; each has its own future and error."""
        if self.is_held_here:
            return [self.submit(run, durability) for run in runs]
        works = [Work(run, durability or self.durability, patient(None)) for run in runs]  # type: ignore[arg-type]
        self.turn.check_outside()
        self._waiting.extend(works)
        self._lead()
        return [work.future for work in works]

    def exclusively(self, act: Callable[[Writer], T]) -> T:
        """Use the writer outside of a transaction: for checkpoints, and to read in memory."""
        try:
            with self.turn:
                self._check_open()
                return act(self._writer)
        finally:
            self._lead()

    def close(self, act: Callable[[Writer], object]) -> None:
        """Commit what waits, end the writer by `act`, and refuse all that comes later."""
        done: list[list[Work]] = []
        try:
            with self.turn:
                while self._waiting and not self._closed:
                    done.append(self._commit(self._take()))
                self._closed = True
                act(self._writer)
        finally:
            for batch in done:
                settle(batch)
            self._lead()

    # --- a transaction that stays open -------------------------------------------------------------------------------

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has an open transaction."""
        return self._holder == threading.get_ident()

    def hold(self, durability: Durability) -> Transaction:
        """Open a transaction that this thread ends, by `let_go`; until then all that it writes is part of it."""
        self.turn.check_outside()
        self.turn.acquire()
        try:
            self._check_open()
            self._writer.begin(durability)
        except BaseException:
            self.turn.release()
            self._lead()
            raise
        self._holder = threading.get_ident()
        return self._writer.transaction

    def check_held(self) -> None:
        """See that the transaction of `hold` is still there.

        Raises:
            StoreError: who had the connection has ended it.
        """
        if not self._writer.is_open():
            msg = "the task has ended the transaction that it was given: it must not commit or roll back"
            raise StoreError(msg)

    def let_go(self, *, commit: bool) -> None:
        """End the transaction that this thread has opened.

        Raises:
            StoreError: it cannot be committed, or who had the connection has ended it.
        """
        if not self.is_held_here:
            return
        writer = self._writer
        after: After = []
        try:
            if commit:
                self.check_held()
                writer.check()
                writer.commit()
                after = writer.take_after_commit()
        finally:
            writer.take_after_commit()
            writer.rollback()  # does nothing after a commit
            self._holder = 0
            self.turn.release()
            self._lead()
        call(after)

    def _within(self, run: Callable[[Transaction], T]) -> T:
        """Do a piece of work as a part of the open transaction."""
        writer = self._writer
        before = writer.take_after_commit()
        writer.savepoint()
        try:
            value = run(writer.transaction)
            writer.check()
        except BaseException:
            writer.take_after_commit()
            writer.rollback_to_savepoint()
            raise
        else:
            writer.release()
            before += writer.take_after_commit()
            return value
        finally:
            for act in before:
                writer.transaction.after_commit(act)

    # --- the leader --------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            msg = f"the store {self._url} is closed"
            raise ActorDeadError(msg)

    def _alone(self, run: Callable[[Transaction], T], durability: Durability) -> tuple[T, After]:
        writer = self._writer
        try:
            writer.begin(durability)
            value = run(writer.transaction)
            writer.check()
            writer.commit()
        except BaseException:
            writer.take_after_commit()
            writer.rollback()
            raise
        return value, writer.take_after_commit()

    def _lead(self) -> None:
        """Commit what waits, unless another thread does; looks again once the lock is free: nobody is missed."""
        while self._waiting and self.turn.acquire(blocking=False):
            batch: list[Work] = []
            try:
                batch = self._take()
                done = self._commit(batch)
            except BaseException:  # Ctrl-C in the thread that leads: the others' work is not its own to drop
                self._waiting.extendleft(reversed(batch))
                self.turn.release()
                threading.Thread(target=self._lead, name="actorflow-commit").start()
                raise
            self.turn.release()
            settle(done)

    def _take(self) -> list[Work]:
        batch: list[Work] = []
        while self._waiting and len(batch) < BATCH:
            batch.append(self._waiting.popleft())
        return batch

    def _commit(self, batch: list[Work]) -> list[Work]:
        """Do the work of a batch in one transaction; each error is its own, one of the commit is everybody's.

        Returns:
            work that is over. What other processes were in the way of waits again, and nothing of it is there.
        """
        writer = self._writer
        durability: Durability = "power" if any(work.durability == "power" for work in batch) else "process"
        try:
            self._check_open()
        except ActorDeadError as error:  # it came during the close: the connection is gone, and nothing is to be undone
            for work in batch:
                work.error = error
            return batch
        try:
            writer.begin(durability)
            for work in batch:
                self._one(work, alone=len(batch) == 1)
            writer.commit()
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            writer.take_after_commit()
            writer.rollback()
            for work in batch:
                own = work.error
                work.reset()
                work.error = own or error
        except BaseException:
            writer.take_after_commit()
            writer.rollback()
            for work in batch:
                work.reset()
            raise
        again = [work for work in batch if self._is_to_be_repeated(work)]
        self._waiting.extendleft(reversed(again))
        return [work for work in batch if work not in again] if again else batch

    def _is_to_be_repeated(self, work: Work) -> bool:
        if work.error is None or work.tries == TRIES or not self._writer.is_passing(work.error):
            return False
        work.tries += 1
        work.reset()
        return True

    def _one(self, work: Work, *, alone: bool) -> None:
        writer = self._writer
        if alone:
            work.value = work.run(writer.transaction)
            writer.check()
            work.after = writer.take_after_commit()
            return
        writer.savepoint()
        try:
            work.value = work.run(writer.transaction)
            writer.check()
        except Exception as error:
            writer.take_after_commit()
            work.error = error
            if not writer.is_open():  # the database has undone the whole transaction: a full disk, a lost server
                raise
            writer.rollback_to_savepoint()
        else:
            writer.release()
            work.after = writer.take_after_commit()


def settle(batch: Iterable[Work]) -> None:
    """Tell who waits; what was to be called after the commit is called before that, so it keeps its order."""
    for work in batch:
        call(work.after)
        work.future._settle(work.value, work.error)


def call(functions: After) -> None:
    """Call what waited for a commit; an error is logged, for the commit stands."""
    for function in functions:
        try:
            function()
        except Exception:  # noqa: BLE001 - the commit stands
            logger.exception("After a commit, %r failed", function)
