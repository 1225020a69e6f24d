"""Group commit: work of many threads and actors, in as few commits as possible.

Leader and followers: the thread that finds the writer free commits its own work and that of all others that wait
meanwhile; these wait for it. A dedicated thread for writes costs four times as much when one thread writes alone: the
hand-over is dearer than the commit (8.0 k/s against 33.6 k/s).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, TypeVar

from actorflow.core.futures.future import Future, patient
from actorflow.errors import ActorDeadError, AskTimeout, StoreError, StoreUnreachable
from actorflow.store.commit_delay import CommitDelay
from actorflow.store.holding import Holding
from actorflow.store.pending_writes import After, PendingWrite, call, kind_of, run_last, settle, wait_for
from actorflow.store.transaction import Durability, Transaction, Writer
from actorflow.store.turn import TURN_SECONDS

T = TypeVar("T")

BATCH: Final = 512  # pieces of work in one commit
TRIES: Final = 5  # of work that the server undoes because of other processes
LOOK_SECONDS: Final = 1.0  # between two looks whether to wait on


class Commits(Holding):
    """Runs work on the one writer, in order of arrival, each piece in a savepoint: one refusal undoes no other's."""

    def __init__(
        self, url: str, writer: Writer, durability: Durability, doubted: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(writer)
        self.durability: Durability = durability
        self._doubted = doubted  # called after a commit of which nobody knows whether it is there
        self._url = url
        self._waiting: deque[PendingWrite] = deque()
        self._delay = CommitDelay()
        self._closed = False

    def write(self, run: Callable[[Transaction], T], durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work, and return its value once it is committed. In a handler other actors run meanwhile.

        Raises:
            StoreError: the database failed, and nothing of the work is there.
            OutcomeUnknown: the database failed, and nobody knows whether it is there.
            Exception: the error of the work, which is undone.
        """
        if self._holder or self._abandoned:
            self._check_not_abandoned()
            if self.is_held_here:
                return self._within(run)
        deadline = self._writer.deadline()
        while True:
            try:
                return self._once(run, durability or self.durability, order, deadline)
            except StoreUnreachable:  # nothing was done, so it can be done again
                if not self._writer.wait_until_back(deadline):
                    raise

    def _once(self, run: Callable[[Transaction], T], durability: Durability, order: str, deadline: float) -> T:
        if not (self._waiting or self._delay.expected):
            done: tuple[T, After] | None = None
            try:
                if self.turn.acquire(blocking=False):
                    if self._closed:
                        self._check_open()
                    done = self._alone(run, durability)
                    self.turn.release()
            except BaseException as error:  # a signal's handler may have raised it, anywhere
                try:  # noqa: SIM105 - see `core.atomic`
                    self.turn.release()
                except RuntimeError:
                    pass
                if not isinstance(error, Exception):
                    self._lead_elsewhere()
                    raise
                self._lead()
                if not self._writer.is_passing(error):
                    raise
            if done is not None:
                if self._waiting or self._is_in_doubt:
                    self._lead()
                value, after = done
                if after:
                    call(after)
                return value
        work = self._add(run, durability, order, is_awaited=True)
        return self._result(work, deadline)  # type: ignore[no-any-return]

    def _result(self, work: PendingWrite, deadline: float) -> Any:
        """Wait for a piece of work that another thread does, as long as it may take.

        Raises:
            StoreError: it did not begin in time.
        """
        waited = 0.0
        while not work.future._done:
            try:
                return wait_for(work.future, LOOK_SECONDS)
            except AskTimeout:
                if work.future._done:
                    break
                self._lead()  # should the thread that was to do so have been interrupted
            waited += LOOK_SECONDS
            is_past = self._writer.is_past(deadline)
            if is_past or (self._holder and waited >= TURN_SECONDS):
                try:
                    self._waiting.remove(work)
                except ValueError:
                    continue  # it has begun
                if is_past:
                    msg = f"{self._url}: the store is lost; this work did not begin in time"
                    raise StoreUnreachable(msg)
                msg = f"{self._url}: another thread of this process has the store; this work did not begin in time"
                raise StoreError(msg)
        return work.future.get()

    def submit(self, run: Callable[[Transaction], T], durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed. This thread may be the one that commits."""
        self._check_not_abandoned()
        if self.is_held_here:
            future: Future[T] = patient(None)  # type: ignore[arg-type]
            value = self._within(run)
            self._writer.transaction.after_commit(lambda: future._settle(value, None))
            return future
        return self._add(run, durability or self.durability, "", is_awaited=False).future

    def _add(
        self, run: Callable[[Transaction], Any], durability: Durability, order: str, *, is_awaited: bool
    ) -> PendingWrite:
        self.turn.check_outside()
        work = PendingWrite(run, durability, patient(None), order, is_awaited=is_awaited)  # type: ignore[arg-type]
        self._waiting.append(work)
        if self._delay.expected and is_awaited:
            self._delay.arrive(len(self._waiting))
        self._lead()
        return work

    def submit_each(
        self, runs: Iterable[Callable[[Transaction], T]], durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work in one commit, unless they are more than one takes; each has its own future and error."""
        if self.is_held_here:
            return [self.submit(run, durability) for run in runs]
        works = [PendingWrite(run, durability or self.durability, patient(None)) for run in runs]  # type: ignore[arg-type]
        self.turn.check_outside()
        self._waiting.extend(works)
        self._lead()
        return [work.future for work in works]

    def exclusively(self, act: Callable[[Writer], T]) -> T:
        """Use the writer outside of a transaction: for checkpoints, and to read in memory."""

        def section() -> T:
            self._check_open()
            return act(self._writer)

        try:
            return self.turn.within(section)
        finally:
            self._lead()

    def close(self, act: Callable[[Writer], object]) -> None:
        """Commit the waiting work, end the writer by `act`, and refuse all later work.

        A task that still has its transaction open hangs in it, since the system has ended: the transaction is undone.
        """
        done: list[list[PendingWrite]] = []
        self.abandon(self._holder)
        try:
            with self.turn:
                while self._waiting and not self._closed:
                    done.append(self._commit(self._take([])))
                self._closed = True
                act(self._writer)
        finally:
            for batch in done:
                settle(batch)
            self._lead()

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
            lasts = writer.take_last()
            if lasts:
                run_last(lasts)
            writer.check()
            self._commit_writer()
            after = writer.take_after_commit()
        except BaseException:
            self._undo()
            raise
        return value, after

    def _undo(self) -> None:
        writer = self._writer
        writer.take_after_commit()
        writer.take_last()
        writer.rollback()

    def _lead(self) -> None:
        """Commit the waiting work, unless another thread does; look again once the lock is free, so none is missed."""
        self._tell_of_doubt()
        while self._waiting and not self.turn.is_mine:
            batch: list[PendingWrite] = []
            try:
                if not self.turn.acquire(blocking=False):
                    return
                if self._delay.expected:
                    self._delay.wait(self._waiting)
                self._take(batch)
                done = self._commit(batch)
                self._delay.tell(done, len(self._waiting))
                self.turn.release()
                settle(done)
            except BaseException:  # Ctrl-C in the thread that leads: the others' work is not its own to drop
                try:
                    self._hand_over(batch)
                except BaseException:  # a second time
                    self._hand_over(batch)
                    raise
                raise
            self._tell_of_doubt()

    def _tell_of_doubt(self) -> None:
        """Have all listeners of commits look: there may be a commit of which none was told."""
        if self._is_in_doubt:
            self._is_in_doubt = False
            self._doubted()

    def _hand_over(self, batch: list[PendingWrite]) -> None:
        """Leave a batch in which this thread was interrupted: its committed work is told of that, the rest waits."""
        if self.turn.is_mine:
            waiting = set(map(id, list(self._waiting)))
            again = [work for work in batch if not work.is_over and id(work) not in waiting]
            self._waiting.extendleft(reversed(again))
            self.turn.release()
        self._lead_elsewhere()
        settle(work for work in batch if work.is_over)

    def _lead_elsewhere(self) -> None:
        """Have another thread commit the waiting work."""
        if self._waiting:
            threading.Thread(target=self._lead, name="actorflow-commit").start()

    def _take(self, batch: list[PendingWrite]) -> list[PendingWrite]:
        batch.extend(islice(self._waiting, BATCH))  # as one step, so that none is in neither
        for _ in batch:
            self._waiting.popleft()
        return batch

    def _commit(self, batch: list[PendingWrite]) -> list[PendingWrite]:
        """Do the work of a batch in one transaction; each error is its own, one of the commit is everybody's.

        Returns:
            the work that is over. Work that clashed with other processes waits again, and nothing of it is there.
        """
        writer = self._writer
        durability: Durability = "power" if any(work.durability == "power" for work in batch) else "process"
        try:
            self._check_open()
        except ActorDeadError as error:  # it came during the close: the connection is gone, and nothing is to be undone
            for work in batch:
                work.error = error
            return batch
        if any(work.order for work in batch):  # what locks the same for long: in all processes in one order
            batch = sorted(batch, key=lambda work: work.order)
        has_begun = False
        try:
            writer.begin(durability)
            has_begun = True
            for work in self._write_together(batch) if len(batch) > 1 else batch:
                self._one(work, alone=len(batch) == 1)
            refused = self._run_last(batch)
            if not refused:
                self._delay.measure(self._commit_writer)
                for work in batch:
                    work.is_over = True
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            self._undo()
            for work in batch:
                own = work.error
                work.reset()
                work.error = own or error
        except BaseException:
            is_committed = has_begun and not writer.is_open()
            self._undo()
            for work in batch:
                work.is_over = is_committed
                if not is_committed:
                    work.reset()
            raise
        else:
            if refused:
                return self._without_failed(batch)
        return self._over(batch)

    def _over(self, batch: list[PendingWrite]) -> list[PendingWrite]:
        """Have work wait again that other processes were in the way of, and return the rest."""
        again = [work for work in batch if self._is_to_be_repeated(work)]
        self._waiting.extendleft(reversed(again))
        return [work for work in batch if work not in again] if again else batch

    def _run_last(self, batch: list[PendingWrite]) -> bool:
        """Run the last statements of all work, in the order of their keys; True if those of one have failed."""
        writer = self._writer
        lasts = [(key, act, work) for work in batch if work.error is None for key, act in work.last]
        for _, act, work in sorted(lasts, key=lambda one: one[0]):
            try:
                act()
                writer.check()
            except Exception as error:  # noqa: BLE001 - it is the work's
                work.error = error
                return True
            work.after += writer.take_after_commit()
        return False

    def _without_failed(self, batch: list[PendingWrite]) -> list[PendingWrite]:
        """Roll back all, and do the rest again: work that failed in its last statements has no savepoint any more."""
        self._undo()
        failed = [work for work in batch if work.error is not None]
        rest = [work for work in batch if work.error is None]
        for work in rest:
            work.reset()
        return self._over(failed) + (self._commit(rest) if rest else [])

    def _is_to_be_repeated(self, work: PendingWrite) -> bool:
        if work.error is None or work.tries == TRIES or not self._writer.is_passing(work.error):
            return False
        work.tries += 1
        work.reset()
        return True

    def _write_together(self, batch: list[PendingWrite]) -> list[PendingWrite]:
        """Write the work of each kind that takes fewer statements together; return the work that is left to do.

        Each statement lets go of Python's lock: the thread that commits for eight plain runs had 24 of them, and waited
        for the others after each.
        """
        kinds: dict[type, list[PendingWrite]] = {}
        for work in batch:
            kind = kind_of(work.run)
            if kind is not None:
                kinds.setdefault(kind, []).append(work)
        done: set[int] = set()
        for kind, of_kind in kinds.items():
            if len(of_kind) > 1 and self._all_of(kind, of_kind):
                done.update(map(id, of_kind))
        return [work for work in batch if id(work) not in done] if done else batch

    def _all_of(self, kind: Any, works: list[PendingWrite]) -> bool:
        """Write work of one kind; False if one of them is refused, and nothing of them is there."""
        writer = self._writer
        writer.savepoint()
        try:
            kind.write_all([work.run.__self__ for work in works], writer.transaction)  # type: ignore[attr-defined]
            writer.check()
        except Exception:
            writer.take_after_commit()
            writer.take_last()
            if not writer.is_open():
                raise
            writer.rollback_to_savepoint()
            return False
        writer.release()
        self._keep(works[0])
        return True

    def _one(self, work: PendingWrite, *, alone: bool) -> None:
        writer = self._writer
        if alone:
            work.value = work.run(writer.transaction)
            writer.check()
            self._keep(work)
            return
        writer.savepoint()
        try:
            work.value = work.run(writer.transaction)
            writer.check()
        except Exception as error:
            writer.take_after_commit()
            writer.take_last()
            work.error = error
            if not writer.is_open():  # the database has undone the whole transaction: a full disk, a lost server
                raise
            writer.rollback_to_savepoint()
        else:
            writer.release()
            self._keep(work)

    def _keep(self, work: PendingWrite) -> None:
        work.last = self._writer.take_last()
        work.after = self._writer.take_after_commit()
