"""Opening: the event log of a system, and its durable services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from actorflow.core.atomic import exclusively
from actorflow.core.refs.ref import ActorRef
from actorflow.durable.opening import place_durable, runtime_of
from actorflow.errors import DefinitionError
from actorflow.events.event import EventType
from actorflow.events.handlers import handlers_of
from actorflow.events.log.consumers import Consumer
from actorflow.events.log.log_node import LogNode
from actorflow.events.log.service_ref import GroupTraits, ServiceRef
from actorflow.tasks.options import check_text

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.store import Store


class LogSettings(Protocol):
    """The settings of a system that concern its log."""

    @property
    def partitions(self) -> int | None:
        """The number of partitions of a new log."""
        ...

    @property
    def keep_events(self) -> float:
        """The seconds for which events are kept."""
        ...


def log_of(scheduler: Scheduler, store: Callable[[], Store], settings: LogSettings) -> LogNode:
    """Return the event log of a system, made at first use.

    Raises:
        DefinitionError: the store's log has another number of partitions.
    """
    runtime = runtime_of(scheduler, store)
    if runtime.log is not None:
        return cast("LogNode", runtime.log)
    return exclusively(scheduler.first_use, lambda: _make_log(runtime, settings))


def _make_log(runtime: Any, settings: LogSettings) -> LogNode:
    if runtime.log is None:
        runtime.log = LogNode(runtime, settings.partitions, settings.keep_events)
    return cast("LogNode", runtime.log)


def find_log(scheduler: Scheduler, store: Callable[[], Store], settings: LogSettings) -> LogNode | None:
    """Return the event log of a system if its store has a durable service, of this process or of another."""
    runtime = cast("Any", scheduler.durable)
    has_log = runtime is not None and runtime.log is not None
    if not has_log and store().read(lambda transaction: transaction.one("events.any_consumer")) is None:
        return None
    log = log_of(scheduler, store, settings)
    log.connect()
    return log


def place_service(
    scheduler: Scheduler, store: Callable[[], Store], settings: LogSettings, path: str, traits: Traits
) -> tuple[type[ActorRef[Any]], Traits]:
    """Return the kind of ref of a durable service, and its traits; the first one opens the store.

    Raises:
        DefinitionError: it has no name, its name as a consumer is another's, or the store has it with other options.
    """
    options = traits.options
    if options.host is not None:
        msg = (
            f"{path} is a durable service: it runs in the process of its system, so leave out host=. Work that needs a "
            "process of its own is a step of a run that the handler starts, of an @af.task(cpu=True); or have the "
            "service in another program on the same store: programs share the instances of a service"
        )
        raise DefinitionError(msg)
    placed = place_durable(scheduler, store, path, traits)
    key = path.split("/", 2)[2]
    log = log_of(scheduler, store, settings)
    log.connect()
    group, _, number = key.rpartition("/")
    if number.isdecimal() and group in log.consumers and key in log.consumers[group].actors:
        return ServiceRef, placed[1]  # a member, that its group spawns
    members = options.instances or 1
    if members > log.partitions:
        msg = f"instances={members}: the log has {log.partitions} partitions, and each instance takes one at least"
        raise DefinitionError(msg)
    name = options.group or key
    check_text("group", name)
    table = handlers_of(traits.actor_class)
    kind = f"{traits.actor_class.__module__}.{traits.actor_class.__qualname__}"
    types = [*(EventType.of(cls).name for cls in table.events), *table.patterns]
    log.declare(Consumer(name, key, kind, members, types, options.start or "beginning"))
    if members == 1:
        return ServiceRef, placed[1]
    return scheduler.kinds[False], GroupTraits(traits.actor_class, options, members)
