"""Runners: the actors that run the attempts of steps, each one at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.execution import Attempt

CANCEL_SECONDS: Final = 2.0  # that a step has to see that its run is cancelled, before it is ended
MOST: Final = 256  # plain steps that run at once in a process, each of which may block a thread


class StepRunner(Actor):
    """Runs plain steps here, and CPU-bound ones in the pool; any error of theirs is the step's."""

    def __init__(self, runners: ActorRef[Any]) -> None:
        super().__init__()
        self.runners = runners

    def run(self, attempt: Attempt[Any]) -> None:
        """Run an attempt, and ask for the next."""
        attempt.run(self.ctx.random, self.actor_ref)
        self.runners.tell((self.actor_ref, attempt))


class AsyncStepRunner(Actor, loop=True):
    """Runs steps of `async def` tasks on the system's loop."""

    def __init__(self, runners: ActorRef[Any]) -> None:
        super().__init__()
        self.runners = runners

    async def run(self, attempt: Attempt[Any]) -> None:
        """Run an attempt, and ask for the next."""
        await attempt.run_async(self.ctx.random, self.actor_ref)
        self.runners.tell((self.actor_ref, attempt))


class Runners(Actor):
    """Hands the attempts of steps to runners, which are made when they are needed and kept for later steps."""

    _works_in_drains = True  # steps that run then need their timeouts all the same

    def __init__(self) -> None:
        super().__init__()
        self.idle: list[ActorRef[Any]] = []
        self.idle_async: list[ActorRef[Any]] = []
        self.busy: dict[Attempt[Any], ActorRef[Any]] = {}
        self.plain = 0  # of these, those of plain tasks
        self.waiting: deque[Attempt[Any]] = deque()

    def begin(self, attempt: Attempt[Any]) -> None:
        """Have an attempt run, or wait for a runner."""
        if attempt.task.is_async:
            runner: ActorRef[Any] = (
                self.idle_async.pop() if self.idle_async else self.ctx.spawn(AsyncStepRunner, self.actor_ref)
            )
        elif self.plain >= MOST:
            self.waiting.append(attempt)
            return
        else:
            self.plain += 1
            runner = self.idle.pop() if self.idle else self.ctx.spawn(StepRunner, self.actor_ref)
            if attempt.timeout is not None and not attempt.task.cpu:
                self.ctx.after(attempt.timeout, self.time_out, attempt)
        self.busy[attempt] = runner
        runner.cast(StepRunner.run, attempt)

    def on_receive(self, message: Any) -> None:
        """Have a runner take another attempt."""
        runner, attempt = message
        if self.busy.pop(attempt, None) is None:
            runner.stop(block=False)  # its attempt was given up, and another runner has its place
        elif attempt.task.is_async:
            self.idle_async.append(runner)
        else:
            self.idle.append(runner)
            self.free_place()

    def free_place(self) -> None:
        """Have another plain attempt run in the place of one that is over."""
        self.plain -= 1
        if self.waiting:
            self.begin(self.waiting.popleft())

    def cancel(self, attempt: Attempt[Any]) -> None:
        """Have an attempt see that it is cancelled; it is ended if it goes on all the same."""
        attempt.cancel()
        self.ctx.after(CANCEL_SECONDS, self.end_cancelled, attempt)

    def end_cancelled(self, attempt: Attempt[Any]) -> None:
        """End an attempt that has not looked whether it is cancelled."""
        if attempt.ending is not None:
            return
        body = attempt.owner.body
        is_inline = body.leave(attempt.owner)
        if not attempt.end_cancelled(self.ctx.random):
            return
        if is_inline:  # its thread has the frames of the code: these are left, and the code is replayed
            body.unload()
            body.node.leave(body)
        elif self.busy.pop(attempt, None) is not None:
            self.free_place()

    def time_out(self, attempt: Attempt[Any]) -> None:
        """Give up a plain step that takes longer than it may: nothing can end its thread."""
        if attempt in self.busy and attempt.time_out(self.ctx.random):
            del self.busy[attempt]
            self.free_place()
