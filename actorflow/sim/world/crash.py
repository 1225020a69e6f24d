"""Crash: the death of a simulated host, as by kill -9.

Memory and mailboxes are lost, the store is kept. A kill runs no `finally`: the frames of handlers that wait are frozen
as they stand, can send, commit and answer nothing any more, and are ended after the last check of the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from actorflow.core.drivers.virtual_threads import VirtualThread
from actorflow.core.log import logger
from actorflow.core.messages.execution import ABANDONED
from actorflow.core.messages.handlers import is_silent
from actorflow.core.refs.cell import CHANGING, DEAD
from actorflow.core.refs.termination import bury, close_incarnation
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.durable.handling.runtime_messages import MessageInMemory
from actorflow.errors import HostDied
from actorflow.sim.world.refs import LateFuture

if TYPE_CHECKING:
    from actorflow.core.drivers.parked import Parked
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Execution, Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.sim.world.host import SimHost
    from actorflow.sim.world.scheduler import SimScheduler, SimWorld

KILLED = 9  # the signal


def crash_host(scheduler: SimScheduler, host: SimHost, down: float) -> None:
    """Kill a host; the supervisors of its actors hear of it, and restart them, after `down` seconds.

    One that is down already stays down for the longer of the two times, and its actors are restarted once.
    """
    world = scheduler.world
    error = HostDied(host.name, signal=KILLED, host=host.name)
    refs = [ref for ref in refs_below(scheduler.root) if scheduler.hosts_here.of(ref) is host]
    host.life += 1
    life = host.life
    host.down_until = max(host.down_until, world.clock.now + down)
    world.network.forget(host)
    highest = [
        ref for ref in refs if ref._parent.owner is None or scheduler.hosts_here.of(ref._parent.owner) is not host
    ]
    for ref in reversed(refs):
        lose_incarnation(scheduler, ref, error)
    freeze_loop(world, host)
    free_locks(world, refs)
    for ref in reversed(refs):
        if ref not in highest:
            bury(ref, None, error)
    for ref in highest:
        ref._children = None
        ref._state = CHANGING

    def come_back() -> None:
        if host.life == life:
            tell_supervisors(highest, error)

    world.timers.add(host.down_until, come_back)


def tell_supervisors(refs: list[ActorRef[Any]], error: HostDied) -> None:
    """Have the parents of actors whose host died decide about them."""
    for ref in refs:
        if ref._state != DEAD and ref._actor is None:
            ref._parent.crashed(ref, error)
            ref._parent.child_ended(ref, error, final=False)


def free_locks(world: SimWorld, refs: list[ActorRef[Any]]) -> None:
    """Free the locks that actors of a dead host hold: with its memory they are gone."""
    uids = {ref.uid for ref in refs}
    for lock, ref in list(world.held.items()):
        if ref.uid in uids:
            del world.held[lock]
            lock.free()


def refs_below(children: Any) -> Iterator[ActorRef[Any]]:
    """Return all living actors of a tree, parents before their children; without recursion, as trees may be deep."""
    left = [children]
    while left:
        for ref in left.pop() or ():
            if ref._state != DEAD:
                yield ref
                left.append(ref._children)


def lose_incarnation(scheduler: SimScheduler, ref: ActorRef[Any], error: HostDied) -> None:
    """Freeze the handlers of an actor, and lose its mailbox."""
    for execution in scheduler.executions(ref):
        freeze(scheduler.world, execution, error)
    ref._waiting = None
    queue = [] if ref._queue is None else list(ref._queue)
    scheduler.free_queue(ref)
    if ref in scheduler.ready:
        scheduler.ready.remove(ref)
    close_incarnation(ref, error)
    kept: deque[Item] = deque()
    for item in [*queue, *(ref._queue or ())]:  # stashed messages are put back by now
        if is_of_node(item):
            kept.append(item)
        else:
            lose_item(item, error)
    scheduler.free_queue(ref)
    if kept:
        ref._put_back(kept)


def freeze_all(scheduler: SimScheduler) -> None:
    """Freeze all handlers of a node that dies."""
    error = HostDied(scheduler.hosts_here.main.name, signal=KILLED, host=scheduler.hosts_here.main.name)
    refs = list(refs_below(scheduler.root))
    for ref in refs:
        for execution in scheduler.executions(ref):
            freeze(scheduler.world, execution, error)
    for worker in scheduler.threads():  # of actors of the runtime's that are in no tree, such as the housekeeping
        ref = worker.item[0]
        if ref is not None and ref._scheduler is scheduler and worker.parked is not None:
            freeze(scheduler.world, worker, error)
    for host in scheduler.hosts_here.all():
        freeze_loop(scheduler.world, host)
    free_locks(scheduler.world, refs)


def freeze(world: SimWorld, execution: Execution, error: HostDied) -> None:
    """Keep a handler from ever going on; whoever asked hears of the death."""
    world.detours = True
    item = execution.item
    execution.item = ABANDONED
    execution.left = item
    world.abandoned_items[id(item)] = item
    if isinstance(execution, AsyncHandler):
        world.frozen[execution] = execution
    elif isinstance(execution, VirtualThread) and execution.parked is not None:
        freeze_wait(world, execution.parked, execution)
    elif not execution.on_loop:  # else its loop is frozen
        execution.scheduler.cut_off(execution)
    answer(item[2], error.for_ask(maybe_ran=True))


def freeze_wait(world: SimWorld, parked: Parked, worker: VirtualThread) -> None:
    """Keep a thread from ever going on; the transaction that it has open is undone."""
    world.frozen[parked] = worker
    if world.store is not None:
        world.store.give_up(worker.ident)


def freeze_loop(world: SimWorld, host: SimHost) -> None:
    """Keep all tasks of a host's asyncio loop from ever going on, also those that no handler waits for."""
    home, host.loop = host.loop, None
    if home is None or home.loop.is_closed():
        return
    world.detours = True
    loop = home.loop
    loop.freeze()
    world.frozen_loops.append(loop)
    if loop.blocked is not None:
        freeze_wait(world, *loop.blocked)


def is_of_node(item: Item) -> bool:
    """Say whether a message to a durable actor is the word of its node that there is something in the store."""
    message = item[1]
    return hasattr(item[0], "_box") and is_silent(message) and type(message) is not MessageInMemory


def lose_item(item: Item, error: HostDied) -> None:
    """Tell of a message that was in the mailbox of an actor whose host died."""
    ref, message, future, sender = item[:4]
    if future is not None:
        answer(future, error.for_ask(maybe_ran=False))
    elif not is_silent(message):
        ref._scheduler.events.dead_letter(ref, message, sender, error)


def answer(future: Future[Any] | None, error: HostDied) -> None:
    """Tell the asker that the host is dead, unless the answer is on its way."""
    if isinstance(future, LateFuture):
        if not future._is_sent:
            future.lose(error)
    elif future is not None:
        future._settle(None, error)


def unfreeze(world: SimWorld) -> None:
    """End all frozen frames; nothing else runs any more."""
    world.sort_all()
    frozen, world.frozen = world.frozen, {}
    for entry in [entry for entry in world.ready if entry in frozen]:  # its wait was over as its host died
        world.ready.remove(entry)
    interrupts: list[KeyboardInterrupt] = []
    for entry, execution in frozen.items():
        if not isinstance(execution, AsyncHandler):
            entry.over = True
            world.ready.append(entry)
            continue
        try:
            execution.scheduler.close_coroutine(execution.coro)
        except KeyboardInterrupt as error:  # all others end all the same
            interrupts.append(error)
        except BaseException as error:  # noqa: BLE001 - its handler is over: nobody waits for it
            logger.debug("an async handler of a host that has died ended with %r", type(error))
    ends, world.frozen_ends = world.frozen_ends, []
    for end in ends:
        try:
            end()
        except KeyboardInterrupt as error:
            interrupts.append(error)
    loops, world.frozen_loops = world.frozen_loops, []
    if world.lost_baton:  # nothing takes a turn any more
        for loop in loops:
            if loop.blocked is None and not loop.is_running():
                loop.end()
    else:
        for loop in loops:
            loop.end_in_turn()
        world.sleep(0)
    if interrupts:
        raise interrupts[0]
