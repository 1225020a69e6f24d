"""Virtual loop: the asyncio loop of a virtual system. Imported at first need, since asyncio takes 30 ms.

Handlers of actors with loop=True are tasks on it, as on the loop of a live system. It has no thread: one turn of the
loop is one entry of the run queue, so the seed chooses when a turn comes; within it the callbacks run in asyncio's own
order, since its locks and queues rely on that. Its timers are those of the virtual clock.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorflow.core.drivers.unwinding import end_coroutine
from actorflow.core.drivers.virtual_threads import LoopTurn
from actorflow.core.futures.future import Future
from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.core.drivers.parked import Parked
    from actorflow.core.drivers.virtual_baton import VirtualBaton
    from actorflow.core.drivers.virtual_threads import VirtualThread
    from actorflow.core.refs.timers import TimerEntry

LAST_TURNS: Final = 100  # in which cancelled tasks clean up at the end


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio loop on a virtual clock, without sockets and processes.

    Attributes:
        ended: set in the last turn, once there is to be one.
        is_frozen: its simulated process has died: no callback runs any more, and its tasks are ended without a cancel.
        blocked: the wait of the thread that runs a turn, and that thread, while a handler there waits for the store.
    """

    def __init__(self, scheduler: VirtualBaton) -> None:
        self.scheduler = scheduler
        self._callbacks: deque[events.Handle] = deque()
        self._due: dict[int, TimerEntry] = {}  # by `id`: two handles of one time and callback are equal
        self._turn = LoopTurn(self)
        self._is_queued = False
        self.ended: Future[None] | None = None
        self.is_frozen = False
        self.blocked: tuple[Parked, VirtualThread] | None = None
        super().__init__()
        self.set_debug(False)

    def time(self) -> float:
        """Return virtual seconds."""
        return self.scheduler.clock.now

    # --- callbacks ---------------------------------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> events.Handle:
        """Call a function in the next turn."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = events.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> events.TimerHandle:
        """Call a function at a time of the virtual clock."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = events.TimerHandle(when, callback, args, self, context)
        self._due[id(handle)] = self.scheduler.add_timer(when, lambda: self._come(handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> events.TimerHandle:
        """Call a function in some virtual seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        entry = self._due.pop(id(handle), None)
        if entry is not None:
            self.scheduler.timers.cancel(entry)

    def _come(self, handle: events.TimerHandle) -> None:
        self._due.pop(id(handle), None)
        self._put(handle)

    def _put(self, handle: events.Handle) -> None:
        if self.is_frozen and self.ended is None:
            return
        self._callbacks.append(handle)
        if not self._is_queued:
            self._queue_turn()

    def _queue_turn(self) -> None:
        self._is_queued = True
        self.scheduler.post_work(lambda: self.scheduler.ready.append(self._turn))

    def run_turn(self) -> None:
        """Run all callbacks that are ready, in their order; in the last turn, end what is left."""
        self._is_queued = False
        if self._thread_id is not None:  # a handler there waits for the store: as it goes on, the next turn is queued
            return
        if self.ended is None:
            if not self.is_frozen:
                self._run_callbacks()
            return
        try:
            self.end()
        finally:
            self.ended._settle(None, None)

    def freeze(self) -> None:
        """Run nothing any more: the process that has this loop has died."""
        self.is_frozen = True
        self._callbacks.clear()

    def end_in_turn(self) -> Future[None]:
        """Have the loop end in a turn of its own, which the watchdog looks after; the future is its end."""
        self.ended = Future()
        if not self._is_queued:
            self._queue_turn()
        return self.ended

    def _run_callbacks(self) -> None:
        before, hooks = events._get_running_loop(), sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        events._set_running_loop(self)
        sys.set_asyncgen_hooks(self._asyncgen_firstiter_hook, self._asyncgen_finalizer_hook)  # type: ignore[attr-defined]
        try:
            for _ in range(len(self._callbacks)):
                if self.is_frozen and self.ended is None:  # the process died in the midst of this turn
                    break
                handle = self._callbacks.popleft()
                if not handle.cancelled():
                    self._call(handle)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(before)
            self._thread_id = None  # type: ignore[assignment]  # it does not run
            # What came while it waited goes on in the next turn; also the rest of one that was torn apart.
            if (self._callbacks or self.ended is not None) and not self._is_queued:
                self._queue_turn()

    def _call(self, handle: events.Handle) -> None:
        """Run a callback. asyncio lets a SystemExit of any task end the loop: that is the task's alone."""
        try:
            handle._run()
        except BaseException:  # noqa: BLE001 - as above
            logger.exception("A task on the asyncio loop has raised an error that would end the loop; all others go on")

    # --- the world outside -------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call a function in a turn of its own, in place of a thread; it takes no virtual time."""
        if executor is not None:
            self._refuse()
        future = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who awaits, a SystemExit too
                future.set_exception(error)

        self.call_soon(run)
        return future

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise self.scheduler.real_time(
            "connections, processes, signals and executors take real time, and the asyncio loop of a virtual system "
            "has none: put what needs them into an actor or function that the test replaces, or use a live system (the "
            "fixture `system`)"
        )

    async def _refuse_async(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse(*args, **kwargs)

    _no: Any = _refuse
    _no_async: Any = _refuse_async

    create_connection = create_server = create_datagram_endpoint = create_unix_connection = _no_async
    create_unix_server = connect_accepted_socket = connect_read_pipe = connect_write_pipe = _no_async
    subprocess_exec = subprocess_shell = sendfile = start_tls = getaddrinfo = getnameinfo = _no_async
    sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = sock_sendall = sock_sendto = _no_async
    sock_connect = sock_accept = sock_sendfile = _no_async
    add_reader = remove_reader = add_writer = remove_writer = add_signal_handler = remove_signal_handler = _no
    run_forever = run_until_complete = set_default_executor = _no

    def end(self) -> None:
        """Cancel the running tasks, let them and open generators clean up, and end those that go on.

        Tasks of a process that has died hear of no cancel; their frames end.
        """
        self._is_queued = True  # no turn follows
        try:
            if self.is_frozen:
                for task in asyncio.all_tasks(self):
                    end_task(task)
            else:
                for task in asyncio.all_tasks(self):
                    task.cancel()
                self._run_out()
            self.create_task(self.shutdown_asyncgens())
            self._run_out()
            for task in asyncio.all_tasks(self):
                end_task(task)
        finally:
            for entry in self._due.values():
                self.scheduler.timers.cancel(entry)
            self._due.clear()
            self._callbacks.clear()
            self.close()

    def _run_out(self) -> None:
        for _ in range(LAST_TURNS):
            if not self._callbacks:
                break
            self._run_callbacks()


class LoopHome:
    """The place of a virtual loop in its system: what `LoopThread` is in a live one."""

    def __init__(self, scheduler: VirtualBaton) -> None:
        self.loop = VirtualLoop(scheduler)

    @property
    def loops(self) -> list[VirtualLoop]:
        """Those that are open."""
        return [] if self.loop.is_closed() else [self.loop]

    def call(self, func: Callable[[], Any]) -> bool:
        """Call a function on the loop; False after its end."""
        if self.loop.is_closed():
            return False
        self.loop.call_soon(func)
        return True

    def close(self) -> None:
        """Cancel the running tasks, and end the loop."""
        if not self.loop.is_closed():
            self.loop.end()


def end_task(task: Any) -> None:
    """End a task that has swallowed its cancellation; it does not run now."""
    if task is None or task.done():
        return
    task._log_destroy_pending = False
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it was ended, and nobody awaits it
    try:
        end_coroutine(task.get_coro())
    except BaseException as error:  # noqa: BLE001 - its handler was answered
        logger.info("A task on the asyncio loop ended with %r", type(error))
