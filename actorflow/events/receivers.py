"""Receivers: the subscribers of a bus, refs and functions. Each function has an actor, so none waits for another."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.traits import Traits
from actorflow.core.log import logger
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError, Stopping, is_a
from actorflow.events.envelope import handled_envelope
from actorflow.text import plural, text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.running.children import Children
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.events.envelope import Envelope
    from actorflow.events.filters import EventFilter

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


class Subscriber(Actor):
    """An actor that was made for one subscription, of a function or by a predicate.

    An error of the function or the predicate is logged and a dead letter, and the next event is handled all the same.
    """

    _ends_last: ClassVar[bool] = True  # behind the services, whose last events are for it, too

    def __init__(self, function: Callable[[Any], Any], filter: EventFilter, watch: SlowWatch) -> None:
        super().__init__()
        self.function = function
        self.filter = filter
        self.watch = watch

    def on_receive(self, message: Any) -> Any:
        """Call the function with an event, if it is wanted."""
        watch = self.watch
        watch.begin(self, message)
        try:
            if self.filter.predicate is None or self.filter.predicate(message):
                self.function(handled_envelope() if self.filter.gives_envelopes else message)
        except BaseException as error:
            if is_a(error, KeyboardInterrupt) or (is_a(error, Stopping) and must_stop(self._actor_ref)):
                raise
            self._report(message, error)  # a SystemExit, too: it is no business of the others
        finally:
            watch.end(self)

    def mark(self) -> None:
        """Answer behind the events so far."""

    def _report(self, event: object, error: BaseException) -> None:
        """Log an error, and make the event a dead letter."""
        logger.error("A subscriber failed: %s(%s)", text_of(self.function), text_of(event), exc_info=error)
        ref = self._actor_ref
        ref._scheduler.post_work(lambda: ref._scheduler.events.dead_letter(ref, event, None, error))


class AsyncSubscriber(Subscriber, loop=True):
    """A subscriber whose function is async; it runs on the system's asyncio loop, one event at a time."""

    async def on_receive(self, message: Any) -> None:
        """Await the function, for its seconds at most."""
        watch, seconds = self.watch, self.watch.seconds
        bound = asyncio.timeout(seconds)
        watch.begin(self, message, slack=seconds)  # it may block the loop, so that nothing cancels it
        try:
            if self.filter.predicate is None or self.filter.predicate(message):
                async with bound:
                    await self.function(handled_envelope() if self.filter.gives_envelopes else message)
        except BaseException as error:
            if is_a(error, KeyboardInterrupt, GeneratorExit) or is_being_cancelled():
                raise
            if is_a(error, TimeoutError) and bound.expired():
                error = TimeoutError(f"it took more than {plural(seconds, 'second')}, and was cancelled")
            self._report(message, error)
        finally:
            watch.end(self)


def is_being_cancelled() -> bool:
    """Say whether the handler that runs here on the asyncio loop is to end; a task that it awaits may end by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class SlowWatch:
    """Reports functions that do not come to an end with an event: a thread that runs one cannot be ended.

    A bus has one. It looks at them once in so many seconds, while any runs.

    Attributes:
        seconds: that one event may take.
    """

    def __init__(self, scheduler: Scheduler, seconds: float) -> None:
        self.seconds = seconds
        self._scheduler = scheduler
        self._running: dict[Subscriber, tuple[float, float, object]] = {}
        self._reported: set[Subscriber] = set()
        self._is_looking = False

    def begin(self, subscriber: Subscriber, event: object, slack: float = 0.0) -> None:
        """Note that a function begins, which has so many seconds more than others."""
        self._running[subscriber] = (self._scheduler.clock.monotonic(), slack, event)
        if not self._is_looking:
            self._is_looking = True
            self._scheduler.post_work(self._look_later)

    def end(self, subscriber: Subscriber) -> None:
        """Note that a function has ended."""
        self._running.pop(subscriber, None)
        if subscriber in self._reported:
            self._reported.discard(subscriber)
            logger.info("A subscriber goes on: %s", text_of(subscriber.function))

    def _look_later(self) -> None:
        entry = self._scheduler.add_timer(self._scheduler.clock.monotonic() + self.seconds, self._look)
        entry.is_silent = True

    def _look(self) -> None:
        self._is_looking = False  # first: a function that begins now asks for a look of its own
        now = self._scheduler.clock.monotonic()
        for subscriber, (since, slack, event) in list(self._running.items()):
            if now - since < self.seconds + slack or subscriber in self._reported:
                continue
            self._reported.add(subscriber)
            waiting = len(subscriber._actor_ref._mail)  # type: ignore[attr-defined]
            logger.error(
                "A subscriber blocks: %s has had %s for %s, and keeps %s of its own waiting",
                text_of(subscriber.function),
                text_of(event),
                plural(round(now - since, 1), "second"),
                plural(waiting, "event"),
            )
        if self._running and not self._is_looking:
            self._is_looking = True
            self._look_later()


def check_takes_one(function: Callable[..., Any]) -> None:
    """Refuse a function that cannot be called with an event: it would fail at each.

    Raises:
        DefinitionError: it takes more arguments, or none.
    """
    try:
        inspect.signature(function).bind(None)
    except ValueError:  # of C, which has no signature
        return
    except TypeError as mismatch:
        msg = f"subscribe(..., {text_of(function)}): a subscriber takes one event: {mismatch}"
        raise DefinitionError(msg) from mismatch


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
    check_takes_one(function)
    kind = AsyncSubscriber if inspect.iscoroutinefunction(function) else Subscriber
    traits = Traits(kind, kind._child_options.override(capacity=capacity, overflow="fail"))
    return Receiver(filter, root.spawn(traits, (function, filter, watch), {}), is_own=True)
