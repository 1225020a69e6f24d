"""RunLoop: the asyncio loop of one async body: no sockets, no threads, and timers that last.

Tasks and futures hash by a number, since `asyncio.wait` and `TaskGroup` keep sets of them and walk these: by address,
they would come in another order in each process.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError
from actorflow.tasks.current import CURRENT_BODY
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.workflows.body.body_execution import BodyExecution
from actorflow.workflows.body.branch import Branch
from actorflow.workflows.body.steps import StepFuture
from actorflow.workflows.body.timed_steps import TimerStep
from actorflow.workflows.rows.records import UNDO

if TYPE_CHECKING:
    from actorflow.workflows.body.async_body import AsyncBody
    from actorflow.workflows.body.gathering import Waiter

SWEEP: Final = 16  # tasks of a body, before those that have ended are looked for


class Numbered:
    """Hashes by a number of its own."""

    number = -1

    def __hash__(self) -> int:
        return self.number


class RunTask(Numbered, asyncio.Task):  # type: ignore[type-arg]
    """An asyncio task of a body."""

    branch: Branch


class RunFuture(Numbered, asyncio.Future):  # type: ignore[type-arg]
    """An asyncio future of a body."""


class RunTimer(asyncio.TimerHandle):
    """A timer of asyncio code, and its step."""

    __slots__ = ("step",)

    step: TimerStep


class RunLoop(asyncio.AbstractEventLoop):
    """The loop of one body; `drain` runs it until nothing in it is ready."""

    def __init__(self, body: AsyncBody) -> None:
        self.body = body
        self.ready: list[asyncio.Handle | Waiter] = []
        self._count = 0
        self._tasks: list[weakref.ref[asyncio.Task[Any]]] = []  # and some that have ended
        self.frozen: list[asyncio.Task[Any]] = []  # that are not to go on
        self._thawed: Branch | None = None  # goes on, though others are frozen
        self._most = SWEEP  # of these, until those that have ended are dropped

    def __enter__(self) -> None:
        """Make this the running loop of the thread."""
        self._before = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(None, self._close_generator)

    def __exit__(self, *_error: object) -> None:
        """Restore the loop that ran in the thread before."""
        loop, hooks = self._before
        sys.set_asyncgen_hooks(*hooks)
        asyncio._set_running_loop(loop)

    def drain(self) -> None:
        """Run until nothing is ready."""
        body = self.body
        while self.ready and not body.is_over:
            ready, self.ready = self.ready[::-1], []  # a deque takes 760 bytes while it is empty
            try:
                while ready and not body.is_over:
                    handle = ready.pop()
                    if not (handle._cancelled or (self.frozen and self._is_frozen(handle))):
                        try:
                            handle._run()
                        except (SystemExit, KeyboardInterrupt) as error:  # asyncio has its task keep it, and raises it
                            let_ctrl_c_pass(error)
            finally:
                if ready:
                    self.ready[:0] = ready[::-1]

    def freeze(self, but: Any) -> None:
        """Have no code go on any more but that of a task, and the undoing of a saga."""
        self._thawed = None if but is None else but.branch
        keep = {but, asyncio.current_task(self)}
        self.frozen += [task for task in self.tasks() if task not in keep and not self._is_of_undoing(task)]
        gone = set(self.frozen)
        self._tasks = [weakref.ref(task) for task in reversed(self.tasks()) if task not in gone]

    def _is_frozen(self, handle: Any) -> bool:
        branch = handle._context.get(CURRENT_BODY)
        return not (branch is self._thawed or (isinstance(branch, Branch) and branch.path.startswith(UNDO)))

    def _is_of_undoing(self, task: Any) -> bool:
        return bool(task.branch.path.startswith(UNDO))

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Have an async generator that was left in its midst clean up, in a branch of its own."""
        if not self.body.is_over:
            self.call_soon(self.create_task, generator.aclose())

    # --- callbacks ---------------------------------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call a function soon."""
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call a function soon, as code of the loop wishes.

        Raises:
            DefinitionError: another thread calls: when it did, a replay would not know.
        """
        execution = CURRENT.get()
        if not isinstance(execution, BodyExecution) or execution.body is not self.body:
            raise DefinitionError(
                f"another thread calls the loop of run {self.body.run.name}, and a replay would not know when: send "
                "the run a signal, or have a task do the work of the thread"
            )
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call a function in some seconds, also if they pass in other processes: it is a step."""
        handle = RunTimer(self.time() + delay, callback, args, self, context)
        future = self.body.begin_timer(self._branch(), delay)
        assert isinstance(future, StepFuture)
        assert isinstance(future.step, TimerStep)
        handle.step = future.step
        future._when_done(lambda: self._fire(handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call a function at a time of the body's clock."""
        return self.call_later(max(0.0, when - self.time()), callback, *args, context=context)

    def _branch(self) -> Branch:
        found = CURRENT_BODY.get()
        return found if isinstance(found, Branch) else self.body.trunk

    def _fire(self, handle: asyncio.TimerHandle) -> None:
        if not handle._cancelled:
            self.ready.append(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Have the timer leave no record, if it has none yet: nobody hears of it."""
        assert isinstance(handle, RunTimer)
        if not self.body.is_over:  # else its frames end, and it is there when the run is loaded again
            handle.step.drop()

    def time(self) -> float:
        """Return the time of the body's clock: of the last record that it has heard of."""
        return self.body.now

    # --- tasks -------------------------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future."""
        future = RunFuture(loop=self)
        self._count += 1
        future.number = self._count
        return future

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_more: Any,
    ) -> asyncio.Task[Any]:
        """Run a coroutine as a branch of its own."""
        context = contextvars.copy_context() if context is None else context
        parent = CURRENT_BODY.get()
        branch = parent.child() if isinstance(parent, Branch) else self.body.trunk
        context.run(CURRENT_BODY.set, branch)
        self._count += 1
        RunTask.number = self._count  # asyncio puts it into a set of all tasks before it can be told its own
        task = RunTask(coro, loop=self, name=name, context=context)
        task.number = self._count
        task.branch = branch
        if len(self._tasks) > self._most:
            self._tasks = [weakref.ref(one) for one in reversed(self.tasks())]
            self._most = SWEEP + 2 * len(self._tasks)
        self._tasks.append(weakref.ref(task))
        return task

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that have not ended, newest first."""
        return [task for ref in reversed(self._tasks) if (task := ref()) is not None and not task.done()]

    # --- the rest ----------------------------------------------------------------------------------------------------

    def get_debug(self) -> bool:
        """Say that nothing is checked."""
        return False

    def is_running(self) -> bool:
        """Say that the loop runs: whoever asks is on it."""
        return True

    def is_closed(self) -> bool:
        """Say that the loop takes tasks."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an error that nobody of the body has looked at."""
        if not self.body.is_over:
            error = context.get("exception")
            logger.error("Run %s: %s", self.body.run.name, context.get("message"), exc_info=error)


def _refusal(name: str) -> Callable[..., NoReturn]:
    """Return the method of a loop that refuses a call which is no step."""

    def refuse(_loop: RunLoop, *_args: Any, **_options: Any) -> NoReturn:
        raise DefinitionError(
            f"the loop of a workflow has no {name}(): sockets, threads, processes and signals are for tasks, whose "
            "calls are steps"
        )

    return refuse


for _name in vars(asyncio.AbstractEventLoop).keys() - vars(RunLoop).keys():
    if not _name.startswith("_"):
        setattr(RunLoop, _name, _refusal(_name))
