"""OpenAsks: the callers on this node that wait for the answers to messages that are rows, and the way of the answers.

An ask that timed out, or whose future was dropped, leaves no entry: the entry of a `StoredFuture` does not keep it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.durable.future import StoredFuture
from actorflow.durable.rows import ledger
from actorflow.durable.rows.payload import read, read_failure
from actorflow.errors import ActorflowError, OutcomeUnknown

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.rows.records import Letter
    from actorflow.store.transaction import Transaction

MOST: Final = 65_536  # asks for which nobody waits, between two looks; the answers to more of them go after a day


class Asking(weakref.ref[Future[Any]]):
    """Where the future of an ask is, and whose row it asks by."""

    __slots__ = ("name", "number")

    name: str
    number: int


class OpenAsks:
    """The open asks of one system on this node, and the answers to them.

    Attributes:
        dropped: numbers of the messages whose answers are not waited for any more.
    """

    def __init__(self, runtime: DurableRuntime) -> None:
        self._runtime = runtime
        self._entries: dict[int, tuple[str, Future[Any]] | Asking] = {}
        self.dropped: deque[tuple[int, str]] = deque(maxlen=MOST)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, letter: Letter, number: int) -> None:
        """Note the future that waits for the answer to a message whose row has just got its number."""
        future, name = letter.future, letter.receiver
        assert future is not None
        if letter.number:
            self.take(letter.number)  # of a try that was undone
        if future.__class__ is not StoredFuture:
            self._entries[number] = (name, future)
            return
        entry = Asking(future, self._gone)
        entry.name, entry.number = name, number
        self._entries[number] = entry

    def _gone(self, entry: weakref.ref[Any]) -> None:
        """A future was collected, by any thread in the midst of anything."""
        assert isinstance(entry, Asking)
        if self._entries.pop(entry.number, None) is not None:
            self.dropped.append((entry.number, entry.name))

    def take(self, number: int) -> Future[Any] | None:
        """Return the future that waits for the answer to a message, and forget it."""
        return future_of(self._entries.pop(number, None))

    def get(self, number: int) -> Future[Any] | None:
        """Return the future that waits for the answer to a message."""
        return future_of(self._entries.get(number))

    def all(self) -> list[tuple[int, str]]:
        """Return the numbers of all messages that are asks, and the names of their receivers."""
        found = self._entries.copy()  # one step; within `list(items)` a collection may end other entries, up to 3.11
        return [(number, one.name if isinstance(one, Asking) else one[0]) for number, one in found.items()]

    def of(self, name: str) -> list[int]:
        """Return the numbers of the asks of an actor."""
        return [number for number, receiver in self.all() if receiver == name] if self._entries else []

    # --- answers -----------------------------------------------------------------------------------------------------

    def answer(self, number: int, value: bytes | None, error: bytes | None, failure: BaseException | None) -> None:
        """Answer the caller on this node; callers on others get a row."""
        future = self.take(number)
        if future is None:
            return
        if failure is not None or error is not None:
            future._settle(None, failure if isinstance(failure, Exception) else read_failure(error))
            return
        try:
            future._settle(read(self._runtime, value) if value is not None else None, None)
        except ActorflowError as unread:
            future._settle(None, unread)

    def answer_now(self, number: int, value: bytes | None, error: bytes | None) -> None:
        """Set a promised answer from outside of durable handlers."""
        runtime = self._runtime
        letters: list[Letter] = []

        def work(transaction: Transaction) -> None:
            row = transaction.one("actors.promised", {"id": number})
            if row is not None:
                answer = value, error, row[1]
                letters[:] = ledger.put_answer(transaction, runtime, runtime.node, number, row[0], *answer)

        try:
            runtime.store.write(work)
        except OutcomeUnknown:  # the promise may be gone from the store, and then nothing else would bring the answer
            self.answer(number, value, error, None)
            runtime.doubt(letter.receiver for letter in letters)
            raise
        self.answer(number, value, error, None)
        for letter in letters:
            runtime.announce(letter)

    def end(self, numbers: Iterable[int], error: Exception) -> None:
        """Answer the callers on this node with an error."""
        for number in numbers:
            future = self.take(number)
            if future is not None:
                future._settle(None, error)

    # --- other nodes -------------------------------------------------------------------------------------------------

    def fetch(self) -> None:
        """Take the answers that other nodes have left for this one."""
        store = self._runtime.store
        me = {"asker": self._runtime.node}
        if store.read(lambda tx: tx.one("actors.has_answers", me)) is None:
            return
        rows: list[Any] = []

        def take(transaction: Transaction) -> None:
            rows[:] = transaction.all("actors.answers", me)

        try:
            store.write(take)
        except OutcomeUnknown:  # they may be gone from the store; if not, they are passed on twice, which does no harm
            self._pass_on(rows)
            raise
        self._pass_on(rows)

    def _pass_on(self, rows: list[Any]) -> None:
        for number, value, error in rows:
            try:
                self.answer(number, value, error, None)
            except Exception:  # noqa: BLE001 - the others' are gone from the store
                logger.exception("The answer to message %s could not be passed on", number)

    def forget_dropped(self) -> None:
        """Have other nodes leave no answers for which nobody here waits any more."""
        runtime = self._runtime
        dropped = [self.dropped.popleft() for _ in range(len(self.dropped))]
        numbers = [number for number, name in dropped if not ((box := runtime.boxes.get(name)) and box.is_owner)]
        if numbers:
            work = partial(ledger.forget_asks, node=runtime.node, numbers=numbers)
            runtime.store.write(work, durability="process")


def future_of(entry: tuple[str, Future[Any]] | Asking | None) -> Future[Any] | None:
    """Return the future of an entry, if it is there."""
    if entry is None:
        return None
    return entry() if isinstance(entry, Asking) else entry[1]
