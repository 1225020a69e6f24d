"""Pending writes: work that waits for a shared commit, and the calls to make after that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.store.transaction import Durability, Last, Transaction
from actorflow.text import text_of

T = TypeVar("T")
After = list[Callable[[], object]]


class PendingWrite:
    """One piece of work that waits for a commit, and the future that is set after it."""

    __slots__ = (
        "after", "durability", "error", "future", "is_awaited", "is_over", "last", "order", "run", "tries", "value",
    )  # fmt: skip

    def __init__(
        self,
        run: Callable[[Transaction], Any],
        durability: Durability,
        future: Future[Any],
        order: str = "",
        *,
        is_awaited: bool = False,
    ) -> None:
        self.run = run
        self.durability = durability
        self.future = future
        self.order = order
        self.is_awaited = is_awaited  # by a thread, which goes on once it is committed
        self.value: Any = None
        self.error: Exception | None = None
        self.after: After = []
        self.last: list[Last] = []
        self.is_over = False  # it is committed
        self.tries = 1

    def reset(self) -> None:
        """Forget the outcome: the work was undone."""
        self.value, self.error, self.after, self.last = None, None, [], []


def kind_of(run: Callable[[Transaction], Any]) -> type | None:
    """Return the class of work that is written with others of its class: of a `BatchMember`; None of other work."""
    kind = type(getattr(run, "__self__", None))
    return kind if hasattr(kind, "write_all") else None


def wait_for(future: Future[T], seconds: float) -> T:
    """Wait for a future; other actors run meanwhile, unless it is the scheduler's own work that waits, as at its end.

    A handler on a loop waits in its thread, where no future is waited for: the commit of another thread is short.

    Raises:
        AskTimeout: it is not done after so many seconds.
    """
    execution = CURRENT.get()
    if execution is None:
        return future.get(timeout=seconds)
    if not execution.is_between:
        execution.block(future, seconds)
        return future.get()
    token = CURRENT.set(None)
    try:
        return future.get(timeout=seconds)
    finally:
        CURRENT.reset(token)


def run_last(lasts: list[Last]) -> None:
    """Run last statements in the order of their keys."""
    for _, act in sorted(lasts, key=lambda one: one[0]):
        act()


def settle(batch: Iterable[PendingWrite]) -> None:
    """Tell the threads that wait; calls for after the commit are made before that, so they keep their order."""
    for work in batch:
        call(work.after)
        work.future._settle(work.value, work.error)


def call(functions: After) -> None:
    """Make the calls that waited for a commit; an error is logged, for the commit stands."""
    while functions:  # each goes once it was called: of one that is interrupted the next call begins anew
        try:
            functions[0]()
        except Exception:  # noqa: BLE001 - the commit stands
            logger.exception("After a commit, %s failed", text_of(functions[0]))
        functions.pop(0)
