"""Subscribers: the refs and functions that get a system's life-cycle events and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.transitions import check_function
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.events import Subscription
from actorflow.core.messages.messages import Call
from actorflow.core.refs.cell import IDLE
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.children import Children
from actorflow.core.running.system_task import completed_within
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

FLUSH_SECONDS = 1.0  # for subscribed functions to hear of the end


class Subscribers:
    """Refs, which get events by `tell`, and functions, which one actor calls; it is made for the first of these."""

    def __init__(self, scheduler: Scheduler, system: str) -> None:
        self._scheduler = scheduler
        self._system = system
        self._caller: ActorRef[Caller] | None = None

    def subscribe(self, event: type, to: ActorRef[Any] | Callable[[Any], Any]) -> Subscription:
        """Have events of a class delivered from now on.

        Raises:
            DefinitionError: the receiver is no ref and no function, or an async one, which nobody would await.
        """
        if not isinstance(to, ActorRef):
            check_function(to)
        receiver = to if isinstance(to, ActorRef) else self._calls()
        message = None if isinstance(to, ActorRef) else to

        def deliver(published: Any) -> None:
            if published.ref is receiver or not receiver.is_alive():
                return  # news of a subscriber's own end would never end
            given = published if message is None else Call("call", (message, published), {})
            receiver._scheduler.post(receiver, given, None)

        return self._scheduler.events.subscribe(event, deliver)

    def _calls(self) -> ActorRef[Caller]:
        if self._caller is None:
            nowhere = Children(self._scheduler, None, f"/{self._system}")
            caller: ActorRef[Caller] = ActorRef(0, self._scheduler, nowhere, Caller._traits, "listener")
            caller._actor = Caller.__new__(Caller)
            caller._actor._actor_ref = caller
            caller._state = IDLE
            self._caller = caller
        return self._caller

    async def flush(self) -> None:
        """Let the functions hear of the end."""
        if self._caller is not None:
            heard: Future[None] = Future(self._caller)
            self._scheduler.post(self._caller, Call("call", (no_more_events, None), {}), heard)
            await completed_within(self._scheduler, heard, FLUSH_SECONDS)


def no_more_events(_event: object) -> None:
    """Mark the end of the events."""


class Caller(Actor):
    """Calls the functions that subscribed to events; it is no member of the tree."""

    def call(self, function: Callable[[Any], Any], event: Any) -> None:
        """Call one function; its error is logged and the others are called all the same."""
        try:
            function(event)
        except KeyboardInterrupt:
            raise  # it ends the system, wherever it is raised
        except BaseException:  # noqa: BLE001 - a SystemExit is no business of the other subscribers
            logger.exception("[%s] A subscriber failed on %s", self.actor_ref.path, text_of(event))
