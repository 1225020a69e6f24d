"""System task: a coroutine of the runtime's own, driven by the holder of the baton.

It runs without a token and never blocks: it awaits all it has to wait for. So supervision reads like a straight
program.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

T = TypeVar("T")

DEEPEST: Final = 10  # chains of calls; one has some ten frames, of the 1,000 that Python has


class Procedure:
    """Drives one coroutine of the runtime; `done` gets its result or error."""

    __slots__ = ("coro", "done", "scheduler")

    def __init__(self, scheduler: Scheduler, coro: Coroutine[Any, Any, Any], done: Future[Any] | None) -> None:
        self.scheduler = scheduler
        self.coro = coro
        self.done = done

    def __call__(self) -> None:
        """Queue the next step, as the awaited future is done."""
        self.scheduler.post_work(self.step)

    def step(self) -> None:
        """Run until the next future that is not done."""
        try:
            while not self.coro.send(None)._add_waiter(self):
                pass
        except StopIteration as stop:
            if self.done is not None:
                self.done._settle(stop.value, None)
        except BaseException as error:  # noqa: BLE001 - the holder of the baton must live on
            if self.done is not None:
                self.done._settle(None, error)
            else:
                logger.critical("A procedure of the runtime failed; please report it", exc_info=error)


def start_procedure(scheduler: Scheduler, coro: Coroutine[Any, Any, Any], done: Future[Any] | None = None) -> None:
    """Run a procedure's first step now; later, in a long chain of procedures of which each starts the next one.

    So the end of a tree goes down its levels, and Python bounds the depth of calls.
    """
    procedure = Procedure(scheduler, coro, done)
    if scheduler.procedures_deep >= DEEPEST:
        scheduler.post_work(procedure.step)
        return
    scheduler.procedures_deep += 1
    try:
        procedure.step()
    finally:
        scheduler.procedures_deep -= 1


@types.coroutine
def completed(future: Future[T]) -> Generator[Future[T], None, T]:
    """Wait for a future inside a procedure."""
    if not future._done:
        yield future
    return future.get()


async def completed_within(scheduler: Scheduler, future: Future[Any], seconds: float) -> bool:
    """Wait for a future at most `seconds`; say whether it is done. Its error is not raised."""
    either: Future[None] = Future()

    def settle() -> None:
        either._settle(None, None)

    if future._add_waiter(settle):
        entry = scheduler.add_timer(scheduler.clock.monotonic() + seconds, settle)
        await completed(either)
        scheduler.timers.cancel(entry)
        future._drop_waiter(settle)
    return future._done


async def pause(scheduler: Scheduler, seconds: float) -> None:
    """Let time pass inside a procedure."""
    over: Future[None] = Future()
    scheduler.add_timer(scheduler.clock.monotonic() + seconds, lambda: over._settle(None, None))
    await completed(over)
