"""Lanes: the threads of one plain body: that of its function, and one for each branch; one at a time goes on.

The one that has the turn keeps it until it waits. Then the next that is ready has it, in the order in which they became
so; if none is, the body hears of its next record. So the order depends on nothing but the records, in a replay too.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future, patient
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import RunCancelled, Stopping, Unload
from actorflow.tasks.current import CURRENT_BODY
from actorflow.text import reason_of
from actorflow.workflows.body.gathering import BodyFuture

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.messages.execution import Execution
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.body.branch import Branch
    from actorflow.workflows.body.sync_body import SyncBody


class Lane:
    """One thread of a body.

    Attributes:
        branch: its steps are started there.
        future: the value or the error of its code.
        turn: is set when it is to go on.
        outer: the thread.
        actor: the actor whose thread that is.
        raised_cancel: it was told that it is cancelled.
        is_of_cleaning: it was begun behind the cancel of the run, of which it is not told.
    """

    __slots__ = ("actor", "branch", "future", "is_of_cleaning", "is_over", "outer", "raised_cancel", "turn", "work")

    outer: Execution
    actor: ActorRef[Any]

    def __init__(self, branch: Branch, work: Callable[[], Any]) -> None:
        self.branch = branch
        self.work = work
        self.future: Future[Any] = BodyFuture()
        self.turn: Future[None] = patient(None)  # type: ignore[arg-type]
        self.raised_cancel = self.is_over = self.is_of_cleaning = False


class Lanes:
    """The lanes of one body, from its first branch on.

    Attributes:
        main: that of the function.
        current: the one that has the turn.
        open: those of branches, until they are over.
        is_failing: the function has failed, and its branches are cancelled.
        is_frozen: no branch has a turn any more.
    """

    def __init__(self, body: SyncBody) -> None:
        self.body = body
        self.main = Lane(body.trunk, lambda: None)
        self.main.outer, self.main.actor = body.outer, body.actor
        self.current = self.main
        self.open: list[Lane] = []
        self.is_failing = self.is_frozen = False
        self._ready: deque[Lane] = deque()
        self._failed: list[Lane] = []

    def begin(self, branch: Branch, work: Callable[[], Any]) -> Future[Any]:
        """Have code run in a lane of its own, when the others wait."""
        lane = Lane(branch, work)
        lane.raised_cancel = lane.is_of_cleaning = self.body.raised_cancel
        self.open.append(lane)
        self._ready.append(lane)
        self.body.node.run_branch(self.body, lane)
        return lane.future

    def run(self, lane: Lane, outer: Execution, execution: Execution) -> None:
        """Run the code of a lane to its end, in a thread of its own."""
        lane.outer = outer
        assert outer.receiver is not None
        lane.actor = outer.receiver
        token, mark = CURRENT.set(execution), CURRENT_BODY.set(lane.branch)
        value, error = None, None
        try:
            self._await(lane)
            self.body.check()
            value = lane.work()
        except BaseException as raised:  # noqa: BLE001 - whoever asks for the value gets it
            error = raised
        finally:
            CURRENT_BODY.reset(mark)
            CURRENT.reset(token)
            lane.is_over = True
            self.open.remove(lane)
        if error is not None:
            self._failed.append(lane)
        lane.future._settle(value, error)
        if self.current is lane:
            following = self._next() or self.main
            following.turn._settle(None, None)

    # --- turns -------------------------------------------------------------------------------------------------------

    def switch(self, future: Future[Any]) -> bool:
        """Let the next lane that is ready go on, while this one waits for a future; False if none is."""
        lane = self.current
        following = self._next()
        if following is None:
            return False
        wake = partial(self._rouse, lane)
        if not future._add_waiter(wake):
            self._ready.appendleft(following)
            return True
        try:
            self._hand_over(following)
        finally:
            future._drop_waiter(wake)
        return True

    def rouse_all(self) -> None:
        """Have all lanes go on once: something has happened that concerns them all."""
        for lane in (self.main, *self.open):
            self._rouse(lane)

    def call_main(self) -> bool:
        """Have the function itself go on next; False if it has the turn."""
        if self.current is self.main:
            return False
        self._rouse(self.main)
        return True

    def _rouse(self, lane: Lane) -> None:
        if lane not in self._ready and not self.is_frozen:
            self._ready.append(lane)

    def _next(self) -> Lane | None:
        while self._ready:
            lane = self._ready.popleft()
            if not lane.is_over and lane is not self.current:
                return lane
        return None

    def _hand_over(self, following: Lane) -> None:
        lane, body = self.current, self.body
        lane.turn = patient(None)  # type: ignore[arg-type]
        lane.raised_cancel = body.raised_cancel
        following.turn._settle(None, None)
        self._await(lane)

    def _await(self, lane: Lane) -> None:
        body = self.body
        try:
            if not lane.turn._done:
                lane.outer.wait(lane.turn, None)
        except Stopping:
            body.unload()
            raise Unload from None
        self.current = lane
        body.outer, body.actor, body.raised_cancel = lane.outer, lane.actor, lane.raised_cancel
        body.thread = threading.get_ident()

    # --- ends --------------------------------------------------------------------------------------------------------

    def finish(self, *, failed: bool) -> None:
        """Wait for the branches, as the function is over; if it has failed, they are cancelled."""
        if failed:
            self.fail()
        while self.open and not self.is_frozen:
            try:
                self.body.wait_for(self.open[0].future)
            except RunCancelled:
                continue  # the main one was told; the branches are as well
        self.report()

    def fail(self) -> None:
        """Have the branches told that they are cancelled, as the function has failed."""
        if self.open:
            self.is_failing = True
            for lane in self.open:
                lane.raised_cancel &= not lane.is_of_cleaning
            self.rouse_all()

    def freeze(self) -> None:
        """Have no branch go on any more: their threads end with the run."""
        self.is_frozen = True
        self._ready.clear()

    def report(self) -> None:
        """Log the errors of branches that nobody has asked for."""
        for lane in self._failed:
            error = lane.future._error
            if not lane.future._heard and error is not None and not isinstance(error, RunCancelled):
                name = self.body.run.name
                logger.error("Run %s: a branch failed: %s", name, reason_of(error), exc_info=error)

    def unwind(self) -> None:
        """End the frames of all branches, as the body is unloaded; of those that are frozen, their actors' ends do."""
        while self.open and self.current is self.main and not self.is_frozen:
            try:
                self._hand_over(self.open[0])
            except Unload:
                return  # the system ends, and each thread hears of that
