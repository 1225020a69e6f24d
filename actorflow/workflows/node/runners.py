"""Runners: the actors that run the attempts of steps, each one at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.refs.cell import DEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.execution import Attempt
    from actorflow.workflows.node.run_node import RunNode

CANCEL_SECONDS: Final = 2.0  # that a step has to see that its run is cancelled, before it is ended
LOOK: Final = "look"
TURN_SECONDS: Final = 0.001  # that a runner has for steps, before other actors have a turn
MOST: Final = 256  # plain steps that run at once in a process, each of which may block a thread


class RunnerPlaces:
    """The runners of plain steps that have nothing to do, and the attempts that wait for one; any thread may ask.

    Attributes:
        waiting: attempts that whichever runner comes next takes.
        bound: attempts that are handed to a runner one by one: of steps that may run for so long only.
        is_called: a runner was called, and has not begun to look for attempts.
        given_up: a runner still has them, and another one its place.
    """

    def __init__(self) -> None:
        self.idle: deque[ActorRef[Any]] = deque()
        self.waiting: deque[Attempt[Any]] = deque()
        self.bound: deque[Attempt[Any]] = deque()
        self.is_called = False
        self.given_up: set[Attempt[Any]] = set()

    def take(self) -> ActorRef[Any] | None:
        """Take a runner that is idle."""
        try:
            while (runner := self.idle.pop())._state == DEAD:  # the system ends
                pass
        except IndexError:
            return None
        return runner

    def has_left(self, attempt: Attempt[Any]) -> bool:
        """Note that a runner is through with an attempt; say whether that was given up."""
        if not self.given_up:
            return False
        try:
            self.given_up.remove(attempt)
        except KeyError:
            return False
        return True


class StepRunner(Actor):
    """Runs plain steps here, and CPU-bound ones in the pool; any error of theirs is the step's."""

    def __init__(self, node: RunNode) -> None:
        super().__init__()
        self.node = node
        self.places = node.places

    def on_start(self) -> None:
        """Keep the random numbers, which are looked up at each use else."""
        self.rng = self.ctx.random

    def on_receive(self, message: Any) -> None:
        """Run an attempt, or those that wait, and be there for the next; without a call by name, as it is per step."""
        if message is LOOK:
            if not self.run_waiting():
                return
        elif self.is_left(message):
            return
        places = self.places
        places.idle.append(self.actor_ref)
        if places.bound:
            self.node.runners.cast(Runners.begin_waiting)
        elif places.waiting and not places.is_called:  # they came between
            self.node.call_runner()

    def run_waiting(self) -> bool:
        """Run attempts until none waits; False if this runner has left its place, or goes on later.

        Another runner is called before the first: it has its turn when this one blocks, or is through. So short steps
        that begin together take two messages, and those that block run side by side, as with a message each.
        """
        node, places = self.node, self.places
        waiting = places.waiting
        places.is_called = False
        first = 0.0
        while waiting:
            try:
                attempt = waiting.popleft()
            except IndexError:  # another runner was faster
                break
            if waiting and not places.is_called:
                node.call_runner()
            if self.is_left(attempt):
                return False
            first = first or attempt.began
            if node.scheduler.is_virtual:  # a seed may choose who goes on
                break
            if attempt.began - first > TURN_SECONDS:
                places.is_called = True
                node.scheduler.post(self.actor_ref, LOOK, None)
                return False
        return True

    def is_left(self, attempt: Attempt[Any]) -> bool:
        """Run an attempt; True if it was given up meanwhile, and another runner has the place of this one."""
        attempt.run(self.rng, self.actor_ref)
        if not self.places.has_left(attempt):
            return False
        self.actor_ref.stop(block=False)
        return True


class AsyncStepRunner(Actor, loop=True):
    """Runs steps of `async def` tasks on the system's loop."""

    def __init__(self, idle: deque[ActorRef[Any]]) -> None:
        super().__init__()
        self.idle = idle

    async def run(self, attempt: Attempt[Any]) -> None:
        """Run an attempt, and be there for the next."""
        await attempt.run_async(self.ctx.random, self.actor_ref)
        self.idle.append(self.actor_ref)


class Runners(Actor):
    """Makes runners when they are needed, which are kept for later steps, and ends attempts from outside.

    A plain step does not pass here, unless no runner is idle: see `RunNode.run_step`.
    """

    _works_in_drains = True  # steps that run then need their timeouts all the same

    def __init__(self, node: RunNode) -> None:
        super().__init__()
        self.node = node
        self.places = node.places
        self.places.idle.clear()  # those of an earlier incarnation ended with it
        self.idle_async: deque[ActorRef[Any]] = deque()
        self.plain = 0  # runners of plain steps, without those whose attempt was given up

    def on_start(self) -> None:
        """Go on where an earlier incarnation ended."""
        self.begin_waiting()

    def begin(self, attempt: Attempt[Any]) -> None:
        """Have an attempt run, or wait for a runner."""
        if attempt.task.is_async:
            runner = self.idle_async.pop() if self.idle_async else self.ctx.spawn(AsyncStepRunner, self.idle_async)
            runner.cast(AsyncStepRunner.run, attempt)
            return
        self.places.bound.append(attempt)
        self.begin_waiting()

    def begin_waiting(self) -> None:
        """Have attempts run that wait for a runner; without a place for one, the next that is idle says so."""
        places = self.places
        places.is_called = False
        while places.bound:
            runner = self.runner()
            if runner is None:
                return
            attempt = places.bound.popleft()
            if attempt.timeout is not None and not attempt.task.cpu:
                self.ctx.after(attempt.timeout, self.time_out, attempt)
            runner.tell(attempt)
        is_virtual = self.node.scheduler.is_virtual
        for _ in range(len(places.waiting) if is_virtual else min(1, len(places.waiting))):
            runner = self.runner()
            if runner is None:
                return
            places.is_called = not is_virtual
            runner.tell(LOOK)

    def runner(self) -> ActorRef[Any] | None:
        """Return a runner that is idle, or a new one; None if there are as many as there may be."""
        runner = self.places.take()
        if runner is None and self.plain < MOST:
            self.plain += 1
            runner = self.ctx.spawn(StepRunner, self.node)
        return runner

    def give_up(self, attempt: Attempt[Any], end: Callable[[Any], bool]) -> None:
        """End an attempt whose thread nothing can end, and have another runner in the place of the one that has it."""
        if attempt.ending is not None:
            return
        self.places.given_up.add(attempt)
        if end(self.ctx.random) or not self.places.has_left(attempt):
            self.plain -= 1
            self.begin_waiting()

    def cancel(self, attempt: Attempt[Any]) -> None:
        """Have an attempt see that it is cancelled; it is ended if it goes on all the same."""
        attempt.cancel()
        self.ctx.after(CANCEL_SECONDS, self.end_cancelled, attempt)

    def end_cancelled(self, attempt: Attempt[Any]) -> None:
        """End an attempt that has not looked whether it is cancelled."""
        if attempt.ending is not None:
            return
        body = attempt.owner.body
        if not body.leave(attempt.owner):
            self.give_up(attempt, attempt.end_cancelled)
        elif attempt.end_cancelled(self.ctx.random):
            body.unload()  # its thread has the frames of the code: these are left, and the code is replayed
            body.node.leave(body)

    def time_out(self, attempt: Attempt[Any]) -> None:
        """Give up a plain step that takes longer than it may."""
        self.give_up(attempt, attempt.time_out)
