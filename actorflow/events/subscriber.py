"""Subscriber: the actor of a subscribed function, and the watch that reports a function that blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.core.refs.cold_fields import must_stop
from actorflow.errors import Stopping, is_a
from actorflow.events.envelope import handled_envelope
from actorflow.text import plural, text_of

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.events.filters import EventFilter


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
