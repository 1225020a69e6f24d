"""AsyncSubscriber: the actor of a subscribed `async def` function."""

from __future__ import annotations

import asyncio
from typing import Any

from actorflow.errors import is_a
from actorflow.events.envelope import handled_envelope
from actorflow.events.subscriber import Subscriber
from actorflow.text import plural


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
