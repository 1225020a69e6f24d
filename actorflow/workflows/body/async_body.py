"""AsyncBody: the body of an `async def` function, without a thread: the actor of the run has it go on."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.drivers.unwinding import end_coroutine
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError, Unload
from actorflow.tasks.current import CURRENT_BODY
from actorflow.text import reason_of
from actorflow.workflows.body.body import Body
from actorflow.workflows.body.body_execution import BodyExecution, cancelled
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.loading import arguments_of_code
from actorflow.workflows.body.run_loop import RunLoop

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Execution
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.branch import Branch
    from actorflow.workflows.body.steps import BodyStep
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun, RunRecord
    from actorflow.workflows.workflow import AnyWorkflow


class AsyncBody(Body):
    """The body of an `async def` function.

    Attributes:
        main: the asyncio task of the function; None until it begins.
        tell: has the actor of the run call `go_on`; None until there is one, which does so at first.
        is_told: it will, and has not begun to.
    """

    __slots__ = (
        "_branches", "_failed", "_was_cancelled", "_was_swept", "execution", "is_told", "loop", "main", "tell",
    )  # fmt: skip
    is_async: ClassVar[bool] = True

    def __init__(self, node: RunNode, run: ClaimedRun, workflow: AnyWorkflow, records: list[RunRecord]) -> None:
        super().__init__(node, run, workflow, records)
        self.loop = RunLoop(self)  # type: ignore[abstract]  # the rest of a loop raises NotImplementedError
        self.main: asyncio.Task[Any] | None = None
        self.execution: AsyncExecution | None = None
        self.tell: Callable[[], None] | None = None
        self.is_told = False
        self._was_cancelled = self._was_swept = False
        self._failed: list[tuple[Future[Any], BaseException]] = []
        self._branches: dict[asyncio.Task[Any], Future[Any]] = {}  # those that are not over

    def go_on(self) -> bool:
        """Have the code hear of all records that are there; return whether it is over.

        Raises:
            Unload: it is unloaded, or does not fit its records.
        """
        token = CURRENT.set(self._execution())
        if not self.is_over:  # else it rests, if it did, until it is given back
            self.rests = False
        try:
            with self.loop:
                if self.main is None:
                    self.main = self._begin()
                    self._drain(self.main)
                while not self.is_over and self.deliver():
                    self._drain(self.main)
            if self.is_over:
                raise Unload
            self.sends.check_told()
            is_done = self.main.done() and not self.loop.tasks()
            with self.lock:
                self.rests = not (is_done or self.is_over)
        finally:
            CURRENT.reset(token)
        return is_done

    def cancel_steps(self) -> None:
        """Note that the run is cancelled, and have its code told, once: now, or as a saga has undone a part of it."""
        super().cancel_steps()
        main = self.main
        if main is not None and not self._was_cancelled and not self.is_shielded:
            self._was_cancelled = True
            self._cancel_all(self.loop.tasks() if main.done() else [main, *self._branches])

    def _execution(self) -> AsyncExecution:
        """Return the place where the code runs, now in this thread: tasks of asyncio keep it in their contexts."""
        outer = CURRENT.get()
        assert outer is not None
        if self.execution is None:
            self.execution = AsyncExecution(self, outer)
        self.execution.outer = outer
        return self.execution

    @property
    def hears_of_commits(self) -> bool:  # type: ignore[override]
        """Whether the code, or its end, may wait for nothing but a commit."""
        return self.is_over or self.is_main_over

    @property
    def is_main_over(self) -> bool:
        """Whether the function is over; tasks that it has begun may not be."""
        return self.main is not None and self.main.done()

    def _drain(self, main: asyncio.Task[Any]) -> None:
        """Run the code until it waits; once its function is over, cancel its tasks as `asyncio.run` does.

        If it has returned, its branches end before that.
        """
        self.loop.drain()
        if not main.done() or self._was_swept:
            return
        has_failed = main.cancelled() or main.exception() is not None
        if has_failed or not self._branches:
            self._was_swept = True
            self._cancel_all(self.loop.tasks())
            self.loop.drain()

    def _cancel_all(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()

    def begin_branch(
        self, parent: Branch, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        """Have an async function run as a task of asyncio."""
        if not inspect.iscoroutinefunction(function):
            name = getattr(function, "__name__", "function")
            raise DefinitionError(f"af.branch({name}) in an async workflow: give a function with `async def`")
        assert current_branch() is parent
        task = self.loop.create_task(function(*args, **kwargs))
        future: Future[Any] = BodyFuture()
        self._branches[task] = future
        task.add_done_callback(self._branch_over)
        return future

    def _branch_over(self, task: asyncio.Task[Any]) -> None:
        future = self._branches.pop(task)
        if task.cancelled():
            future._settle(None, cancelled(self))
        elif (error := task.exception()) is not None:
            future._settle(None, error)
            self._failed.append((future, error))
        else:
            future._settle(task.result(), None)

    def report_branches(self) -> None:
        """Log the errors of branches that nobody has asked for."""
        for future, error in self._failed:
            if not future._heard and not self.is_over:
                logger.error("Run %s: a branch failed: %s", self.run.name, reason_of(error), exc_info=error)

    def _begin(self) -> asyncio.Task[Any]:
        args, kwargs = arguments_of_code(self)
        return self.loop.create_task(self.workflow.code(self)(*args, **kwargs))

    def value(self) -> Any:
        """Return the value of the code, or raise its error."""
        assert self.main is not None
        self.report_branches()
        return self.main.result()

    def close(self) -> None:
        """End the frames of the code, which is unloaded: each is raised Unload in, and nothing of it is recorded."""
        with self._in_place(None if CURRENT.get() is None else self._execution()):
            for task in [*self.loop.tasks(), *self.loop.frozen]:
                end_frames(task)

    def end_frozen(self) -> None:
        """End the frames of code whose process was killed, in virtual time; nothing of it is recorded."""
        with self._in_place(self.execution):
            for task in [*self.loop.tasks(), *self.loop.frozen]:
                try:
                    end_coroutine(task.get_coro())  # type: ignore[arg-type]
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - of clean-up code: nobody waits for it
                    logger.debug("code of a run whose process was killed ended with %r", type(error))

    @contextlib.contextmanager
    def _in_place(self, execution: Execution | None) -> Iterator[None]:
        """Have clean-up code run in the place of the code: else a task that it calls would be run as a function."""
        token, mark = CURRENT.set(execution), CURRENT_BODY.set(self.trunk)
        try:
            yield
        finally:
            CURRENT_BODY.reset(mark)
            CURRENT.reset(token)

    def wake(self) -> None:
        """Have the actor of the run let the code go on."""
        if self.tell is not None and not self.is_told:
            self.is_told = True
            self.tell()

    # --- steps -------------------------------------------------------------------------------------------------------

    def call(self, branch: Branch, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG002 - the one that awaits counts
        """Return a coroutine that runs a task as the next step of the branch that awaits it."""
        self._check_async(task)
        return self._awaited(self.step_of, task, args, kwargs)

    def run_child(self, branch: Branch, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG002 - the one that awaits counts
        """Return a coroutine that runs a child as the next step of the branch that awaits it."""
        self._check_async(workflow)
        return self._awaited(self.child_step, workflow, args, kwargs)

    def _check_async(self, called: AnyTask | AnyWorkflow) -> None:
        """Refuse a call that would block."""
        self.check()
        if not called.is_async:
            name = called.function.__name__
            raise DefinitionError(
                f"{name}(...) would block the other branches of {self.workflow.name}, which is async: "
                f"await {name}.submit(...)"
            )

    async def _awaited(self, step: Callable[..., BodyStep], called: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Begin a step in the branch that awaits it, and return its value."""
        branch = current_branch()
        assert branch is not None
        return await self.begin(step(branch, called, args, kwargs))


class AsyncExecution(BodyExecution):
    """The place where the code of an `async def` function runs."""

    __slots__ = ("loop",)

    def __init__(self, body: AsyncBody, outer: Execution) -> None:
        super().__init__(body, outer)
        self.loop = body.loop


def end_frames(task: asyncio.Task[Any]) -> None:
    """Raise Unload in a coroutine until it has left all of its frames."""
    coro: Any = task.get_coro()
    assert isinstance(coro, Coroutine)
    for _ in range(10):
        try:
            coro.throw(Unload())
        except (StopIteration, RuntimeError):
            return
        except BaseException:  # noqa: BLE001 - whatever its clean-up raises
            return
