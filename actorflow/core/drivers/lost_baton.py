"""Lost baton: the end of a world in which a handler has the baton and does not return.

It may wait for a lock that another handler has, which was made before the simulation. Nobody runs the world's steps any
more, so the threads that wait would wait for ever. They are ended one after the other, each in real time: its frames
free what they hold, and with it, as a rule, the handler that was stuck.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from actorflow.core.clock import SystemClock
from actorflow.core.drivers.unwinding import absorb, strike, withdraw
from actorflow.core.log import logger
from actorflow.core.messages.execution import ABANDONED
from actorflow.core.running.run_queue import AT_REST

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual_baton import VirtualBaton
    from actorflow.core.drivers.virtual_threads import VirtualThread

PATIENCE = 2.0  # seconds for a thread whose wait was ended; one that enters the runtime takes less than one ms
STUCK_PATIENCE = 0.5  # for the one that has the baton: it may wait for what the others held
STRIKE_SECONDS = 2.0  # for those that do not enter the runtime
STRIKE_PAUSE: Final = 0.005


def end_threads(scheduler: VirtualBaton) -> None:
    """End the threads of a closed scheduler; log those that are blocked in C code for good."""
    workers = scheduler.threads()
    for own in list(scheduler.own_threads.values()):
        own.end()
    for worker in workers:
        if worker.item is not AT_REST:
            worker.left, worker.item = worker.item, ABANDONED
        let_off(scheduler, worker)
    stuck = [worker for worker in workers if worker.parked is None and worker.is_busy]
    left = [worker for worker in workers if worker not in stuck and not has_ended(scheduler, worker, PATIENCE)]
    ended = [has_ended(scheduler, worker, STUCK_PATIENCE) for worker in [*stuck, *left]]
    if not all(ended):
        logger.error("A handler of a world that has ended is blocked in C code, and its thread stays")


def has_ended(scheduler: VirtualBaton, worker: VirtualThread, patience: float) -> bool:
    """Wake a thread and see its frames end; False if they do not."""
    thread = worker.thread
    if thread is None:
        return True
    if worker.parked is not None:
        with contextlib.suppress(RuntimeError):
            worker.parked.lock.release()
    thread.join(patience)
    end = SystemClock.monotonic() + STRIKE_SECONDS
    while thread.is_alive() and SystemClock.monotonic() < end:
        with scheduler.strike_lock:
            if worker.is_busy:
                worker.is_marked = worker.is_struck = True
                worker.strikes += strike(worker.ident)
        thread.join(STRIKE_PAUSE)
    let_off(scheduler, worker)
    return not thread.is_alive()


def let_off(scheduler: VirtualBaton, worker: VirtualThread) -> None:
    """Take back the strike of a handler that is blocked in C code: its frames may free their locks."""
    with scheduler.strike_lock:
        is_struck, worker.is_struck = worker.is_struck and worker.is_busy, False
        if is_struck:
            withdraw(worker.ident)
    if is_struck:
        absorb()
