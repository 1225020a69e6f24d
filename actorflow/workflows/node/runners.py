"""Runners: the actors that run the attempts of steps, each one at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.execution import Attempt

CANCEL_SECONDS: Final = 2.0  # that a step has to see that its run is cancelled, before it is ended
MOST: Final = 256  # plain steps that run at once in a process, each of which may block a thread


class RunnerPlaces:
    """The runners of plain steps that have nothing to do, and the attempts that wait for one; any thread may ask."""

    def __init__(self) -> None:
        self.idle: deque[ActorRef[Any]] = deque()
        self.waiting: deque[Attempt[Any]] = deque()
        self.given_up: set[Attempt[Any]] = set()  # a runner still has them, and another one its place

    def take(self) -> ActorRef[Any] | None:
        """Take a runner that is idle."""
        try:
            return self.idle.pop()
        except IndexError:
            return None

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

    def __init__(self, places: RunnerPlaces, runners: ActorRef[Any]) -> None:
        super().__init__()
        self.places = places
        self.runners = runners

    def on_start(self) -> None:
        """Keep the random numbers, which are looked up at each use else."""
        self.rng = self.ctx.random

    def on_receive(self, message: Attempt[Any]) -> None:
        """Run an attempt, and be there for the next; without a call by name, as it is once a step."""
        attempt = message
        attempt.run(self.rng, self.actor_ref)
        places = self.places
        if places.has_left(attempt):
            self.actor_ref.stop(block=False)  # another runner has its place
            return
        places.idle.append(self.actor_ref)
        if places.waiting:
            self.runners.cast(Runners.begin_waiting)


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

    A plain step that an idle runner is there for does not pass here: see `RunNode.run_step`.
    """

    _works_in_drains = True  # steps that run then need their timeouts all the same

    def __init__(self, places: RunnerPlaces) -> None:
        super().__init__()
        places.idle.clear()  # those of an earlier incarnation ended with it
        self.places = places
        self.idle_async: deque[ActorRef[Any]] = deque()
        self.plain = 0  # runners of plain steps, without those whose attempt was given up

    def begin(self, attempt: Attempt[Any]) -> None:
        """Have an attempt run, or wait for a runner."""
        if attempt.task.is_async:
            runner = self.idle_async.pop() if self.idle_async else self.ctx.spawn(AsyncStepRunner, self.idle_async)
            runner.cast(AsyncStepRunner.run, attempt)
            return
        self.places.waiting.append(attempt)
        self.begin_waiting()

    def begin_waiting(self) -> None:
        """Have attempts run that wait for a runner."""
        places = self.places
        while places.waiting:
            runner = places.take()
            if runner is None:
                if self.plain >= MOST:
                    return  # the next one that is idle says so
                self.plain += 1
                runner = self.ctx.spawn(StepRunner, places, self.actor_ref)
            attempt = places.waiting.popleft()
            if attempt.timeout is not None and not attempt.task.cpu:
                self.ctx.after(attempt.timeout, self.time_out, attempt)
            runner.tell(attempt)

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
