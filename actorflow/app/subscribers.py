"""Subscribers: the refs and functions that get a system's life-cycle events and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.function_actor import FunctionActor, calling
from actorflow.core.actors.transitions import check_function
from actorflow.core.futures.future import Future
from actorflow.core.messages.events import Subscription
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.children import system_actor
from actorflow.core.running.system_task import completed_within

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

FLUSH_SECONDS = 1.0  # for subscribed functions to hear of the end


def all_of_them(_event: object) -> bool:
    """Say that an event is wanted."""
    return True


class Subscribers:
    """Refs, which get events by `tell`, and functions, which one actor calls; it is made for the first of these."""

    def __init__(self, scheduler: Scheduler, system: str) -> None:
        self._scheduler = scheduler
        self._system = system
        self._caller: ActorRef[FunctionActor] | None = None

    def subscribe(
        self, event: type, to: ActorRef[Any] | Callable[[Any], Any], wanted: Callable[[Any], bool] = all_of_them
    ) -> Subscription:
        """Have events of a class delivered from now on, those that are wanted.

        Raises:
            DefinitionError: the receiver is no ref and no function, or an async one, which nobody would await.
        """
        if not isinstance(to, ActorRef):
            check_function(to)
        receiver = to if isinstance(to, ActorRef) else self._calls()
        message = None if isinstance(to, ActorRef) else to

        def deliver(published: Any) -> None:
            if getattr(published, "ref", None) is receiver or not (wanted(published) and receiver.is_alive()):
                return  # news of a subscriber's own end would never end
            given = published if message is None else calling(message, published)
            receiver._scheduler.post(receiver, given, None)

        return self._scheduler.events.subscribe(event, deliver)

    def _calls(self) -> ActorRef[FunctionActor]:
        if self._caller is None:
            self._caller = system_actor(self._scheduler, FunctionActor._traits, "listener")
        return self._caller

    async def flush(self) -> None:
        """Let the functions hear of the end."""
        if self._caller is not None:
            heard: Future[None] = Future(self._caller)
            self._scheduler.post(self._caller, calling(no_more_events, None), heard)
            await completed_within(self._scheduler, heard, FLUSH_SECONDS)


def no_more_events(_event: object) -> None:
    """Mark the end of the events."""
