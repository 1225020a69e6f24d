"""Runtime: what a run of a DAG shares among its workers: the progress, the site of its tasks, and how a node is run.

A worker's thread calls `go_on` with a node, and runs node after node until there is none for it.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from actorflow.core.log import logger
from actorflow.errors import PayloadError, RunCancelled, Stopping, Unload, is_a
from actorflow.tasks.cause import Cause
from actorflow.tasks.current import CURRENT_TASK
from actorflow.workflows.dag.attempts import StepAttempt, StepOwner, current_of, retry_of
from actorflow.workflows.dag.expansion import AGAIN, expansion_of
from actorflow.workflows.dag.journal import NodeRecord
from actorflow.workflows.dag.node import MISSING
from actorflow.workflows.dag.plan import timeout_of
from actorflow.workflows.dag.table import Try

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.transaction import Work
    from actorflow.tasks.current import Current
    from actorflow.tasks.site import TaskSite
    from actorflow.workflows.dag.journal import Journal
    from actorflow.workflows.dag.progress import DagProgress

ELSEWHERE: Final = -2  # the node goes on in another actor, and its worker waits for it
DISMISSED: Final = -3  # the runner has given up the node, and its worker


class DagRuntime:
    """One run of a DAG, as its workers share it.

    Attributes:
        id: of the run.
        progress: of its nodes.
        site: the means to run tasks.
        settle: gives the result to those who wait.
        journal: keeps the ends of nodes; None of a run in memory.
        cause: of what the tasks publish.
        attempts: of the nodes that have one, by node.
        works: what is to be written with the results of nodes, by node.
        at: the workers at plain calls, by node.
        runner: the actor that times and cancels attempts.
    """

    runner: ActorRef[Any]

    def __init__(
        self,
        id: str,
        progress: DagProgress,
        site: TaskSite,
        scheduler: Scheduler,
        settle: Callable[[], None],
        journal: Journal | None = None,
        cause: Cause | None = None,
    ) -> None:
        self.id = id
        self.cause = cause or Cause(f"run/{id}", None)
        self.progress = progress
        self.site = site
        self.scheduler = scheduler
        self.settle = settle
        self.journal = journal
        if journal is not None:
            progress.is_slow = True
        self.attempts: dict[int, StepAttempt] = {}
        self.works: dict[int, list[Work]] = {}
        self.at: dict[int, ActorRef[Any]] = {}
        self.is_stepwise = scheduler.is_virtual  # one node a message: a seed chooses who goes on
        if self.is_stepwise:
            progress.is_slow = True

    def key_of(self, i: int) -> str:
        """Return the idempotency key of a node."""
        return f"run/{self.id}/{self.progress.names[i]}"

    def report(self, i: int, done: Any, total: Any) -> None:
        """Tell the listeners how far a node is."""
        tell = self.progress.tell
        if tell is not None:
            tell("step progress", i, (done, total))

    def current_of(self, i: int) -> Current:
        """Return the view that the task of a node without an attempt has of itself, as `af.current()`."""
        return current_of(self, i)

    def also(self, i: int, work: Work) -> None:
        """Have work written with the result of a node; without a result it is dropped."""
        self.works.setdefault(i, []).append(work)

    def broken(self, error: BaseException) -> None:
        """End the run after a defect of the runtime, so that nobody waits for ever."""
        logger.critical("The run %s failed; please report it", self.id, exc_info=error)
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the run with an error, whatever runs."""
        if self.progress.cut(error, "failed"):
            self.settle()

    def cut(self, error: BaseException) -> None:
        """End the run, if it is not over, as its actors end."""
        if self.progress.cut(error, "cancelled"):
            self.settle()

    # --- a worker's thread --------------------------------------------------------------------------------------------

    def go_on(self, worker: ActorRef[Any], i: int) -> int:
        """Run a node, and those that follow; return -1, or ELSEWHERE, or the node to go on with in virtual time."""
        while i >= 0:
            if not self.progress.is_slow:
                context = contextvars.copy_context()
                context.run(CURRENT_TASK.set, None)
                i = context.run(self.run_calls, worker, i, context)
            if i >= 0:
                i = self.perform(worker, i)
            if self.is_stepwise:
                return i
        return i

    def run_calls(self, worker: ActorRef[Any], i: int, context: contextvars.Context) -> int:
        """Run nodes that are plain calls, in a context of which none has changed a variable yet; return the next one.

        This is the inner loop: a chain of nodes that do nothing takes 0.5 us each, graphlib with a thread pool 30 us.
        """
        progress = self.progress
        calls, gets, chains, results = progress.calls, progress.plan.gets, progress.chains, progress.results
        started, ended, now = progress.started, progress.ended, progress.now
        set_current = CURRENT_TASK.set
        size, done, at = len(context), 0, now()
        while not progress.is_slow and len(context) == size:
            if calls[i] is None and i not in gets:
                return i
            started[i] = at
            try:
                for i in chains.get(i) or (i,):  # noqa: B020, PLR1704 - the node that the thread is at
                    call = calls[i]
                    if call is None:
                        if i not in gets:
                            progress.count(done)
                            return i
                        call = gets[i](results)
                    set_current((self, i))
                    value = call()
                    at = now()
                    if progress.is_slow or len(context) != size:
                        return progress.completed(worker, i, value, at, done)
                    results[i] = value
                    ended[i] = at
                    done += 1
            except BaseException as error:  # noqa: BLE001 - the task's error, whatever it is
                started[i] = at
                return self.raised(worker, i, error, done)
            i = progress.pass_on(worker, i, at, done - 1)  # the last one is counted there
            if i < 0:
                break
            done, at = 0, progress.latest  # of a node that came before, maybe one that ended after `at`
        return i

    def perform(self, worker: ActorRef[Any], i: int) -> int:
        """Run one node of any kind; return the next one."""
        progress = self.progress
        spec = progress.specs[i]
        try:
            expansion = progress.expansions.get(i)
            if expansion is not None:
                value = expansion.result(progress, i)
                if value is AGAIN:
                    return progress.expanded(worker, i, expansion)
                return progress.completed(worker, i, value, progress.now())
            when = spec.options.when
            if when is not None and i not in progress.tries and not when(progress.results_of(i)):
                if self.record(i, "left out") is None and self.journal is not None:
                    return progress.failed(worker, i, RunCancelled(f"step {self.key_of(i)} was cancelled"))
                return progress.left_out(worker, i)
            if not progress.begun(i):
                return progress.take(worker)
            if spec.kind == "task":
                return self.run_task(worker, i)
            return self.expand(worker, i)
        except BaseException as error:  # noqa: BLE001 - of a function of the user's
            return self.raised(worker, i, error)

    def run_task(self, worker: ActorRef[Any], i: int) -> int:
        """Run the task of a node: here, in the pool or on the loop."""
        progress = self.progress
        spec = progress.specs[i]
        task: Any = spec.work
        timeout = timeout_of(task)
        if timeout is None and not task.cpu and not task.is_async:
            args = progress.arguments(i)
            context = contextvars.copy_context()
            context.run(CURRENT_TASK.set, (self, i))
            self.at[i] = worker
            try:
                value = context.run(task.function, *args)
            except BaseException as error:  # noqa: BLE001 - the task's error, whatever it is
                return self.raised(worker, i, error)
            finally:
                self.at.pop(i, None)
            return self.finish(worker, i, value)
        attempt = StepAttempt(StepOwner(self, i), task, self.site, timeout, retry_of(task))
        attempt.worker = worker
        self.attempts[i] = attempt
        if progress.is_cancelled(i):
            attempt.cancel()
        if task.is_async:
            self.runner.tell(("async", attempt))
            return ELSEWHERE
        if timeout is not None and not task.cpu:
            self.runner.tell(("timed", attempt))
        attempt.run(self.random(worker), worker)
        return self.ended(worker, attempt)

    def ended(self, worker: ActorRef[Any], attempt: StepAttempt) -> int:
        """Act on the end of an attempt, in the thread that ended it; return the next node."""
        owner = attempt.owner
        if owner.ended_by != threading.get_ident():
            return DISMISSED
        return self.follow(worker, attempt)

    def follow(self, worker: ActorRef[Any], attempt: StepAttempt) -> int:
        """Act on the end of an attempt; return the next node."""
        owner = attempt.owner
        ending, i = owner.ending, owner.i
        assert ending is not None
        self.forget(attempt)
        progress = self.progress
        if ending.kind == "completed":
            return self.finish(worker, i, attempt.value)
        error = ending.cause or attempt.error or RuntimeError(ending.kind)
        if ending.kind == "again":
            return self.retried(worker, i, Try(attempt.began, progress.now(), error), ending.pause)
        if ending.kind == "died":  # which is not its own error, but an error like any other here
            return self.raised(worker, i, error)
        if ending.kind == "cut":
            progress.cancelling.add(i)
        return self.failed(worker, i, error)

    def forget(self, attempt: StepAttempt) -> None:
        """Drop an attempt that is over."""
        self.attempts.pop(attempt.owner.i, None)
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.task.cpu:
            attempt.look_at_files()
            self.site.task_files.clear(attempt.owner.key)

    def expand(self, worker: ActorRef[Any], i: int) -> int:
        """Turn a node into its parts; or give the result of one that only gathers."""
        progress = self.progress
        if progress.specs[i].kind == "gather":
            values = [value for value in progress.arguments(i) if value is not MISSING]
            return progress.completed(worker, i, values, progress.now())
        expansion = expansion_of(progress, i)
        if self.journal is not None and progress.specs[i].kind == "map":
            self.journal.note_count(progress.names[i], expansion.left)
        return progress.expanded(worker, i, expansion)

    def finish(
        self, worker: ActorRef[Any], i: int, value: Any, error: BaseException | None = None, linked: int = 0
    ) -> int:
        """End a node with a result, once that is recorded, if there is a journal; return the next one.

        Args:
            worker: that ran it.
            i: the node.
            value: its result.
            error: for which a handler gave the result.
            linked: how many nodes before it were completed without the lock.
        """
        progress = self.progress
        if self.journal is not None:
            try:
                kept = self.record(i, "completed", value, error)
            except PayloadError as problem:
                fail = self.failed if error is None else self.failed_for_good  # which asks no handler again
                return fail(worker, i, problem, linked)
            if kept is not None:  # what follows gets what is stored, as it will when the run goes on elsewhere
                value, error = kept.value, kept.error
        if error is not None:
            progress.errors[i] = error
        return progress.completed(worker, i, value, progress.now(), linked)

    def record(
        self,
        i: int,
        kind: Literal["completed", "failed", "left out"],
        value: Any = None,
        error: BaseException | None = None,
    ) -> NodeRecord | None:
        """Have the journal keep the end of a node, if there is one, before anything follows from it.

        Returns:
            The record as it is stored; None: there is none, as the node was cancelled, or there is no journal.

        Raises:
            PayloadError: the result cannot be stored.
        """
        progress = self.progress
        if self.journal is None:
            return None
        with progress.lock:
            if progress.is_cancelled(i):
                return None
            progress.kept.add(i)
        attempts = len(progress.tries.get(i, ())) + (kind != "left out")
        began = None if kind == "left out" else progress.started[i]
        works = self.works.pop(i, ())
        also = works if kind == "completed" and error is None else ()
        digest = progress.digest_of(i)
        new = NodeRecord(progress.names[i], kind, value, error, attempts, began, progress.now(), digest, also)
        try:
            kept = self.journal.write(new)
        except PayloadError:
            raise
        except BaseException as problem:  # noqa: BLE001 - of the store, or the run is gone
            if not isinstance(problem, Unload):
                logger.error("The end of step %s was not recorded: its run ends here", self.key_of(i), exc_info=problem)
            self.fail(problem)
            return None
        if kept is None:  # the run was cancelled before it
            with progress.lock:
                progress.kept.discard(i)
                progress.cancelling.add(i)
        return kept

    # --- errors -------------------------------------------------------------------------------------------------------

    def raised(self, worker: ActorRef[Any], i: int, error: BaseException, linked: int = 0) -> int:
        """Act on the error of a plain call: another try, or none; return the next node."""
        progress = self.progress
        ended = progress.now()
        if is_a(error, Stopping) and self.scheduler.draining:
            progress.cancelling.add(i)  # a wait was cut by the end of the system
        try:
            pause = self.pause_after(worker, i, error)
        except BaseException as problem:  # noqa: BLE001 - a rule of the user's
            pause, error = None, problem
        if pause is None:
            if progress.specs[i].kind == "task" and not callable(progress.specs[i].options.on_failure):
                logger.error("Step %s failed for good", self.key_of(i), exc_info=error)
            return self.failed(worker, i, error, linked)
        text = "Step %s failed, tried again in %.3g s"
        logger.warning(text, self.key_of(i), pause, exc_info=error)
        started = progress.started[i]
        return self.retried(worker, i, Try(ended if started is None else started, ended, error), pause, linked)

    def pause_after(self, worker: ActorRef[Any], i: int, error: BaseException) -> float | None:
        """Return the seconds until the next try of a node; None if there is none."""
        progress = self.progress
        task: Any = progress.specs[i].work
        if progress.specs[i].kind != "task" or progress.is_cancelled(i):
            return None
        retry = retry_of(task)
        if retry.attempts == 1:
            return None
        tries = progress.tries.get(i, ())
        first = tries[0].started if tries else progress.started[i]
        spent = 0.0 if first is None else progress.now() - first
        return retry.pause(len(tries) + 1, error, self.random(worker), spent=spent)

    def retried(self, worker: ActorRef[Any], i: int, failure: Try, pause: float, linked: int = 0) -> int:
        """Have a node be tried again in a while; return the next one."""
        self.works.pop(i, None)
        self.note_try(i, failure)
        following = self.progress.again(worker, i, failure, linked)
        self.runner.tell(("again", i, pause))
        return following

    def note_try(self, i: int, failure: Try) -> None:
        """Have the journal keep a failed try, if there is one."""
        if self.journal is not None:
            self.journal.note_try(self.progress.names[i], len(self.progress.tries.get(i, ())) + 1, failure)

    def failed(self, worker: ActorRef[Any], i: int, error: BaseException, linked: int = 0) -> int:
        """End a node that no try is left of, or give the result that its handler has for it; return the next one."""
        progress = self.progress
        policy = progress.specs[i].options.on_failure
        if progress.is_cancelled(i):
            return progress.failed(worker, i, error, linked)
        if callable(policy):
            try:
                value = policy(error)
            except BaseException as problem:  # noqa: BLE001 - of a function of the user's
                problem.__context__ = error
                error = problem
            else:
                return self.finish(worker, i, value, error, linked)
        return self.failed_for_good(worker, i, error, linked)

    def failed_for_good(self, worker: ActorRef[Any], i: int, error: BaseException, linked: int = 0) -> int:
        """End a node with an error; return the next one."""
        if self.progress.specs[i].kind == "task":
            kept = self.record(i, "failed", error=error)
            if kept is not None and kept.error is not None:
                error = kept.error
        return self.progress.failed(worker, i, error, linked)

    def random(self, worker: ActorRef[Any]) -> Any:
        """Return the random numbers for pauses."""
        return self.scheduler.random_for(worker.path) if self.scheduler.is_virtual else self.scheduler.random
