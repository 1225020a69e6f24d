"""Views: what pykka's API shows of an actor, made of its ref when it is asked for. Layer 1."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING, Any

import pykka

from actorflow.core.future import Future
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef


class Proxy(pykka.ActorProxy[Any]):
    """A pykka proxy that looks at the living incarnation, not at the one it was made with."""

    @property
    def _actor(self) -> Any:
        return self.actor_ref._actor_weakref()

    @_actor.setter
    def _actor(self, actor: Any) -> None:
        """Leave it to the ref."""


class Inbox:
    """pykka's inbox, as far as it makes sense: a place to put envelopes."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def put(self, envelope: Any, /) -> None:
        """Send the envelope's message; its `reply_to` future gets the answer."""
        reply_to = envelope.reply_to
        if reply_to is None:
            self._ref.tell(envelope.message)
            return
        future: Future[Any] = Future(self._ref)

        def forward() -> None:
            with contextlib.suppress(queue.Full):  # somebody else has set it
                if future._error is None:
                    reply_to.set(future._value)
                else:
                    reply_to.set_exception((type(future._error), future._error, future._error.__traceback__))

        future._add_waiter(forward)
        self._ref._send(envelope.message, future)

    def empty(self) -> bool:
        """Say whether nothing waits in the mailbox (messages on their way there do not count)."""
        return not self._ref._queue

    def get(self) -> Any:
        """Refuse: the scheduler takes messages out."""
        msg = "the scheduler takes messages out of a mailbox; override on_receive to see them"
        raise DefinitionError(msg)


class StoppedEvent:
    """pykka's `actor_stopped`, as a view of the ref."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def is_set(self) -> bool:
        """Say whether the actor is dead or runs its last hook."""
        return not self._ref.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the actor is dead, at most `timeout` seconds; say whether it is."""
        if not self.is_set():
            future = self._ref._scheduler.end_of(self._ref)
            try:
                future.get(timeout=timeout)
            except pykka.Timeout:
                return self.is_set()
        return True

    def set(self) -> None:
        """Refuse, unless it is set already: pykka's code never calls it on our actors."""
        if not self.is_set():
            msg = "stop an actor by ref.stop()"
            raise DefinitionError(msg)
