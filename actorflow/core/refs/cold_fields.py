"""ColdFields: the fields that only some actors need; made at first use, so that an idle actor stays small."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.core.atomic import exclusively, forkable_lock

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.drivers.own_thread import OwnThread
    from actorflow.core.drivers.virtual_threads import VirtualOwnThread
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Item
    from actorflow.core.messages.reply import Reply
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.refs.timers import Timer


_lock = forkable_lock()  # re-entrant: a finaliser may run while its thread is in here


class ColdFields:
    """Watchers, stash, pending exit and recipe of one actor.

    The holder of the baton alone touches it, but for `stash`, `unstash` and `replies`, which its handlers write.

    Attributes:
        recipe: constructor arguments, kept when the actor may be restarted.
        cause: of a dead actor, the error that ended it.
        crashes: the number of crashes in a row, and the time of the last; for the pauses between restarts.
        exit: set once a supervisor wants the incarnation to end; it comes after the current handler.
        watchers: the refs that get Terminated at the actor's end, each with the incarnation that asked for it.
        watching: the refs that this incarnation watches; its watches end with it.
        stash: messages put aside by `ctx.stash()`; `unstash` asks for them back after the current handler.
        timers: started by this incarnation and still to fire.
        replies: promised by `ctx.reply_later()`; answered at the incarnation's end if still open.
        ended: futures to set at the actor's end.
        listeners: of a state machine, the subscribers to its transitions; they outlive the incarnation.
    """

    __slots__ = (
        "cause",
        "crashes",
        "ended",
        "exit",
        "listeners",
        "pinned",
        "recipe",
        "replies",
        "stash",
        "timers",
        "unstash",
        "watchers",
        "watching",
    )

    def __init__(self) -> None:
        self.recipe: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.cause: BaseException | None = None
        self.crashes: tuple[int, float] = (0, 0.0)
        self.exit: ExitRequest | None = None
        self.watchers: dict[ActorRef[Any], Actor] = {}
        self.watching: dict[ActorRef[Any], None] = {}
        self.stash: deque[Item] = deque()
        self.unstash = False
        self.timers: set[Timer] = set()
        self.replies: weakref.WeakValueDictionary[int, Reply] = weakref.WeakValueDictionary()  # keeps their order
        self.ended: list[Future[Any]] = []
        self.listeners: list[ActorRef[Any]] = []
        self.pinned: OwnThread | VirtualOwnThread | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is to be done about the actor after its handler."""
        return self.exit is None and not self.unstash


class ExitRequest:
    """A supervisor's request that the incarnation end after the current handler.

    `done` is set once the incarnation has ended; `restart`: the mailbox is kept for the next incarnation; `cause`: the
    cause of the ActorDeadError that open asks get; `begun`: no handler is to be woken any more, so `on_stop` may wait.
    """

    __slots__ = ("begun", "cause", "done", "restart")

    def __init__(self, done: Future[Any], *, restart: bool, cause: BaseException | None) -> None:
        self.done = done
        self.restart = restart
        self.cause = cause
        self.begun = False


def must_stop(ref: ActorRef[Any]) -> bool:
    """Say whether a handler of the actor may not wait any more."""
    cold = ref._cold
    return cold is not None and cold.exit is not None and not cold.exit.begun


def cold_of(ref: ActorRef[Any]) -> ColdFields:
    """Return the ref's cold fields, made at first use."""
    cold = ref._cold
    if cold is None:
        return exclusively(_lock, lambda: _made(ref))  # an overtaken handler may stash while an exit is noted
    return cold


def _made(ref: ActorRef[Any]) -> ColdFields:
    cold = ref._cold
    if cold is None:
        cold = ref._cold = ColdFields()
    return cold
