"""Workers: the actors that run the nodes of one run, each one at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import child

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.attempts import StepAttempt
    from actorflow.workflows.dag.runtime import DagRuntime


class StepWorker(Actor):
    """Runs node after node in its thread, until none is ready."""

    def __init__(self, runtime: DagRuntime) -> None:
        super().__init__()
        self.runtime = runtime
        self.beside: ActorRef[AsyncStepWorker] | None = None

    def work(self, i: int | None = None) -> None:
        """Run nodes until none is ready; in virtual time one, so that a seed may choose who goes on."""
        runtime, ref = self.runtime, self.actor_ref
        try:
            i = runtime.progress.take(ref) if i is None else i
            i = runtime.go_on(ref, i)
        except BaseException as error:  # a defect: the run must not wait for this worker
            runtime.broken(error)
            raise
        if i >= 0:
            ref.cast(StepWorker.work, i)

    def follow(self, attempt: StepAttempt) -> None:
        """Act on the end of a coroutine that ran beside this worker, and go on."""
        runtime, ref = self.runtime, self.actor_ref
        try:
            i = runtime.follow(ref, attempt)
        except BaseException as error:  # a defect: the run must not wait for this worker
            runtime.broken(error)
            raise
        if i >= 0:
            ref.cast(StepWorker.work, i)

    def begin_async(self, attempt: StepAttempt) -> None:
        """Have a coroutine run beside this worker, which waits for it."""
        runtime, ref = self.runtime, self.actor_ref
        try:
            if self.beside is None:
                self.beside = self.ctx.spawn(child(AsyncStepWorker, runtime, ref))
            self.beside.cast(AsyncStepWorker.run, attempt)
        except Exception as error:  # noqa: BLE001 - no thread for a loop, or the system ends
            attempt.fail(error, runtime.random(ref), ref)
            i = runtime.ended(ref, attempt)
            if i >= 0:
                ref.cast(StepWorker.work, i)


class AsyncStepWorker(Actor, loop=True):
    """Runs `async def` nodes on the system's loop, in the place of the worker that it is beside of."""

    def __init__(self, runtime: DagRuntime, worker: ActorRef[Any]) -> None:
        super().__init__()
        self.runtime = runtime
        self.worker = worker

    async def run(self, attempt: StepAttempt) -> None:
        """Run an attempt to its end; then the worker goes on."""
        runtime = self.runtime
        try:
            await attempt.run_async(runtime.random(self.worker), self.actor_ref)
            if runtime.journal is not None and attempt.owner.ended_by == threading.get_ident():
                self.worker.cast(StepWorker.follow, attempt)  # it may wait for a commit, the loop may not
                return
            i = runtime.ended(self.worker, attempt)
        except BaseException as error:
            runtime.broken(error)
            raise
        if i >= 0:
            self.worker.cast(StepWorker.work, i)
