"""Extensions: the parts that higher layers make for a scheduler at first need, with the methods that the core calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from actorflow.core.refs.bounded_mailbox import BoundedRef
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.reply import Reply

# A kind of ref, and the traits that an actor has in this process.
Placed: TypeAlias = "tuple[type[ActorRef[Any]], Traits]"


class Closing(Protocol):
    """A part of a system that ends with its threads."""

    def close(self, seconds: float, /) -> object:
        """End this part, in so many seconds."""
        ...


class HostsExtension(Closing, Protocol):
    """The child processes of a system: `process.hosts`."""

    def begin_close(self, seconds: float, /) -> object:
        """Begin to end all child processes; does not wait."""
        ...


class LoopExtension(Protocol):
    """The asyncio loop of a system: `core.drivers.asyncio_loop`."""

    def close(self) -> object:
        """Cancel the running tasks, and end the thread."""
        ...


class DurableExtension(Protocol):
    """The durable actors of a system: `durable.node.runtime`, or in a child process `durable.remote.guest`."""

    def ref_of(self, name: str, cls: type[Any], /) -> ActorRef[Any]:
        """Return the ref of the durable actor of a name."""
        ...

    def reply_to(self, number: int, /) -> Reply:
        """Return the promised answer of a message."""
        ...


class BatchExtension(Protocol):
    """The effects of handlers that go into one commit: `store.commit_batch`."""

    def flushed(self) -> Future[Any]:
        """Return a future that is done once the effects so far are committed."""
        ...


class EventsExtension(Protocol):
    """The services of a system, and the events that they get: `events.bus`, or in a child process `events.hosted`."""

    def add(self, ref: ActorRef[Any], /) -> None:
        """Have a service get events, as it has started; the holder of the baton calls this."""
        ...

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Deliver an event."""
        ...


class LoadExtension(Protocol):
    """The costs of handlers and tasks in a simulation: `sim.load`."""

    def begin(self, ref: ActorRef[Any], message: Any, rule: Any = None, /) -> object:
        """Have virtual time pass for a message of a durable actor, before its handler runs."""
        ...

    def begin_task(self, attempt: Any, /) -> object:
        """Have virtual time pass for a task, before its function runs."""
        ...

    async def begin_async_task(self, attempt: Any, /) -> object:
        """Have virtual time pass for an `async def` task, before its function runs."""
        ...


class Extensions:
    """The parts of a scheduler that higher layers make; all of them are None before first need.

    Attributes:
        hosts: the child processes.
        records: the log records of child processes: `process.log_handling`.
        loop_thread: the asyncio loop.
        durable: the durable actors. The core only asks whether there are any; `durable` narrows the type.
        batch: the effects of handlers that go into one commit: `store.commit_batch`.
        bus: the services, and the events for them.
        kinds: the kind of ref of an actor without `durable` and `host`, and of one that has a bounded mailbox, too.
        place_durable: returns the kind of ref of a durable actor; None: there is no store.
        keep_event: puts an event into the event log, if that is in use, and says so; None: there is no store.
        load: what handlers cost in a simulation; None: nothing, as in any live system.
        note_event: is told of each event that is published, and of its delay; None: nobody asks.
    """

    hosts: HostsExtension | None = None
    records: Closing | None = None
    loop_thread: LoopExtension | None = None
    durable: DurableExtension | None = None
    batch: BatchExtension | None = None
    bus: EventsExtension | None = None
    kinds: tuple[type[ActorRef[Any]], type[ActorRef[Any]]] = (ActorRef, BoundedRef)
    place_durable: Callable[[str, Traits], Placed] | None = None
    keep_event: Callable[[Any, float], bool] | None = None
    note_event: Callable[[Any, float], object] | None = None
    load: LoadExtension | None = None


def no_store(path: str, node: str) -> DefinitionError:
    """Return the error of a durable actor in a system without a store, with the cure."""
    if node:
        return DefinitionError(
            f"{path}: a child process has no store: have the durable actor spawned in the system's own process"
        )
    return DefinitionError(f"{path}: a durable actor needs a store: spawn it in an af.ActorSystem")
