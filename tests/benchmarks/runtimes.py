"""The three ways to run the same handlers. A benchmark's actor is a plain class; only the base put under it differs."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import pykka

Spawn = Callable[..., Any]
"""Takes a handler class and its arguments, gives a ref."""

Actors = Callable[[], AbstractContextManager[Spawn]]
"""Opens a runtime and gives its Spawn; all actors are stopped at the end of the block."""


@cache
def actor_class(body: type, base: type) -> type:
    """Put a runtime's base class under a handler class, once: learning about a class must be able to last."""
    return type(body.__name__, (body, base), {"__module__": body.__module__})


@contextmanager
def pykka_actors() -> Iterator[Spawn]:
    """Run handlers as pykka's ThreadingActor."""

    def spawn(body: type, *args: Any) -> Any:
        return actor_class(body, pykka.ThreadingActor).start(*args)  # type: ignore[attr-defined]

    try:
        yield spawn
    finally:
        pykka.ActorRegistry.stop_all()


@contextmanager
def our_actors() -> Iterator[Spawn]:
    """Run handlers as actorflow's Actor in a system of its own."""
    import actorflow as af

    with af.ActorSystem("bench") as system:

        def spawn(body: type, *args: Any) -> Any:
            return system.spawn(actor_class(body, af.Actor), *args)

        yield spawn


class QueueActor:
    """What one writes by hand in asyncio: a task that reads an asyncio.Queue. It is its own ref."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.tell = self.queue.put_nowait
        self.actor_ref = self

    def on_receive(self, message: Any) -> Any:
        raise NotImplementedError

    def on_stop(self) -> None:
        pass

    async def run(self) -> None:
        """Handle one message after the other until cancelled."""
        get, handle = self.queue.get, self.on_receive
        try:
            while True:
                handle(await get())
        finally:
            self.on_stop()


class QueueActors:
    """Runs handlers as QueueActors on the current loop: `async with QueueActors() as spawn`."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Spawn:
        return self.spawn

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def spawn(self, body: type, *args: Any) -> Any:
        actor = actor_class(body, QueueActor)(*args)
        self.tasks.append(asyncio.create_task(actor.run()))
        return actor
