"""Drain: the end of a system, by one rule for all parts. Runs on the holder of the baton.

New work stops at once. Running and queued work may finish within the grace time. A wait that nothing can answer any
more is woken with Stopping. When the grace time is over the rest is cut: all its waits are woken at the same time, and
after a moment for their `finally` blocks the handlers that still run are abandoned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.futures.wait_graph import answerer
from actorflow.core.messages.messages import Stop
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import DEAD, IDLE, READY
from actorflow.core.refs.termination import bury
from actorflow.core.refs.timers import Sleep
from actorflow.core.running.lifecycle import abandon, request_exit, stop_children
from actorflow.core.running.quiet import is_quiet
from actorflow.core.running.system_task import completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.children import Children
    from actorflow.core.running.scheduler import Scheduler

FIRST_LOOK: Final = 0.01  # seconds until the first look whether a wait can still be answered; later ones take longer
LAST_LOOK: Final = 0.25
MOST: Final = 1e6  # seconds
CLEANUP: Final = 0.2  # seconds that handlers have which are woken when the grace time is over
HOOKS: Final = 1.0  # seconds that the `on_stop` of all others have together then


class Drain:
    """The end of one system, and how far it is.

    Attributes:
        end: when the grace time is over, on the system's clock.
        over: set at that moment, or earlier by `cut`.
        was_cut: something still ran, or waited for its turn, at that moment.
        abandoned: how many actors did not end in the moments after it.
    """

    def __init__(self, scheduler: Scheduler, root: Children, grace: float, cause: BaseException | None = None) -> None:
        self.scheduler = scheduler
        self.root = root
        self.cause = cause
        self.end = scheduler.clock.monotonic() + grace
        self.over: Future[None] = Future()
        self.was_cut = self._was_quiet = False
        self.abandoned = 0
        self._hooks = HOOKS
        self._entry = scheduler.add_timer(self.end, self.cut)
        self._entry.is_silent = True

    # --- the grace time ----------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The grace time is over: wake all that waits, so that one clean-up does not wait for another."""
        if self.over._done:
            return
        self.end = min(self.end, self.scheduler.clock.monotonic())
        self.over._settle(None, None)
        for ref in list(self.actors()):
            if ref._waiting is not None:
                self.was_cut = True
                request_exit(ref, restart=False, cause=self.cause)

    def close(self) -> None:
        """The system has ended."""
        self.scheduler.timers.cancel(self._entry)

    def left(self) -> float:
        """Return the seconds until the grace time is over; no more than a thread can wait, if it is infinite."""
        return min(max(0.0, self.end - self.scheduler.clock.monotonic()), MOST)

    # --- actors ------------------------------------------------------------------------------------------------------

    async def end_all(self) -> None:
        """End all actors, the youngest first; the actors that serve all others count as the oldest."""
        root = self.root
        root._stop_order[:] = sorted(root, key=lambda ref: not ref.actor_class._ends_last)
        while True:
            self.scheduler.sort_all()
            ref = root.youngest()
            if ref is None:
                return
            if ref._state == IDLE and ref._cold is None and not ref._children and not ref._traits.has_on_stop:
                bury(ref, None)
            else:
                await self.end_child(root, ref)

    async def end_child(self, children: Children, ref: ActorRef[Any]) -> None:
        """End one actor behind its queued messages, and the actors below it."""
        if children.bury_between(ref):
            return
        if not (self.over._done or self.is_hopeless(ref)):
            stopped: Future[Any] = Future()
            self.scheduler.post(ref, Stop(final=True), stopped)
            if await self.finished([stopped], lambda: [ref]):
                return
        self.was_cut = self.was_cut or (self.over._done and ref._state not in (IDLE, DEAD))
        works = ref._state not in (IDLE, READY)
        done = request_exit(ref, restart=False, cause=self.cause)
        if not done._done:
            await self.first_of(done, self.over)
            await self.last_moments(ref, done, works=works)
        if not done._done:
            self.abandoned += 1
            await stop_children(ref, seconds=0.0, cause=self.cause)
            abandon(ref)

    async def last_moments(self, ref: ActorRef[Any], done: Future[Any], *, works: bool) -> None:
        """Wait a little for the end of an actor that was cut; if it is not at work, only for its `on_stop`.

        Children have a little less than their parent, which waits for them.
        """
        now = self.scheduler.clock.monotonic
        share = (1 + 1 / max(1, ref.path.count("/") - 1)) / 2
        begun, last = now(), self.end + CLEANUP * (1 + share)
        if not works:
            last = max(last, begun + self._hooks * share)
        while not done._done and now() < last:
            await self.first_of(done, seconds=last - now())
        if not works:
            self._hooks = max(0.0, self._hooks - (now() - begun))

    async def finished(self, futures: Sequence[Future[Any]], workers: Callable[[], Iterable[ActorRef[Any]]]) -> bool:
        """Wait until the work of some actors is done, at most until the grace time is over; say whether it is.

        Actors among them that wait for an answer that cannot come any more are woken meanwhile, and end.
        """
        look = FIRST_LOOK
        for future in futures:
            while not (future._done or self.over._done):
                await self.first_of(future, self.over, seconds=look)
                look = min(2 * look, LAST_LOOK)
                if future._done:
                    break
                for ref in list(workers()):
                    if self.is_hopeless(ref):
                        request_exit(ref, restart=False, cause=self.cause)
        done = all(future._done for future in futures)
        self.was_cut = self.was_cut or (self.over._done and not done)
        return done

    async def first_of(self, *futures: Future[Any], seconds: float | None = None) -> None:
        """Wait for the first of some futures, or for so many seconds."""
        first: Future[None] = Future()

        def settle() -> None:
            first._settle(None, None)

        waits = [future for future in futures if future._add_waiter(settle)]
        entry = None
        if len(waits) == len(futures):
            if seconds is not None:
                entry = self.scheduler.add_timer(self.scheduler.clock.monotonic() + seconds, settle)
                entry.is_silent = True
            await completed(first)
        for future in waits:
            future._drop_waiter(settle)
        if entry is not None:
            self.scheduler.timers.cancel(entry)

    def is_quiet(self) -> bool:
        """Say whether nothing is left that could answer; asked twice, as a thread just woken looks as if it rested."""
        was_quiet, self._was_quiet = self._was_quiet, is_quiet(self.scheduler, self.actors(), self.end)
        return was_quiet and self._was_quiet

    def actors(self) -> Iterator[ActorRef[Any]]:
        """Return all actors of the system in this process, without recursion: the tree may be deep."""
        if self.scheduler.node:  # guests of the parent's process have their place in the tree there
            refs: list[Any] = list(REFS.by_uid.values())
            yield from [ref for ref in refs if getattr(ref, "_home", None) is self.scheduler]
            return
        stack = list(self.root)
        while stack:
            ref = stack.pop()
            yield ref
            if ref._children:
                stack.extend(ref._children)

    # --- waits -------------------------------------------------------------------------------------------------------

    def is_hopeless(self, ref: ActorRef[Any]) -> bool:
        """Say whether the actor's handler waits for an answer that cannot come within the grace time.

        The chain of waits is followed to its end. A sleep at the end says when it is over. For any other wait something
        must be left that could answer: see `is_quiet`.
        """
        seen: set[int] = set()
        while ref.uid not in seen:
            seen.add(ref.uid)
            waiting = ref._waiting
            if waiting is None or not waiting.is_all or waiting.future._done:
                return False
            if waiting.future.__class__ is Sleep:
                return waiting.future.due > self.end  # pyright: ignore[reportAttributeAccessIssue]
            if waiting.deadline is not None and waiting.deadline <= self.end:
                return False
            target = answerer(waiting.future)
            if target is None or target._state == IDLE:
                return self.is_quiet()
            if target._is_remote:
                return False
            ref = target
        return True
