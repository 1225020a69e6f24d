"""CommitBatch: the effects of many handlers of one system, which go into one commit.

A commit is worth many messages. Effects are collected while other handlers run, and are committed when none is left to
run, at 512 members, or after 2 ms: on the thread that has nothing else to do, or beside the others. Effects that come
during a commit wait for the next one. A member is the work of one handler, of any kind: a message of a durable actor is
one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import call
from typing import TYPE_CHECKING, Any, Final, cast

from actorflow.core.atomic import exclusively
from actorflow.core.futures.future import Future, patient
from actorflow.core.log import logger
from actorflow.errors import StoreError
from actorflow.store.clerk import clerk_of, give
from actorflow.text import reason_of, text_of

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability, Transaction

BATCH: Final = 512  # members of one commit
BATCH_SECONDS: Final = 0.002


class MemberRefused(StoreError):
    """Nothing of a member is in the store, for a reason of its own; the others of its batch are committed."""


class BatchMember:
    """The effects of one handler, to be committed with those of others. Each kind of work has a subclass.

    Attributes:
        durability: how long it has to last; None: as the store does.
    """

    __slots__ = ()

    @property
    def durability(self) -> Durability | None:
        """How long it has to last; None: as the store does."""
        return None

    def write(self, transaction: Transaction) -> object:
        """Write the effects; once more, if they were undone because of another member.

        Raises:
            MemberRefused: or any other error: nothing of this member is committed.
        """
        raise NotImplementedError

    @classmethod
    def write_all(cls, members: Sequence[Any], transaction: Transaction) -> None:
        """Write the effects of several members of this kind, which may take fewer statements than one after the other.

        Raises:
            MemberRefused: or another error of one of them: then each is written for itself.
        """
        for member in members:
            member.write(transaction)

    def leave(self) -> None:
        """Do the part of the work after the commit that may wait; called by the thread that has committed."""

    def settle(self, error: Exception | None) -> None:
        """Go on after the commit; the holder of the baton calls this, once, whatever has become of it.

        Args:
            error: why nothing is there; an OutcomeUnknown: nobody knows. None: it is committed.
        """
        raise NotImplementedError


class CommitBatch:
    """Collects the members of one system, and commits them; see `batch_of`."""

    def __init__(self, scheduler: Scheduler, store: Store) -> None:
        self.scheduler = scheduler
        self.store = store
        self._members: deque[BatchMember] = deque()
        self._is_busy = False  # it looks whether to commit, or a commit is under way
        self._since = 0.0
        self.clerk = clerk_of(scheduler, "store")

    def do(self, work: Callable[[], None]) -> None:
        """Have work with the store done, beside or between the handlers, in order."""
        give(self.clerk, work)

    # --- the open batch ----------------------------------------------------------------------------------------------

    def add(self, member: BatchMember) -> None:
        """Put the effects of a handler into the open batch; called where it has run."""
        self._members.append(member)
        if not self._is_busy:  # two threads may both think so, which does no harm
            self._start_to_look()

    def _start_to_look(self) -> None:
        self._is_busy = True
        self._since = self.scheduler.clock.monotonic()
        self.scheduler.looking.add(self)
        self.scheduler.post_work(self.look)

    def look(self) -> None:
        """Close the batch if nobody is left to run, or it is large or old; the holder of the baton calls it.

        Systems of a world share the inbox: the looks of others in it are nobody that is left to run.
        """
        scheduler = self.scheduler
        if (
            (not scheduler.ready and len(scheduler.inbox) < (len(scheduler.looking) or 1))
            or len(self._members) >= BATCH
            or scheduler.clock.monotonic() - self._since > BATCH_SECONDS
        ):
            scheduler.looking.discard(self)
            self.do(self.commit)
        else:
            scheduler.post_work(self.look)

    # --- its commit --------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Commit the open batch, and have its members go on: however this ends, none of them is left waiting."""
        waiting = self._members
        members: list[BatchMember] = []
        errors: list[Exception | None] = []  # of each; they end where this was interrupted
        try:
            members += map(call, repeat(waiting.popleft, len(waiting)))  # in C: each is in the one or the other
            if members:
                self._write(members, errors)
                leave(members, errors)
        except BaseException as error:
            lost = StoreError(f"the commit was interrupted by {reason_of(error)}: it may be there")
            errors += [lost] * (len(members) - len(errors))
            raise
        finally:
            self.scheduler.post_work(partial(self.settle, members, errors))

    def _write(self, members: list[BatchMember], errors: list[Exception | None]) -> None:
        """Commit members together, or one by one if one of them is refused; note the error of each."""
        is_one = len(members) == 1
        try:
            work = members[0].write if is_one else partial(write_each_kind, members)
            self.store.write(work, durability=self._durability(members))
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            if is_one or (isinstance(error, StoreError) and not isinstance(error, MemberRefused)):
                errors += [error] * len(members)
                return
        else:
            errors += [None] * len(members)
            return
        for member in members:
            self._write([member], errors)

    def _durability(self, members: list[BatchMember]) -> Durability:
        """Return the durability that the strictest of the members asks for."""
        own = self.store.durability
        for member in members:  # most batches are of one, for which a generator takes twice as long
            if (member.durability or own) == "power":
                return "power"
        return "process"

    def settle(self, members: list[BatchMember], errors: list[Exception | None]) -> None:
        """Have the members of a batch go on, and look after those that came during its commit; by the baton's holder.

        The latter share the next commit with the messages that follow now: two batches in turn were two commits a round
        and hardly overlapped: a thread that comes back from the disk waits until the handlers leave it Python's lock.
        """
        self._is_busy = False
        if self._members:
            self._start_to_look()
        for member, error in zip(members, errors, strict=True):
            try:
                member.settle(error)
            except Exception:  # noqa: BLE001 - the others have to go on
                report(member)

    def flushed(self) -> Future[None]:
        """Return a future that is set once the effects now in the batch are committed."""
        done: Future[None] = patient(self.clerk)

        def commit() -> None:
            self.commit()
            self.scheduler.post_work(lambda: done._settle(None, None))

        self.do(commit)
        return done


def leave(members: list[BatchMember], errors: list[Exception | None]) -> None:
    """Have the members that are committed do the part of their work that may wait; an error of one keeps no other."""
    for member, error in zip(members, errors, strict=True):
        if error is None:
            try:
                member.leave()
            except Exception:  # noqa: BLE001 - the others have to go on
                report(member)


def report(member: BatchMember) -> None:
    """Log, in an `except`, that a member could not go on."""
    logger.critical("%s could not go on after a commit; please report it", text_of(member), exc_info=True)


def write_each_kind(members: list[BatchMember], transaction: Transaction) -> None:
    """Write members, those of one kind together."""
    kinds: dict[type[BatchMember], list[BatchMember]] = {}
    for member in members:
        kinds.setdefault(member.__class__, []).append(member)
    for kind, of_kind in kinds.items():
        kind.write_all(of_kind, transaction)


def batch_of(scheduler: Scheduler, store: Store) -> CommitBatch:
    """Return the batch of a system, made at first need."""
    return exclusively(scheduler.first_use, lambda: _make(scheduler, store))


def _make(scheduler: Scheduler, store: Store) -> CommitBatch:
    if scheduler.batch is None:
        scheduler.batch = CommitBatch(scheduler, store)
    return cast("CommitBatch", scheduler.batch)
