"""Opening: a queue of a system, with its claimer if it works here. Layer 4."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from actorflow.core.child import child
from actorflow.errors import DefinitionError
from actorflow.queue.claimer import Claimer
from actorflow.queue.limits import Limit, check_count, parse_rate
from actorflow.queue.line import Line
from actorflow.queue.queue import Queue, declare

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queue.waits import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability


class Home(Protocol):
    """The system that a queue belongs to, as far as it needs it."""

    lines: dict[str, Line]

    @property
    def store(self) -> Store:
        """The system's store."""
        ...

    @property
    def waits(self) -> Waits:
        """Who waits for jobs."""
        ...

    def pool(self, name: str, /) -> ProcessPool:
        """Return a pool."""
        ...

    def spawn(self, recipe: Any, /) -> ActorRef[Any]:
        """Start an actor."""
        ...


_lock = threading.Lock()


def open_queue(
    system: Any,
    name: str,
    workers: int,
    concurrency: int | None,
    rate: str | None,
    per_key: Limit | None,
    durability: Durability | None,
) -> Queue:
    """Return a queue of a system, and start its workers if they are not there yet."""
    if not isinstance(name, str) or not name or "/" in name:
        msg = f"queue name {name!r}: a name is not empty and has no '/'"
        raise DefinitionError(msg)
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
        msg = f"workers={workers!r}: a whole number, 0 or more"
        raise DefinitionError(msg)
    check_count("concurrency", concurrency)
    parse_rate(rate)
    home: Home = system
    with _lock:
        line = home.lines.get(name)
        if line is None:
            pool: Callable[[], ProcessPool] = lambda: home.pool("cpu")  # noqa: E731
            line = home.lines[name] = Line(name, home.store, home.waits, pool, durability)
            home.store.watch(line.wake)
    if concurrency is not None or rate is not None or per_key is not None:
        declare(line, concurrency=concurrency, rate=rate, per_key=per_key)
    if workers:
        with _lock:
            if line.claimer is not None:
                if line.workers != workers:
                    msg = f"queue {name!r} has {line.workers} workers here already; {workers} are asked for"
                    raise DefinitionError(msg)
                return Queue(line, workers)
            line.workers = workers
        recipe = child(Claimer, line, workers).options(name=f"queue-{name}", restart="permanent")
        line.claimer = home.spawn(recipe)
    return Queue(line, workers)
