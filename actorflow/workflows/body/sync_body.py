"""SyncBody: the body of a plain function. It has a thread while it runs, and runs its steps there where that is all."""

from __future__ import annotations

import inspect
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future, patient
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError, RunCancelled, Stopping, Unload
from actorflow.store.error_json import write_error
from actorflow.tasks.current import CURRENT_BODY
from actorflow.workflows.body.body import Body
from actorflow.workflows.body.body_execution import BodyExecution, cancelled
from actorflow.workflows.body.lanes import Lanes
from actorflow.workflows.body.loading import arguments_of_code
from actorflow.workflows.body.queued import queued
from actorflow.workflows.body.saga_course import Turned
from actorflow.workflows.body.steps import TaskStep

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from actorflow.core.messages.execution import Execution
    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.branch import Branch
    from actorflow.workflows.body.lanes import Lane
    from actorflow.workflows.rows.records import RunRecord
    from actorflow.workflows.workflow import AnyWorkflow


MOST_REFUSED: Final = 100  # calls of code that is over
REFUSED_SECONDS: Final = 0.1  # that a further one takes


class SyncBody(Body):
    """The body of a plain function.

    Attributes:
        outer: the thread that runs it.
        actor: the actor whose thread that is.
        thread: the number of that thread.
        refused: calls of code that goes on though it is over.
        is_forced: it has caught its cancel, and is to end where it waits.
    """

    outer: Execution
    actor: ActorRef[Any]
    _news: Future[None] | None = None
    _inline: TaskStep | None = None
    _pause: Future[None] | None = None
    raised_cancel = is_forced = False
    lanes: Lanes | None = None
    thread = refused = 0

    def execute(self) -> Any:
        """Run the code to its end, in the thread of an actor, and return its value; its error is raised.

        Raises:
            Unload: it is unloaded, or does not fit its records.
        """
        outer = CURRENT.get()
        assert outer is not None
        assert outer.receiver is not None
        self.outer, self.actor = outer, outer.receiver
        self.thread = threading.get_ident()
        args, kwargs = arguments_of_code(self)
        execution = SyncExecution(self, outer)
        token, mark = CURRENT.set(execution), CURRENT_BODY.set(self.trunk)
        try:
            value = self._run_all(args, kwargs)
        finally:
            CURRENT_BODY.reset(mark)
            CURRENT.reset(token)
        if self.is_over:
            if not self.is_closed:  # else its run is over, and was reported
                self.node.waiting.refuses(self)
            raise Unload
        return value

    def _run_all(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run the function, and the branches that it begins, to their ends."""
        try:
            value = self.workflow.code(self)(*args, **kwargs)
            if self.lanes is not None:
                self.lanes.finish(failed=False)
        except BaseException:
            if self.lanes is not None and not self.is_over:
                self.lanes.finish(failed=True)
            raise
        finally:
            if self.lanes is not None and self.is_over:
                self.lanes.unwind()
        return value

    def begin_branch(
        self, parent: Branch, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        """Have a function run in a thread of its own, one of which goes on at a time."""
        if inspect.iscoroutinefunction(function):
            name = getattr(function, "__name__", "function")
            raise DefinitionError(f"af.branch({name}): it is async, and the body of {self.workflow.name} is not")
        if self.lanes is None:
            self.lanes = Lanes(self)
        return self.lanes.begin(parent.child(), partial(function, *args, **kwargs))

    def run_lane(self, lane: Lane) -> None:
        """Run a branch in the thread that this is called in."""
        outer = CURRENT.get()
        assert outer is not None
        assert self.lanes is not None
        self.lanes.run(lane, outer, SyncExecution(self, outer))

    def cancel_steps(self) -> None:
        """Note that the run is cancelled, and have its branches told."""
        super().cancel_steps()
        if self.lanes is not None:
            self.lanes.rouse_all()

    @property
    def is_quiet(self) -> bool:
        """Whether the code has heard of all records that are there, and waits, or is in a step."""
        return not self.journal and (self._news is not None or self._inline is not None)

    # --- waits -------------------------------------------------------------------------------------------------------

    def wait_for(self, future: Future[Any]) -> None:
        """Hear of records until a step is over, and block while there are none.

        Raises:
            RunCancelled: somebody has cancelled the run; once, so that clean-up code may wait again.
            Unload: the code is to end without a trace.
        """
        while not future._done:
            self.check()
            if self.lanes is not None and self.lanes.switch(future):
                continue
            heard = self.deliver()
            self.check_cancelled()
            if not heard:
                self.sends.check_told()
                self.node.waiting.begins(self)
                with self.lock:
                    self.rests = not self.is_over
                try:
                    self.block(lambda: self.has_news or self.is_forced)
                finally:
                    self.node.waiting.ends(self)
                if not self.is_over:  # else it rests until it is given back
                    if self.is_forced:
                        self.end_by_force()
                    self.rests = False

    def force(self) -> None:
        """Have the run end where its code waits; any thread may ask."""
        with self.lock:
            self.is_forced = True
        self.wake()

    def end_by_force(self) -> NoReturn:
        """End the run in the thread of its code, which has caught its cancel.

        Raises:
            Unload: then, so that the code ends as well.
        """
        token = CURRENT.set(self.outer)  # the code itself may not write
        try:
            self.flush()
            self.node.end_here(self, "cancelled", None, write_error(cancelled(self)))
        finally:
            CURRENT.reset(token)
        raise Unload

    def hear_next(self) -> None:
        """Hear of the next record, though the code is over: a step of it that it does not wait for is under way."""
        if self.is_over:
            raise Unload
        if not self.deliver():
            self.block(lambda: self.has_news or not self.holds_end)

    def check(self) -> None:
        """Raise the exception that ends the code.

        Raises:
            DefinitionError: another thread calls: in a replay, its steps would come in another order.
        """
        if threading.get_ident() != self.thread:
            raise DefinitionError(
                f"another thread calls for run {self.run.name}, with a copy of its context: have one thread begin "
                "steps beside each other, by task.submit(...)"
            )
        if self.is_over:
            self.refused += 1
            if (
                self.refused > MOST_REFUSED and not self.node.scheduler.is_virtual
            ):  # it catches each of them, and would take the processor from others
                threading.Event().wait(REFUSED_SECONDS)
            raise Unload
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Raise the error of a cancelled run, once."""
        lanes = self.lanes
        if lanes is None and not self.is_cancelled:  # most of the time, and three times a step
            return
        is_failing = lanes is not None and lanes.is_failing and lanes.current is not lanes.main
        is_cancelled = is_failing or (self.is_cancelled and not self.is_shielded)
        if is_cancelled and not self.raised_cancel:
            self.raised_cancel = True
            self.node.watch_cancel(self)
            raise cancelled(self)

    def block(self, ready: Callable[[], bool]) -> None:
        """Wait until something has happened that may make it ready; meanwhile others run."""
        if self.saga is not None:
            self.saga.release()
        news: Future[None] = patient(None)  # type: ignore[arg-type]
        with self.lock:
            if self.is_over or ready():
                return
            self._news = news
        try:
            self.outer.wait(news, None)
        except Stopping:
            self.unload()
            raise Unload from None
        finally:
            self._news = None

    def wake(self) -> None:
        """Have the code look at its journal."""
        news = self._news
        if news is not None:
            news._settle(None, None)

    # --- steps -------------------------------------------------------------------------------------------------------

    def call(self, branch: Branch, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task: here, if nothing but its own code has to run."""
        if task.is_async:
            raise DefinitionError(
                f"{task.name} is async, and the body of {self.workflow.name} is not: {task.function.__name__}"
                ".submit(...).get(), or make the workflow async"
            )
        self.check()
        step = self.step_of(branch, task, args, kwargs)
        has_limit = task.timeout is not None or task.job_options.timeout is not None
        if task.cpu or has_limit or not isinstance(step, TaskStep) or (self.lanes is not None and self.lanes.open):
            return self.begin(step).get()
        self.open[step.identity] = step
        if self.saga is not None:
            self.saga.begun(step, is_inline=True)
        try:
            while not step.future._done:
                if self.deliver():
                    self.check_cancelled()
                elif not step.is_launched:
                    self.check()
                    self.run_inline(step)
                else:
                    self.wait_for(step.future)
        except (RunCancelled, Turned):
            if not step.is_launched:  # unless the journal has its end, it ends without having begun
                step.is_cancelled = True
                self.begin(step)
            raise
        return step.future.get()

    def run_child(self, branch: Branch, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a child, and block the code until it is over."""
        if workflow.is_async:
            raise DefinitionError(
                f"{workflow.name} is async, and the body of {self.workflow.name} is not: "
                f"{workflow.function.__name__}.submit(...).get(), or make the outer workflow async"
            )
        return self.begin(self.child_step(branch, workflow, args, kwargs)).get()

    def runs_inline(self, step: TaskStep) -> bool:
        """Say whether the thread of the code runs the attempts of a step itself."""
        return self._inline is step

    def run_inline(self, step: TaskStep) -> None:
        """Run a step here to its end."""
        if self.saga is not None:
            self.saga.write_held()
        while not self.is_clear(step):
            self.block(lambda: self.is_clear(step))
            self.check()
        step.is_launched = True
        self._inline = step
        rng = self.node.scheduler.random_for(f"run {self.run.name}")
        token, mark = CURRENT.set(self.outer), CURRENT_BODY.set(None)
        try:
            while True:
                step.begin().run(rng, self.actor)
                if step.pause is None or self.is_over:
                    break
                if not step.is_cancelled:
                    self.pause(step.pause)
                    if self.is_over:
                        break
                if step.is_cancelled:
                    step.end_cancelled()
                    break
        finally:
            CURRENT_BODY.reset(mark)
            CURRENT.reset(token)
            self._inline = None
        self.check()

    def skip_pause(self, step: TaskStep) -> None:
        """End the pause before the next attempt of a step, which is cancelled."""
        if not self.runs_inline(step):
            step.launch()
        elif self._pause is not None:
            self._pause._settle(None, None)

    def leave(self, step: TaskStep) -> bool:
        """Say whether the thread of the code runs a step, and have its end recorded by others."""
        with self.lock:
            is_inline = self._inline is step
            if is_inline:
                self._inline = None
        return is_inline

    def arrive(self, record: RunRecord, mail: int | None = None) -> None:
        """Put the end of a step into the journal; of one that was run inline, this thread commits it."""
        step = self._inline
        if step is None or record.identity != step.identity:
            super().arrive(record, mail)
            return
        with self.lock:
            if self.takes_nothing:
                return
            self.number(record)
            self.journal = queued(self.journal, record)
        if self.saga is None:
            self.node.commit_here(self, record)
        else:
            self.saga.hold(record)

    def pause(self, seconds: float) -> None:
        """Let time pass between two attempts."""
        self._pause = over = patient(None)  # type: ignore[arg-type]
        self.node.scheduler.call_later(seconds, lambda: over._settle(None, None))
        try:
            self.outer.wait(over, None)
        except Stopping:
            self.unload()
            raise Unload from None

    def unload(self) -> None:
        """Have the code end without a trace, also in the pause between two attempts."""
        super().unload()
        if self._pause is not None:
            self._pause._settle(None, None)

    def cut(self, step: TaskStep) -> None:  # noqa: ARG002 - whatever step it is
        """Note that an attempt was cut, as the system ends: the code ends with it."""
        self.unload()

    def settle(self) -> None:
        """Wait for the ends of steps that runners have, and their commits; the end of the system bounds it."""
        if self.saga is not None:
            self.saga.is_ending = False
            self.saga.release()
        try:
            while not self.is_settled:
                news: Future[None] = patient(None)  # type: ignore[arg-type]
                self._news = news
                if not self.is_settled:  # a wake before this had another future, or none
                    self.outer.wait(news, None)
        except Stopping:
            pass
        finally:
            self._news = None

    def flush(self) -> None:
        """Wait until all records are committed, but for those that go with the end.

        Raises:
            Unload: the run was lost, or the system ends.
        """
        if self.saga is not None:
            self.saga.is_ending = True
        while not self.is_safe(self.last):
            if self.is_over:
                raise Unload
            if self.saga is not None and self.saga.held and self.is_safe(self.saga.held[0].n - 1):
                return
            self.block(lambda: self.is_safe(self.last))


class SyncExecution(BodyExecution):
    """The place where the code of a plain function runs."""

    __slots__ = ()

    body: SyncBody

    def wait_for(self, future: Future[Any]) -> None:
        """Block the code until a step of it is over."""
        self.body.wait_for(future)
