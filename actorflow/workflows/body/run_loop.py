"""RunLoop: the asyncio loop of one async body: no sockets, no threads, and timers that last.

Tasks and futures hash by a number, since `asyncio.wait` and `TaskGroup` keep sets of them and walk these: by address,
they would come in another order in each process.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from actorflow.core.log import logger
from actorflow.errors import DefinitionError
from actorflow.tasks.current import CURRENT_BODY
from actorflow.workflows.body.branch import Branch

if TYPE_CHECKING:
    from actorflow.workflows.body.async_body import AsyncBody


class Numbered:
    """Hashes by a number of its own."""

    number = -1

    def __hash__(self) -> int:
        return self.number


class RunTask(Numbered, asyncio.Task):  # type: ignore[type-arg]
    """An asyncio task of a body."""


class RunFuture(Numbered, asyncio.Future):  # type: ignore[type-arg]
    """An asyncio future of a body."""


class RunLoop(asyncio.AbstractEventLoop):
    """The loop of one body; `drain` runs it until nothing in it is ready."""

    def __init__(self, body: AsyncBody) -> None:
        self.body = body
        self._ready: deque[asyncio.Handle] = deque()
        self._count = 0
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def drain(self) -> None:
        """Run until nothing is ready."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
        finally:
            asyncio._set_running_loop(before)

    # --- callbacks ---------------------------------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call a function soon."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call a function in some seconds, also if they pass in other processes: it is a step."""
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self.body.begin_timer(self._branch(), delay)._add_waiter(lambda: self._fire(handle))
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
            self._ready.append(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave the timer to its end: nobody hears of it."""

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
        self._tasks.add(task)
        return task

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that have not ended, newest first."""
        return sorted((task for task in self._tasks if not task.done()), key=lambda task: -task.number)  # type: ignore[attr-defined]

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

    def run_in_executor(self, *_args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: what it does is no step.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError("run_in_executor() and asyncio.to_thread() in the body of a workflow: make it a task")
