"""JobWorker: an actor that runs one job at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.job_owner import JobAttempt


class JobWorker(Actor):
    """Runs plain functions here, and CPU-bound ones in the pool; any error of theirs is the job's, not its own."""

    def __init__(self, claimer: ActorRef[Any]) -> None:
        super().__init__()
        self.claimer = claimer

    def run(self, attempt: JobAttempt) -> None:
        """Run a job, and report its outcome."""
        attempt.run(self.ctx.random, self.actor_ref)
        self.claimer.tell((self.actor_ref, attempt))


class AsyncJobWorker(Actor, loop=True):
    """Runs `async def` functions on the system's loop."""

    def __init__(self, claimer: ActorRef[Any]) -> None:
        super().__init__()
        self.claimer = claimer

    async def run(self, attempt: JobAttempt) -> None:
        """Run a job, and report its outcome."""
        await attempt.run_async(self.ctx.random, self.actor_ref)
        self.claimer.tell((self.actor_ref, attempt))
