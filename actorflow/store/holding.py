"""Holding: a transaction that stays open until its thread ends it, or another thread undoes it."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from actorflow.errors import OutcomeUnknown, StoreError, StoreUnreachable
from actorflow.store.pending_writes import After, call, run_last
from actorflow.store.transaction import Durability, Transaction, Writer
from actorflow.store.turn import Turn

T = TypeVar("T")


class Holding(ABC):
    """The writer of a store, whose turn it is, and the transaction that a thread has open."""

    def __init__(self, writer: Writer) -> None:
        self.turn = Turn()
        self._writer = writer
        self.undone = writer.undone
        self.committed: Callable[[], object] | None = None  # after a commit, within the turn; must not raise
        self._is_in_doubt = False  # nobody knows whether a commit is there
        self._holder = 0  # thread that has an open transaction, by `hold`
        self._ending = threading.Lock()  # of whom it is that ends that transaction: its thread, or who gives it up
        self._abandoned: dict[int, Callable[[], object]] = {}  # threads whose transaction was undone under their hands

    @abstractmethod
    def _check_open(self) -> None:
        """Refuse work that comes after the end."""

    @abstractmethod
    def _lead(self) -> None:
        """Commit the waiting work, unless another thread does."""

    @abstractmethod
    def _lead_elsewhere(self) -> None:
        """Have another thread commit the waiting work."""

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has an open transaction."""
        return self._holder == threading.get_ident()

    def hold(self, durability: Durability) -> Transaction:
        """Open a transaction that this thread ends, by `let_go`; until then all that it writes is part of it."""
        self._check_not_abandoned()
        deadline = self._writer.deadline()
        while True:
            try:
                return self._hold(durability)
            except StoreUnreachable:
                if not self._writer.wait_until_back(deadline):
                    raise

    def _hold(self, durability: Durability) -> Transaction:
        with contextlib.ExitStack() as stack:
            self.turn.__enter__()
            stack.callback(self._lead)
            stack.callback(self.turn.release)
            self._check_open()
            stack.callback(self._writer.rollback)
            self._writer.begin(durability)
            self._holder = threading.get_ident()
            stack.pop_all()
        return self._writer.transaction

    def abandon(self, thread: int) -> bool:
        """Undo the transaction in which a thread hangs; False if it has none, or is just committing it.

        Other threads go on. Later writes of the hanging one are refused, until it leaves its transaction.
        """
        if not thread:
            return False
        with self._ending:  # a thread that leaves meanwhile, as its statement was ended, waits until this is through
            if self._holder != thread:
                return False
            self._abandoned[thread] = lambda: None
            self._holder = 0
            try:
                self._abandoned[thread] = self._writer.abandon(self._abandoned)
            finally:
                self._writer.take_after_commit()
                self._writer.take_last()
                self.turn.take_away()
        self._lead_elsewhere()  # as the caller may have no time
        return True

    def _check_not_abandoned(self) -> None:
        if self._abandoned and threading.get_ident() in self._abandoned:
            raise abandoned()

    def check_held(self) -> None:
        """See that the transaction of `hold` is still there.

        Raises:
            StoreError: the user of the connection has ended it, or it took too long.
        """
        self._check_not_abandoned()
        if not self._writer.is_open():
            msg = "the task has ended the transaction that it was given: it must not commit or roll back"
            raise StoreError(msg)

    def let_go(self, *, commit: bool) -> None:
        """End the transaction that this thread has opened.

        Raises:
            StoreError: it cannot be committed, or the user of the connection has ended it.
        """
        me = threading.get_ident()
        with self._ending:
            if me in self._abandoned:
                self._abandoned.pop(me)()
                if commit:
                    raise abandoned()
                return
            if self._holder != me:
                return
            self._holder = 0  # nobody can give it up any more
        writer = self._writer
        after: After = []
        try:
            if commit:
                self.check_held()
                writer.check()
                self._commit_writer()
                after = writer.take_after_commit()
        finally:
            writer.take_after_commit()
            writer.rollback()  # does nothing after a commit
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
            run_last(writer.take_last())
            writer.check()
        except BaseException:
            writer.take_after_commit()
            writer.take_last()
            writer.rollback_to_savepoint()
            raise
        else:
            writer.release()
            before += writer.take_after_commit()
            return value
        finally:
            for act in before:
                writer.transaction.after_commit(act)

    def _commit_writer(self) -> None:
        """Commit.

        Raises:
            OutcomeUnknown: it failed, and nobody knows whether it is there.
        """
        try:
            self._writer.commit()
        except OutcomeUnknown:
            self._is_in_doubt = True
            raise
        except StoreError as error:
            if self._writer.is_undone(error):
                raise
            self._is_in_doubt = True
            msg = f"{error}; this was in a commit: check whether its work is there before you repeat it"
            raise OutcomeUnknown(msg) from error
        if self.committed is not None:
            self.committed()


def abandoned() -> StoreError:
    """Return the error for a thread that goes on to write after its transaction was undone."""
    return StoreError("the transaction was undone: it was open for longer than its task may take")
