"""Events: life-cycle events and dead letters, and the subscriptions to them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.atomic import exclusively
from actorflow.core.log import logger
from actorflow.core.messages.messages import DeadLetter
from actorflow.text import Shown, text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler


class Subscription:
    """A subscription to events; `cancel` ends it."""

    __slots__ = ("_cancel",)

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Deliver no more events. Events queued at the subscriber still arrive."""
        self._cancel()


class Events:
    """The subscriptions to events, by class. Publishing costs one test while there are none.

    Each scheduler makes one. Any thread may subscribe.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = threading.RLock()
        self.listeners: dict[type, tuple[Callable[[Any], None], ...]] = {}
        self.dead_letters = 0
        self.interrupted: Callable[[], None] = lambda: None
        self._logged_at: float | None = None
        self._unlogged = 0

    def subscribe(self, kind: type, deliver: Callable[[Any], None]) -> Subscription:
        """Have `deliver` called with each event of the kind by the holder of the baton; it must only send."""

        def add() -> None:
            self.listeners = {**self.listeners, kind: (*self.listeners.get(kind, ()), deliver)}

        exclusively(self._lock, add)
        return Subscription(partial(self.unsubscribe, kind, deliver))

    def unsubscribe(self, kind: type, deliver: Callable[[Any], None]) -> None:
        """Take a listener out."""

        def remove() -> None:
            left = tuple(other for other in self.listeners.get(kind, ()) if other is not deliver)
            listeners = {**self.listeners, kind: left}
            if not left:
                del listeners[kind]
            self.listeners = listeners

        exclusively(self._lock, remove)

    def publish(self, event: Any) -> None:
        """Give the event to all subscribers of its class."""
        for deliver in self.listeners.get(event.__class__, ()):
            deliver(event)

    def dead_letter(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, reason: BaseException | None
    ) -> None:
        """Count a message that nobody handled, publish it, and log at most one line a second."""
        self.dead_letters += 1
        if self.listeners:
            self.publish(DeadLetter(ref, message, sender, None if reason is None else ref._across(reason, None)))
        now = self._scheduler.clock.monotonic()
        if self._logged_at is None or now - self._logged_at >= 1.0:
            more = f" ({self._unlogged} more since the last line)" if self._unlogged else ""
            level = logging.INFO if self._scheduler.draining else logging.WARNING  # an end that was asked for
            # The reason itself, not its text: filters of log records choose by its class.
            logger.log(level, "Dead letter for %s: %s: %s%s", ref.path, text_of(message), Shown(reason), more)
            self._logged_at, self._unlogged = now, 0
        else:
            self._unlogged += 1
