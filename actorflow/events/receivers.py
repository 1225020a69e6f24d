"""Receivers: the subscribers of a bus, refs and functions. Each function has an actor, so none waits for another."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.traits import Traits
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError
from actorflow.events.filters import EventFilter, misfit_of_one
from actorflow.events.subscriber import SlowWatch, Subscriber
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.running.children import Children
    from actorflow.events.envelope import Envelope

CAPACITY: Final = 10_000  # events that wait for one function
SECONDS: Final = 30.0  # for a function to handle one event


class Receiver:
    """One subscription.

    Attributes:
        filter: the events that it wants.
        ref: the actor that gets them: the subscriber, or one that calls the function.
        is_own: the actor was made for the subscription.
    """

    __slots__ = ("filter", "is_own", "ref")

    def __init__(self, filter: EventFilter, ref: ActorRef[Any], *, is_own: bool) -> None:
        self.filter = filter
        self.ref = ref
        self.is_own = is_own

    def take(self, envelope: Envelope) -> None:
        """Put an event into the mailbox of the subscriber.

        Raises:
            ActorDeadError: it is dead.
            MailboxFull: too many events wait for it.
        """
        self.ref.tell(envelope.event if self.ref._is_remote else envelope)

    def end(self) -> Future[bool] | None:
        """End an actor that was made for the subscription, behind the events that it has."""
        return self.ref.stop(block=False) if self.is_own else None


def receiver_of(root: Children, filter: EventFilter, to: object, watch: SlowWatch, capacity: int) -> Receiver:
    """Return the subscription of a ref or a function.

    Raises:
        DefinitionError: it is neither.
    """
    if isinstance(to, ActorRef) and filter.gives_envelopes:
        msg = "subscribe(Envelope, ref): envelopes go to functions; an actor has that of an event in self.envelope"
        raise DefinitionError(msg)
    if isinstance(to, ActorRef) and filter.predicate is None:
        return Receiver(filter, to, is_own=False)
    function: Any = to.tell if isinstance(to, ActorRef) else to
    if not callable(function):
        msg = f"subscribe(..., {text_of(to)}): give a ref or a function of one event"
        raise DefinitionError(msg)
    mismatch = misfit_of_one(function)
    if mismatch is not None:
        msg = f"subscribe(..., {text_of(function)}): a subscriber takes one event: {mismatch}"
        raise DefinitionError(msg) from mismatch
    kind: type[Subscriber] = Subscriber
    if inspect.iscoroutinefunction(function):
        from actorflow.events.async_subscriber import AsyncSubscriber  # noqa: PLC0415 - it imports asyncio, for 20 ms

        kind = AsyncSubscriber
    traits = Traits(kind, kind._child_options.override(capacity=capacity, overflow="fail"))
    return Receiver(filter, root.spawn(traits, (function, filter, watch), {}), is_own=True)
