"""Termination: the effects of an incarnation's or actor's end on others. Runs on the holder of the baton."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.unobserved import fail
from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.messages.handlers import handles, is_silent
from actorflow.core.messages.messages import Stop, Stopped, Terminated
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ACTOR_STOP, ActorRef
from actorflow.errors import ActorDeadError, is_a

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Item


class Notice:
    """Carries a Terminated to the incarnation that watched; another one drops it."""

    __slots__ = ("actor", "event")

    def __init__(self, actor: Actor, event: Terminated) -> None:
        self.actor = actor
        self.event = event

    def __repr__(self) -> str:
        return repr(self.event)


@handles(Notice, silent=True)
def run_notice(ref: ActorRef[Any], notice: Notice) -> Any:
    """Hand a Terminated to `on_receive`."""
    actor = ref._actor
    if actor is None or actor is not notice.actor:
        return None
    return ref._within(lambda: actor.on_receive(notice.event))


def close_incarnation(ref: ActorRef[Any], error: BaseException | None) -> None:
    """End the open replies, watches and thread of an incarnation; its timers notice the end by themselves."""
    if ref._actor is not None:
        ref._actor._give_up(error)
    cold = ref._cold
    if cold is None:
        ref._actor = None
        return
    replies = list(cold.replies.values())  # before the actor goes, which may be the last to hold them
    ref._actor = None
    for reply in replies:
        if reply._future is not None:
            reply._future._settle(None, error if is_a(error, Exception) else dead_before(ref, error))
    cold.replies.clear()
    for timer in list(cold.timers):
        timer.forget()
    for watched in cold.watching:
        if watched._cold is not None:
            watched._cold.watchers.pop(ref, None)
    cold.watching.clear()
    if cold.pinned is not None:
        cold.pinned.end()
        cold.pinned = None
    if cold.stash:
        unstash(ref)


def unstash(ref: ActorRef[Any]) -> None:
    """Put the stashed messages back to the front of the mailbox, in their old order."""
    cold = cold_of(ref)
    stashed, cold.stash = cold.stash, deque()
    ref._put_back(stashed)


def bury(ref: ActorRef[Any], error: BaseException | None, cause: BaseException | None = None) -> None:
    """Answer the waiting callers of an actor that is dead for good, and tell its watchers.

    `cause` is the cause of the askers' ActorDeadError, if not `error`: a parent that gave up, say.
    """
    if ref._state == DEAD:
        return
    scheduler = ref._scheduler
    ref._actor = None
    ref._state = DEAD
    REFS.by_uid.pop(ref.uid, None)
    ref._parent.remove(ref)
    cold, ref._cold = ref._cold, None
    if error is not None or cause is not None:
        cold_of(ref).cause = error if error is not None else cause
    if ref._queue is not None:
        waiting = list(ref._queue)
        scheduler.free_queue(ref)
        for item in waiting:
            refuse(item, cause if cause is not None else error)
    if cold is not None:
        for watcher, actor in cold.watchers.items():
            if watcher._cold is not None:
                watcher._cold.watching.pop(ref, None)
            seen = None if error is None else ref._across(error, watcher)
            watcher._scheduler.post(watcher, Notice(actor, Terminated(ref, seen)), None)
        for future in cold.ended:
            future._settle(None, None)
        if cold.exit is not None:
            cold.exit.done._settle(None, None)
    ref._close(error)
    if scheduler.buried is not None:
        scheduler.buried.append((ref.uid, ref.path, ref._traits))
    if scheduler.events.listeners:
        seen = None if error is None else ref._across(error, None)
        scheduler.events.publish(Stopped(ref, scheduler.clock.time(), seen))


def refuse(item: Item, cause: BaseException | None) -> None:
    """Answer a message that the actor did not live to handle, or make it a dead letter."""
    ref, message, future, sender = item[:4]
    if ref._pass_on(item):
        return
    if type(message) is Stop or type(message) is ACTOR_STOP:
        if future is not None:
            future._settle(value=True, error=None)
    elif future is not None:
        fail(ref, message, future, sender, dead_before(ref, cause))
    elif is_silent(message):
        ref._close(cause)  # it may stand for mail that came in after the end
    else:
        reason = cause if cause is not None else ActorDeadError(f"{ref} is dead")
        ref._scheduler.events.dead_letter(ref, message, sender, reason)


def notify_end(ref: ActorRef[Any], future: Future[Any]) -> None:
    """Set the future at the actor's end."""
    if ref._state == DEAD:
        future._settle(None, None)
    else:
        cold_of(ref).ended.append(future)


def watch(watcher: ActorRef[Any], target: ActorRef[Any], actor: Actor) -> None:
    """Send Terminated to the watcher at the target's end; at once if it is dead."""
    if watcher._actor is not actor:
        return
    if target._state == DEAD:
        reason = target._cold.cause if target._cold is not None else None
        watcher._scheduler.post(watcher, Notice(actor, Terminated(target, reason)), None)
        return
    cold_of(target).watchers[watcher] = actor
    if watcher._scheduler is target._scheduler:
        cold_of(watcher).watching[target] = None
