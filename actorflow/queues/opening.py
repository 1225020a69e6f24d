"""Opening: a queue of a system, with its claimer if it works here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from actorflow.core.actors.child import child
from actorflow.core.actors.traits import check_choice, check_type
from actorflow.core.atomic import exclusively
from actorflow.core.log import logger
from actorflow.errors import DefinitionError
from actorflow.queues.ledger import limits
from actorflow.queues.ledger.schedules import RESERVED
from actorflow.queues.limits import Limit, check_count, parse_rate
from actorflow.queues.node.claimer import Claimer
from actorflow.queues.node.local_queue import LocalQueue
from actorflow.queues.queue import Queue
from actorflow.queues.retention import JOBS, taking_over
from actorflow.tasks.options import check_queue_name
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queues.ledger import News
    from actorflow.queues.node.announcer import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability


class QueueSystem(Protocol):
    """The system that a queue belongs to, as far as the queue needs it."""

    local_queues: dict[str, LocalQueue]
    scheduler: Scheduler
    settings: Any

    @property
    def store(self) -> Store:
        """The system's store."""
        ...

    @property
    def waits(self) -> Waits:
        """The waits for jobs."""
        ...

    def pool(self, name: str, /) -> ProcessPool:
        """Return a pool."""
        ...

    def spawn(self, recipe: Any, /, *args: Any) -> ActorRef[Any]:
        """Start an actor."""
        ...


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
    check_queue(name, workers, concurrency, rate, per_key, durability)
    home: QueueSystem = system
    home.scheduler.check_usable()  # in a fork, where nobody may be left to free the lock
    home.store  # noqa: B018 - opened before the lock is taken, since a server may be waited for
    lock = home.scheduler.first_use
    local = exclusively(lock, lambda: line_of(home, name, durability))
    exclusively(lock, lambda: set_up(home, local, workers, concurrency, rate, per_key))
    return Queue(local, local.workers, home.spawn)


def check_queue(
    name: str,
    workers: int,
    concurrency: int | None,
    rate: str | None,
    per_key: Limit | None,
    durability: Durability | None,
) -> None:
    """Refuse arguments of a queue that make no sense."""
    check_queue_name(name if name is not None else "")
    if name.startswith(RESERVED):
        msg = f"queue name {name!r}: names that begin with {RESERVED!r} stand for the runs of workflows"
        raise DefinitionError(msg)
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
        msg = f"workers={workers!r}: a whole number, 0 or more"
        raise DefinitionError(msg)
    check_count("concurrency", concurrency)
    parse_rate(rate)
    check_type("per_key", per_key, Limit | None)
    if durability is not None:
        check_choice("durability", durability, ("power", "process"))


def line_of(home: QueueSystem, name: str, durability: Durability | None) -> LocalQueue:
    """Return the LocalQueue that the queues of one name share in a system, made at first use."""
    local = home.local_queues.get(name)
    if local is not None:
        return local
    if not home.local_queues:
        home.store.members.register(JOBS, taking_over(home.store, partial(tell_of_taken, home)))
    local = LocalQueue(
        name,
        home.store,
        home.waits,
        home.scheduler,
        lambda: home.pool("cpu"),
        durability,
        int(home.settings.payload_limit),
    )
    home.store.watch(local.wake)
    home.local_queues[name] = local  # last: an interruption leaves no line that hears nothing
    return local


def set_up(
    home: QueueSystem, local: LocalQueue, workers: int, concurrency: int | None, rate: str | None, per_key: Limit | None
) -> None:
    """Write the limits of a queue, if some are given, and start its workers if they are not there yet."""
    has_limits = concurrency is not None or rate is not None or per_key is not None
    is_first = workers > 0 and local.claimer is None
    if workers and not is_first and local.workers != workers:
        msg = f"queue {local.name!r} has {plural(local.workers, 'worker')} here already, and is to have {workers}"
        raise DefinitionError(msg)
    if is_first and home.waits.known.only == frozenset():
        msg = (
            f"queue {local.name!r} is to have workers, but an app runs only the tasks that it was given, and this one "
            "has none: app.add(task, ...)"
        )
        raise DefinitionError(msg)
    if has_limits or is_first:  # a process that only enqueues, and names no limits, leaves them as they are
        declare(local, concurrency=concurrency, rate=rate, per_key=per_key)
    if is_first:
        local.workers = workers
        recipe = child(Claimer, local, workers).options(name=f"queue-{local.name}", restart="permanent")
        local.claimer = home.spawn(recipe)


def tell_of_taken(home: QueueSystem, moved: list[tuple[int, str, str]], news: News) -> None:
    """Tell of a dead node's jobs that may be claimed now: waits for them hear, and each queue looks for work."""
    for place, local in enumerate(list(home.local_queues.values())):
        if place:
            local.wake()
        else:  # it tells for all
            local.upkeep.taken(moved, news)


def declare(local: LocalQueue, *, concurrency: int | None, rate: str | None, per_key: Limit | None) -> None:
    """Write a queue's limits: of processes that disagree, the last one to start wins, and says so."""
    bucket = parse_rate(rate)
    key_bucket = None if per_key is None else per_key.bucket
    values = {
        "concurrency": concurrency,
        "rate": None if bucket is None else bucket.per_second,
        "burst": None if bucket is None else bucket.burst,
        "key_concurrency": None if per_key is None else per_key.concurrency,
        "key_rate": None if key_bucket is None else key_bucket.per_second,
        "key_burst": None if key_bucket is None else key_bucket.burst,
    }
    before = local.store.write(lambda transaction: limits.declare(transaction, local.name, values, local.now()))
    if before is not None:
        logger.warning("Queue %s has other limits now: %s; they were %s", local.name, values, before)
